# SPDX-License-Identifier: BSD-3-Clause
"""Go on with the interrupted job of the connected phone."""

from __future__ import annotations

import click

from edl.cli.again import Again
from edl.cli.app import App
from edl.cli.finding import Finder
from edl.cli.options import Settings, phone_options
from edl.cli.reaching import place_of
from edl.errors import UsageError
from edl.events import Stage
from edl.plan import owed


@click.command("resume")
@phone_options
@click.pass_context
def command(context: click.Context) -> None:
    """Go on with the phone's interrupted job: the same command, on the same files.

    The journal of the job knows what has been written; it is verified with the rest at the end. A
    programmer that still waits for the data of an interrupted write is brought out of that, if the
    phone has stayed where it was.

    \b
    Examples:
      edl resume
      edl resume --serial 1a2b3c4d
    """
    settings = context.ensure_object(Settings)
    app = App(settings)
    with app.running(), app.plugged():
        found = Finder(app).wait()
        again = _choose(found.serial or settings.serial, place_of(found))
        app.emit(Stage("resume", again.text))
    again.run(context)


def _choose(serial: str | None, place: str) -> Again:
    """Return the interrupted job of the phone at place. serial: if it is known.

    Raises:
        UsageError: there is none, or several phones have one.
    """
    journals = owed.journals()
    known = {name: Again.of(name, kept) for name, kept in journals.items()}
    jobs = {name: again for name, again in known.items() if again is not None}
    if serial is None and (claim := owed.claim(place, None)) is not None:
        serial = claim.serial
    if serial is not None:
        jobs = {name: again for name, again in jobs.items() if name == serial.lower()}
    if len(jobs) > 1:
        raise UsageError(
            f"Jobs of {len(jobs)} phones were interrupted ({', '.join(jobs)}), and the phone does"
            " not tell which it is.",
            remedies=("Name it: edl resume --serial SERIAL",),
        )
    if not jobs:
        whose = f"the phone {serial}" if serial is not None else "this phone"
        raise UsageError(
            f"No interrupted job of {whose} is known here.",
            remedies=("Run the command of the job again.",),
        )
    return next(iter(jobs.values()))
