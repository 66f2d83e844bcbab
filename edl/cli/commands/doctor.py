# SPDX-License-Identifier: BSD-3-Clause
"""Look at the computer and the cable."""

from __future__ import annotations

from pathlib import Path

import click

from edl.cli import doctoring
from edl.cli.app import App
from edl.cli.commands import storage_doctor
from edl.cli.options import Settings, once, phone_options
from edl.doctor import examine
from edl.errors import UsageError


@click.command("doctor")
@storage_doctor.storage_option
@click.option("--full", is_flag=True, help="With --storage: read all of it, not only spots.")
@click.option("--allow-write", is_flag=True, help="With --storage: try a write on unused sectors.")
@once("--picture", metavar="FILE", help="With --storage: draw it (.svg or .html).")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@phone_options
@click.pass_context
def command(
    context: click.Context,
    *,
    flash: bool,
    full: bool,
    allow_write: bool,
    picture: str | None,
    yes: bool,
) -> None:
    """Look at the computer and the cable: one line each, with the command that mends it.

    Changes nothing, runs nothing. With --storage it looks at the flash of the phone instead: spots
    all over it are read twice, with the time they take. Ends with 1 if something is bad.

    \b
    Examples:
      edl doctor
      edl doctor --storage --picture flash.html
      edl doctor --storage --allow-write   tells whether it keeps what is written
      edl doctor --vid 19d2 --pid 0076     a phone or modem with ids of its own
      edl --virtual qcm2290 doctor
    """
    app = App(context.ensure_object(Settings))
    if flash:
        file = Path(picture) if picture is not None else None
        verdict = storage_doctor.run(app, whole=full, allow_write=allow_write, file=file, yes=yes)
        context.exit(storage_doctor.status_of(verdict))
    if full or allow_write or picture is not None:
        raise UsageError("--full, --allow-write and --picture go with --storage.")
    with app.running(), app.plugged():
        checks = doctoring.look(app)
    healthy = examine.healthy(checks)
    rows = [
        {
            "name": check.name,
            "fact": check.fact,
            "verdict": str(check.verdict),
            "command": check.command,
        }
        for check in checks
    ]
    app.result({"checks": rows, "healthy": healthy}, map(doctoring.line, checks))
    context.exit(0 if healthy else 1)
