# SPDX-License-Identifier: BSD-3-Clause
"""A programmer as jobs use it, for NAND: erases before it programs, reads around bad blocks.

See edl.plan.nand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from edl.device.firehose import Programmer as FirehoseProgrammer
from edl.device.programmer import Programmer
from edl.errors import AuthorizationError, DeviceRefusedError, UsageError, VerifyError
from edl.firehose.commands import Area
from edl.plan.model import Plan
from edl.plan.nand import is_filler

_ERASED = 0xFF

Sink = Callable[[memoryview], None]


def for_plan(programmer: Programmer, plan: Plan) -> Programmer:
    """Return programmer as plan needs it: on NAND it knows the room of each write.

    Raises:
        UsageError: it speaks another protocol than Firehose, and has its own ways with NAND.
    """
    pages = plan.geometry.pages_per_block
    if pages is None:
        return programmer
    if not isinstance(programmer, FirehoseProgrammer):
        raise UsageError("This programmer writes NAND by whole partitions only.")
    rooms = {write.area: write.room for write in plan.writes if write.room is not None}
    return cast(Programmer, OnNand(programmer, rooms, pages))


class OnNand:
    """A programmer for NAND; what is not here it does as ever.

    rooms: the erase blocks that a write may use, by the area of its data. pages: in a block.
    """

    def __init__(self, programmer: FirehoseProgrammer, rooms: dict[Area, Area], pages: int) -> None:
        self._programmer = programmer
        self._rooms = rooms
        self._pages = pages
        self._written: dict[Area, bytes] = {}  # digest of what was programmed

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # as the programmer has it
        return getattr(self._programmer, name)

    def program(
        self,
        area: Area,
        chunks: Iterable[memoryview],
        *,
        label: str = "",
        moved: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Erase the room of area, and write chunks to its good blocks; see Programmer.

        Raises:
            DeviceRefusedError: its blocks cannot be erased, or there are too few good ones.
        """
        room = self._rooms[area]
        digest = hashlib.sha256()

        def hashed() -> Iterator[memoryview]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        moved(0)  # from here on the phone is changed
        self._programmer.erase(room)
        last = room.start_sector + room.sectors - 1
        self._programmer.program(area, hashed(), label=label, moved=moved, last_sector=last)
        self._written[area] = digest.digest()

    def erase(self, area: Area) -> None:
        """Erase area, and make sure of it.

        Raises:
            VerifyError: a block that can be read is not blank.
        """
        self._programmer.erase(area)
        for block, data in blocks(self._programmer, area, self._pages):
            if data is not None and data.count(_ERASED) != len(data):
                last = block.start_sector + block.sectors - 1
                raise VerifyError(
                    f"Pages {block.start_sector} to {last} are not blank after <erase>."
                )

    def sha256(self, area: Area) -> bytes | None:
        """Return the phone's digest of area where it is about what was programmed.

        Of a place with bad blocks it may be about filler: then reading tells.
        """
        told = self._programmer.sha256(area)
        return told if told == self._written.get(area, told) else None

    def read(self, area: Area, sink: Sink) -> None:
        """Give what was programmed for area to sink, from the good blocks of its room.

        Programmers that read as they program give it in a row; others give filler for bad blocks,
        or do not read them.
        """
        room = self._rooms.get(area)
        if room is None:
            self._programmer.read(area, sink)
            return
        data = bytearray()
        try:
            self._programmer.read(area, data.extend)
        except AuthorizationError:
            raise
        except DeviceRefusedError:
            data.clear()
        if hashlib.sha256(data).digest() != self._written.get(area):
            data.clear()
            for _, block in blocks(self._programmer, room, self._pages):
                data += block or b""
        sink(memoryview(data)[: area.size_bytes])


def blocks(programmer: Programmer, area: Area, pages: int) -> Iterator[tuple[Area, bytes | None]]:
    """Yield each erase block of area with its bytes; None for one that the phone does not give.

    Raises:
        AuthorizationError: the programmer is locked.
    """
    unit = area.sector_bytes
    for at in range(0, area.sectors, pages):
        count = min(pages, area.sectors - at)
        block, data = Area(area.lun, area.start_sector + at, count, unit), bytearray()
        try:
            programmer.read(block, data.extend)
        except AuthorizationError:
            raise
        except DeviceRefusedError:
            yield block, None
        else:
            yield block, None if is_filler(bytes(data)) else bytes(data)
