# SPDX-License-Identifier: BSD-3-Clause
"""What every command needs: a phone, a display, results, questions, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edl.cli import asking, logs, stops, terminal
from edl.cli.dialog import Dialog, Stop
from edl.cli.options import Settings
from edl.cli.progress import Display, Quiet, display
from edl.errors import EdlError, UsageError
from edl.events import Notice, StepStarted
from edl.identity import PhoneIdentity
from edl.transport import discovery
from edl.transport.discovery import Found
from edl.units import parse_size

# What works on phones and packages is imported where that begins: `edl list` shall not wait for it.
if TYPE_CHECKING:
    from edl.cli import loading, reaching
    from edl.device.phone import Phone, Wishes
    from edl.formats.manifest import Manifest
    from edl.package import Package
    from edl.plan.model import Finding, Plan
    from edl.transport.serial import FoundPort
    from edl.virtual.phone import Phone as VirtualPhone

_log = logging.getLogger(__name__)

_SMALLEST_PAYLOAD_BYTES = 512
_LARGEST_PAYLOAD_BYTES = 64 * 1024 * 1024


class App:
    """One run of one command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cancel = threading.Event()
        self.virtual: VirtualPhone | None = None
        self._display: Display = display(settings)
        self.recorder = settings.recorder  # if a report was asked for
        self._lost: Exception | None = None  # why stdout takes no more
        self.seen = False  # a phone is there, whatever it is good for
        self._gently = False
        self._changes = False  # what is carried out changes the phone
        self.untouched = False  # a UFS device is asked for none of its LUNs when it is reached
        self._reach: reaching.Reach | None = None
        if settings.dialog and settings.talk is None:
            settings.talk = Dialog().start()
        self.dialog = settings.talk if settings.dialog else None

    # -- output ---------------------------------------------------------------------------------

    def emit(self, event: Any) -> None:  # noqa: ANN401
        """Show an event of a running job. That nobody reads any more does not stop a job."""
        if self._changes and isinstance(event, StepStarted):
            self.settings.changing = True
        if self.recorder is not None:
            self.recorder.event(event)
        try:
            if self.dialog is not None and self._lost is None:
                self.dialog.flush()
            self._display(event)
        except (BrokenPipeError, EdlError) as error:
            if not self.settings.changing:
                raise
            self._lost = error
            self._display = Quiet()

    def result(self, data: dict[str, Any], lines: Iterable[str]) -> None:
        """Give the result: data as a JSON line, or lines for people, on stdout."""
        if self.recorder is not None:
            self.recorder.line("result", data)
        if self._lost is not None:
            raise self._lost
        self._display.pause()
        if self.dialog is not None:
            self.dialog.flush()
        if self.settings.json:
            self._print("result", data)
        else:
            terminal.out(lines)

    def show(self, lines: Iterable[str]) -> None:
        """Give a part of the result for people; the JSON lines have their own parts."""
        self._display.pause()
        if self.dialog is not None:
            for line in lines:
                self.dialog.tell(line)
        elif not self.settings.json:
            terminal.out(lines)

    def json_line(self, kind: str, data: Mapping[str, Any]) -> None:
        """Give a JSON line of a plan or a finding, if JSON was asked for."""
        if self.recorder is not None:
            self.recorder.line(kind, data)
        if self.settings.json:
            self._print(kind, data)

    def _print(self, kind: str, data: Mapping[str, Any]) -> None:
        terminal.out([json.dumps({"v": 1, "type": kind, **data})])

    def saving(self, manifest: Manifest) -> None:
        """Keep for a report what of a phone is saved."""
        if self.recorder is not None:
            self.recorder.manifest(manifest)

    def say(self, text: str) -> None:
        """Tell people something that is no result, on stderr."""
        if self.dialog is not None:
            self.dialog.tell(text)
        elif not self.settings.json and not self.settings.quiet:
            self._display.pause()
            terminal.err(text)

    def findings(self, plan: Plan) -> None:
        """Show what the checks found.

        Raises:
            SafetyError, EdlError: a finding stops the job; all of them have been shown.
        """
        from edl.plan.model import findings_data  # noqa: PLC0415

        if self.recorder is not None:
            self.recorder.plan(plan)
        self._display.pause()
        for row in findings_data(plan.findings):
            self.json_line("finding", row)
        errors = plan.errors
        shown = [each for each in plan.findings if errors != (each,)]  # that one is told at the end
        for index, finding in enumerate(shown):
            same = any(each.remedy == finding.remedy for each in shown[index + 1 : index + 2])
            if not self.settings.json:
                self.show_finding(replace(finding, remedy="") if same else finding)
        if errors:
            from edl.cli import failures  # noqa: PLC0415  # only when something failed

            raise failures.of_findings(errors)

    def show_finding(self, finding: Finding) -> None:
        """Show what a check found to people."""
        where = f"{finding.where}: " if finding.where else ""
        lines = [f"  {finding.severity}: {where}{finding.message}"]
        if finding.remedy:
            lines.append(f"    try: {finding.remedy}")
        if self.dialog is not None:
            self.show(lines)
        elif not self.settings.json:
            if self.settings.quiet and str(finding.severity) != "error":
                return
            for line in lines:
                terminal.err(line)

    @property
    def at_terminal(self) -> bool:
        """Whether there is somebody who can be asked, and who waits for what comes."""
        if self.dialog is not None:
            return True
        return terminal.is_terminal(sys.stdin) and not self.settings.json

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone.

        Raises:
            UsageError: there is nobody to ask.
            click.Abort: the answer was no.
        """
        if yes:
            return
        if not self.at_terminal:
            raise UsageError(
                f"{question} There is no terminal to ask on.", remedies=("Add --yes to go on.",)
            )
        if not self.asks(f"{question} Continue?"):
            raise click.Abort

    def asks(self, question: str) -> bool:
        """Return whether somebody says yes to question. Raises click.Abort for Ctrl-C."""
        self._display.pause()
        if self.dialog is not None:
            return self.dialog.confirmed(question)
        return asking.confirmed(question)

    def types(self, question: str, word: str) -> bool:
        """Return whether somebody gives word, letter by letter. Raises click.Abort for Ctrl-C."""
        self._display.pause()
        if self.dialog is not None:
            return self.dialog.typed(question, word)
        return asking.typed(question, word)

    # -- running --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Set up logs and the display, and take Ctrl-C gently: the first stops between pieces."""
        with logs.kept(self.settings), stops.heeded(self._stop, self.dialog), self._display:
            yield

    def _stop(self, order: Stop | None) -> None:
        """Stop as ordered; Ctrl-C, without an order, is gentle the first time."""
        again = self.cancel.is_set()
        if not self._gently or order is Stop.AT_ONCE or (again and order is None):
            raise KeyboardInterrupt
        self.cancel.set()
        if self.dialog is not None and not again:
            self.dialog.note("stopping when this piece is done")
        elif not self.settings.json:
            with contextlib.suppress(RuntimeError, OSError):  # in the middle of another line
                self._display(Notice("stopping when this piece is done; Ctrl-C again: at once"))

    @contextlib.contextmanager
    def gentle(self, plan: Plan | None = None) -> Iterator[threading.Event]:
        """In here the first Ctrl-C only sets the event; outside it interrupts.

        plan: what is carried out in here; without one only reading goes on.
        """
        if plan is not None:
            self._changes = plan.changes_phone
            self.total(sum(step.area.size_bytes for step in plan.steps))
        self._gently = True
        try:
            yield self.cancel
            self.settings.changing = False
        finally:
            self._gently = self._changes = False

    def total(self, total_bytes: int) -> None:
        """Tell the display how much the steps to come move together."""
        self._display.begin(total_bytes)

    # -- the phone ------------------------------------------------------------------------------

    @property
    def ids(self) -> tuple[int | None, int | None]:
        """The USB ids that were asked for, of vendor and product; None for any that is known.

        Raises:
            UsageError: they are no ids.
        """
        return _id(self.settings.vid, "--vid"), _id(self.settings.pid, "--pid")

    def find(self) -> list[Found]:
        """Return the phones on the bus; the virtual one if one was asked for."""
        backend = self.virtual.backend if self.virtual is not None else None
        vendor_id, product_id = self.ids
        found = discovery.find(backend, vendor_id=vendor_id, product_id=product_id)
        return [each for each in found if self.means(each.location)]

    def ports(self) -> list[FoundPort]:
        """Return the serial ports with phones; there are none beside a virtual one."""
        from edl.transport import serial  # noqa: PLC0415  # takes 20 ms, as pyserial does

        found = serial.find_ports() if self.virtual is None else []
        return [each for each in found if self.means(each.location)]

    def means(self, place: str) -> bool:
        """Tell whether what is plugged in there may be meant."""
        return self.settings.usb_path in {None, place}

    @contextlib.contextmanager
    def plugged(self) -> Iterator[None]:
        """Plug in the virtual phone, if one was asked for, for as long as this lasts."""
        faults = self.settings.faults
        if self.settings.virtual is None:
            if faults:
                raise UsageError(
                    "--fault is for virtual phones.", remedies=("Add --virtual PROFILE|DIR.",)
                )
            yield
            return
        from edl.virtual.faults import parse_fault  # noqa: PLC0415  # only when asked for
        from edl.virtual.phone import Phone as Virtual  # noqa: PLC0415

        suffered = [*map(parse_fault, faults)]
        with Virtual.named(self.settings.virtual) as phone, phone.suffering(suffered):
            self.virtual = phone
            try:
                yield
            finally:
                self.virtual = None

    @contextlib.contextmanager
    def phone(
        self, package: Package | None = None, *, resume: bool = False, crashed: bool = False
    ) -> Iterator[Phone]:
        """Find the phone, bring it to a configured programmer, and leave that running afterwards.

        A phone that must enter EDL mode again is waited for, where somebody can hold its keys.
        package: its loader and sector size are hints. resume: an interrupted job goes on. crashed:
        the caller can do with a phone that has crashed, and gets its error at once.
        """
        from edl.cli import reaching  # noqa: PLC0415

        with self.running(), self.plugged(), contextlib.ExitStack() as opened:
            resume = resume or self.settings.resuming is not None
            self._reach = reaching.Reach(self, package, opened, resume=resume, crashed=crashed)
            phone = self._reach.phone()
            if self.recorder is not None:
                self.recorder.phone(phone)
            opened.enter_context(logs.about(" ".join(phone.place.split()[1:2]), phone.serial))
            yield phone

    def restarted(self) -> Phone:
        """Return the phone of `phone`, which has been told to come back in EDL mode.

        Raises:
            NoDeviceError: it is not back in time.
            EdlError: see `Reach.phone`.
        """
        if self._reach is None:
            raise RuntimeError("no phone was reached before")
        return self._reach.restarted()

    def identity(self) -> PhoneIdentity:
        """Return who the connected phone says it is, without giving it a loader.

        A phone whose boot ROM cannot be asked any more told it to an earlier run, or nobody.
        """
        from edl.cli import reaching  # noqa: PLC0415

        with self.running(), self.plugged(), contextlib.ExitStack() as opened:
            return reaching.Reach(self, None, opened).identity()

    def agrees(self, question: str) -> bool:
        """Ask before something that costs nothing; --yes agrees, and scripts without it do not."""
        if self.given.get("yes"):
            return True
        if not self.at_terminal:
            return False
        return self.asks(question)

    def doubted(self, doubt: str) -> None:
        """Tell what speaks against the package; ask about it before a command that changes phones.

        Raises:
            UsageError: there is nobody to ask.
            click.Abort: the answer was no.
        """
        params = self.given
        if params.get("yes", True) or params.get("dry_run"):
            self.emit(Notice(doubt))
        else:
            self.confirm(doubt, yes=False)

    @property
    def given(self) -> Mapping[str, Any]:
        """The parameters of the command that runs; none where no command line began it."""
        context = click.get_current_context(silent=True)
        return context.params if context is not None else {}

    def wishes(self, package: Package | None, loader: loading.Loader) -> Wishes:
        """Return what the user, the package and the loader say about the phone."""
        from edl.device.phone import Wishes  # noqa: PLC0415

        settings = self.settings
        hints = list(loader.storage_hints())
        if package is not None and package.memory:
            hints.insert(0, package.memory)
        elif package is not None and package.sector_bytes:
            hints.insert(0, "emmc" if package.sector_bytes == 512 else "ufs")
        return Wishes(
            memory="" if settings.memory == "auto" else settings.memory,
            untouched=self.untouched,
            hints=tuple(hints),
            identify=not settings.no_identify,
            payload_bytes=payload_bytes(settings.max_payload),
        )


def _id(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        number = int(text, 16)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFF:
        raise UsageError(f"{option} takes a hexadecimal number up to ffff, not '{text}'.")
    return number


def payload_bytes(text: str | None) -> int | None:
    """Return the size of transfers that --max-payload asks for.

    Raises:
        UsageError: no programmer could have that size.
    """
    if text is None:
        return None
    try:
        size = parse_size(text)
    except ValueError as error:
        raise UsageError(f"--max-payload: {error}.") from error
    if not _SMALLEST_PAYLOAD_BYTES <= size <= _LARGEST_PAYLOAD_BYTES:
        raise UsageError("--max-payload is from 512 bytes to 64MiB.")
    return size // _SMALLEST_PAYLOAD_BYTES * _SMALLEST_PAYLOAD_BYTES
