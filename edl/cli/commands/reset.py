# SPDX-License-Identifier: BSD-3-Clause
"""Restart the phone, or switch it off."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.firehose.commands import Power
from edl.plan import job

_MODES = {"system": Power.RESET, "reset": Power.RESET, "off": Power.OFF, "edl": Power.EDL}


@click.command("reset")
@click.option(
    "--mode", "--resetmode", "mode", type=click.Choice(list(_MODES)), default="system",
    help="Start the system, switch off, or come back in EDL mode [default: system].",
)  # fmt: skip
@phone_options
@click.pass_obj
def command(settings: Settings, mode: str) -> None:
    """Restart the phone.

    \b
    Examples:
      edl reset
      edl reset --mode off
    """
    app = App(settings)
    with app.phone() as phone:
        generation = phone.programmer.generation
        job.reset(phone, _MODES[mode], app.emit)
    if mode == "edl" and generation == 1:
        app.say("  note     most programmers of this generation restart the system instead.")
    done = {"off": "The phone switches off.", "edl": "The phone comes back in EDL mode."}
    app.result({"mode": mode}, done.get(mode, "The phone restarts."))
