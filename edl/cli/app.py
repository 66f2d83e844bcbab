# SPDX-License-Identifier: BSD-3-Clause
"""What every command needs: a phone, a display, results, questions, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

import edl
from edl.cli import loading
from edl.cli.options import Settings
from edl.cli.progress import Display, display
from edl.device import connect
from edl.device.connect import Phone, Wishes
from edl.errors import EdlError, NoDeviceError, SafetyError, UsageError
from edl.events import Stage
from edl.plan import home
from edl.plan.model import Finding, Plan, Severity, findings_data
from edl.transport import discovery
from edl.transport.discovery import Found
from edl.transport.usb import UsbTransport
from edl.units import parse_size

if TYPE_CHECKING:
    from edl.package import Package
    from edl.virtual.phone import Phone as VirtualPhone

_log = logging.getLogger(__name__)

_TERMINAL_WAIT_S = 60.0
_POLL_S = 0.3
_COME_BACK_S = 10.0
_LOG_BYTES = 4 * 1024 * 1024


class App:
    """One run of one command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cancel = threading.Event()
        self.virtual: VirtualPhone | None = None
        self._display: Display = display(settings)

    # -- output ---------------------------------------------------------------------------------

    def emit(self, event: Any) -> None:  # noqa: ANN401
        """Show an event of a running job."""
        self._display(event)

    def result(self, data: dict[str, Any], text: str) -> None:
        """Give the result: data as a JSON line, or text for people, on stdout."""
        if self.settings.json:
            click.echo(json.dumps({"v": 1, "type": "result", **data}))
        elif text:
            click.echo(text)

    def json_line(self, kind: str, data: dict[str, Any]) -> None:
        """Give a JSON line of another type, if JSON was asked for."""
        if self.settings.json:
            click.echo(json.dumps({"v": 1, "type": kind, **data}))

    def say(self, text: str) -> None:
        """Tell people something that is no result, on stderr."""
        if not self.settings.json and not self.settings.quiet:
            click.echo(text, err=True)

    def findings(self, plan: Plan) -> None:
        """Show what the checks found.

        Raises:
            SafetyError, EdlError: a finding stops the job; all of them have been shown.
        """
        if self.settings.json:
            for row in findings_data(plan.findings):
                self.json_line("finding", dict(row))
        for finding in plan.findings:
            self._show_finding(finding)
        errors = plan.errors
        if errors:
            raise _stop(errors)

    def _show_finding(self, finding: Finding) -> None:
        if self.settings.json or (self.settings.quiet and finding.severity is not Severity.ERROR):
            return
        where = f"{finding.where}: " if finding.where else ""
        click.echo(f"  {finding.severity}: {where}{finding.message}", err=True)
        if finding.remedy:
            click.echo(f"    try: {finding.remedy}", err=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone.

        Raises:
            UsageError: there is nobody to ask.
            CancelledError: the answer was no (as click.Abort).
        """
        if yes:
            return
        if not sys.stdin.isatty() or self.settings.json:
            raise UsageError(
                f"{question} There is no terminal to ask on.", remedies=("Add --yes to go on.",)
            )
        click.confirm(f"{question} Continue?", abort=True, err=True)

    # -- running --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Set up logs and the display, and take Ctrl-C gently: the first stops between pieces."""
        self._set_up_logs()
        before = signal.getsignal(signal.SIGINT)
        with contextlib.suppress(ValueError):  # not in the main thread: somebody else's signals
            signal.signal(signal.SIGINT, self._interrupted)
        try:
            with self._display:
                yield
        finally:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGINT, before)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self.cancel.is_set() or not self._gently:
            raise KeyboardInterrupt
        self.cancel.set()
        self.say("^C stopping when this piece is done; press again to stop at once")

    _gently = False

    @contextlib.contextmanager
    def gentle(self) -> Iterator[threading.Event]:
        """In here the first Ctrl-C only sets the event; outside it interrupts."""
        self._gently = True
        try:
            yield self.cancel
        finally:
            self._gently = False

    def _set_up_logs(self) -> None:
        root = logging.getLogger("edl")
        root.setLevel(logging.DEBUG)
        root.propagate = False
        root.handlers.clear()
        form = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        if self.settings.verbose:
            stream = logging.StreamHandler(sys.stderr)
            stream.setLevel(logging.DEBUG if self.settings.verbose > 1 else logging.INFO)
            root.addHandler(stream)
        if self.settings.log_file:
            try:
                root.addHandler(logging.FileHandler(self.settings.log_file, encoding="utf-8"))
            except OSError as error:
                raise UsageError(
                    f"The log file {self.settings.log_file} cannot be written: {error.strerror}."
                ) from error
        with contextlib.suppress(OSError, EdlError):  # a full disk must not stop a rescue
            folder = home.make_folder(home.home() / "log")
            root.addHandler(
                logging.handlers.RotatingFileHandler(
                    folder / "edl.log", maxBytes=_LOG_BYTES, backupCount=3, encoding="utf-8"
                )
            )
        for handler in root.handlers:
            handler.setFormatter(form)
        _log.info("edl %s: %s", edl.__version__, " ".join(sys.argv[1:]))

    # -- the phone ------------------------------------------------------------------------------

    def find(self) -> list[Found]:
        """Return the phones on the bus; the virtual one if one was asked for."""
        settings = self.settings
        backend = self.virtual.backend if self.virtual is not None else None
        return discovery.find(
            backend, vendor_id=_hex(settings.vid, "--vid"), product_id=_hex(settings.pid, "--pid")
        )

    @contextlib.contextmanager
    def plugged(self) -> Iterator[None]:
        """Plug in the virtual phone, if one was asked for, for as long as this lasts."""
        if self.settings.virtual is None:
            yield
            return
        from edl.virtual.phone import Phone as Virtual  # noqa: PLC0415  # only when asked for

        with Virtual.named(self.settings.virtual) as phone:
            self.virtual = phone
            try:
                yield
            finally:
                self.virtual = None

    @contextlib.contextmanager
    def phone(self, package: Package | None = None) -> Iterator[Phone]:
        """Find the phone, bring it to a configured programmer, and leave that running afterwards.

        package: its loader and sector size are hints.
        """
        with self.running(), self.plugged():
            found = self._wait()
            if found.mode == "crash dump":
                raise NoDeviceError(
                    f"The phone at USB {found.location} is in crash-dump mode (900E), not in EDL.",
                    remedies=("Hold the power button for 15 seconds, then enter EDL mode (9008).",),
                )
            self.emit(Stage("found", _describe(found)))
            with contextlib.ExitStack() as opened:

                def open_it(phone: Found) -> UsbTransport:
                    transport = phone.open()
                    opened.callback(transport.close)
                    return transport

                yield self._connect(found, open_it, package)

    def _connect(
        self, found: Found, open_it: Callable[[Found], UsbTransport], package: Package | None
    ) -> Phone:
        loader = loading.Loader(self.settings, package, self.emit)
        known = home.recall(found.serial) if found.serial else None
        phone = connect.connect(
            open_it(found),
            loader.images,
            self._wishes(package, loader),
            self.emit,
            known,
            reopen=lambda: open_it(self._wait(_COME_BACK_S)),
        )
        if phone.identity.serial is not None:
            home.remember(phone.serial, phone.identity)
        return phone

    def _wishes(self, package: Package | None, loader: loading.Loader) -> Wishes:
        settings = self.settings
        hints = list(loader.storage_hints())
        if package is not None and package.sector_bytes:
            hints.insert(0, "emmc" if package.sector_bytes == 512 else "ufs")
        size = None
        if settings.max_payload is not None:
            try:
                size = parse_size(settings.max_payload) // 512 * 512
            except ValueError as error:
                raise UsageError(f"--max-payload: {error}.") from error
        return Wishes(
            memory="" if settings.memory == "auto" else settings.memory,
            hints=tuple(hints),
            identify=not settings.no_identify,
            payload_bytes=size or None,
        )

    def _wait(self, wait_s: float | None = None) -> Found:
        """Return the phone that is meant, waiting for it to be plugged in."""
        if wait_s is None:
            wait_s = self.settings.wait
        if wait_s is None:
            wait_s = _TERMINAL_WAIT_S if sys.stderr.isatty() and self.virtual is None else 0.0
        deadline = time.monotonic() + wait_s
        told = False
        while True:
            try:
                found = discovery.choose(self.find(), self.settings.serial)
            except NoDeviceError:
                if time.monotonic() >= deadline:
                    raise
                if not told:
                    self.emit(Stage("wait", f"for a phone in EDL mode ({wait_s:.0f} s)"))
                    told = True
                time.sleep(_POLL_S)
                continue
            return found


