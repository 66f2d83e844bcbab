# SPDX-License-Identifier: BSD-3-Clause
"""Mend partition tables, and compare them with a package's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edl.cli import show
from edl.cli.again import heed
from edl.cli.app import App
from edl.cli.commands.printgpt import REMEDY, change_data, change_line, copy_lines, lasting
from edl.cli.commands.rawprogram import pair, show_plan
from edl.cli.commands.write import conclude, rules_of
from edl.cli.options import Settings, change_options, choose_option, lun_option, once, phone_options
from edl.cli.ready import Ready, look_option
from edl.cli.reporting import report_option
from edl.cli.targets import is_file
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, SafetyError, UsageError, VerifyError
from edl.events import Stage
from edl.formats import gptedit
from edl.formats.gpt import Gpt
from edl.formats.gptedit import Change
from edl.package import Package
from edl.packages import door
from edl.packages.model import Choices
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan import job, tables
from edl.plan.model import Geometry, Plan, plural

_OWN = ("primary", "backup")
_NUMBER = re.compile(r"(?:main|backup|both|lun|empty)_?(\d)", re.IGNORECASE)


@click.group("gpt")
def command() -> None:
    """Mend partition tables (GPT), and compare them with a package's.

    \b
    Examples:
      edl printgpt                  show the tables, and what is wrong with them
      edl gpt repair                mend the bad copy from the good one
      edl gpt diff ROM.zip          see what a package would change
    """


# -- repair -------------------------------------------------------------------------------------


@command.command("repair")
@once(
    "--from", "source", metavar="primary|backup|FILE|PACKAGE",
    help="What to go by [default: the sound copy].",
)  # fmt: skip
@choose_option
@lun_option(several=True)
@look_option
@report_option
@change_options
@phone_options
@click.pass_obj
def repair(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Make both copies of the partition tables sound, and fit to the disk.

    The good copy is found by its checksums. A table from elsewhere (gpt_main0.bin, a dump, the
    phone's package) is adapted to the disk; it must not move what exists only once.

    \b
    Examples:
      edl gpt repair --dry-run
      edl gpt repair --lun 4 --from backup
      edl gpt repair --from ROM.zip
    """
    source = arguments["source"] or ""
    app = App(settings)
    package = _package(app, source, arguments["choose"])
    with app.phone(package) as phone:
        storage = Storage(phone)
        app.emit(Stage("check", "reading the partition tables"))
        found = _sources(app, storage, arguments["lun"], source, package)
        geometry = job.geometry(storage, found)
        rules = rules_of(arguments)
        plan = tables.repair_plan(
            storage,
            {lun: found[lun] for lun in geometry.luns},
            geometry,
            grow=bool(source) and source not in _OWN,
            insisted=rules.overwrite,
        )
        app.show(_wrong(storage, found))
        if not plan.steps:
            app.result({"luns": sorted(found), "mended": []}, _nothing(found, geometry))
            return
        mended = sorted({step.area.lun for step in plan.steps})
        data = None if arguments["dry_run"] else {"luns": sorted(found), "mended": mended}
        carry_out(app, plan, phone, storage, arguments, data)


def _package(app: App, source: str, choose: Sequence[str]) -> Package | None:
    """Return source as a package of whatever kind, if it is none but a table by itself."""
    path = Path(source)
    if not source or source in _OWN or tables.is_table(path):
        return None
    with app.running():
        choices = Choices(options=dict(map(pair, choose)), emit=app.emit)
        if is_file(path) and path.suffix.lower() != ".xml" and not door.may_open(path, choices):
            return None
        return door.open_any([source], choices=choices)[0]


