# SPDX-License-Identifier: BSD-3-Clause
"""Which phone is meant: found over USB or at a serial port, waited for, opened, found again."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edl.cli import terminal
from edl.errors import AccessError, NoDeviceError, TransportError, UsageError
from edl.events import Stage
from edl.transport import Transport, discovery, serial
from edl.transport.discovery import Found
from edl.transport.patient import PatientTransport
from edl.transport.serial import FoundPort

if TYPE_CHECKING:
    from edl.cli.app import App

Seen = Found | FoundPort

_TERMINAL_WAIT_S = 60.0
_POLL_S = 0.3


class Finder:
    """Finds the phone of one run."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def patience_s(self) -> float:
        """How long the user is given to plug a phone in, or to hold its keys; 0 in scripts."""
        wait_s = self._app.settings.wait
        if wait_s is not None:
            return wait_s
        somebody = self._app.dialog is not None or terminal.is_terminal(sys.stderr)
        return _TERMINAL_WAIT_S if somebody and self._app.virtual is None else 0.0

    def wait(self) -> Seen:
        """Return the phone that is meant, waiting for it to be plugged in.

        Raises:
            NoDeviceError: there is none in time.
            UsageError: several are meant.
        """

        def tell() -> None:
            self._app.emit(Stage("hint", "often: hold both volume keys while plugging it in"))
            self._app.emit(Stage("wait", f"for a phone in EDL mode ({self.patience_s:.0f} s)"))

        return self._poll(self.patience_s, lambda _: True, lambda: None, tell)

    def again(self, before: Seen, wait_s: float, *, left: bool = False) -> Seen:
        """Return the phone when it has left the bus and is back in EDL mode.

        left: it is known to have left.

        Raises:
            NoDeviceError: it is not back in time.
        """
        absent = False

        def is_back(now: Seen) -> bool:
            if isinstance(now, Found) and now.mode != "edl":
                return False
            return absent or _is_new(before, now) or (left and isinstance(now, FoundPort))

        def is_absent() -> None:
            nonlocal absent
            absent = True

        return self._poll(wait_s, is_back, is_absent, lambda: None)

    def _poll(
        self,
        wait_s: float,
        wanted: Callable[[Seen], bool],
        absent: Callable[[], None],
        tell: Callable[[], None],
    ) -> Seen:
        """Return the phone once it is wanted. absent: called when there is none; tell: once."""
        deadline = time.monotonic() + wait_s
        told = False
        while True:
            problem = NoDeviceError("The phone did not come back in EDL mode.")
            try:
                if wanted(found := self._choose()):
                    return found
            except NoDeviceError as error:
                absent()
                problem = error
            if time.monotonic() >= deadline:
                raise problem
            if not told:
                tell()
                told = True
            time.sleep(_POLL_S)

    def open(self, found: Seen) -> Transport:
        """Open the phone: by its serial port, where that is what its driver makes of it.

        Raises:
            AccessError: that is not possible.
            TransportError: the phone cannot be used.
        """
        return PatientTransport(self._open(found), self._app.emit)

    def _open(self, found: Seen) -> Transport:
        try:
            return found.open()
        except AccessError:
            port = self._port_instead() if isinstance(found, Found) else None
            if port is not None:
                with contextlib.suppress(NoDeviceError, TransportError):
                    transport = port.open()
                    self._app.emit(Stage("found", f"not usable over USB, but as {port.name}"))
                    return transport
            raise

    def _port_instead(self) -> FoundPort | None:
        """Return the serial port of the phone that is meant, where USB does not work."""
        settings = self._app.settings
        if self._app.virtual is not None or settings.vid is not None or settings.pid is not None:
            return None
        return serial.only_port(settings.serial, settings.usb_path)

    def _choose(self) -> Seen:
        """Return the phone that is meant: over USB if possible, else at a serial port."""
        settings = self._app.settings
        if len(settings.serials) > 1:
            raise UsageError(
                "This command is for one phone: --serial takes one serial number.",
                remedies=("For several: edl rawprogram, or edl station.",),
            )
        if settings.port is not None:
            if self._app.virtual is not None:
                raise UsageError("--port and --virtual (EDL_PORT, EDL_VIRTUAL) exclude each other.")
            if settings.usb_path is not None:
                raise UsageError(
                    "--port and --usb-path (EDL_PORT, EDL_USB_PATH) exclude each other."
                )
            return serial.named(settings.port)
        try:
            return discovery.choose(self._app.find(), settings.serial, settings.usb_path)
        except (NoDeviceError, TransportError):
            port = self._port_instead()
            if port is None:
                raise
            return port


def describe(found: Seen) -> str:
    """Return who and where a phone is, in a line."""
    if found.serial:
        who = f"phone {found.serial}"
    elif isinstance(found, FoundPort):
        who = found.product or "phone"
    else:
        who = found.product or f"phone {found.vendor_id:04x}:{found.product_id:04x}"
    where = f"USB {found.location}" if isinstance(found, Found) else found.name
    return f"{who} in EDL mode at {where}"


def _is_new(before: Seen, now: Seen) -> bool:
    """Tell whether now has joined the bus since before was seen."""
    if isinstance(before, Found) and isinstance(now, Found):
        return (before.bus, before.address) != (now.bus, now.address)
    return type(before) is not type(now)
