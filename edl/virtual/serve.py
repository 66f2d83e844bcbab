# SPDX-License-Identifier: BSD-3-Clause
"""A virtual phone behind a serial port (a pty), for programs that know nothing of virtual phones.

A pty is a stream: it does not tell where a program's write ends (packet mode marks only flow
control, and the kernel cuts writes itself, into 2 KiB and less when it is short of room). A phone
needs to know, because a short or a zero-length packet ends a transfer. So `Cutter` goes by what
the phone waits for and by what a message says about its own length; only what neither explains
ends by silence. No transfer of a well-formed session depends on time.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from edl.errors import UsageError
from edl.virtual.controller import IN, OUT, Controller, Status
from edl.virtual.descriptors import UsbDevice
from edl.virtual.phone import Phone

TICK_S = 0.02  # how often a phone gets to know that time has passed
SILENCE_S = 0.3  # longer than any pause within a write, shorter than any host's patience
_READ_AHEAD_BYTES = 1024 * 1024
_BUFFER_BYTES = 64 * 1024
_MAX_SAHARA_BYTES = 4096
_BLANKS = b"\0\t\n\r "
_END = b"</data>"
_KEPT_BYTES = 64


class PhoneTime:
    """Makes a phone's own time follow real time, for as long as somebody lets it pass."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def passed_us(self) -> int:
        """Return how many microseconds have passed since the last call."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        return round(passed * 1_000_000)


def on_bus(phone: Phone) -> UsbDevice | None:
    """Return the phone as it is on the bus now; None once it has left for good."""
    return next(iter(phone.backend.enumerate_devices()), None)


class Cutter:
    """Cuts a host's stream into the transfers that a serial driver would have sent.

    A transfer ends when it fills what the phone asked for, when it is a whole message (a Sahara
    packet has its length in it, a Firehose document ends with </data>), or in silence.

    zlp: like the QDLoader driver, end transfers that fill their last packet with a zero-length
        packet; qcserial cannot.
    """

    def __init__(self, packet_bytes: int, *, zlp: bool) -> None:
        self._packet_bytes = packet_bytes
        self._zlp = zlp
        self._zlp_due = False
        self._pending = bytearray()
        self._begin()

    def _begin(self) -> None:
        """Forget the transfer that has ended."""
        self._count = 0  # bytes of the current transfer that are with the phone already
        self._head = b""
        self._tail = b""

    @property
    def backlog(self) -> int:
        """How many bytes have not been cut yet."""
        return len(self._pending)

    def receive(self, data: bytes) -> None:
        """Take what the host has sent."""
        self._pending += data

    def cut(self, wanted: int, *, silent: bool) -> bytes | None:
        """Return what goes to the phone now; None if it takes more bytes, time, or a request.

        An empty answer is a zero-length packet. wanted: bytes that the phone asks for. silent: the
        host has not sent anything for a while.
        """
        if self._zlp_due:
            self._zlp_due = False
            return b""
        if not wanted or not (self._pending or self._count):
            return None
        piece = bytes(self._pending[:wanted])
        ends = len(piece) == wanted or silent or self._is_message()
        if not ends:
            piece = piece[: len(piece) // self._packet_bytes * self._packet_bytes]
        if not piece and not ends:
            return None
        del self._pending[: len(piece)]
        self._count += len(piece)
        if not ends:
            self._head = (self._head + piece)[:_KEPT_BYTES]
            self._tail = (self._tail + piece)[-_KEPT_BYTES:]
            return piece
        due = self._zlp and self._count % self._packet_bytes == 0
        self._begin()
        self._zlp_due = due and bool(piece)
        return piece if piece or due else None

    def put_back(self, piece: bytes) -> None:
        """Take back what the phone did not take of the last piece."""
        if piece:
            self._pending[:0] = piece
            self._zlp_due = False
        else:
            self._zlp_due = True

    def _is_message(self) -> bool:
        """Tell whether the current transfer and all that is pending are a whole message."""
        head = (self._head + self._pending[:_KEPT_BYTES])[:_KEPT_BYTES]
        tail = (self._tail + self._pending[-_KEPT_BYTES:])[-_KEPT_BYTES:]
        size = self._count + len(self._pending)
        if head.lstrip(_BLANKS).startswith((b"<?xml", b"<data")):
            return tail.rstrip(_BLANKS).endswith(_END)
        length = int.from_bytes(head[4:8], "little")
        return size == length <= _MAX_SAHARA_BYTES and not any(head[1:4])


class Pty:
    """A pseudo-terminal with a phone behind it, for one stay of the phone on the bus.

    Like a driver it reads ahead, and what nobody has read waits for the next program. It clears
    stalls by itself.

    Attributes:
        name: of the end that programs open.
    """

    def __init__(self, controller: Controller, *, zlp: bool) -> None:
        import tty  # noqa: PLC0415  Windows has none

        self._controller = controller
        self._cutter = Cutter(controller.packet_bytes, zlp=zlp)
        self._time = PhoneTime()
        self._last_heard = time.monotonic()
        self._buffer = bytearray(_BUFFER_BYTES)
        self._unsent = memoryview(b"")
        # our own hold on the programs' end keeps its settings, and what waits there
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._slave)
        os.close(self._master)

    def step(self, wait_s: float) -> None:
        """Wait for the host for at most wait_s, and let the phone do what it can."""
        wanting = [self._master] if self._cutter.backlog < _READ_AHEAD_BYTES else []
        sending = [self._master] if self._unsent else []
        readable, _, _ = select.select(wanting, sending, [], wait_s)
        if readable:
            self._cutter.receive(os.read(self._master, _BUFFER_BYTES))
            self._last_heard = time.monotonic()
        silent = not readable and time.monotonic() - self._last_heard > SILENCE_S
        passed_us = self._time.passed_us()
        while self._feed(silent=silent) or self._fetch(passed_us):
            passed_us = 0

    def _feed(self, *, silent: bool) -> bool:
        """Give the phone one piece; return whether it took all of it."""
        piece = self._cutter.cut(self._controller.wanted_bytes, silent=silent)
        if piece is None:
            return False
        taken, status = self._controller.write(memoryview(piece), 0)
        if status is Status.DONE:
            return True
        self._cutter.put_back(piece[taken:])
        if status is Status.STALLED:
            self._controller.clear_halt(OUT)
        return False

    def _fetch(self, passed_us: int) -> bool:
        """Move on what the phone says; return whether there may be more of it."""
        if not self._unsent:
            count, status = self._controller.read(memoryview(self._buffer), passed_us)
            self._unsent = memoryview(self._buffer)[:count]
            if status is Status.STALLED:
                self._controller.clear_halt(IN)
            if not count:
                return status is Status.DONE  # a zero-length packet is nothing on a serial port
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[os.write(self._master, self._unsent) :]
        return not self._unsent


def serve_pty(
    phone: Phone,
    announce: Callable[[str], None],
    stop: threading.Event,
    *,
    zlp: bool = True,
    link: Path | None = None,
) -> None:
    """Serve phone on a pty until it leaves the bus for good, or stop is set.

    A phone that comes back on the bus comes back as another pty.

    announce: called with the name of each port. zlp: see Cutter. link: kept as a symbolic link to
    the port, so that it has one name all the time.

    Raises:
        UsageError: this system has no ptys, or link cannot be made.
    """
    if sys.platform == "win32":
        raise UsageError("Windows has no pseudo-terminals.", remedies=("Use --usbip.",))
    while not stop.is_set() and (device := on_bus(phone)) is not None:
        with Pty(device.controller, zlp=zlp) as port, _linked(link, port.name) as name:
            announce(name)
            while not stop.is_set() and not device.controller.gone:
                port.step(TICK_S)


@contextlib.contextmanager
def _linked(link: Path | None, port: str) -> Iterator[str]:
    """Have link point to port, and give the name to use."""
    if link is None:
        yield port
        return
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(port)
    except OSError as error:
        message = f"The link {link} cannot be made: {error.strerror}."
        remedies = ("Name a place that does not exist yet, in a folder of yours: --link PATH.",)
        raise UsageError(message, remedies=remedies) from error
    try:
        yield str(link)
    finally:
        link.unlink(missing_ok=True)
