# SPDX-License-Identifier: BSD-3-Clause
"""Compare the phone with a package."""

from __future__ import annotations

import hashlib
from typing import Any

import click

from edl.cli.app import App
from edl.cli.commands.rawprogram import Request, opened, package_arguments
from edl.cli.options import Settings, once, phone_options
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import CancelledError, ReadFailedError, VerifyError
from edl.events import BytesMoved, StepStarted
from edl.plan import byname, job
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.compare import Checker
from edl.plan.job import Rules
from edl.plan.model import Plan, Write, plural
from edl.plan.patching import folded
from edl.plan.readout import pieces
from edl.units import format_size


@click.command("verify")
@package_arguments
@once(
    "--method", "--verify", "method", type=click.Choice(["auto", "sha256", "readback"]),
    default="auto", help="How to compare [default: auto].",
)  # fmt: skip
@phone_options
@click.pass_obj
def command(settings: Settings, /, method: str, **arguments: Any) -> None:  # noqa: ANN401
    """Compare the phone with a package, part by part. Nothing is changed.

    Partitions that exist only once are the phone's own; they differ from every package.

    \b
    Examples:
      edl verify ROM_FOLDER
      edl verify ROM_FOLDER --only boot_a,system_a
    """
    app = App(settings)
    request = opened(app, arguments)
    with app.phone(request.package) as phone:
        plan = _plan(app, phone, request)
        checker = Checker(phone.programmer, method)
        app.total(sum(write.area.size_bytes for write in plan.writes))
        with app.gentle() as cancel:
            rows = []
            for index, write in enumerate(plan.writes, 1):
                if cancel.is_set():
                    raise CancelledError("Stopped, as you asked; nothing was changed.")
                rows.append(_compare(app, checker, index, len(plan.writes), write))
    different = [row["label"] for row in rows if not row["equal"]]
    total = sum(write.area.size_bytes for write in plan.writes)
    data = {"parts": rows, "equal": not different, "how": checker.how, "bytes": total}
    app.result(
        data | {"kept": list(plan.kept)},
        [
            *map(_line, rows),
            *(f"  own        {name} (it belongs to this phone alone)" for name in plan.kept),
            *_verdict(total, checker.how, different=bool(different)),
        ],
    )
    if different:
        raise VerifyError(
            f"{len(different)} of {plural(len(rows), 'part')} differ: {', '.join(different)}.",
            remedies=("Write the package: edl rawprogram ...",),
        )


def _line(row: dict[str, Any]) -> str:
    reason = f" ({row['problem']})" if row["problem"] else ""
    return f"  {'equal' if row['equal'] else 'DIFFERENT':<10} {row['label']}{reason}"


def _verdict(total: int, how: str, *, different: bool) -> list[str]:
    if different:
        return []
    return [f"All {format_size(total)} are equal to the package ({how})."]


def _plan(app: App, phone: Phone, request: Request) -> Plan:
    storage = Storage(phone)
    package = byname.on_phone(request.package, storage, request.slot)
    geometry = job.geometry_for(package, storage)
    plan = checked(build(package, geometry, request.options))
    app.findings(plan)
    prepared, _ = job.prepare(plan, storage, Rules(backup=False))
    # a write that covers more than what is unique stops a job, but can be compared
    return folded(plan, storage.read) if prepared.errors else prepared


def _compare(app: App, checker: Checker, index: int, count: int, write: Write) -> dict[str, Any]:
    """Return whether the phone holds what write would put there."""
    app.emit(StepStarted(index, count, write.label, write.area.size_bytes))
    equal, problem = True, None

    def moved(count: int) -> None:
        app.emit(BytesMoved(count))

    for area, offset in pieces(write.area):
        wanted = hashlib.sha256()
        for chunk in write.content.chunks(offset, area.size_bytes):
            wanted.update(chunk)
        try:
            equal = checker.holds(area, wanted.digest(), moved) and equal
        except ReadFailedError as error:
            equal, problem = False, error.message
    return {
        "label": write.label,
        "lun": write.area.lun,
        "start_sector": write.area.start_sector,
        "sectors": write.area.sectors,
        "equal": equal,
        "problem": problem,
    }
