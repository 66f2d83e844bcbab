# SPDX-License-Identifier: BSD-3-Clause
"""Commands of bkerler/edl and edl-ng that count sectors or take a whole LUN.

They do what the ordinary commands do with the target LUN/START+SECTORS, or with LUN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.erase import erase
from edl.cli.commands.read import read
from edl.cli.commands.write import write
from edl.cli.options import Settings, change_options, once, phone_options

_NUMBER = click.STRING
_lun = once("-u", "--lun", type=click.IntRange(0, 255), default=0, help="LUN [default: 0].")


@click.command("rs", hidden=True)
@click.argument("start", type=_NUMBER)
@click.argument("sectors", type=_NUMBER)
@click.argument("file")
@_lun
@click.option("--force", is_flag=True)
@phone_options
@click.pass_obj
def read_sectors(
    settings: Settings, start: str, sectors: str, file: str, lun: int, force: bool
) -> None:
    """Read SECTORS sectors from START into FILE: `edl read LUN/START+SECTORS FILE`."""
    read(App(settings), [f"{lun}/{start}+{sectors}"], [Path(file)], force=force)


@click.command("ws", hidden=True)
@click.argument("start", type=_NUMBER)
@click.argument("file")
@_lun
@change_options
@phone_options
@click.pass_obj
def write_sectors(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Write FILE from sector START on: `edl write LUN/START FILE`."""
    target = f"{arguments['lun']}/{arguments['start']}"
    write(App(settings), [target], [Path(arguments["file"])], arguments)


@click.command("es", hidden=True)
@click.argument("start", type=_NUMBER)
@click.argument("sectors", type=_NUMBER)
@_lun
@change_options
@phone_options
@click.pass_obj
def erase_sectors(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Erase SECTORS sectors from START on: `edl erase LUN/START+SECTORS`."""
    target = f"{arguments['lun']}/{arguments['start']}+{arguments['sectors']}"
    erase(App(settings), [target], arguments)


@click.command("rf", hidden=True)
@click.argument("file")
@_lun
@click.option("--force", is_flag=True)
@phone_options
@click.pass_obj
def read_lun(settings: Settings, file: str, lun: int, force: bool) -> None:
    """Read a whole LUN into FILE: `edl read LUN FILE`."""
    read(App(settings), [str(lun)], [Path(file)], force=force)


@click.command("wf", hidden=True)
@click.argument("file")
@_lun
@change_options
@phone_options
@click.pass_obj
def write_lun(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Write FILE over a whole LUN: `edl write LUN FILE`."""
    write(App(settings), [str(arguments["lun"])], [Path(arguments["file"])], arguments)


COMMANDS = {
    "rs": read_sectors,
    "ws": write_sectors,
    "es": erase_sectors,
    "rf": read_lun,
    "wf": write_lun,
}
