# SPDX-License-Identifier: BSD-3-Clause
"""What can be told about a plan before it touches a phone: overlaps, order, tables, odd pokes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edl.errors import DocumentError
from edl.firehose.commands import Area
from edl.formats import gpt, gptcheck
from edl.plan import nand
from edl.plan.model import (
    Erase,
    Finding,
    Patch,
    Plan,
    Severity,
    Step,
    Write,
    changed_once,
    overlaps,
    plural,
    touched,
)
from edl.plan.patching import Disk
from edl.units import MIB

_MAX_TABLE_BYTES = MIB  # 128 entries take 17 KiB
_ENTRY_SECTORS = {512: 34, 4096: 6}  # a GPT with 128 entries; the backup has one sector less


def checked(plan: Plan) -> Plan:
    """Return plan with what these checks find, and with steps that change no sector twice.

    Writes that stand there twice are done once, and nothing is erased that is written afterwards.

    Raises:
        ImageError: a file cannot be read any more.
    """
    plan = _without_twins(plan)
    twice = [*_overwritten(plan), *_erased(plan)]
    plan = replace(plan, steps=changed_once(plan.steps))
    findings = [*twice, *nand.doubts(plan), *_pokes(plan), *_tables(plan), *_nothing(plan)]
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


def _overwritten(plan: Plan) -> Iterator[Finding]:
    """Yield writes that share sectors with another one: once for each, in order of place."""
    order = {id(write): index for index, write in enumerate(plan.writes)}
    last: Write | None = None  # of those before, the one that ends last
    for write in sorted(plan.writes, key=lambda write: (write.area.lun, write.area.start_sector)):
        if last is not None and overlaps(touched(last), touched(write)):
            first, second = sorted((last, write), key=lambda one: order[id(one)])
            yield _overlap(plan, second, first, "overwrites")
        if last is None or _end(touched(write)) > _end(touched(last)):
            last = write


def _end(area: Area) -> tuple[int, int]:
    return area.lun, area.start_sector + area.sectors


def _erased(plan: Plan) -> Iterator[Finding]:
    """Yield erases that would destroy what a step before them writes."""
    written: list[Write] = []
    for step in plan.steps:
        if isinstance(step, Write):
            written.append(step)
        elif isinstance(step, Erase):
            hit = next((write for write in written if overlaps(write.area, step.area)), None)
            if hit is not None:
                yield _overlap(plan, step, hit, "erases")


def _overlap(plan: Plan, second: Write | Erase, first: Write, verb: str) -> Finding:
    remedy = "The package was edited or mixes two layouts: use an unchanged one."
    if plan.job == "write":
        remedy = "Name each place once, with the file that belongs there."
    start = max(first.area.start_sector, second.area.start_sector)
    return Finding(
        "overlap",
        Severity.ERROR,
        f"{_name(second)} {verb} a part of {_name(first)} (LUN {first.area.lun}, from sector"
        f" {start} on).",
        second.where,
        remedy,
    )


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
    if plan.errors:
        return
    disk = Disk(plan, lambda area: bytes(area.size_bytes))
    disk.apply_patches()
    for write in plan.writes:
        if write.area.start_sector == 0:
            yield from _table(plan, disk, write)


def _table(plan: Plan, disk: Disk, write: Write) -> Iterator[Finding]:
    lun, unit = write.area.lun, write.area.sector_bytes
    span = min(write.area.sectors, _MAX_TABLE_BYTES // unit)
    data = disk.content(Area(lun, 0, span, unit))
    made_for = gpt.find_sector_bytes(data)
    if made_for is None:
        return
    if made_for != unit:
        yield Finding(
            "table-sector-size",
            Severity.ERROR,
            f"'{write.file}' is a partition table for sectors of {made_for} bytes, the storage has"
            f" sectors of {unit}.",
            write.where,
            "Use the package for the storage type of this phone.",
        )
        return
    problem = _problem(plan, data, unit, lun) or _backup_problem(plan, disk, unit, lun)
    if problem:
        remedy = "Give the patch files (patch0.xml, ...) too: they make the table fit the disk."
        if plan.job == "write":
            remedy = "Let it be mended afterwards: edl gpt repair."
        elif any(patch.lun == lun for patch in plan.patches):
            remedy = "Use an unchanged package for this storage size."
        yield Finding(
            "table-not-final",
            Severity.WARNING,
            f"The partition table for LUN {lun} does not fit this disk after all patches:"
            f" {problem}",
            write.where,
            remedy,
        )


def _problem(plan: Plan, data: bytes, unit: int, lun: int, *, backup: bool = False) -> str:
    """Return what is wrong with the table in data, or nothing."""
    sectors = None if plan.geometry.assumed else plan.geometry.luns[lun]
    try:
        problems = gptcheck.problems(gpt.parse(data, unit, backup=backup), sectors)
    except DocumentError as error:
        return error.message
    return problems[0] if problems else ""


def _backup_problem(plan: Plan, disk: Disk, unit: int, lun: int) -> str:
    """Return what is wrong with the backup at the end of lun, if the plan writes one there."""
    total = plan.geometry.luns[lun]
    if not any(_end(write.area) == (lun, total) for write in plan.writes):
        return ""
    span = min(_ENTRY_SECTORS.get(unit, 34) - 1, total)
    data = disk.content(Area(lun, total - span, span, unit))
    problem = _problem(plan, data, unit, lun, backup=True)
    return problem and f"The backup: {problem}"


def _nothing(plan: Plan) -> Iterator[Finding]:
    if plan.steps or plan.patches or plan.errors:
        return
    if plan.job == "write":
        message = "There is nothing to write: the image is sparse and holds no data."
        yield Finding("nothing-to-do", Severity.ERROR, message)
    else:
        yield Finding(
            "nothing-to-do",
            Severity.ERROR,
            "The package has nothing to write: no row names a file.",
            remedy="Check that the right XML files were named, and --only, --skip and --lun.",
        )
