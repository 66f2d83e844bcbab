# SPDX-License-Identifier: BSD-3-Clause
"""EXT_CSD: bytes of real devices at the offsets of the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.errors import DocumentError
from edl.formats import extcsd
from edl.formats.extcsd import ExtCsd

# an eMMC of 64 GB, read by Linux: https://titron.github.io/2023/04/07/linux_read_emmc_info
REAL = {
    192: bytes.fromhex("08"),
    212: bytes.fromhex("00c04707"),
    254: bytes.fromhex("0100000000000000"),
    267: bytes.fromhex("010100"),
}


def registers(pieces: dict[int, bytes]) -> bytes:
    data = bytearray(512)
    for at, piece in pieces.items():
        data[at : at + len(piece)] = piece
    return bytes(data)


def test_a_real_device() -> None:
    told = extcsd.parse(registers(REAL))
    assert told == ExtCsd(8, 122142720, b"\x01" + bytes(7), pre_eol=1, life_a=1, life_b=0, upkeep=0)
    assert told.standard == "5.1"
    assert told.firmware_text == "0x01"


def test_values_that_the_standard_does_not_define() -> None:
    """Executed programmers print a device whose bytes are their own offsets."""
    told = extcsd.parse(bytes(index & 0xFF for index in range(512)))
    assert (told.pre_eol, told.life_a, told.life_b, told.upkeep) == (0, 0, 0, 0)
    assert (told.revision, told.standard) == (0xC0, None)


def test_limits_of_the_standard() -> None:
    worn = registers({192: b"\x07", 246: b"\x03", 267: b"\x03\x0b\x0a"})
    told = extcsd.parse(worn)
    assert (told.pre_eol, told.life_a, told.life_b, told.upkeep) == (3, 11, 10, 3)
    beyond = extcsd.parse(registers({192: b"\x07", 246: b"\x04", 267: b"\x04\x0c\xff"}))
    assert (beyond.pre_eol, beyond.life_a, beyond.life_b, beyond.upkeep) == (0, 0, 0, 0)


def test_before_emmc_5_0_the_bytes_mean_nothing() -> None:
    told = extcsd.parse(registers({**REAL, 192: b"\x06"}))
    assert (told.pre_eol, told.life_a, told.life_b, told.firmware) == (0, 0, 0, b"")
    assert (told.standard, told.firmware_text) == ("4.5", None)


def test_a_firmware_that_is_text() -> None:
    assert extcsd.parse(registers({192: b"\x08", 254: b"ABCD12 \0"})).firmware_text == "ABCD12"
    hostile = extcsd.parse(registers({192: b"\x08", 254: b"\x1b[2J\xff\0\0\0"}))
    assert hostile.firmware_text == "0x1b5b324aff"


@given(st.binary(min_size=512, max_size=512))
def test_any_bytes_have_values_that_the_standard_knows(data: bytes) -> None:
    told = extcsd.parse(data)
    assert told.pre_eol in range(4)
    assert told.upkeep in range(4)
    assert {told.life_a, told.life_b} <= set(range(12))
    assert (told.firmware_text or "x").isprintable()


@pytest.mark.parametrize("size", [0, 511, 513])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(DocumentError, match=str(size)):
        extcsd.parse(bytes(size))
