# SPDX-License-Identifier: BSD-3-Clause
"""Be led through a rescue, step by step."""

from __future__ import annotations

import click

from edl.cli.options import Settings, phone_options
from edl.errors import UsageError


@click.command("rescue")
@click.argument("package", nargs=-1, metavar="[ROM]")
@phone_options
@click.pass_obj
def command(settings: Settings, package: tuple[str, ...]) -> None:
    """Be led through the rescue of a phone that shows only a black screen.

    Finds the phone, looks at its storage, saves what is on it, writes the ROM, verifies it, and
    says what to expect. Each step shows the plain command that it stands for. q stops anywhere.

    \b
    Examples:
      edl rescue
      edl rescue ROM.zip
      edl --virtual qcm2290 rescue   try it without a phone
    """
    from edl.cli.guide import steps  # noqa: PLC0415  # takes all commands with it
    from edl.cli.guide.story import Story  # noqa: PLC0415

    story = Story(settings, package)
    app = story.app()
    if settings.json or not app.at_terminal:
        app.show(["These are the steps, and their commands:", *steps.commands()])
        raise UsageError(
            "'edl rescue' asks questions, so it needs a terminal.",
            remedies=("Run the commands of its steps yourself; in scripts, add --yes.",),
        )
    steps.tell(story)
