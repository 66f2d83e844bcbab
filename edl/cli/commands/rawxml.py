# SPDX-License-Identifier: BSD-3-Clause
"""Send the programmer a command of one's own."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.commands.xml import raw_options, send
from edl.cli.options import Settings, phone_options
from edl.device import extras


@click.command("rawxml")
@click.argument("text", metavar="XML")
@raw_options
@phone_options
@click.pass_obj
def command(settings: Settings, text: str, dry_run: bool, allow: str | None) -> None:
    """Send the programmer the command XML, as it is. For experts: see 'edl xml'.

    \b
    Examples:
      edl rawxml '<nop />'
      edl rawxml '<getstorageinfo physical_partition_number="1" />'
    """
    commands = extras.raw_commands(text.encode("utf-8", "replace"), "XML")
    send(App(settings), commands, dry_run=dry_run, allow=allow)
