# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.errors import DocumentError
from edl.formats.expressions import Crc32, Expression, parse, parse_value, resolve

DISK_SECTORS = 30777344  # of the Oppo R9s in the corpus


# Every form that occurs in packages, with what the programmers make of it (firehose.md 2.13).
@pytest.mark.parametrize(
    ("text", "value", "needs_disk"),
    [
        ("0", 0, False),
        ("131072", 131072, False),
        ("0x20000", 131072, False),
        ("0X1f", 31, False),
        ("34.", 34, False),
        ("007", 7, False),
        (" 5 ", 5, False),
        ("+5", 5, False),
        ("NUM_DISK_SECTORS", DISK_SECTORS, True),
        ("NUM_DISK_SECTORS-33.", DISK_SECTORS - 33, True),
        ("NUM_DISK_SECTORS-1", DISK_SECTORS - 1, True),
        ("num_disk_sectors. - 0x10", DISK_SECTORS - 16, True),
        ("-33", DISK_SECTORS - 33, True),
        ("(512*NUM_DISK_SECTORS)-16896.", 512 * DISK_SECTORS - 16896, True),
        ("NUM_DISK_SECTORS*2-NUM_DISK_SECTORS", DISK_SECTORS, True),
        ("2*(3+4)*5-1", 69, False),
        ("NUM_DISK_SECTORS-NUM_DISK_SECTORS+7", 7, False),
        ("18446744073709551615", 2**64 - 1, False),
    ],
)
def test_what_packages_write_is_understood(text: str, value: int, *, needs_disk: bool) -> None:
    expression = parse(text)
    assert expression.text == text
    assert expression.needs_disk is needs_disk
    assert resolve(expression, DISK_SECTORS) == value
    if not needs_disk:
        assert resolve(expression, None) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "x", "12a", "0x", "0xg", "1 2", "1_000", "١٢", "1.5", "-", "--3", "2-",
        "5-10", "*2", "2**3", "2//3", "6/2", "()", "(1", "1)", "NUM_DISK_SECTORS*NUM_DISK_SECTORS",
        "NUM_DISK_SECTORSX", "NUM_DISK", "NUM_DI\u017fK_SECTORS", "18446744073709551616",
        "__import__('os').system('true')", "CRC32(1,92)", "1,2", "(" * 20 + "1" + ")" * 20,
    ],
)  # fmt: skip
def test_all_else_is_an_error_that_names_the_text(text: str) -> None:
    with pytest.raises(DocumentError, match="is no number or sector expression") as caught:
        parse(text)
    assert text in caught.value.message


def test_long_texts_are_refused_unread() -> None:
    with pytest.raises(DocumentError, match=r"'1\+1\+.*\.\.\.' is too long"):
        parse("1+" * 100 + "1")
    with pytest.raises(DocumentError, match="is too long"):
        parse_value("CRC32(" + " " * 1_000_000)


def test_nested_parentheses_are_understood_one_after_another() -> None:
    assert resolve(parse("+".join(["((1))"] * 20)), None) == 20


def test_a_value_needs_the_disk_and_lies_on_it() -> None:
    at_end = parse("NUM_DISK_SECTORS-33.")
    with pytest.raises(DocumentError, match="needs the size of the disk"):
        resolve(at_end, None)
    with pytest.raises(DocumentError, match="before the start of a disk of 32 sectors"):
        resolve(at_end, 32)
    assert resolve(at_end, 33) == 0
    with pytest.raises(DocumentError, match="larger than 64 bits"):
        resolve(parse("NUM_DISK_SECTORS*0x100000000"), 2**33)


def test_erase_blocks_are_counted_where_their_size_is_known() -> None:
    expression = parse("NUM_DISK_BLOCKS-1458.")
    assert expression == Expression("NUM_DISK_BLOCKS-1458.", -1458, per_block=1)
    assert expression.needs_disk
    with pytest.raises(DocumentError, match="erase blocks of NAND"):
        resolve(expression, 1000)
    with pytest.raises(DocumentError, match="needs the size of the disk"):
        resolve(expression, None, 64)
    assert resolve(expression, 2048 * 64, 64) == 2048 - 1458


def test_values_may_be_checksums() -> None:
    value = parse_value("CRC32(NUM_DISK_SECTORS-33.,7168)")
    assert isinstance(value, Crc32)
    assert resolve(value.start, 100) == 67
    assert value.length_bytes == 7168
    assert parse_value("crc32( 1 , 92. )") == Crc32("crc32( 1 , 92. )", parse(" 1 "), 92)
    assert parse_value("NUM_DISK_SECTORS-6.") == parse("NUM_DISK_SECTORS-6.")


@pytest.mark.parametrize("text", ["CRC32(1,0)", "CRC32(1,16777217)", "CRC32(1,99999999999999999)"])
def test_lengths_of_checksums_are_bounded(text: str) -> None:
    with pytest.raises(DocumentError, match="asks for the CRC-32 of"):
        parse_value(text)


@pytest.mark.parametrize(
    "text",
    ["CRC32()", "CRC32(,92)", "CRC32(1)", "CRC32(1,-2)", "CRC32(CRC32(1,2),3)", "CRC32(1,2)+1"],
)
def test_malformed_checksums_are_errors(text: str) -> None:
    with pytest.raises(DocumentError, match="is no number or sector expression"):
        parse_value(text)
