# SPDX-License-Identifier: BSD-3-Clause
"""Go on with an interrupted job of the connected phone; show and forget interrupted jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from edl.cli.again import Again, told
from edl.cli.app import App
from edl.cli.finding import Finder
from edl.cli.options import Settings, phone_options
from edl.cli.reaching import place_of
from edl.cli.reporting import report_option
from edl.errors import UsageError
from edl.events import Notice, Stage
from edl.plan import history, owed
from edl.plan.history import Record


@click.command("resume")
@click.argument("name", required=False)
@click.option("--list", "listing", is_flag=True, help="Show the interrupted jobs of all phones.")
@click.option("--forget", is_flag=True, help="Close the job NAME: it shall never be finished.")
@report_option
@phone_options
@click.pass_context
def command(context: click.Context, /, name: str | None, *, listing: bool, forget: bool) -> None:
    """Go on with the phone's interrupted job: the same command, on the same files.

    NAME: which one, where the phone has several; otherwise it is the last one.

    The journal of the job knows what has been written; it is verified with the rest at the end. A
    programmer that still waits for the data of an interrupted write is brought out of that, if the
    phone has stayed where it was.

    \b
    Examples:
      edl resume
      edl resume --list
      edl resume rawprogram-1
      edl resume --forget rawprogram-1
    """
    settings = context.ensure_object(Settings)
    app = App(settings)
    if listing and (name or forget):
        raise UsageError("--list goes with no NAME, and not with --forget.")
    if forget and not name:
        raise UsageError("Which job? Name it: edl resume --forget NAME")
    if listing or forget:
        with app.running():
            _list(app) if listing else _forget(app, str(name))
        return
    with app.running(), app.plugged():
        found = Finder(app).wait()
        jobs = _of_phone(found.serial or settings.serial, place_of(found))
        again = _choose(jobs, name)
        app.emit(Stage("resume", again.text))
        others = [record for record in jobs if record.name != again.record.name]
        for record in others:
            app.emit(Notice(f"also interrupted: {told(record)}"))
    again.run(context)
    _settle(again.record)


def _of_phone(serial: str | None, place: str) -> list[Record]:
    """Return the interrupted jobs of the phone at place, oldest first; serial: if it is known.

    Raises:
        UsageError: there are none, or several phones have some.
    """
    serial = serial or owed.who(place)
    serials = history.serials() if serial is None else [serial.lower()]
    jobs = {each: _jobs(each) for each in serials}
    jobs = {each: found for each, found in jobs.items() if found}
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
    (found,) = jobs.values()
    claim = owed.claim(place, found[0].serial)  # what its programmer waits for goes first
    if claim is not None:
        found.sort(key=lambda record: record.path == claim.record.path)
    return found


def _jobs(serial: str) -> list[Record]:
    """Return the jobs of that phone that can be gone on with, and those that are damaged."""
    interrupted = {record.path for record in history.interrupted(serial)}
    return [
        record
        for record in history.records(serial)
        if record.path in interrupted or (record.kept.job and not record.kept.changed)
    ]


def _choose(jobs: Sequence[Record], name: str | None) -> Again:
    """Return the job of that name, or the last one.

    Raises:
        UsageError: there is none, or its journal does not tell how to repeat it.
        DamagedJournalError: which job it is cannot be told.
    """
    meant = [record for record in jobs if name in {None, record.name}]
    if not meant:
        raise UsageError(
            f"No job of that phone called '{name}' was interrupted.",
            remedies=(f"There are: {', '.join(record.name for record in jobs)}.",),
        )
    record = meant[-1]
    record.require_readable()
    again = Again.of(record)
    if again is None:
        raise UsageError(
            f"How to repeat the job {record.name} ({record.title}) was not noted.",
            remedies=(
                "Run its command again.",
                f"If it shall never be finished: edl resume --forget {record.name}",
            ),
        )
    return again


def _settle(record: Record) -> None:
    """Close the journal of a job that was repeated, where nothing was left to do."""
    for each in history.records(record.serial):
        if each.path == record.path:
            history.end(each, "repeated")


def _list(app: App) -> None:
    meant = app.settings.serial
    jobs = [
        record
        for serial in history.serials()
        if meant is None or serial == meant.lower()
        for record in history.interrupted(serial)
    ]
    lines = [told(record) for record in jobs] or ["No job was interrupted."]
    app.result({"jobs": [job_data(record) for record in jobs]}, lines)


def job_data(record: Record) -> dict[str, Any]:
    """Return an interrupted job as JSON-able data."""
    again = Again.of(record)
    return {
        "name": record.name,
        "serial": record.serial,
        "command": " ".join(again.words) if again is not None else None,
        "title": record.title,
        "begun": again.begun.isoformat() if again is not None else None,
        "done_bytes": record.done_bytes,
        "change_bytes": record.write_bytes,
        "damaged": record.kept.damaged,
    }


def _forget(app: App, name: str) -> None:
    meant = app.settings.serial
    found = [
        record
        for serial in history.serials()
        if meant is None or serial == meant.lower()
        for record in history.interrupted(serial)
        if record.name == name
    ]
    if not found:
        raise UsageError(f"No job called '{name}' was interrupted.")
    if len(found) > 1:
        raise UsageError(
            f"Several phones have an interrupted job '{name}'.",
            remedies=(f"Say which: --serial {found[0].serial}",),
        )
    (record,) = found
    text = told(record)
    history.end(record, "given up")
    app.result({"forgotten": job_data(record)}, [f"Closed: {text}. The phone stays as it is."])
