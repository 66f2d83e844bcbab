# SPDX-License-Identifier: BSD-3-Clause
"""What the phone has already: found rightly, with few questions. Time is modelled, not taken."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.device.firehose import Programmer
from edl.errors import AuthorizationError, ReadFailedError
from edl.firehose.commands import Area
from edl.plan.unchanged import WINDOW_BYTES, Finder, Rate, Run, windows
from edl.units import KIB, MIB

UNIT = 512


@dataclass
class Link:
    """A programmer that takes time: bytes/s of its digests and of writes, seconds for a command."""

    holds: bytearray
    digest_rate: float = 200 * MIB
    write_rate: float = 40 * MIB
    command_s: float = 0.001
    now_s: float = 0.0
    asked: list[int] = field(default_factory=list)
    sent: int = 0
    writes: int = 0
    unreadable: range = range(0)
    digest_works: bool | None = None

    def sha256(self, area: Area) -> bytes | None:
        self.now_s += self.command_s + area.size_bytes / self.digest_rate
        self.asked.append(area.size_bytes)
        if self.digest_works is False:
            return None
        at = area.start_sector * UNIT
        if set(range(at, at + area.size_bytes, UNIT)) & set(self.unreadable):
            raise ReadFailedError("bad sectors")
        return hashlib.sha256(self.holds[at : at + area.size_bytes]).digest()

    def write(self, at: int, data: memoryview) -> float:
        begin = self.now_s
        self.now_s += 3 * self.command_s + len(data) / self.write_rate
        self.holds[at : at + len(data)] = data
        self.sent += len(data)
        self.writes += 1
        return self.now_s - begin

    def plain_s(self, size: int) -> float:
        """How long writing all takes, in pieces of 64 MiB."""
        return size / self.write_rate + 3 * self.command_s * -(-size // (64 * MIB))


def update(link: Link, wanted: bytes, *, thorough: bool = False) -> Finder:
    """Write wanted to link as a job does; check that nothing was taken for the same falsely."""
    finder = Finder(cast("Programmer", link), thorough=thorough, clock=lambda: link.now_s)
    for at in range(0, len(wanted), WINDOW_BYTES):
        data = memoryview(wanted)[at : at + WINDOW_BYTES]
        runs: tuple[Run, ...] = (Run(0, len(data), same=False),)
        if finder.pays:
            runs = finder.runs(Area(0, at // UNIT, len(data) // UNIT, UNIT), data)
        assert [run.offset for run in runs] == _starts(runs)
        assert sum(run.size_bytes for run in runs) == len(data)
        for run in runs:
            start, end = at + run.offset, at + run.offset + run.size_bytes
            if run.same:
                assert link.holds[start:end] == wanted[start:end]
            else:
                finder.moved(
                    run.size_bytes, link.write(start, data[run.offset :][: run.size_bytes])
                )
    assert link.holds == wanted
    return finder


def _starts(runs: tuple[Run, ...]) -> list[int]:
    return [sum(run.size_bytes for run in runs[:index]) for index in range(len(runs))]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def changed(data: bytes, share: float, size: int, seed: int = 2) -> bytearray:
    """Return data with that share of it changed, in stretches of size bytes anywhere."""
    made, source = bytearray(data), random.Random(seed)
    for at in source.sample(range(0, len(data), size), round(len(data) * share / size)):
        made[at : at + size] = source.randbytes(size)
    return made[: len(data)]


DATA = noise(96 * MIB)


def test_all_the_same_costs_a_digest_a_window() -> None:
    link = Link(bytearray(DATA))
    update(link, DATA)
    assert link.sent == 0
    assert len(link.asked) <= 96 // 16 + 4  # it begins with small ones
    assert sum(link.asked) == len(DATA)


@pytest.mark.parametrize("size", [512 * KIB, 2 * MIB])
def test_few_changes_cost_few_bytes(size: int) -> None:
    link = Link(changed(DATA, 0.02, size))
    update(link, DATA)
    assert link.sent <= 0.04 * len(DATA)
    assert link.now_s < 0.5 * link.plain_s(len(DATA))


@pytest.mark.parametrize("rate", [40 * MIB, 400 * MIB])
def test_where_all_differs_it_takes_hardly_longer_than_writing(rate: float) -> None:
    link = Link(bytearray(len(DATA)), write_rate=rate)
    update(link, DATA)
    assert link.sent == len(DATA)
    # the grant at the beginning is for good; what grows with the job is what counts
    assert link.now_s - 0.06 < 1.05 * link.plain_s(len(DATA)) + 0.003 * link.writes


def test_half_the_same_after_half_that_is_not() -> None:
    half = len(DATA) // 2
    link = Link(bytearray(half) + DATA[half:])
    update(link, DATA)
    assert link.sent < half + 8 * MIB
    assert link.now_s < 0.75 * link.plain_s(len(DATA))


def test_the_fewest_bytes_are_sent_where_that_is_asked_for() -> None:
    held = changed(DATA[: 16 * MIB], 0.02, 32 * KIB)
    quick, thorough = Link(bytearray(held)), Link(bytearray(held))
    update(quick, DATA[: 16 * MIB])
    update(thorough, DATA[: 16 * MIB], thorough=True)
    assert thorough.sent == round(0.02 * 16 * MIB / (32 * KIB)) * 32 * KIB
    assert thorough.sent < quick.sent


def test_a_phone_without_digests_is_asked_once_at_most() -> None:
    link = Link(bytearray(DATA), digest_works=False)
    finder = update(link, DATA)
    assert (finder.pays, link.asked, link.sent) == (False, [], len(DATA))


def test_what_cannot_be_read_is_written() -> None:
    data = DATA[: 4 * MIB]
    link = Link(bytearray(data), unreadable=range(MIB, MIB + UNIT, UNIT))
    update(link, data, thorough=True)
    assert 0 < link.sent <= 32 * KIB


def test_a_lock_is_no_difference() -> None:
    class Locked(Link):
        def sha256(self, area: Area) -> bytes | None:
            raise AuthorizationError("no")

    with pytest.raises(AuthorizationError):
        update(Locked(bytearray(DATA)), DATA)


@given(st.integers(1, 700), st.integers(0, 99), st.sampled_from([1, 2, 16, 64, 100]), st.booleans())
def test_any_change_is_found(sectors: int, seed: int, stretch: int, thorough: bool) -> None:
    data = DATA[: sectors * UNIT]
    link = Link(changed(data, 0.3, stretch * UNIT, seed))
    update(link, data, thorough=thorough)


def test_rates_are_learned() -> None:
    rate = Rate(0.002, 1e-9)
    for _ in range(40):
        rate.note(8 * MIB, 0.01 + 8 * MIB * 5e-9)
        rate.note(64 * KIB, 0.01 + 64 * KIB * 5e-9)
    assert rate.seconds(0) == pytest.approx(0.01, rel=0.01)
    assert rate.byte_s == pytest.approx(5e-9, rel=0.01)


@pytest.mark.parametrize("chunk", [1000, MIB, 40 * MIB])
def test_windows_hold_all_in_order(chunk: int) -> None:
    data = DATA[: 33 * MIB + 512]
    chunks = (memoryview(data)[at : at + chunk] for at in range(0, len(data), chunk))
    made = [bytes(window) for window in windows(chunks, len(data))]
    assert [len(window) for window in made] == [WINDOW_BYTES, WINDOW_BYTES, MIB + 512]
    assert b"".join(made) == data
