# SPDX-License-Identifier: BSD-3-Clause
"""Let the programmer itself mend partition tables."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.commands.provision import firehose
from edl.cli.options import Settings, phone_options
from edl.device import extras
from edl.device.firehose import Programmer
from edl.device.storage import Storage, Tables
from edl.errors import DeviceRefusedError, VerifyError
from edl.events import Stage
from edl.formats.gpt import Gpt


@click.command("fixgpt")
@click.option("-u", "--lun", type=click.IntRange(0, 255), default=0, help="Which LUN [default: 0].")
@click.option("--grow", is_flag=True, help="Let the last partition end where the LUN ends.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what is there and touch nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@phone_options
@click.pass_obj
def command(settings: Settings, lun: int, grow: bool, dry_run: bool, yes: bool) -> None:
    """Let the programmer itself make both partition tables of a LUN from its first one.

    Only programmers of generation 3 can. 'edl gpt repair' does the same with any programmer, also
    from the backup table, a file or a package, and shows beforehand what changes: prefer it.

    \b
    Example:
      edl fixgpt --lun 4 --dry-run
    """
    app = App(settings)
    with app.phone() as phone:
        programmer = _able(firehose(phone))
        before = _sound(Storage(phone).table(lun), lun)
        count = len(before.partitions)
        lines = [f"LUN {lun}: {count} partitions, {_end(before)}"]
        if not dry_run:
            app.confirm(f"This writes both partition tables of LUN {lun} anew.", yes=yes)
            app.emit(Stage("fixgpt", f"the programmer mends the tables of LUN {lun}"))
            app.settings.changing = True
            extras.fix_gpt(programmer, lun, grow=grow)
            after = _verified(Storage(phone).table(lun), before, lun)
            app.settings.changing = False
            lines.append(f"Both tables are sound now and agree: {_end(after)}.")
    app.result({"lun": lun, "partitions": count, "grow": grow, "done": not dry_run}, lines)


def _able(programmer: Programmer) -> Programmer:
    """Return programmer, which has the command.

    Raises:
        DeviceRefusedError: it lacks it.
    """
    if programmer.generation != 3 or programmer.supports("fixgpt") is False:
        raise DeviceRefusedError(
            "This programmer has no <fixgpt>.",
            remedies=("edl gpt repair does the same with any programmer.",),
        )
    return programmer


def _sound(tables: Tables, lun: int) -> Gpt:
    """Return the primary table, from which the programmer makes both.

    Raises:
        DeviceRefusedError: it is damaged; the programmer would refuse, or spread the damage.
    """
    table = tables.primary
    if not isinstance(table, Gpt) or not (table.header_crc_ok and table.entries_crc_ok):
        raise DeviceRefusedError(
            f"The first partition table of LUN {lun} is damaged, and <fixgpt> takes it for true.",
            remedies=("Mend it from the backup table, or from a package: edl gpt repair",),
        )
    return table


def _verified(tables: Tables, before: Gpt, lun: int) -> Gpt:
    """Return the table that is there now.

    Raises:
        VerifyError: a copy is damaged, they differ, or partitions are not where they were.
    """
    copies = [each for each in (tables.primary, tables.backup) if isinstance(each, Gpt)]
    sound = [each for each in copies if each.header_crc_ok and each.entries_crc_ok]
    places = [[(each.name, each.first_sector) for each in copy.partitions] for copy in sound]
    if places != [[(each.name, each.first_sector) for each in before.partitions]] * 2:
        raise VerifyError(
            f"The programmer said yes, but the tables of LUN {lun} are not sound, or not the same.",
            remedies=("Look at them: edl printgpt", "Mend them: edl gpt repair"),
        )
    return sound[0]


def _end(table: Gpt) -> str:
    last = max(table.partitions, key=lambda each: each.first_sector, default=None)
    if last is None:
        return "no partition"
    return f"'{last.name}' ends at sector {last.first_sector + last.sectors - 1}"
