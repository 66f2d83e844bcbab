# SPDX-License-Identifier: BSD-3-Clause
"""How two packages, dumps or backups differ, partition by partition: what writing one would change.

Of a package only what it says counts: holes of its sparse images change nothing on a phone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from edl.chunks import Content
from edl.contents import Slice
from edl.errors import ImageError
from edl.events import Emit, ignore
from edl.formats.expressions import Expression
from edl.images.disk import DiskImage
from edl.images.work import BLOCK_BYTES, Difference
from edl.images.work import compare as compare_contents
from edl.package import Package
from edl.packages.holdings import LOGICAL, Holding
from edl.plan import byname
from edl.units import format_size


class State(StrEnum):
    """How a partition differs."""

    SAME = "same"
    CHANGED = "changed"
    ONLY_FIRST = "only first"
    ONLY_SECOND = "only second"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Pair:
    """A partition that both have, or only one."""

    one: Holding | None
    other: Holding | None

    @property
    def name(self) -> str:
        """What it is called; the more exact of two names."""
        names = [each.name for each in (self.one, self.other) if each is not None]
        return max(names, key=len)

    @property
    def lun(self) -> int | None:
        """Where it is, if one of both says it."""
        luns = [each.lun for each in (self.one, self.other) if each is not None]
        return next((lun for lun in luns if lun is not None), None)

    @property
    def common_bytes(self) -> int:
        """How much of both can be compared."""
        if self.one is None or self.other is None:
            return 0
        return min(self.one.size_bytes, self.other.size_bytes)


@dataclass(frozen=True)
class Row:
    """How a pair differs.

    Attributes:
        blocks: of 1 MiB, that were compared; different: how many of them differ.
        first_byte: the first one that differs; None if none does.
        moved: they begin at different sectors.
        problem: what else is to be said, or "".
    """

    pair: Pair
    state: State
    blocks: int = 0
    different: int = 0
    first_byte: int | None = None
    moved: bool = False
    problem: str = ""


def placed(package: Package, image: DiskImage, slot: str = "active") -> Package:
    """Return package with its named images where the tables of image have them.

    Raises:
        PackageError: image has none of these partitions.
    """
    tables = {n: lun.table for n, lun in image.luns.items() if lun.table is not None}
    if not package.named or not tables:
        return package
    unit = next(lun.sector_bytes for lun in image.luns.values() if lun.table is not None)
    return byname.placed(package, tables, unit, slot)


def pairs(one: Iterable[Holding], other: Iterable[Holding]) -> list[Pair]:
    """Return the partitions of both by LUN and name, in the order of the first, then the second's.

    A LUN that one of both leaves open fits any; `boot` fits `boot_a`, `boot_b` and `boot_ab`, and
    `system` the logical `super/system`, where the other has no partition of just that name.
    """
    first = list(one)
    left: dict[str, list[Holding]] = {}
    for holding in other:
        left.setdefault(_base(holding)[0], []).append(holding)
    exact: dict[int, Holding] = {}
    for index, holding in enumerate(first):
        rivals = left.get(_base(holding)[0], [])
        twin = next((each for each in rivals if _same(holding, each)), None)
        if twin is not None:
            exact[index] = twin
            rivals.remove(twin)
    rows: list[Pair] = []
    used: set[int] = set()
    for index, holding in enumerate(first):
        twins = [exact[index]] if index in exact else _alike(holding, left)
        used.update(map(id, twins))
        rows += [Pair(holding, twin) for twin in twins] or [Pair(holding, None)]
    rest = [each for rivals in left.values() for each in rivals if id(each) not in used]
    return rows + [Pair(None, each) for each in rest]


def _base(holding: Holding) -> tuple[str, str]:
    """Return the name without slot and `super/`, and the slot: "a", "b" or "" for both or none."""
    name = holding.name.lower().removeprefix(LOGICAL)
    for slot in ("a", "b"):
        if name.endswith(f"_{slot}"):
            return name[:-2], slot
    return name.removesuffix("_ab"), ""


def _fits(one: Holding, other: Holding) -> bool:
    return one.lun is None or other.lun is None or one.lun == other.lun


def _same(one: Holding, other: Holding) -> bool:
    return one.name.lower() == other.name.lower() and _fits(one, other)


def _alike(holding: Holding, left: dict[str, list[Holding]]) -> list[Holding]:
    """Return which of left are holding's partition but for the slot that only one of both says."""
    base, slot = _base(holding)
    return [
        each
        for each in left.get(base, [])
        if _fits(holding, each) and (not slot or _base(each)[1] in {"", slot})
    ]


def compare(
    pair: Pair,
    *,
    over: bool = False,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> Row:
    """Return how pair differs. over: the first is a storage, over which the second is written.

    Raises:
        CancelledError: stopped by cancel.
    """
    one, other = pair.one, pair.other
    if one is None or other is None:
        return Row(pair, State.ONLY_FIRST if other is None else State.ONLY_SECOND)
    try:
        found = _difference(one, other, over=over, emit=emit, cancel=cancel)
    except ImageError as error:
        return Row(pair, State.UNKNOWN, problem=error.message)
    moved = _differ(one.start, other.start)
    problem = ""
    too_large = over and other.size_bytes > one.size_bytes
    if too_large or (not over and one.size_bytes != other.size_bytes):
        sizes = f"{format_size(one.size_bytes)} and {format_size(other.size_bytes)}"
        if abs(one.size_bytes - other.size_bytes) < BLOCK_BYTES:
            sizes = f"{one.size_bytes} and {other.size_bytes} bytes"
        problem = f"the sizes differ: {sizes}"
    same = found.same and not problem and not moved
    return Row(
        pair,
        State.SAME if same else State.CHANGED,
        found.blocks,
        found.different,
        found.first_byte,
        moved,
        problem,
    )


def _differ(one: Expression | None, other: Expression | None) -> bool:
    if one is None or other is None or one.needs_disk or other.needs_disk:
        return False
    return one.number != other.number


def _difference(
    one: Holding, other: Holding, *, over: bool, emit: Emit, cancel: threading.Event | None
) -> Difference:
    """Compare what both have: all of it, or only what other says."""
    size = min(one.size_bytes, other.size_bytes)
    spans: Sequence[tuple[int, int]] = other.written if over else ((0, size),)
    total = Difference(0, 0, None)
    for offset, length in spans:
        length = min(length, size - offset)  # noqa: PLW2901
        if length <= 0:
            continue
        found = compare_contents(
            _part(one.content, offset, length),
            _part(other.content, offset, length),
            emit=emit,
            cancel=cancel,
        )
        first = total.first_byte
        if first is None and found.first_byte is not None:
            first = offset + found.first_byte
        total = replace(
            total,
            blocks=total.blocks + found.blocks,
            different=total.different + found.different,
            first_byte=first,
        )
    return total


def _part(content: Content, offset: int, length: int) -> Content:
    if offset == 0 and length == content.size_bytes:
        return content
    return Slice(content, offset, length)


def most_changed_bytes(row: Row) -> int:
    """Return how many bytes differ at most: those of the blocks that do."""
    return min(row.different * BLOCK_BYTES, row.pair.common_bytes)
