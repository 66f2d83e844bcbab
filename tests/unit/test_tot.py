# SPDX-License-Identifier: BSD-3-Clause
"""LG's tot files."""

from __future__ import annotations

import pytest

from edl.chunks import BytesContent
from edl.errors import DocumentError
from edl.formats.tot import Piece, is_tot, read_tot
from tests.packages import lgs

PIECES = (("PrimaryGPT", 0, b"g" * 1024), ("boot", 128, b"b" * 700), ("boot", 400, b"c" * 512))


@pytest.mark.parametrize("names_at", [lgs.OLD_NAMES, lgs.NEW_NAMES])
@pytest.mark.parametrize("chained", [False, True])
def test_pieces(names_at: int, chained: bool) -> None:
    content = BytesContent(lgs.tot(*PIECES, names_at=names_at, chained=chained))
    assert is_tot(content)
    assert read_tot(content) == (
        Piece(0, "PrimaryGPT", 0, 0x100000, 1024),
        Piece(1, "boot", 128, 0x100000 + 1024, 1024),
        Piece(2, "boot", 400, 0x100000 + 2048, 512),
    )


def changed(at: int, data: bytes) -> BytesContent:
    raw = bytearray(lgs.tot(*PIECES))
    raw[at : at + len(data)] = data
    return BytesContent(bytes(raw))


def test_what_is_none() -> None:
    assert not is_tot(BytesContent(lgs.tot(*PIECES)[:0x80000]))
    assert not is_tot(changed(0, b"\x44\xec\x55\xaa"))
    assert not is_tot(changed(0x2000, bytes(4)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (changed(0x2010, b"\xff" * 4), "It names no pieces"),
        (changed(0x4220, b"\xff"), "The names of its pieces are not where"),
        (changed(0x6230, b"a\0".ljust(32, b"\0") * 3), "The names of its pieces are not where"),
        (changed(0x2018, bytes(4)), r"'PrimaryGPT' \(piece 0\) does not lie in the file"),
        (changed(0x2024, b"\0\0\0\x80"), r"'boot' \(piece 1\) does not lie in the file"),
        (BytesContent(lgs.tot(*PIECES)[:-512]), r"'boot' \(piece 2\) does not lie in the file"),
    ],
)
def test_damaged_ones(content: BytesContent, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        read_tot(content)


def test_as_many_as_there_can_be() -> None:
    assert len(read_tot(BytesContent(lgs.tot(*[("x", 1, b"x")] * 545)))) == 545
