# SPDX-License-Identifier: BSD-3-Clause
"""What to read next from flash that is dying: from good to bad, as GNU ddrescue goes about it.

Large reads first, leaping over what fails (forwards, backwards, then all that was leapt over); then
each failed stretch from both its edges to the first bad sector; then what lies between these, down
to single sectors; then the bad sectors again. Each stage gets what costs least of what is left, so
that whatever ends the phone, or the patience, ends it as late as possible.

Pure: it asks for reads, is told what came of them, and keeps the map.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from edl.formats.rescuemap import Block, Phase, RescueMap, Run
from edl.units import KIB, MIB

PIECE_BYTES = MIB
_SMALLER = (64 * KIB, 4 * KIB)  # then single sectors
_MOST_LEAP_BYTES = 1024 * MIB
_MOST_LEAP_PARTS = 100  # of the whole


class Came(enum.Enum):
    """What came of a read."""

    DATA = "data"
    NOTHING = "nothing"  # the phone says no
    SILENCE = "silence"  # the programmer died of it


@dataclass(frozen=True)
class Attempt:
    """A read to be made: whole sectors. why: the phase that it belongs to."""

    start: int
    size: int
    why: Phase


Steps = Generator[Attempt, Came, None]
Treat = Callable[[Run], Steps]


class Passes:
    """The way over one map, which is kept up to date.

    unit: bytes of a sector. scrape: look also between bad sectors. retries: how often bad sectors
    are tried again. deaths: how often the programmer may die of a read before the rest is left.

    Attributes:
        deaths: how often it may still die.
    """

    def __init__(
        self,
        rescue: RescueMap,
        unit: int,
        *,
        scrape: bool = True,
        retries: int = 0,
        deaths: int = 30,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self.map = rescue
        self.deaths = deaths
        self._unit = unit
        self._piece = max(unit, piece_bytes // unit * unit)
        smaller = [size for size in _SMALLER if unit < size < self._piece and not size % unit]
        self._sizes = (*smaller, unit)
        self._scrape = scrape
        self._retries = retries
        # if it was ended by what this is about, larger reads may have killed the programmer
        self._largest_scrape = unit if rescue.phase is Phase.SCRAPING else self._sizes[0]
        self._deadly: list[Run] = []
        if rescue.phase in {Phase.TRIMMING, Phase.SCRAPING, Phase.RETRYING}:
            # perhaps an earlier run has ended there because the programmer died of it
            self._deadly.append(Run(rescue.position, unit, Block.BAD))

    def steps(self) -> Steps:
        """Yield the reads to be made; send what came of each."""
        yield from self._copy()
        yield from self._phase(Phase.TRIMMING, Block.FAILED, self._trim)
        if self._scrape:
            yield from self._phase(Phase.SCRAPING, Block.TRIMMED, self._scrape_run)
        for number in range(1, self._retries + 1):
            yield from self._phase(Phase.RETRYING, Block.BAD, self._retry, number)
        if self.deaths > 0:
            self.map.phase = Phase.FINISHED

    # -- copying ----------------------------------------------------------------------------------

    def _copy(self) -> Steps:
        if not self.map.runs(Block.UNTRIED):
            return
        self.map.phase = Phase.COPYING
        for number, forwards, leaping in ((1, True, True), (2, False, True), (3, True, False)):
            self.map.pass_number = number
            runs = self.map.runs(Block.UNTRIED)
            for run in runs if forwards else reversed(runs):
                yield from self._sweep(run, forwards=forwards, leaping=leaping)

    def _sweep(self, run: Run, *, forwards: bool, leaping: bool) -> Steps:
        """Read run in large pieces, from one end to the other."""
        left, leap = run.size, self._piece
        most = max(self._piece, min(_MOST_LEAP_BYTES, self.map.size_bytes // _MOST_LEAP_PARTS))
        while left > 0 and self.deaths > 0:
            size = min(self._piece, left)
            start = run.end - left if forwards else run.start + left - size
            came = yield from self._try(start, size, Phase.COPYING)
            left -= size
            if came is Came.DATA:
                leap = self._piece
                continue
            self.map.mark(start, size, Block.FAILED)
            if leaping:
                left -= leap // self._unit * self._unit
                leap = min(2 * leap, most)

    # -- what failed ------------------------------------------------------------------------------

    def _phase(self, phase: Phase, state: Block, treat: Treat, number: int = 1) -> Steps:
        """Treat all runs of that state; last those of which the programmer died before."""
        self.map.phase = phase
        self.map.pass_number = number
        for deadly in (False, True):
            for run in self.map.runs(state):
                if self._is_deadly(run) == deadly:
                    if self.deaths <= 0:
                        return
                    yield from treat(run)

    def _is_deadly(self, run: Run) -> bool:
        """Tell whether the programmer has died of a read that touched run."""
        return any(dead.start < run.end and run.start < dead.end for dead in self._deadly)

    def _trim(self, run: Run) -> Steps:
        """Read run from both ends up to the first bad sector; what lies between is TRIMMED."""
        begin = yield from self._edge(run.start, run.end, forwards=True)
        if begin is None or begin >= run.end:
            return
        end = yield from self._edge(begin, run.end, forwards=False)
        if end is not None:
            self.map.mark(begin, end - begin, Block.TRIMMED)

    def _edge(
        self, start: int, end: int, *, forwards: bool
    ) -> Generator[Attempt, Came, int | None]:
        """Read from one end on; return where what is bad there begins; None: given up.

        Parts of which the programmer dies are left to scraping.
        """
        size = self._sizes[0]
        while start < end:
            if self.deaths <= 0:
                return None
            count = min(size, end - start)
            at = start if forwards else end - count
            part = Run(at, count, Block.TRIMMED)
            came = Came.SILENCE
            if count == self._unit or not self._is_deadly(part):
                came = yield from self._try(at, count, Phase.TRIMMING)
            if came is Came.NOTHING and count > self._unit:
                size = self._smaller(count)
                continue
            if forwards:
                start += count
            else:
                end -= count
            if came is not Came.DATA:
                self.map.mark(at, count, Block.BAD if count == self._unit else Block.TRIMMED)
                break
        return start if forwards else end

    def _smaller(self, size: int) -> int:
        """Return the size to try where size, of several sectors, has failed."""
        return next(each for each in self._sizes if each < size)

    def _scrape_run(self, run: Run) -> Steps:
        """Read run in ever smaller parts, forwards, each part down to single sectors."""
        pending = list(_parts(run.start, run.size, self._largest_scrape))[::-1]
        while pending and self.deaths > 0:
            start, size = pending.pop()
            if size > self._unit and self._is_deadly(Run(start, size, Block.TRIMMED)):
                pending += list(_parts(start, size, self._unit))[::-1]
                continue
            came = yield from self._try(start, size, Phase.SCRAPING)
            if came is Came.DATA:
                continue
            if size == self._unit:
                self.map.mark(start, size, Block.BAD)
            elif came is Came.NOTHING:
                pending += list(_parts(start, size, self._smaller(size)))[::-1]
            else:
                pending.append((start, size))

    def _retry(self, run: Run) -> Steps:
        """Read each sector of run again, in alternating directions; never one that is deadly."""
        parts = list(_parts(run.start, run.size, self._unit))
        for start, size in parts if self.map.pass_number % 2 else reversed(parts):
            if self.deaths > 0 and not self._is_deadly(Run(start, size, Block.BAD)):
                yield from self._try(start, size, Phase.RETRYING)

    def _try(self, start: int, size: int, why: Phase) -> Generator[Attempt, Came, Came]:
        self.map.position = start
        came = yield Attempt(start, size, why)
        if came is Came.DATA:
            self.map.mark(start, size, Block.SAVED)
        elif came is Came.SILENCE:
            self.deaths -= 1
            self._deadly.append(Run(start, size, Block.BAD))
        return came


def _parts(start: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    for at in range(start, start + size, step):
        yield at, min(step, start + size - at)
