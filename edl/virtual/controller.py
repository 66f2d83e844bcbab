# SPDX-License-Identifier: BSD-3-Clause
"""The phone's USB controller: runs its software and moves packets over two bulk endpoints.

Nothing here runs by itself. The phone's software goes on whenever the host calls, until it waits
for the host or for time; time is virtual and passes only while the host waits. So a phone that has
nothing more to say times out at once, and every run is the same.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable

from edl.virtual.faults import Fault, Injector, Kind, Place
from edl.virtual.link import Exit, Firmware, Receive, Request, Send, Sleep, Strike
from edl.virtual.pace import Clock, Link
from edl.virtual.trouble import IN, OUT, Trouble

__all__ = [
    "HIGH_SPEED_PACKET_BYTES",
    "IN",
    "OUT",
    "SUPER_SPEED_PACKET_BYTES",
    "Controller",
    "Status",
]

HIGH_SPEED_PACKET_BYTES = 512
SUPER_SPEED_PACKET_BYTES = 1024

_US = 1_000_000  # microseconds of a second
_LONGEST_SETTLING_US = 60 * _US
# In which state a phone comes back from a reset of its own: reason of its exit.
_RESETS = {"edl": "reset_to_edl", "system": "reset", "crash": "crash", "off": "off"}


class Status(enum.Enum):
    """How a transfer ended."""

    DONE = enum.auto()
    TIMEOUT = enum.auto()
    OVERFLOW = enum.auto()
    STALLED = enum.auto()
    GONE = enum.auto()


class _Transmission:
    """What the host has not taken yet of a transfer. stray: of which the software knows nothing."""

    def __init__(
        self, data: memoryview, packet_bytes: int, *, zlp: bool, stray: bool = False
    ) -> None:
        self.left = data
        self.stray = stray
        self.zlp_due = zlp and len(data) % packet_bytes == 0

    @property
    def done(self) -> bool:
        return not self.left and not self.zlp_due


class Controller:
    """Device side of one bulk IN and one bulk OUT endpoint.

    on_exit: called with the reason when the software leaves; `hang` where it just ended, `unplug`
        when a fault took the cable, `kill` when one ends the host. It may `load` other software or
        `unplug` the phone.
    wire: a modelled link; None for one on which nothing takes time.

    Attributes:
        clock: the phone's time.
        take_in: called while a write waits; moves what is ready into a read that the host has
            queued, and tells whether there was something.
        gone: the phone has left the bus. That is final; it comes back with a new controller.
    """

    def __init__(
        self,
        software: Firmware,
        on_exit: Callable[[str], None],
        *,
        packet_bytes: int = HIGH_SPEED_PACKET_BYTES,
        injector: Injector | None = None,
        clock: Clock | None = None,
        wire: Link | None = None,
    ) -> None:
        self.packet_bytes = packet_bytes
        self.clock = clock or Clock()
        self.gone = False
        self.take_in: Callable[[], bool] = lambda: False
        self._on_exit = on_exit
        self._injector = injector or Injector()
        self._wire = wire
        self._answered_us = self.clock.now_us  # when the software got what it waited for
        self._lock = threading.RLock()  # a host may use several phones in several threads
        self._trouble = Trouble(self.clock)
        self._outbox: deque[_Transmission] = deque()
        self._chunks: list[bytes] = []
        self._missing = 0
        self._received = False
        self._fifo: bytes | None = None  # what no Receive has taken yet of a packet
        self._fifo_ends_transfer = False
        self.load(software)

    @property
    def listens(self) -> bool:
        """Whether the software waits for data of the host."""
        return isinstance(self._request, Receive)

    @property
    def wanted_bytes(self) -> int:
        """How many bytes the software's Receive still takes; 0 while it does not listen."""
        with self._lock:
            self._run()
            return self._missing if self.listens else 0

    @property
    def unread(self) -> bytes:
        """What is left of the transfer that waits for the host."""
        return bytes(self._outbox[0].left) if self._outbox else b""

    def load(self, software: Firmware) -> None:
        """Run software from now on; it starts when the host calls next."""
        self._software = software
        self._request: Request | None = Sleep(0)
        self._wake_us: float | None = self.clock.now_us

    def unplug(self) -> None:
        """Leave the bus for good; what the software was doing is lost."""
        with self._lock:
            self.gone = True
            self._request = None
            self._software.close()

    def write(
        self, data: memoryview, timeout_us: int, submitted_us: float | None = None
    ) -> tuple[int, Status]:
        """Send data as one transfer to the phone; empty data is a zero-length packet.

        submitted_us: when the host has handed it over, if not just now. On a modelled link, what
        has begun is finished, whatever timeout_us says.

        Returns:
            How many bytes the phone took within timeout_us, and how it ended.
        """
        with self._lock:
            deadline_us = self.clock.now_us + timeout_us
            self._begin(submitted_us)
            taken, stop = 0, len(data)
            self._run()
            lost = self._begin_write(data)
            while True:
                self._run()
                if trouble := self._failure(OUT):
                    return taken, trouble
                if lost:
                    return len(data), Status.DONE
                if self._takes(data) and not self._trouble.frozen(OUT):
                    if self._strike(Place.OUT, min(len(data) - taken, self.packet_bytes) or 1):
                        continue
                    stop = self._trouble.shortened(taken, stop, self.packet_bytes)
                    taken = self._take(data, taken, stop)
                    if taken == stop:
                        self._end_write(data)
                        return taken, Status.DONE
                elif not self._speak() and not self._wait(deadline_us):
                    self._trouble.give_up(OUT)
                    return taken, Status.TIMEOUT

    def read(
        self, buffer: memoryview, timeout_us: int, submitted_us: float | None = None
    ) -> tuple[int, Status]:
        """Take one transfer from the phone into buffer, or as much of it as fits.

        A packet that does not fit into what is left of buffer is an overflow, and lost.

        Returns:
            How many bytes came within timeout_us, and how it ended.
        """
        with self._lock:
            deadline_us = self.clock.now_us + timeout_us
            self._begin(submitted_us)
            got = 0
            while True:
                self._run()
                if trouble := self._failure(IN):
                    return got, trouble
                if self._outbox and not self._trouble.frozen(IN):
                    next_packet = min(len(self._outbox[0].left), self.packet_bytes) or 1
                    if self._strike(Place.IN, next_packet):
                        continue
                    if self._trouble.overflows:
                        return got, self._overflow()
                    count, status = self._give(buffer[got:])
                    got += count
                    if status:
                        self._run()
                        return got, status
                elif not self._wait(deadline_us):
                    self._trouble.give_up(IN)
                    return got, Status.TIMEOUT

    def _speak(self) -> bool:
        """Move what is ready into a read that the host has queued; tell whether that ended it."""
        return bool(self._outbox) and not self._trouble.frozen(IN) and self.take_in()

    def clear_halt(self, endpoint: int) -> None:
        """End the stall of endpoint."""
        with self._lock:
            self._trouble.halted.discard(endpoint)

    def flush(self) -> None:
        """Lose what waits for the host, as configuring the endpoints anew does."""
        with self._lock:
            self._run()
            self._outbox.clear()
            self._trouble.halted.clear()

    def settle(self) -> None:
        """Let time pass while the software sleeps, at most for a minute."""
        with self._lock:
            latest_us = self.clock.now_us + _LONGEST_SETTLING_US
            self._run()
            while isinstance(self._request, Sleep) and (self._wake_us or 0) <= latest_us:
                self._wait(latest_us)
                self._run()

    def _run(self) -> None:
        """Let the software go on until it waits for the host or for time."""
        while self._request is not None:
            answer = None
            match self._request:
                case Receive() if self._received:
                    answer = b"".join(self._chunks)
                case Receive() | Sleep() if not self._overslept:
                    return
                case Receive() | Sleep():
                    self._answered_us = max(self._answered_us, self._wake_us or 0)
                case Send() if not all(each.stray for each in self._outbox):
                    return
            try:
                request = self._software.send(answer)
            except StopIteration:
                request = Exit("hang")
            self._post(request)

    @property
    def _now_us(self) -> float:
        """The time where the software is: on a modelled link the host may be ahead of it."""
        return self.clock.now_us if self._wire is None else self._answered_us

    def _begin(self, submitted_us: float | None) -> None:
        if self._wire is not None:
            self._wire.begin(self.clock.now_us if submitted_us is None else submitted_us)

    def _move(self, size_bytes: int) -> None:
        """Let the time pass that size_bytes take on the link; 0 is an empty packet."""
        if self._wire is None:
            return
        self._answered_us = self._wire.move(size_bytes, self.packet_bytes, self._answered_us)
        if self._answered_us > self.clock.now_us:
            self.clock.advance_to(self._answered_us)

    @property
    def _overslept(self) -> bool:
        return self._wake_us is not None and self._wake_us <= self.clock.now_us

    def _post(self, request: Request) -> None:
        """Begin what the software asks for."""
        self._request = request
        self._wake_us = None
        match request:
            case Receive():
                self._post_receive(request)
            case Send():
                data = memoryview(request.data)
                sending = _Transmission(data, self.packet_bytes, zlp=request.zlp)
                lost = self._begin_transfer(Place.IN_TRANSFER)
                if sending.zlp_due and self._injector.zlp(Kind.ZLP_LOST, Place.IN_TRANSFER):
                    sending.zlp_due = False
                if not lost and not sending.done:
                    self._outbox.append(sending)
                if self._injector.zlp(Kind.ZLP_EXTRA, Place.IN_TRANSFER):
                    empty = memoryview(b"")
                    stray = _Transmission(empty, self.packet_bytes, zlp=True, stray=True)
                    self._outbox.append(stray)
            case Sleep():
                self._wake_us = self._now_us + round(request.seconds * _US)
            case Strike():
                self._break(request.fault)
            case Exit():
                self._request = None
                self._software.close()
                self._on_exit(request.reason)

    def _post_receive(self, request: Receive) -> None:
        self._chunks = []
        self._missing = request.max_bytes
        self._received = False
        if request.timeout_s is not None:
            self._wake_us = self._now_us + round(request.timeout_s * _US)
        if self._fifo is not None:
            self._receive(self._fifo)

    def _receive(self, packet: bytes) -> None:
        """Give the software's Receive what fits of packet; the FIFO keeps the rest."""
        self._chunks.append(packet[: self._missing])
        self._fifo = packet[self._missing :] or None
        self._missing -= len(self._chunks[-1])
        self._received = not self._missing or (self._fifo_ends_transfer and self._fifo is None)
        self._wake_us = None

    def _takes(self, data: memoryview) -> bool:
        """Return whether the phone takes the next packet of data.

        While it waits to be read, only a zero-length packet: boot ROMs take the one that ends a
        block although their next request is due (qdl sends it first and works), and programmers
        meet it as an empty packet later (real-programmer.md 7).
        """
        return self.listens or (not data and isinstance(self._request, Send) and self._fifo is None)

    def _take(self, data: memoryview, start: int, end: int) -> int:
        """Move packets of data from start on to the software, up to end; return where they end."""
        if start == end > 0:
            return end
        left = end - start
        count = min(left, self._injector.room(Place.OUT))
        if count < left:
            count -= count % self.packet_bytes
        count = min(count, -(-self._missing // self.packet_bytes) * self.packet_bytes)
        stop = start + count
        self._fifo_ends_transfer = stop == len(data) and (
            not data or len(data) % self.packet_bytes != 0
        )
        self._move(count)
        if self.listens:
            self._receive(bytes(self._injector.altered(data[start:stop], Place.OUT)))
        else:
            self._fifo = b""
        self._injector.passed(Place.OUT, count)
        return stop

    def _give(self, buffer: memoryview) -> tuple[int, Status | None]:
        """Move packets to the host; return how many bytes, and how its transfer ended if it did."""
        sending = self._outbox[0]
        room, left = len(buffer), len(sending.left)
        count = min(room, left, self._injector.room(Place.IN))
        if count < left:
            count -= count % self.packet_bytes
        buffer[:count] = self._injector.altered(sending.left[:count], Place.IN)
        self._injector.passed(Place.IN, count)
        sending.left = sending.left[count:]
        if count:
            self._move(count)
        status = self._end_of_host_transfer(sending, count, room)
        if sending.done:
            self._outbox.popleft()
        return count, status

    def _end_of_host_transfer(self, sending: _Transmission, count: int, room: int) -> Status | None:
        """Return how the host's transfer ended after count of room bytes; None if it goes on."""
        if sending.left:
            next_packet = min(len(sending.left), self.packet_bytes)
            if room - count >= next_packet:
                return None
            if count == room > 0:
                return Status.DONE
            return self._lose_packet(sending)
        if count % self.packet_bytes or count == room > 0:
            return Status.DONE
        if sending.zlp_due:
            sending.zlp_due = False
            self._move(0)
            return Status.DONE
        return None

    def _lose_packet(self, sending: _Transmission) -> Status:
        """Lose the next packet of sending, for which the host has no room."""
        size = min(len(sending.left), self.packet_bytes)
        sending.left = sending.left[size:]
        self._injector.passed(Place.IN, size)
        return Status.OVERFLOW

    def _overflow(self) -> Status:
        """Send more than the host has room for: what it does not take is lost."""
        self._trouble.overflows = False
        sending = self._outbox[0]
        status = self._lose_packet(sending)
        if not sending.left:
            self._outbox.popleft()
        return status

    def _begin_write(self, data: memoryview) -> bool:
        """Count a transfer of the host; return whether it gets lost."""
        lost = self._begin_transfer(Place.OUT_TRANSFER)
        return lost or (not data and self._injector.zlp(Kind.ZLP_LOST, Place.OUT_TRANSFER))

    def _end_write(self, data: memoryview) -> None:
        self._run()
        if not data and self._injector.zlp(Kind.ZLP_EXTRA, Place.OUT_TRANSFER):
            self._repeat_zlp()

    def _repeat_zlp(self) -> None:
        """Let another zero-length packet come."""
        self._fifo_ends_transfer = True
        if self.listens:
            self._receive(b"")
            self._run()
        elif self._fifo is None:
            self._fifo = b""

    def _failure(self, endpoint: int) -> Status | None:
        if self.gone:
            return Status.GONE
        return Status.STALLED if endpoint in self._trouble.halted else None

    def _begin_transfer(self, place: Place) -> bool:
        """Count a transfer and let its faults strike; return whether it gets lost."""
        lost = False
        while fault := self._injector.due(place):
            match fault.kind:
                case Kind.SWALLOW:
                    lost = True
                case Kind.GARBAGE:
                    stray = memoryview(fault.data)
                    self._outbox.append(_Transmission(stray, self.packet_bytes, zlp=True))
                case _:
                    self._break(fault)
        self._injector.passed(place)
        return lost

    def _strike(self, place: Place, reach: int) -> bool:
        """Let a fault within the next reach bytes strike, if there is one."""
        fault = self._injector.due(place, reach)
        if fault is not None:
            self._break(fault)
        return fault is not None

    def _break(self, fault: Fault) -> None:
        if self._trouble.strike(fault):
            return
        if fault.kind is Kind.KILL:
            self._on_exit("kill")
            return
        self.unplug()
        self._on_exit(_RESETS[fault.state] if fault.kind is Kind.RESET else "unplug")

    def _wait(self, deadline_us: float) -> bool:
        """Let time pass until the next event or deadline_us; False if it is over already."""
        now_us = self.clock.now_us
        if now_us >= deadline_us:
            return False
        events = (*self._trouble.ends_us, self._wake_us or 0)
        self.clock.advance_to(min([deadline_us, *(event for event in events if event > now_us)]))
        return True
