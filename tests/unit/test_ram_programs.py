# SPDX-License-Identifier: BSD-3-Clause
"""Intel HEX and images with an address: programs for memory."""

from __future__ import annotations

import struct

import pytest

from edl.errors import DocumentError
from edl.formats.intelhex import MAX_BYTES, looks_like_hex, read_hex
from edl.formats.ramprogram import read_ram_program
from loaders.make_dummies import COMMITTED, good_ones

# the example of Intel's specification, appendix (:0300300002337A1E), and objcopy's form of the rest
SPEC = b":0300300002337A1E\r\n:00000001FF\r\n"


def record(kind: int, address: int, body: bytes) -> bytes:
    raw = struct.pack(">BHB", len(body), address, kind) + body
    return b":" + (raw + bytes((-sum(raw) & 0xFF,))).hex().upper().encode() + b"\n"


END = record(1, 0, b"")


def test_the_example_of_the_specification() -> None:
    assert record(0, 0x30, b"\x02\x33\x7a") == SPEC.splitlines()[0] + b"\n"
    program = read_hex(SPEC)
    assert program.segments == ((0x30, b"\x02\x33\x7a"),)
    assert program.entry is None
    assert looks_like_hex(SPEC)
    assert not looks_like_hex(b"\x7fELF")


def test_records_that_follow_make_one_segment() -> None:
    data = (
        record(4, 0, b"\x41\x70")
        + record(0, 0, b"abcd")
        + b"\n"
        + record(0, 4, b"efgh")
        + record(0, 0x100, b"far")
        + record(0, 0x200, b"")
        + record(2, 0, b"\x10\x00")
        + record(0, 8, b"seg")
        + record(5, 0, bytes.fromhex("41700000"))
        + END
    )
    program = read_hex(data)
    assert program.segments == (
        (0x41700000, b"abcdefgh"),
        (0x41700100, b"far"),
        (0x10008, b"seg"),
    )
    assert program.entry == 0x41700000


def test_the_start_of_segmented_programs() -> None:
    data = record(0, 0, b"x") + record(3, 0, bytes.fromhex("10000020")) + END
    assert read_hex(data).entry == 0x10020


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b":0300300002337A1F\n" + END, "Line 1 of the Intel HEX file is damaged"),
        (b":03003000023\n", "no record"),
        (b":04003000023377AA\n", "no record"),
        (b"hello\n", "no record"),
        (record(9, 0, b""), "no known kind"),
        (record(4, 0, b"\0"), "no known kind"),
        (record(0, 0, b"x"), "no end"),
        (END, "holds no data"),
        (bytes(MAX_BYTES + 1), "too large for a programmer"),
    ],
)
def test_damaged_files(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_hex(data)


def test_an_image_with_an_address() -> None:
    image = COMMITTED["prog_emmc_streaming_8974_test.mbn"]()
    program = read_ram_program(image)
    ((address, code),) = program.segments
    assert (address, program.entry, len(code)) == (0x2A00_0000, 0x2A00_0000, 0x4000)
    assert image[80 : 80 + 0x4000] == code
    assert read_ram_program(SPEC) == read_hex(SPEC)
    with pytest.raises(DocumentError, match="cut off"):
        read_ram_program(image[:1000])


def test_an_image_with_the_short_header() -> None:
    code = b"code" * 100
    header = struct.pack("<10I", 0x0D, 3, 0, 0x2A000000, 400, 400, 0, 0, 0, 0)
    assert read_ram_program(header + code).segments == ((0x2A000000, code),)


@pytest.mark.parametrize("data", [b"", good_ones()["v3.mbn"], b"\xd1\xdc\x4b\x84\x34\x10\xd7\x73"])
def test_what_tells_no_address(data: bytes) -> None:
    with pytest.raises(DocumentError, match="does not tell where in memory"):
        read_ram_program(data)
