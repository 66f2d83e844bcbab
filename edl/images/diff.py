# SPDX-License-Identifier: BSD-3-Clause
"""How two images differ, partition by partition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edl.contents import Joined, Slice
from edl.images.disk import DiskImage, LunImage
from edl.images.parts import Part

OUTSIDE = "outside partitions"

Key = tuple[int | None, str, int]


@dataclass(frozen=True)
class Pair:
    """A part that both images have, or only one; part: that of the first one that has it."""

    part: Part
    one: Part | None
    other: Part | None


def pairs(one: Iterable[Part], other: Iterable[Part]) -> list[Pair]:
    """Return the parts of both images by LUN and name, in the order of the first."""
    first, second = _keyed(one), _keyed(other)
    found = [Pair(part, part, second.get(key)) for key, part in first.items()]
    return found + [Pair(part, None, part) for key, part in second.items() if key not in first]


def _keyed(parts: Iterable[Part]) -> dict[Key, Part]:
    """Return parts by LUN, label and how often that was there before: names may be double."""
    found: dict[Key, Part] = {}
    for part in parts:
        again = 0
        while (key := (part.lun, part.label, again)) in found:
            again += 1
        found[key] = part
    return found


def outside(one: DiskImage, other: DiskImage) -> list[Pair]:
    """Return what lies outside of partitions, tables included, where both images have one layout.

    A LUN without partitions is all outside. A LUN of another size, or with other partitions, has no
    counterpart for its gaps; the partitions tell then.
    """
    found = []
    for number in sorted(one.luns.keys() | other.luns.keys()):
        lun, twin = one.luns.get(number), other.luns.get(number)
        first = None if lun is None else _gaps(number, lun)
        second = None if twin is None else _gaps(number, twin)
        part = first or second
        comparable = lun is None or twin is None or _layout(lun) == _layout(twin)
        if part is not None and comparable:
            found.append(Pair(part, first, second))
    return found


def _layout(lun: LunImage) -> tuple[int, int, list[tuple[int, int]]]:
    spans = sorted((p.first_sector, p.last_sector) for p in lun.partitions)
    return lun.sector_bytes, lun.content.size_bytes, spans


def _gaps(number: int, lun: LunImage) -> Part:
    unit, end = lun.sector_bytes, 0
    gaps = []
    for partition in sorted(lun.partitions, key=lambda each: each.first_sector):
        start = min(partition.first_sector * unit, lun.content.size_bytes)
        if start > end:
            gaps.append(Slice(lun.content, end, start - end))
        end = max(end, (partition.last_sector + 1) * unit)
    if end < lun.content.size_bytes:
        gaps.append(Slice(lun.content, end, lun.content.size_bytes - end))
    return Part(OUTSIDE, Joined(tuple(gaps)), number)
