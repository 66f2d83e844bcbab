# SPDX-License-Identifier: BSD-3-Clause
"""Choose the LUN that the phone boots from."""

from __future__ import annotations

import click

from edl.cli.app import App
from edl.cli.options import Settings, phone_options
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import UsageError


@click.command("set-bootable")
@click.argument("lun", type=click.IntRange(0, 255))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@phone_options
@click.pass_obj
def command(settings: Settings, lun: int, yes: bool) -> None:
    """Make the phone boot from LUN: on UFS 1 or 2 (slot a or b), on eMMC 0.

    \b
    Example:
      edl set-bootable 1
    """
    app = App(settings)
    with app.phone() as phone:
        _check(lun, phone)
        if lun == 0 and phone.programmer.memory == "ufs":
            app.confirm("This switches booting off.", yes=yes)
        phone.programmer.set_bootable(lun)
    app.result({"bootable": lun}, [f"The phone boots from LUN {lun} now."])


def _check(lun: int, phone: Phone) -> None:
    """Make sure that the phone can boot from lun.

    Raises:
        UsageError: it cannot.
    """
    if phone.lun_count is not None and lun not in Storage(phone).luns():
        raise UsageError(f"The phone has {phone.lun_count} LUNs, no LUN {lun}.")
    if phone.programmer.memory == "ufs" and lun > 2:
        raise UsageError("UFS boots from LUN 1 or LUN 2 (0 switches booting off).")
    if phone.programmer.memory == "emmc" and lun > 0:
        raise UsageError("eMMC boots from LUN 0; slots a and b are chosen in its partition table.")
