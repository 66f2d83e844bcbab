# SPDX-License-Identifier: BSD-3-Clause
"""The host's side of Streaming Download, without I/O: bytes in, events out, and frames to send.

    transport.write(host.hello())
    host.receive(data)                    # whatever arrived, in any pieces
    while (event := host.next_event()):   # what it means
        ...

One request is under way at a time; only its answer, logs and errors are events. What answers an
earlier request, as happens when a frame was sent again, is passed over. Nothing that arrives raises
an error: what cannot be understood is `Damaged`, and the session decides.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeVar

from edl.errors import ProtocolError
from edl.formats.texts import printable
from edl.streaming import packets
from edl.streaming.hdlc import Frame, Unframer, encode
from edl.streaming.packets import Command, ErrorCode, Feature, Opened, OpenStatus, TableStatus
from edl.wire import Packet

VERSIONS = (3, 2)  # with sector addresses, and without: what is tried, in this order
COMPATIBLE_VERSION = 2
_MAX_TEXT_CHARS = 1024
_MAX_SECTOR_SIZES = 4096

Head = TypeVar("Head", bound=Packet)


@dataclass(frozen=True)
class Hello:
    """What the device says about itself. block_bytes: data that it prefers in one packet.

    window: packets that it takes without having answered. sector_sizes: of the flash, where told.
    checks: whether its frames have a CRC; some loaders leave it out.
    """

    version: int
    compatible_version: int
    block_bytes: int
    base_address: int
    flash_id: str
    window: int
    sector_sizes: tuple[int, ...]
    features: int
    checks: bool = True

    @property
    def counts_sectors(self) -> bool:
        """Whether addresses are numbers of sectors, not of bytes."""
        return bool(self.features & Feature.SECTOR_ADDRESSES)


@dataclass(frozen=True)
class Data:
    """Answer to READ."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Done:
    """The request was carried out. status: what OPEN_MULTI and PARTITION_TABLE say, else 0."""

    command: Command
    status: int = 0


@dataclass(frozen=True)
class Refused:
    """The device says no."""

    code: ErrorCode
    text: str


@dataclass(frozen=True)
class LogLine:
    """The device tells something unasked."""

    text: str


@dataclass(frozen=True)
class Damaged:
    """A frame whose CRC is wrong, or that is no packet. why: in words."""

    why: str


Event = Hello | Data | Done | Refused | LogLine | Damaged


@dataclass(frozen=True)
class _Due:
    """The answer that is awaited. address, length: where it has to repeat them."""

    command: Command
    address: int | None = None
    length: int = 0
    echo: bytes = b""


