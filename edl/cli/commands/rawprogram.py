# SPDX-License-Identifier: BSD-3-Clause
"""Write a package to the phone: the main job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from edl.cli import show
from edl.cli.again import heed, traced
from edl.cli.app import App
from edl.cli.finding import Finder
from edl.cli.options import (
    Settings,
    change_options,
    free,
    lun_option,
    once,
    phone_options,
    slot_option,
)
from edl.cli.ready import Ready, boot_options
from edl.cli.reporting import report_option
from edl.cli.targets import folder_of, is_folder
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import NoDeviceError, UsageError
from edl.events import Emit, Notice, Stage, ignore
from edl.firehose.commands import Power
from edl.package import Package
from edl.packages import door, whole
from edl.packages.model import Choices, Description
from edl.plan import byname, job
from edl.plan.assumed import assumed_geometry
from edl.plan.build import USER_DATA, Options, build
from edl.plan.check import checked
from edl.plan.job import Rules
from edl.plan.model import Plan, left_out_data
from edl.plan.together import Readings
from edl.plan.unchanged import Unchanged
from edl.plan.unique import Found

_RESETS = {"system": Power.RESET, "off": Power.OFF, "edl": Power.EDL}


@dataclass(frozen=True)
class Request:
    """What the command line asks for. readings: of all phones that it is for, if those are many."""

    package: Package
    options: Options
    rules: Rules
    slot: str = "active"
    description: Description = field(default_factory=lambda: Description(""))
    readings: Readings | None = None


def package_arguments(function: Any) -> Any:  # noqa: ANN401
    """Add what rawprogram, check, rehearse and verify share."""
    options = (
        click.argument("package", nargs=-1, required=True, metavar="PACKAGE..."),
        click.option(
            "-i", "--include", multiple=True, metavar="DIR", help="More folders with images."
        ),
        click.option("-p", "--patch", multiple=True, metavar="XML", help="A patch file."),
        lun_option(several=True),
        click.option("--only", multiple=True, metavar="NAMES", help="Only these partitions."),
        click.option("--skip", "--keep", "skip", multiple=True, metavar="NAMES",
                     help="Leave these partitions alone."),
        slot_option(byname.SLOTS),
        click.option("--wipe", is_flag=True, help="Replace the user's data as well."),
        click.option("--choose", multiple=True, metavar="NAME=VALUE",
                     help="Which part of the package is meant, where it says that it has several."),
        click.option("-f", "--allow-missing", is_flag=True, help="Leave out missing files."),
        report_option,
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


holes_option = once(
    "--holes", type=click.Choice(["leave", "zero"]), default="leave",
    help="What sparse images leave open: leave or zero it [default: leave].",
)  # fmt: skip


def reset_options(function: Any) -> Any:  # noqa: ANN401
    """Add what the phone does at the end."""
    no_reset = click.option(
        "-R", "--no-reset", "--skip-reset", "no_reset", is_flag=True, help="Do not restart."
    )
    reset = once(
        "--reset", type=click.Choice(list(_RESETS)), default="system",
        help="What the phone does at the end [default: system].",
    )  # fmt: skip
    return reset(no_reset(function))


def write_options(function: Any) -> Any:  # noqa: ANN401
    """Add how the package is written, to one phone or to many."""
    options = (
        click.option("--no-set-bootable", is_flag=True, help="Leave the boot LUN as it is."),
        holes_option,
        click.option("--elsewhere", multiple=True, metavar="NAMES",
                     help="Write these although the phone has them at another place."),
        click.option("--erase-lun", type=click.IntRange(0, 255), multiple=True, metavar="LUN",
                     help="Let rows without a range erase all of this LUN."),
        once("--unchanged", type=click.Choice([each.value for each in Unchanged]), default="auto",
             help="What to do with what the phone has already [default: auto, skip it where that"
             " is fast]."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _vip_option(function: Any) -> Any:  # noqa: ANN401
    """Add --vip, which other commands refuse under its name in qdl."""
    option = once(
        "--vip", "--vip-table-path", "vip", metavar="DIR",
        help="Send exactly what the signed tables in DIR hold (docs/vip.md).",
    )  # fmt: skip
    return option(free(function, "--vip-table-path"))


@click.command("rawprogram")
@package_arguments
@change_options
@reset_options
@boot_options
@_vip_option
@click.option("--resume", is_flag=True, help="Go on with an interrupted job.")
@write_options
@once("--skipblock", type=click.Choice(["sha256"]), hidden=True)
@once("--dir", "folder", metavar="DIR", help="Where <read> rows put their files [default: here].")
@click.option("-d", "debug", is_flag=True, hidden=True)  # qdl's --debug
@click.option(
    "--all",
    "all_phones",
    is_flag=True,
    help="Every phone that is there now, all at the same time (see edl station).",
)
@click.option("--offline", is_flag=True, help="With --dry-run: do not look at the phone.")
@phone_options
@click.pass_obj
def command(settings: Settings, /, debug: bool, **arguments: Any) -> None:  # noqa: ANN401
    """Write a package to the phone, verify it, and restart the phone.

    PACKAGE is what makers give (docs/packages.md): a folder, an archive that need not be unpacked,
    or the XML files (and the loader) one by one.
    Partitions that exist only once (calibration, identity) are saved first and left as they are.

    \b
    Examples:
      edl rawprogram ROM.zip
      edl rawprogram ROM_FOLDER --dry-run
      edl rawprogram prog_firehose.elf rawprogram*.xml patch*.xml
      edl rawprogram ROM_FOLDER --skip userdata
    """
    settings.verbose = max(settings.verbose, 2 * debug)
    if arguments["vip"]:
        from edl.cli import vip  # noqa: PLC0415  # it uses this module

        vip.run(App(settings), arguments)
        return
    if arguments["all_phones"] or len(settings.serials) > 1:
        _all(settings, arguments)
        return
    app = App(settings)
    request = opened(app, arguments)
    if arguments["dry_run"]:
        _dry_run(app, request, offline=arguments["offline"])
        return
    with app.phone(request.package, resume=request.rules.resume) as phone:
        agree(app, request, phone, yes=arguments["yes"])
        ready = carry_out(app, request, phone, yes=arguments["yes"], checks=arguments)
    ready.conclude()


def _all(settings: Settings, arguments: Mapping[str, Any]) -> None:
    """Write the package to several phones: to all that are there, or to those that were named."""
    from edl.cli.commands import station  # noqa: PLC0415  # it uses this module
    from edl.cli.station.crew import Wanted  # noqa: PLC0415  # likewise

    patience_s = Finder(App(settings)).patience_s
    wanted = Wanted(settings.serials, now=arguments["all_phones"], wait_s=patience_s)
    station.run(settings, wanted, arguments)


def agree(app: App, request: Request, phone: Phone, *, yes: bool) -> None:
    """Ask what only the user knows, and about what speaks against the package.

    Raises:
        UsageError, click.Abort: the package is for another chip, and nobody insists.
    """
    if wrong := request.package.other_chip(phone.identity):
        app.confirm(wrong, yes=yes)
    ask(app, request.package, yes=yes)


def ask(app: App, package: Package, *, yes: bool) -> None:
    """Ask what package wants to be agreed to; where nobody is asked, tell it.

    Raises:
        click.Abort: the answer was no.
    """
    for question in package.asks:
        if not yes and app.at_terminal:
            app.confirm(question, yes=False)
        else:
            app.emit(Notice(question))


def carry_out(
    app: App,
    request: Request,
    phone: Phone,
    *,
    closing: str = "",
    yes: bool = False,
    checks: Mapping[str, Any] | None = None,
) -> Ready:
    """Write the package of request to phone; return what was seen around its restart.

    closing: the summary's last line. yes: do not ask. checks: the options of the boot check, which
    is left out without them.
    """
    storage = Storage(phone)
    request = replace(request, package=byname.on_phone(request.package, storage, request.slot))
    plan, found = prepared(app, request, storage)
    app.json_line("plan", show.plan_data(plan))
    app.findings(plan)
    sources = request.package.files
    heed(app, plan, phone.serial, request.rules, sources=sources, yes=yes)
    whole.verify(request.package.files, app.emit)
    app.emit(show.checked(plan))
    ready = Ready(app, phone, plan, checks or {"no_boot_check": True})
    with app.gentle(plan) as cancel:
        outcome = job.carry_out(
            plan,
            phone,
            found,
            request.rules,
            emit=app.emit,
            cancel=cancel,
            sources=request.package.files,
            before_reset=ready.allows,
            readings=request.readings,
        )
    ready.watch()
    boot = app.virtual.report if app.virtual is not None else None
    lines = show.outcome_text(outcome, boot)
    if request.rules.resume and not outcome.report.resumed_bytes:
        lines.append("  resumed    nothing: no interrupted run of exactly this job was found")
    data = show.outcome_data(outcome, boot) | {"left_out": left_out_data(plan)} | ready.data
    app.result(data, [*lines, *ready.lines, *([closing] if closing else [])])
    return ready


def prepared(app: App, request: Request, storage: Storage) -> tuple[Plan, Found]:
    """Return the plan as it will be carried out on the phone, and what is unique there."""
    package = byname.on_phone(request.package, storage, request.slot)
    geometry = job.geometry_for(package, storage)
    plan = checked(build(package, geometry, request.options))
    if not plan.errors:
        app.emit(Stage("check", "looking at what exists only once on this phone"))
    return job.prepare(plan, storage, request.rules)


def opened(app: App, arguments: dict[str, Any]) -> Request:
    """Return what the command line asks for, and say what the package is."""
    with app.running():
        request = read_request(app.settings, arguments, app.emit)
        app.emit(Stage("package", show.description_line(request.description)))
    return request


def read_request(settings: Settings, arguments: dict[str, Any], emit: Emit = ignore) -> Request:
    """Return what the command line asks for, with the package read.

    A loader among the files counts as named with --loader. emit: takes what is told of an archive
    that must be unpacked.
    """
    if "" in arguments["package"]:  # of a variable that is not set: never the current folder
        raise UsageError("The name of a package is empty.")
    named, folders = _sorted([*arguments["package"], *arguments["patch"]])
    chosen = dict(pair(text) for text in arguments.get("choose", ()))
    if arguments.get("slot") not in {None, "active"}:
        chosen.setdefault("slot", arguments["slot"])
    choices = Choices(bool(arguments.get("wipe")), chosen, emit)
    package, description = door.open_any(named, [*arguments["include"], *folders], choices)
    if settings.loader is None:
        own = {Path(name) for name in named}
        loaders = [path for path in package.loaders if path in own]
        settings.loader = str(loaders[0]) if len(loaders) == 1 else None
    options = Options(
        luns=frozenset(arguments["lun"]),
        only=names(arguments["only"]),
        skip=names(arguments["skip"]),
        keep=frozenset() if arguments.get("wipe") else USER_DATA,
        allow_missing=arguments["allow_missing"],
        zero_holes=arguments.get("holes") == "zero",
        erase_luns=frozenset(arguments.get("erase_lun", ())),
        set_bootable=not arguments.get("no_set_bootable"),
        reset=_reset(arguments),
        read_folder=folder_of(arguments.get("folder")),
    )
    unchanged = Unchanged(arguments.get("unchanged", Unchanged.WRITE))
    if arguments.get("skipblock") is not None:
        unchanged = Unchanged.SKIP
    rules = Rules(
        overwrite=tuple(sorted(names(arguments.get("overwrite", ())))),
        elsewhere=tuple(sorted(names(arguments.get("elsewhere", ())))),
        backup=not arguments.get("no_backup"),
        verify=arguments.get("verify", "auto"),
        resume=arguments.get("resume", False),
        unchanged=unchanged,
    )
    return Request(package, options, traced(rules), arguments.get("slot") or "active", description)


def pair(text: str) -> tuple[str, str]:
    """Return name and value of what --choose says.

    Raises:
        UsageError: it says no such thing.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"--choose takes NAME=VALUE, not '{text}'.")
    return name.strip().lower(), value.strip()


