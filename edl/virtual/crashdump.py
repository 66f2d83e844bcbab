# SPDX-License-Identifier: BSD-3-Clause
"""A crashed phone (900e) as software: a boot loader that offers its memory over Sahara.

It shares nothing with the host but the table of packets. Like real ones it greets once, serves
reads of what its table lists, answers anything else with END_OF_IMAGE in place of memory, and then
awaits a reset: with that, its memory is lost (sahara.md 2.3, 4.3, 8).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NoReturn

from edl.errors import ProtocolError
from edl.sahara import packets
from edl.sahara.packets import Mode
from edl.virtual.link import Exit, Firmware, Receive, Request, Send

_ENTRY = {32: "<3I20s20s", 64: "<3Q20s20s"}  # qcom-memory-dump-collector MemoryDumpCollector.cpp
_VERSION, _VERSION_MIN = 2, 1
_IMAGE_ID = 13  # what refusals name, whatever they are about: openpst/sahara#6


@dataclass(frozen=True)
class Region:
    """One region of a dump.

    listed_bytes: length that the table gives, if it is not that of data: what lies behind data
    cannot be read. saved: whether hosts should save it without being asked.
    """

    address: int
    data: bytes
    description: str
    file_name: str
    saved: bool = True
    listed_bytes: int | None = None


@dataclass(frozen=True)
class CrashDump:
    """A crash dump. bits: 32 or 64, of packets and table; the table lies at table_address.

    lenient: after a refusal it goes on, where most await a reset. knows_restart: it greets anew
    when the protocol is told to start over (RESET_STATE_MACHINE, from protocol 2.9 on).
    """

    regions: tuple[Region, ...]
    bits: int = 64
    table_address: int = 0x1468_0000
    lenient: bool = False
    knows_restart: bool = True

    @property
    def table(self) -> bytes:
        """The table of regions, as the phone has it in memory."""
        return b"".join(
            struct.pack(
                _ENTRY[self.bits],
                region.saved,
                region.address,
                len(region.data) if region.listed_bytes is None else region.listed_bytes,
                region.description.encode("latin-1"),
                region.file_name.encode("latin-1"),
            )
            for region in self.regions
        )

    def read(self, address: int, length: int) -> bytes | None:
        """Return length bytes from address on, or None if they do not lie in one region."""
        places = [(self.table_address, self.table)]
        places += [(region.address, region.data) for region in self.regions]
        for start, data in places:
            if start <= address and address + length <= start + len(data):
                return data[address - start : address - start + length]
        return None


class Stage(enum.Enum):
    """How far the conversation of a crashed phone has come."""

    GREETING = "it greets, or will"
    GREETED = "it awaits the answer to its greeting"
    SERVING = "it awaits reads of its memory"
    REFUSED = "it has refused something, and awaits a reset"


class _Status(enum.IntEnum):
    """What a crashed phone says in END_OF_IMAGE."""

    INVALID_CMD = 0x01
    INVALID_PACKET_SIZE = 0x05
    INVALID_HOST_MODE = 0x18
    INVALID_MEMORY_READ = 0x19


class _RefusalError(Exception):
    """The host asked for what is not given."""

    def __init__(self, status: _Status) -> None:
        super().__init__(status.name)
        self.status = status


class CrashedLoader:
    """The software of a phone that has crashed.

    Attributes:
        stage: how far it has come.
    """

    def __init__(self, dump: CrashDump, stage: Stage = Stage.GREETING) -> None:
        self._dump = dump
        self.stage = stage

    def run(self) -> Firmware:
        """Be that software; it ends with Exit("reset")."""
        while True:
            try:
                match self.stage:
                    case Stage.GREETING:
                        yield from self._greet()
                    case Stage.GREETED:
                        yield from self._offer()
                    case Stage.SERVING:
                        yield from self._serve()
                    case Stage.REFUSED:
                        yield from self._await_reset()
            except _RefusalError as refusal:
                serves = self.stage is Stage.SERVING and self._dump.lenient
                self.stage = Stage.SERVING if serves else Stage.REFUSED
                yield Send(packets.EndOfImage(_IMAGE_ID, refusal.status).to_bytes())
            except _RestartError:
                self.stage = Stage.GREETING
            except _ResetError:
                yield Send(packets.ResetResp().to_bytes())
                yield Exit("reset")
                return

    def _greet(self) -> Firmware:
        hello = packets.Hello(_VERSION, _VERSION_MIN, packets.MAX_PACKET_BYTES, Mode.MEMORY_DEBUG)
        yield Send(hello.to_bytes())
        self.stage = Stage.GREETED

    def _offer(self) -> Firmware:
        answer = yield from self._packet()
        if not isinstance(answer, packets.HelloResp):
            raise _RefusalError(_Status.INVALID_CMD)
        if answer.mode is not Mode.MEMORY_DEBUG:
            raise _RefusalError(_Status.INVALID_HOST_MODE)
        dump = self._dump
        offer = packets.MemDebug if dump.bits == 32 else packets.MemDebug64
        self.stage = Stage.SERVING
        yield Send(offer(dump.table_address, len(dump.table)).to_bytes())

    def _serve(self) -> Generator[Request, Any, NoReturn]:
        request = packets.MemRead if self._dump.bits == 32 else packets.MemRead64
        while True:
            packet = yield from self._packet()
            if not isinstance(packet, request):
                raise _RefusalError(_Status.INVALID_CMD)
            data = self._dump.read(packet.address, packet.length)
            if data is None:
                raise _RefusalError(_Status.INVALID_MEMORY_READ)
            yield Send(data)

    def _await_reset(self) -> Generator[Request, Any, NoReturn]:
        while True:
            try:
                yield from self._packet()
            except _RefusalError:
                continue

    def _packet(self) -> Generator[Request, Any, packets.SaharaPacket]:
        """Return the next packet of the host."""
        data = b""
        while not data:  # a zero-length packet means nothing itself
            data = yield Receive(packets.MAX_PACKET_BYTES)
        try:
            packet = packets.parse(bytes(data))
        except ProtocolError as error:
            known = len(data) >= packets.HEADER_BYTES and packets.Command(data[0]).known
            status = _Status.INVALID_PACKET_SIZE if known else _Status.INVALID_CMD
            raise _RefusalError(status) from error
        if isinstance(packet, packets.Reset):
            raise _ResetError
        if isinstance(packet, packets.ResetStateMachine) and self._dump.knows_restart:
            raise _RestartError
        return packet


class _RestartError(Exception):
    """The protocol starts over with a new HELLO."""


class _ResetError(Exception):
    """The host asked for a reset."""
