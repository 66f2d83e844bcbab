# SPDX-License-Identifier: BSD-3-Clause
"""What is read of the phone when clients read, and what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edl.errors import ReadFailedError
from edl.firehose.commands import Area
from edl.nbd.blocks import AHEAD_BYTES, BLOCK_BYTES, Blocks
from edl.nbd.changes import Changes
from edl.units import KIB, MIB

UNIT = 512
SECTORS = 4 * MIB // UNIT + 5
DATA = b"".join(number.to_bytes(4, "little") * 128 for number in range(SECTORS))


class Flash:
    """Gives sectors of an area that begins at sector 100, but for bad ones; notes what was read."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.reads: list[tuple[int, int]] = []

    def fetch(self, area: Area) -> memoryview:
        first = area.start_sector - 100
        self.reads.append((first, area.sectors))
        if self.bad & set(range(first, first + area.sectors)):
            raise ReadFailedError("bad")
        return memoryview(DATA)[first * UNIT : (first + area.sectors) * UNIT]

    def blocks(self, memory_bytes: int = 64 * MIB) -> Blocks:
        return Blocks(Area(0, 100, SECTORS, UNIT), self.fetch, memory_bytes=memory_bytes)


def test_who_reads_on_gets_ever_more_at_once() -> None:
    flash = Flash()
    blocks = flash.blocks()
    for at in range(0, len(DATA), 32 * KIB):
        size = min(32 * KIB, len(DATA) - at)
        assert blocks.read(at, size) == DATA[at : at + size]
    sizes = [count * UNIT // BLOCK_BYTES for _, count in flash.reads]
    assert sizes == [1, 2, 4, 8, 16, 1]  # that is all; the last one is short
    assert blocks.fetched_bytes == len(DATA)


def test_who_jumps_about_gets_what_he_asked_for() -> None:
    flash = Flash()
    blocks = flash.blocks()
    for at in (3 * MIB, MIB, 2 * MIB, 0):
        blocks.read(at, 4096)
        blocks.read(at + 8192, 4096)
    assert [count for _, count in flash.reads] == [BLOCK_BYTES // UNIT] * 4


def test_several_read_on_side_by_side() -> None:
    flash = Flash()
    blocks = flash.blocks()
    for at in range(0, 2 * MIB, 128 * KIB):
        for start in (0, 2 * MIB):
            assert blocks.read(start + at, 128 * KIB) == DATA[start + at : start + at + 128 * KIB]
    assert len(flash.reads) < 14
    assert blocks.fetched_bytes <= len(DATA)


def test_memory_is_bounded() -> None:
    blocks = Flash().blocks(memory_bytes=MIB)
    for at in range(0, 4 * MIB, 64 * KIB):
        blocks.read(at, 64 * KIB)
    assert len(blocks._kept) <= MIB // BLOCK_BYTES
    assert AHEAD_BYTES <= 16 * MIB


def test_bad_sectors_cost_themselves_only() -> None:
    """Reading ahead into them harms nobody; all around them can be read, sector by sector."""
    flash = Flash(1000)
    blocks = flash.blocks()
    good = [sector for sector in range(900, 1100) if sector != 1000]
    for sector in good:
        at = sector * UNIT
        assert blocks.read(at, UNIT) == DATA[at : at + UNIT]
    assert blocks.read(1000 * UNIT - 700, 700) == DATA[1000 * UNIT - 700 : 1000 * UNIT]
    for at, size in ((1000 * UNIT, 1), (999 * UNIT, 3 * UNIT), (0, MIB)):
        with pytest.raises(ReadFailedError):
            blocks.read(at, size)
    flash.bad.clear()
    assert blocks.read(0, MIB) == DATA[:MIB]


def test_what_has_changed_is_read_again() -> None:
    flash = Flash()
    blocks = flash.blocks()
    blocks.read(0, 256 * KIB)
    blocks.forget(130 * KIB, 4 * KIB)
    flash.reads.clear()
    blocks.read(0, 256 * KIB)
    assert flash.reads == [(256, 256)]


def test_changes_lie_over_what_was_read() -> None:
    changes = Changes(UNIT)
    data = bytearray(2000)
    changes.over(0, data)
    assert list(changes.runs()) == []
    changes.add(1024, b"a" * 512 + b"b" * 512)
    changes.add(0, b"c" * 512)
    changes.add(1536, b"d" * 512)
    assert changes.size_bytes == 3 * 512
    assert list(changes.runs()) == [(0, b"c" * 512), (1024, b"a" * 512 + b"d" * 512)]
    changes.over(500, data)
    assert data == b"c" * 12 + bytes(512) + b"a" * 512 + b"d" * 512 + bytes(452)
    changes.clear()
    assert changes.size_bytes == 0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8)), max_size=12))
def test_runs_are_what_was_added(writes: list[tuple[int, int]]) -> None:
    changes, plain = Changes(4), bytearray(200)
    touched: set[int] = set()
    for number, (start, count) in enumerate(writes, 1):
        changes.add(start * 4, bytes([number]) * 4 * count)
        plain[start * 4 : (start + count) * 4] = bytes([number]) * 4 * count
        touched |= set(range(start, start + count))
    for offset, data in changes.runs():
        assert plain[offset : offset + len(data)] == data
        touched -= set(range(offset // 4, (offset + len(data)) // 4))
    assert not touched
