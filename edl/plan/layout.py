# SPDX-License-Identifier: BSD-3-Clause
"""Whether a package fits the partitions that the phone has: one for another model does not.

Packages without partition tables rely on those of the phone; one row at the wrong place overwrites
another partition (handbook 14, point 8).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator

from edl.chunks import read_all
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, DocumentError
from edl.firehose.commands import Area
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition
from edl.plan.model import Erase, Finding, Plan, Severity, Write
from edl.units import MIB

_MAX_TABLE_BYTES = MIB
_LEAST_SECTORS = 4  # of a table, 4096-byte sectors; patches alone change fewer in a row
_MOST_NAMES = 4
_FEWEST = 8  # partitions of a table from which models can be told apart


def against_phone(
    plan: Plan, storage: Storage, elsewhere: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield what does not fit between a package and the phone's partition tables.

    plan: with the patches worked in. Tables on the phone that are damaged say nothing. elsewhere:
    names (patterns, lower case) that the user insists on.
    """
    changes = [step for step in plan.steps if isinstance(step, Write | Erase)]
    for lun in sorted({step.area.lun for step in changes}):
        table = _table(storage, lun)
        if table is None:
            continue
        there = [step for step in changes if step.area.lun == lun]
        heads = [step for step in there if _is_table(step.area)]
        if not heads:
            yield from _strays(there, table, elsewhere)
        elif isinstance(heads[0], Write):
            yield from _another(heads[0], table)


def _is_table(area: Area) -> bool:
    return area.start_sector <= 1 and area.sectors >= _LEAST_SECTORS


def _table(storage: Storage, lun: int) -> Gpt | None:
    try:
        table = storage.table(lun).best
    except DeviceRefusedError:
        return None
    whole = table is not None and table.header_crc_ok and table.entries_crc_ok
    return table if whole else None


def _strays(
    steps: list[Write | Erase], table: Gpt, elsewhere: Collection[str]
) -> Iterator[Finding]:
    """Yield steps that miss the phone's partition of the same name; once for each name."""
    named: dict[str, list[Partition]] = {}
    for partition in table.partitions:
        named.setdefault(partition.name.lower(), []).append(partition)
    told = set()
    for step in steps:
        name = step.label.lower()
        meant = named.get(name, [])
        if not meant or name in told or any(_inside(step, partition) for partition in meant):
            continue
        told.add(name)
        lun, first = step.area.lun, meant[0].first_sector
        insisted = any(fnmatch.fnmatchcase(name, pattern) for pattern in elsewhere)
        there = _names_at(step, table)
        yield Finding(
            "other-layout",
            Severity.WARNING if insisted else Severity.ERROR,
            f"'{step.label}' {'goes' if insisted else 'would go'} to sector"
            f" {step.area.start_sector} of LUN {lun}{there}, but the phone has this partition at"
            f" sector {first}.",
            step.where,
            ""
            if insisted
            else "Use the package for exactly this model, whole, with its partition tables"
            " (gpt_main0.bin, ...); who knows that its rows are right insists with --elsewhere"
            f" {step.label}.",
        )


def _names_at(step: Write | Erase, table: Gpt) -> str:
    """Return which partitions of the phone step would hit, in words."""
    first, end = step.area.start_sector, step.area.start_sector + step.area.sectors
    hit = [each.name for each in table.partitions
           if each.first_sector < end and first <= each.last_sector]  # fmt: skip
    return f" ({', '.join(hit[:_MOST_NAMES])})" if hit else ""


def _inside(step: Write | Erase, partition: Partition) -> bool:
    first = step.area.start_sector
    last = first + step.area.sectors - 1
    return partition.first_sector <= first and last <= partition.last_sector


def _another(head: Write, table: Gpt) -> Iterator[Finding]:
    """Yield a warning if the package's table has hardly anything in common with the phone's."""
    area = head.area
    if area.start_sector or area.size_bytes > _MAX_TABLE_BYTES:
        return
    try:
        new = gpt.parse(read_all(head.content, 0, area.size_bytes), area.sector_bytes)
    except DocumentError:
        return
    have = {partition.name.lower() for partition in table.partitions}
    brought = {partition.name.lower() for partition in new.partitions}
    common = len(have & brought)
    if min(len(have), len(brought)) >= _FEWEST and 2 * common < len(have):
        yield Finding(
            "other-layout",
            Severity.WARNING,
            f"The package brings another partition table for LUN {area.lun}: {common} of the"
            f" phone's {len(have)} partitions are in it.",
            head.where,
            "Make sure that the package is for exactly this model: edl gpt diff PACKAGE.",
        )
