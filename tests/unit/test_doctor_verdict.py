# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from edl.device.health import Health, Life, PreEol
from edl.doctor import picture
from edl.doctor.surface import Spot, State, Surface, _with_slow, spots
from edl.doctor.verdict import Condition, Evidence, Kept, judge
from edl.firehose.commands import Area

SVG = "{http://www.w3.org/2000/svg}"


def surface(*states: State, whole: bool = False) -> Surface:
    """Return a LUN of one spot a state, each of 2048 sectors."""
    seen = tuple(
        Spot(
            Area(0, 2048 * at, 2048, 512),
            state,
            None if state is State.UNREADABLE else 0.02,
            "" if state is State.GOOD else "SDCC Error 15 (3)",
        )
        for at, state in enumerate(states)
    )
    return Surface(0, 2048 * len(states), 512, seen, whole)


def evidence(*states: State, **changes: object) -> Evidence:
    whole = surface(*(states or (State.GOOD,) * 4))
    return replace(
        Evidence("emmc", {0: whole.sectors}, surfaces=(whole,)),
        **changes,  # type: ignore[arg-type]
    )


GOOD = State.GOOD


@pytest.mark.parametrize(
    ("seen", "condition", "words"),
    [
        (evidence(), Condition.READABLE, "read twice without an error"),
        (evidence(nowhere=True), Condition.READABLE, "read twice without an error"),
        (evidence(written=Kept.KEPT), Condition.SOUND, "and it keeps what is written"),
        (evidence(GOOD, State.SLOW, GOOD), Condition.READABLE, "without an error"),
        (evidence(GOOD, State.WITHHELD), Condition.READABLE, "without an error"),
        (evidence(GOOD, State.UNREADABLE), Condition.WORN, "LUN 0 sectors 2048 to 4095"),
        (evidence(GOOD, State.UNSTABLE, State.UNREADABLE), Condition.WORN, "2048 to 6143"),
        (
            evidence(health=Health(Life(90, 100), None, None)),
            Condition.WORN,
            "life time used (A): 90 to 100 %",
        ),
        (
            evidence(health=Health(None, None, PreEol.URGENT)),
            Condition.WORN,
            "90 % of the spare blocks are used",
        ),
        (evidence(health=Health(Life(0, 10), Life(0, 10), PreEol.NORMAL)), Condition.READABLE, ""),
        (evidence(written=Kept.FORGOTTEN), Condition.READ_ONLY, "keeps nothing"),
        (evidence(written=Kept.REFUSED), Condition.READ_ONLY, "refuses to write"),
        (evidence(State.UNREADABLE, State.UNREADABLE), Condition.DEAD, "not one of the spots"),
        (evidence(State.WITHHELD), Condition.UNKNOWN, "shows nothing"),
        (Evidence("emmc", {0: None}), Condition.UNKNOWN, "Nothing of the storage may be read"),
        (Evidence("ufs", {0: 0}), Condition.UNPROVISIONED, "has no LUNs"),
        (
            Evidence("ufs", {}, {0: "Failed to open the UFS Device slot"}, answers=False),
            Condition.DEAD,
            "The phone said: Failed to open the UFS Device slot",
        ),
        (Evidence("emmc", {0: 0}), Condition.DEAD, "does not answer"),
    ],
)
def test_verdicts(seen: Evidence, condition: Condition, words: str) -> None:
    verdict = judge(seen)
    assert verdict.condition is condition
    assert words in verdict.sentence
    assert verdict.sentence.count(".") >= 1
    assert verdict.meaning
    assert verdict.advice


def test_what_is_worn_is_to_be_saved_first() -> None:
    for seen in (
        evidence(GOOD, State.UNREADABLE),
        evidence(written=Kept.FORGOTTEN),
        evidence(health=Health(Life(100, None), None, None)),
    ):
        assert "edl backup DIR" in judge(seen).advice[0]


def test_many_bad_ranges_are_counted() -> None:
    verdict = judge(evidence(*(GOOD, State.UNREADABLE) * 8))
    assert "8 spots cannot be read" in verdict.sentence
    assert verdict.sentence.endswith("LUN 0 sectors 18432 to 20479, 3 more).")


@pytest.mark.parametrize("sectors", [1, 7, 2048, 2049, 300_000, 61_071_360])
@pytest.mark.parametrize("whole", [False, True])
def test_spots_lie_on_the_lun_from_its_first_to_its_last_sector(sectors: int, whole: bool) -> None:
    areas = list(spots(3, sectors, 512, whole=whole))
    assert areas[0].start_sector == 0
    assert areas[-1].start_sector + areas[-1].sectors == sectors
    assert all(area.sectors > 0 for area in areas)
    starts = [area.start_sector for area in areas]
    assert starts == sorted(set(starts))
    if whole:
        assert sum(area.sectors for area in areas) == sectors
    else:
        assert len(areas) <= 128


def test_slow_is_what_takes_far_longer_than_the_rest() -> None:
    seen = surface(*(GOOD,) * 5)
    times = (0.02, 0.02, 0.03, 0.2, 0.5)
    timed = replace(
        seen,
        spots=tuple(replace(s, seconds=t) for s, t in zip(seen.spots, times, strict=True)),
    )
    states = [spot.state for spot in _with_slow(timed).spots]
    assert states == [GOOD, GOOD, GOOD, GOOD, State.SLOW]
    assert _with_slow(surface(State.UNREADABLE)).median_s is None


def test_the_picture_shows_every_spot_and_needs_no_colour() -> None:
    seen = surface(GOOD, State.SLOW, State.UNSTABLE, State.UNREADABLE, State.WITHHELD, whole=True)
    verdict = judge(Evidence("emmc", {0: seen.sectors}, surfaces=(seen,)))
    drawn = etree.fromstring(picture.svg((seen,), verdict, "phone <1&2>"))
    spots_drawn = [
        rect for rect in drawn.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None
    ]
    assert [rect.get("class") for rect in spots_drawn] == [
        "good", "slow", "unstable", "unreadable", "withheld",
    ]  # fmt: skip
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{SVG}text")]
    assert texts[0] == "phone <1&2>"
    assert {"~", "?", "\u00d7", "-"} <= set(texts)
    titles = [str(rect.findtext(f"{SVG}title")) for rect in spots_drawn]
    assert titles[3] == "sectors 6144 to 8191, cannot be read: SDCC Error 15 (3)"
    page = picture.html((seen,), verdict, "phone")
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_picture_of_a_large_surface_stays_small() -> None:
    states = [GOOD] * 9999 + [State.UNREADABLE]
    seen = surface(*states)
    drawn = picture.svg((seen,), judge(evidence()), "x")
    assert drawn.count("<rect") < 3000
    assert 'class="unreadable"' in drawn