def _stop(errors: tuple[Finding, ...]) -> EdlError:
    """Return the error that ends a job because of errors among the findings."""
    from edl.errors import PackageError, WrongSectorSizeError, WrongStorageError  # noqa: PLC0415

    first = errors[0]
    more = "" if len(errors) == 1 else f" (and {len(errors) - 1} more, see above)"
    kinds: dict[str, type[EdlError]] = {
        "unique-covered": SafetyError,
        "whole-lun-erase": SafetyError,
        "wrong-sector-size": WrongSectorSizeError,
        "no-such-lun": WrongStorageError,
    }
    kind = kinds.get(first.code, PackageError)
    where = f"{first.where}: " if first.where else ""
    return kind(
        f"{where}{first.message}{more} Nothing was written.",
        remedies=(first.remedy,) if first.remedy else (),
    )


def _describe(found: Found) -> str:
    name = found.product or f"{found.vendor_id:04x}:{found.product_id:04x}"
    return f"{name} at USB {found.location}"


def _hex(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        return int(text, 16)
    except ValueError:
        raise UsageError(f"{option} takes a hexadecimal number, not '{text}'.") from None


def folder_of(path: str | None) -> Path:
    """Return path as a folder that exists.

    Raises:
        UsageError: it does not.
    """
    folder = Path(path or ".")
    if not folder.is_dir():
        raise UsageError(f"There is no folder '{folder}'.")
    return folder
