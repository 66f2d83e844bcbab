# SPDX-License-Identifier: BSD-3-Clause
"""A crashed phone (900E) over a transport: the regions that it offers, their bytes, a restart.

What it refuses it answers with END_OF_IMAGE, and then mostly awaits a reset, with which its memory
is lost. So nothing is tried here that is not needed: no question about who it is, no second
greeting, and no read outside its table.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from edl.device.sahara import BootRom
from edl.errors import (
    MemoryRefusedError,
    MuteError,
    NoDeviceError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.events import Emit, Stage, ignore
from edl.sahara import host, memory
from edl.sahara.host import MemoryOffered
from edl.sahara.memory import MemoryAnswer, Region
from edl.sahara.packets import Command, Mode
from edl.sahara.status import Status, words
from edl.transport import Transport

_log = logging.getLogger(__name__)

GREETING_S = 3.0
ANSWER_S = 10.0
DATA_S = 30.0  # qdl waits as long for a piece
_SILENCE_S = 0.5  # after which what looks like a refusal on a byte stream is one
_RESTART_S = 2.0
_MAX_STALE = 16
_HELLO = Command.HELLO.to_bytes(4, "little")
_HELLO_BYTES = 0x30
_MAX_LEFTOVERS = 4096  # transfers, or pieces of a stream, of one read

Sink = Callable[[bytes | memoryview], object]


@dataclass(frozen=True)
class Dump:
    """What a crashed phone offers. table: its bytes as the phone has them."""

    offer: MemoryOffered
    table: bytes
    regions: tuple[Region, ...]


class CrashedPhone:
    """A phone in memory-debug mode."""

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._transport = transport
        self._emit = emit
        self._rom = BootRom(transport, emit)
        self._wide = True

    def open(self, known: MemoryOffered | None = None) -> Dump:
        """Take the phone's offer, and read the table of its regions.

        known: what it offered an earlier run since it joined the bus: it greets only once, and
        then awaits the next read for as long as it is left alone.

        Raises:
            MuteError: it does not answer.
            NoDeviceError: it offers no crash dump.
            MemoryRefusedError: it refuses to give its table.
            ProtocolError: its table cannot be one.
            TransportError: the connection fails.
        """
        offer = self._offer(known)
        memory.require_table(offer.table_bytes)
        self._wide = offer.wide
        table = bytearray()
        self.read(offer.table_address, offer.table_bytes, table.extend)
        return Dump(offer, bytes(table), memory.parse_table(bytes(table), wide=offer.wide))

    def _offer(self, known: MemoryOffered | None) -> MemoryOffered:
        event = self._first()
        if event is None and known is not None:
            self._emit(Stage("connect", "it has greeted an earlier run: going on with it"))
            return known
        if event is None:
            self._emit(Stage("connect", "the phone does not greet: knocking"))
            self._rom.wake(Mode.MEMORY_DEBUG)
        for _ in range(_MAX_STALE):
            match event or self._next():
                case MemoryOffered() as offer:
                    return offer
                case host.HelloSeen(mode=Mode.MEMORY_DEBUG):
                    self._rom.ask_for(Mode.MEMORY_DEBUG)
                    event = None
                case host.ImageEnded(_, status):
                    raise _no_offer(status)
                case _:
                    raise NoDeviceError(
                        "The phone is in EDL mode: it has not crashed, and offers no crash dump.",
                        remedies=("To save what is on its storage: edl backup DIR",),
                    )
        raise ProtocolError("The phone greets without end, and offers nothing.")

    def _first(self) -> host.Event | None:
        """Return what the phone says by itself; None for nothing, or the rest of a broken read.

        Raises:
            ProtocolError: it sends without end.
        """
        try:
            return self._rom.next_event(GREETING_S)
        except TransportTimeoutError:
            return None
        except ProtocolError as error:
            _log.info("memory that an earlier run did not take: %s", error)
        self._emit(Stage("connect", "taking what an earlier run has asked for and not read"))
        for _ in range(_MAX_LEFTOVERS):
            try:
                data = self._transport.read(_SILENCE_S)
            except TransportTimeoutError:
                return None
            if len(data) == _HELLO_BYTES and data[:4] == _HELLO:
                self._rom.receive(data)
                return self._rom.next_event(GREETING_S)
        raise ProtocolError("The phone sends without end, and none of it is an answer.")

    def _next(self) -> host.Event:
        try:
            return self._rom.next_event(ANSWER_S)
        except TransportTimeoutError as error:
            raise MuteError(
                "The crashed phone is connected but mute: it offers nothing.",
                remedies=RESTART,
            ) from error

    def read(self, address: int, length: int, sink: Sink) -> None:
        """Read length bytes from address on; sink is called with all of them, in order.

        Raises:
            MemoryRefusedError: the phone refused; what it gave before has gone to sink.
            ProtocolError: it sent more than was asked for.
            TransportError: the connection fails, or nothing comes.
        """
        end = address + length
        while address < end:
            size = memory.next_length(end - address)
            self._rom.ask_for_memory(address, size, wide=self._wide)
            self._take(MemoryAnswer(size), address, sink)
            address += size

    def _take(self, answer: MemoryAnswer, address: int, sink: Sink) -> None:
        whole = self._transport.keeps_transfers
        while not answer.complete:
            try:
                data = self._transport.read(_SILENCE_S if answer.doubtful else DATA_S)
            except TransportTimeoutError:
                left = answer.left_bytes
                sink(answer.silence())
                if answer.left_bytes == left and answer.refused is None:
                    raise
            else:
                sink(answer.receive(data, whole_transfer=whole))
        if answer.refused is not None:
            _log.info("memory at %#x refused: %s", address, words(answer.refused))
            raise MemoryRefusedError(
                f"The phone refuses to give the memory at {address:#x}: {words(answer.refused)}."
            )

    def recover(self, dump: Dump) -> bool:
        """Try to go on after a refusal, with which nothing can be lost any more.

        Newer phones start the protocol over without a reset; some others just go on. Returns
        False for a phone that offers something else than before.
        """
        with contextlib.suppress(TransportTimeoutError, ProtocolError, NoDeviceError):
            self._rom.leftover()
            self._rom.start_over()
            if isinstance(self._rom.next_event(_RESTART_S), host.HelloSeen):
                self._rom.ask_for(Mode.MEMORY_DEBUG)
                return self._rom.next_event(ANSWER_S) == dump.offer
        return True

    def restart(self) -> bool:
        """Restart the phone; its memory is lost then. Returns whether it obeys.

        Some phones answer, some just leave (sahara.md 2.5).
        """
        return self._rom.reset()


def _no_offer(status: Status) -> NoDeviceError:
    """Return the error for a phone that does not take the wish for its memory."""
    if status is Status.INVALID_CMD:  # it awaits a read of memory, and no answer to a greeting
        return NoDeviceError(
            "The crashed phone was amid giving its memory to another program, and takes no new"
            f" start: {words(status)}.",
            remedies=RESTART,
        )
    return NoDeviceError(f"The phone offers no crash dump: {words(status)}.", remedies=NOT_OFFERED)


RESTART = (
    "Hold the power button for 15 seconds until the phone leaves USB; its memory is lost then.",
)
NOT_OFFERED = (
    "If it shall be written to: hold the power button for 15 seconds, then enter EDL mode.",
)
