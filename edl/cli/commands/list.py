# SPDX-License-Identifier: BSD-3-Clause
"""Show the phones in EDL mode."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.errors import NoDeviceError
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
    text = "\n".join(
        f"{row['location']:<8} {row['id']}  {row['mode']:<10}  serial {row['serial'] or '?':<8}"
        f"  {row['product'] or ''}" + (f"  ({row['problem']})" if row["problem"] else "")
        for row in rows
    )
    if not rows:
        app.json_line("result", {"phones": []})
        raise NoDeviceError("No phone in EDL mode is connected.")
    app.result({"phones": rows}, text)


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
