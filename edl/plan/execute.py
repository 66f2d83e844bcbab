# SPDX-License-Identifier: BSD-3-Clause
"""A plan, carried out: write, verify, make bootable, reset.

Writes go out in pieces. A piece is the unit of everything: one <program>, one line in the journal,
one digest for verification, and the most that is lost when somebody pulls the cable.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from edl.chunks import Content, FillContent, ReadAhead
from edl.device.firehose import Programmer
from edl.errors import (
    CancelledError,
    DeviceRefusedError,
    EdlError,
    ImageError,
    StoppedMidwayError,
    VerifyError,
)
from edl.events import BytesMoved, Emit, Notice, Stage, StepStarted, ignore
from edl.firehose.commands import Area
from edl.plan.model import Erase, Plan, ReadOut, Step, Write, plural
from edl.plan.readout import pieces, read_to_file
from edl.units import MIB, format_size

_ERASED_CHECK_BYTES = 256 * MIB


class Ledger(Protocol):
    """Where the pieces that are done are noted (edl.plan.journal, or nowhere)."""

    done: dict[Area, bytes]

    def piece(self, area: Area, digest: bytes) -> None:
        """Note a piece."""
        ...


@dataclass
class NoLedger:
    """Notes nothing on disk."""

    done: dict[Area, bytes] = field(default_factory=dict)

    def piece(self, area: Area, digest: bytes) -> None:
        """See Ledger."""


@dataclass(frozen=True)
class Piece:
    """A part of a write, and the SHA-256 of what it must hold."""

    area: Area
    content: Content
    offset: int
    label: str
    digest: bytes


@dataclass
class Report:
    """What a job did. how: how it was verified, in words; empty if it was not."""

    written_bytes: int = 0
    resumed_bytes: int = 0
    unchanged_bytes: int = 0
    erased_bytes: int = 0
    verified_bytes: int = 0
    how: str = ""
    rewritten: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Verify:
    """The ways to verify."""

    AUTO = "auto"
    DIGEST = "sha256"
    READBACK = "readback"
    NONE = "none"


class Executor:
    """Carries out one plan on one programmer."""

    def __init__(
        self,
        programmer: Programmer,
        plan: Plan,
        *,
        emit: Emit = ignore,
        ledger: Ledger | None = None,
        cancel: threading.Event | None = None,
        verify: str = Verify.AUTO,
        skip_unchanged: bool = False,
    ) -> None:
        self._programmer = programmer
        self._plan = plan
        self._emit = emit
        self._ledger = ledger or NoLedger()
        self._cancel = cancel or threading.Event()
        self._verify = verify
        self._skip_unchanged = skip_unchanged
        self._pieces: list[Piece] = []
        self._started = False  # the first byte has gone out
        self._doing = ""
        self._finished = 0
        self.report = Report()

    def run(self) -> Report:
        """Carry the plan out up to and without the reset.

        Raises:
            CancelledError: stopped before anything was written.
            StoppedMidwayError: stopped later.
            EdlError: as the steps do; `state` then says what is on the phone.
        """
        begin = time.monotonic()
        try:
            for index, step in enumerate(self._plan.steps, 1):
                self._step(index, step)
                self._finished += 1
            self._doing = ""
            self._verify_all()
            self._make_bootable()
        except EdlError as error:
            self._tell_state(error)
            raise
        except KeyboardInterrupt as stop:
            raise self._stopped_at_once() from stop
        self.report.seconds = time.monotonic() - begin
        return self.report

    def _tell_state(self, error: EdlError) -> None:
        """Say with error what is on the phone, and how to go on."""
        error.state = self.state()
        resume = "Then run the same command with --resume to finish the job."
        if error.state and not any("--resume" in remedy for remedy in error.remedies):
            error.remedies = (*error.remedies[:2], resume)

    def _stopped_at_once(self) -> EdlError:
        if not self._started:
            return CancelledError("Stopped at once; nothing was written.")
        error = StoppedMidwayError(
            "Stopped at once, as you asked.",
            remedies=(
                "The programmer may still wait for data: hold the power button for 15 seconds and"
                " enter EDL mode again.",
                "Then run the same command with --resume to finish the job.",
            ),
        )
        error.state = self.state()
        return error

    def state(self) -> str:
        """Return what is on the phone now, in a sentence; empty if nothing was changed."""
        if not self._started:
            return ""
        total = len(self._plan.steps)
        text = f"{self._finished} of {plural(total, 'step')} are done"
        if self._doing:
            return f"{text}; '{self._doing}' is incomplete: the phone may not start as it is."
        return f"{text}, but not all is verified."

    # -- steps ----------------------------------------------------------------------------------

    def _step(self, index: int, step: Step) -> None:
        title = step.label or f"LUN {step.area.lun} sector {step.area.start_sector}"
        self._check_cancel()
        count = len(self._plan.steps)
        self._emit(StepStarted(index, count, title, step.area.size_bytes))
        match step:
            case Write():
                self._doing = title
                self._write(step)
            case Erase():
                self._doing = title
                self._erase(step)
            case ReadOut():
                self._read_out(step)

    def _check_cancel(self) -> None:
        if not self._cancel.is_set():
            return
        if self._started:
            raise StoppedMidwayError(
                "Stopped as you asked.",
                remedies=("Run the same command with --resume to finish it.",),
            )
        raise CancelledError("Stopped as you asked; nothing was written.")

    def _write(self, step: Write) -> None:
        for area, offset in pieces(step.area):
            self._check_cancel()
            known = self._ledger.done.get(area)
            if known is not None:
                self._pieces.append(Piece(area, step.content, offset, step.label, known))
                self.report.resumed_bytes += area.size_bytes
                self._emit(BytesMoved(area.size_bytes))
                continue
            if self._skip_unchanged and (digest := self._unchanged(area, step.content, offset)):
                self._pieces.append(Piece(area, step.content, offset, step.label, digest))
                self.report.unchanged_bytes += area.size_bytes
                self._emit(BytesMoved(area.size_bytes))
                continue
            digest = self._program(area, step.content, offset, step.label)
            self._pieces.append(Piece(area, step.content, offset, step.label, digest))
            self._ledger.piece(area, digest)

    def _unchanged(self, area: Area, content: Content, offset: int) -> bytes | None:
        """Return the digest of a piece that the phone has already, else None."""
        there = self._programmer.sha256(area)
        if there is None:
            self._skip_unchanged = False
            return None
        wanted = hashlib.sha256()
        for chunk in content.chunks(offset, area.size_bytes):
            wanted.update(chunk)
        return there if there == wanted.digest() else None

    def _program(self, area: Area, content: Content, offset: int, label: str) -> bytes:
        with ReadAhead(content, offset, area.size_bytes) as ahead:
            sent = _Guarded(ahead, area.size_bytes)
            self._programmer.program(area, sent.chunks(), label=label, moved=self._moved)
            if sent.error is not None:
                raise sent.error
            self.report.written_bytes += area.size_bytes
            return ahead.digest()

    def _moved(self, count: int) -> None:
        self._started = True
        self._emit(BytesMoved(count))

    def _erase(self, step: Erase) -> None:
        """Erase, and make sure; zeros are the way that always means what it says."""
        area = step.area
        if self._programmer.generation == 3 and self._programmer.supports("erase"):
            self._started = True
            try:
                self._programmer.erase(area)
                if self._is_blank(area):
                    self.report.erased_bytes += area.size_bytes
                    self._emit(BytesMoved(area.size_bytes))
                    return
                self._emit(Notice(f"'{step.label}' is not blank after <erase>: writing zeros."))
            except DeviceRefusedError as error:
                self._emit(Notice(f"<erase> was refused ({error}): writing zeros."))
        self._write(Write(area, FillContent(area.size_bytes), step.label, "", step.where))
        self.report.erased_bytes += area.size_bytes

    def _is_blank(self, area: Area) -> bool:
        if self._programmer.digest_works is False:
            return False
        for piece, _ in pieces(area, _ERASED_CHECK_BYTES):
            there = self._programmer.sha256(piece)
            if there is None or there not in _blank_digests(piece.size_bytes):
                return False
        return True

    def _read_out(self, step: ReadOut) -> None:
        read_to_file(self._programmer, step.area, step.path, emit=self._emit, cancel=self._cancel)
        self.report.files.append(str(step.path))

    # -- verification ---------------------------------------------------------------------------

    def _verify_all(self) -> None:
        if self._verify == Verify.NONE or not self._pieces:
            return
        total = sum(piece.area.size_bytes for piece in self._pieces)
        self._emit(Stage("verify", f"comparing {format_size(total)} with what was sent"))
        checker = Checker(self._programmer, self._verify)
        bad = [piece for piece in self._pieces if not self._holds(checker, piece)]
        for piece in bad:
            self._emit(Notice(f"'{piece.label}' differs from what was sent: writing it again."))
            self._program(piece.area, piece.content, piece.offset, piece.label)
            self.report.rewritten.append(piece.label)
        worn = [piece for piece in bad if not checker.holds(piece.area, piece.digest)]
        if worn:
            raise VerifyError(_worn(worn))
        self.report.verified_bytes = total
        self.report.how = checker.how

    def _holds(self, checker: Checker, piece: Piece) -> bool:
        self._check_cancel()
        return checker.holds(piece.area, piece.digest)

    def _make_bootable(self) -> None:
        if (
            self._plan.bootable is None
            or self._programmer.supports("setbootablestoragedrive") is False
        ):
            return
        try:
            self._programmer.set_bootable(self._plan.bootable)
        except DeviceRefusedError:
            if self._plan.geometry.memory == "ufs":
                raise  # without it the phone boots from the other boot LUN, or not at all
            self._emit(Notice("The programmer does not set the boot drive; eMMC does not need it."))


class _Guarded:
    """Chunks of a piece. A file that fails midway goes on as zeros.

    So the phone is not left waiting for data; the error is raised afterwards.
    """

    def __init__(self, ahead: ReadAhead, size_bytes: int) -> None:
        self._ahead = ahead
        self._left = size_bytes
        self.error: ImageError | None = None

    def chunks(self) -> Iterator[memoryview]:
        try:
            for chunk in self._ahead.chunks():
                self._left -= len(chunk)
                yield chunk
        except ImageError as error:
            self.error = error
            yield from FillContent(self._left).chunks(0, self._left)


class Checker:
    """Compares areas of the phone with digests: by the phone's own digest, else by reading back."""

    def __init__(self, programmer: Programmer, verify: str = Verify.AUTO) -> None:
        self._programmer = programmer
        self._verify = verify
        self._ways: set[str] = set()

    @property
    def how(self) -> str:
        """How areas were compared, in words."""
        return " and ".join(sorted(self._ways))

    def holds(self, area: Area, digest: bytes) -> bool:
        """Tell whether area has that SHA-256.

        Raises:
            ReadFailedError: sectors cannot be read.
            DeviceRefusedError: the phone gives no digest, and that was asked for.
        """
        there = None
        if self._verify in {Verify.AUTO, Verify.DIGEST}:
            there = self._programmer.sha256(area)
            if there is None and self._verify == Verify.DIGEST:
                raise DeviceRefusedError(
                    "This programmer computes no digests.",
                    remedies=("Use --verify readback.",),
                )
        if there is not None:
            self._ways.add("SHA-256 computed by the phone")
            return there == digest
        self._ways.add("reading back")
        found = hashlib.sha256()
        self._programmer.read(area, found.update)
        return found.digest() == digest


def _blank_digests(size: int) -> tuple[bytes, bytes]:
    digests = []
    for value in (b"\0", b"\xff"):
        blank = hashlib.sha256()
        for chunk in FillContent(size, value).chunks(0, size):
            blank.update(chunk)
        digests.append(blank.digest())
    return digests[0], digests[1]


def _worn(bad: list[Piece]) -> str:
    first = bad[0].area
    labels = ", ".join(dict.fromkeys(piece.label for piece in bad))
    return (
        f"{labels}: the phone took the data twice and does not hold it (first at LUN {first.lun},"
        f" sectors {first.start_sector} to {first.start_sector + first.sectors - 1})."
    )