def _sources(
    app: App, storage: Storage, luns: Sequence[int], source: str, package: Package | None
) -> dict[int, Gpt]:
    """Return the table to go by for each LUN that is meant."""
    if package is not None:
        package = package.for_sectors(storage.phone.sector_bytes)
        geometry = job.geometry_for(package, storage)
        offered = tables.package_tables(package, geometry)
        return {lun: offered[lun] for lun in _meant(luns, offered, "the package has no table for")}
    if source and source not in _OWN:
        emmc = storage.phone.programmer.memory == "emmc"  # its other LUNs are boot areas
        lun = _lun_of(source, luns, [0] if emmc and not luns else list(storage.luns()))
        return {lun: tables.file_table(Path(source), storage.phone.sector_bytes)}
    return _own_sources(app, storage, luns, source)


def _own_sources(app: App, storage: Storage, luns: Sequence[int], source: str) -> dict[int, Gpt]:
    found: dict[int, Gpt] = {}
    without: list[str] = []
    for lun in _meant(luns, list(storage.luns()), "the phone has no"):
        try:
            if not luns and storage.table(lun).best is None:
                without.append(str(lun))
            else:
                found[lun] = tables.own_table(storage.table(lun), source)
        except DeviceRefusedError as error:
            if luns:
                raise
            app.say(f"  note     LUN {lun}: {error.message}")
    if without and found:
        app.say(f"  note     LUN {', '.join(without)}: no partition table, nothing to mend from")
    if not found:
        raise SafetyError(
            "The phone has no partition table to go by.",
            remedies=("Take them from the phone's package: edl gpt repair --from ROM_FOLDER",),
        )
    return found


def _meant(luns: Sequence[int], there: Sequence[int] | dict[int, Gpt], what: str) -> list[int]:
    """Return luns, or all that are there.

    Raises:
        UsageError: one of luns is not there.
    """
    for lun in luns:
        if lun not in there:
            raise UsageError(f"{what[0].upper()}{what[1:]} LUN {lun}.")
    return sorted(set(luns or there))


def _lun_of(source: str, luns: Sequence[int], there: Sequence[int]) -> int:
    """Return the LUN that a file is for: as the user says, or its name, or the only one."""
    if len(luns) > 1:
        raise UsageError("A file has the table of one LUN: name one with --lun.")
    if luns:
        return _meant(luns, there, "the phone has no")[0]
    if len(there) == 1:
        return there[0]
    match = _NUMBER.search(Path(source).stem)
    if match is None or int(match[1]) not in there:
        raise UsageError(f"For which LUN is {source}?", remedies=("Say so: --lun LUN.",))
    return int(match[1])


def _nothing(found: dict[int, Gpt], geometry: Geometry) -> list[str]:
    luns = ", ".join(map(str, sorted(found)))
    if any(lasting(found[lun], geometry.luns[lun]) for lun in geometry.luns):
        return [
            f"Nothing was mended: both copies say the same (LUN {luns}).",
            "What is wrong with both comes right with another table: --from ROM_FOLDER.",
        ]
    return [f"Nothing to mend: both copies are as they should be (LUN {luns})."]


def _wrong(storage: Storage, luns: dict[int, Gpt]) -> list[str]:
    """Return what is wrong on these LUNs until now."""
    lines: list[str] = []
    for lun in sorted(luns):
        told = copy_lines(storage.table(lun), storage.sectors(lun))
        lines += [f"LUN {lun}:", *(line for line in told if REMEDY not in line)]
    return lines


# -- carrying out -------------------------------------------------------------------------------


def carry_out(
    app: App,
    plan: Plan,
    phone: Phone,
    storage: Storage,
    arguments: dict[str, Any],
    more: dict[str, Any] | None = None,
    lines: Sequence[str] = (),
) -> None:
    """Show a plan on partition tables, ask, carry it out, and tell what came of it.

    more, lines: what else the result has; lines not after a rehearsal.
    """
    rules = rules_of(arguments)
    plan, found = job.prepare(plan, storage, rules)
    if arguments["dry_run"]:
        show_plan(app, plan, more)
        return
    app.json_line("plan", show.plan_data(plan))
    app.findings(plan)
    if plan.steps:
        app.show(show.plan_text(plan))
        luns = ", ".join(str(lun) for lun in sorted({step.area.lun for step in plan.steps}))
        app.confirm(f"This writes the partition tables of LUN {luns}.", yes=arguments["yes"])
    heed(app, plan, phone.serial, rules, yes=arguments["yes"])
    ready = Ready.if_concerned(app, phone, plan, arguments)
    with app.gentle(plan) as cancel:
        outcome = job.carry_out(plan, phone, found, rules, emit=app.emit, cancel=cancel)
    conclude(app, outcome, ready, more, lines)


