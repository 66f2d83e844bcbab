# SPDX-License-Identifier: BSD-3-Clause
"""Show the phones in EDL mode."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.errors import NoDeviceError
from edl.transport import usbids
from edl.transport.discovery import Found


@click.command("list")
@phone_options
@click.pass_obj
def command(settings: Settings) -> None:
    """Show the phones in EDL or crash-dump mode, also those that cannot be opened."""
    app = App(settings)
    with app.running(), app.plugged():
        phones = app.find()
        rows = [_row(found) for found in phones]
        backend = app.virtual.backend if app.virtual is not None else None
        edl = {found.location for found in phones if found.mode == "edl"}
        others = [] if edl else usbids.others(backend)
    if not rows:
        raise _none(others)
    app.result({"phones": rows}, map(_line, rows))
    for other in others:
        app.say(f"{other}. {other.advice.todo[0]}")


def _none(others: list[usbids.Other]) -> NoDeviceError:
    """Return the error that says that there is no phone, and what is there instead."""
    told = " ".join(["No phone in EDL mode is connected.", *(f"{other}." for other in others)])
    if others:
        return NoDeviceError(told, remedies=others[0].advice.todo)
    return NoDeviceError(
        told,
        remedies=(
            "Put the phone in EDL mode (often: hold both volume keys while plugging it in).",
            "If a black screen is all there is, hold its power button for 15 seconds first.",
            "Run 'edl doctor': it looks at the computer, its drivers and the cable.",
        ),
    )


def _line(row: dict[str, str | None]) -> str:
    mode = "EDL (9008)" if row["mode"] == "edl" else row["mode"]
    problem = f"  ({row['problem']})" if row["problem"] else ""
    serial = row["serial"] or "?"
    return (
        f"{row['location']:<8} {row['id']}  {mode:<10}  serial {serial:<8}  {row['product'] or ''}"
    ).rstrip() + problem


def _row(found: Found) -> dict[str, str | None]:
    return {
        "location": found.location,
        "id": f"{found.vendor_id:04x}:{found.product_id:04x}",
        "mode": found.mode,
        "serial": found.serial,
        "chip": found.chip,
        "product": found.product,
        "problem": found.problem,
    }
