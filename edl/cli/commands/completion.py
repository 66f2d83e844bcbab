# SPDX-License-Identifier: BSD-3-Clause
"""Print the script that teaches a shell our commands."""

from __future__ import annotations

import click

from edl.cli import completing, shells
from edl.cli.app import App
from edl.cli.options import Settings, output_options


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(shells.SHELLS)))
@output_options
@click.pass_obj
def command(settings: Settings, shell: str) -> None:
    """Print what lets the Tab key complete commands, options, partitions and serial numbers.

    Names of partitions are those of the phone that was seen last, or of the one with the serial
    number on the line. No phone is touched.

    \b
    Examples:
      eval "$(edl completion bash)"                             into ~/.bashrc
      eval "$(edl completion zsh)"                              into ~/.zshrc, after compinit
      edl completion fish > ~/.config/fish/completions/edl.fish
      edl completion powershell | Out-String | Invoke-Expression    into $PROFILE
    """
    script = shells.script(shell)
    completing.table()  # so that the first Tab is as quick as all others
    App(settings).result({"shell": shell, "script": script}, script.splitlines())
