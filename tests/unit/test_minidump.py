# SPDX-License-Identifier: BSD-3-Clause
"""Minidumps: an ELF core from the regions of a crash dump, as linux-msm/qdl puts them together."""

from __future__ import annotations

import struct

import pytest

from edl.errors import DocumentError
from edl.formats.minidump import Minidump, Part, Placed, arrange, find_head

LOAD, NOTE = 1, 4


def head(*rows: tuple[int, int, int, int], kind: int = 4, tail: int = 0) -> bytes:
    """Return the head of an ELF core with rows of kind, offset, physical address and size."""
    packed = b"".join(
        struct.pack("<IIQQQQQQ", each, 6, offset, 0, address, size, size, 0)
        for each, offset, address, size in rows
    )
    fields = (kind, 183, 1, 0, 64, 0, 0, 64, 56, len(rows), 0, 0, 0)
    return (
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        + struct.pack("<HHIQQQI6H", *fields)
        + packed
        + bytes(tail)
    )


TWO = head((NOTE, 232, 0, 100), (LOAD, 332, 0x1000, 50), (LOAD, 400, 0x2000, 60), tail=40)
HEAD = Part(3, "md_KELF", 0x9000, len(TWO))
NOTES = Part(4, "md_Kvmcorein", 0x9100, 60)
A, B = Part(5, "md_Ka", 0x1000, 50), Part(6, "md_Kb", 0x2000, 55)
OTHER = Part(7, "DDR CS0", 0x3000, 1 << 30)


def test_the_head_is_found_by_its_name() -> None:
    assert find_head([OTHER, A, HEAD]) == HEAD
    assert find_head([Part(0, "md_KELF_HEADER", 0, 1)]) is not None
    assert find_head([OTHER, A]) is None


def test_parts_go_where_the_head_says() -> None:
    assert arrange(HEAD, TWO, [OTHER, B, NOTES, A, HEAD]) == Minidump(
        460,
        (Placed(3, 0, 272), Placed(4, 272, 60), Placed(5, 332, 50), Placed(6, 400, 55)),
        (),
    )


def test_what_is_not_there_is_told() -> None:
    made = arrange(HEAD, TWO, [HEAD, B])
    assert made.missing == (0x1000,)
    assert made.placed == (Placed(3, 0, 272), Placed(6, 400, 55))
    assert made.size_bytes == 460


def test_notes_have_no_more_room_than_the_head_says() -> None:
    long = Part(4, "md_Kvmcorein", 0x9100, 5000)
    assert Placed(4, 272, 60) in arrange(HEAD, TWO, [long, A, B]).placed
    full = head((NOTE, 176, 0, 10), (LOAD, 186, 0x1000, 50), tail=10)
    assert arrange(HEAD, full, [NOTES, A]).placed == (Placed(3, 0, 186), Placed(5, 186, 50))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x7fELF\x02\x01", "no ELF file of 64 bits"),
        (b"\x7fELF\x01\x01".ljust(100, b"\0"), "no ELF file of 64 bits"),
        (head(kind=2), "no ELF core"),
        (TWO[:200], "no ELF core"),
        (head((LOAD, 1 << 40, 0x1000, 1)), "says that it has"),
        (head((LOAD, 100, 0x1000, 50)), "lie at the same place"),
        (head((LOAD, 300, 0x1000, 50), (LOAD, 349, 0x2000, 50)), "lie at the same place"),
    ],
)
def test_heads_that_contradict_themselves(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        arrange(HEAD, data, [A, B])
