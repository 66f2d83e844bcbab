# SPDX-License-Identifier: BSD-3-Clause
"""`edl read --rescue`: an image of dying flash, as far as it can still be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.backup.passes import Passes
from edl.backup.rescue import Lost, Rescue, losses, open_image
from edl.cli.app import App
from edl.cli.staying import staying
from edl.device.programmer import Programmer
from edl.device.storage import Place, Storage, parse_targets
from edl.errors import (
    DeviceRefusedError,
    EdlError,
    ProtocolError,
    ReadFailedError,
    TransportError,
)
from edl.events import StepStarted
from edl.formats.rescuemap import Block, RescueMap
from edl.outfile import require_room
from edl.plan.model import plural
from edl.units import format_size

_MOST_NAMES = 6
_GO_ON = "Then give the same command again: it goes on, elsewhere first."


@dataclass(frozen=True)
class Wanted:
    """What the options say. map_path: None for FILE.map. anew: begin again, whatever is there."""

    map_path: Path | None = None
    retries: int = 0
    scrape: bool = True
    anew: bool = False


def rescue(app: App, target: str, path: Path, wanted: Wanted) -> None:
    """Copy target into path, from good to bad, and keep a map beside it.

    Raises:
        ReadFailedError: something could not be read; the result, which was shown, says what.
    """
    (parsed,) = parse_targets([target])
    map_path = wanted.map_path or path.with_name(path.name + ".map")
    with staying(app) as held:
        storage = Storage(held.phone)
        place = storage.place(parsed)
        area = place.area
        image, known = open_image(path, map_path, area, anew=wanted.anew)

        def again(error: EdlError) -> Programmer:
            try:
                return held.again(error).programmer
            except EdlError as final:
                final.remedies = (*final.remedies[:2], _GO_ON)
                raise

        try:
            storage.table(area.lun)  # for the names of what is lost, while the phone answers
        except DeviceRefusedError:
            pass
        except (TransportError, ProtocolError) as error:
            again(error)
        with image, app.gentle() as cancel:
            missing = area.size_bytes - known.total(Block.SAVED)
            require_room(path.absolute().parent, missing)
            app.total(missing)
            app.emit(StepStarted(1, 1, place.label, missing))
            job = Rescue(
                held.phone.programmer, area, image, map_path, known,
                again=again, emit=app.emit, cancel=cancel,
            )  # fmt: skip
            job.run(Passes(known, area.sector_bytes, scrape=wanted.scrape, retries=wanted.retries))
        lost = losses(known, area, storage)
    data = _data(place, path, map_path, job)
    app.result({**data, "lost": list(map(_row, lost))}, _text(path, map_path, known, lost))
    if lost:
        raise _incomplete(known, lost)


def _data(place: Place, path: Path, map_path: Path, job: Rescue) -> dict[str, Any]:
    area, known = place.area, job.map
    return {
        "label": place.label,
        "lun": area.lun,
        "start_sector": area.start_sector,
        "sectors": area.sectors,
        "bytes": area.size_bytes,
        "file": str(path),
        "map": str(map_path),
        "saved_bytes": known.total(Block.SAVED),
        "bad_bytes": known.total(Block.BAD),
        "untried_bytes": known.total(Block.UNTRIED, Block.FAILED, Block.TRIMMED),
        "moved_bytes": job.moved_bytes,
    }


def _row(lost: Lost) -> dict[str, Any]:
    return {
        "name": lost.name or None,
        "first_sector": lost.first_sector,
        "sectors": lost.sectors,
    }


def _text(path: Path, map_path: Path, known: RescueMap, lost: list[Lost]) -> list[str]:
    saved = known.total(Block.SAVED)
    lines = [f"{path}  {format_size(saved)} of {format_size(known.size_bytes)} saved"]
    for each in lost:
        where = f"'{each.name}'" if each.name else "no partition"
        lines.append(
            f"  lost  {plural(each.sectors, 'sector')} of {where}, the first is {each.first_sector}"
        )
    if lost:
        lines.append(f"  map   {map_path}")
    return lines


def _incomplete(known: RescueMap, lost: list[Lost]) -> ReadFailedError:
    sectors = sum(each.sectors for each in lost)
    names = [f"'{each.name}'" for each in lost if each.name]
    of = f" of {', '.join(names[:_MOST_NAMES])}{', ...' if names[_MOST_NAMES:] else ''}"
    left = known.total(Block.UNTRIED, Block.FAILED, Block.TRIMMED)
    remedies = ["Try the bad sectors again, later or with the phone cooled: add --retries 3."]
    if left:
        remedies.insert(0, "Give the same command again: it goes on with what was not tried yet.")
    return ReadFailedError(
        f"{plural(sectors, 'sector')}{of if names else ''} could not be read. All else is in the"
        " image.",
        remedies=remedies,
    )
