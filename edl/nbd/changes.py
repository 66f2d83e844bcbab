# SPDX-License-Identifier: BSD-3-Clause
"""What clients have written and the phone has not got yet: whole sectors, by number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

MOST_RUN_BYTES = 64 * 1024 * 1024


class Changes:
    """Sectors of unit bytes, counted from the beginning of what is served."""

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self._sectors: dict[int, bytes] = {}

    @property
    def size_bytes(self) -> int:
        """How much waits."""
        return len(self._sectors) * self._unit

    def add(self, offset: int, data: bytes) -> None:
        """Keep data, whole sectors, for offset."""
        unit = self._unit
        for at in range(0, len(data), unit):
            self._sectors[(offset + at) // unit] = bytes(data[at : at + unit])

    def over(self, offset: int, data: bytearray) -> None:
        """Put what waits into data, which was read at offset."""
        if not self._sectors:
            return
        unit, end = self._unit, offset + len(data)
        for sector in range(offset // unit, -(-end // unit)):
            new = self._sectors.get(sector)
            if new is not None:
                low, high = max(sector * unit, offset), min((sector + 1) * unit, end)
                data[low - offset : high - offset] = new[low - sector * unit : high - sector * unit]

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """Yield offset and bytes of what lies together, in order, at most 64 MiB each."""
        numbers = sorted(self._sectors)
        if not numbers:
            return
        most = MOST_RUN_BYTES // self._unit
        first = numbers[0]
        for last, following in pairwise([*numbers, -1]):
            if following != last + 1 or following - first >= most:
                parts = (self._sectors[number] for number in range(first, last + 1))
                yield first * self._unit, b"".join(parts)
                first = following

    def clear(self) -> None:
        """Forget all of it: the phone has it."""
        self._sectors.clear()
