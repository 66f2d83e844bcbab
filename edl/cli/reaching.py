# SPDX-License-Identifier: BSD-3-Clause
"""From no phone to a configured programmer: also past a refused loader, and past stuck phones.

Where only the user's hands help, they are told what to do, and the job goes on by itself when the
phone is back. Scripts, where nobody waits, get the error at once.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edl.cli import loading, seen
from edl.cli.finding import Finder, Seen, describe
from edl.device import connect, ladder
from edl.device.phone import Phone
from edl.errors import (
    CrashDumpError,
    DeviceGoneError,
    EdlError,
    InterruptedUploadError,
    MuteError,
    NoDeviceError,
    ProgrammerFailedError,
    ProgrammerRefusedError,
)
from edl.events import Stage
from edl.identity import PhoneIdentity
from edl.plan import home, owed
from edl.transport import Transport
from edl.transport.discovery import Found

if TYPE_CHECKING:
    from edl.cli.app import App
    from edl.package import Package

_COME_BACK_S = 10.0
_RESTART_S = 30.0
_MAX_STARTS = 20  # how often the keys are held, or another loader is sent
# in these states the phone must be plugged in again or its keys held; nothing has been written yet
_STUCK = (MuteError, CrashDumpError, InterruptedUploadError, DeviceGoneError)
_GO_ON = "Go on with its interrupted job: edl resume (nothing needs to be held or unplugged)."
_KEYS = "Hold the power button (with volume down) for 15 seconds, then enter EDL mode again."


class Reach:
    """Reaches the phone of one run. opened: closes what was opened."""

    def __init__(
        self,
        app: App,
        package: Package | None,
        opened: contextlib.ExitStack,
        *,
        resume: bool = False,
        crashed: bool = False,
    ) -> None:
        """resume: a job goes on, so that its programmer may get what it still waits for.

        crashed: the caller can do with a crashed phone, so that nobody is asked to hold its keys.
        """
        self._resume = resume
        self._crashed = crashed
        self._place = ""
        self.way = connect.connect  # from a phone on the bus to one with a programmer
        self._app = app
        self._package = package
        self._opened = opened
        self._finder = Finder(app)
        self._loader = loading.Loader(app.settings, package, app.emit)
        self._transport: Transport | None = None
        self._found: Seen | None = None  # the phone of the session

    def phone(self) -> Phone:
        """Return the phone with a configured programmer.

        Raises:
            EdlError: see `connect.connect` and `Finder.wait`.
        """
        return self._start(self._finder.wait())

    def again(self, error: EdlError) -> Phone:
        """Return the phone once more, after error has ended the session with it.

        One that resets itself comes back by itself; of another one the keys are held, where
        somebody is there to do that. All that the session had opened is closed.

        Raises:
            EdlError: as `phone`; error itself, if the phone does not come back.
        """
        self._opened.close()
        found = self._found
        if found is None:
            raise error
        if isinstance(error, DeviceGoneError):
            try:
                found = self._finder.again(found, _COME_BACK_S, left=True)
            except NoDeviceError:
                found = self._by_keys(found, error, _KEYS)
        return self._start(found)

    def _start(self, found: Seen) -> Phone:
        for _ in range(_MAX_STARTS):
            try:
                return self._connect(found)
            except _STUCK as error:
                if self._crashed and isinstance(error, CrashDumpError):
                    raise
                found = self._by_keys(found, error, error.remedies[0])
            except ProgrammerRefusedError as error:
                found = self._with_next(found, error)
        return self._connect(found)

    def restarted(self) -> Phone:
        """Return the phone that was reached last, which has been told to come back in EDL mode.

        Raises:
            NoDeviceError: it is not back in time.
            EdlError: see `phone`.
        """
        found, transport = self._found, self._transport
        if found is None or transport is None:
            raise RuntimeError("no phone was reached before")
        left = ladder.leaves(transport)
        self._opened.close()
        return self._start(self._finder.again(found, _RESTART_S, left=left))

    def identity(self) -> PhoneIdentity:
        """Return who the phone says it is, or told an earlier run; it gets no loader.

        Raises:
            EdlError: see `ladder.find_out` and `Finder.wait`.
        """
        found = self._finder.wait()
        for _ in range(_MAX_STARTS):
            try:
                return self._ask(found)
            except _STUCK as error:
                found = self._by_keys(found, error, error.remedies[0])
        return self._ask(found)

    def _connect(self, found: Seen) -> Phone:
        known = self._see(found)
        claim = owed.claim(place_of(found), found.serial)
        if known is None and (serial := owed.who(place_of(found))) is not None:
            known = home.recall(serial)

        def images(identity: PhoneIdentity) -> Mapping[int, bytes]:
            _remember(identity)
            found = self._loader.images(identity if identity.pk_hash or known is None else known)
            if self._loader.doubt:  # asked before it runs: who runs already is doubted by nobody
                self._app.doubted(self._loader.doubt)
            return found

        def settle(transport: Transport) -> bool:
            if claim is None or not self._resume:
                return False
            claim.settle(transport, self._app.emit)
            return True

        try:
            phone = self.way(
                self._open(found),
                images,
                self._app.wishes(self._package, self._loader),
                self._app.emit,
                known,
                reopen=lambda: self._open(self._finder.again(found, _COME_BACK_S, left=True)),
                settle=settle,
            )
        except MuteError as error:
            if claim is not None and not self._resume:
                raise MuteError(error.message, remedies=(_GO_ON, *error.remedies[:2])) from error
            raise
        phone.place = self._place
        self._found = found
        self._opened.callback(_keep_names, phone)
        return phone

    def _ask(self, found: Seen) -> PhoneIdentity:
        known = self._see(found)
        transport = self._open(found)
        answering = ladder.find_out(transport, self._app.emit, ask=known is None)
        if answering.interrupted and ladder.leaves(transport):
            transport = self._open(self._finder.again(found, _COME_BACK_S, left=True))
            answering = ladder.find_out(transport, self._app.emit, ask=True)
        rom, identity = answering.boot_rom, PhoneIdentity()
        if rom is not None and (answering.hello is not None or answering.commanding):
            identity = rom.identify(answering.hello)
        _remember(identity)
        return identity if identity.pk_hash or known is None else known

    def _see(self, found: Seen) -> PhoneIdentity | None:
        """Tell which phone was found, and return what an earlier run learnt of it.

        Raises:
            CrashDumpError: its descriptors say that it crashed.
        """
        self._app.seen = True
        if isinstance(found, Found) and found.mode == "crash dump":
            raise CrashDumpError(
                f"The phone at USB {found.location} is in crash-dump mode"
                f" ({found.product_id:04X}), not in EDL."
            )
        self._app.emit(Stage("found", describe(found)))
        return self._recalled(found.serial) if found.serial else None

    def _recalled(self, serial: str) -> PhoneIdentity | None:
        """Return what an earlier run learnt.

        Virtual phones share a serial number: what another one told is not taken for this one's.
        """
        known = home.recall(serial)
        if known is None or self._app.virtual is None:
            return known
        fuses = self._app.virtual.profile.rom.fuses
        told = known.hwid in {None, fuses.hwid}, known.pk_hash in {None, fuses.pk_hash}
        return known if all(told) else None

    def _open(self, found: Seen) -> Transport:
        self._transport = transport = self._finder.open(found)
        self._place = place_of(found)
        self._opened.callback(transport.close)
        return transport

    def _by_keys(self, found: Seen, error: EdlError, hint: str) -> Seen:
        """Return the phone when somebody has held its keys; raise error where nobody does."""
        self._opened.close()
        wait_s = self._finder.patience_s
        if not wait_s:
            raise error
        emit = self._app.emit
        emit(Stage("stuck", error.message))
        emit(Stage("hint", hint))
        emit(Stage("wait", f"for the phone to come back in EDL mode ({wait_s:.0f} s)"))
        try:
            return self._finder.again(found, wait_s)
        except NoDeviceError:
            raise error from None

    def _with_next(self, found: Seen, error: ProgrammerRefusedError) -> Seen:
        """Return the phone, ready for the next loader; raise error where there is none."""
        best = self._loader.next_best(error)
        if best is None or not self._app.agrees(f"{error.message} Try {best.name} next?"):
            raise error
        self._app.emit(Stage("refused", error.message))
        self._app.emit(Stage("loader", f"the next one is {best.name}; the phone starts over"))
        # a phone whose programmer does not run is either back already, or never comes by itself
        failed = isinstance(error, ProgrammerFailedError)
        left = not failed and self._transport is not None and ladder.leaves(self._transport)
        self._opened.close()
        try:
            return self._finder.again(found, 0.0 if failed else _COME_BACK_S, left=left)
        except NoDeviceError:
            return self._by_keys(found, error, _KEYS)


def place_of(found: Seen) -> str:
    """Return where a phone is, in words that change when it leaves the bus; empty if unknown."""
    if isinstance(found, Found):
        return f"usb {found.location} {found.bus} {found.address}"
    try:
        node = Path(found.name).resolve().stat()
    except OSError:  # COM ports are no files
        return ""
    return f"port {found.name} {node.st_rdev} {node.st_ino} {node.st_ctime_ns}"


def _keep_names(phone: Phone) -> None:
    """Keep what its partitions are called, for the Tab key."""
    seen.keep(home.phone_folder(phone.serial), itertools.chain(*phone.seen.values()))


def _remember(identity: PhoneIdentity) -> None:
    """Keep who a phone is, at once: it cannot be asked again."""
    if identity.serial is not None:
        home.remember(f"{identity.serial:08x}", identity)
