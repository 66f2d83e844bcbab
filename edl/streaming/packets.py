# SPDX-License-Identifier: BSD-3-Clause
"""Packets of Streaming Download: a command byte, then numbers, little-endian.

An answer has the number of its request plus one. Layouts: openpst's definitions and forth32/qtools;
where they disagree, docs/streaming.md says which one is followed. Commands that destroy more than
they are told (ERASE_FLASH, 0x1d, and QFPROM, 0x32 to 0x35) are left out on purpose.
"""

from __future__ import annotations

from typing import Annotated

from edl.errors import ProtocolError
from edl.wire import OpenEnum, Packet, Wire, u8, u16, u32

HOST_MAGIC = b"QCOM fast download protocol host"
TARGET_MAGIC = b"QCOM fast download protocol targ"
MAX_DATA_BYTES = 1024  # of one READ or STREAM_WRITE
MAX_TABLE_BYTES = 512  # of PARTITION_TABLE (openpst; others send up to 1024)
MAX_NAME_BYTES = 511  # of a partition, without the NUL behind it


class Command(OpenEnum):
    """First byte of a packet. (H) is sent by the host, (D) by the device."""

    HELLO = 0x01  # H
    HELLO_RESP = 0x02  # D
    READ = 0x03  # H
    READ_RESP = 0x04  # D
    STREAM_WRITE = 0x07  # H
    STREAM_WRITE_RESP = 0x08  # D
    NOP = 0x09  # H
    NOP_RESP = 0x0A  # D
    RESET = 0x0B  # H
    RESET_RESP = 0x0C  # D
    ERROR = 0x0D  # D
    LOG = 0x0E  # D
    POWER_OFF = 0x11  # H
    POWER_OFF_RESP = 0x12  # D
    CLOSE = 0x15  # H
    CLOSE_RESP = 0x16  # D
    SECURITY_MODE = 0x17  # H
    SECURITY_MODE_RESP = 0x18  # D
    PARTITION_TABLE = 0x19  # H
    PARTITION_TABLE_RESP = 0x1A  # D
    OPEN_MULTI = 0x1B  # H
    OPEN_MULTI_RESP = 0x1C  # D


class Feature:
    """Bits of HELLO."""

    UNCOMPRESSED = 0x01
    NAND_BOOTABLE = 0x02
    NAND_BOOT_LOADER = 0x04
    MULTI_IMAGE = 0x08
    SECTOR_ADDRESSES = 0x10


class Security(OpenEnum):
    """What SECURITY_MODE asks for."""

    UNTRUSTED = 0
    TRUSTED = 1


class Opened(OpenEnum):
    """What OPEN_MULTI opens, as far as it is used here."""

    PARTITION = 0x0E  # by its name, on NAND
    EMMC_USER = 0x21
    EMMC_BOOT0 = 0x22
    EMMC_BOOT1 = 0x23


class OpenStatus(OpenEnum):
    """What the device says to OPEN_MULTI."""

    OPENED = 0
    NAME_TOO_LONG = 1
    NO_NAME_EXPECTED = 2
    NAME_MISSING = 3
    BLOCK_0_PROTECTED = 4


class TableStatus(OpenEnum):
    """What the device says to PARTITION_TABLE."""

    ACCEPTED = 0
    DIFFERS = 1
    UNKNOWN_FORMAT = 2
    ERASE_FAILED = 3


class ErrorCode(OpenEnum):
    """Why the device says no, in ERROR."""

    BAD_ADDRESS = 0x02
    BAD_LENGTH = 0x03
    UNEXPECTED_END = 0x04
    BAD_COMMAND = 0x05
    OPERATION_FAILED = 0x07
    WRONG_FLASH_ID = 0x08
    BAD_VOLTAGE = 0x09
    WRITE_VERIFY_FAILED = 0x0A
    WRONG_SECURITY_CODE = 0x0C
    CANNOT_POWER_DOWN = 0x0D
    NAND_NOT_SUPPORTED = 0x0E
    OUT_OF_SEQUENCE = 0x0F
    CLOSE_FAILED = 0x10
    BAD_FEATURE_BITS = 0x11
    OUT_OF_SPACE = 0x12
    BAD_SECURITY_MODE = 0x13
    MULTI_NAND_NOT_SUPPORTED = 0x14
    POWER_OFF_NOT_SUPPORTED = 0x15
    COMMAND_NOT_SUPPORTED = 0x16
    BAD_CRC = 0x17
    BAD_STATE = 0x18
    TIMEOUT = 0x19
    IMAGE_NOT_AUTHENTIC = 0x1A


Magic = Annotated[bytes, Wire("32s")]
CommandByte = Annotated[Command, Wire("B")]


class HelloRequest(Packet):
    """(H) HELLO: the versions and features that the host has."""

    command: CommandByte
    magic: Magic
    version: u8
    compatible_version: u8
    features: u8


class HelloHead(Packet):
    """(D) HELLO_RESP, up to the flash id: flash_id_bytes of it follow, then HelloMiddle."""

    command: CommandByte
    magic: Magic
    version: u8
    compatible_version: u8
    block_bytes: u32  # that the device prefers
    base_address: u32
    flash_id_bytes: u8


class HelloMiddle(Packet):
    """(D) HELLO_RESP behind the flash id: a u32 for each of sectors follows, then features, u8."""

    window: u16
    sectors: u16


class ReadRequest(Packet):
    """(H) READ."""

    command: CommandByte
    address: u32
    length: u16


class Addressed(Packet):
    """(D) READ_RESP, with the data behind it, and STREAM_WRITE_RESP; (H) STREAM_WRITE."""

    command: CommandByte
    address: u32


class Byte(Packet):
    """(H) SECURITY_MODE, PARTITION_TABLE, OPEN_MULTI; (D) the answers to the latter two."""

    command: CommandByte
    value: u8


class ErrorHead(Packet):
    """(D) ERROR: text follows."""

    command: CommandByte
    code: Annotated[ErrorCode, Wire("I")]


def first_byte(data: bytes) -> int:
    """Return the command byte of a packet.

    Raises:
        ProtocolError: there is none.
    """
    if not data:
        raise ProtocolError("it is empty")
    return data[0]
