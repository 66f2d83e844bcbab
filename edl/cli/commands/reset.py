# SPDX-License-Identifier: BSD-3-Clause
"""Restart the phone, or switch it off."""

from __future__ import annotations

import click

from edl.cli import crashing
from edl.cli.app import App
from edl.cli.options import Settings, once, phone_options
from edl.errors import CrashDumpError
from edl.firehose.commands import Power
from edl.plan import job

_MODES = {"system": Power.RESET, "off": Power.OFF, "edl": Power.EDL}
_OTHER_WORDS = {"reset": "system", "poweroff": "off"}
_DONE = {
    "system": "The phone restarts.",
    "off": "The phone switches off.",
    "edl": "The phone comes back in EDL mode.",
}


@click.command("reset")
@once(
    "--mode", "--resetmode", "mode", type=click.Choice([*_MODES, *_OTHER_WORDS]),
    default="system", metavar="[system|off|edl]",
    help="Start the system, switch off, or come back in EDL mode [default: system].",
)  # fmt: skip
@phone_options
@click.pass_obj
def command(settings: Settings, mode: str) -> None:
    """Restart the phone; also one that has crashed (its memory is lost then).

    \b
    Examples:
      edl reset
      edl reset --mode off
    """
    app = App(settings)
    mode = _OTHER_WORDS.get(mode, mode)
    try:
        with app.phone(crashed=mode == "system") as phone:
            generation = phone.programmer.generation
            job.reset(phone, _MODES[mode], app.emit)
    except CrashDumpError:
        if mode != "system" or not crashing.restart(app):
            raise
        generation = None
    if mode == "edl" and generation == 1:
        app.say("  note     most programmers of this generation restart the system instead.")
    app.result({"mode": mode}, [_DONE[mode]])
