# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables of NAND modems: the MIBIB, and the table that lies in it.

The boot loader keeps two copies ("multi-image boot information block"), each in an erase block of
its own. A copy has a header with a version and an age in its first page, the system table in the
second, the table that the maker wrote (in KiB) behind it, and a checksum behind that. The newest
copy counts. The same system table lies in shared memory, where Linux finds it.

Layout: drivers/mtd/parsers/qcomsmempart.c of Linux (the system table, all numbers little-endian,
counted in erase blocks, at most 48 entries of 28 bytes); magics and pages as in public
partition.mbn files; that the last length is at byte 484 and the checksum at byte 12 of the fourth
page, a patch file of Quectel's EG25 says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from edl.errors import DocumentError
from edl.formats.gpt import Partition
from edl.wire import Packet, Wire, u32

HEADER_MAGIC = bytes.fromhex("ac9f56fe 7a127fcd")
TABLE_MAGIC = bytes.fromhex("aa73ee55 dbbd5ee3")
CHECKSUM_MAGIC = bytes.fromhex("a1be419d ead2def1")
MAX_ENTRIES = 48
COPY_PAGES = 4  # header, system table, user table, checksum
_GROWS = 0xFFFFFFFF  # length of a partition that has all that is left
_VERSIONS = (3, 4)
_NO_GUID = UUID(int=0)


class Header(Packet):
    """What a copy begins with; age: the copy with the higher one is newer."""

    magic: Annotated[bytes, Wire("8s")]
    version: u32
    age: u32


class TableHeader(Packet):
    """What the system table begins with."""

    magic: Annotated[bytes, Wire("8s")]
    version: u32
    count: u32


class Entry(Packet):
    """A partition as it lies in the table; in erase blocks."""

    name: Annotated[bytes, Wire("16s")]
    offset: u32
    length: u32
    attributes: u32

    @property
    def text(self) -> str:
        """The name up to its first NUL."""
        return self.name.partition(b"\0")[0].decode("latin-1")


@dataclass(frozen=True)
class FlashTable:
    """A system table.

    Attributes:
        entries: those with a name, in its order.
        age: of its copy, None for a table by itself.
        checksum_ok: whether the copy is as its checksum says; None where there is none.
    """

    entries: tuple[Entry, ...]
    version: int
    age: int | None = None
    checksum_ok: bool | None = None

    def partitions(self, pages_per_block: int, pages: int) -> tuple[Partition, ...]:
        """Return its partitions on a chip with that many pages; sectors are pages.

        The name is without the number of the flash before it (`0:EFS2`). What lies behind the end
        of the chip is cut off there.
        """
        return tuple(self._placed(pages_per_block, pages))

    def _placed(self, pages_per_block: int, pages: int) -> Iterator[Partition]:
        for number, entry in enumerate(self.entries, 1):
            first = entry.offset * pages_per_block
            end = pages if entry.length == _GROWS else first + entry.length * pages_per_block
            if first < pages:
                last = min(end, pages) - 1
                yield Partition(
                    number, plain_name(entry.text), first, last, _NO_GUID, _NO_GUID,
                    entry.attributes,
                )  # fmt: skip


def plain_name(text: str) -> str:
    """Return the name of a partition without the number of the flash: `EFS2` of `0:EFS2`."""
    flash, colon, name = text.partition(":")
    return name if colon and flash.isdigit() and name else text


def parse_table(data: bytes) -> FlashTable:
    """Return the system table that data begins with.

    Raises:
        DocumentError: it is none, or damaged.
    """
    if len(data) < TableHeader.size() or not data.startswith(TABLE_MAGIC):
        raise DocumentError("There is no NAND partition table.")
    header = TableHeader.unpack(data[: TableHeader.size()])
    if header.version not in _VERSIONS:
        raise DocumentError(f"The NAND partition table is of version {header.version}.")
    end = TableHeader.size() + header.count * Entry.size()
    if header.count > MAX_ENTRIES or end > len(data):
        raise DocumentError(f"The NAND partition table has {header.count} entries: too many.")
    places = range(TableHeader.size(), end, Entry.size())
    entries = (Entry.unpack(data[at : at + Entry.size()]) for at in places)
    return FlashTable(tuple(each for each in entries if each.text), header.version)


def parse_copy(data: bytes, page_bytes: int) -> FlashTable:
    """Return the table in data, the first pages of an erase block that holds a copy of the MIBIB.

    Raises:
        DocumentError: it holds none, or a damaged one.
    """
    if len(data) < COPY_PAGES * page_bytes or not data.startswith(HEADER_MAGIC):
        raise DocumentError("There is no MIBIB.")
    header = Header.unpack(data[: Header.size()])
    table = parse_table(data[page_bytes : 2 * page_bytes])
    return FlashTable(table.entries, table.version, header.age, _checksum_ok(data, page_bytes))


def newest(copies: list[FlashTable]) -> FlashTable | None:
    """Return the copy to go by: a whole one before a damaged one, then the newest."""
    return max(
        copies, key=lambda each: (each.checksum_ok is not False, each.age or 0), default=None
    )


def find(data: bytes, page_bytes: int) -> FlashTable:
    """Return the newest table in data: a whole chip, its MIBIB, or a partition.mbn.

    Raises:
        DocumentError: there is none.
    """
    copies: list[FlashTable] = []
    problem = DocumentError("There is no NAND partition table.")
    for at in range(0, len(data), page_bytes):
        try:
            if data.startswith(HEADER_MAGIC, at):
                copies.append(parse_copy(data[at : at + COPY_PAGES * page_bytes], page_bytes))
        except DocumentError as error:
            problem = error
    table = newest(copies)
    if table is None:
        raise problem
    return table


def _checksum_ok(data: bytes, page_bytes: int) -> bool | None:
    """Compare a copy with its checksum: CRC-32/MPEG-2 from 0 over what is before it.

    Tools of makers differ in what they cover and how (Quectel's patch file asks for two pages and
    the checksum of GPTs); any of them counts.
    """
    tail = data[3 * page_bytes : 3 * page_bytes + Header.size()]
    if not tail.startswith(CHECKSUM_MAGIC):
        return None
    said = Header.unpack(tail).age
    two, three = data[: 2 * page_bytes], data[: 3 * page_bytes]
    return said in {checksum(three), checksum(two), zlib.crc32(two), zlib.crc32(three)}


def checksum(data: bytes) -> int:
    """Return CRC-32 with polynomial 0x04C11DB7, the highest bit first, begun with 0."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _TABLE[crc >> 24 ^ byte]
    return crc


def _steps(value: int) -> int:
    for _ in range(8):
        value = value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)
        value &= 0xFFFFFFFF
    return value


_TABLE = tuple(_steps(index << 24) for index in range(256))
