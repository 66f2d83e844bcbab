# SPDX-License-Identifier: BSD-3-Clause
"""Show the partition tables."""

from __future__ import annotations

from typing import Any

import click

from edl.cli import flashview
from edl.cli.app import App
from edl.cli.options import Settings, lun_option, once, phone_options
from edl.device.storage import Storage, Tables
from edl.errors import DeviceRefusedError, DocumentError, UsageError, VerifyError
from edl.formats.gpt import Gpt, Partition, safe_name
from edl.formats.gptcheck import problems
from edl.formats.gptedit import (
    Change,
    entry_differences,
    good_copies,
    header_differences,
    repair,
)
from edl.formats.slots import active_slot
from edl.partitions import Severity, classify
from edl.units import format_size

_MOST_DIFFERENCES = 10
_MOST_PROBLEMS = 3
REMEDY = "to mend that: edl gpt repair"


@click.command("printgpt")
@click.argument("folder", required=False, metavar="")
@lun_option(several=True)
@once(
    "--format", "form", type=click.Choice(["table", "json", "sgdisk"]), default="table",
    help="How to print [default: table].",
)  # fmt: skip
@phone_options
@click.pass_obj
def command(settings: Settings, folder: str | None, lun: tuple[int, ...], form: str) -> None:
    """Show the partition tables of all LUNs, and whether both copies are sound.

    \b
    Examples:
      edl printgpt
      edl printgpt --lun 4 --format sgdisk
    """
    if folder is not None:  # bkerler/edl: gpt DIRECTORY
        raise UsageError(
            "Saving the partition tables as files is not built in yet.",
            remedies=("Read them as sectors: edl read 0/0+34 gpt_main0.bin",),
        )
    settings.json = settings.json or form == "json"
    app = App(settings)
    rows: list[dict[str, Any]] = []
    texts: list[str] = []
    with app.phone() as phone:
        storage = Storage(phone)
        for number in lun or list(storage.luns()):
            try:
                tables = storage.table(number)
            except DeviceRefusedError as error:
                if lun:
                    raise
                app.say(f"  note     LUN {number}: {error.message}")
                continue
            total = storage.sectors(number)
            pages = phone.lun(number).pages_per_block
            rows.append(_data(tables, total, phone.sector_bytes) | _flash_data(tables, pages))
            texts += [""] if texts else []
            if pages is not None:
                texts += flashview.lines(tables, total or 0, phone.sector_bytes, pages)
            else:
                texts += _text(tables, total, phone.sector_bytes, form)
    if not any(row["partitions"] for row in rows):
        app.result({"luns": rows}, texts)
        raise VerifyError(
            "No partition table was found on this phone.",
            remedies=(
                "Write the package that it came with: edl rawprogram FOLDER.",
                "Or only its tables: edl gpt repair --from FOLDER.",
            ),
        )
    app.result({"luns": rows}, texts)


def _data(tables: Tables, total: int | None, unit: int) -> dict[str, Any]:
    best = tables.best
    return {
        "lun": tables.lun,
        "sectors": total,
        "sector_bytes": unit,
        "disk_guid": str(best.disk_guid) if best else None,
        "primary": _copy(tables.primary, total),
        "backup": _copy(tables.backup, total),
        "differences": _differences(tables),
        "header_differences": list(_header_differences(tables)),
        "active_slot": active_slot(best) if best else None,
        "partitions": [partition_data(p) for p in tables.partitions],
    }


def _flash_data(tables: Tables, pages_per_block: int | None) -> dict[str, Any]:
    """Return what only NAND has: its table is no GPT."""
    table = tables.flash
    if pages_per_block is None:
        return {}
    return {
        "pages_per_block": pages_per_block,
        "mibib": table
        and {"version": table.version, "age": table.age, "checksum_ok": table.checksum_ok},
    }


def _copy(table: Gpt | None, total: int | None) -> dict[str, Any]:
    if table is None:
        return {"found": False, "problems": ["not found"]}
    return {
        "found": True,
        "header_crc_ok": table.header_crc_ok,
        "entries_crc_ok": table.entries_crc_ok,
        "problems": list(problems(table, total)),
    }


def _changes(tables: Tables) -> tuple[Change, ...]:
    if tables.primary is None or tables.backup is None:
        return ()
    return entry_differences(tables.primary, tables.backup)


def _header_differences(tables: Tables) -> tuple[str, ...]:
    if tables.primary is None or tables.backup is None:
        return ()
    return header_differences(tables.primary, tables.backup)


def _differences(tables: Tables) -> list[dict[str, Any]]:
    return [change_data(change) for change in _changes(tables)]


def partition_data(partition: Partition) -> dict[str, Any]:
    """Return a partition as JSON-able data."""
    return {
        "number": partition.number,
        "name": partition.name,
        "first_sector": partition.first_sector,
        "last_sector": partition.last_sector,
        "sectors": partition.sectors,
        "type_guid": str(partition.type_guid),
        "unique_guid": str(partition.unique_guid),
        "attributes": f"{partition.attributes:#018x}",
        "unique": classify(partition.name).severity is Severity.MUST_NEVER_CLONE,
    }


