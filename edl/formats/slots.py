# SPDX-License-Identifier: BSD-3-Clause
"""Slots a and b of Android: which one a phone's tables start, and how to change that.

Facts: Qualcomm's open boot control, as Android calls it (boot_control.cpp and gpt-utils.h of The
Linux Foundation, kept by LineageOS in android_hardware_qcom_bootctrl and by qbootctl), and the
open boot loader (PartitionTableUpdate.c of its edk2), which reads what it writes:

- The state of a slot is the seventh byte of the attributes: two bits of priority, active, three
  bits of tries, successful, unbootable.
- The boot loader starts the slot whose boot partition is active with the higher priority; of equal
  ones a, and a where nothing was ever marked.
- Activating sets the byte of each partition of the slot to 0x3f (priority 3, active, 7 tries) and
  takes the active bit from its sibling; the two exchange their types, if the sibling was active.
- On UFS the boot LUN (setbootablestoragedrive: 1 for a, 2 for b) chooses among what lies on the
  boot LUNs, so that those stay as they are. The boot loader refuses a LUN of the other slot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from edl.formats.gpt import Gpt, Partition

# The type of most partitions of the slot that is not in use, so that nothing finds them by type.
INACTIVE_TYPE = UUID("77036cd4-03d5-42bb-8ed1-37e5a88baa34")
# What lies on the boot LUNs of UFS; boot control takes everything that begins like this.
_CHOSEN_BY_LUN = ("xbl", "multiimgoem", "multiimgqti", "tme_cfg", "tme_fw", "tme_seq_patch")
BOOT_LUNS = {"a": 1, "b": 2}

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

    @property
    def can_start(self) -> bool:
        """Whether the boot loader would start it: confirmed by Android, or with a try left."""
        return not self.unbootable and (self.successful or self.tries > 0)

    def within(self, attributes: int) -> int:
        """Return attributes with this state in place of theirs."""
        bits = self.priority & 3 | self.active << 2 | (self.tries & 7) << 3
        bits |= self.successful << 6 | self.unbootable << 7
        return attributes & ~(0xFF << 48) | bits << 48


# As after an update over the air: the boot loader may try seven times, Android then confirms.
ACTIVE = SlotState(priority=3, active=True, tries=7, successful=False, unbootable=False)
_NEVER_MARKED = SlotState(priority=0, active=False, tries=0, successful=False, unbootable=False)


@dataclass(frozen=True)
class Pair:
    """The two partitions of one name, each with the LUN that it is on."""

    name: str
    a: tuple[int, Partition]
    b: tuple[int, Partition]

    def side(self, slot: Slot) -> tuple[int, Partition]:
        """Return the LUN and the partition of slot."""
        return self.a if slot == "a" else self.b

    def chosen_by_lun(self, *, ufs: bool) -> bool:
        """Tell whether the boot LUN chooses between the two, so that their entries stay."""
        return ufs and self.name.startswith(_CHOSEN_BY_LUN)


def pairs(partitions: Iterable[tuple[int, Partition]]) -> tuple[Pair, ...]:
    """Return the pairs among partitions, each with its LUN, in their order."""
    by_name = {partition.name: (lun, partition) for lun, partition in partitions}
    return tuple(
        Pair(name[:-2], by_name[name], by_name[f"{name[:-2]}_b"])
        for name in by_name
        if name.endswith("_a") and f"{name[:-2]}_b" in by_name
    )


def active_slot(table: Gpt) -> Slot | None:
    """Return the slot that the boot loader takes by the boot partitions of table, or None.

    None means that the table has no such pair (it is on another LUN), or that no slot is active.
    """
    return active_of((0, partition) for partition in table.partitions)


def active_of(partitions: Iterable[tuple[int, Partition]]) -> Slot | None:
    """Return the same by the partitions of all LUNs, each with its LUN."""
    states = boot_states(partitions)
    if states is None:
        return None
    a, b = states["a"], states["b"]
    rank_a, rank_b = (state.priority if state.active else 0 for state in (a, b))
    if rank_a or rank_b:
        return "b" if rank_b > rank_a else "a"
    never_marked = dataclasses.replace(a, tries=0) == _NEVER_MARKED
    return "a" if never_marked else None


def boot_states(partitions: Iterable[tuple[int, Partition]]) -> dict[Slot, SlotState] | None:
    """Return the state of each slot, which is that of its boot partition; None without slots."""
    boot = next((pair for pair in pairs(partitions) if pair.name == "boot"), None)
    if boot is None:
        return None
    return {"a": SlotState.of(boot.a[1].attributes), "b": SlotState.of(boot.b[1].attributes)}


def activate(tables: Mapping[int, Gpt], slot: Slot, *, ufs: bool) -> dict[int, Gpt]:
    """Return the tables of all LUNs with slot as the one to start; only pairs change."""
    found = [(lun, p) for lun, table in tables.items() for p in table.partitions]
    before = active_of(found) or "a"
    result = dict(tables)
    for pair in pairs(found):
        if not pair.chosen_by_lun(ufs=ufs):
            for lun, partition in _switched(pair, slot, before):
                result[lun] = result[lun].replace(partition)
    return result


def _switched(pair: Pair, slot: Slot, before: Slot) -> Iterator[tuple[int, Partition]]:
    """Yield both partitions of pair with slot active; before: the phone's slot until now."""
    (lun, chosen), (other_lun, other) = pair.side(slot), pair.side("b" if slot == "a" else "a")
    types = chosen.type_guid, other.type_guid
    # Half a change, by whichever tool, leaves bits and types that contradict each other: the one
    # type that tells its meaning is believed then. quirk: comma3's own tables give the active
    # 'system' that type, and nothing finds it by its type.
    telling = pair.name != "system" and (types[0] == INACTIVE_TYPE) != (types[1] == INACTIVE_TYPE)
    if types[0] == INACTIVE_TYPE if telling else _side(pair, before) != slot:
        types = types[1], types[0]
    resting = dataclasses.replace(SlotState.of(other.attributes), active=False)
    yield (
        lun,
        dataclasses.replace(
            chosen, type_guid=types[0], attributes=ACTIVE.within(chosen.attributes)
        ),
    )
    yield (
        other_lun,
        dataclasses.replace(other, type_guid=types[1], attributes=resting.within(other.attributes)),
    )


def _side(pair: Pair, before: Slot) -> Slot:
    """Return which side of pair is active until now: by its own bits, else as the phone's."""
    if SlotState.of(pair.a[1].attributes).active:
        return "a"
    return "b" if SlotState.of(pair.b[1].attributes).active else before
