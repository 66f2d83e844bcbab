# SPDX-License-Identifier: BSD-3-Clause
"""Streams that are held to their size and checksums."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from edl.chunks import BytesContent
from edl.errors import DocumentError
from edl.formats.checked import Checked, Crc32, Inflated, Pieces, Sum
from edl.formats.streams import take

DATA = bytes(range(256)) * 1000


def checked(size: int, *sums: Sum) -> Checked:
    return Checked(Pieces(BytesContent(DATA)), size, sums)


def test_pieces_are_passed_over_and_end() -> None:
    pieces = Pieces(BytesContent(DATA))
    pieces.skip(1000)
    assert take(pieces, 1 << 20) == DATA[1000:]
    assert pieces.read(1) == b""
    pieces.skip(10)


def test_inflated_data_are_passed_over_and_end_with_the_data() -> None:
    stream = Inflated(Pieces(BytesContent(zlib.compress(DATA) + b"behind it")))
    stream.skip(1000)
    assert take(stream, 1 << 20) == DATA[1000:]
    assert stream.read(1) == b""


class Dripping:
    """A stream that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size_bytes: int) -> bytes:
        piece, self._data = self._data[:1], self._data[1:]
        return piece

    def skip(self, size_bytes: int) -> None:
        self._data = self._data[size_bytes:]


def test_inflated_data_that_come_drop_by_drop() -> None:
    assert take(Inflated(Dripping(zlib.compress(DATA))), 1 << 20) == DATA


def test_zeros_are_counted_in() -> None:
    wanted = hashlib.sha256(DATA.ljust(258048, b"\0")).digest()
    stream = checked(len(DATA), Sum("SHA-256", hashlib.sha256, wanted, padded_to=4096))
    assert take(stream, 1 << 20) == DATA


def test_a_wrong_sum_is_told_with_the_last_byte() -> None:
    stream = checked(len(DATA), Sum("CRC-32", Crc32, b"none"))
    stream.skip(len(DATA) - 1)
    with pytest.raises(DocumentError, match="CRC-32"):
        stream.read(1)


def test_more_than_there_should_be() -> None:
    with pytest.raises(DocumentError, match="longer"):
        take(checked(len(DATA) - 1), 1 << 20)


def test_one_of_several_sums_with_the_same_name_is_enough() -> None:
    first = Sum("MD5", hashlib.sha256, hashlib.sha256(DATA[:1000]).digest(), 1000)
    whole = Sum("MD5", hashlib.sha256, b"none")
    assert take(checked(len(DATA), whole, first), 1 << 20) == DATA
