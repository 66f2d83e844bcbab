# SPDX-License-Identifier: BSD-3-Clause
"""Look through a package without a phone."""

from __future__ import annotations

from typing import Any

import click

from edl.cli import show
from edl.cli.app import App
from edl.cli.commands.rawprogram import offline_plan, package_arguments, read_request
from edl.cli.options import Settings, output_options


@click.command("check")
@package_arguments
@output_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Look through a package without a phone: files, sizes, overlaps, tables.

    \b
    Examples:
      edl check ROM_FOLDER
      edl check rawprogram0.xml patch0.xml --json
    """
    app = App(settings)
    request = read_request(arguments)
    plan = offline_plan(request)
    data = show.plan_data(plan)
    data["loaders"] = [str(path) for path in request.package.loaders]
    found = ", ".join(path.name for path in request.package.loaders) or "none in the package"
    app.result(data, f"{show.plan_text(plan)}\n  loader: {found}")
    app.findings(plan)
    app.say("  No errors were found.")
