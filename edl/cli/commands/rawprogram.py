# SPDX-License-Identifier: BSD-3-Clause
"""Write a package to the phone: the main job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from edl.cli import show
from edl.cli.app import App, folder_of
from edl.cli.options import Settings, change_options, phone_options
from edl.device.storage import Storage
from edl.errors import NoDeviceError
from edl.firehose.commands import Power
from edl.package import Package, open_package
from edl.plan import job
from edl.plan.build import Options, assumed_geometry, build
from edl.plan.check import checked
from edl.plan.job import Rules
from edl.plan.model import Plan


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    package: Package
    options: Options
    rules: Rules
    dry_run: bool
    offline: bool


def package_arguments(function: Any) -> Any:  # noqa: ANN401
    """Add what rawprogram, check, rehearse and verify share."""
    options = (
        click.argument("package", nargs=-1, required=True, metavar="FOLDER|XML..."),
        click.option(
            "-i", "--include", multiple=True, metavar="DIR", help="More folders with images."
        ),
        click.option("-p", "--patch", multiple=True, metavar="XML", help="A patch file."),
        click.option("--lun", multiple=True, type=click.IntRange(0), help="Only these LUNs."),
        click.option("--only", multiple=True, metavar="NAMES", help="Only these partitions."),
        click.option("--skip", "--keep", "skip", multiple=True, metavar="NAMES",
                     help="Leave these partitions alone."),
        click.option("-f", "--allow-missing", is_flag=True, help="Leave out missing files."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command("rawprogram")
@package_arguments
@change_options
@click.option(
    "--reset", type=click.Choice(["system", "off", "edl"]), default="system",
    help="What the phone does at the end [default: system].",
)  # fmt: skip
@click.option("-R", "--no-reset", "--skip-reset", "no_reset", is_flag=True, help="Do not restart.")
@click.option("--no-set-bootable", is_flag=True, help="Leave the boot LUN as it is.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted job.")
@click.option(
    "--unchanged", type=click.Choice(["write", "skip"]), default="write",
    help="What to do with parts that the phone has already [default: write].",
)  # fmt: skip
@click.option("--skipblock", type=click.Choice(["sha256"]), hidden=True)
@click.option("-d", "--dir", "folder", metavar="DIR", help="Where <read> rows put their files.")
@click.option("--offline", is_flag=True, help="With --dry-run: do not look at the phone.")
@phone_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Write a package to the phone, verify it, and restart the phone.

    FOLDER holds rawprogram0.xml and its images; or name the XML files (and the loader) one by one.
    Partitions that exist only once (calibration, identity) are saved first and left as they are.

    \b
    Examples:
      edl rawprogram ROM_FOLDER
      edl rawprogram ROM_FOLDER --dry-run
      edl rawprogram prog_firehose.elf rawprogram*.xml patch*.xml
      edl rawprogram ROM_FOLDER --skip userdata
    """
    app = App(settings)
    request = read_request(arguments)
    if request.dry_run:
        _dry_run(app, request)
        return
    with app.phone(request.package) as phone:
        storage = Storage(phone)
        geometry = job.geometry_for(request.package, storage)
        plan = checked(build(request.package, geometry, request.options))
        plan, found = job.prepare(plan, storage, request.rules)
        app.json_line("plan", show.plan_data(plan))
        app.findings(plan)
        app.emit(show.checked(plan))
        with app.gentle() as cancel:
            outcome = job.carry_out(
                plan,
                phone,
                found,
                request.rules,
                emit=app.emit,
                cancel=cancel,
                sources=request.package.files,
            )
        boot = app.virtual.report if app.virtual is not None else None
    app.result(show.outcome_data(outcome, boot), show.outcome_text(outcome, boot))


def read_request(arguments: dict[str, Any]) -> Request:
    """Return what the command line asks for, with the package read."""
    package = open_package([*arguments["package"], *arguments["patch"]], arguments["include"])
    options = Options(
        luns=frozenset(arguments["lun"]),
        only=names(arguments["only"]),
        skip=names(arguments["skip"]),
        allow_missing=arguments["allow_missing"],
        set_bootable=not arguments.get("no_set_bootable"),
        reset=_reset(arguments),
        read_folder=folder_of(arguments.get("folder")),
    )
    skip = arguments.get("unchanged") == "skip" or arguments.get("skipblock") is not None
    rules = Rules(
        overwrite=tuple(sorted(names(arguments.get("overwrite", ())))),
        backup=not arguments.get("no_backup"),
        verify=arguments.get("verify", "auto"),
        resume=arguments.get("resume", False),
        skip_unchanged=skip,
    )
    return Request(
        package, options, rules, arguments.get("dry_run", False), arguments.get("offline", False)
    )


def _reset(arguments: dict[str, Any]) -> Power | None:
    if arguments.get("no_reset") or "reset" not in arguments:
        return None
    return {"system": Power.RESET, "off": Power.OFF, "edl": Power.EDL}[arguments["reset"]]


def names(texts: tuple[str, ...]) -> frozenset[str]:
    """Return comma lists as names in lower case."""
    return frozenset(
        name.strip().lower() for text in texts for name in text.split(",") if name.strip()
    )


def _dry_run(app: App, request: Request) -> None:
    """Show the plan: for the phone if one is there, else for a storage that it would fit."""
    plan: Plan
    if request.offline:
        plan = offline_plan(request)
    else:
        app.settings.wait = app.settings.wait or 0.0
        try:
            with app.phone(request.package) as phone:
                storage = Storage(phone)
                geometry = job.geometry_for(request.package, storage)
                plan = checked(build(request.package, geometry, request.options))
                plan, _ = job.prepare(plan, storage, request.rules)
        except NoDeviceError:
            app.say("  note     no phone is connected: the plan is for a storage that would fit")
            plan = offline_plan(request)
    app.result(show.plan_data(plan), show.plan_text(plan))
    app.findings(plan)


def offline_plan(request: Request) -> Plan:
    """Return the plan for a storage that the package would fit on."""
    geometry = assumed_geometry(request.package)
    return checked(build(request.package, geometry, request.options))
