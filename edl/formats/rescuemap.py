# SPDX-License-Identifier: BSD-3-Clause
"""Map files of GNU ddrescue: which parts of a dying medium are saved, and which are not yet.

A map is text: comments (#), one line with where the copying is, then one line a block. Blocks touch
each other, in order. The format is that of the manual of ddrescue, "Mapfile structure"; numbers are
as in C (decimal, 0x, or octal with a leading 0). So `ddrescuelog` reads what is written here, and a
copy that ddrescue has begun can be gone on with.
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edl.errors import DocumentError

MAX_MAP_BYTES = 64 * 1024 * 1024  # more than a million blocks: no flash that is worth it has them
_MAX_NUMBER = (1 << 63) - 1
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,21}")
_COMMENT = "#"


class Block(enum.StrEnum):
    """What became of a block."""

    UNTRIED = "?"
    FAILED = "*"  # a large read failed, somewhere in it
    TRIMMED = "/"  # between two bad sectors; not looked at sector by sector
    BAD = "-"
    SAVED = "+"


class Phase(enum.StrEnum):
    """What the copying is about."""

    COPYING = "?"
    TRIMMING = "*"
    SCRAPING = "/"
    RETRYING = "-"
    FILLING = "F"
    APPROXIMATING = "G"
    FINISHED = "+"


@dataclass(frozen=True)
class Run:
    """A block: size bytes from start on."""

    start: int
    size: int
    state: Block

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.start + self.size


class RescueMap:
    """What is known of a medium of size_bytes.

    Attributes:
        phase: what the copying is about. position: where it is. pass_number: how often it has been
            over it in this phase, from 1 on.
    """

    def __init__(self, size_bytes: int, state: Block = Block.UNTRIED) -> None:
        """Make one in which all has that state. size_bytes: at least 1."""
        self.size_bytes = size_bytes
        self.phase = Phase.COPYING
        self.position = 0
        self.pass_number = 1
        self._starts = [0]
        self._states = [state]

    def __iter__(self) -> Iterator[Run]:
        ends = [*self._starts[1:], self.size_bytes]
        for start, end, state in zip(self._starts, ends, self._states, strict=True):
            yield Run(start, end - start, state)

    def runs(self, *states: Block) -> list[Run]:
        """Return the blocks of these states, in order."""
        return [run for run in self if run.state in states]

    def total(self, *states: Block) -> int:
        """Return how many bytes have one of these states."""
        return sum(run.size for run in self.runs(*states))

    def mark(self, start: int, size: int, state: Block) -> None:
        """Note that size bytes from start on have that state now. All lies within the map."""
        if size <= 0:
            return
        end = start + size
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        behind = self._starts[last + 1] if last + 1 < len(self._starts) else self.size_bytes
        pieces = [(start, state)]
        if self._starts[first] < start:
            pieces.insert(0, (self._starts[first], self._states[first]))
        if end < behind:
            pieces.append((end, self._states[last]))
        low, high = max(first - 1, 0), min(last + 2, len(self._starts))
        pieces = [
            *zip(self._starts[low:first], self._states[low:first], strict=True),
            *pieces,
            *zip(self._starts[last + 1 : high], self._states[last + 1 : high], strict=True),
        ]
        kept = [piece for at, piece in enumerate(pieces) if not at or pieces[at - 1][1] != piece[1]]
        self._starts[low:high] = [at for at, _ in kept]
        self._states[low:high] = [each for _, each in kept]

    def fitted(self, size_bytes: int, unit: int) -> RescueMap:
        """Return what it tells of the first size_bytes, in whole sectors of unit bytes.

        size_bytes: a multiple of unit. A sector counts as what is known least of it; what the map
        does not reach was not tried.
        """
        made = RescueMap(size_bytes, Block.SAVED)
        made.phase, made.pass_number = self.phase, self.pass_number
        made.position = min(self.position, size_bytes)
        for state in (Block.BAD, Block.TRIMMED, Block.FAILED, Block.UNTRIED):
            for run in self.runs(state):
                start = run.start // unit * unit
                end = min(-(-run.end // unit) * unit, size_bytes)
                made.mark(start, end - start, state)
        if self.size_bytes < size_bytes:
            start = self.size_bytes // unit * unit
            made.mark(start, size_bytes - start, Block.UNTRIED)
        return made

    def text(self, comments: Iterable[str] = ()) -> str:
        """Return the map file."""
        lines = [f"{_COMMENT} {comment}" for comment in ("Mapfile. Created by edl", *comments)]
        lines += [
            f"{_COMMENT} current_pos  current_status  current_pass",
            f"0x{self.position:08X}     {self.phase}               {self.pass_number}",
            f"{_COMMENT}      pos        size  status",
        ]
        lines += [f"0x{run.start:08X}  0x{run.size:08X}  {run.state}" for run in self]
        return "\n".join(lines) + "\n"


def parse(data: bytes, name: str = "the map") -> RescueMap:
    """Return the map in data. name: of the file, for errors.

    Raises:
        DocumentError: data is no map.
    """
    if len(data) > MAX_MAP_BYTES:
        raise DocumentError(f"{name} is too long for a map file.")
    rows = [
        (number, words)
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1)
        if (words := line.split(_COMMENT, 1)[0].split())
    ]
    if not rows:
        raise DocumentError(f"{name} is no map file of ddrescue: it is empty.")
    (number, head), *rows = rows
    blocks = list(_blocks(name, rows))
    if not blocks:
        raise DocumentError(f"{name} has no blocks: it is cut off, or no map file of ddrescue.")
    made = RescueMap(blocks[-1].end)
    for run in blocks:
        if run.state is not Block.UNTRIED:
            made.mark(run.start, run.size, run.state)
    if len(head) not in {2, 3} or head[1] not in set(Phase):
        raise _wrong(name, number, head)
    made.position = _number(name, number, head, 0)
    made.phase = Phase(head[1])
    made.pass_number = _number(name, number, head, 2) if len(head) == 3 else 1
    return made


def _blocks(name: str, rows: Iterable[tuple[int, list[str]]]) -> Iterator[Run]:
    """Yield the blocks; the first may begin anywhere, the others where the one before ends."""
    end: int | None = None
    for number, words in rows:
        if len(words) != 3 or words[2] not in set(Block):
            raise _wrong(name, number, words)
        start, size = (_number(name, number, words, at) for at in (0, 1))
        if size == 0 or start + size > _MAX_NUMBER or start != (start if end is None else end):
            raise _wrong(name, number, words)
        yield Run(start, size, Block(words[2]))
        end = start + size


def _number(name: str, number: int, words: list[str], at: int) -> int:
    text = words[at]
    if not _NUMBER.fullmatch(text):
        raise _wrong(name, number, words)
    try:
        octal = len(text) > 1 and text[0] == "0" and text.isdigit()
        value = int(text, 8 if octal else 0)
    except ValueError:
        raise _wrong(name, number, words) from None
    if value > _MAX_NUMBER:
        raise _wrong(name, number, words)
    return value


def _wrong(name: str, number: int, words: list[str]) -> DocumentError:
    text = " ".join(words)[:60]
    return DocumentError(f"{name}:{number} is no line of a map file of ddrescue: '{text}'.")
