# SPDX-License-Identifier: BSD-3-Clause
"""Would the phone start if it were restarted now?"""

from __future__ import annotations

import click

from edl.boot import check, model, remembered
from edl.boot.model import Job
from edl.cli import ready
from edl.cli.again import lasting
from edl.cli.app import App
from edl.cli.options import Settings, once, phone_options
from edl.events import Notice, Stage


@click.command("boot-check")
@once(
    "--boot-lun", type=click.IntRange(1, 255), metavar="LUN",
    help="UFS: the LUN that it is set to boot from, which no programmer tells.",
)  # fmt: skip
@phone_options
@click.pass_obj
def command(settings: Settings, boot_lun: int | None) -> None:
    """Look whether the phone would start if it were restarted now. Nothing is changed.

    It looks at the partition tables, the active slot, each image of the boot chain and the key that
    signed it, at what exists only once, and at the builds; and says what to expect.

    \b
    Examples:
      edl boot-check
      edl boot-check --json
    """
    app = App(settings)
    with app.phone() as phone:
        app.emit(Stage("boot", "looking whether the phone would start"))
        with app.gentle() as cancel:
            before = remembered.recall(phone.serial) if lasting(settings.virtual) else None
            readiness = check.check(phone, Job(bootable=boot_lun), before, cancel)
        for finding in readiness.findings:
            app.show_finding(finding)
        for what in readiness.unread:
            app.emit(Notice(f"not looked at: {what}"))
        app.result(model.as_data(readiness), ready.full(readiness))
    if readiness.severe:
        raise ready.not_ready(readiness, "The phone would not start")
