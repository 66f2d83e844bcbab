# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables of NAND modems."""

from __future__ import annotations

import re
import struct
import zlib

import pytest

from edl.errors import DocumentError
from edl.formats import mibib
from tests import nands
from tests.conftest import shared


@pytest.mark.parametrize("page", [2048, 4096])
def test_a_copy_is_read(page: int) -> None:
    found = mibib.parse_copy(nands.mibib(page, age=7), page)
    assert [(each.text, each.offset, each.length) for each in found.entries] == list(nands.LAYOUT)
    assert (found.version, found.age, found.checksum_ok) == (4, 7, True)


def test_partitions_lie_on_pages_and_the_last_one_grows() -> None:
    found = mibib.parse_table(nands.table())
    places = [
        (each.number, each.name, each.first_sector, each.last_sector)
        for each in found.partitions(64, 100 * 64)
    ]
    assert places[1] == (2, "MIBIB", 4 * 64, 8 * 64 - 1)
    assert places[-1] == (6, "system", 32 * 64, 100 * 64 - 1)
    assert found.partitions(64, 100 * 64)[0].attributes == 0xFF01FF
    assert (found.age, found.checksum_ok) == (None, None)


def test_what_lies_behind_the_chip_is_cut_off() -> None:
    found = mibib.parse_table(nands.table((("0:a", 0, 10), ("0:b", 9, 0xFFFF), ("0:c", 50, 1))))
    assert [(each.name, each.last_sector) for each in found.partitions(64, 640)] == [
        ("a", 639),
        ("b", 639),
    ]


def test_unused_entries_are_left_out_and_names_may_be_anything() -> None:
    found = mibib.parse_table(
        nands.table((("", 1, 1), ("x:1", 2, 1), ("12:", 3, 1), ("1:A", 4, 1)))
    )
    assert [each.name for each in found.partitions(1, 9)] == ["x:1", "12:", "A"]


def test_the_last_length_lies_where_a_maker_patches_it() -> None:
    """Quectel's patch: byte 484 of the second page, NUM_DISK_BLOCKS-1458."""
    corpus = shared("corpus") / "mdm9607-quectel-eg25"
    names = re.findall(r"<name[^>]*>(.*?)<", (corpus / "update__partition_nand.xml").read_text())
    layout = tuple((name, number, 1) for number, name in enumerate(names))
    assert len(layout) == 17
    page = bytearray(nands.table(layout))
    page[484:488] = struct.pack("<I", 2048 - 1458)
    assert mibib.parse_table(bytes(page)).entries[16].length == 590


def test_the_newest_whole_copy_counts() -> None:
    data = bytearray(nands.mibib(2048, age=3).ljust(4096 * 4, b"\xff"))
    data += nands.mibib(2048, (("0:new", 0, 1),), age=4)
    assert mibib.find(bytes(data), 2048).age == 4
    data[-2048 * 3 + 20] ^= 1  # the table of the newer copy: its checksum does not fit any more
    found = mibib.find(bytes(data), 2048)
    assert (found.age, found.checksum_ok) == (3, True)
    assert mibib.newest([]) is None


def test_a_copy_without_a_checksum_and_with_those_of_other_tools() -> None:
    assert mibib.parse_copy(nands.mibib(2048, sealed=False), 2048).checksum_ok is None
    data = bytearray(nands.mibib(2048))
    data[3 * 2048 + 12 : 3 * 2048 + 16] = struct.pack("<I", zlib.crc32(data[:4096]))
    assert mibib.parse_copy(bytes(data), 2048).checksum_ok is True


def test_the_checksum_is_that_of_cksum_without_its_last_step() -> None:
    assert mibib.checksum(b"123456789") ^ 0xFFFFFFFF == 0x765E7680  # CRC-32/CKSUM, check value


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no NAND partition table"),
        (b"\xff" * 4096, "no NAND partition table"),
        (nands.table(version=9), "of version 9"),
        (nands.table()[:100], "6 entries: too many"),
        (struct.pack("<4I", 0x55EE73AA, 0xE35EBDDB, 3, 49) + bytes(2000), "49 entries"),
    ],
)
def test_what_is_no_table(data: bytes, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        mibib.parse_table(data)


def test_what_holds_no_copy() -> None:
    with pytest.raises(DocumentError, match="no MIBIB"):
        mibib.parse_copy(nands.mibib(2048)[:-1], 2048)
    with pytest.raises(DocumentError, match="no NAND partition table"):
        mibib.find(b"\xff" * 8192, 2048)
    damaged = nands.mibib(2048).replace(struct.pack("<I", 0x55EE73AA), bytes(4))
    with pytest.raises(DocumentError, match="no NAND partition table"):
        mibib.find(damaged, 2048)
