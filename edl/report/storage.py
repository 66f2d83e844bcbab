# SPDX-License-Identifier: BSD-3-Clause
"""The map of the storage: each LUN as boxes in order of place, with what became of each.

Places are sectors; where boxes are drawn is told in percent of the width, to scale as far as the
smallest can still be seen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edl.partitions import Severity, classify
from edl.report import fates
from edl.units import format_size

Data = dict[str, Any]

_WIDEST = 100.0  # percent
_LEAST = 0.6  # percent of the width that a box has at least, where there are few
_LEAST_SHARE = 0.5  # of the width, that boxes take which are drawn wider than they are
_THINNEST = 0.3  # percent of the LUN's width, of what happens in a part of a box
_NEAR = 0.004  # marks that are nearer than this part of a box are drawn as one


@dataclass(frozen=True)
class Mark:
    """Sectors to which something happens. note: words for people, such as where data comes from."""

    lun: int
    start: int
    sectors: int
    fate: str
    label: str
    note: str = ""

    @property
    def end(self) -> int:
        """The first sector behind it."""
        return self.start + self.sectors


@dataclass
class Box:
    """A partition, or what lies between partitions. named: it is more than room that is free.

    left, width: percent of the LUN's width. fills: percent of the box's width, and the fate, of
    what is not all of it.
    """

    name: str
    start: int
    sectors: int
    size: str
    fate: str
    named: bool = True
    unique: bool = False
    notes: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    left: float = 0.0
    width: float = 0.0
    fills: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The first sector behind it."""
        return self.start + self.sectors


@dataclass(frozen=True)
class Lun:
    """One LUN. wider: boxes smaller than this many bytes are drawn wider than they are; 0: none."""

    lun: int
    sectors: int
    size: str
    boxes: tuple[Box, ...]
    wider: str = ""

    @property
    def rows(self) -> tuple[Box, ...]:
        """What is listed."""
        return tuple(box for box in self.boxes if box.named)


@dataclass(frozen=True)
class Source:
    """What a map is made of.

    sizes: sectors by LUN. tables: partitions by LUN, where they are known; rows as in `collect`.
    kept, left_out: names in lower case, the latter with the reason.
    """

    sector_bytes: int
    sizes: dict[int, int]
    tables: dict[int, list[Data]]
    marks: Sequence[Mark]
    kept: frozenset[str] = frozenset()
    left_out: dict[str, str] = field(default_factory=dict)


def luns(source: Source) -> list[Lun]:
    """Return the map of each LUN that source knows of."""
    numbers = {*source.sizes, *source.tables, *(mark.lun for mark in source.marks)}
    return [_lun(source, number) for number in sorted(numbers)]


def _lun(source: Source, number: int) -> Lun:
    marks = sorted((m for m in source.marks if m.lun == number), key=lambda m: m.start)
    table = source.tables.get(number)
    ends = [row["start_sector"] + row["sectors"] for row in table or ()]
    total = source.sizes.get(number) or max([0, *ends, *(mark.end for mark in marks)])
    boxes = _boxes(source, total, table, marks)
    wider = _place(boxes, total)
    unit = source.sector_bytes
    return Lun(
        number,
        total,
        format_size(total * unit),
        tuple(boxes),
        format_size(wider * unit) if wider else "",
    )


def _boxes(
    source: Source, total: int, table: list[Data] | None, marks: Sequence[Mark]
) -> list[Box]:
    """Return boxes for all sectors, in order and without gaps, with what happens in them."""
    boxes: list[Box] = []
    at = 0
    rest = "unknown" if table is None else "free"
    for row in sorted(table or (), key=lambda row: int(row["start_sector"])):
        start, end = max(at, row["start_sector"]), min(row["start_sector"] + row["sectors"], total)
        if end <= start:  # it has no size, or lies in another or behind the end
            continue
        boxes += _between(source, at, start, marks, rest)
        boxes.append(_partition(source, row["name"], start, end - start, marks))
        at = end
    return [*boxes, *_between(source, at, total, marks, rest)]


