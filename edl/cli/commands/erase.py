# SPDX-License-Identifier: BSD-3-Clause
"""Erase partitions or sectors."""

from __future__ import annotations

from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.write import carry_out, plan_for
from edl.cli.options import Settings, change_options, lun_option, phone_options
from edl.cli.targets import with_lun
from edl.device.storage import Storage, parse_targets
from edl.plan.model import Erase, Step
from edl.units import format_size


@click.command("erase")
@click.argument("target", nargs=-1, required=True)
@lun_option()
@change_options
@phone_options
@click.pass_obj
def command(settings: Settings, /, **arguments: Any) -> None:  # noqa: ANN401
    """Erase TARGET: afterwards it reads as nothing.

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
    """Erase what texts name."""
    parsed = parse_targets(texts)
    with app.phone() as phone:
        storage = Storage(phone)
        places = [storage.place(target) for target in parsed]
        steps: list[Step] = [Erase(place.area, place.label, "") for place in places]
        names = ", ".join(place.label for place in places)
        plan = plan_for("erase", names, steps, storage)
        size = format_size(sum(place.area.size_bytes for place in places))
        question = f"This erases {names} ({size})."
        carry_out(app, plan, phone, storage, arguments, question=question)
