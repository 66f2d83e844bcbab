# SPDX-License-Identifier: BSD-3-Clause
"""Digest tables: how many there are, what ends them, and what is wrong with others."""

from __future__ import annotations

import hashlib

import pytest

from edl.errors import DocumentError
from edl.formats.digesttable import MAX_TRANSFERS, make_tables, read_tables
from loaders.images import Binding, Recipe, signed_table

RECIPE = Recipe(binding=Binding(0x007050E1_0000_0000))


def digests(count: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(count)]


@pytest.mark.parametrize(
    ("count", "signed", "chained"),
    [
        (1, 32, []),
        (53, 53 * 32, []),
        (54, 54 * 32, [33]),
        (53 + 255, 54 * 32, [255 * 32 + 1]),
        (53 + 256, 54 * 32, [8192, 33]),
        (MAX_TRANSFERS, 54 * 32, [*([8192] * 31), 255 * 32 + 1]),
    ],
)
def test_sizes(count: int, signed: int, chained: list[int]) -> None:
    made = make_tables(digests(count))
    assert len(made.to_sign) == signed
    assert [len(table) for table in made.chained] == chained
    assert made.full == b"".join(digests(count))
    read = read_tables(signed_table(RECIPE, made.to_sign), made.chained)
    assert read.problems == ()
    assert list(read.digests) == digests(count)
    assert [len(table.digests) for table in read.tables][:1] == [min(count, 53)]


@pytest.mark.parametrize("count", [0, MAX_TRANSFERS + 1])
def test_too_few_or_too_many(count: int) -> None:
    with pytest.raises(DocumentError):
        make_tables(digests(1) * count)


def problems(signed: bytes, *chained: bytes) -> str:
    return " ".join(read_tables(signed, chained).problems)


def test_chains_that_do_not_hold() -> None:
    made = make_tables(digests(600))
    signed = signed_table(RECIPE, made.to_sign)
    first, second, third = made.chained
    assert not problems(signed, first, second, third)
    assert "ChainedTableOfDigests0.bin is missing" in problems(signed)
    assert "ChainedTableOfDigests2.bin is missing" in problems(signed, first, second)
    assert "0.bin is not the table whose digest ends Digests" in problems(signed, second, first)
    assert "1.bin is not the table" in problems(signed, first, third)
    assert "3.bin is not the table" in problems(signed, first, second, third, b"")
    short = signed_table(RECIPE, b"".join(digests(3)))
    assert "0.bin is one too many" in problems(short, b"")


def test_tables_of_wrong_sizes() -> None:
    made = make_tables(digests(400))
    signed = signed_table(RECIPE, made.to_sign)
    assert "0.bin has 8194 bytes, programmers take" in problems(signed, bytes(8194))
    assert "0.bin has 512 bytes: programmers wait" in problems(signed, bytes(512))
    assert "0.bin has 100 bytes, no whole number" in problems(signed, bytes(100), bytes(33))
    large = signed + bytes(8192)
    assert "DigestsToSign.bin.mbn has" in problems(large, *made.chained)


def test_what_is_no_signed_table() -> None:
    table = b"".join(digests(54))
    for data, told in (
        (b"", "is no signed table"),
        (table, "is no signed table"),
        (signed_table(Recipe(vendor=None, fields=False), table), "is not signed"),
        (signed_table(RECIPE, table + bytes(32)), "of 1760 bytes"),
        (signed_table(RECIPE, table[:33]), "of 33 bytes"),
        (signed_table(RECIPE, b""), "of 0 bytes"),
    ):
        with pytest.raises(DocumentError, match=told):
            read_tables(data, [])