class StreamingHost:
    """One conversation with a programmer that speaks Streaming Download."""

    def __init__(self) -> None:
        self._frames = Unframer()
        self._due: _Due | None = None
        self._checks = True

    # -- what arrives ---------------------------------------------------------------------------

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the device, in any pieces."""
        self._frames.receive(data)

    def next_event(self) -> Event | None:
        """Return what arrived next, or None if it takes more bytes."""
        while (frame := self._frames.next_frame()) is not None:
            if (event := self._event(frame)) is not None:
                return event
        return None

    def _event(self, frame: Frame) -> Event | None:
        due = self._due
        if not frame.intact and due is not None and due.command is Command.HELLO_RESP:
            try:
                return self._answered(_hello(frame.whole, checks=False))
            except ProtocolError:
                return Damaged("its checksum is wrong")
        if not frame.intact and self._checks:
            return Damaged("its checksum is wrong")
        try:
            return self._packet(frame.payload if frame.intact else frame.whole)
        except ProtocolError as error:
            return Damaged(error.message)

    def _packet(self, data: bytes) -> Event | None:
        """Return what a packet means; None for the answer to an earlier request."""
        command = Command(packets.first_byte(data))
        if command is Command.LOG:
            return LogLine(_text(data[1:]))
        if command is Command.ERROR:
            head, text = _split(packets.ErrorHead, data)
            self._due = None
            return Refused(head.code, _text(text))
        if self._due is None or command is not self._due.command:
            return None
        match command:
            case Command.HELLO_RESP:
                return self._answered(_hello(data, checks=True))
            case Command.READ_RESP | Command.STREAM_WRITE_RESP:
                return self._addressed(self._due, data)
            case Command.OPEN_MULTI_RESP | Command.PARTITION_TABLE_RESP:
                return self._answered(Done(command, packets.Byte.unpack(data).value))
            case Command.NOP_RESP if data[1:] != self._due.echo:
                return None
            case _:
                return self._answered(Done(command))

    def _addressed(self, due: _Due, data: bytes) -> Event | None:
        head, rest = _split(packets.Addressed, data)
        if head.address != due.address:
            return None
        if len(rest) != due.length:
            raise ProtocolError(f"it has {len(rest)} bytes of data, {due.length} were due")
        if due.command is Command.READ_RESP:
            return self._answered(Data(head.address, rest))
        return self._answered(Done(head.command))

    def _answered(self, event: Event) -> Event:
        self._due = None
        if isinstance(event, Hello):
            self._checks = event.checks
        return event

    # -- what to send ---------------------------------------------------------------------------

    def _request(self, packet: bytes, due: _Due) -> bytes:
        self._due = due
        return encode(packet)

    def hello(self, version: int = VERSIONS[0]) -> bytes:
        """Return HELLO. version: 3 asks for sector addresses, 2 for addresses in bytes."""
        features = Feature.UNCOMPRESSED | Feature.MULTI_IMAGE
        if version > COMPATIBLE_VERSION:
            features |= Feature.SECTOR_ADDRESSES
        packet = packets.HelloRequest(
            Command.HELLO, packets.HOST_MAGIC, version, COMPATIBLE_VERSION, features
        )
        return self._request(packet.pack(), _Due(Command.HELLO_RESP))

    def nop(self, echo: bytes = b"ping") -> bytes:
        """Return NOP; the device sends echo back."""
        return self._request(bytes((Command.NOP,)) + echo, _Due(Command.NOP_RESP, echo=echo))

    def security_mode(self, mode: packets.Security) -> bytes:
        """Return SECURITY_MODE."""
        packet = packets.Byte(Command.SECURITY_MODE, mode)
        return self._request(packet.pack(), _Due(Command.SECURITY_MODE_RESP))

    def open(self, what: Opened, name: str = "") -> bytes:
        """Return OPEN_MULTI. name: of the partition, where what says that it has one.

        Raises:
            ValueError: name is no ASCII, or too long.
        """
        packet = packets.Byte(Command.OPEN_MULTI, what).pack()
        if what is Opened.PARTITION:
            text = name.encode("ascii")
            if not 0 < len(text) <= packets.MAX_NAME_BYTES or b"\0" in text:
                raise ValueError(f"'{name}' is no name of a partition")
            packet += text + b"\0"
        return self._request(packet, _Due(Command.OPEN_MULTI_RESP))

    def close(self) -> bytes:
        """Return CLOSE: what was written is on the flash when it is answered."""
        return self._request(bytes((Command.CLOSE,)), _Due(Command.CLOSE_RESP))

    def partition_table(self, table: bytes, *, override: bool) -> bytes:
        """Return PARTITION_TABLE (NAND). override: it takes the place of one that differs.

        Raises:
            ValueError: table is too long.
        """
        if len(table) > packets.MAX_TABLE_BYTES:
            raise ValueError(f"a partition table of {len(table)} bytes cannot be sent")
        packet = packets.Byte(Command.PARTITION_TABLE, int(override)).pack() + table
        return self._request(packet, _Due(Command.PARTITION_TABLE_RESP))

    def read(self, address: int, length: int) -> bytes:
        """Return READ of length bytes, at most MAX_DATA_BYTES."""
        packet = packets.ReadRequest(Command.READ, address, length)
        return self._request(packet.pack(), _Due(Command.READ_RESP, address, length))

    def write(self, address: int, data: bytes | memoryview) -> bytes:
        """Return STREAM_WRITE of data, at most MAX_DATA_BYTES."""
        packet = packets.Addressed(Command.STREAM_WRITE, address).pack() + bytes(data)
        return self._request(packet, _Due(Command.STREAM_WRITE_RESP, address))

    def reset(self) -> bytes:
        """Return RESET: the phone starts anew."""
        return self._request(bytes((Command.RESET,)), _Due(Command.RESET_RESP))

    def power_off(self) -> bytes:
        """Return POWER_OFF, without any data: loaders that were tampered with would run that."""
        return self._request(bytes((Command.POWER_OFF,)), _Due(Command.POWER_OFF_RESP))


def status_text(command: Command, status: int) -> str:
    """Return what the status in an answer means; empty for success."""
    kind = OpenStatus if command is Command.OPEN_MULTI_RESP else TableStatus
    return kind(status).name.lower().replace("_", " ") if status else ""


def _split(kind: type[Head], data: bytes) -> tuple[Head, bytes]:
    size = kind.size()
    return kind.unpack(data[:size]), data[size:]


def _text(data: bytes) -> str:
    return printable(data.rstrip(b"\0").decode("latin-1")[:_MAX_TEXT_CHARS])


def _hello(data: bytes, *, checks: bool) -> Hello:
    """Return what HELLO_RESP says.

    Raises:
        ProtocolError: data is none.
    """
    head, rest = _split(packets.HelloHead, data)
    if head.command is not Command.HELLO_RESP or head.magic != packets.TARGET_MAGIC:
        raise ProtocolError("it is no answer to HELLO")
    flash_id, rest = rest[: head.flash_id_bytes], rest[head.flash_id_bytes :]
    middle, rest = _split(packets.HelloMiddle, rest)
    if middle.sectors > _MAX_SECTOR_SIZES or len(rest) != 4 * middle.sectors + 1:
        raise ProtocolError(f"HELLO has {len(rest)} bytes where {middle.sectors} sizes are due")
    return Hello(
        head.version,
        head.compatible_version,
        head.block_bytes,
        head.base_address,
        _text(flash_id),
        middle.window,
        struct.unpack_from(f"<{middle.sectors}I", rest),
        rest[-1],
        checks,
    )
