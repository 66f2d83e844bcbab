# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import dataclasses
import enum
import struct
from typing import Annotated, ClassVar

import pytest

from edl.errors import ProtocolError
from edl.wire import OpenEnum, Packet, Wire, u8, u16, u32, u64


class Colour(OpenEnum):
    RED = 1


class Shape(enum.IntEnum):
    ROUND = 2


class Sample(Packet):
    """One field of every kind."""

    MAGIC: ClassVar[int] = 7

    small: u8
    middle: u16
    large: u32
    huge: u64
    colour: Annotated[Colour, Wire("I")]
    shape: Annotated[Shape, Wire("B")]
    name: Annotated[bytes, Wire("4s")] = b"name"


# Packed with the struct module's documented little-endian codes, no alignment.
SAMPLE = bytes.fromhex("01 0302 07060504 0f0e0d0c0b0a0908 01000000 02 6e616d65")


def test_fields_lie_in_the_order_of_the_declaration_and_little_endian() -> None:
    sample = Sample(1, 0x0203, 0x04050607, 0x08090A0B0C0D0E0F, Colour.RED, Shape.ROUND)
    assert sample.pack() == SAMPLE
    assert Sample.size() == len(SAMPLE) == 24


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_unpacking_gives_the_declared_types(kind: type[bytes | bytearray | memoryview]) -> None:
    sample = Sample.unpack(kind(SAMPLE))
    assert sample == Sample(1, 0x0203, 0x04050607, 0x08090A0B0C0D0E0F, Colour(1), Shape(2), b"name")
    assert sample.colour is Colour.RED
    assert isinstance(sample.name, bytes)


@pytest.mark.parametrize("data", [b"", SAMPLE[:-1], SAMPLE + b"\0"])
def test_another_length_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        Sample.unpack(data)
    assert caught.value.message == f"Sample takes 24 bytes, {len(data)} arrived."


def test_packets_cannot_be_changed() -> None:
    sample = Sample.unpack(SAMPLE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        sample.small = 2  # type: ignore[misc]


def test_a_number_too_large_for_its_field_is_our_own_mistake() -> None:
    with pytest.raises(struct.error):
        dataclasses.replace(Sample.unpack(SAMPLE), small=256).pack()


def test_an_open_enumeration_keeps_what_it_does_not_know() -> None:
    unknown = Colour(0x4D)
    assert (unknown.name, unknown, unknown.known) == ("UNKNOWN_0x4d", 0x4D, False)
    assert isinstance(unknown, Colour)
    assert Colour(1).known
    assert list(Colour) == [Colour.RED]


def test_an_open_enumeration_takes_numbers_only() -> None:
    with pytest.raises(ValueError, match="red"):
        Colour("red")  # type: ignore[arg-type]


def test_an_unknown_number_goes_round_unchanged() -> None:
    changed = bytearray(SAMPLE)
    changed[15:19] = b"\xef\xbe\xad\xde"
    sample = Sample.unpack(changed)
    assert sample.colour.name == "UNKNOWN_0xdeadbeef"
    assert sample.pack() == changed