def _sorted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the package and the folders with images.

    Where XML files are named, folders only hold images: `qfil rawprogram0.xml patch0.xml images`.
    """
    if not any(text.lower().endswith(".xml") for text in arguments):
        return arguments, []
    folders = [text for text in arguments if is_folder(text)]
    return [text for text in arguments if text not in folders], folders


def _reset(arguments: dict[str, Any]) -> Power | None:
    if arguments.get("no_reset") or not arguments.get("reset"):
        return None
    return _RESETS[arguments["reset"]]


def names(texts: tuple[str, ...]) -> frozenset[str]:
    """Return comma lists as names in lower case."""
    return frozenset(
        name.strip().lower() for text in texts for name in text.split(",") if name.strip()
    )


def _dry_run(app: App, request: Request, *, offline: bool) -> None:
    """Show the plan: for the phone if one is there, else for a storage that it would fit."""
    plan = None if offline else _plan_for_phone(app, request)
    if plan is None:
        plan = offline_plan(request)
    show_plan(app, plan)


def show_plan(app: App, plan: Plan, more: dict[str, Any] | None = None) -> None:
    """Show plan as the result of a dry run. more: what else the result has.

    Raises:
        EdlError: it has errors.
    """
    app.json_line("plan", show.plan_data(plan))
    if not plan.errors:
        app.show(show.plan_text(plan))
    app.findings(plan)
    app.result(show.dry_run_data(plan) | (more or {}), [f"Dry run: {show.verdict(plan)}."])


def _plan_for_phone(app: App, request: Request) -> Plan | None:
    """Return the plan for the phone that is connected, or None if none is."""
    settings = app.settings
    settings.wait = settings.wait or 0.0
    meant = settings.serial is not None or settings.virtual is not None
    try:
        with app.phone(request.package) as phone:
            return prepared(app, request, Storage(phone))[0]
    except NoDeviceError:
        if meant or app.seen:
            raise
        app.say("  note     no phone is connected: the plan is for a storage that would fit")
        return None


def offline_plan(request: Request) -> Plan:
    """Return the plan for a storage that the package would fit on."""
    package = request.package.alone
    geometry = assumed_geometry(package)
    if package.named:
        geometry, tables = byname.made_up(package, geometry)
        package = byname.placed(package, tables, geometry.sector_bytes, request.slot)
    return checked(build(package, geometry, request.options))
