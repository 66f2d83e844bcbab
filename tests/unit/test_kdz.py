# SPDX-License-Identifier: BSD-3-Clause
"""Headers of LG's packages, whole, cut off and lying."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.chunks import BytesContent
from edl.errors import DocumentError
from edl.formats import kdz
from edl.formats.kdz import Dz
from edl.formats.streams import take
from tests.packages import lgs
from tests.packages.lgs import Piece

BOOT = bytes(range(256)) * 8
GOOD = lgs.dz(Piece("boot", 80, BOOT, trim=64, lun=4), Piece("tz", 200, BOOT[::-1]))
COUNT, COMPRESSION, CRC = 192, 213, 308  # where the header has them
FIRST = 512  # header of the first chunk


def changed(at: int, data: bytes, source: bytes = GOOD) -> bytes:
    """Return a dz with data at that place, and no CRC-32 of its header."""
    made = bytearray(source)
    made[CRC : CRC + 4] = bytes(4)
    made[at : at + len(data)] = data
    return bytes(made)


def read(data: bytes) -> Dz:
    return kdz.read_dz(BytesContent(data))


def test_headers_say_where_chunks_belong() -> None:
    found = read(GOOD)
    assert (found.model, found.android, found.build_type) == ("LG-H901", "6.0", "user")
    assert (found.is_ufs, found.anti_rollback, found.compression) == (False, 3, "zlib")
    first, second = found.chunks
    assert (first.slice_name, first.lun, first.first_sector, first.sectors) == ("boot", 4, 80, 64)
    assert (second.number, second.name, second.size_bytes) == (2, "tz_200.bin", 2048)
    stream = kdz.stream(BytesContent(GOOD), "zlib", second)
    assert take(stream, 5000) == BOOT[::-1]


@pytest.mark.parametrize("name", [lgs.ZLIB, lgs.ZSTD, b"ZLIB", b"zstd"])
def test_both_compressions(name: bytes) -> None:
    packed = lgs.ZSTD if name in {lgs.ZSTD, b"zstd"} else lgs.ZLIB
    data = lgs.dz(Piece("boot", 80, BOOT), compression=packed, sealed=False)
    data = changed(COMPRESSION, name, data)
    found = read(data)
    stream = kdz.stream(BytesContent(data), found.compression, found.chunks[0])
    stream.skip(2000)
    assert stream.read(4096) == BOOT[2000:]
    assert stream.read(1) == b""


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_dz_is_found(version: int) -> None:
    whole = lgs.kdz(GOOD, version)
    name, at, size = kdz.find_dz(BytesContent(whole))
    assert (name, whole[at : at + size]) == ("H90120e_00.dz", GOOD)
    assert kdz.is_dz(whole[at:])
    assert kdz.is_kdz(lgs.kdz(b"", version))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" * 10, "does not begin as a kdz"),
        (lgs.kdz(GOOD)[:5], "cut off"),
        (lgs.kdz(GOOD)[:400], "cut off"),
        (lgs.kdz(GOOD)[:-1], "cut off: H90120e_00.dz should end"),
        (lgs.kdz(GOOD, name=b"a.dll"), "holds no dz"),
    ],
)
def test_a_kdz_that_is_no_good(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        kdz.find_dz(BytesContent(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (GOOD[:100], "cut off"),
        (changed(0, b"dz"), "does not begin as a dz"),
        (lgs.dz(version=(3, 0)), "version 3.0"),
        (lgs.dz(version=(2, 2)), "version 2.2"),
        (lgs.dz(version=(2, 0)), "oldest kind"),
        (lgs.dz(), "declares 0 chunks"),
        (lgs.dz(count=1 << 31), "declares 2147483648 chunks"),
        (changed(CRC, b"\1\2\3\4"), "header of the dz is damaged"),
        (changed(COMPRESSION, b"lzma"), r"unknown way \(6c 7a 6d 61\)"),
        (changed(FIRST, b"none"), "Chunk 1 of the dz does not begin"),
        (changed(FIRST + 100, bytes(4)), "boot_80.bin, is empty"),
        (changed(FIRST + 104, bytes(4)), "is empty"),
        (changed(FIRST + 104, b"\xff\xff"), "cut off within chunk 1"),
        (changed(FIRST + 132, struct.pack("<I", 0x5000)), "hardware partition 0x5000"),
        (changed(FIRST + 124, b"\1"), "their checksum is wrong"),
        (lgs.dz(Piece("a", 0, BOOT, ubi=1)), "NAND"),
        (lgs.dz(Piece("a", 0, BOOT), count=2), "cut off"),
    ],
)
def test_a_dz_that_is_no_good(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read(data)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (changed(FIRST + 512, b"xx"), "compressed data are damaged"),
        (changed(FIRST + 100, struct.pack("<I", 2000)), "longer than its container says"),
    ],
)
def test_data_that_are_no_good(piece: bytes, words: str) -> None:
    chunk = read(GOOD).chunks[0]
    size = struct.unpack_from("<I", piece, FIRST + 100)[0]
    lying = kdz.Chunk(**{**vars(chunk), "size_bytes": size})
    with pytest.raises(DocumentError, match=words):
        take(kdz.stream(BytesContent(piece), "zlib", lying), 5000)


def test_compressed_data_that_end_too_early() -> None:
    chunk = read(GOOD).chunks[0]
    short = kdz.Chunk(**{**vars(chunk), "packed_bytes": chunk.packed_bytes - 20})
    assert len(take(kdz.stream(BytesContent(GOOD), "zlib", short), 5000)) < 2048


@given(st.integers(0, 1600), st.binary(min_size=1, max_size=8))
def test_whatever_is_changed_nothing_but_a_document_error_comes(at: int, data: bytes) -> None:
    try:
        found = read(changed(at, data))
        for chunk in found.chunks:
            take(kdz.stream(BytesContent(GOOD), found.compression, chunk), 1 << 16)
    except DocumentError:
        pass
