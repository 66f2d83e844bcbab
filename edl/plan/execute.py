# SPDX-License-Identifier: BSD-3-Clause
"""A plan, carried out: write, verify, make bootable, reset.

Writes go out in pieces. A piece is the unit of everything: one <program>, one line in the journal,
one digest for verification, and the most that is lost when somebody pulls the cable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from edl.chunks import STILL_CHANGING, Content, FillContent, ReadAhead
from edl.device.programmer import Programmer
from edl.errors import (
    CancelledError,
    DeviceRefusedError,
    EdlError,
    ImageError,
    StoppedMidwayError,
    VerifyError,
    WriteFailedError,
)
from edl.events import BytesMoved, Emit, Notice, Stage, StepStarted, ignore
from edl.files import File
from edl.firehose.commands import Area
from edl.plan import onnand, pace
from edl.plan.compare import BY_DIGEST, Checker, Verify, is_blank
from edl.plan.journal import NOTE_BYTES
from edl.plan.model import Erase, Plan, ReadOut, Step, Write, plural
from edl.plan.order import Stage as Stages
from edl.plan.order import is_critical, ordered
from edl.plan.readout import parts, read_to_file
from edl.plan.recheck import Sources, require_same
from edl.plan.report import Ledger, NoLedger, Part, Piece, Report
from edl.plan.sending import Guarded, Held, Reader, Source
from edl.plan.together import Readings
from edl.plan.unchanged import (
    WINDOW_BYTES,
    WINDOW_OF_MANY_BYTES,
    Finder,
    Unchanged,
    windows,
)
from edl.units import format_size

_MOST_FAILURES = 3  # more of them are no matter of single parts


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
        unchanged: Unchanged = Unchanged.WRITE,
        sources: Iterable[File] = (),
        readings: Readings | None = None,
    ) -> None:
        """Make it ready. sources: the files that the plan's contents are made of.

        readings: of all phones that write these contents at the same time.
        """
        self._readings = readings
        self._window_bytes = WINDOW_BYTES if readings is None else WINDOW_OF_MANY_BYTES
        self._programmer = programmer = onnand.for_plan(programmer, plan)
        self._sources = Sources(sources)
        self._plan = plan
        self._emit = emit
        self._ledger = ledger or NoLedger()
        self._cancel = cancel or threading.Event()
        self._verify = verify
        digests = verify in {Verify.AUTO, Verify.DIGEST}  # else nobody wants them
        if plan.geometry.pages_per_block is not None:  # NAND is written whole or not at all
            unchanged = Unchanged.WRITE
        self._finder = (
            Finder(programmer, thorough=unchanged == Unchanged.SKIP)
            if unchanged == Unchanged.SKIP or (unchanged == Unchanged.AUTO and digests)
            else None
        )
        self._done_before = dict(self._ledger.done)
        self._pieces: list[Piece] = []
        self._writing_s = 0.0  # how long writes took
        self._compared = 0  # how many parts of the report have been compared
        self._begun_before = self._started = self._ledger.changed  # the first byte has gone out
        self._doing = ""
        self._finished = 0
        self._checker = Checker(programmer, verify)
        self._failures: list[EdlError] = []
        self.report = Report()

    def run(self) -> Report:
        """Carry the plan out up to and without the reset.

        Raises:
            CancelledError: stopped before anything was written.
            StoppedMidwayError: stopped later.
            EdlError: as the steps do; `state` then says what is on the phone.
        """
        begin = time.monotonic()
        if slow := pace.slow_link(self._programmer.link_speed):
            self._emit(Notice(slow))
        steps = ordered(self._plan.steps, self._plan.geometry)
        try:
            writes = (step for _, step in steps)
            require_same(writes, self._done_before, self._emit, self._check_cancel)
            twins = False  # the second of two has been written, and not been compared
            for index, (stage, step) in enumerate(steps, 1):
                if stage >= Stages.CHAIN and twins:
                    self._verify_all()
                twins = stage in {Stages.SECOND_CHAIN, Stages.SECOND_FIRST_STAGE}
                self._step_or_fail(index, stage, step)
                self._doing = ""
            self._verify_all()
            if self._failures:
                raise self._failures[0]
            self._make_bootable()
        except EdlError as error:
            self._own_up()
            self._tell_state(error)
            done = len(self.report.parts)
            rest = [
                Part(_title(step), "not done", step.area.size_bytes) for _, step in steps[done:]
            ]
            error.parts = tuple(part.as_data() for part in [*self.report.parts, *rest])
            raise
        except KeyboardInterrupt as stop:
            raise self._stopped_at_once() from stop
        self._own_up()
        self.report.seconds = time.monotonic() - begin
        self.report.pace = pace.told(
            self.report.written_bytes,
            self._writing_s,
            self._programmer.link_speed,
            self._programmer.payload_bytes,
        )
        return self.report

    @property
    def changed(self) -> bool:
        """Whether the phone has perhaps been changed, in this run or in the one it goes on with."""
        return self._started

    def _own_up(self) -> None:
        """Call nothing written that has not been compared."""
        behind = self.report.parts[self._compared :]
        self.report.parts[self._compared :] = [
            replace(part, state="sent") if part.state == "written" else part for part in behind
        ]

    def _tell_state(self, error: EdlError) -> None:
        """Say with error what is on the phone, and how to go on."""
        error.state = self.state()
        if error.state and not any("same command" in remedy for remedy in error.remedies[-1:]):
            error.remedies = (*error.remedies[:2], f"Then {self._again}")

    @property
    def _again(self) -> str:
        """How to go on, in the words of the command line: only these take --resume."""
        if self._plan.job in {"rawprogram", "restore"}:
            return "finish the job: edl resume, or the same command with --resume."
        return "run the same command again."

    def _stopped_at_once(self) -> EdlError:
        if not self._started:
            return CancelledError("Stopped at once; nothing was written.")
        error = StoppedMidwayError(
            "Stopped at once, as you asked.",
            remedies=(
                "The programmer may still wait for data: hold the power button for 15 seconds and"
                " enter EDL mode again.",
                f"Then {self._again}",
            ),
        )
        error.state = self.state()
        return error

    def state(self) -> str:
        """Return what is on the phone now, in a sentence; empty if nothing was changed."""
        if not self._started:
            return ""
        total = len(self._plan.steps)
        if self._begun_before and not (self._finished or self._doing):
            return (
                "an interrupted run of this job has left it incomplete: it may not start as it is."
            )
        text = f"{self._finished} of {plural(total, 'step')} are done"
        failed = [part.label for part in self.report.parts if part.state == "failed"]
        others = [name for name in failed if name != self._doing]
        behind = f" {plural(len(others), 'step')} failed: {', '.join(others)}." if others else ""
        if self._doing:
            text += f"; '{self._doing}' is incomplete: the phone may not start as it is."
        elif self.report.verified_bytes and not self._pieces:
            text += " and verified."
        else:
            text += ", but not all is verified."
        return text + behind

    # -- steps ----------------------------------------------------------------------------------

    def _step_or_fail(self, index: int, stage: Stages, step: Step) -> None:
        """Carry a step out; what the phone does not boot from may fail, and the others go on.

        Only a clean no of the phone is such a failure, and not many of them: flash that takes
        nothing any more takes no time either.
        """
        before = self.report.written_bytes, self.report.resumed_bytes
        state = "not done"
        try:
            self._step(index, step)
            self._finished += 1
            written = self.report.written_bytes > before[0]
            resumed = self.report.resumed_bytes > before[1]
            state = "written" if written else "resumed" if resumed else "unchanged"
            state = {Erase: "erased", ReadOut: "read"}.get(type(step), state)
        except DeviceRefusedError as error:
            state = "failed"
            self._failures.append(error)
            clean = type(error) in {DeviceRefusedError, WriteFailedError}
            if is_critical(stage, step) or not clean or len(self._failures) > _MOST_FAILURES:
                raise
            self._emit(Notice(f"'{_title(step)}' failed, the others go on: {error}"))
        except BaseException:
            state = "incomplete" if self._doing else state
            raise
        finally:
            self.report.parts.append(Part(_title(step), state, step.area.size_bytes))

    def _step(self, index: int, step: Step) -> None:
        title = _title(step)
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
            case _:
                self._read_out(step)

    def _check_cancel(self) -> None:
        if not self._cancel.is_set():
            return
        if self._started:
            raise StoppedMidwayError(
                "Stopped as you asked.",
                remedies=(self._again.capitalize(),),
            )
        raise CancelledError("Stopped as you asked; nothing was written.")

    def _write(self, step: Write) -> None:
        lengths = {
            offset: area.size_bytes for area, offset in parts(step) if area not in self._done_before
        }
        with Reader(step.content, lengths, self._readings) as reader:
            self._write_pieces(step, reader)

    def _write_pieces(self, step: Write, reader: Reader) -> None:
        for area, offset in parts(step):
            self._check_cancel()
            known = self._done_before.get(area)
            if known is not None and self._is_still_there(area, known):
                self._pieces.append(Piece(area, step.content, offset, step.label, known))
                self.report.resumed_bytes += area.size_bytes
                self._emit(BytesMoved(area.size_bytes))
                continue
            if self._finder is not None and self._finder.pays:
                self._update(self._finder, area, step, offset, reader)
                continue
            with reader.piece(offset, area.size_bytes) as ahead:
                digest = self._send(area, ahead, step.label)
            self._sources.require_unchanged(step.file)
            self._done(Piece(area, step.content, offset, step.label, digest))

    def _is_still_there(self, area: Area, digest: bytes) -> bool:
        """Tell whether to count on what the interrupted run has written: it is verified at the end.

        Where nothing is to be verified, it is compared at once.
        """
        if self._verify != Verify.NONE:
            return True
        return Checker(self._programmer).holds(area, digest)

    def _done(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._note(lambda ledger: ledger.piece(piece.area, piece.digest))

    def _note(self, note: Callable[[Ledger], None]) -> None:
        """Note something in the journal. A full disk does not stop a rescue."""
        try:
            note(self._ledger)
        except OSError as error:
            self._ledger = NoLedger()
            reason = f"The journal cannot be written ({error.strerror})"
            self._emit(Notice(f"{reason}: if the job is interrupted now, it starts over."))

    def _update(self, finder: Finder, area: Area, step: Write, offset: int, reader: Reader) -> None:
        """Write what of a piece the phone does not hold yet."""
        with reader.piece(offset, area.size_bytes) as ahead:
            at = 0
            for data in windows(ahead.chunks(), area.size_bytes, self._window_bytes):
                self._check_cancel()
                for run in finder.runs(area.part(at, len(data)), data):
                    part = area.part(at + run.offset, run.size_bytes)
                    if run.same:
                        self._is_there(run.size_bytes)
                    else:
                        held = data[run.offset : run.offset + run.size_bytes]
                        source = Held(held, finder.hashing(held))
                        digest = self._send(part, source, step.label)
                        self._sources.require_unchanged(step.file)
                        start = offset + at + run.offset
                        self._done(Piece(part, step.content, start, step.label, digest))
                at += len(data)
            self._note(lambda ledger: ledger.piece(area, ahead.digest()))

    def _is_there(self, size: int) -> None:
        """Count size bytes that the phone has told to be what they should be."""
        self.report.unchanged_bytes += size
        if self._verify != Verify.NONE:
            self.report.verified_bytes += size
            self._checker.ways.add(BY_DIGEST)
            self.report.how = self._checker.how
        self._emit(BytesMoved(size))

    def _program(self, area: Area, content: Content, offset: int, label: str) -> bytes:
        with ReadAhead(content, offset, area.size_bytes) as ahead:
            return self._send(area, ahead, label)

    def _send(self, area: Area, source: Source, label: str) -> bytes:
        """Write what source has to area; return its SHA-256."""
        gone = noted = 0

        def moved(count: int) -> None:
            nonlocal gone, noted
            self._started = True
            gone += count
            if gone - noted >= NOTE_BYTES:
                noted = gone
                self._note(lambda ledger: ledger.sent(noted))
            self._emit(BytesMoved(count))

        sent = Guarded(source, area.size_bytes)
        payload_bytes = self._programmer.payload_bytes
        self._note(lambda ledger: ledger.begin(area, label, payload_bytes))
        begin = time.monotonic()
        self._programmer.program(area, sent, label=label, moved=moved)
        seconds = time.monotonic() - begin
        self._writing_s += seconds
        if self._finder is not None:
            self._finder.moved(area.size_bytes, seconds)
        if sent.error is not None:
            raise sent.error
        self.report.written_bytes += area.size_bytes
        return source.digest()

    def _erase(self, step: Erase) -> None:
        """Erase, and make sure; zeros are the way that always means what it says.

        No later step touches step.area (edl.plan.model.changed_once), so a job that goes on may
        erase it again.
        """
        if self._plan.geometry.pages_per_block is not None:
            self._started = True
            self._note(lambda ledger: ledger.erasing(step.area, step.label))
            self._programmer.erase(step.area)
            self._emit(BytesMoved(step.area.size_bytes))
        elif not self._erase_by_command(step.area, step.label):
            content = FillContent(step.area.size_bytes)
            self._write(Write(step.area, content, step.label, "", step.where))
        self.report.erased_bytes += step.area.size_bytes

    def _erase_by_command(self, area: Area, label: str) -> bool:
        """Tell whether <erase> has made area blank; it is used only where that can be seen."""
        programmer = self._programmer
        if programmer.generation != 3 or not programmer.supports("erase"):
            return False
        if programmer.digest_works is False:
            return False
        self._started = True
        self._note(lambda ledger: ledger.erasing(area, label))
        try:
            programmer.erase(area)
            blank = is_blank(programmer, area)
        except DeviceRefusedError as error:
            self._emit(Notice(f"<erase> does not work ({error}): writing zeros."))
            return False
        if blank:
            self._emit(BytesMoved(area.size_bytes))
        else:
            self._emit(Notice(f"'{label}' is not blank after <erase>: writing zeros."))
        return blank

    def _read_out(self, step: ReadOut) -> None:
        try:
            read_to_file(
                self._programmer, step.area, step.path, emit=self._emit, cancel=self._cancel
            )
        except CancelledError:
            self._check_cancel()  # tells whether something had been written
            raise
        self.report.files.append(str(step.path))

    # -- verification ---------------------------------------------------------------------------

    def _verify_all(self) -> None:
        self._sources.require_unchanged()
        if self._verify == Verify.NONE or not self._pieces:
            return
        pieces = self._pieces
        total = sum(piece.area.size_bytes for piece in pieces)
        text = f"comparing {format_size(total)} with what was sent"
        self._emit(Stage("verify", text, total))
        checker = self._checker
        bad = [piece for piece in pieces if not self._holds(checker, piece)]
        for piece in bad:
            self._rewrite(piece)
        worn = [piece for piece in bad if not self._holds(checker, piece)]
        if worn:
            raise VerifyError(_worn(worn))
        self._pieces = []
        self._compared = len(self.report.parts)
        self.report.verified_bytes += total
        self.report.how = checker.how

    def _rewrite(self, piece: Piece) -> None:
        self._emit(Notice(f"'{piece.label}' differs from what was sent: writing it again."))
        digest = self._program(piece.area, piece.content, piece.offset, piece.label)
        if digest != piece.digest:
            raise ImageError(
                f"The image for '{piece.label}' has changed while it was being used.",
                remedies=(STILL_CHANGING,),
            )
        self.report.rewritten.append(piece.label)

    def _holds(self, checker: Checker, piece: Piece) -> bool:
        self._check_cancel()
        return checker.holds(piece.area, piece.digest, lambda count: self._emit(BytesMoved(count)))

    def _make_bootable(self) -> None:
        if self._plan.bootable is None:
            return
        ufs = self._plan.geometry.memory == "ufs"  # which without it boots from elsewhere
        if self._programmer.supports("setbootablestoragedrive") is False:
            if ufs:
                self._emit(
                    Notice("The programmer cannot choose the LUN that the phone boots from.")
                )
            return
        try:
            self._programmer.set_bootable(self._plan.bootable)
        except DeviceRefusedError:
            if ufs:
                raise
            self._emit(Notice("The programmer does not set the boot drive; eMMC does not need it."))


def _title(step: Step) -> str:
    file = step.file if isinstance(step, Write) and step.room is not None else ""
    return step.label or file or f"LUN {step.area.lun} sector {step.area.start_sector}"


def _worn(bad: list[Piece]) -> str:
    first = bad[0].area
    labels = ", ".join(dict.fromkeys(piece.label for piece in bad))
    return (
        f"{labels}: the phone took the data twice and does not hold it (first at LUN {first.lun},"
        f" sectors {first.start_sector} to {first.start_sector + first.sectors - 1})."
    )
