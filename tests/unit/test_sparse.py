# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import io
import struct

import pytest

from edl.errors import DocumentError
from edl.formats import sparse
from edl.formats.sparse import SparseChunk, SparseImage, SparseKind, is_sparse

RAW, FILL, DONT_CARE, CRC32 = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4


def chunk(kind: int, blocks: int, data: bytes = b"", *, total: int | None = None) -> bytes:
    size = 12 + len(data) if total is None else total
    return struct.pack("<HHII", kind, 0, blocks, size) + data


def image(*chunks: bytes, blocks: int, block_bytes: int = 4096, count: int | None = None) -> bytes:
    count = len(chunks) if count is None else count
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, block_bytes, blocks, count, 0)
    return head + b"".join(chunks)


def read(data: bytes) -> SparseImage:
    return SparseImage.read(io.BytesIO(data), len(data), "system.img")


def message(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        read(data)
    return caught.value.message


GOOD = image(
    chunk(RAW, 2, b"ab" * 4096),
    chunk(FILL, 3, b"\xde\xad\xbe\xef"),
    chunk(CRC32, 0, b"1234"),
    chunk(DONT_CARE, 4),
    chunk(RAW, 1, b"z" * 4096),
    blocks=10,
)


def test_chunks_become_ranges_of_the_partition() -> None:
    found = read(GOOD + b"trailing")
    assert (found.block_bytes, found.size_bytes) == (4096, 40960)
    assert found.chunks == (
        SparseChunk(SparseKind.RAW, 0, 8192, 40, b""),
        SparseChunk(SparseKind.FILL, 8192, 12288, 0, b"\xde\xad\xbe\xef"),
        SparseChunk(SparseKind.DONT_CARE, 20480, 16384, 0, b""),
        SparseChunk(SparseKind.RAW, 36864, 4096, 8288, b""),
    )
    assert GOOD[8288:] == b"z" * 4096


def test_the_magic_tells_a_sparse_image() -> None:
    assert is_sparse(GOOD[:4])
    assert not is_sparse(GOOD[:3])
    assert not is_sparse(b"\x7fELF")


def test_longer_headers_are_skipped() -> None:
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 7, 32, 16, 4, 3, 2, 99) + b"more"
    raw = struct.pack("<HHII", RAW, 0, 1, 20) + b"more" + b"data"
    fill = struct.pack("<HHII", FILL, 0, 2, 20) + b"more" + b"fill"
    found = read(head + raw + fill)
    assert found.size_bytes == 12
    assert found.checksums == ((12, 99),)
    assert found.chunks == (
        SparseChunk(SparseKind.RAW, 0, 4, 48, b""),
        SparseChunk(SparseKind.FILL, 4, 8, 0, b"fill"),
    )


def test_checksums_cover_all_before_them() -> None:
    crc = chunk(CRC32, 0, b"\x01\x02\x03\x04")
    found = read(image(crc, chunk(DONT_CARE, 2), crc, blocks=2))
    assert found.checksums == ((0, 0x04030201), (8192, 0x04030201))


def test_empty_chunks_cover_nothing() -> None:
    found = read(image(chunk(DONT_CARE, 0), chunk(RAW, 0), chunk(FILL, 0, b"abcd"), blocks=0))
    assert found == SparseImage(4096, 0, ())


def test_the_largest_possible_image_is_only_a_number() -> None:
    found = read(image(chunk(DONT_CARE, 2**32 - 1), blocks=2**32 - 1, block_bytes=65536))
    assert found.size_bytes == (2**32 - 1) * 65536


def changed(offset: int, code: str, value: int) -> bytes:
    data = bytearray(GOOD)
    struct.pack_into("<" + code, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is no Android sparse image"),
        (b"PK\x03\x04" + bytes(40), "is no Android sparse image"),
        (GOOD[:27], "is cut off within its header"),
        (GOOD[:28], "28 bytes cannot hold 5 chunks"),
        (GOOD[:-1], "chunk 4 is longer than the rest of the file"),
        (GOOD[:8280], "chunk 4 of 5 is missing"),
        (GOOD[:8246], "chunk 1 is longer than the rest of the file"),
        (changed(4, "H", 2), "of the unknown version 2"),
        (changed(8, "H", 27), "headers that are too short"),
        (changed(10, "H", 11), "headers that are too short"),
        (changed(12, "I", 0), "blocks of 0 bytes"),
        (changed(12, "I", 4098), "blocks of 4098 bytes"),
        (changed(12, "I", 65540), "blocks of 65540 bytes"),
        (changed(12, "I", 8192), "chunk 0 declares 8204 bytes, which cannot be"),
        (changed(16, "I", 9), "chunk 4 lies behind the image's 9 blocks"),
        (changed(16, "I", 11), "the chunks cover 10 of 11 blocks"),
        (changed(20, "I", 4), "the chunks cover 9 of 10 blocks"),
        (changed(20, "I", 0xFFFFFFFF), "declares 4294967295 chunks, 1048576 are the limit"),
        (changed(28, "H", 0xCAC5), "chunk 0 is of the unknown kind 0xcac5"),
        (changed(32, "I", 0xFFFFFFFF), "chunk 0 declares 8204 bytes, which cannot be"),
        (changed(36, "I", 0), "chunk 0 declares 0 bytes, which cannot be"),
        (image(chunk(FILL, 1), blocks=1), "chunk 0 declares 12 bytes, which cannot be"),
        (image(chunk(CRC32, 0), blocks=0), "chunk 0 declares 12 bytes, which cannot be"),
        (image(chunk(DONT_CARE, 1, b"1234"), blocks=1), "chunk 0 declares 16 bytes"),
    ],
)
def test_what_contradicts_itself_is_refused(data: bytes, problem: str) -> None:
    text = message(data)
    assert "system.img" in text
    assert problem in text


def test_a_file_that_is_shorter_than_announced_is_cut_off() -> None:
    fill = image(chunk(FILL, 1, b"abcd"), blocks=1)
    with pytest.raises(DocumentError, match="is cut off"):
        SparseImage.read(io.BytesIO(fill[:-2]), len(fill))


def test_the_number_of_chunks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "MAX_CHUNKS", 4)
    assert "declares 5 chunks, 4 are the limit" in message(GOOD)
