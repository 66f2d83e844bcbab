# SPDX-License-Identifier: BSD-3-Clause
"""ELF headers laid out by hand, after the System V ABI."""

from __future__ import annotations

import struct

import pytest

from edl.errors import DocumentError
from edl.formats.elf import SegmentKind, read_elf, read_header

ELF32 = (
    bytes.fromhex("7f454c46 01 01 01 000000000000000000 0200 2800 01000000 00800008 34000000")
    + bytes.fromhex("00000000 05000000 3400 2000 0200 0000 0000 0000")
    + bytes.fromhex("00000000 00000000 00000000 00000000 74000000 00000000 00000007 00000000")
    + bytes.fromhex("01000000 00100000 00800008 00900008 00020000 00030000 06002082 00100000")
)
ELF64 = (
    bytes.fromhex("7f454c46 02 01 01 000000000000000000 0200 b700 01000000 0000681400000000")
    + bytes.fromhex("4000000000000000 0000000000000000 05000000 4000 3800 0100 0000 0000 0000")
    + bytes.fromhex("00000000 00002002 0010000000000000 0000681400000000 0000681400000000")
    + bytes.fromhex("8019000000000000 0020000000000000 0010000000000000")
)


def test_elf_of_32_bits() -> None:
    image = read_elf(ELF32)
    assert (image.header.bits, image.header.machine, image.header.entry) == (32, 40, 0x08008000)
    assert image.signed_header_bytes == 0x34 + 2 * 0x20
    first, second = image.segments
    assert (first.kind, first.file_bytes) == (SegmentKind.HEADERS, 0x74)
    assert (second.offset, second.virtual_address, second.physical_address) == (
        0x1000,
        0x08008000,
        0x08009000,
    )
    assert (second.file_bytes, second.memory_bytes, second.type) == (0x200, 0x300, 1)
    assert image.end == image.reach == 0x1200


def test_hash_segment_is_found_by_its_kind_alone() -> None:
    assert read_elf(ELF32).hash_index == 1  # its type is PT_LOAD
    assert read_elf(ELF64).hash_index == 0
    assert read_elf(changed(ELF32, 52 + 32 + 24, "<I", 6)).hash_index is None


def test_elf_of_64_bits() -> None:
    image = read_elf(memoryview(ELF64))
    assert (image.header.bits, image.header.machine, image.header.entry) == (64, 183, 0x14680000)
    assert image.signed_header_bytes == 0x40 + 0x38
    assert (image.segments[0].flags, image.segments[0].file_bytes) == (0x02200000, 0x1980)
    assert image.end == 0x2980


def test_segment_without_bytes_does_not_lengthen_the_file() -> None:
    image = read_elf(changed(ELF32, 52 + 32 + 16, "<I", 0))
    assert (image.end, image.reach) == (0x74, 0x1000)


def changed(image: bytes, offset: int, form: str, value: int) -> bytes:
    data = bytearray(image)
    struct.pack_into(form, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"MZ" + bytes(100), changed(ELF32, 4, "B", 3), changed(ELF32, 5, "B", 2)],
)
def test_what_is_no_elf(data: bytes) -> None:
    with pytest.raises(DocumentError, match="ELF"):
        read_header(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ELF64[:60], "header is cut off"),
        (changed(ELF32, 42, "<H", 31), "31 bytes"),
        (changed(ELF32, 44, "<H", 0), "0 program headers"),
        (changed(ELF32, 44, "<H", 101), "101 program headers"),
        (changed(ELF32, 44, "<H", 0xFFFF), "65535 program headers"),
        (ELF32[:-1], "beyond the end"),
        (changed(ELF32, 28, "<I", 0xFFFFFFFF), "beyond the end"),
        (changed(ELF64, 32, "<Q", 1 << 63), "beyond the end"),
    ],
)
def test_program_headers_that_cannot_be(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_elf(data)