def change_data(change: Change) -> dict[str, Any]:
    """Return how a partition differs as JSON-able data."""
    return {
        "name": change.name,
        "kinds": list(change.kinds),
        "before": partition_data(change.before) if change.before else None,
        "after": partition_data(change.after) if change.after else None,
        "loses": change.loses,
    }


def change_line(change: Change) -> str:
    """Return how a partition differs in a line: `boot_a: moved, 64+100 -> 128+100`."""
    old, new = change.before, change.after
    told = [kind for kind in change.kinds if kind in {"added", "missing"}]
    if old is not None and new is not None:
        pairs = {
            "renamed": (f"name {shown(old.name)}", shown(new.name)),
            "moved": (f"sector {old.first_sector}", f"{new.first_sector}"),
            "resized": (f"{old.sectors} sectors", f"{new.sectors}"),
            "attributes": (f"attributes {old.attributes:#018x}", f"{new.attributes:#018x}"),
            "renumbered": (f"number {old.number}", f"{new.number}"),
        }
        told = [f"{was} -> {now}" for kind, (was, now) in pairs.items() if kind in change.kinds]
        told += [f"another {kind}" for kind in ("type", "guid") if kind in change.kinds]
    elif named := old or new:
        told.append(f"sector {named.first_sector}, {named.sectors} sectors")
    return f"  {shown(change.name)}: {', '.join(told)}"


def copy_lines(tables: Tables, total: int | None) -> list[str]:
    """Return what is wrong with either copy, how they differ, and what to do about it."""
    lines = []
    wrong = False
    for name, table in (("primary", tables.primary), ("backup", tables.backup)):
        told = ["not found"] if table is None else list(problems(table, total))
        if told and name == "backup" and table is None and total is None:
            told = ["not looked for: the programmer does not tell how large the LUN is"]
        else:
            wrong = wrong or bool(told)
        if len(told) > _MOST_PROBLEMS:
            told = [*told[:_MOST_PROBLEMS], f"And {len(told) - _MOST_PROBLEMS} more (--json)."]
        lines.append(f"  {name} table: {' '.join(told) or 'sound'}")
    differences = [*map(change_line, _changes(tables))]
    differences += [f"  {name.replace('_', ' ')}" for name in _header_differences(tables)]
    if differences:
        lines.append("  the copies differ (primary -> backup):")
        lines += [f"  {line}" for line in differences[:_MOST_DIFFERENCES]]
        if len(differences) > _MOST_DIFFERENCES:
            lines.append(f"    and {len(differences) - _MOST_DIFFERENCES} more (--json has all)")
    if (wrong or differences) and tables.best is not None:
        lines.append(f"  {REMEDY} --lun {tables.lun}{_source(tables, total)}")
    return lines


def _source(tables: Tables, total: int | None) -> str:
    """Return what `edl gpt repair` has to be told to go by: nothing, if it can find that out."""
    good = good_copies(tables.primary, tables.backup)
    if len(good) > 1:
        return " --from primary (or backup)"
    return "" if good and not lasting(good[0], total) else " --from ROM_FOLDER"


def lasting(table: Gpt, total: int | None) -> tuple[str, ...]:
    """Return what is wrong with table and stays so when both copies are made anew from it."""
    if total is None:
        return ()
    try:
        return problems(repair(table, total, b""), total)
    except DocumentError as error:
        return (error.message,)


def _text(tables: Tables, total: int | None, unit: int, form: str) -> list[str]:
    best = tables.best
    size = format_size(total * unit) if total else "unknown size"
    lines = [f"LUN {tables.lun}: {size}, {unit}-byte sectors", *copy_lines(tables, total)]
    if best is None:
        return lines
    if slot := active_slot(best):
        lines.append(f"  active slot: {slot}")
    if form == "sgdisk":
        lines.append("Number  Start (sector)    End (sector)  Size       Code  Name")
        lines += [_sgdisk(p, unit) for p in best.partitions]
        return lines
    lines.append("   #  first sector  last sector        size  name")
    lines += [
        f"{p.number:>4} {p.first_sector:>13} {p.last_sector:>12}"
        f" {format_size(p.sectors * unit):>11}  {shown(p.name)}"
        for p in best.partitions
    ]
    return lines


def _sgdisk(partition: Partition, unit: int) -> str:
    size = format_size(partition.sectors * unit)
    return (
        f"{partition.number:>4}{partition.first_sector:>16}{partition.last_sector:>16}"
        f"   {size:<10}  FFFF  {shown(partition.name)}"
    )


def shown(name: str) -> str:
    """Return name as it may reach a terminal."""
    return name if name.isprintable() else safe_name(name)
