# SPDX-License-Identifier: BSD-3-Clause
"""The memory of a crashed phone, saved into a folder: region by region, resumable, proved.

An interrupted dump goes on only for the same phone, the same table of regions, and the same crash:
spots of what was saved are read again, and must be as they were. A region that the phone refuses is
kept as far as it came, under another name; the others are tried, as far as the phone goes on.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from edl.device.crashdump import CrashedPhone, Dump
from edl.errors import (
    CancelledError,
    DiskError,
    EdlError,
    MemoryRefusedError,
    ProtocolError,
    TransportTimeoutError,
    UsageError,
)
from edl.events import BytesMoved, Emit, Notice, StepStarted, ignore
from edl.home import open_private, private_folder
from edl.outfile import require_room, store_sparse
from edl.ramdump import names
from edl.ramdump.assemble import assemble
from edl.ramdump.record import Block, Journal, Owner, Result, header, manifest, open_journal
from edl.sahara import memory
from edl.sahara.memory import READ_BYTES, Region
from edl.units import KIB, MIB

BLOCK_BYTES = 16 * MIB  # one digest in the journal, and the most that a killed run costs
_SPOTS = 64
_SPOT_BYTES = 4 * KIB


@dataclass(frozen=True)
class Choice:
    """What of a dump is to be saved. wanted: numbers of regions, in the order of the table.

    results: what is said of the others already, by number.
    """

    dump: Dump
    files: tuple[str, ...]
    wanted: tuple[int, ...]
    results: dict[int, Result]

    @property
    def size_bytes(self) -> int:
        """How much that is."""
        return sum(self.dump.regions[number].size_bytes for number in self.wanted)


@dataclass
class Report:
    """What came of it. minidump: the ELF core, if there was one. refusal: why regions lack."""

    folder: Path
    results: dict[int, Result]
    minidump: Path | None = None
    resumed_bytes: int = 0
    refusal: MemoryRefusedError | None = None


def choose(dump: Dump, wanted: Sequence[str] = (), *, everything: bool = False) -> Choice:
    """Return what is to be saved: by default what the phone's table wants to be saved.

    wanted: patterns of names (see `names.matches`). everything: also what it does not ask for.
    What cannot be a region is left out, whoever asks for it.

    Raises:
        UsageError: a pattern means nothing, or nothing is left.
    """
    files = names.file_names(dump.regions)
    doubts = memory.doubts(dump.regions, wide=dump.offer.wide)
    chosen: list[int] = []
    results: dict[int, Result] = {}
    met: set[str] = set()
    for number, region in enumerate(dump.regions):
        meant = names.matches(region, files[number], wanted)
        met.update(meant)
        if not memory.is_possible(region, wide=dump.offer.wide):
            results[number] = Result("impossible", why=doubts[number])
        elif meant or (not wanted and (region.saved or everything)):
            chosen.append(number)
        else:
            results[number] = Result("skipped", why="nobody asked for it")
    if unmet := [pattern for pattern in wanted if pattern not in met]:
        raise UsageError(
            f"The crash dump has no region '{unmet[0]}'.",
            remedies=("See what there is: edl ramdump --list",),
        )
    if not chosen:
        raise UsageError(
            "The crash dump holds nothing that can be saved.",
            remedies=("See what there is: edl ramdump --list", "Or take all: --all"),
        )
    return Choice(dump, files, tuple(chosen), results)


def save(
    phone: CrashedPhone,
    choice: Choice,
    folder: Path,
    owner: Owner,
    *,
    resume: bool = False,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> Report:
    """Save what was chosen into folder, which is made if need be.

    Raises:
        UsageError, ImageError: the folder holds something else; nothing was touched.
        CancelledError: stopped by cancel; resumable, as after the errors below.
        DiskError: the disk is full, or takes no file of that size.
        TransportError, ProtocolError: the phone or the connection failed.
    """
    try:
        private_folder(folder)
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    if not any((folder / name).exists() for name in (names.MANIFEST, names.UNFINISHED)):
        _require_free(folder, choice)
    journal = open_journal(folder, header(owner, choice.dump), resume=resume)
    job = _Job(phone, choice, journal, emit, cancel or threading.Event())
    try:
        job.run()
        journal.finish(manifest(owner, choice.dump, job.report.results, _now()))
    except EdlError as error:
        if not isinstance(error, UsageError):
            how = f"What was saved is kept; go on with: edl ramdump -o {folder} --resume"
            error.remedies = (how, *error.remedies[:2])
        raise
    finally:
        journal.close()
    return job.report


def _require_free(folder: Path, choice: Choice) -> None:
    """Make sure that no file of somebody else would be replaced."""
    for number in choice.wanted:
        name = choice.files[number]
        for path in (folder / name, folder / (name + names.PARTIAL)):
            if path.exists() or path.is_symlink():
                raise UsageError(
                    f"{path} exists already.", remedies=("Choose an empty folder: -o DIR",)
                )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class _Started:
    """A region of which a part is saved. size_bytes: how much; digest: of that."""

    size_bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


class _Job:
    """One run of `save`."""

    def __init__(
        self,
        phone: CrashedPhone,
        choice: Choice,
        journal: Journal,
        emit: Emit,
        cancel: threading.Event,
    ) -> None:
        self._phone = phone
        self._dump = choice.dump
        self._choice = choice
        self._journal = journal
        self._emit = emit
        self._cancel = cancel
        self._started: dict[int, _Started] = {}
        self.report = Report(journal.folder, dict(choice.results))

    def run(self) -> None:
        """See `save`."""
        for number in self._choice.wanted:
            self._started[number] = self._found(number)
        self.report.resumed_bytes = sum(each.size_bytes for each in self._started.values())
        left = self._choice.size_bytes - self.report.resumed_bytes
        require_room(self._journal.folder, left)
        self._require_same_crash()
        for step, number in enumerate(self._choice.wanted, 1):
            if self.report.refusal is not None and not self._phone_goes_on(number):
                continue
            region = self._dump.regions[number]
            title = region.file_name or region.description or self._choice.files[number]
            self._emit(StepStarted(step, len(self._choice.wanted), title, region.size_bytes))
            self._region(number, region)
        self.report.minidump = assemble(
            self._journal.folder, self._dump.regions, self.report.results, self._emit
        )

    # -- what is there already ------------------------------------------------------------------

    def _path(self, number: int, ending: str = "") -> Path:
        return self._journal.folder / (self._choice.files[number] + ending)

    def _found(self, number: int) -> _Started:
        """Return what an earlier run has saved of a region, as far as it is what was read."""
        started = _Started()
        path = self._path(number)
        if not path.exists():
            path = self._path(number, names.PARTIAL)
        blocks = self._journal.blocks.get(number, [])
        if not blocks or path.is_symlink() or not path.is_file():
            return started
        size = self._dump.regions[number].size_bytes
        try:
            with path.open("rb") as file:
                for block in blocks:
                    fits = 0 < block.size_bytes <= min(BLOCK_BYTES, size - started.size_bytes)
                    if block.offset != started.size_bytes or not fits:
                        continue
                    digest = started.digest.copy()
                    digest.update(file.read(block.size_bytes))
                    if digest.hexdigest() != block.sha256:
                        break
                    started.digest = digest
                    started.size_bytes += block.size_bytes
        except OSError as error:
            raise DiskError(f"{path} cannot be read: {error.strerror}.") from error
        return started

    def _require_same_crash(self) -> None:
        """Make sure that the phone's memory is still that of which a part is saved.

        Raises:
            UsageError: it is not.
        """
        for number, offset in self._spots():
            region = self._dump.regions[number]
            path = self._path(number)
            path = path if path.exists() else self._path(number, names.PARTIAL)
            length = min(_SPOT_BYTES, self._started[number].size_bytes - offset)
            with path.open("rb") as file:
                file.seek(offset)
                saved = file.read(length)
            now = bytearray()
            self._phone.read(region.address + offset, length, now.extend)
            if now != saved:
                raise UsageError(
                    f"The memory of the phone is not that of the unfinished dump in"
                    f" {self._journal.folder}: {region.file_name} differs at {offset:#x}. It has"
                    " crashed again since.",
                    remedies=("Save this crash into another folder.",),
                )

    def _spots(self) -> Iterator[tuple[int, int]]:
        """Yield number of region and offset of places that are spread over what is saved."""
        total = self.report.resumed_bytes
        step = max(_SPOT_BYTES, total // _SPOTS)
        begin = 0
        for number, started in self._started.items():
            first = -begin % step
            for offset in range(first, started.size_bytes, step):
                yield number, offset
            begin += started.size_bytes

    # -- one region -----------------------------------------------------------------------------

    def _region(self, number: int, region: Region) -> None:
        """Save a region, or what the phone gives of it."""
        started = self._started[number]
        self._emit(BytesMoved(started.size_bytes))
        path = self._path(number)
        partial = self._path(number, names.PARTIAL)
        result = Result("saved", path.name)
        try:
            if not path.exists() or started.size_bytes < region.size_bytes:
                self._into(partial, number, region, started)
                partial.replace(path)
        except MemoryRefusedError as error:
            self.report.refusal = error
            result.state, result.why = "refused", error.message
            if started.size_bytes:
                result.file = path.name + names.INCOMPLETE
                partial.replace(self._path(number, names.INCOMPLETE))
            else:
                result.file = None
                partial.unlink()
            self._emit(Notice(f"{region.file_name or region.description}: {error.message}"))
        except OSError as error:
            raise _unwritable(partial, error) from error
        result.saved_bytes = started.size_bytes
        result.sha256 = started.digest.hexdigest() if result.file else None
        self.report.results[number] = result

    def _into(self, partial: Path, number: int, region: Region, started: _Started) -> None:
        """Save what is left of a region into the file partial."""
        if partial.is_symlink():  # it would be written through
            partial.unlink()
        with open_private(partial, "r+b" if started.size_bytes else "wb") as file:
            file.truncate(started.size_bytes)
            file.seek(started.size_bytes)
            try:
                while started.size_bytes < region.size_bytes:
                    self._block(file, number, region, started)
            finally:
                file.truncate(started.size_bytes)
            file.flush()
            os.fsync(file.fileno())

    def _block(self, file: BinaryIO, number: int, region: Region, started: _Started) -> None:
        """Save the next block, and note it; on a failure, what has come of it."""
        offset = started.size_bytes
        end = min(region.size_bytes, offset + BLOCK_BYTES)
        try:
            while started.size_bytes < end:
                if self._cancel.is_set():
                    raise CancelledError("Stopped as you asked; the phone was only read.")
                self._piece(file, region, started, end)
        finally:
            if (size := started.size_bytes - offset) > 0:
                self._journal.add(Block(number, offset, size, started.digest.hexdigest()))

    def _piece(self, file: BinaryIO, region: Region, started: _Started, end: int) -> None:
        """Read one piece; what came before a refusal or a failure counts as well.

        Not so where more came than was asked for: nobody knows then which bytes are memory.
        """
        piece = bytearray()
        size = memory.next_length(end - started.size_bytes, READ_BYTES)
        try:
            self._phone.read(region.address + started.size_bytes, size, piece.extend)
        except ProtocolError:
            piece.clear()
            raise
        finally:
            store_sparse(file, memoryview(piece))
            started.digest.update(piece)
            started.size_bytes += len(piece)
            self._emit(BytesMoved(len(piece)))

    def _phone_goes_on(self, number: int) -> bool:
        """Tell whether a phone that has refused something gives the beginning of a region."""
        region = self._dump.regions[number]
        try:
            if self._phone.recover(self._dump):
                first = memory.next_length(region.size_bytes, _SPOT_BYTES)
                self._phone.read(region.address, first, len)
                return True
        except (MemoryRefusedError, TransportTimeoutError):
            pass
        self.report.results[number] = Result("missing", why="the phone gave nothing any more")
        return False


def _unwritable(path: Path, error: OSError) -> DiskError:
    return DiskError(
        f"{path} cannot be written: {error.strerror}.",
        remedies=("Make room, or choose another folder.",),
    )
