# SPDX-License-Identifier: BSD-3-Clause
"""Android sparse images: which bytes of a partition a file holds, and which it leaves alone.

Facts: AOSP libsparse, sparse_format.h and sparse_read.cpp. All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from edl.errors import DocumentError
from edl.units import KIB
from edl.wire import Packet, u16, u32

MAGIC = bytes.fromhex("3aff26ed")
MAX_BLOCK_BYTES = 64 * KIB  # 4 KiB nearly always
MAX_CHUNKS = 1 << 20  # each costs about 100 bytes of memory; images have hundreds


class SparseKind(Enum):
    """What a chunk says about its range of the partition."""

    RAW = 0xCAC1  # the data is in the file
    FILL = 0xCAC2  # four bytes, repeated
    DONT_CARE = 0xCAC3  # not written; what was there stays


_CRC32 = 0xCAC4  # the CRC-32 of all before it; covers no range


@dataclass(frozen=True, slots=True)
class SparseChunk:
    """One range of the partition, never empty.

    Attributes:
        offset_bytes: where it begins in the partition.
        length_bytes: how much of the partition it covers.
        file_offset: where a raw chunk's data begins in the file; 0 for the others.
        fill: the four bytes that a fill chunk repeats; empty for the others.
    """

    kind: SparseKind
    offset_bytes: int
    length_bytes: int
    file_offset: int
    fill: bytes


@dataclass(frozen=True)
class SparseImage:
    """A sparse image: chunks cover the partition from 0 to size_bytes, in order, without gaps.

    Attributes:
        block_bytes: offsets and lengths of chunks are multiples of this.
        size_bytes: length of the expanded image, not of the file.
        checksums: how many bytes of the expanded image, from its start on, have which CRC-32.
    """

    block_bytes: int
    size_bytes: int
    chunks: tuple[SparseChunk, ...]
    checksums: tuple[tuple[int, int], ...] = ()

    @classmethod
    def read(cls, file: BinaryIO, size: int, name: str = "the sparse image") -> SparseImage:
        """Return the image that begins at the start of file, which has size bytes.

        Everything is checked before anything can be used; the data of chunks is not read, so its
        checksums are not verified. Data behind the last chunk is ignored, as libsparse does.

        Raises:
            DocumentError: the file is none, is cut off, or contradicts itself.
        """
        header = _read_header(file, size, name)
        chunks: list[SparseChunk] = []
        checksums: list[tuple[int, int]] = []
        blocks = 0
        for index, chunk in enumerate(_read_chunks(file, size, header, name)):
            if blocks + chunk.blocks > header.blocks:
                raise DocumentError(
                    f"{name}: chunk {index} lies behind the image's {header.blocks} blocks."
                )
            if chunk.kind is None:
                crc = int.from_bytes(chunk.fill, "little")
                checksums.append((blocks * header.block_bytes, crc))
            elif chunk.blocks:
                chunks.append(
                    SparseChunk(
                        chunk.kind,
                        blocks * header.block_bytes,
                        chunk.blocks * header.block_bytes,
                        chunk.file_offset,
                        chunk.fill,
                    )
                )
            blocks += chunk.blocks
        if blocks != header.blocks:
            raise DocumentError(f"{name}: the chunks cover {blocks} of {header.blocks} blocks.")
        size_bytes = blocks * header.block_bytes
        if header.checksum:
            checksums.append((size_bytes, header.checksum))
        return cls(header.block_bytes, size_bytes, tuple(chunks), tuple(checksums))


def is_sparse(head: bytes) -> bool:
    """Return whether a file that begins with head is a sparse image."""
    return head.startswith(MAGIC)


class _Header(Packet):
    magic: u32
    major: u16
    minor: u16
    header_bytes: u16  # may be larger than this layout, as may chunk_header_bytes
    chunk_header_bytes: u16
    block_bytes: u32
    blocks: u32
    chunks: u32
    checksum: u32  # of the expanded image; 0 in nearly all files


class _ChunkHeader(Packet):
    kind: u16
    reserved: u16
    blocks: u32
    total_bytes: u32  # in the file, with this header


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: SparseKind | None  # None: a checksum, in fill
    blocks: int
    file_offset: int
    fill: bytes


def _read_header(file: BinaryIO, size: int, name: str) -> _Header:
    file.seek(0)
    raw = file.read(_Header.size())
    if not is_sparse(raw):
        raise DocumentError(f"{name} is no Android sparse image: its magic is missing.")
    if len(raw) < _Header.size():
        raise DocumentError(f"{name} is cut off within its header.")
    header = _Header.unpack(raw)
    if header.major != 1:
        raise DocumentError(f"{name} is a sparse image of the unknown version {header.major}.")
    if header.header_bytes < _Header.size() or header.chunk_header_bytes < _ChunkHeader.size():
        raise DocumentError(f"{name} declares headers that are too short.")
    if header.block_bytes % 4 or not 0 < header.block_bytes <= MAX_BLOCK_BYTES:
        raise DocumentError(f"{name} declares blocks of {header.block_bytes} bytes.")
    if header.chunks > MAX_CHUNKS:
        raise DocumentError(f"{name} declares {header.chunks} chunks, {MAX_CHUNKS} are the limit.")
    if header.header_bytes + header.chunks * header.chunk_header_bytes > size:
        raise DocumentError(f"{name} is cut off: {size} bytes cannot hold {header.chunks} chunks.")
    return header


def _read_chunks(file: BinaryIO, size: int, header: _Header, name: str) -> Iterator[_Chunk]:
    """Yield the chunks, each within the file."""
    position = header.header_bytes
    for index in range(header.chunks):
        where = f"{name}: chunk {index}"
        file.seek(position)
        raw = file.read(header.chunk_header_bytes + 4)  # 4 bytes follow if it is a fill chunk
        if len(raw) < header.chunk_header_bytes:
            raise DocumentError(f"{where} of {header.chunks} is missing; the file is cut off.")
        chunk = _ChunkHeader.unpack(raw[: _ChunkHeader.size()])
        data_bytes = _data_bytes(chunk, header, where)
        if chunk.total_bytes != header.chunk_header_bytes + data_bytes:
            raise DocumentError(f"{where} declares {chunk.total_bytes} bytes, which cannot be.")
        there = len(raw) - header.chunk_header_bytes
        if position + chunk.total_bytes > size or there < min(data_bytes, 4):
            raise DocumentError(f"{where} is longer than the rest of the file, which is cut off.")
        data = position + header.chunk_header_bytes
        position += chunk.total_bytes
        if chunk.kind == SparseKind.RAW.value:
            yield _Chunk(SparseKind.RAW, chunk.blocks, data, b"")
        elif chunk.kind == SparseKind.FILL.value:
            yield _Chunk(SparseKind.FILL, chunk.blocks, 0, raw[header.chunk_header_bytes :])
        elif chunk.kind == SparseKind.DONT_CARE.value:
            yield _Chunk(SparseKind.DONT_CARE, chunk.blocks, 0, b"")
        else:
            yield _Chunk(None, 0, 0, raw[header.chunk_header_bytes :])


def _data_bytes(chunk: _ChunkHeader, header: _Header, where: str) -> int:
    """Return how much data a chunk of this kind has in the file."""
    if chunk.kind == SparseKind.RAW.value:
        return chunk.blocks * header.block_bytes
    if chunk.kind in {SparseKind.FILL.value, _CRC32}:
        return 4
    if chunk.kind == SparseKind.DONT_CARE.value:
        return 0
    raise DocumentError(f"{where} is of the unknown kind {chunk.kind:#06x}.")
