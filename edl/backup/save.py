# SPDX-License-Identifier: BSD-3-Clause
"""Save the storage of a phone to a folder: everything that can be read, and what could not.

The folder holds `manifest.json` only when all is there; until then `manifest.json.partial`, which
says what the job is, and the progress. So an interrupted job goes on, if it is still the same job
on the same phone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import edl
from edl.backup import find, rows
from edl.backup.doubts import doubted
from edl.backup.earlier import Earlier
from edl.backup.extents import Choice, survey, with_files
from edl.backup.files import temporary_name, write_whole
from edl.backup.folder import MANIFEST, UNFINISHED, read_manifest
from edl.backup.output import Output, PackedFile, RawFile
from edl.backup.progress import FILE_NAME, Done, Progress
from edl.backup.reader import Block, Reader, Runs, joined, weakest
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import (
    CancelledError,
    DeviceRefusedError,
    DiskError,
    EdlError,
    UsageError,
)
from edl.events import BytesMoved, Emit, Notice, StepStarted, ignore
from edl.firehose.answers import StorageInfo
from edl.firehose.commands import Area
from edl.formats.manifest import (
    BLOCK_BYTES,
    Compression,
    Extent,
    Form,
    Kind,
    LeftOut,
    LunRecord,
    Manifest,
    Owner,
    State,
    StorageRecord,
    Verified,
)
from edl.home import private_folder
from edl.partitions import Severity
from edl.plan.compare import Verify
from edl.plan.readout import pieces
from edl.units import MIB

_SMALL_BYTES = 128 * MIB  # the largest partition that exists only once has 64 MiB


@dataclass(frozen=True)
class Request:
    """What is to be saved, and how.

    verify: one of `edl.plan.compare.Verify`. block_bytes: how much is read, and has a digest, at a
    time; a power of two. earlier: a backup from which what has not changed is taken.
    """

    folder: Path
    choice: Choice = field(default_factory=Choice)
    form: Form = Form.IMAGES
    compression: Compression = Compression.NONE
    verify: str = Verify.AUTO
    resume: bool = False
    block_bytes: int = BLOCK_BYTES
    earlier: Earlier | None = None


@dataclass
class Report:
    """What came of it. Sizes in bytes: what was transferred, was blank, was there before.

    lost: names of what could not be read as a whole. documents: names of the XML files.
    """

    folder: Path
    manifest: Manifest
    moved_bytes: int = 0
    blank_bytes: int = 0
    resumed_bytes: int = 0
    reused_bytes: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    documents: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """How much of the phone is in the backup."""
        return saved_bytes(self.manifest)


def prepare(storage: Storage, request: Request) -> Manifest:
    """Return what the backup will be, with nothing saved yet.

    Raises:
        UsageError: the request does not fit the phone.
        DeviceRefusedError: nothing of the phone can be read.
    """
    records, left_out = survey(storage, request.choice)
    unit = storage.phone.sector_bytes
    luns = with_files(records, request.form, request.compression, unit)
    if not any(extent.file for lun in luns for extent in lun.extents):
        raise DeviceRefusedError(
            "There is nothing to save: " + (left_out[0].reason if left_out else "all is skipped."),
            remedies=(
                "Hold the power button for 15 seconds, enter EDL mode, and repeat the command.",
                "If it is the same again, look at the flash: edl doctor --storage.",
            )
            if left_out
            else ("Leave less out: see --only, --skip and --lun.",),
        )
    return Manifest(
        made=f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        tool=f"edl {edl.__version__}",
        complete=False,
        phone=owner(storage.phone),
        storage=_storage_record(storage.phone, request.block_bytes),
        form=request.form,
        compression=request.compression,
        verified=Verified.NOT,
        luns=luns,
        left_out=left_out,
    )


def owner(phone: Phone) -> Owner:
    """Return who phone says it is."""
    identity = phone.identity
    serial = None if phone.serial == "unknown" else phone.serial
    return Owner(serial, identity.hwid, identity.pk_hash, identity.chip)


def _storage_record(phone: Phone, block_bytes: int) -> StorageRecord:
    info = phone.luns.get(0, StorageInfo())
    return StorageRecord(
        type=phone.programmer.memory or "unknown",
        sector_bytes=phone.sector_bytes,
        manufacturer_id=info.manufacturer_id,
        product=info.product,
        serial=info.serial,
        firmware=info.firmware,
        block_bytes=block_bytes,
    )


def saved_bytes(manifest: Manifest) -> int:
    """Return how many bytes of the phone are, or will be, in the backup."""
    sectors = sum(each.sectors for lun in manifest.luns for each in lun.extents if each.file)
    return sectors * manifest.storage.sector_bytes


def save(
    storage: Storage,
    request: Request,
    planned: Manifest,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> Report:
    """Carry out planned, and leave a whole backup, or one that can be gone on with.

    Raises:
        UsageError, ImageError: the folder holds something else; nothing was touched.
        CancelledError: stopped by cancel; resumable, as after all errors below.
        DiskError: the disk is full, or takes no file of that size.
        EdlError: the phone or the connection failed.
    """
    begin = time.monotonic()
    job = _Job(storage, request, planned, emit, cancel or threading.Event())
    try:
        job.run()
    except UsageError:
        raise
    except EdlError as error:
        if not (request.folder / UNFINISHED).is_file():
            raise
        how = f"What was saved is kept; go on with: edl backup {request.folder} --resume"
        error.remedies = (*error.remedies[:2], how)
        raise
    job.report.seconds = time.monotonic() - begin
    return job.report


class _Job:
    """One run of `save`."""

    def __init__(
        self,
        storage: Storage,
        request: Request,
        planned: Manifest,
        emit: Emit,
        cancel: threading.Event,
    ) -> None:
        self._storage = storage
        self._folder = request.folder
        self._request = request
        self._planned = planned
        self._emit = emit
        self._cancel = cancel
        self._unit = planned.storage.sector_bytes
        info = storage.phone.luns.get(0, StorageInfo())
        self._reader = Reader(
            storage.phone.programmer, request.verify, emit, request.earlier, info.pages_per_block
        )
        self._step = 0
        self._results: dict[tuple[int, int], list[Done]] = {}
        self.report = Report(request.folder, planned)

    def run(self) -> None:
        """See `save`."""
        open_folder(self._folder, self._planned, resume=self._request.resume)
        find.note(self._planned.phone.serial, self._folder)
        progress = Progress(self._folder, resume=self._request.resume)
        try:
            self._drop_changed(progress)
            for name, parts in self._files():
                self._file(name, parts, progress)
            self.report.manifest = self._result()
            self._drop_files_without_data()
            self.report.documents = rows.write(self._folder, self.report.manifest)
            write_whole(self._folder / MANIFEST, self.report.manifest.text(), private=True)
            (self._folder / UNFINISHED).unlink()
            progress.remove()
        finally:
            progress.close()

    def _wanted(self) -> Iterator[tuple[LunRecord, Extent]]:
        for lun in self._planned.luns:
            for extent in lun.extents:
                if extent.file is not None:
                    yield lun, extent

    def _files(self) -> list[tuple[str, list[tuple[int, Extent]]]]:
        """Return the files with their extents: what exists only once first, if the order is free.

        Flash that fails may last for a few minutes only.
        """
        files: dict[str, list[tuple[int, Extent]]] = {}
        for lun, extent in self._wanted():
            files.setdefault(str(extent.file), []).append((lun.lun, extent))
        if self._planned.compression is Compression.NONE:
            for parts in files.values():
                parts.sort(key=lambda part: self._rank(part[1]))
        return sorted(files.items(), key=lambda item: min(self._rank(e) for _, e in item[1]))

    def _rank(self, extent: Extent) -> int:
        if extent.kind in {Kind.GPT_PRIMARY, Kind.GPT_BACKUP}:
            return 0
        small = extent.sectors * self._unit <= _SMALL_BYTES
        return 1 if extent.severity == Severity.MUST_NEVER_CLONE.value and small else 2

    # -- one file -------------------------------------------------------------------------------

    def _file(self, name: str, parts: list[tuple[int, Extent]], progress: Progress) -> None:
        output = self._output(name)
        try:
            for lun, extent in parts:
                self._extent(output, lun, extent, progress)
            output.finish()
        finally:
            output.close()

    def _output(self, name: str) -> Output:
        ends = (
            extent.file_offset_bytes + extent.sectors * self._unit
            for _, extent in self._wanted()
            if extent.file == name
        )
        size = max(ends)
        if self._planned.form is Form.IMAGES:  # the LUN as a whole, whatever is left out at its end
            size = next(
                lun.sectors * self._unit for lun, extent in self._wanted() if extent.file == name
            )
        kind = PackedFile if self._planned.compression is Compression.ZSTD else RawFile
        return kind(self._folder / name, size, resume=self._request.resume)

    def _extent(self, output: Output, lun: int, extent: Extent, progress: Progress) -> None:
        self._step += 1
        count = sum(1 for _ in self._wanted())
        self._emit(StepStarted(self._step, count, extent.name, extent.sectors * self._unit))
        done = self._results.setdefault((lun, extent.start_sector), [])
        for area, offset in pieces(self._area(lun, extent), self._planned.storage.block_bytes):
            if self._cancel.is_set():
                raise CancelledError("Stopped as you asked; the phone was only read.")
            done.append(self._block(output, area, extent.file_offset_bytes + offset, progress))

    def _area(self, lun: int, extent: Extent) -> Area:
        return Area(lun, extent.start_sector, extent.sectors, self._unit)

    def _block(self, output: Output, area: Area, offset: int, progress: Progress) -> Done:
        known = progress.known(area)
        if known is not None and known.offset == offset and output.holds(known):
            self.report.resumed_bytes += area.size_bytes
            self._emit(BytesMoved(area.size_bytes))
            return known
        block = self._reader.read(area)
        frames = output.put(offset, block.data, area.size_bytes)
        done = Done(
            area.lun, area.start_sector, area.sectors, area.size_bytes, offset,
            block.sha256, block.verified, block.bad, block.denied, frames,
        )  # fmt: skip
        progress.add(done)
        self._count(block, area)
        return done

    def _count(self, block: Block, area: Area) -> None:
        self.report.moved_bytes += block.moved_bytes
        self.report.reused_bytes += block.reused_bytes
        if not (block.moved_bytes or block.reused_bytes):
            self.report.blank_bytes += area.size_bytes

    # -- going on -------------------------------------------------------------------------------

    def _drop_changed(self, progress: Progress) -> None:
        """Forget what the phone has changed since the earlier run: it may have been started.

        The first block of a partition tells: a file system changes it whenever it is used.
        """
        if not progress.found or self._request.verify in {Verify.NONE, Verify.READBACK}:
            return
        block_bytes = self._planned.storage.block_bytes
        for lun, extent in self._wanted():
            blocks = [area for area, _ in pieces(self._area(lun.lun, extent), block_bytes)]
            known = progress.known(blocks[0])
            if known is None or known.bad or known.denied:
                continue
            told = self._reader.digest(blocks[0])
            if told is not None and told != known.sha256:
                self._emit(Notice(f"'{extent.name}' has changed since; it is read again"))
                for area in blocks:
                    progress.drop(area)

    # -- the end --------------------------------------------------------------------------------

    def _drop_files_without_data(self) -> None:
        """Remove what turned out to be no data: nobody shall take it for some."""
        kept = {extent.file for lun in self.report.manifest.luns for extent in lun.extents}
        for name in {str(extent.file) for _, extent in self._wanted()} - kept:
            (self._folder / name).unlink(missing_ok=True)

    def _result(self) -> Manifest:
        left_out = list(self._planned.left_out)
        luns = []
        for lun in self._planned.luns:
            extents = tuple(self._outcome(lun.lun, extent, left_out) for extent in lun.extents)
            checked, doubts = doubted(replace(lun, extents=extents), self._planned.storage)
            luns.append(checked)
            left_out += doubts
        verified = weakest({each.verified for parts in self._results.values() for each in parts})
        return replace(
            self._planned,
            complete=True,
            luns=tuple(luns),
            left_out=tuple(left_out),
            verified=verified,
        )

    def _are_bad_blocks(self, bad: Runs) -> bool:
        """Tell whether all of bad are erase blocks of NAND for which the programmer gave filler."""
        pages = self._storage.phone.luns.get(0, StorageInfo()).pages_per_block
        return pages is not None and all(
            block in self._reader.filler
            for start, count in bad
            for block in range(start, start + count, pages)
        )

    def _outcome(self, lun: int, extent: Extent, left_out: list[LeftOut]) -> Extent:
        if extent.file is None:
            return extent
        done = self._results[lun, extent.start_sector]
        bad = joined([run for each in done for run in each.bad])
        denied = joined([run for each in done for run in each.denied])
        what = f"LUN {lun}, '{extent.name}'"
        lost = joined([*bad, *denied])
        if bad and self._are_bad_blocks(bad):
            left_out.append(LeftOut(what, f"{_counted(bad)} lie in bad blocks, which is normal."))
        elif bad:
            left_out.append(LeftOut(what, f"{_counted(bad)} could not be read."))
            self.report.lost.append(extent.name)
        if denied:
            left_out.append(LeftOut(what, f"{_counted(denied)} the programmer does not give."))
            self.report.lost += [] if bad else [extent.name]
        if sum(count for _, count in denied) == extent.sectors:
            return replace(extent, state=State.FORBIDDEN, file=None, file_offset_bytes=0)
        digests = tuple(each.sha256 for each in done)
        state = State.PARTLY if lost else State.SAVED
        return replace(extent, state=state, sha256=digests, bad=lost)


def _counted(runs: Runs) -> str:
    sectors = sum(count for _, count in runs)
    return f"{sectors} sector{'' if sectors == 1 else 's'} from {runs[0][0]} on"


# -- the folder ---------------------------------------------------------------------------------


def open_folder(folder: Path, planned: Manifest, *, resume: bool) -> None:
    """Make folder ready for planned.

    Raises:
        UsageError: it holds something else: a finished backup, or an unfinished one and resume was
            not asked for, or one of another phone.
        DiskError: it cannot be made.
    """
    check_folder(folder, resume=resume)
    unfinished = folder / UNFINISHED
    if resume and unfinished.is_file():
        _require_same(read_manifest(unfinished), planned, folder)
        return
    try:
        private_folder(folder)
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    write_whole(unfinished, planned.text(), private=True)


def check_folder(folder: Path, *, resume: bool) -> None:
    """Make sure that folder can take a backup; nothing is made yet.

    A job that was killed at its very end has left what it went by; to resume it removes that.

    Raises:
        UsageError: it cannot; see open_folder.
    """
    if (folder / MANIFEST).exists():
        if resume:
            _tidy(folder)
        what = "already: there is nothing to go on with" if resume else "that is never overwritten"
        raise UsageError(
            f"{folder} holds a finished backup {what}.",
            remedies=("Choose another folder.",),
        )
    if (folder / UNFINISHED).exists():
        if not resume:
            raise UsageError(
                f"{folder} holds a backup that is not finished.",
                remedies=(
                    f"Go on with it: edl backup {folder} --resume",
                    "Or remove that folder, or choose another one.",
                ),
            )
    elif folder.exists() and (not folder.is_dir() or any(map(_foreign, folder.iterdir()))):
        raise UsageError(
            f"{folder} is not an empty folder.", remedies=("Choose a new folder for the backup.",)
        )


def _tidy(folder: Path) -> None:
    """Remove what a job that is finished went by."""
    with contextlib.suppress(OSError, EdlError):
        read_manifest(folder / MANIFEST)  # so that nothing is touched that is not ours
        for name in (UNFINISHED, FILE_NAME):
            (folder / name).unlink(missing_ok=True)


def _foreign(path: Path) -> bool:
    """Tell whether path is more than what is left of a backup that was killed when it began."""
    return path.name != temporary_name(UNFINISHED)


def _require_same(old: Manifest, new: Manifest, folder: Path) -> None:
    """Make sure that new goes on with what old began.

    Raises:
        UsageError: it is another phone, or another job.
    """
    for name in ("serial", "hwid", "pk_hash"):
        before, now = getattr(old.phone, name), getattr(new.phone, name)
        if None not in {before, now} and before != now:
            raise UsageError(
                f"The unfinished backup in {folder} is of another phone (its {name} differs).",
                remedies=("Choose another folder for this phone.",),
            )
    if old.storage != new.storage or _geometry(old) != _geometry(new):
        raise UsageError(
            f"The unfinished backup in {folder} is of another storage, or the partition tables"
            " of the phone have changed since.",
            remedies=("Choose another folder, and begin anew.",),
        )
    if (old.form, old.compression, old.luns) != (new.form, new.compression, new.luns):
        raise UsageError(
            f"The unfinished backup in {folder} was begun with other options.",
            remedies=("Give the same options (--only, --skip, --lun, --form, --compress) again.",),
        )


def _geometry(manifest: Manifest) -> object:
    return [
        (lun.lun, lun.sectors, lun.disk_guid, [(e.name, e.start_sector) for e in lun.extents])
        for lun in manifest.luns
    ]
