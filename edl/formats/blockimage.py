# SPDX-License-Identifier: BSD-3-Clause
"""Transfer lists of updates by blocks: `system.transfer.list` says what `system.new.dat` holds.

Facts: AOSP recovery, updater/blockimg.cpp, and releasetools/blockimgdiff.py. Blocks have 4096
bytes. A whole image needs only the commands `new`, `zero` and `erase`; all others make an image
out of the one that is on the phone.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from edl.chunks import Content, FillContent
from edl.errors import DocumentError
from edl.formats.texts import printable

BLOCK_BYTES = 4096
_VERSIONS = range(1, 5)
_MAX_BLOCKS = (1 << 41) // BLOCK_BYTES
_MAX_RANGES = 1_000_000
_MAX_LIST_BYTES = 32 * 1024 * 1024
_WITHOUT_DATA = {"erase", "zero", "free"}
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True)
class TransferList:
    """What a transfer list says.

    new: (first block, blocks) in the order in which the data come. blocks: size of the image.
    needs: commands that need what is on the phone.
    """

    version: int
    new: tuple[tuple[int, int], ...]
    blocks: int
    needs: tuple[str, ...]

    @property
    def data_bytes(self) -> int:
        """How much data there must be."""
        return sum(count for _, count in self.new) * BLOCK_BYTES

    @property
    def in_order(self) -> bool:
        """Whether the data come in the order of their blocks."""
        return all(a[0] < b[0] for a, b in itertools.pairwise(self.new))


def read(raw: bytes) -> TransferList:
    """Return what the transfer list in raw says.

    Raises:
        DocumentError: it is damaged, or of an unknown version.
    """
    if len(raw) > _MAX_LIST_BYTES:
        raise DocumentError("The transfer list is larger than any honest one.")
    lines = raw.decode("ascii", "replace").splitlines()
    version = _number(lines[0]) if lines else 0
    if version not in _VERSIONS:
        raise DocumentError(f"It is no transfer list, or of the unknown version {version}.")
    new: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    needs: dict[str, None] = {}
    for line in lines[2 if version == 1 else 4 :]:
        command, _, rest = line.strip().partition(" ")
        if command == "new":
            new += _ranges(rest)
        elif command in _WITHOUT_DATA:
            others += _ranges(rest) if command != "free" else []
        elif command:
            needs[command[:20]] = None
        if len(new) + len(others) > _MAX_RANGES:
            raise DocumentError("The transfer list has more ranges than any honest one.")
    _require_apart(new)
    blocks = max((first + count for first, count in (*new, *others)), default=0)
    return TransferList(version, tuple(new), blocks, tuple(needs))


def _number(text: str) -> int:
    stripped = text.strip()  # of more than int() would pass over
    if not _NUMBER.fullmatch(stripped):
        told = printable(stripped[:20])
        raise DocumentError(f"The transfer list has '{told}' where a number belongs.")
    return int(stripped)


def _ranges(text: str) -> list[tuple[int, int]]:
    """Return the ranges in text: how many numbers follow, then begin and end of each."""
    count, *numbers = (_number(part) for part in text.split(","))
    if count != len(numbers) or count % 2:
        raise DocumentError("The transfer list has a range that is not whole.")
    found = []
    for first, end in zip(numbers[::2], numbers[1::2], strict=True):
        if not first < end <= _MAX_BLOCKS:
            raise DocumentError(f"The transfer list has the range {first} to {end}.")
        found.append((first, end - first))
    return found


def _require_apart(ranges: list[tuple[int, int]]) -> None:
    for (first, count), (following, _) in itertools.pairwise(sorted(ranges)):
        if following < first + count:
            raise DocumentError("The transfer list writes blocks twice.")


@dataclass(eq=False)
class BlockImage:
    """The image that a list without `needs` makes of data. What it does not write is zeros.

    data: what the `new` commands take, in order; of data_bytes bytes.
    """

    transfers: TransferList
    data: Content
    # first byte, byte behind the last, where its data begin
    _pieces: list[tuple[int, int, int]] = field(init=False)
    _ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        pieces, at = [], 0
        for first, count in self.transfers.new:
            pieces.append((first * BLOCK_BYTES, (first + count) * BLOCK_BYTES, at))
            at += count * BLOCK_BYTES
        self._pieces = sorted(pieces)
        self._ends = [end for _, end, _ in self._pieces]

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self.transfers.blocks * BLOCK_BYTES

    def _within(self, offset: int, length: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield what a range is made of: begin, end, where its data are if it has any."""
        end = offset + length
        index = bisect.bisect_right(self._ends, offset)
        while offset < end:
            if index == len(self._pieces):
                stop, at = end, None
            elif self._pieces[index][0] > offset:
                stop, at = min(self._pieces[index][0], end), None
            else:
                start, stop, data_at = self._pieces[index]
                stop, at = min(stop, end), data_at + offset - start
                index += 1
            yield offset, stop, at
            offset = stop

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        for start, stop, at in self._within(offset, length):
            if at is None:
                yield from FillContent(stop - start).chunks(0, stop - start)
            else:
                yield from self.data.chunks(at, stop - start)

    def data_runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See edl.contents.Holed."""
        for start, stop, at in self._within(offset, length):
            if at is not None:
                yield start, stop - start


def read_logical(raw: bytes) -> dict[str, int]:
    """Return the logical partitions that a `dynamic_partitions_op_list` makes, with their bytes.

    Raises:
        DocumentError: it is damaged.
    """
    if len(raw) > _MAX_LIST_BYTES:
        raise DocumentError("The list of logical partitions is larger than any honest one.")
    sizes: dict[str, int] = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        match line.partition("#")[0].split():
            case ["add", name, _]:
                sizes.setdefault(name, 0)
            case ["resize", name, size]:
                sizes[name] = _number(size)
            case _:  # groups, and what is removed before the rest is added
                continue
    return sizes
