# SPDX-License-Identifier: BSD-3-Clause
"""Look at the computer and the cable."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edl import loaders
from edl.cli import loading
from edl.cli.app import App
from edl.cli.commands import storage_doctor
from edl.cli.options import Settings, once, phone_options
from edl.doctor import examine
from edl.doctor.model import Check
from edl.errors import UsageError
from edl.plan import home
from edl.transport.computer import Computer


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
    places = examine.Places(
        Path(sys.argv[0]),
        home.home(),
        list(loading.search_folders()),
        loading.test_folders(),
        loaders.find_programmers,
    )
    with app.running(), app.plugged():
        backend = app.virtual.backend if app.virtual is not None else None
        checks = examine.examine(
            Computer(), places, backend, examine.Meant(app.ids, app.settings.port)
        )
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
    app.result({"checks": rows, "healthy": healthy}, map(line, checks))
    context.exit(0 if healthy else 1)


def line(check: Check) -> str:
    """Return check in a line: fact, verdict, command."""
    text = f"{check.fact}: {check.verdict}"
    return f"{text}; {check.command}" if check.command else text
