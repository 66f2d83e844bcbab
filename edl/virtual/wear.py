# SPDX-License-Identifier: BSD-3-Clause
"""Flash at the end of its life, and flash that never answers: `flash=NAME` of a virtual phone.

What real programmers say then: real-programmer-ufs.md ("missing LUN") and firehose.md 8 for LUNs
that do not open, users.md U20 for how phones with worn flash behave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from edl.units import MIB
from edl.virtual.storage import EMMC_LUNS, Extent, Faults

SLOW = "slow"
_LONGEST = 1 << 48  # more sectors than any LUN has
_SLOW_S = 1.0
_MOST_SLOW = 256
_PART = 64  # of LUN 0: a part of that size is bad


def _read_only(faults: Faults, _: Mapping[int, int], __: int) -> Faults:
    return replace(faults, read_only=True)


def _forgets(faults: Faults, sectors: Mapping[int, int], _: int) -> Faults:
    whole = tuple(Extent(lun, 0, _LONGEST) for lun in {*EMMC_LUNS, *sectors})
    return replace(faults, forgotten=faults.forgotten + whole)


def _worn(faults: Faults, sectors: Mapping[int, int], _: int) -> Faults:
    size = max(1, sectors[0] // _PART)
    places = (sectors[0] * 3 // 8, sectors[0] * 5 // 8)
    bad = tuple(Extent(0, place, size) for place in places)
    return replace(faults, unreadable=faults.unreadable + bad)


def _slow(faults: Faults, sectors: Mapping[int, int], sector_bytes: int) -> Faults:
    """Add a stretch with one slow sector a MiB, so that the size of requests does not matter."""
    first, size, step = sectors[0] // 2, sectors[0] // _PART, MIB // sector_bytes
    places = range(first, first + max(size, 1), step)[:_MOST_SLOW]
    return replace(faults, slow=tuple((Extent(0, place), _SLOW_S) for place in places))


def _dead(faults: Faults, _: Mapping[int, int], __: int) -> Faults:
    return replace(faults, dead=True)


def _unprovisioned(faults: Faults, _: Mapping[int, int], __: int) -> Faults:
    return replace(faults, unprovisioned=True)


def _blank(faults: Faults, _: Mapping[int, int], __: int) -> Faults:
    return replace(faults, unprovisioned=True, tells_nothing=True)


# By name: in words, and what adds it to other faults of LUNs of these numbers of sectors.
CONDITIONS: Mapping[str, tuple[str, Callable[[Faults, Mapping[int, int], int], Faults]]] = {
    "read-only": ("it refuses all writes", _read_only),
    "forgets": ("it says yes to writes and keeps nothing", _forgets),
    "worn": ("two stretches of LUN 0 cannot be read", _worn),
    SLOW: ("a stretch of LUN 0 takes very long, in real time", _slow),
    "dead": ("it does not answer: no LUN opens", _dead),
    "unprovisioned": ("UFS: the device answers, but has no LUNs", _unprovisioned),
    "blank": ("UFS without LUNs; whoever asks for one spoils the programmer", _blank),
}
