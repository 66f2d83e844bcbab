# SPDX-License-Identifier: BSD-3-Clause
"""Memory debug, the crash dump over Sahara: the table of regions, and answers to MEM_READ.

The phone offers a table (MEM_DEBUG, MEM_DEBUG64); table and regions are read with the same packet
and come raw. Where it refuses, END_OF_IMAGE comes *in place of* the memory, without any mark: 16
bytes that only their length tells from memory. So no read ever asks for 16 bytes (as Linux'
drivers/accel/qaic/sahara.c avoids them). Layouts: qcom-memory-dump-collector,
MemoryDumpCollector.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from edl.errors import ProtocolError
from edl.sahara import packets
from edl.sahara.packets import Command
from edl.sahara.status import Status
from edl.units import MIB
from edl.wire import Packet, Wire, u32, u64

READ_BYTES = 1 * MIB  # what qcom-memory-dump-collector asks for at once
MAX_TABLE_BYTES = 64 * 1024  # qdl's limit: 1024 regions; real tables have 10 to 80
MAX_REGION_BYTES = 1 << 40  # a region that is larger than any phone's memory is a lie

_REFUSAL_BYTES = packets.HEADER_BYTES + packets.EndOfImage.size()
_REFUSAL_START = struct.pack("<II", Command.END_OF_IMAGE, _REFUSAL_BYTES)
_SHORT_BYTES = 8  # a read that is shorter than a refusal


class _Entry32(Packet):
    save: u32
    address: u32
    length: u32
    description: Annotated[bytes, Wire("20s")]
    file_name: Annotated[bytes, Wire("20s")]


class _Entry64(Packet):
    save: u64
    address: u64
    length: u64
    description: Annotated[bytes, Wire("20s")]
    file_name: Annotated[bytes, Wire("20s")]


@dataclass(frozen=True)
class Region:
    """One region of memory, as the phone's table has it: nothing of it can be trusted.

    address, size_bytes: of 32 or 64 bits. saved: the phone wants it saved by default. description,
    file_name: printable ASCII, anything else is `?`; they may be empty and contain any of `/\\:`.
    """

    address: int
    size_bytes: int
    saved: bool
    description: str
    file_name: str

    @property
    def end(self) -> int:
        """Address of the first byte behind it."""
        return self.address + self.size_bytes


def parse_table(data: bytes, *, wide: bool) -> tuple[Region, ...]:
    """Return the regions in a table. wide: it has entries of 64 bits.

    Raises:
        ProtocolError: it holds no whole number of entries.
    """
    entry: type[_Entry32 | _Entry64] = _Entry64 if wide else _Entry32
    size = entry.size()
    if len(data) % size:
        raise ProtocolError(
            f"The table of the crash dump has {len(data)} bytes; its entries have {size}."
        )
    rows = (entry.unpack(data[at : at + size]) for at in range(0, len(data), size))
    return tuple(
        Region(
            row.address, row.length, bool(row.save), _text(row.description), _text(row.file_name)
        )
        for row in rows
    )


def require_table(size_bytes: int) -> None:
    """Make sure that a table is small enough to be read.

    Raises:
        ProtocolError: it is empty, or too large to be one.
    """
    if not 0 < size_bytes <= MAX_TABLE_BYTES:
        raise ProtocolError(
            f"The phone says that the table of its crash dump has {size_bytes} bytes;"
            f" it can have up to {MAX_TABLE_BYTES}."
        )


def doubts(regions: Sequence[Region], *, wide: bool) -> tuple[str, ...]:
    """Return for each region why it is not to be read unasked; empty where nothing is wrong."""
    limit = 1 << (64 if wide else 32)
    return tuple(_doubt(region, regions[:index], limit) for index, region in enumerate(regions))


def is_possible(region: Region, *, wide: bool) -> bool:
    """Tell whether region can be read at all, as far as numbers tell."""
    inside = region.end <= 1 << (64 if wide else 32)
    return 0 < region.size_bytes <= MAX_REGION_BYTES and inside


def _doubt(region: Region, before: Sequence[Region], limit: int) -> str:
    if not region.size_bytes:
        return "it is empty"
    if region.end > limit:
        return "it ends behind the last address"
    if region.size_bytes > MAX_REGION_BYTES:
        return "it is larger than any memory"
    for other in before:
        possible = other.end <= limit and other.size_bytes <= MAX_REGION_BYTES
        if possible and region.address < other.end and other.address < region.end:
            return f"it overlaps {other.file_name or other.description or 'another region'}"
    return ""


def _text(field: bytes) -> str:
    """Return a text of the table, which need not end with NUL."""
    text = field.partition(b"\0")[0]
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in text).strip()


def next_length(left_bytes: int, most_bytes: int = READ_BYTES) -> int:
    """Return how much to ask for where left_bytes are left: never as much as a refusal has."""
    length = min(left_bytes, most_bytes)
    return _SHORT_BYTES if length == _REFUSAL_BYTES else length


class MemoryAnswer:
    """What comes in answer to one MEM_READ of length bytes: memory, or a refusal in its place.

    On media that keep transfers, a transfer with the length and the beginning of a refusal is one.
    On byte streams nothing tells until more comes, or silence: so the end of what has come is held
    back there (`doubtful`), and silence decides (`silence`).

    Attributes:
        left_bytes: how much is still due, what is held back included.
        refused: the status of a refusal that has come, else None. Nothing more comes then.
    """

    def __init__(self, length: int) -> None:
        self.left_bytes = length
        self.refused: Status | None = None
        self._held = b""

    @property
    def doubtful(self) -> bool:
        """Whether what came last may be a refusal, or its beginning, unless more comes."""
        return _status(self._held) is not None or len(self._held) == self.left_bytes > 0

    @property
    def complete(self) -> bool:
        """Whether nothing more is due."""
        return self.refused is not None or not self.left_bytes

    def receive(self, data: bytes | memoryview, *, whole_transfer: bool) -> bytes | memoryview:
        """Take what came next, and return what of it is memory.

        whole_transfer: data is one transfer of the phone, or the first part of a large one.

        Raises:
            ProtocolError: more came than was asked for.
        """
        if whole_transfer:
            if len(data) == _REFUSAL_BYTES and self._refuse(bytes(data)):
                return b""
            return self._memory(data)
        arrived = self._held + data
        self._held = b""
        if len(arrived) > self.left_bytes and self._refuse(arrived):
            return b""
        sure = max(0, len(arrived) - _REFUSAL_BYTES)
        if len(arrived) >= self.left_bytes:
            sure = 0 if _may_become_refusal(arrived) else len(arrived)
        self._held = arrived[sure:]
        return self._memory(arrived[:sure])

    def silence(self) -> bytes | memoryview:
        """Take in that nothing comes any more, and return what of that held back is memory."""
        held, self._held = self._held, b""
        if self._refuse(held) or len(held) < self.left_bytes:
            return b""
        return self._memory(held)

    def _memory(self, data: bytes | memoryview) -> bytes | memoryview:
        if len(data) > self.left_bytes:
            raise ProtocolError(
                f"The phone sent {len(data)} bytes of memory where {self.left_bytes} were due."
            )
        self.left_bytes -= len(data)
        return data

    def _refuse(self, data: bytes) -> bool:
        status = _status(data)
        if status is not None:
            self.refused = status
        return status is not None


def _may_become_refusal(data: bytes) -> bool:
    """Tell whether data may be the first bytes of a refusal of which more is to come."""
    start = data[: packets.HEADER_BYTES]
    return len(data) < _REFUSAL_BYTES and _REFUSAL_START.startswith(start)


def _status(data: bytes) -> Status | None:
    """Return the status of the refusal that data is, or None. SUCCESS would refuse nothing."""
    if len(data) != _REFUSAL_BYTES or not data.startswith(_REFUSAL_START):
        return None
    status = Status(packets.EndOfImage.unpack(data[packets.HEADER_BYTES :]).status)
    return None if status is Status.SUCCESS else status
