# SPDX-License-Identifier: BSD-3-Clause
"""The partition tables that a phone starts by: sound, and of one mind about slot and boot LUN.

Which partition the boot ROM starts: the first one of the boot loader's type, on UFS on the LUN that
bBootLunEn chooses (edl.formats.slots), on eMMC in the user area.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from edl.boot.model import Job
from edl.device.storage import Storage, Tables
from edl.errors import DeviceRefusedError
from edl.formats import gptcheck, gptedit, slots
from edl.formats.gpt import Gpt, Partition
from edl.formats.slots import Slot
from edl.plan.model import Finding, Severity

FIRST_STAGE_TYPE = UUID("dea0ba2c-cbdd-4805-b4f9-f428251c3e98")
_FIRST_BOOT_LUN = 1
_MOST_PROBLEMS = 3


@dataclass
class Layout:
    """The partitions of a phone, and what it starts by.

    ufs: whether it has LUNs to boot from. slot: that its tables say, None without slots. boot_lun:
    that the job set, else that belongs to the slot. lun_known: the job has set it. unread: LUNs
    whose tables cannot be read, with the reason.
    """

    ufs: bool
    partitions: list[tuple[int, Partition]] = field(default_factory=list)
    slot: Slot | None = None
    boot_lun: int = 0
    lun_known: bool = False
    unread: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_layout(storage: Storage, job: Job) -> Layout:
    """Return how the storage is divided, with what is wrong with it."""
    layout = Layout(storage.phone.programmer.memory == "ufs")
    tables: dict[int, Tables] = {}
    for lun in storage.luns() if layout.ufs else (0,):
        try:
            tables[lun] = storage.table(lun)
        except DeviceRefusedError as error:
            layout.unread.append(f"partition tables of LUN {lun} ({error.message})")
    for lun, found in tables.items():
        for partition in found.partitions:
            layout.partitions.append((lun, partition))
    states = slots.boot_states(layout.partitions)
    layout.slot = slots.active_of(layout.partitions)
    if layout.ufs:
        layout.lun_known = bool(job.bootable)
        layout.boot_lun = job.bootable or slots.BOOT_LUNS.get(layout.slot or "", _FIRST_BOOT_LUN)
    for lun, found in tables.items():
        layout.findings += _of_tables(storage, found, boots=lun in {layout.boot_lun, 0})
    if states is not None:
        layout.findings += _of_slots(layout, states)
    return layout


def _of_tables(storage: Storage, found: Tables, *, boots: bool) -> Iterator[Finding]:
    """Yield what is wrong with the tables of a LUN. boots: the phone cannot start without it."""
    lun, remedy = found.lun, f"Mend it: edl gpt repair --lun {found.lun}"
    total = storage.sectors(lun)
    if found.best is None or not found.best.partitions:
        yield Finding(
            "no-table",
            Severity.ERROR if boots else Severity.WARNING,
            f"LUN {lun} has no partition table.",
            remedy=f"Write the whole package, or its tables: edl gpt repair --lun {lun} --from ROM",
        )
        return
    for place, copy in (("beginning", found.primary), ("end", found.backup)):
        first = place == "beginning"
        if copy is None and (first or total is not None):
            problems = ["It is missing or no table at all."]
        else:
            problems = list(_problems(copy, total)) if copy is not None else []
        broken = copy is None or not gptcheck.sound(copy)
        for problem in problems[:_MOST_PROBLEMS]:
            yield Finding(
                "table-broken" if broken else "table-problem",
                Severity.ERROR if broken and first and boots else Severity.WARNING,
                f"The partition table at the {place} of LUN {lun}: {problem}",
                remedy=remedy,
            )
    if found.primary and found.backup and not gptedit.alike(found.primary, found.backup):
        yield Finding(
            "tables-differ",
            Severity.WARNING,
            f"The two copies of the partition table of LUN {lun} contradict each other.",
            remedy=remedy,
        )


def _problems(copy: Gpt, total: int | None) -> Iterator[str]:
    """Yield what is wrong with a copy. What sector 0 tells old tools does not matter here."""
    yield from (text for text in gptcheck.problems(copy, total) if "Sector 0" not in text)


def _of_slots(layout: Layout, states: dict[Slot, slots.SlotState]) -> Iterator[Finding]:
    slot = layout.slot
    if slot is None:
        yield Finding(
            "no-slot-active",
            Severity.WARNING,
            "No slot is active: the boot loader decides by itself what it starts, if anything.",
            remedy="Choose the one that was written: edl slot a",
        )
        return
    state = states[slot]
    if state.active and not state.can_start:
        other: Slot = "b" if slot == "a" else "a"
        yield Finding(
            "slot-used-up",
            Severity.WARNING,
            f"Slot {slot} is active, but has no try left or has failed: the boot loader takes"
            f" slot {other}, or stops.",
            remedy=f"If slot {slot} was written anew: edl slot {slot}",
        )
    pairs = [pair for pair in slots.pairs(layout.partitions) if pair.chosen_by_lun(ufs=layout.ufs)]
    wanted = slots.BOOT_LUNS[slot]
    if not any(pair.side(slot)[0] == wanted for pair in pairs):
        return
    if layout.lun_known and layout.boot_lun != wanted:
        yield Finding(
            "slot-lun-mismatch",
            Severity.ERROR,
            f"Slot {slot} is active, but the phone was set to boot from LUN {layout.boot_lun}; its"
            f" boot loader starts slot {slot} from LUN {wanted} only.",
            remedy=f"Set the LUN of the slot: edl set-bootable {wanted}",
        )
    elif not layout.lun_known:
        yield Finding(
            "boot-lun-untold",
            Severity.INFO,
            f"Slot {slot} boots from LUN {wanted}; which LUN is set, no programmer tells.",
            remedy=f"If the phone does not start: edl set-bootable {wanted}",
        )
