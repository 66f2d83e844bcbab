# SPDX-License-Identifier: BSD-3-Clause
"""The order in which dying flash is read, on a model of it: some sectors bad, some deadly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edl.backup.passes import Attempt, Came, Passes
from edl.formats.rescuemap import Block, Phase, RescueMap, parse
from edl.units import KIB

UNIT = 512
SECTORS = 2048  # 1 MiB


class Flash:
    """Says what comes of reads. tries: all of them, in order."""

    def __init__(self, bad: set[int] = frozenset(), deadly: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.bad, self.deadly = set(bad), set(deadly)
        self.tries: list[tuple[Attempt, Came]] = []

    def came(self, attempt: Attempt) -> Came:
        first = attempt.start // UNIT
        sectors = set(range(first, first + attempt.size // UNIT))
        came = Came.SILENCE if sectors & self.deadly else Came.DATA
        came = Came.NOTHING if came is Came.DATA and sectors & self.bad else came
        self.tries.append((attempt, came))
        return came

    def deaths(self) -> int:
        return sum(came is Came.SILENCE for _, came in self.tries)

    def run(self, passes: Passes, *, until_death: bool = False) -> bool:
        """Do all that passes asks for; return whether that was all. until_death: or end there."""
        steps = passes.steps()
        attempt = next(steps, None)
        while attempt is not None:
            came = self.came(attempt)
            try:
                attempt = steps.send(came)
            except StopIteration:
                return True
            if until_death and came is Came.SILENCE:
                return False
        return True


def sectors(known: RescueMap, *states: Block) -> set[int]:
    return {
        sector
        for run in known.runs(*states)
        for sector in range(run.start // UNIT, run.end // UNIT)
    }


def passes(known: RescueMap, **options: Any) -> Passes:  # noqa: ANN401
    return Passes(known, UNIT, piece_bytes=128 * KIB, **options)


def test_sound_flash_is_read_once() -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash()
    flash.run(passes(known))
    assert known.total(Block.SAVED) == known.size_bytes
    assert known.phase is Phase.FINISHED
    assert [attempt.start for attempt, _ in flash.tries] == list(range(0, 1 << 20, 128 * KIB))


def test_good_parts_come_first() -> None:
    """Behind a failure it leaps; nothing is tried twice before all was tried once."""
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad=set(range(300, 800)))
    flash.run(passes(known))
    copies = [attempt for attempt, _ in flash.tries if attempt.why is Phase.COPYING]
    assert flash.tries[: len(copies)] == [each for each in flash.tries if each[0] in copies]
    assert sum(attempt.size for attempt in copies) == known.size_bytes
    first = [attempt.start // (128 * KIB) for attempt in copies]
    assert first[:4] == [0, 1, 3, 5]  # 2 and 4 were leapt over, and come when all else is saved
    assert sectors(known, Block.BAD) == flash.bad
    assert sectors(known, Block.SAVED) == set(range(SECTORS)) - flash.bad


def test_without_scraping_only_the_edges_are_found() -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad={300, 320, 340})
    flash.run(passes(known, scrape=False))
    assert sectors(known, Block.BAD) == {300, 340}
    assert sectors(known, Block.TRIMMED) == set(range(301, 340))


def test_bad_sectors_are_tried_again() -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad={5, 6, 7})
    flash.run(passes(known, retries=2))
    again = [each for each, _ in flash.tries if each.why is Phase.RETRYING]
    assert [each.start // UNIT for each in again] == [5, 6, 7, 7, 6, 5]
    flash.bad = {6}
    flash.run(passes(known, retries=1))
    assert sectors(known, Block.BAD) == {6}


def test_what_kills_the_programmer_comes_last() -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad={100, 1900}, deadly={1200})
    flash.run(passes(known))
    assert sectors(known, Block.BAD) == {100, 1200, 1900}
    assert flash.deaths() <= 4
    last = max(at for at, (_, came) in enumerate(flash.tries) if came is Came.NOTHING)
    assert sum(came is Came.SILENCE for _, came in flash.tries[last:]) >= 1


def test_a_phone_that_always_dies_is_left_alone() -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash(deadly=set(range(SECTORS)))
    flash.run(passes(known, deaths=5))
    assert len(flash.tries) == flash.deaths() == 5
    assert known.phase is not Phase.FINISHED


@pytest.mark.parametrize("deaths", [1, 2, 3, 4, 6, 8])
def test_each_bound_leaves_a_true_map(deaths: int) -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad={90}, deadly={80, 1500, 1501, 1800})
    flash.run(passes(known, deaths=deaths, retries=1))
    assert flash.deaths() <= deaths
    assert not sectors(known, Block.SAVED) & {80, 90, 1500, 1501, 1800}


bad_ones = st.sets(st.integers(0, SECTORS - 1), max_size=6)


@settings(max_examples=40)
@given(bad=bad_ones, deadly=bad_ones, sizes=st.sampled_from([512, 24 * KIB, 100_000, 1 << 20]))
def test_in_the_end_all_that_is_good_is_saved(bad: set[int], deadly: set[int], sizes: int) -> None:
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad, deadly)
    if sizes == 512:
        known = RescueMap(40 * UNIT)
    flash.run(Passes(known, UNIT, deaths=10_000, piece_bytes=sizes))
    everything = set(range(known.size_bytes // UNIT))
    assert sectors(known, Block.SAVED) == everything - bad - deadly
    assert sectors(known, Block.BAD) == everything & (bad | deadly)


@settings(max_examples=40)
@given(bad=bad_ones, deadly=st.sets(st.integers(0, SECTORS - 1), max_size=4))
def test_runs_that_end_with_each_death_get_on(bad: set[int], deadly: set[int]) -> None:
    """Where nobody brings the phone back, each run goes on from the map of the one before."""
    known, flash = RescueMap(SECTORS * UNIT), Flash(bad, deadly)
    for _ in range(8 * (len(deadly) + 1)):
        if flash.run(passes(known), until_death=True):
            break
        known = parse(known.text().encode())
    assert sectors(known, Block.SAVED) == set(range(SECTORS)) - bad - deadly
    assert sectors(known, Block.BAD) == bad | deadly
