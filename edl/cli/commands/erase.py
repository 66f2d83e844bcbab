# SPDX-License-Identifier: BSD-3-Clause
"""Erase partitions or sectors."""

from __future__ import annotations

from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.write import carry_out, plan_for
from edl.cli.options import Settings, change_options, lun_option, phone_options
from edl.cli.ready import look_option
from edl.cli.reporting import report_option
from edl.cli.targets import with_lun
from edl.device.storage import Storage, parse_targets
from edl.errors import UsageError
from edl.plan.check import checked
from edl.plan.model import Erase, Step
from edl.units import format_size


@click.command("erase")
@click.argument("target", nargs=-1, required=True)
@lun_option()
@look_option
@report_option
@change_options
@phone_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Erase TARGET: afterwards it reads as nothing. Several with commas, or one by one.

    TARGET: NAME, LUN/NAME, LUN or LUN/START+SECTORS.

    Zeros are written where the programmer's own erase cannot be trusted to stop at the partition's
    end: on the first generation it wipes everything.

    \b
    Examples:
      edl erase misc
      edl erase 4/boot_a --dry-run
    """
    texts = [text for target in arguments["target"] for text in with_lun(target, arguments["lun"])]
    erase(App(settings), texts, arguments)


def erase(app: App, texts: list[str], arguments: dict[str, Any]) -> None:
    """Erase what texts name.

    Raises:
        UsageError: a text names a start and no end: too much is at stake to guess.
    """
    parsed = parse_targets(texts)
    for target in parsed:
        if target.start is not None and target.sectors is None:
            raise UsageError(
                f"'{target.text}' does not say how much to erase.",
                remedies=(
                    f"Name the length too: {target.text}+SECTORS.",
                    f"For all of LUN {target.lun}, partition tables too: edl erase {target.lun}",
                ),
            )
    with app.phone() as phone:
        storage = Storage(phone)
        places = [storage.place(target) for target in parsed]
        steps: list[Step] = [Erase(place.area, place.label, "") for place in places]
        names = ", ".join(place.label for place in places)
        plan = checked(plan_for("erase", names, steps, storage))
        size = format_size(sum(step.area.size_bytes for step in plan.steps))
        tables = any(place.whole_lun for place in places)
        question = f"This erases {names} ({size}{', partition tables included' if tables else ''})."
        carry_out(app, plan, phone, storage, arguments, question=question)
