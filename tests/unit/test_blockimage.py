# SPDX-License-Identifier: BSD-3-Clause
"""Transfer lists, as AOSP's blockimgdiff.py writes them, and what they make of their data."""

from __future__ import annotations

import io
import random

import brotli
import pytest

from edl.chunks import BytesContent, read_all
from edl.contents import data_runs
from edl.errors import DocumentError
from edl.formats import blockimage
from edl.formats.blockimage import BLOCK_BYTES as BLOCK
from edl.formats.blockimage import BlockImage
from edl.formats.brotli import Unbrotlied
from edl.formats.streams import take

DATA = random.Random(4).randbytes(7 * BLOCK)
LISTS = {
    1: b"1\n7\nerase 2,0,20\nnew 4,2,4,6,10\nnew 2,15,16\nzero 2,16,18\n",
    2: b"2\n7\n0\n0\nerase 2,0,20\nnew 4,2,4,6,10\nzero 2,16,18\nnew 2,15,16\n",
    4: b"4\n7\n0\n0\nnew 4,2,4,6,10\nfree abc\nzero 2,16,18\r\nnew 2,15,16\n\nerase 2,18,20",
}


@pytest.mark.parametrize("version", LISTS)
def test_a_whole_image(version: int) -> None:
    found = blockimage.read(LISTS[version])
    assert (found.version, found.blocks, found.needs) == (version, 20, ())
    assert found.new == ((2, 2), (6, 4), (15, 1))
    assert found.in_order
    assert found.data_bytes == len(DATA)
    image = BlockImage(found, BytesContent(DATA))
    expected = bytearray(20 * BLOCK)
    expected[2 * BLOCK : 4 * BLOCK] = DATA[: 2 * BLOCK]
    expected[6 * BLOCK : 10 * BLOCK] = DATA[2 * BLOCK : 6 * BLOCK]
    expected[15 * BLOCK : 16 * BLOCK] = DATA[6 * BLOCK :]
    assert read_all(image, 0, image.size_bytes) == expected
    assert read_all(image, 3 * BLOCK + 1, 4 * BLOCK) == expected[3 * BLOCK + 1 : 7 * BLOCK + 1]
    runs = list(data_runs(image, BLOCK, 6 * BLOCK))
    assert runs == [(2 * BLOCK, 2 * BLOCK), (6 * BLOCK, BLOCK)]


def test_blanks_around_numbers_do_not_matter() -> None:
    # U+001F is a blank for str.strip(), and none for int()
    assert blockimage.read(b"2\x1f\n1\n0\n0\nnew 2,0, 1\x1f\n").new == ((0, 1),)


def test_data_in_another_order_than_their_blocks() -> None:
    found = blockimage.read(b"4\n3\n0\n0\nnew 2,4,5\nnew 2,0,2\n")
    assert not found.in_order
    image = BlockImage(found, BytesContent(DATA))
    assert read_all(image, 0, 2 * BLOCK) == DATA[BLOCK : 3 * BLOCK]
    assert read_all(image, 4 * BLOCK, BLOCK) == DATA[:BLOCK]


def test_what_needs_the_old_image() -> None:
    found = blockimage.read(
        b"4\n3\n0\n0\nbsdiff 0 1 a b 2,0,1 1 2,0,1\nmove x 2,0,1 1 2,0,1\nstash y 2,0,1\nbsdiff z\n"
    )
    assert found.needs == ("bsdiff", "move", "stash")
    assert (found.blocks, found.data_bytes, found.in_order) == (0, 0, True)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "unknown version 0"),
        (b"9\n", "unknown version 9"),
        (b"\xff\xfe", "where a number belongs"),
        (b"1\n1\nnew", "where a number belongs"),
        (b"1\n1\nnew 2,0\n", "not whole"),
        (b"1\n1\nnew 3,0,1,2\n", "not whole"),
        (b"1\n1\nnew 2,0,99999999999999\n", "the range 0 to 99999999999999"),
        (b"1\n1\nnew 2,5,5\n", "the range 5 to 5"),
        (b"1\n1\nnew 2,0,-1\n", "where a number belongs"),
        (b"1\n1\nnew 2,0,9223372036854775808\n", "where a number belongs"),
        (b"1\n1\nnew 2,0,2\nnew 2,1,3\n", "writes blocks twice"),
        (b"1\n" * (17 << 20), "larger than any honest"),
    ],
)
def test_what_is_no_honest_list(raw: bytes, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        blockimage.read(raw)


def test_ranges_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockimage, "_MAX_RANGES", 2)
    with pytest.raises(DocumentError, match="more ranges"):
        blockimage.read(LISTS[1])


def test_logical_partitions_of_a_list_of_operations() -> None:
    raw = b"""\
# Remove all existing dynamic partitions and groups before applying full OTA
remove_all_groups
# Add group main with maximum size 4156555264
add_group main 4156555264
# Add partition system to group main
add system main
add vendor main
# Grow partition system from 0 to 2147483648
resize system 2147483648
"""
    assert blockimage.read_logical(raw) == {"system": 2147483648, "vendor": 0}
    with pytest.raises(DocumentError, match="where a number belongs"):
        blockimage.read_logical(b"resize system lots")
    with pytest.raises(DocumentError, match="larger than any honest"):
        blockimage.read_logical(b"\n" * (33 << 20))


# -- brotli --------------------------------------------------------------------------------------


class Pieces:
    """A stream that gives at most step bytes at once."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size_bytes: int) -> bytes:
        return self._file.read(min(size_bytes, self._step))

    def skip(self, size_bytes: int) -> None:
        self._file.seek(size_bytes, io.SEEK_CUR)


def unpack(data: bytes, *, limit: int = 1 << 30, step: int = 1000) -> bytes:
    return take(Unbrotlied(Pieces(data, step)), limit)


def test_brotli_in_pieces() -> None:
    data = DATA + bytes(3 << 20) + DATA
    packed = brotli.compress(data, quality=5)
    assert unpack(packed) == data
    assert unpack(packed, step=7) == data
    stream = Unbrotlied(Pieces(packed, 4096))
    stream.skip(len(DATA))
    assert not any(take(stream, 3 << 20))
    assert take(stream, len(DATA)) == DATA
    assert stream.read(1) == b""
    stream.skip(5)


def test_brotli_that_is_damaged_or_cut_off() -> None:
    packed = brotli.compress(DATA)
    with pytest.raises(DocumentError, match="cut off"):
        unpack(packed[:-1])
    with pytest.raises(DocumentError, match="damaged"):
        unpack(b"\xff" * 100)


def test_a_brotli_bomb_gives_only_what_is_asked_for() -> None:
    packed = brotli.compress(bytes(16 << 20), quality=1)
    assert len(packed) < 10_000
    stream = Unbrotlied(Pieces(packed, 1 << 20))
    assert len(stream.read(100)) == 100
    assert len(stream._pending) < 1 << 20
