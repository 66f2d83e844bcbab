# SPDX-License-Identifier: BSD-3-Clause
"""LG's packages: kdz, and the dz inside it, whose chunks say where they belong.

Facts: kdztools (E. Mitchell, IOMonster) and the kdz extractor of I. Garzon, which agree. A kdz is a
list of files; one is a dz. That is a header of 512 bytes and chunks, each with a header of 512
bytes and its data, compressed. All numbers are little-endian.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from dataclasses import dataclass
from typing import Annotated

from edl.chunks import Content, read_all
from edl.errors import DocumentError
from edl.formats.checked import Checked, Crc32, Inflated, Pieces, Sum, Unbounded
from edl.formats.streams import Stream, Unpacked
from edl.formats.texts import field
from edl.wire import Packet, Wire, u8, u16, u32, u64

DZ_MAGIC = bytes.fromhex("32961874")
_CHUNK_MAGIC = bytes.fromhex("30129578")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# how a kdz begins: length of its header, and a magic for each version of it
_KDZ_MAGICS = {
    bytes.fromhex("1805000032794450"): 1,
    bytes.fromhex("2805000034312580"): 2,
    bytes.fromhex("2805000024382225"): 3,
}
_COMPRESSIONS = {b"\x01": "zlib", b"\x04": "zstd", b"zlib": "zlib", b"zstd": "zstd"}
_MAX_CHUNKS = 1 << 16
_MAX_LUN = 7


class _Record1(Packet):
    name: Annotated[bytes, Wire("256s")]
    size_bytes: u32
    offset: u32


class _Record2(Packet):
    name: Annotated[bytes, Wire("256s")]
    size_bytes: u64
    offset: u64


class _Header(Packet):
    magic: Annotated[bytes, Wire("4s")]
    major: u32
    minor: u32
    reserved: u32
    model: Annotated[bytes, Wire("32s")]
    version: Annotated[bytes, Wire("128s")]
    year: u16
    month: u16
    weekday: u16
    day: u16
    hour: u16
    minute: u16
    second: u16
    millisecond: u16
    chunk_count: u32
    chunks_md5: Annotated[bytes, Wire("16s")]  # of all chunk headers
    secure_image: u8
    compression: Annotated[bytes, Wire("9s")]
    data_md5: Annotated[bytes, Wire("16s")]
    software: Annotated[bytes, Wire("50s")]
    build_type: Annotated[bytes, Wire("16s")]
    unknown: u32
    header_crc: u32  # with itself and data_md5 as zeros; 0: none
    android: Annotated[bytes, Wire("10s")]
    memory_size: Annotated[bytes, Wire("11s")]
    signed: Annotated[bytes, Wire("4s")]
    is_ufs: u32
    anti_rollback: u32
    rest: Annotated[bytes, Wire("167s")]


class _ChunkHeader(Packet):
    magic: Annotated[bytes, Wire("4s")]
    slice_name: Annotated[bytes, Wire("32s")]
    name: Annotated[bytes, Wire("64s")]
    size_bytes: u32  # unpacked
    packed_bytes: u32
    md5: Annotated[bytes, Wire("16s")]  # of what it unpacks to, as is the CRC-32
    first_sector: u32
    sectors: u32  # trimmed from first_sector on before the data is written
    lun: u32
    crc: u32
    part_id: u32
    is_sparse: u32
    is_ubi: u32
    part_first_sector: u32
    rest: Annotated[bytes, Wire("356s")]


@dataclass(frozen=True)
class Chunk:
    """A piece of a partition.

    Attributes:
        number: its place in the file, from 1.
        slice_name: of the partition; PrimaryGPT and BackupGPT stand for the tables.
        packed_at: where its data begins in the dz.
        sectors: how many sectors from first_sector on are its own; behind the data they are blank.
    """

    number: int
    slice_name: str
    name: str
    size_bytes: int
    packed_at: int
    packed_bytes: int
    md5: bytes
    crc: int
    first_sector: int
    sectors: int
    lun: int


@dataclass(frozen=True)
class Dz:
    """A dz: whom it is for, and its chunks. compression: `zlib` or `zstd`."""

    model: str
    version: str
    software: str
    build_type: str
    android: str
    is_ufs: bool
    anti_rollback: int
    compression: str
    chunks: tuple[Chunk, ...]


def is_kdz(head: bytes) -> bool:
    """Return whether a file that begins with head is a kdz."""
    return head[:8] in _KDZ_MAGICS


def is_dz(head: bytes) -> bool:
    """Return whether a file that begins with head is a dz."""
    return head.startswith(DZ_MAGIC)


def find_dz(kdz: Content) -> tuple[str, int, int]:
    """Return name, offset and size of the dz in kdz.

    Raises:
        DocumentError: kdz is none, is cut off, or holds no dz.
    """
    version = _KDZ_MAGICS.get(_taken(kdz, 0, 8))
    if version is None:
        raise DocumentError("The file does not begin as a kdz does.")
    kind = _Record1 if version == 1 else _Record2
    # two records, and from version 2 on a byte and two more
    places = [8, 8 + kind.size()]
    if version > 1:
        places += [8 + 2 * kind.size() + 1, 8 + 3 * kind.size() + 1]
    for at in places:
        record = kind.unpack(_taken(kdz, at, kind.size()))
        name = field(record.name)
        if not name.lower().endswith(".dz"):
            continue
        if record.offset + record.size_bytes > kdz.size_bytes:
            raise DocumentError(
                f"The kdz is cut off: {name} should end at byte"
                f" {record.offset + record.size_bytes}, the file has {kdz.size_bytes}."
            )
        return name, record.offset, record.size_bytes
    raise DocumentError("The kdz holds no dz: there is nothing in it for a phone.")


def read_dz(dz: Content) -> Dz:
    """Return what the headers of dz say; the data of its chunks is not read.

    Raises:
        DocumentError: dz is none, is cut off, contradicts itself, or is of an old or unknown kind.
    """
    header = _Header.unpack(_taken(dz, 0, _Header.size()))
    if header.magic != DZ_MAGIC:
        raise DocumentError("The file does not begin as a dz does.")
    _require_known(header)
    return Dz(
        field(header.model),
        field(header.version),
        field(header.software),
        field(header.build_type),
        field(header.android),
        bool(header.is_ufs),
        header.anti_rollback,
        _compression(header),
        _chunks(dz, header),
    )


def stream(dz: Content, compression: str, chunk: Chunk) -> Stream:
    """Return what chunk unpacks to, checked by its MD5 and its CRC-32."""
    pieces = Pieces(dz, chunk.packed_at, chunk.packed_bytes)
    unpacked: Stream
    if compression == "zlib":
        unpacked = Inflated(pieces)
    else:
        unpacked = Unpacked(pieces, _ZSTD_MAGIC, Unbounded())
    sums = [Sum("MD5", _md5, chunk.md5)]
    if chunk.crc:
        sums.append(Sum("CRC-32", Crc32, chunk.crc.to_bytes(4, "little")))
    return Checked(unpacked, chunk.size_bytes, tuple(sums))


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _taken(content: Content, at: int, size_bytes: int) -> bytes:
    if at + size_bytes > content.size_bytes:
        raise DocumentError(
            f"It is cut off: there should be {size_bytes} bytes at {at}, but it ends at"
            f" {content.size_bytes}."
        )
    return read_all(content, at, size_bytes)


def _require_known(header: _Header) -> None:
    if header.major > 2 or header.minor > 1:
        raise DocumentError(
            f"The dz has the version {header.major}.{header.minor}, which nobody has described."
        )
    if header.minor == 0:
        raise DocumentError(
            "The dz is of the oldest kind (before 2014): its chunks do not say where they belong."
        )
    if not 0 < header.chunk_count <= _MAX_CHUNKS:
        raise DocumentError(f"The dz declares {header.chunk_count} chunks.")
    plain = dataclasses.replace(header, data_md5=bytes(16), header_crc=0)
    if header.header_crc and zlib.crc32(plain.pack()) != header.header_crc:
        raise DocumentError("The header of the dz is damaged: its checksum (CRC-32) is wrong.")


def _compression(header: _Header) -> str:
    name = header.compression.rstrip(b"\0").lower()
    if name not in _COMPRESSIONS:
        raise DocumentError(f"The dz is compressed in an unknown way ({name.hex(' ')}).")
    return _COMPRESSIONS[name]


def _chunks(dz: Content, header: _Header) -> tuple[Chunk, ...]:
    found: list[Chunk] = []
    seen = _md5()
    at = _Header.size()
    for number in range(1, header.chunk_count + 1):
        raw = _taken(dz, at, _ChunkHeader.size())
        seen.update(raw)
        at += len(raw)
        found.append(_chunk(_ChunkHeader.unpack(raw), number, at))
        at += found[-1].packed_bytes
        if at > dz.size_bytes:
            raise DocumentError(f"The dz is cut off within chunk {number}, {found[-1].name}.")
    if seen.digest() != header.chunks_md5:
        raise DocumentError("The chunk headers of the dz are damaged: their checksum is wrong.")
    return tuple(found)


def _chunk(header: _ChunkHeader, number: int, packed_at: int) -> Chunk:
    name = field(header.name)
    where = f"Chunk {number} of the dz, {name or 'without a name'},"
    if header.magic != _CHUNK_MAGIC:
        raise DocumentError(f"Chunk {number} of the dz does not begin as chunks do.")
    if not (header.size_bytes and header.packed_bytes):
        raise DocumentError(f"{where} is empty.")
    if header.is_ubi:
        raise DocumentError(f"{where} is for NAND flash, which is not supported.")
    if header.lun > _MAX_LUN:
        raise DocumentError(f"{where} is for the unknown hardware partition {header.lun:#x}.")
    return Chunk(
        number,
        field(header.slice_name),
        name,
        header.size_bytes,
        packed_at,
        header.packed_bytes,
        header.md5,
        header.crc,
        header.first_sector,
        header.sectors,
        header.lun,
    )
