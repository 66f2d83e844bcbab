# SPDX-License-Identifier: BSD-3-Clause
"""In which order a phone is changed, so that it stays recoverable wherever a job ends.

Bulk data goes first, what the phone boots from last: the boot chain, its first stage, then the
backup of each partition table, then the primary ones. Where there are two of a part of the boot
chain, the second one (slot b, backups) goes before, and is compared before the first is touched:
one of the two is always whole. So an interrupted job leaves the boot loader that was there as long
as possible; and a phone that had none, none that is half done: its boot ROM then enters EDL mode.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Sequence

from edl.partitions import Severity, classify
from edl.plan.model import Geometry, ReadOut, Step, Write, overlaps

_FIRST_STAGES = frozenset({"xbl", "sbl1", "xbl_config"})
_KERNEL = frozenset({"boot", "init_boot", "vendor_boot", "dtbo", "vbmeta", "vbmeta_system"})
_COPIES = ("_b", "_backup", "bak")


class Stage(enum.IntEnum):
    """When a part is written. What is of SECOND_CHAIN or later, the phone boots from."""

    BULK = 0
    UNIQUE = 1
    SECOND_CHAIN = 2
    SECOND_FIRST_STAGE = 3
    CHAIN = 4
    FIRST_STAGE = 5
    BACKUP_TABLE = 6
    PRIMARY_TABLE = 7

    @property
    def boots(self) -> bool:
        """Whether the phone boots from it."""
        return self >= Stage.SECOND_CHAIN


@functools.lru_cache(maxsize=4096)
def stage_of(name: str) -> Stage:
    """Return the stage of the partition name."""
    kind = classify(name)
    if kind.severity is Severity.MUST_NEVER_CLONE:
        return Stage.UNIQUE
    if kind.category != "firmware":
        return Stage.BULK
    base, second = name.lower(), False
    for suffix in _COPIES:
        if base.endswith(suffix):
            base, second = base.removesuffix(suffix), True
    if base.removesuffix("_a") in _FIRST_STAGES:
        return Stage.SECOND_FIRST_STAGE if second else Stage.FIRST_STAGE
    return Stage.SECOND_CHAIN if second else Stage.CHAIN


def is_critical(stage: Stage, step: Step) -> bool:
    """Tell whether the phone cannot start without what step changes."""
    base = step.label.lower().removesuffix("_a").removesuffix("_b")
    return stage.boots or base in _KERNEL or isinstance(step, ReadOut)


def ordered(steps: Sequence[Step], geometry: Geometry) -> list[tuple[Stage, Step]]:
    """Return steps in the order to carry them out; those that overlap keep theirs."""
    found: list[tuple[Stage, Step]] = []
    late: list[tuple[Stage, Step]] = []
    for step in steps:
        stage = _stage(step, geometry)
        stage = max([stage, *(other for other, before in late
                              if other > stage and overlaps(before.area, step.area))])  # fmt: skip
        found.append((stage, step))
        if stage > Stage.BULK:
            late.append((stage, step))
    return sorted(found, key=lambda pair: pair[0])


def _stage(step: Step, geometry: Geometry) -> Stage:
    area = step.area
    if isinstance(step, Write):
        if area.start_sector <= 1:
            return Stage.PRIMARY_TABLE
        if area.start_sector + area.sectors == geometry.luns.get(area.lun):
            return Stage.BACKUP_TABLE
    return stage_of(step.label)
