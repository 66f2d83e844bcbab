# SPDX-License-Identifier: BSD-3-Clause
"""Show the partition tables."""

from __future__ import annotations

from typing import Any

import click

from edl.cli.app import App
from edl.cli.options import Settings, lun_option, once, phone_options
from edl.device.storage import Storage, Tables
from edl.errors import DeviceRefusedError, UsageError, VerifyError
from edl.formats.gpt import Gpt, Partition, safe_name
from edl.formats.gptcheck import problems
from edl.formats.slots import active_slot
from edl.units import format_size


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
            rows.append(_data(tables, total, phone.sector_bytes))
            texts += ([""] if texts else []) + _text(tables, total, phone.sector_bytes, form)
    if not any(row["partitions"] for row in rows):
        app.result({"luns": rows}, texts)
        raise VerifyError(
            "No partition table was found on this phone.",
            remedies=("Write the package that it came with: edl rawprogram FOLDER.",),
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
        "active_slot": active_slot(best) if best else None,
        "partitions": [_row(p) for p in best.partitions] if best else [],
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


def _row(partition: Partition) -> dict[str, Any]:
    return {
        "number": partition.number,
        "name": partition.name,
        "first_sector": partition.first_sector,
        "last_sector": partition.last_sector,
        "sectors": partition.sectors,
        "type_guid": str(partition.type_guid),
        "unique_guid": str(partition.unique_guid),
        "attributes": f"{partition.attributes:#018x}",
    }


def _text(tables: Tables, total: int | None, unit: int, form: str) -> list[str]:
    best = tables.best
    size = format_size(total * unit) if total else "unknown size"
    lines = [f"LUN {tables.lun}: {size}, {unit}-byte sectors"]
    for name, table in (("primary", tables.primary), ("backup", tables.backup)):
        told = ["not found"] if table is None else problems(table, total)
        lines.append(f"  {name} table: {'; '.join(told) or 'sound'}")
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
        f" {format_size(max(p.sectors, 0) * unit):>11}  {_shown(p.name)}"
        for p in best.partitions
    ]
    return lines


def _sgdisk(partition: Partition, unit: int) -> str:
    size = format_size(max(partition.sectors, 0) * unit)
    return (
        f"{partition.number:>4}{partition.first_sector:>16}{partition.last_sector:>16}"
        f"   {size:<10}  FFFF  {_shown(partition.name)}"
    )


def _shown(name: str) -> str:
    """Return name as it may reach a terminal."""
    return name if name.isprintable() else safe_name(name)
