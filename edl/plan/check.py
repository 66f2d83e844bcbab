# SPDX-License-Identifier: BSD-3-Clause
"""What can be told about a plan before it touches a phone: overlaps, order, tables, odd pokes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edl.errors import EdlError
from edl.firehose.commands import Area
from edl.formats import gpt
from edl.plan.model import Erase, Finding, Patch, Plan, Severity, Step, Write, overlaps, plural
from edl.plan.patching import Disk

_ENTRY_SECTORS = {512: 34, 4096: 6}  # a GPT with 128 entries; the backup has one sector less


def checked(plan: Plan) -> Plan:
    """Return plan with what these checks find, and without writes that stand there twice."""
    plan = _without_twins(plan)
    findings = [*_overlaps(plan), *_pokes(plan), *_tables(plan), *_nothing(plan)]
    return replace(plan, findings=(*plan.findings, *findings))


def _without_twins(plan: Plan) -> Plan:
    """Drop a write that repeats an earlier one exactly."""
    seen: set[tuple[Area, object]] = set()
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, Write):
            key = (step.area, step.content)
            if key in seen:
                continue
            seen.add(key)
        steps.append(step)
    return replace(plan, steps=tuple(steps))


def _overlaps(plan: Plan) -> Iterator[Finding]:
    """Yield writes that share sectors, and erases that would destroy a write before them."""
    changes = [step for step in plan.steps if isinstance(step, Write | Erase)]
    order = {id(step): index for index, step in enumerate(changes)}
    ranked = sorted(changes, key=lambda step: (step.area.lun, step.area.start_sector))
    open_steps: list[Write | Erase] = []
    for step in ranked:
        open_steps = [
            other
            for other in open_steps
            if other.area.lun == step.area.lun
            and other.area.start_sector + other.area.sectors > step.area.start_sector
        ]
        for other in open_steps:
            first, second = sorted((step, other), key=lambda change: order[id(change)])
            if isinstance(first, Erase):
                continue  # erased first, then written: as meant
            verb = "erases" if isinstance(second, Erase) else "overwrites"
            yield Finding(
                "overlap",
                Severity.ERROR,
                f"{_name(second)} {verb} a part of {_name(first)} (LUN {step.area.lun}, from sector"
                f" {max(step.area.start_sector, other.area.start_sector)} on).",
                second.where,
                "The package was edited or mixes two layouts: use an unchanged one.",
            )
        open_steps.append(step)


def _name(step: Write | Erase) -> str:
    return f"'{step.label or step.where}'"


def _is_table_sector(patch: Patch, disk_sectors: int) -> bool:
    span = _ENTRY_SECTORS.get(patch.sector_bytes, 34)
    return patch.sector < span or patch.sector >= disk_sectors - span


def _pokes(plan: Plan) -> Iterator[Finding]:
    """Yield patches outside of partition tables: they change partitions without naming them."""
    strays = [
        patch
        for patch in plan.patches
        if not _is_table_sector(patch, plan.geometry.luns[patch.lun])
        and not any(_covers(write, patch) for write in plan.writes)
    ]
    if strays:
        yield Finding(
            "raw-poke",
            Severity.WARNING,
            f"{plural(len(strays), 'patch row')} change sectors outside of the partition tables,"
            f" which the package does not write (first: LUN {strays[0].lun}, sector"
            f" {strays[0].sector}).",
            strays[0].where,
            "Ordinary packages patch only partition tables: make sure that you trust this one.",
        )


def _covers(write: Write, patch: Patch) -> bool:
    return overlaps(write.area, Area(patch.lun, patch.sector, 1, patch.sector_bytes))


def _tables(plan: Plan) -> Iterator[Finding]:
    """Yield partition tables that would not fit the disk after all patches."""
    if plan.geometry.assumed or plan.errors:
        return
    disk = Disk(plan, lambda area: bytes(area.size_bytes))
    try:
        disk.apply_patches()
        for write in plan.writes:
            if write.area.start_sector == 0 and write.area.sectors >= 2:
                yield from _table(plan, disk, write)
    except EdlError as error:
        yield Finding("table-unreadable", Severity.WARNING, str(error))


def _table(plan: Plan, disk: Disk, write: Write) -> Iterator[Finding]:
    unit = write.area.sector_bytes
    span = min(write.area.sectors, _ENTRY_SECTORS.get(unit, 34))
    data = disk.content(Area(write.area.lun, 0, span, unit))
    if data[unit : unit + 8] != b"EFI PART":
        return
    table = gpt.parse(data, unit)
    last = plan.geometry.luns[write.area.lun] - 1
    if not (table.header_crc_ok and table.entries_crc_ok) or table.header.alternate_sector != last:
        yield Finding(
            "table-not-final",
            Severity.WARNING,
            f"The partition table for LUN {write.area.lun} does not fit this disk after all patches"
            f" (backup at sector {table.header.alternate_sector}, the disk's last is {last}).",
            write.where,
            "Give the patch files (patch0.xml, ...) too: they make the table fit the disk.",
        )


def _nothing(plan: Plan) -> Iterator[Finding]:
    if not plan.steps and not plan.patches and not plan.errors:
        yield Finding(
            "nothing-to-do",
            Severity.ERROR,
            "The package has nothing to write: no row names a file.",
            remedy="Check that the right XML files were named, and --only, --skip and --lun.",
        )