def _partition(source: Source, name: str, start: int, sectors: int, marks: Sequence[Mark]) -> Box:
    unique = is_unique(name)
    box = Box(name, start, sectors, format_size(sectors * source.sector_bytes), "untouched",
              unique=unique)  # fmt: skip
    key = name.lower()
    box.marks = _cut(marks, start, start + sectors)
    if box.marks:
        box.fate = min((mark.fate for mark in box.marks), key=fates.rank)
        box.notes = list(dict.fromkeys(mark.note for mark in box.marks if mark.note))
    elif key in source.kept:
        box.fate = "kept"
    elif key in source.left_out:
        box.fate, box.notes = "skipped", [source.left_out[key]]
    elif unique:
        box.fate = "unique"
    return box


def _between(
    source: Source, start: int, end: int, marks: Sequence[Mark], rest: str
) -> Iterable[Box]:
    """Yield boxes for sectors that are in no partition: what happens there, and what is left."""
    unit = source.sector_bytes
    for mark in _cut(marks, start, end):
        if mark.end <= start:  # a later one in the same place
            continue
        first = max(start, mark.start)
        if first > start:
            yield _rest(start, first - start, unit, rest)
        size = mark.end - first
        yield Box(
            mark.label or f"sector {mark.start}", first, size, format_size(size * unit), mark.fate,
            notes=[mark.note] if mark.note else [], marks=[mark],
        )  # fmt: skip
        start = mark.end
    if start < end:
        yield _rest(start, end - start, unit, rest)


def _rest(start: int, sectors: int, unit: int, fate: str) -> Box:
    return Box(fates.BY_KEY[fate].words, start, sectors, format_size(sectors * unit), fate, False)


def _cut(marks: Sequence[Mark], start: int, end: int) -> list[Mark]:
    """Return what of marks, which are in order, lies from start up to end."""
    last = bisect_left(marks, end, key=lambda mark: mark.start)
    return [
        Mark(
            mark.lun,
            max(mark.start, start),
            min(mark.end, end) - max(mark.start, start),
            mark.fate,
            mark.label,
            mark.note,
        )
        for mark in marks[:last]
        if mark.end > start
    ]


def is_unique(name: str) -> bool:
    """Tell whether a partition of that name belongs to one phone alone."""
    return classify(name).severity is Severity.MUST_NEVER_CLONE


# -- where it is drawn ----------------------------------------------------------------------------


def _place(boxes: Sequence[Box], total: int) -> int:
    """Give each box its place, and return below how many sectors they are wider than to scale."""
    if not boxes:
        return 0
    least = min(_LEAST, _LEAST_SHARE * _WIDEST / len(boxes))
    widths = [_WIDEST * box.sectors / max(total, 1) for box in boxes]
    small = {index for index, width in enumerate(widths) if width < least}
    while True:  # what the small ones take, the others give; some may become small by that
        room = _WIDEST - least * len(small)
        given = sum(width for index, width in enumerate(widths) if index not in small)
        scale = room / given if given else 0.0
        more = {i for i, width in enumerate(widths) if i not in small and width * scale < least}
        if not more:
            break
        small |= more
    at = 0.0
    for index, box in enumerate(boxes):
        box.left, box.width = at, least if index in small else widths[index] * scale
        box.fills = _fills(box)
        at += box.width
    return max((boxes[index].sectors + 1 for index in small), default=0)


def _fills(box: Box) -> list[tuple[float, float, str]]:
    """Return what of box is drawn: left and width in percent of it, and the fate."""
    if not box.marks:
        return [(0.0, _WIDEST, box.fate)]
    found: list[tuple[float, float, str]] = []
    for mark in box.marks:
        left = (mark.start - box.start) / box.sectors
        right = (mark.end - box.start) / box.sectors
        if found and found[-1][2] == mark.fate and left - found[-1][1] < _NEAR:
            found[-1] = (found[-1][0], max(right, found[-1][1]), mark.fate)
        else:
            found.append((left, right, mark.fate))
    thinnest = min(1.0, _THINNEST / box.width) if box.width else 1.0
    fills = []
    for left, right, fate in found:
        width = max(right - left, thinnest)
        fills.append((round(min(left, 1 - width) * _WIDEST, 2), round(width * _WIDEST, 2), fate))
    return fills
