# SPDX-License-Identifier: BSD-3-Clause
"""Write a package to every phone that appears."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edl.cli import logs, stops, terminal
from edl.cli.app import App
from edl.cli.commands import rawprogram
from edl.cli.dialog import Stop
from edl.cli.options import Settings, change_options, once, phone_options
from edl.cli.ready import boot_options
from edl.cli.station import rows, shared, table
from edl.cli.station.crew import Crew, Wanted
from edl.cli.station.kept import KeptFiles
from edl.cli.station.rows import Row, State
from edl.cli.station.worker import Order
from edl.errors import NoDeviceError, StationError, UsageError
from edl.events import Stage
from edl.outfile import new_file
from edl.plan.model import plural
from edl.plan.together import Readings
from edl.units import format_size
from edl.virtual.bench import Bench
from edl.virtual.faults import parse_fault

_SUMMARIES = {".csv": rows.as_csv, ".json": rows.as_json}


@click.command("station")
@rawprogram.package_arguments
@change_options
@rawprogram.reset_options
@boot_options
@rawprogram.write_options
@click.option("--count", type=click.IntRange(1, 10_000), help="End after so many phones.")
@click.option("--again", is_flag=True, help="Also write phones that were written already.")
@once("--summary", metavar="FILE", help="Write what became of each phone, as .csv or .json.")
@once("--reports", metavar="DIR", help="Write a page a phone into this folder.")
@once("--metrics", metavar="FILE", help="Keep figures for monitoring (OpenMetrics) in this file.")
@once("--health", metavar="FILE", help="Keep one line about how it goes in this file.")
@phone_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Write a package to every phone that appears in EDL mode, all at the same time.

    Each phone is treated as 'edl rawprogram' does it: checked, saved, written, verified, looked at,
    restarted. What fails on one changes nothing for the others. Plug phones in and out as you like;
    Ctrl-C lets those at work end their piece.

    \b
    Examples:
      edl station ROM.zip
      edl station ROM_FOLDER --count 8 --summary today.csv --reports pages
    """
    wanted = Wanted(settings.serials, count=arguments["count"], again=arguments["again"])
    run(settings, wanted, arguments)


def run(settings: Settings, wanted: Wanted, arguments: Mapping[str, Any]) -> None:
    """Write the package of arguments to the wanted phones.

    Raises:
        StationError: some phones have not been written; the summary tells which.
        EdlError: the package cannot be written to any.
    """
    arguments = dict(arguments)
    if settings.report is not None:
        raise UsageError("--report is for one phone.", remedies=("For many: --reports DIR",))
    if settings.port is not None:
        raise UsageError("--port is for one phone; several are told apart over USB.")
    if settings.usb_path is not None:
        raise UsageError(
            "--usb-path is for one phone.",
            remedies=("For some phones of many: --serial A,B", "For this one: edl rawprogram"),
        )
    summary = _summary_file(arguments.get("summary"))
    reports = _folder(arguments.get("reports"))
    app = App(settings)
    request = rawprogram.opened(app, arguments)
    rules = replace(request.rules, resume=True, about=_how(request))
    request = replace(request, rules=rules, readings=Readings())
    with app.running():
        _look_through(app, request, yes=arguments["yes"])
    if arguments["dry_run"]:
        rawprogram.show_plan(app, rawprogram.offline_plan(request))
        return
    with app.running():
        if size := shared.share(request.package, app.emit):
            app.emit(Stage("unpacked", f"{format_size(size)} once for all phones"))
    checks = {"no_boot_check": arguments.get("no_boot_check"), "watch": 0.0}
    order = Order(request, settings, arguments["yes"], checks, reports)
    seen: list[Row] = []
    with KeptFiles(seen, arguments.get("metrics"), arguments.get("health")) as kept:
        found = _flash(settings, order, wanted, app.ids, seen, kept)
    _conclude(app, found, summary)


def _look_through(app: App, request: rawprogram.Request, *, yes: bool) -> None:
    """Stop before the first phone where the package itself is the trouble; ask what it asks."""
    app.findings(rawprogram.offline_plan(request))
    rawprogram.ask(app, request.package, yes=yes)


def _flash(
    settings: Settings,
    order: Order,
    wanted: Wanted,
    ids: tuple[int | None, int | None],
    seen: list[Row],
    kept: KeptFiles,
) -> list[Row]:
    """Let the crew work until it is done, or somebody stops it; return all rows.

    seen: becomes all rows. kept: what is to be kept up to date meanwhile.
    """
    with contextlib.ExitStack() as opened:
        opened.enter_context(logs.kept(settings))
        bench = None
        if settings.virtual is not None:
            faults = [*map(parse_fault, settings.faults)]
            bench = opened.enter_context(Bench(settings.virtual, faults))
        elif settings.faults:
            raise UsageError("--fault is for virtual phones.", remedies=("Add --virtual NAME*4.",))
        board = opened.enter_context(table.board(settings, seen))

        def tell(row: Row) -> None:
            board(row)
            kept.update(now=row.ended)

        crew = Crew(
            order,
            wanted,
            tell,
            backend=bench.backend if bench is not None else None,
            phones=bench.phones if bench is not None else None,
            ids=ids,
            rows=seen,
            looked=kept.update,
        )

        def stop(order: Stop | None) -> None:
            again = crew.stopping.is_set() and order is None
            crew.stop(at_once=again or order is Stop.AT_ONCE)

        with stops.heeded(stop, settings.talk):
            crew.run()
        crew.close()
    return crew.rows


def _conclude(app: App, found: list[Row], summary: Path | None) -> None:
    """Tell what became of the phones, truly.

    Raises:
        StationError: not all of them have been written.
    """
    data = rows.summary(found)
    if summary is not None:
        text = _SUMMARIES[summary.suffix.lower()](found).encode()
        with new_file(summary, size_bytes=len(text), private=True) as file:
            file.write(text)
    lines = [line for row in found for line in table.last_words(row)]
    done = data["done"]
    lines.append(f"{done} of {plural(len(found), 'phone')} done.")
    app.result(data, lines)
    if not found:
        raise NoDeviceError("No phone in EDL mode is connected.")
    bad = [row for row in found if row.state is not State.DONE]
    if bad:
        each = ", ".join(f"{row.place} ({row.data.get('code')})" for row in bad)
        error = StationError(
            f"{len(bad)} of {plural(len(found), 'phone')} were not written: {each}."
        )
        error.status = bad[0].status
        raise error


def _how(request: rawprogram.Request) -> Mapping[str, Any] | None:
    """Return how `edl resume` repeats the job on one phone: as `edl rawprogram`."""
    about = request.rules.about
    if about is None:
        return None
    known = {str(param.name) for param in rawprogram.command.params}
    how = dict(about["how"])
    how["words"] = ["rawprogram"]
    how["parameters"] = {key: value for key, value in how["parameters"].items() if key in known}
    how["parameters"]["all_phones"] = False
    return {**about, "how": how}


def _summary_file(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text).absolute()
    if path.suffix.lower() not in _SUMMARIES:
        raise UsageError(f"--summary takes FILE.csv or FILE.json, not '{text}'.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder '{path.parent}' for the summary.")
    return path


def _folder(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"'{terminal.clean(text)}' can be no folder: {reason}.") from error
    return path
