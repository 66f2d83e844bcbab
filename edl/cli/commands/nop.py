# SPDX-License-Identifier: BSD-3-Clause
"""Ask the programmer for a sign of life."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options


@click.command("nop")
@phone_options
@click.pass_obj
def command(settings: Settings) -> None:
    """Ask the programmer for a sign of life."""
    app = App(settings)
    with app.phone() as phone:
        phone.programmer.ping()
    app.result({"alive": True}, ["The programmer answers."])
