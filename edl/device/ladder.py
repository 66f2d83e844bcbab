# SPDX-License-Identifier: BSD-3-Clause
"""What runs on a phone that was just opened, in whatever state others have left it.

The rungs, each one bounded and told before it is climbed (sahara.md 11.3):
  1. listen: a HELLO (boot ROM) or XML (a programmer that still talks) is there already;
  2. knock: an unasked answer to HELLO wakes a boot ROM whose HELLO another program has eaten. It
     asks for command mode if the boot ROM shall tell who it is (as emmcdl does), else for an
     image. A running programmer takes it for bad XML and says so; a boot ROM that waits for the
     rest of an image complains;
  3. ask with <nop>: a programmer that had nothing to say so far; then with a frame of DMSS Download
     that means nothing to a programmer of Streaming Download, which says so;
  4. start over: RESET_STATE_MACHINE, then RESET, for a boot ROM that has refused something.

Everything that is sent is shorter than a sector: a programmer that waits for the data of an
interrupted write drops what does not fill one (executed, generations 1 to 3), so that no rung can
change the flash. The port is not reset: that revives no boot ROM, and nobody knows what it does to
a programmer.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from edl.device.sahara import BootRom, crash_dump
from edl.errors import (
    AccessError,
    DeviceGoneError,
    MuteError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from edl.events import Emit, Stage, ignore
from edl.firehose import commands
from edl.sahara import host
from edl.sahara.packets import Mode
from edl.streaming import dmss
from edl.streaming.hdlc import MAX_FRAME_BYTES, Unframer
from edl.transport import Transport
from edl.units import MIB

_log = logging.getLogger(__name__)

LISTEN_S = 0.5
WAKE_S = 1.0
_ASK_S = 2.0
_LEAVE_S = 5.0
_PEEP_S = 0.05
_MAX_LEFTOVER_BYTES = 256 * MIB  # what an interrupted <read> still sends; ours are 64 MiB long
_FIREHOSE_MARKS = (b"<?xml", b"<data")
_AWAITS_DATA = b"Read non multiple sector size value from USB"  # generation 3, of too short data


@dataclass(frozen=True)
class Answering:
    """What answered: exactly one of these, unless an upload was interrupted.

    hello: how the boot ROM greeted. commanding: it is in command mode and can be asked who it is.
    programmer_first: what a programmer said already. streaming: a programmer of Streaming Download.
    dmss: a boot ROM of DMSS Download. interrupted: in which state an earlier program
    has left the boot ROM; it has been told to start over, and leaves the bus.
    """

    boot_rom: BootRom | None = None
    hello: host.HelloSeen | None = None
    commanding: bool = False
    programmer_first: bytes | None = None
    streaming: bool = False
    dmss: bool = False
    interrupted: str = ""


def find_out(transport: Transport, emit: Emit = ignore, *, ask: bool = False) -> Answering:
    """Find out what runs on the phone.

    ask: the boot ROM shall be asked who it is.

    Raises:
        CrashDumpError: a crashed phone, which takes no image.
        MuteError: nothing that answers, or a programmer in the middle of a write.
        ProtocolError: it talks without end.
        TransportError: the connection fails.
    """
    ladder = _Ladder(transport, emit, ask=ask)
    for rung in (ladder.listen, ladder.knock, ladder.ask, ladder.start_over):
        answering = ladder.climb(rung)
        if answering is not None:
            return answering
    raise mute(takes=ladder.takes)


def listen(transport: Transport, emit: Emit = ignore) -> Answering | None:
    """Return what answers unasked, or None: the first rung alone.

    Raises:
        CrashDumpError, ProtocolError, TransportError: see `find_out`.
    """
    return _Ladder(transport, emit).listen()


def leaves(transport: Transport) -> bool:
    """Tell whether the phone leaves the bus now, as it does for a reset."""
    try:
        _discard(transport, _LEAVE_S, ignore)
    except DeviceGoneError:
        return True
    except (ProtocolError, TransportError) as error:
        _log.info("waiting for the phone to leave: %s", error)
    return False


_REMEDIES_AMID_WRITE = (
    "Hold the power button (with volume down) for 15 seconds, then enter EDL mode again.",
    "The job that was interrupted is incomplete. If it was one of edl: edl resume finishes it.",
)


def _awaits_data() -> MuteError:
    return MuteError(
        "The phone is in the middle of an interrupted write: its programmer takes every command for"
        " the data that is missing.",
        remedies=_REMEDIES_AMID_WRITE,
    )


def mute(*, takes: bool) -> MuteError:
    """Return the error for a phone that does not answer. takes: it takes what is sent to it."""
    if not takes:
        return MuteError(
            "The phone is connected but mute: it neither says anything nor takes anything."
        )
    return MuteError(
        "The phone is connected but mute: it takes every command and answers none, as a programmer"
        " does that still awaits the data of an interrupted write.",
        remedies=(*_REMEDIES_AMID_WRITE, MuteError.remedies[1]),
    )


class _Ladder:
    """One climb. takes: the phone has taken something that was sent to it."""

    def __init__(self, transport: Transport, emit: Emit, *, ask: bool = False) -> None:
        self._transport = transport
        self._mode = Mode.COMMAND if ask else Mode.IMAGE_PENDING
        self._emit = emit
        self._halted = False
        self.takes = False

    def climb(self, rung: Callable[[], Answering | None]) -> Answering | None:
        """Return what a rung finds; an endpoint that was halted is tried once more."""
        try:
            return rung()
        except (TransportTimeoutError, DeviceGoneError, AccessError):
            raise
        except TransportError as error:
            if self._halted:
                raise
            self._halted = True
            _log.info("trying again after: %s", error)
            self._emit(Stage("connect", "the connection was halted: trying again"))
            return rung()

    def listen(self) -> Answering | None:
        return self._hear(BootRom(self._transport, self._emit), LISTEN_S)

    def knock(self) -> Answering | None:
        self._emit(
            Stage("connect", "the phone does not greet: asking what runs on it (step 2 of 4)")
        )
        rom = BootRom(self._transport, self._emit)
        self.takes |= rom.wake(self._mode)
        return self._hear(rom, WAKE_S)

    def ask(self) -> Answering | None:
        self._emit(Stage("connect", "it is silent: asking for a programmer (step 3 of 4)"))
        with contextlib.suppress(TransportTimeoutError):
            self._transport.write(commands.nop(), WAKE_S)
            self.takes = True
        answering = self._hear(BootRom(self._transport, self._emit), _ASK_S)
        return answering or self._ask_in_frames()

    def _ask_in_frames(self) -> Answering | None:
        """Ask as the protocols before Firehose do: an answer comes at once."""
        with contextlib.suppress(TransportTimeoutError):
            self._transport.write(dmss.DmssHost().nop(), WAKE_S)
        return self._hear(BootRom(self._transport, self._emit), LISTEN_S)

    def start_over(self) -> Answering | None:
        if not self.takes:
            return None
        self._emit(Stage("connect", "still silent: telling it to start over (step 4 of 4)"))
        rom = BootRom(self._transport, self._emit)
        with contextlib.suppress(TransportTimeoutError):
            rom.start_over()
            if (answering := self._hear(rom, WAKE_S)) is not None:
                return answering
        if rom.reset():
            return Answering(interrupted="it awaited a reset")
        return None

    def _hear(self, rom: BootRom, wait_s: float) -> Answering | None:
        """Return what comes within wait_s; None for silence, and for what is no answer to us."""
        try:
            data = bytes(self._transport.read(wait_s))
        except TransportTimeoutError:
            return None
        if data.lstrip(b"\0\r\n ").startswith(_FIREHOSE_MARKS):
            if _AWAITS_DATA in data:
                raise _awaits_data()
            return Answering(programmer_first=data)
        data, payload = self._framed(data)
        if payload:
            return Answering(dmss=True) if dmss.is_answer(payload) else Answering(streaming=True)
        rom.receive(data)
        try:
            event = rom.next_event(WAKE_S)
        except (ProtocolError, TransportTimeoutError) as error:
            _log.info("what came is no answer to us: %s", error)
            _discard(self._transport, LISTEN_S, self._emit)
            return None
        return _boot_rom_speaks(rom, event)

    def _framed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what has come, and the payload of the first frame in it, empty if there is none.

        A Sahara packet has zeros in its second to fourth byte, which no frame has.
        """
        frames, payload = Unframer(), b""
        frames.receive(data)
        while data[1:4] != bytes(3) and not payload and len(data) <= MAX_FRAME_BYTES:
            while not payload and (frame := frames.next_frame()) is not None:
                payload = frame.payload if frame.intact else b""
            if payload:
                break
            try:
                more = bytes(self._transport.read(_PEEP_S))
            except TransportTimeoutError:
                break
            frames.receive(more)
            data += more
        return data, payload


