# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of the phone's storage in memory: the last ones used, and those that come next.

Who reads one block after the other gets ever larger reads of the phone, up to 16 MiB, so that the
time between two commands does not count. Who jumps about gets what he asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from edl.errors import DeviceRefusedError
from edl.firehose.commands import Area
from edl.units import KIB, MIB

BLOCK_BYTES = 128 * KIB
MEMORY_BYTES = 64 * MIB
AHEAD_BYTES = 16 * MIB
_STREAMS = 16  # so many readers may go through it side by side

Fetch = Callable[[Area], memoryview]


class Blocks:
    """Reads area through fetch, and keeps at most memory_bytes of it.

    fetch: returns the bytes of an area, or raises DeviceRefusedError if a part cannot be read.

    Attributes:
        fetched_bytes: how much came from the phone.
    """

    def __init__(self, area: Area, fetch: Fetch, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.fetched_bytes = 0
        self._area = area
        self._fetch = fetch
        self._most = max(1, memory_bytes // BLOCK_BYTES)
        self._ahead = max(1, min(AHEAD_BYTES, memory_bytes // 4) // BLOCK_BYTES)
        self._count = -(-area.size_bytes // BLOCK_BYTES)
        self._kept: OrderedDict[int, memoryview] = OrderedDict()
        self._streams: OrderedDict[int, int] = OrderedDict()  # next block: blocks fetched last

    def read(self, offset: int, size: int) -> bytearray:
        """Return size bytes from offset on; all of them lie in area.

        Raises:
            DeviceRefusedError: a sector of them cannot be read.
        """
        found = bytearray(size)
        at = 0
        for block, start, count in _spans(offset, size):
            data = self._kept.get(block)
            if data is None:
                try:
                    data = self._load(block, (offset + size - 1) // BLOCK_BYTES)
                except DeviceRefusedError:
                    data, start = self._sectors(block, start, count), 0  # noqa: PLW2901
            else:
                self._kept.move_to_end(block)
            found[at : at + count] = data[start : start + count]
            at += count
        return found

    def forget(self, offset: int, size: int) -> None:
        """Drop what lies there: it has changed."""
        for block, _, _ in _spans(offset, size):
            self._kept.pop(block, None)

    def _load(self, block: int, last: int) -> memoryview:
        """Fetch block, those behind it that are wanted (up to last), and what a stream needs."""
        before = self._streams.pop(block, 0)
        wanted = min(last - block + 1, self._ahead)
        count = min(max(wanted, 2 * before), self._ahead, self._count - block)
        count = next((at for at in range(1, count) if block + at in self._kept), count)
        try:
            data = self._take(block, count)
        except DeviceRefusedError:
            if count == 1:
                raise
            count, data = 1, self._take(block, 1)
        for at in range(count):
            # a copy: a view would keep all that was fetched with it
            piece = bytes(data[at * BLOCK_BYTES : (at + 1) * BLOCK_BYTES])
            self._kept[block + at] = memoryview(piece)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        self._streams[block + count] = count
        while len(self._streams) > _STREAMS:
            self._streams.popitem(last=False)
        return data[:BLOCK_BYTES]

    def _take(self, block: int, count: int) -> memoryview:
        start = block * BLOCK_BYTES
        size = min(count * BLOCK_BYTES, self._area.size_bytes - start)
        return self._fetched(start, size)

    def _sectors(self, block: int, start: int, count: int) -> memoryview:
        """Return count bytes of a block that cannot be read as a whole, and keep nothing."""
        unit = self._area.sector_bytes
        first = start // unit * unit
        end = -(-(start + count) // unit) * unit
        data = self._fetched(block * BLOCK_BYTES + first, end - first)
        return data[start - first :]

    def _fetched(self, start: int, size: int) -> memoryview:
        data = self._fetch(self._area.part(start, size))
        self.fetched_bytes += size
        return data


def _spans(offset: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield block, first byte in it and number of bytes for all blocks of a range."""
    end = offset + size
    while offset < end:
        block, start = divmod(offset, BLOCK_BYTES)
        count = min(BLOCK_BYTES - start, end - offset)
        yield block, start, count
        offset += count
