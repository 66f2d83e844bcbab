# SPDX-License-Identifier: BSD-3-Clause
"""Show digests of partitions or sectors."""

from __future__ import annotations

import hashlib
from typing import Any

import click

from edl.cli.app import App
from edl.cli.options import Settings, lun_option, phone_options
from edl.cli.targets import with_lun
from edl.device.programmer import Programmer
from edl.device.storage import Place, Storage, parse_targets
from edl.errors import CancelledError
from edl.events import BytesMoved, StepStarted
from edl.plan.readout import pieces


@click.command("sha256")
@click.argument("target", nargs=-1, required=True)
@lun_option()
@phone_options
@click.pass_obj
def command(settings: Settings, target: tuple[str, ...], lun: int | None) -> None:
    """Show the SHA-256 of TARGET, computed by the phone where it can, else by reading.

    \b
    Examples:
      edl sha256 boot_a boot_b
      edl sha256 0/0+34
    """
    app = App(settings)
    parsed = parse_targets([text for one in target for text in with_lun(one, lun)])
    rows: list[dict[str, Any]] = []
    with app.phone() as phone:
        storage = Storage(phone)
        places = [storage.place(one) for one in parsed]
        with app.gentle():
            for index, place in enumerate(places, 1):
                app.emit(StepStarted(index, len(places), place.label, place.area.size_bytes))
                rows.append(_row(app, place, phone.programmer))
    app.result({"digests": rows}, [f"{row['sha256']}  {row['label']}" for row in rows])


def _row(app: App, place: Place, programmer: Programmer) -> dict[str, Any]:
    digest, how = programmer.sha256(place.area), "phone"
    if digest is None:
        digest, how = _by_reading(app, place, programmer), "read"
    else:
        app.emit(BytesMoved(place.area.size_bytes))
    return {
        "label": place.label,
        "lun": place.area.lun,
        "start_sector": place.area.start_sector,
        "sectors": place.area.sectors,
        "sha256": digest.hex(),
        "computed_by": how,
    }


def _by_reading(app: App, place: Place, programmer: Programmer) -> bytes:
    found = hashlib.sha256()

    def take(data: memoryview) -> None:
        found.update(data)
        app.emit(BytesMoved(len(data)))

    for piece, _ in pieces(place.area):
        if app.cancel.is_set():
            raise CancelledError("Stopped, as you asked; nothing was changed.")
        programmer.read(piece, take)
    return found.digest()
