# SPDX-License-Identifier: BSD-3-Clause
"""Crash dumps over Sahara: tables of regions, and refusals in place of memory."""

from __future__ import annotations

import itertools

import pytest

from edl.errors import ProtocolError
from edl.sahara import memory
from edl.sahara.memory import MAX_TABLE_BYTES, MemoryAnswer, Region
from edl.sahara.status import Status

# sahara.md T6: layouts of qcom-memory-dump-collector
ROW_64 = bytes.fromhex(
    "0100000000000000 0000008000000000 0000004000000000"
    "44445220435330204d656d6f7279000000000000 44445243 53305f302e42494e0000000000000000"
)
ROW_32 = bytes.fromhex(
    "01000000 00006814 00000400 4f43494d454d0000000000000000000000000000"
    "4f43494d454d2e42494e00000000000000000000"
)
REFUSAL = bytes.fromhex("04000000 10000000 0d000000 19000000")
LIMIT = 1 << 64


def region(address: int, size: int, name: str = "A.BIN") -> Region:
    return Region(address, size, saved=True, description="A", file_name=name)


def test_tables_of_both_widths() -> None:
    ddr = Region(0x80000000, 0x40000000, True, "DDR CS0 Memory", "DDRCS0_0.BIN")
    assert memory.parse_table(ROW_64, wide=True) == (ddr,)
    ocimem = Region(0x14680000, 0x40000, True, "OCIMEM", "OCIMEM.BIN")
    assert memory.parse_table(ROW_32, wide=False) == (ocimem,)
    assert ocimem.end == 0x146C0000
    with pytest.raises(ProtocolError, match="has 53 bytes; its entries have 52"):
        memory.parse_table(ROW_32 + b"\0", wide=False)


def test_texts_of_a_table_need_no_end_and_are_printable() -> None:
    row = bytes(8) + ROW_64[8:24] + b"\x1b[2J\xff" + b"x" * 15 + b"twenty-characters.bin"[:20]
    [found] = memory.parse_table(row, wide=True)
    assert found.description == "?[2J?" + "x" * 15
    assert (found.file_name, found.saved) == ("twenty-characters.bi", False)


@pytest.mark.parametrize("size", [0, MAX_TABLE_BYTES + 1, 1 << 63])
def test_a_table_of_impossible_size_is_not_read(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"has {size} bytes; it can have up to 65536"):
        memory.require_table(size)
    memory.require_table(MAX_TABLE_BYTES)


def test_what_a_table_lies_about() -> None:
    regions = [
        region(0x1000, 0),
        region(LIMIT - 0x1000, 0x1001),
        region(0x1000, (1 << 40) + 1),
        region(0x8000, 0x1000, "OK.BIN"),
        region(0x8FFF, 1),
        region(0x9000, 1),
        Region(0x8000, 1, saved=True, description="", file_name=""),
    ]
    doubts = memory.doubts(regions, wide=True)
    assert doubts[:3] == (
        "it is empty",
        "it ends behind the last address",
        "it is larger than any memory",
    )
    assert doubts[3:] == ("", "it overlaps OK.BIN", "", "it overlaps OK.BIN")
    possible = [memory.is_possible(each, wide=True) for each in regions]
    assert possible == [False] * 3 + [True] * 4
    assert not memory.is_possible(region(0xFFFF_F000, 0x1001), wide=False)
    assert memory.is_possible(region(0xFFFF_F000, 0x1000), wide=False)


@pytest.mark.parametrize("size", [1, 8, 15, 16, 17, 32, 1 << 20, (1 << 20) + 16, 3 << 20])
def test_no_read_has_the_length_of_a_refusal(size: int) -> None:
    lengths, left = [], size
    while left:
        lengths.append(memory.next_length(left))
        left -= lengths[-1]
    assert sum(lengths) == size
    assert 16 not in lengths
    assert max(lengths) <= 1 << 20


def transfers(answer: MemoryAnswer, *pieces: bytes) -> bytes:
    return b"".join(bytes(answer.receive(piece, whole_transfer=True)) for piece in pieces)


def test_memory_in_one_transfer_or_several() -> None:
    for pieces in ((b"a" * 40,), (b"a" * 30, b"a" * 10)):
        answer = MemoryAnswer(40)
        assert transfers(answer, *pieces) == b"a" * 40
        assert answer.complete
        assert answer.refused is None


@pytest.mark.parametrize("before", [b"", b"a" * 24])
@pytest.mark.parametrize("length", [8, 40, 1 << 20])
def test_a_refusal_in_place_of_memory(before: bytes, length: int) -> None:
    answer = MemoryAnswer(length + len(before))
    assert transfers(answer, before, REFUSAL) == before
    assert answer.refused is Status.INVALID_MEMORY_READ
    assert answer.complete


def test_memory_that_only_looks_like_a_refusal() -> None:
    for data in (REFUSAL + b"a" * 24, b"\0" + REFUSAL + b"a" * 23):
        answer = MemoryAnswer(40)
        assert transfers(answer, data) == data
        assert answer.refused is None
    success = REFUSAL[:12] + bytes(4)
    answer = MemoryAnswer(40)
    assert transfers(answer, success, b"a" * 24) == success + b"a" * 24


@pytest.mark.parametrize("whole", [True, False])
def test_more_than_was_asked_for(whole: bool) -> None:
    with pytest.raises(ProtocolError, match="sent 41 bytes of memory where 40 were due"):
        MemoryAnswer(40).receive(b"a" * 41, whole_transfer=whole)


def stream(answer: MemoryAnswer, data: bytes, step: int) -> bytes:
    """Return the memory in a stream that comes in pieces and then falls silent."""
    found = b""
    for at in range(0, len(data), step):
        found += bytes(answer.receive(data[at : at + step], whole_transfer=False))
    return found if answer.complete else found + bytes(answer.silence())


@pytest.mark.parametrize("step", [1, 3, 8, 16, 100])
@pytest.mark.parametrize(
    ("length", "data", "memory_bytes"),
    [
        (40, b"a" * 40, 40),
        (40, REFUSAL + b"a" * 24, 40),
        (40, b"a" * 24 + REFUSAL, 40),
        (8, b"a" * 8, 8),
        (8, REFUSAL[:8], 8),
        (12, REFUSAL[:12], 12),
        (40, b"a" * 10, 0),
        (40, b"a" * 26, 10),
        (40, REFUSAL, -1),
        (8, REFUSAL, -1),
        (12, REFUSAL, -1),
        (40, b"a" * 20 + REFUSAL, -21),
    ],
)
def test_streams_tell_by_silence(length: int, data: bytes, memory_bytes: int, step: int) -> None:
    answer = MemoryAnswer(length)
    found = stream(answer, data, step)
    refused = memory_bytes < 0
    assert (answer.refused is Status.INVALID_MEMORY_READ) == refused
    expected = data[: -memory_bytes - 1] if refused else data[:memory_bytes]
    assert found == expected
    assert answer.complete == (refused or len(data) == length)


def test_what_may_be_a_refusal_is_doubtful() -> None:
    answer = MemoryAnswer(40)
    states = []
    for byte in itertools.chain(REFUSAL, b"a"):
        answer.receive(bytes([byte]), whole_transfer=False)
        states.append(answer.doubtful)
    assert states == [False] * 15 + [True, False]
