# SPDX-License-Identifier: BSD-3-Clause
"""Every Sahara packet, in order of its command number.

(D) comes from the device, (H) from the host. All numbers are little-endian, and `length` counts
the 8 bytes of the header too. Layouts agree between linux-msm/qdl (sahara.c), Qualcomm's
qcom-memory-dump-collector (Sahara.h) and Linux' drivers/accel/qaic/sahara.c.
"""

from __future__ import annotations

import struct
from typing import Annotated, ClassVar, Self

from edl.errors import ProtocolError
from edl.wire import OpenEnum, Packet, Wire, u32, u64

HEADER_BYTES = 8
MAX_PACKET_BYTES = 0x400  # max_cmd_packet_len of every HELLO in public logs


class Command(OpenEnum):
    """First word of every packet."""

    HELLO = 0x01
    HELLO_RESP = 0x02
    READ_DATA = 0x03
    END_OF_IMAGE = 0x04
    DONE = 0x05
    DONE_RESP = 0x06
    RESET = 0x07
    RESET_RESP = 0x08
    MEM_DEBUG = 0x09
    MEM_READ = 0x0A
    CMD_READY = 0x0B
    SWITCH_MODE = 0x0C
    EXECUTE = 0x0D
    EXECUTE_RESP = 0x0E
    EXECUTE_DATA = 0x0F
    MEM_DEBUG64 = 0x10
    MEM_READ64 = 0x11
    READ_DATA64 = 0x12
    RESET_STATE_MACHINE = 0x13


class Mode(OpenEnum):
    """What the device offers in HELLO and the host chooses in HELLO_RESP."""

    IMAGE_PENDING = 0
    IMAGE_COMPLETE = 1
    MEMORY_DEBUG = 2
    COMMAND = 3


class Exec(OpenEnum):
    """Client commands of command mode."""

    NOP = 0x00
    SERIAL = 0x01
    HWID = 0x02
    PK_HASH = 0x03
    SWITCH_TO_DMSS = 0x04
    SWITCH_TO_STREAMING = 0x05
    DEBUG_DATA = 0x06
    SBL_VERSION = 0x07
    COMMAND_IDS = 0x08
    TRAINING_DATA = 0x09
    CHIP_ID_V3 = 0x0A


class SaharaPacket(Packet):
    """A packet with its own command number."""

    COMMAND: ClassVar[Command]

    def __init_subclass__(cls, *, command: Command, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        cls.COMMAND = command
        _BY_COMMAND[command] = cls

    def to_bytes(self) -> bytes:
        """Return header and body."""
        body = self.pack()
        return struct.pack("<II", self.COMMAND, HEADER_BYTES + len(body)) + body

    @classmethod
    def from_body(cls, body: bytes | bytearray | memoryview) -> Self:
        """Return the packet whose bytes behind the header are body.

        Raises:
            ProtocolError: body has another length than this packet.
        """
        return cls.unpack(body)


_BY_COMMAND: dict[int, type[SaharaPacket]] = {}


class Hello(SaharaPacket, command=Command.HELLO):
    """(D) Its protocol versions, and the mode that it starts in."""

    version: u32
    version_min: u32  # oldest version that the device still speaks
    max_packet_bytes: u32
    mode: Annotated[Mode, Wire("I")]
    reserved: Annotated[bytes, Wire("24s")] = bytes(24)


class HelloResp(SaharaPacket, command=Command.HELLO_RESP):
    """(H) The versions agreed on, and the mode that the host wants."""

    version: u32
    version_min: u32
    status: u32
    mode: Annotated[Mode, Wire("I")]
    reserved: Annotated[bytes, Wire("24s")] = bytes(24)


class ReadData(SaharaPacket, command=Command.READ_DATA):
    """(D) Wants length bytes of an image, from offset on."""

    image_id: u32
    offset: u32
    length: u32


class EndOfImage(SaharaPacket, command=Command.END_OF_IMAGE):
    """(D) The image is in, or something was refused: status says what."""

    image_id: u32
    status: u32


class Done(SaharaPacket, command=Command.DONE):
    """(H) Go on: start the image."""


class DoneResp(SaharaPacket, command=Command.DONE_RESP):
    """(D) 0: more images are wanted; 1: that was the last."""

    image_status: u32


class Reset(SaharaPacket, command=Command.RESET):
    """(H) Reset the chip."""


class ResetResp(SaharaPacket, command=Command.RESET_RESP):
    """(D) The chip resets now."""


class MemDebug(SaharaPacket, command=Command.MEM_DEBUG):
    """(D) Offers a crash dump; 32-bit address and length of its table of regions."""

    table_address: u32
    table_bytes: u32


class MemRead(SaharaPacket, command=Command.MEM_READ):
    """(H) Wants memory of a 32-bit crash dump."""

    address: u32
    length: u32


class CmdReady(SaharaPacket, command=Command.CMD_READY):
    """(D) Command mode is on."""


class SwitchMode(SaharaPacket, command=Command.SWITCH_MODE):
    """(H) Leave command mode; a new HELLO follows."""

    mode: Annotated[Mode, Wire("I")]


class Execute(SaharaPacket, command=Command.EXECUTE):
    """(H) Run a client command."""

    client_command: u32


class ExecuteResp(SaharaPacket, command=Command.EXECUTE_RESP):
    """(D) The client command has data_bytes of answer."""

    client_command: u32
    data_bytes: u32


class ExecuteData(SaharaPacket, command=Command.EXECUTE_DATA):
    """(H) Send the answer now, raw."""

    client_command: u32


class MemDebug64(SaharaPacket, command=Command.MEM_DEBUG64):
    """(D) Offers a crash dump; 64-bit address and length of its table of regions."""

    table_address: u64
    table_bytes: u64


class MemRead64(SaharaPacket, command=Command.MEM_READ64):
    """(H) Wants memory of a 64-bit crash dump."""

    address: u64
    length: u64


class ReadData64(SaharaPacket, command=Command.READ_DATA64):
    """(D) As ReadData, with 64-bit numbers."""

    image_id: u64
    offset: u64
    length: u64


class ResetStateMachine(SaharaPacket, command=Command.RESET_STATE_MACHINE):
    """(H) Start the protocol over, without a reset of the chip."""


_SHORT_HELLO_BODY_BYTES = 12  # version 1: no mode and no reserved words


def parse(data: bytes | bytearray | memoryview) -> SaharaPacket:
    """Return the packet in data, which holds exactly one.

    A HELLO may be cut behind its third word, as old version 1 devices might send it.

    Raises:
        ProtocolError: data is no Sahara packet.
    """
    if len(data) < HEADER_BYTES:
        raise ProtocolError(f"A Sahara packet has at least 8 bytes, {len(data)} arrived.")
    number, length = struct.unpack_from("<II", data)
    if length != len(data):
        raise ProtocolError(f"Sahara packet {number:#x} says {length} bytes, {len(data)} arrived.")
    kind = _BY_COMMAND.get(number)
    if kind is None:
        raise ProtocolError(f"Sahara command {number:#x} is not known.")
    body = bytes(data[HEADER_BYTES:])
    if kind is Hello and _SHORT_HELLO_BODY_BYTES <= len(body) < Hello.size():
        body += bytes(Hello.size() - len(body))
    return kind.from_body(body)
