# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.units import (
    GIB,
    KIB,
    MIB,
    format_duration,
    format_size,
    format_wait,
    parse_number,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("4096", 4096),
        ("0", 0),
        ("0x1000", 4096),
        ("0X10", 16),
        ("010", 10),
        ("512b", 512),
        ("64KiB", 64 * KIB),
        ("64 k", 64 * KIB),
        ("1MiB", MIB),
        ("2m", 2 * MIB),
        (" 3 GiB ", 3 * GIB),
        ("1G", GIB),
        ("0x10 K", 16 * KIB),
        ("0xb", 11),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    # the last four look like digits or letters, and are others
    [
        "",
        "k",
        "-1",
        "1.5M",
        "1T",
        "0x",
        "1 2",
        "4K!",
        "\u0664",
        "4K\u0130B",
        "4k\u0131b",
        "4\u212a",
    ],
)
def test_what_is_no_size_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("34", 34), ("0034", 34), (" 0x1F ", 31), ("0Xff", 255)]
)
def test_numbers_are_decimal_or_hexadecimal(text: str, number: int) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "1.5", "-1", "+1", "1_000", "0x", "0xg", "ff", "\u0664"])
def test_what_is_no_number_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal or 0x number"):
        parse_number(text)


def test_absurdly_long_numbers_are_a_value_error() -> None:
    for parse in (parse_number, parse_size):
        with pytest.raises(ValueError, match="4300"):
            parse("9" * 5000)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (512, "512 bytes"),
        (1023, "1023 bytes"),
        (KIB, "1 KiB"),
        (1536, "1.5 KiB"),
        (33 * KIB, "33 KiB"),
        (99 * KIB + 1000, "100 KiB"),
        (260 * KIB + 300, "260 KiB"),
        (MIB, "1 MiB"),
        (7 * GIB + 410 * MIB, "7.4 GiB"),
        (30119936 * 4096, "115 GiB"),  # LUN 0 of a Surface Duo (EDLTests readme)
        (2048 * GIB, "2048 GiB"),
    ],
)
def test_sizes_are_written_for_people(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (12.3, "12 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "60 min 0 s"),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "0 s"),
        (2, "2 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (599.9, "10 min"),
        (3569, "59 min"),
        (3600, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_waits_are_told_as_exactly_as_matters(seconds: float, text: str) -> None:
    assert format_wait(seconds) == text
