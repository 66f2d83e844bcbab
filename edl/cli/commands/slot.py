# SPDX-License-Identifier: BSD-3-Clause
"""Show which slot (a or b) the phone starts, and change it."""

from __future__ import annotations

from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.gpt import carry_out
from edl.cli.options import Settings, change_options, phone_options
from edl.cli.ready import look_option
from edl.cli.reporting import report_option
from edl.device.storage import Storage
from edl.errors import UsageError
from edl.events import Stage
from edl.formats import slots
from edl.formats.slots import Slot, SlotState
from edl.plan.slots import PhoneSlots, phone_slots, slot_plan

_SLOTS: dict[str, Slot] = {"a": "a", "b": "b", "_a": "a", "_b": "b"}


@click.command("slot")
@click.argument("slot", required=False, metavar="[a|b]")
@click.option("--empty", is_flag=True, help="Even if nothing was ever written to the slot.")
@look_option
@report_option
@change_options
@phone_options
@click.pass_obj
def command(settings: Settings, /, slot: str | None, **arguments: Any) -> None:  # noqa: ANN401
    """Show the slots of an A/B phone, or make slot a or b the one that it starts.

    That changes the partition tables of all LUNs, as an update over the air does, and on UFS the
    LUN that the phone boots from.

    \b
    Examples:
      edl slot
      edl slot b --dry-run
      edl slot b
    """
    wanted = _wanted(slot)
    app = App(settings)
    with app.phone() as phone:
        storage = Storage(phone)
        app.emit(Stage("check", "reading the partition tables"))
        found = phone_slots(storage)
        ufs = phone.programmer.memory == "ufs"
        before = _states(found, ufs=ufs)
        if wanted is None:
            app.result(before, _text(before, "now"))
            return
        plan = slot_plan(storage, wanted, found, empty=arguments["empty"])
        after = _after(before, wanted, bootable=plan.bootable)
        app.show([*_text(before, "before"), *_text(after, "after")])
        data = {"slot": wanted, "before": before, "after": after}
        lines = [f"  slot       {wanted} is active"]
        carry_out(app, plan, phone, storage, arguments, data, lines)


def _wanted(slot: str | None) -> Slot | None:
    if slot is None:
        return None
    wanted = _SLOTS.get(slot.lower())
    if wanted is None:
        raise UsageError(f"'{slot}' is no slot: there are a and b.")
    return wanted


def _states(found: PhoneSlots, *, ufs: bool) -> dict[str, Any]:
    states = slots.boot_states(found.partitions) or {}
    active = slots.active_of(found.partitions)
    return {
        "active": active,
        "boot_lun": slots.BOOT_LUNS[active] if ufs and active else None,
        "slots": [_state(name, state, active) for name, state in states.items()],
    }


def _state(name: Slot, state: SlotState, active: Slot | None) -> dict[str, Any]:
    return {
        "slot": name,
        "starts": name == active and (state.can_start or not state.active),
        "priority": state.priority,
        "active": state.active,
        "tries": state.tries,
        "successful": state.successful,
        "unbootable": state.unbootable,
    }


def _after(before: dict[str, Any], wanted: Slot, *, bootable: int | None) -> dict[str, Any]:
    rows = [
        _state(wanted, slots.ACTIVE, wanted)
        if row["slot"] == wanted
        else row | {"active": False, "starts": False}
        for row in before["slots"]
    ]
    return {"active": wanted, "boot_lun": bootable, "slots": rows}


def _text(states: dict[str, Any], when: str) -> list[str]:
    active = states["active"]
    lines = [
        f"{when}: slot {active} is active" if active else f"{when}: no slot is active",
        "  slot  active  priority  tries  successful  unbootable",
    ]
    lines += [
        f"  {row['slot']:<4}  {_yes(row['active']):<6}  {row['priority']:<8}  {row['tries']:<5}"
        f"  {_yes(row['successful']):<10}  {_yes(row['unbootable'])}"
        for row in states["slots"]
    ]
    if active and not any(row["starts"] for row in states["slots"]):
        lines.append(f"  slot {active} cannot start: it has no try left, or failed")
    if active and not any(row["active"] for row in states["slots"]):
        lines.append("  nothing was ever marked: the boot loader takes a then")
    if states["boot_lun"] is not None:
        lines.append(
            f"  boot LUN: {states['boot_lun']} belongs to it (no programmer tells which is set)"
        )
    return lines


def _yes(value: object) -> str:
    return "yes" if value else "no"
