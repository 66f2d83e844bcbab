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
    with app.running():
        request = read_request(settings, arguments | {"reset": None})
        plan = offline_plan(request)
        loaders = request.package.loaders
        app.json_line("plan", show.plan_data(plan))
        if not plan.errors:
            app.show(show.plan_text(plan))
        app.findings(plan)
    data = show.dry_run_data(plan) | {"loaders": [str(path) for path in loaders]}
    names = ", ".join(path.name for path in loaders)
    app.result(
        data,
        [
            f"Loader: {names or 'none in the package; give one with --loader FILE'}",
            f"Checked: {show.verdict(plan)}.",
            "Next: edl rawprogram with --dry-run shows what would be written to the phone.",
        ],
    )
