# SPDX-License-Identifier: BSD-3-Clause
"""Look through a package without a phone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from edl.cli import show
from edl.cli.app import App
from edl.cli.commands.rawprogram import Request, offline_plan, package_arguments, read_request
from edl.cli.options import Settings, output_options
from edl.events import Stage
from edl.package import Package
from edl.packages import builds, whole
from edl.plan.model import Plan, left_out_data


@click.command("check")
@package_arguments
@output_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Look through a package without a phone: what it is, and whether it is whole.

    PACKAGE is a folder, an archive (zip, tar, tgz) or another file as makers give them
    (docs/packages.md). Nothing needs to be unpacked.

    \b
    Examples:
      edl check ROM_FOLDER
      edl check ROM.zip
      edl check rawprogram0.xml patch0.xml --json
    """
    app = App(settings)
    with app.running():
        request = read_request(settings, arguments | {"reset": None}, app.emit)
        look(app, request)


def look(app: App, request: Request, *, steps: bool = True) -> Plan:
    """Tell what a package is, and whether it is whole. steps: and all that it would write.

    Returns what it would write to a storage that it fits.

    Raises:
        EdlError: it is not whole.
    """
    plan = offline_plan(request)
    found = builds.of(request.package) if not plan.errors else ()
    plan = replace(plan, findings=(*plan.findings, *builds.warnings(found)))
    request = replace(request, description=builds.told(request.description, found))
    app.json_line("plan", show.plan_data(plan))
    if plan.errors:
        app.emit(Stage("package", show.description_line(request.description)))
    else:
        title = f"Package: {request.package.title}"
        told = [title, *show.description_text(request.description)]
        app.show([*told, *(show.plan_text(plan) if steps else ())])
    app.findings(plan)
    for package in _variants(request.package):
        whole.verify(package.files, app.emit)
    loaders = request.package.loaders
    data = show.dry_run_data(plan) | {
        "loaders": [str(path) for path in loaders],
        "package": show.description_data(request.description),
        "left_out": left_out_data(plan),
    }
    names = ", ".join(path.name for path in loaders)
    app.result(
        data,
        [
            f"Loader: {names or 'none in the package; give one with --loader FILE'}",
            f"Checked: {show.verdict(plan)}.",
            "Next: edl rawprogram with --dry-run shows what would be written to the phone.",
        ],
    )
    return plan


def _variants(package: Package) -> tuple[Package, ...]:
    return tuple(package.variants.values()) or (package,)