# -- diff ---------------------------------------------------------------------------------------


@command.command("diff")
@click.argument("source", metavar="PACKAGE|FILE")
@choose_option
@lun_option(several=True)
@phone_options
@click.pass_obj
def diff(settings: Settings, source: str, lun: tuple[int, ...], choose: tuple[str, ...]) -> None:
    """Show how the phone's partition tables differ from those of a package or file.

    The package's tables are compared as they would be on this disk, after all patches. The exit
    status is 0 if they are the same, 8 if they differ.

    \b
    Examples:
      edl gpt diff ROM.zip
      edl gpt diff gpt_main4.bin --lun 4
    """
    app = App(settings)
    package = _package(app, source, choose)
    rows: list[dict[str, Any]] = []
    texts: list[str] = []
    with app.phone(package) as phone:
        storage = Storage(phone)
        offered = _sources(app, storage, lun, source, package)
        geometry = job.geometry(storage, offered)
        for number in sorted(geometry.luns):
            theirs = gptedit.refit(offered[number], geometry.luns[number], needed_sectors=1)
            mine = storage.table(number).best
            changes = gptedit.diff(mine, theirs) if mine is not None else None
            rows.append(_diff_data(number, changes))
            texts += _diff_text(number, changes)
    lost = [name for row in rows for name in row["lost"]]
    different = [row["lun"] for row in rows if not row["equal"]]
    app.result({"luns": rows, "equal": not different, "lost": lost}, [*texts, *_verdict(rows)])
    if different:
        raise VerifyError(
            f"The partition tables differ on LUN {', '.join(map(str, different))}.",
            remedies=("See what writing the package would do: edl rawprogram ... --dry-run",),
        )


def _unique(change: Change) -> bool:
    return classify(change.name).severity is Worth.MUST_NEVER_CLONE


def _diff_data(lun: int, changes: tuple[Change, ...] | None) -> dict[str, Any]:
    return {
        "lun": lun,
        "found": changes is not None,
        "equal": changes == (),
        "changes": [change_data(change) | {"unique": _unique(change)} for change in changes or ()],
        "lost": [change.name for change in changes or () if change.loses and _unique(change)],
    }


def _diff_text(lun: int, changes: tuple[Change, ...] | None) -> list[str]:
    if changes is None:
        return [f"LUN {lun}: the phone has no partition table"]
    if not changes:
        return [f"LUN {lun}: the same"]
    mark = " (exists only once)"
    return [
        f"LUN {lun}: {plural(len(changes), 'difference')} (phone -> there)",
        *(change_line(change) + (mark if _unique(change) else "") for change in changes),
    ]


def _verdict(rows: list[dict[str, Any]]) -> list[str]:
    """Return what it would mean to write the other tables."""
    lost = [f"{name} (LUN {row['lun']})" for row in rows for name in row["lost"]]
    moved = sum(change["loses"] for row in rows for change in row["changes"])
    if lost:
        return [
            f"Writing those tables would lose what exists only once on this phone:"
            f" {', '.join(lost)}."
        ]
    if moved:
        return [
            f"Writing those tables would move {plural(moved, 'partition')}, but nothing that exists"
            " only once."
        ]
    if all(row["equal"] for row in rows):
        return ["The partition tables are the same."]
    return ["Writing those tables would move nothing."]
