# SPDX-License-Identifier: BSD-3-Clause
"""Which faults a job is given: every kind that there is, at every transfer of the job.

The kinds come from `edl.virtual.faults`, so that a new one takes part by itself.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edl.virtual.faultkinds import COMMANDS
from edl.virtual.faults import Fault, Injector, Kind, Place, every

_TRANSFERS = {Place.OUT: Place.OUT_TRANSFER, Place.IN: Place.IN_TRANSFER}
_BYTES = (*_TRANSFERS, Place.DISK, Place.SOURCE)
_NAMED = frozenset(COMMANDS) - {Place.COMMAND}
_SPARSE = 8  # where the kind strikes at each transfer anyway, bytes in every eighth will do
# a fault that never strikes; without one the computer's own files are not counted
NEVER = Fault(Kind.DISK_FULL, Place.DISK, 10**12)
# further ways in which a kind can strike, taken in turn
_VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "freeze": ({}, {"seconds": 1.7}),
    "corrupt": ({}, {"mask": 1}),
    "reset": ({}, {"state": "system"}, {"state": "crash"}, {"state": "off"}),
    "garbage": ({}, {"data": b"<?xml "}),
}


@dataclass
class Traffic:
    """What passes over the cable in a job where nothing goes wrong.

    counts: how often each place is passed. starts: at which byte each transfer, or writing or
    reading of a file, begins, by the place that counts its bytes; the last one is the end.
    """

    counts: dict[Place, int] = field(default_factory=lambda: dict.fromkeys(Place, 0))
    starts: dict[Place, list[int]] = field(default_factory=lambda: {place: [0] for place in _BYTES})

    def passed(self, place: Place, number: int) -> None:
        """Take in that so many bytes or transfers have passed."""
        self.counts[place] += number
        if place in _BYTES and number:
            self.starts[place].append(self.counts[place])


class Watching:
    """While it lasts, everything that passes an injector is told to traffic."""

    def __init__(self) -> None:
        self.traffic = Traffic()

    def __enter__(self) -> Traffic:
        self._before = before = Injector.passed
        traffic = self.traffic

        def passed(injector: Injector, place: Place, number: int = 1) -> None:
            before(injector, place, number)
            traffic.passed(place, number)

        Injector.passed = passed  # type: ignore[assignment,method-assign]
        return traffic

    def __exit__(self, *_: object) -> None:
        Injector.passed = self._before  # type: ignore[method-assign]


def places(kind: Kind) -> tuple[Place | None, ...]:
    """Return where faults of kind can be."""
    return tuple(place for each, place in every() if each is kind)


def faults(traffic: Traffic) -> Iterator[Fault]:
    """Yield the faults for a job with that traffic."""
    for kind in Kind:
        for place in _chosen(kind):
            for index, at in enumerate(_moments(kind, place, traffic)):
                yield _variant(Fault(kind, place, at), index)


def _chosen(kind: Kind) -> tuple[Place | None, ...]:
    """Return the places to try: any command stands for those of one name."""
    found = places(kind)
    return tuple(each for each in found if Place.COMMAND not in found or each not in _NAMED)


def _variant(fault: Fault, index: int) -> Fault:
    variants = _VARIANTS.get(fault.kind, ({},))
    return replace(fault, **variants[index % len(variants)])


def _moments(kind: Kind, place: Place | None, traffic: Traffic) -> Iterable[int]:
    if place is None:
        return range(3)  # attempts that fail; 0: all of them
    if place not in _BYTES:
        return range(traffic.counts[place])
    starts = traffic.starts[place]
    chance = random.Random(f"{kind}{place}")
    moments = [chance.randrange(*span) for span in itertools.pairwise(starts)]
    whole = place in _TRANSFERS and _TRANSFERS[place] not in places(kind)
    return moments if whole else moments[::_SPARSE]
