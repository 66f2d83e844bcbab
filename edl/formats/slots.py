# SPDX-License-Identifier: BSD-3-Clause
"""Slots a and b of Android: which one a partition table starts, and how to change that.

Facts: bootctrl HAL of CAF and LineageOS, qbootctl, and the tables of stock packages. On UFS the
boot LUN (setbootablestoragedrive) must be changed too; it is no part of the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from edl.formats.gpt import Gpt, Partition

# The type that the partitions of the slot not in use have; the boot loader refuses to start them.
INACTIVE_TYPE = UUID("77036cd4-03d5-42bb-8ed1-37e5a88baa34")
# On UFS the boot LUN chooses these, so that their types stay.
_CHOSEN_BY_LUN = frozenset({"xbl", "xbl_config", "multiimgoem", "multiimgqti"})

Slot = Literal["a", "b"]


@dataclass(frozen=True)
class SlotState:
    """What the boot loader knows about one slot: bits 48 to 55 of a partition's attributes.

    Attributes:
        priority: 0 to 3; of the active slots the highest is started.
        tries: 0 to 7; each start takes one until Android calls the slot successful.
    """

    priority: int
    active: bool
    tries: int
    successful: bool
    unbootable: bool

    @classmethod
    def of(cls, attributes: int) -> SlotState:
        """Return the state in attributes."""
        bits = attributes >> 48
        return cls(bits & 3, bool(bits & 4), bits >> 3 & 7, bool(bits & 0x40), bool(bits & 0x80))

    def within(self, attributes: int) -> int:
        """Return attributes with this state in place of theirs."""
        bits = self.priority & 3 | self.active << 2 | (self.tries & 7) << 3
        bits |= self.successful << 6 | self.unbootable << 7
        return attributes & ~(0xFF << 48) | bits << 48


# As after an update over the air: the boot loader may try seven times, Android then confirms.
ACTIVE = SlotState(priority=3, active=True, tries=7, successful=False, unbootable=False)


def active_slot(table: Gpt) -> Slot | None:
    """Return the slot that the boot loader will start by its boot partitions, or None.

    None means that the table has no such pair (UFS: it is on another LUN), or does not decide.
    """
    for base, a, b in _pairs(table):
        if base == "boot":
            rank_a, rank_b = (_rank(SlotState.of(side.attributes)) for side in (a, b))
            if rank_a != rank_b:
                return "a" if rank_a > rank_b else "b"
    return None


def activate(table: Gpt, slot: Slot, *, ufs: bool) -> Gpt:
    """Return table with slot as the one to start; only pairs of partitions change.

    The partitions of slot get the attributes of a fresh update, the others lose the active bit;
    where exactly one of a pair has the inactive type, slot gets the other one.
    """
    for base, a, b in _pairs(table):
        chosen, other = (a, b) if slot == "a" else (b, a)
        if base == "boot" or (a.attributes | b.attributes) >> 48 & 0xFF:
            resting = dataclasses.replace(SlotState.of(other.attributes), active=False)
            chosen = dataclasses.replace(chosen, attributes=ACTIVE.within(chosen.attributes))
            other = dataclasses.replace(other, attributes=resting.within(other.attributes))
        by_lun = ufs and base in _CHOSEN_BY_LUN
        if chosen.type_guid == INACTIVE_TYPE != other.type_guid and not by_lun:
            chosen, other = (
                dataclasses.replace(chosen, type_guid=other.type_guid),
                dataclasses.replace(other, type_guid=chosen.type_guid),
            )
        table = table.replace(chosen).replace(other)
    return table


def _pairs(table: Gpt) -> Iterator[tuple[str, Partition, Partition]]:
    """Yield the name without suffix and both partitions of each pair."""
    by_name = {partition.name: partition for partition in table.partitions}
    for name, a in by_name.items():
        b = by_name.get(f"{name[:-2]}_b")
        if name.endswith("_a") and b is not None:
            yield name[:-2], a, b


def _rank(state: SlotState) -> tuple[bool, int]:
    """Return what the boot loader compares of two slots."""
    can_start = state.active and not state.unbootable and (state.successful or state.tries > 0)
    return can_start, state.priority if can_start else 0
