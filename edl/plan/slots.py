# SPDX-License-Identifier: BSD-3-Clause
"""The job that makes a phone start its other slot, and what has to be known for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edl.device.storage import Storage, Tables
from edl.errors import DeviceRefusedError, SafetyError, UsageError
from edl.firehose.commands import Area
from edl.formats import gptedit, slots
from edl.formats.gpt import Gpt, Partition
from edl.formats.slots import Slot
from edl.plan import job
from edl.plan.model import Finding, Plan, Severity, Write
from edl.plan.tables import first_sector, held, table_writes

_BLANK_BYTES = 4096  # a partition whose beginning is blank holds no program
_SLOT_KINDS = {"type", "attributes"}


@dataclass
class PhoneSlots:
    """The tables of a phone that has slots. unread: LUNs that cannot be read, with the reason."""

    tables: dict[int, Tables] = field(default_factory=dict)
    unread: dict[int, str] = field(default_factory=dict)

    @property
    def partitions(self) -> list[tuple[int, Partition]]:
        """All partitions with their LUN, by the copies to go by."""
        return [
            (lun, partition)
            for lun, tables in self.tables.items()
            for partition in (tables.best.partitions if tables.best else ())
        ]


def phone_slots(storage: Storage) -> PhoneSlots:
    """Return the tables of all LUNs.

    Raises:
        UsageError: the phone has no slots.
    """
    found = PhoneSlots()
    for lun in storage.luns():
        try:
            found.tables[lun] = storage.table(lun)
        except DeviceRefusedError as error:
            found.unread[lun] = error.message
    if slots.boot_states(found.partitions) is None:
        if not found.partitions:
            raise UsageError(
                "The phone has no readable partition table, so nobody knows its slots.",
                remedies=("Mend it: edl gpt repair", "See what is wrong: edl printgpt"),
            )
        raise UsageError(
            "This phone has no slots: there are no partitions boot_a and boot_b.",
            remedies=("See its partitions: edl printgpt",),
        )
    return found


def slot_plan(storage: Storage, slot: Slot, found: PhoneSlots, *, empty: bool = False) -> Plan:
    """Return the plan that makes slot the one that the phone starts.

    The LUN with the boot partitions comes last, and of each LUN the primary table: until then the
    phone starts what it started before. empty: even if nothing was ever written to the slot.

    Raises:
        SafetyError: a table has to be mended first.
    """
    ufs = storage.phone.programmer.memory == "ufs"
    pairs = slots.pairs(found.partitions)
    changing = [pair for pair in pairs if not pair.chosen_by_lun(ufs=ufs)]
    touched = {lun for pair in changing for lun, _ in (pair.a, pair.b)}
    before = {lun: _settled(found.tables[lun]) for lun in touched}
    after = slots.activate(before, slot, ufs=ufs)
    geometry = job.geometry(storage, touched)
    boot = {lun for pair in pairs if pair.name == "boot" for lun, _ in (pair.a, pair.b)}
    steps: list[Write] = []
    for lun in sorted(touched, key=lambda lun: (lun in boot, lun)):
        total = geometry.luns[lun]
        table = gptedit.repair(after[lun], total, first_sector(storage, lun))
        steps += table_writes(storage, lun, table)
    lun_findings, bootable = _boot_lun(pairs, slot) if ufs else ((), None)
    unread = [
        Finding(
            "lun-unreadable",
            Severity.WARNING,
            f"LUN {lun} cannot be read: if it has partitions of slots, they stay. {reason}",
        )
        for lun, reason in found.unread.items()
    ]
    return Plan(
        "slot",
        slot,
        geometry,
        tuple(steps),
        bootable=bootable,
        findings=(*unread, *lun_findings, *(() if empty else _blank(storage, pairs, slot))),
    )


def _settled(tables: Tables) -> Gpt:
    """Return the table to go by, where the copies differ at most in what slots are about.

    Raises:
        SafetyError: it has to be mended first.
    """
    good = gptedit.good_copies(tables.primary, tables.backup)
    if len(good) > 1:  # as an interrupted change of the slot leaves them
        kinds = {kind for change in gptedit.entry_differences(*good) for kind in change.kinds}
        if kinds <= _SLOT_KINDS and not gptedit.header_differences(*good):
            return good[0]
    if len(good) != 1:
        raise SafetyError(
            f"The partition tables of LUN {tables.lun} are damaged or contradict each other.",
            remedies=(f"Mend them first: edl gpt repair --lun {tables.lun}",),
        )
    return good[0]


def _boot_lun(pairs: Sequence[slots.Pair], slot: Slot) -> tuple[tuple[Finding, ...], int | None]:
    """Return the LUN that a UFS phone has to boot from, if the slot's boot loader lies there."""
    wanted = slots.BOOT_LUNS[slot]
    for pair in pairs:
        if pair.name == "xbl" and pair.side(slot)[0] == wanted:
            return (), wanted
    finding = Finding(
        "boot-lun-left",
        Severity.WARNING,
        f"There is no xbl_{slot} on LUN {wanted}, so the LUN that the phone boots from stays.",
        remedy=f"If the phone does not start: edl set-bootable {wanted}",
    )
    return (finding,), None


def _blank(storage: Storage, pairs: Sequence[slots.Pair], slot: Slot) -> Iterator[Finding]:
    """Yield what the phone would miss: a phone with an empty slot does not start."""
    unit = storage.phone.sector_bytes
    for pair in pairs:
        lun, partition = pair.side(slot)
        if pair.name not in {"boot", "xbl", "abl", "aboot"} or not partition.sectors:
            continue
        sectors = min(partition.sectors, _BLANK_BYTES // unit)
        data = held(storage, Area(lun, partition.first_sector, sectors, unit))
        if data is not None and data.count(data[0]) == len(data) and data[0] in {0x00, 0xFF}:
            yield Finding(
                "slot-empty",
                Severity.ERROR,
                f"'{partition.name}' is empty: with slot {slot} active the phone would not start.",
                remedy=f"Write it first: edl write {partition.name} FILE; or insist with --empty",
            )
