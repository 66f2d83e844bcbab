# SPDX-License-Identifier: BSD-3-Clause
"""DMSS Download without I/O: what boot ROMs spoke before Sahara. Big-endian, in the same frames.

    transport.write(host.nop())
    host.receive(data)
    event = host.next_event()             # Answered, Rejected, Parameters, Damaged or None

The boot ROM only takes bytes for its memory and jumps there; what it has started speaks Streaming
Download. Commands that erase (0x04), dump memory or unlock have no place here. Facts: openpst's and
forth32/qtools' definitions.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edl.streaming.hdlc import Frame, Unframer, encode
from edl.wire import OpenEnum

LEAST_DATA_BYTES = 256  # of one WRITE_32: what every boot ROM takes
_PARAMETERS = struct.Struct(">BBHBBB")
_WRITE = struct.Struct(">BIH")
_GO = struct.Struct(">BI")


class Command(OpenEnum):
    """First byte of a packet. (H) is sent by the host, (D) by the device."""

    ACK = 0x02  # D
    NAK = 0x03  # D
    GO = 0x05  # H
    NOP = 0x06  # H
    PARAMETERS = 0x07  # H
    PARAMETERS_RESP = 0x08  # D
    RESET = 0x0A  # H
    WRITE_32 = 0x0F  # H


class Reason(OpenEnum):
    """Why the boot ROM says no, in NAK."""

    BAD_CRC = 0x01
    BAD_ADDRESS = 0x02
    BAD_LENGTH = 0x03
    UNEXPECTED_END = 0x04
    TOO_LARGE = 0x05
    BAD_COMMAND = 0x06
    OPERATION_FAILED = 0x07
    WRONG_FLASH_ID = 0x08
    BAD_VOLTAGE = 0x09
    WRITE_VERIFY_FAILED = 0x0A
    UNLOCK_REQUIRED = 0x0B
    WRONG_SECURITY_CODE = 0x0C
    CANNOT_POWER_DOWN = 0x0D
    NOT_PERMITTED = 0x0E
    BAD_READ_ADDRESS = 0x0F


@dataclass(frozen=True)
class Answered:
    """ACK: it was done."""


@dataclass(frozen=True)
class Rejected:
    """NAK: it was not."""

    reason: Reason


@dataclass(frozen=True)
class Parameters:
    """What the boot ROM can do. write_bytes: data that it takes in one WRITE_32."""

    version: int
    version_min: int
    write_bytes: int
    model: int


@dataclass(frozen=True)
class Damaged:
    """A frame whose CRC is wrong, or that is no answer. why: in words."""

    why: str


Event = Answered | Rejected | Parameters | Damaged


class DmssHost:
    """One conversation with a boot ROM."""

    def __init__(self) -> None:
        self._frames = Unframer()

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the device, in any pieces."""
        self._frames.receive(data)

    def leftover(self) -> bytes:
        """Return and forget what no event has used yet: a program that was started may speak."""
        return self._frames.leftover()

    def next_event(self) -> Event | None:
        """Return what arrived next, or None if it takes more bytes."""
        frame = self._frames.next_frame()
        return None if frame is None else _event(frame)

    # -- what to send ---------------------------------------------------------------------------

    def nop(self) -> bytes:
        """Return NOP, which is nothing but a question whether somebody is there."""
        return encode(bytes((Command.NOP,)))

    def parameters(self) -> bytes:
        """Return PARAMETERS."""
        return encode(bytes((Command.PARAMETERS,)))

    def write(self, address: int, data: bytes | memoryview) -> bytes:
        """Return WRITE_32: data goes to memory at address."""
        return encode(_WRITE.pack(Command.WRITE_32, address, len(data)) + bytes(data))

    def go(self, address: int) -> bytes:
        """Return GO: the program at address starts."""
        return encode(_GO.pack(Command.GO, address))

    def reset(self) -> bytes:
        """Return RESET: the chip resets."""
        return encode(bytes((Command.RESET,)))


def is_answer(payload: bytes) -> bool:
    """Tell whether payload, of an intact frame, is what such a boot ROM answers to NOP.

    A programmer of Streaming Download, which knows no NOP of this number, sends an error instead.
    """
    ack = payload == bytes((Command.ACK,))
    return ack or (len(payload) == 3 and payload[0] == Command.NAK)


def _event(frame: Frame) -> Event:
    if not frame.intact:
        return Damaged("its checksum is wrong")
    command, body = Command(frame.payload[0]), frame.payload[1:]
    if command is Command.ACK and not body:
        return Answered()
    if command is Command.NAK and len(body) == 2:
        return Rejected(Reason(int.from_bytes(body, "big")))
    if command is Command.PARAMETERS_RESP and len(body) >= _PARAMETERS.size:
        version, least, size, model, _, _ = _PARAMETERS.unpack_from(body)
        return Parameters(version, least, size, model)
    return Damaged(f"it is no answer: {frame.payload[:16].hex()}")