def _discard(transport: Transport, wait_s: float, emit: Emit) -> None:
    """Take what belongs to an earlier program that stopped midway: sectors, parts of packets.

    Raises:
        ProtocolError: there is no end of it.
    """
    size = 0
    while size < _MAX_LEFTOVER_BYTES:
        try:
            arrived = len(transport.read(wait_s))
        except TransportTimeoutError:
            return
        if not size:
            emit(Stage("connect", "taking what an earlier program has asked for and not read"))
        size += arrived
    raise ProtocolError("The phone sends without end, and none of it is an answer.")


def _boot_rom_speaks(rom: BootRom, event: host.Event) -> Answering:
    match event:
        case host.HelloSeen(mode=Mode.MEMORY_DEBUG):
            return _offers_crash_dump(rom)
        case host.MemoryOffered():
            raise crash_dump()
        case host.HelloSeen():
            return Answering(boot_rom=rom, hello=event)
        case host.CommandReady():
            return Answering(boot_rom=rom, commanding=True)
        case host.ProgrammerSpeaks():
            return Answering(programmer_first=rom.leftover())
        case host.ImageEnded(image_id, status):
            rom.reset()
            return Answering(interrupted=f"image {image_id}, {status.name}")
        case host.ImageRequested(image_id, offset) if offset:
            rom.reset()  # what it has got so far is of a file that nobody knows
            return Answering(interrupted=f"image {image_id}, from byte {offset} on")
        case _:
            rom.push_back(event)
            return Answering(boot_rom=rom)


def _offers_crash_dump(rom: BootRom) -> Answering:
    """Ask for an image all the same: some boot ROMs take one (Galaxy S21: bkerler/edl#404)."""
    try:
        rom.wake()
        event = rom.next_event(WAKE_S)
    except (ProtocolError, TransportTimeoutError) as error:
        raise crash_dump() from error
    if not isinstance(event, host.ImageRequested):
        raise crash_dump()
    rom.push_back(event)
    return Answering(boot_rom=rom)
