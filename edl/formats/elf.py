# SPDX-License-Identifier: BSD-3-Clause
"""ELF images as boot loaders see them: the header, the program headers and the maker's bits.

The bits of `p_flags` that Qualcomm defines: coreboot util/qualcomm/mbn_tools.py, and linux
drivers/soc/qcom/mdt_loader.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from edl.errors import DocumentError
from edl.wire import OpenEnum, Packet, Wire, u8, u16, u32, u64

MAGIC = b"\x7fELF"
MAX_SEGMENTS = 100  # coreboot's limit; real programmers have 3 to 22
PT_LOAD = 1


class SegmentKind(OpenEnum):
    """What bits 24 to 26 of `p_flags` say that a segment is."""

    NORMAL = 0
    AMSS = 1
    HASH = 2
    BOOT = 3
    L4_BSP = 4
    SWAPPED = 5  # in boot images: a complete nested image (XBL_SEC)
    SWAP_POOL = 6
    HEADERS = 7  # placeholder: the ELF header and the program headers


class _Ident(Packet):
    magic: Annotated[bytes, Wire("4s")]
    width: u8  # 1: 32 bit, 2: 64 bit
    order: u8  # 1: little-endian
    version: u8
    padding: Annotated[bytes, Wire("9s")]


class _Header32(Packet):
    kind: u16
    machine: u16
    version: u32
    entry: u32
    table_offset: u32
    sections_offset: u32
    flags: u32
    header_bytes: u16
    row_bytes: u16
    rows: u16
    section_bytes: u16
    sections: u16
    names_index: u16


class _Header64(Packet):
    kind: u16
    machine: u16
    version: u32
    entry: u64
    table_offset: u64
    sections_offset: u64
    flags: u32
    header_bytes: u16
    row_bytes: u16
    rows: u16
    section_bytes: u16
    sections: u16
    names_index: u16


class _Row32(Packet):
    kind: u32
    offset: u32
    virtual_address: u32
    physical_address: u32
    file_bytes: u32
    memory_bytes: u32
    flags: u32
    align: u32


class _Row64(Packet):
    kind: u32
    flags: u32
    offset: u64
    virtual_address: u64
    physical_address: u64
    file_bytes: u64
    memory_bytes: u64
    align: u64


HEADER_BYTES = {32: _Ident.size() + _Header32.size(), 64: _Ident.size() + _Header64.size()}


@dataclass(frozen=True)
class ElfHeader:
    """The header alone. bits: 32 or 64; row_bytes and rows: size and number of program headers."""

    bits: int
    machine: int
    entry: int
    header_bytes: int
    table_offset: int
    row_bytes: int
    rows: int

    @property
    def table_bytes(self) -> int:
        """Length of the program headers in bytes."""
        return self.row_bytes * self.rows


@dataclass(frozen=True)
class Segment:
    """One program header. offset counts from the start of its ELF image."""

    type: int
    flags: int
    offset: int
    virtual_address: int
    physical_address: int
    file_bytes: int
    memory_bytes: int

    @property
    def kind(self) -> SegmentKind:
        """What the segment is for."""
        return SegmentKind(self.flags >> 24 & 7)

    @property
    def access(self) -> int:
        """Bits 21 to 23 of the flags: 0 read and write, 1 read, 2 zeros, 3 not used, 4 shared."""
        return self.flags >> 21 & 7

    @property
    def end(self) -> int:
        """Offset behind the last byte that the segment has in the file."""
        return self.offset + self.file_bytes


@dataclass(frozen=True)
class Elf:
    """An ELF image.

    end: offset behind the last byte that the headers or a segment have in the file.
    reach: the same, counting also the places of segments without bytes.
    """

    header: ElfHeader
    segments: tuple[Segment, ...]
    end: int
    reach: int

    @classmethod
    def of(cls, header: ElfHeader, segments: tuple[Segment, ...]) -> Self:
        """Return the image that header and segments describe."""
        table_end = header.table_offset + header.table_bytes
        end = max([table_end, *(segment.end for segment in segments if segment.file_bytes)])
        return cls(header, segments, end, max([end, *(segment.end for segment in segments)]))

    @property
    def hash_index(self) -> int | None:
        """Index of the hash segment.

        Its type is not looked at: a few makers give it PT_LOAD.
        """
        kinds = [segment.kind for segment in self.segments]
        return kinds.index(SegmentKind.HASH) if SegmentKind.HASH in kinds else None

    @property
    def signed_header_bytes(self) -> int:
        """Length of ELF header and program headers, which the first hash covers from offset 0."""
        return self.header.header_bytes + self.header.table_bytes


def read_header(data: bytes | memoryview) -> ElfHeader:
    """Return the ELF header at the start of data.

    Raises:
        DocumentError: data is no little-endian ELF file of 32 or 64 bits, or is cut off.
    """
    if bytes(data[:4]) != MAGIC or len(data) < HEADER_BYTES[32]:
        raise DocumentError("The image does not begin with an ELF header.")
    ident = _Ident.unpack(data[: _Ident.size()])
    if ident.width not in {1, 2} or ident.order != 1:
        raise DocumentError("The ELF image is not a little-endian one of 32 or 64 bits.")
    kind: type[_Header32 | _Header64] = _Header32 if ident.width == 1 else _Header64
    size = _Ident.size() + kind.size()
    if len(data) < size:
        raise DocumentError("The ELF header is cut off.")
    header = kind.unpack(data[_Ident.size() : size])
    return ElfHeader(
        bits=32 * ident.width,
        machine=header.machine,
        entry=header.entry,
        header_bytes=header.header_bytes,
        table_offset=header.table_offset,
        row_bytes=header.row_bytes,
        rows=header.rows,
    )


def read_segments(header: ElfHeader, table: bytes | memoryview) -> tuple[Segment, ...]:
    """Return the segments in table, the bytes of the program headers.

    Raises:
        DocumentError: their size is wrong, there are none or too many, or table is cut off.
    """
    kind: type[_Row32 | _Row64] = _Row32 if header.bits == 32 else _Row64
    if header.row_bytes != kind.size():
        raise DocumentError(f"Program headers of {header.row_bytes} bytes are not supported.")
    if not 1 <= header.rows <= MAX_SEGMENTS:
        raise DocumentError(f"An image with {header.rows} program headers is not supported.")
    if len(table) < header.table_bytes:
        raise DocumentError("The program headers reach beyond the end of the file.")
    rows = (
        kind.unpack(table[start : start + kind.size()])
        for start in range(0, header.table_bytes, kind.size())
    )
    return tuple(
        Segment(
            type=row.kind,
            flags=row.flags,
            offset=row.offset,
            virtual_address=row.virtual_address,
            physical_address=row.physical_address,
            file_bytes=row.file_bytes,
            memory_bytes=row.memory_bytes,
        )
        for row in rows
    )


def read_elf(data: bytes | memoryview) -> Elf:
    """Return the ELF image at the start of data.

    Segments may reach beyond the end of data: compare `end`, and slice with care.

    Raises:
        DocumentError: its header or its program headers cannot be read.
    """
    header = read_header(data)
    start = header.table_offset
    return Elf.of(header, read_segments(header, data[start : start + header.table_bytes]))
