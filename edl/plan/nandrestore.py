# SPDX-License-Identifier: BSD-3-Clause
"""A backup of NAND on its way back: block by block, to where each block was.

Bad blocks of a chip stay where they are, and flash file systems (EFS2, UBI) know which blocks they
use: so every block goes back to its own place, and what the backup does not know, because it was
bad or unreadable, stays as it is. Pages that were erased are not programmed: file systems append
to blocks, and a page can be programmed only once.
"""

from __future__ import annotations

from collections.abc import Iterator

from edl.chunks import Content, read_all
from edl.contents import Slice
from edl.errors import SafetyError
from edl.firehose.commands import Area
from edl.formats.gpt import Partition
from edl.formats.manifest import Kind
from edl.plan.dump import Dump, Part
from edl.plan.model import Erase, Step, Write
from edl.plan.nand import is_filler

_ERASED = b"\xff"


def require_own(dump: Dump, *, own: bool) -> None:
    """Make sure that a dump may go back to NAND: it is this modem's own backup.

    Raises:
        SafetyError: it is not.
    """
    if own and dump.storage.type == "nand":
        return
    raise SafetyError(
        f"{dump.title} is not a backup that edl has made of this very modem. On NAND a dump cannot"
        " be written elsewhere: where its bad blocks are, others are good, and calibration is of"
        " one modem. Nothing was written.",
        remedies=(
            "Write the package of the modem's maker: edl rawprogram PACKAGE.",
            "Or single images of it: edl write NAME FILE.",
        ),
    )


def misplaced(part: Part, there: tuple[Partition, ...]) -> str:
    """Return why part cannot go back to its place on a chip with these partitions, if so."""
    if part.kind is not Kind.PARTITION or not there:
        return ""
    place = (part.name, part.start_sector, part.end_sector - 1)
    if place in {(each.name, each.first_sector, each.last_sector) for each in there}:
        return ""
    return f"'{part.name}' lies elsewhere on the phone, or is not there"


def steps(part: Part, unit: int, pages: int, source: str) -> Iterator[Step]:
    """Yield the steps that put part back. unit: size of a page. pages: in an erase block."""
    content = part.content
    if content is None:
        return
    runs = list(_blocks(part, content, unit, pages))
    at = 0
    while at < len(runs):
        start, used = runs[at]
        end = at + 1  # full blocks in a row go in one step, and so do blank ones
        same = used if used in {0, pages} else None
        while (
            end < len(runs)
            and same is not None
            and runs[end]
            == (
                start + (end - at) * pages,
                same,
            )
        ):
            end += 1
        room = Area(part.lun, start, (end - at) * pages, unit)
        if used:
            count = room.sectors if used == pages else used
            cut = Slice(content, (start - part.start_sector) * unit, count * unit)
            area = Area(part.lun, start, count, unit)
            yield Write(area, cut, part.name, source, "", room)
        else:
            yield Erase(room, part.name, "")
        at = end


def _blocks(part: Part, content: Content, unit: int, pages: int) -> Iterator[tuple[int, int]]:
    """Yield (first page, used pages) of each block of which the backup knows what it held."""
    for start in range(part.start_sector, part.end_sector, pages):
        end = min(start + pages, part.end_sector)
        if any(first < end and start < first + count for first, count in part.bad):
            continue
        data = read_all(content, (start - part.start_sector) * unit, (end - start) * unit)
        if not is_filler(data):
            yield start, -(-len(data.rstrip(_ERASED)) // unit)
