# SPDX-License-Identifier: BSD-3-Clause
"""Save the memory of a crashed phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from edl.cli import crashing
from edl.cli.app import App
from edl.cli.crashing import Crashed
from edl.cli.options import Settings, once, phone_options
from edl.errors import MemoryRefusedError, TransportError
from edl.events import Notice
from edl.plan.model import plural
from edl.ramdump import names, record
from edl.ramdump.record import Result
from edl.ramdump.save import Choice, Report, choose, save
from edl.sahara import memory
from edl.units import format_size

_AFTERWARDS = "The phone still offers its memory. To restart it: edl reset"


@click.command("ramdump")
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
@once("-o", "--output", "folder", metavar="DIR", help="Folder [default: ramdump-SERIAL].")
@click.option("--list", "only_list", is_flag=True, help="Show the regions, and save nothing.")
@click.option("--all", "everything", is_flag=True, help="Also regions that are not for saving.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished dump in DIR.")
@click.option("--reset", is_flag=True, help="Restart the phone when all is saved.")
@phone_options
@click.pass_obj
def command(
    settings: Settings,
    filters: tuple[str, ...],
    folder: str | None,
    only_list: bool,
    everything: bool,
    resume: bool,
    reset: bool,
) -> None:
    """Save the memory of a phone that has crashed (900E), region by region.

    FILTER: names of regions, with * and ?; several with commas. What is saved holds secrets of the
    phone's user: keys, messages, pictures.

    \b
    Examples:
      edl ramdump --list
      edl ramdump -o crash
      edl ramdump -o crash 'OCIMEM*,DDRCS0_0.BIN'
      edl ramdump -o crash --resume
    """
    app = App(settings)
    wanted = names.patterns(filters)
    with crashing.opened(app) as crashed:
        if only_list:
            _show(app, crashed)
            return
        choice = choose(crashed.dump, wanted, everything=everything)
        report = _save(app, crashed, choice, _folder(folder, crashed), resume=resume)
        restarted = report.refusal is None and reset and crashed.phone.restart()
    data = _data(crashed, report.results) | {
        "folder": str(report.folder),
        "minidump": str(report.minidump) if report.minidump else None,
        "resumed_bytes": report.resumed_bytes,
        "restarted": restarted,
    }
    if report.refusal is not None:
        raise _incomplete(report, report.refusal)
    app.result(data, [*_summary(report), "The phone restarts." if restarted else _AFTERWARDS])
    if reset and not restarted:
        raise TransportError("All is saved, but the phone does not answer to the reset.")


def _folder(folder: str | None, crashed: Crashed) -> Path:
    if folder is not None:
        return Path(folder)
    serial = crashed.owner.serial
    return Path(f"ramdump-{serial}" if serial else "ramdump")


def _save(app: App, crashed: Crashed, choice: Choice, folder: Path, *, resume: bool) -> Report:
    for number, doubt in enumerate(_doubts(crashed)):
        if doubt and choice.results.get(number, Result("")).state != "skipped":
            left_out = " (left out)" if number not in choice.wanted else ""
            app.emit(Notice(f"region {choice.files[number]}: {doubt}{left_out}"))
    app.total(choice.size_bytes)
    with app.gentle() as cancel:
        return save(
            crashed.phone, choice, folder, crashed.owner,
            resume=resume, emit=app.emit, cancel=cancel,
        )  # fmt: skip


def _doubts(crashed: Crashed) -> tuple[str, ...]:
    return memory.doubts(crashed.dump.regions, wide=crashed.dump.offer.wide)


def _incomplete(report: Report, error: MemoryRefusedError) -> MemoryRefusedError:
    """Return error with what is saved, and what the phone has not given."""
    saved = sum(result.state == "saved" for result in report.results.values())
    refused = sum(result.state in {"refused", "missing"} for result in report.results.values())
    error.message += f" In {report.folder}: {plural(saved, 'region')} whole, {refused} not."
    return error


def _summary(report: Report) -> Iterator[str]:
    saved = [result for result in report.results.values() if result.state == "saved"]
    size = sum(result.saved_bytes for result in saved)
    yield f"{plural(len(saved), 'region')}, {format_size(size)}, in {report.folder}"
    if report.minidump is not None:
        yield f"{report.minidump}  for crash or gdb"


def _show(app: App, crashed: Crashed) -> None:
    """Show the table of regions."""
    results = {
        number: Result("impossible" if not possible else "listed", why=doubt)
        for number, (possible, doubt) in enumerate(_judged(crashed))
    }
    app.result(_data(crashed, results), _lines(crashed))


def _judged(crashed: Crashed) -> Iterable[tuple[bool, str]]:
    dump = crashed.dump
    wide = dump.offer.wide
    possible = (memory.is_possible(region, wide=wide) for region in dump.regions)
    return zip(possible, _doubts(crashed), strict=True)


def _data(crashed: Crashed, results: dict[int, Result]) -> dict[str, Any]:
    return {
        "phone": crashed.owner.data(),
        "offer": record.offer_data(crashed.dump),
        "regions": record.rows(crashed.dump, results),
    }


def _lines(crashed: Crashed) -> Iterator[str]:
    digits = 16 if crashed.dump.offer.wide else 8
    for region, (_, doubt) in zip(crashed.dump.regions, _judged(crashed), strict=True):
        saved = "" if region.saved else "  (only if asked for)"
        odd = f"  ({doubt})" if doubt else ""
        yield (
            f"{region.file_name or '?':<20}  {region.address:#0{digits + 2}x}"
            f"  {format_size(region.size_bytes):>10}  {region.description}{saved}{odd}"
        ).rstrip()
    yield f"{plural(len(crashed.dump.regions), 'region')}. To save them: edl ramdump -o DIR"
