# SPDX-License-Identifier: BSD-3-Clause
"""The main job on every phone, with something going wrong at many moments of it."""

from __future__ import annotations

import functools
import random
import re

import pytest

from edl.plan import readout
from edl.virtual.faults import Kind, Place
from tests import phones
from tests.faults.bricks import PIECE_BYTES, Brick, small, survive
from tests.phones import plug

ALL = pytest.mark.parametrize("profile", phones.ALL)
POINTS = 2
BYTES_AND_TRANSFERS = (Place.OUT, Place.IN, Place.OUT_TRANSFER, Place.IN_TRANSFER)
_SECTIONS = [
    *(f"unplug@{place}:{{}}" for place in BYTES_AND_TRANSFERS),
    *(f"stall@{place}:{{}}" for place in BYTES_AND_TRANSFERS),
    *(f"freeze@{place}:{{}}" for place in BYTES_AND_TRANSFERS),
    *(f"freeze@{place}:{{}}:1.7" for place in BYTES_AND_TRANSFERS),
    "swallow@out-transfer:{}",
    "swallow@in-transfer:{}",
    "corrupt@in:{}",
    "corrupt@in:{}:01",
    "garbage@in-transfer:{}",
    "garbage@in-transfer:{}:3c3f786d6c20",
]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", PIECE_BYTES)


@functools.cache
def traffic(profile: str, running: bool) -> dict[Place, int]:
    """Return what passes over the cable in a job where nothing goes wrong."""
    with plug(small(profile), running=running) as bench:
        brick = Brick(bench)
        assert survive(brick) is None
        return dict(bench.virtual._injector.counts)


def points(fault: str, profile: str, running: bool) -> list[str]:
    """Return the fault at some moments, spread over the whole job."""
    place = Place(re.split("[@:]", fault)[1])
    total = traffic(profile, running)[place]
    chance = random.Random(fault + profile)
    step = total / POINTS
    return [fault.format(int(step * (index + chance.random()))) for index in range(POINTS)]


@ALL
def test_nothing_goes_wrong(profile: str) -> None:
    with plug(small(profile)) as bench:
        brick = Brick(bench)
        assert survive(brick) is None
        assert brick.saved()


@ALL
@pytest.mark.parametrize("fault", _SECTIONS)
def test_it_ends_well_or_with_a_true_word(fault: str, profile: str) -> None:
    for made in points(fault, profile, running=True):
        with plug(small(profile, made), running=True) as bench:
            survive(Brick(bench))


@ALL
@pytest.mark.parametrize("kind", [Kind.UNPLUG, Kind.STALL, Kind.FREEZE, Kind.SWALLOW])
def test_a_boot_rom_that_fails(kind: Kind, profile: str) -> None:
    """The same, beginning with the boot ROM, whose upload is the most of what passes."""
    place = Place.IN_TRANSFER if kind is Kind.SWALLOW else Place.OUT
    for made in points(f"{kind}@{place}:{{}}", profile, running=False):
        with plug(small(profile, made)) as bench:
            survive(Brick(bench))
