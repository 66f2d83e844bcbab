# SPDX-License-Identifier: BSD-3-Clause
"""List the backups that exist, of which phones, and where."""

from __future__ import annotations

from typing import Any

import click

from edl.backup.find import Known, find
from edl.cli.app import App
from edl.cli.options import Settings, once, output_options
from edl.units import format_size


@click.command("backups")
@once("-S", "--serial", "phone", metavar="SERIAL", help="Only of the phone with this number.")
@output_options
@click.pass_obj
def command(settings: Settings, phone: str | None) -> None:
    """List what has been saved from phones, and where it lies.

    Backups wherever they were put, and what was saved before writes.

    \b
    Examples:
      edl backups
      edl backups --serial 1a2b3c4d
    """
    found = find(None if phone is None else phone.lower().removeprefix("0x").rjust(8, "0"))
    App(settings).result({"backups": [backup_data(known) for known in found]}, _text(found, phone))


def backup_data(known: Known) -> dict[str, Any]:
    """Return a backup as JSON-able data."""
    return {
        "folder": str(known.path),
        "serial": known.serial,
        "chip": known.chip,
        "made": known.made,
        "form": known.form,
        "disk_bytes": known.size_bytes,
        "state": known.state,
    }


def _text(found: tuple[Known, ...], serial_asked: str | None) -> list[str]:
    if not found:
        of_it = f" of the phone {serial_asked}" if serial_asked else ""
        return [f"Nothing{of_it} has been saved yet. To save a whole phone: edl backup DIR"]
    lines = []
    serial = ""
    for known in sorted(found, key=lambda known: known.serial):
        if known.serial != serial:
            serial = known.serial
            chip = next((each.chip for each in found if each.serial == serial and each.chip), None)
            lines.append(f"phone {serial}" + (f", {chip}" if chip else ""))
        made = known.made.replace("T", " ").replace("Z", " UTC")
        lines.append(
            f"  {made:<23} {known.form:<12} {format_size(known.size_bytes):>9} {known.state:<10}"
            f" {known.path}"
        )
    return lines
