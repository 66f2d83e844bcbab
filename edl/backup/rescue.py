# SPDX-License-Identifier: BSD-3-Clause
"""An image of flash that is dying, with a map of what is in it: stopped and gone on with at will.

The map is only written when what it calls saved is on the disk. What cannot be read stays as it is
in the image: a hole, in a new one. Each sector is read once, and not proved by a second reading:
flash that is dying may not have that many left in it. (USB itself checks what it carries.)
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edl.backup.passes import Attempt, Came, Passes, Steps
from edl.contents import is_zero
from edl.device.programmer import Programmer
from edl.device.storage import Storage
from edl.errors import (
    AuthorizationError,
    CancelledError,
    DeviceRefusedError,
    DiskError,
    EdlError,
    ProtocolError,
    TransportError,
    UsageError,
)
from edl.events import BytesMoved, Emit, Notice, Stage
from edl.firehose.commands import Area
from edl.formats import rescuemap
from edl.formats.rescuemap import Block, Phase, RescueMap
from edl.outfile import new_file
from edl.units import format_size

_SAVE_EVERY_S = 30.0
_WORDS = {
    Phase.COPYING: "reading large parts, leaping over what fails",
    Phase.TRIMMING: "reading the failed parts from their edges",
    Phase.SCRAPING: "reading between bad sectors",
    Phase.RETRYING: "trying the bad sectors again",
}


@dataclass(frozen=True)
class Lost:
    """What could not be read of a partition: so many sectors, the first of them at first_sector.

    name: empty for what lies in no partition.
    """

    name: str
    first_sector: int
    sectors: int


class Rescue:
    """Copies area into an image.

    image: a file that takes the bytes of area, from its beginning on. again: called when the
    programmer has died of a read; returns the one that runs now, or raises what ends the job.
    cancel: stops it between two reads.

    Attributes:
        map: what was saved so far. moved_bytes: how much was transferred.
    """

    def __init__(
        self,
        programmer: Programmer,
        area: Area,
        image: BinaryIO,
        map_path: Path,
        rescue: RescueMap,
        *,
        again: Callable[[EdlError], Programmer],
        emit: Emit,
        cancel: threading.Event,
    ) -> None:
        self.map = rescue
        self.moved_bytes = 0
        self._programmer = programmer
        self._area = area
        self._image = image
        self._map_path = map_path
        self._again = again
        self._emit = emit
        self._cancel = cancel
        self._saved_at = time.monotonic()
        self._died: EdlError | None = None

    def run(self, passes: Passes) -> None:
        """Read what passes, which is over the same map, asks for.

        Raises:
            CancelledError: stopped; the map tells how to go on.
            AuthorizationError: the programmer is locked.
            DiskError: the image or the map cannot be written.
            EdlError: the programmer died, and the phone did not come back.
        """
        self.save()  # so that there is a map with the image, whatever comes
        steps = passes.steps()
        shown: tuple[Phase, int] | None = None
        try:
            attempt = next(steps, None)
            while attempt is not None:
                if shown != (attempt.why, self.map.pass_number):
                    shown = (attempt.why, self.map.pass_number)
                    self._tell(*shown)
                self._require_going_on()
                self._require_programmer()
                attempt = _next(steps, self._attempt(attempt))
                if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                    self.save()
        finally:
            self.save()

    def _tell(self, phase: Phase, number: int) -> None:
        left = self.map.total(*Block) - self.map.total(Block.SAVED)
        text = f"{_WORDS[phase]}, pass {number}: {format_size(left)} are missing"
        self._emit(Stage("rescue", text))

    def _require_going_on(self) -> None:
        if self._cancel.is_set():
            raise CancelledError(
                "Stopped as you asked. What was read so far is in the image.",
                remedies=("To go on, give the same command again.",),
            )

    def _require_programmer(self) -> None:
        """Bring the phone back of which the programmer died. The map has what was learnt of it."""
        if self._died is not None:
            self.save()
            self._programmer = self._again(self._died)
            self._died = None

    def _attempt(self, attempt: Attempt) -> Came:
        """Make a read, and keep what it gave."""
        buffer, at = bytearray(attempt.size), 0

        def sink(data: memoryview) -> None:
            nonlocal at
            buffer[at : at + len(data)] = data
            at += len(data)

        try:
            self._programmer.read(self._area.part(attempt.start, attempt.size), sink)
        except AuthorizationError:
            raise
        except DeviceRefusedError:
            return Came.NOTHING
        except (TransportError, ProtocolError) as error:
            first = self._area.start_sector + attempt.start // self._area.sector_bytes
            self._emit(Notice(f"the programmer died at sector {first} ({error})"))
            self._died = error
            return Came.SILENCE
        self.moved_bytes += at
        self._store(attempt.start, memoryview(buffer))
        self._emit(BytesMoved(attempt.size))
        return Came.DATA

    def _store(self, start: int, data: memoryview) -> None:
        """Put data into the image; zeros only where it has something else, so that holes stay."""
        try:
            self._image.seek(start)
            if is_zero(data):
                there = self._image.read(len(data))
                if is_zero(memoryview(there)):
                    return
                self._image.seek(start)
            self._image.write(data)
        except OSError as error:
            raise _unwritable("The image", error) from error

    def save(self) -> None:
        """Bring the image, then the map, to the disk.

        Raises:
            DiskError: that is not possible.
        """
        try:
            self._image.flush()
            os.fsync(self._image.fileno())
        except OSError as error:
            raise _unwritable("The image", error) from error
        with new_file(self._map_path) as file:
            file.write(self.map.text().encode())
        self._saved_at = time.monotonic()


def _next(steps: Steps, came: Came) -> Attempt | None:
    try:
        return steps.send(came)
    except StopIteration:
        return None


# -- files --------------------------------------------------------------------------------------


def open_image(path: Path, map_path: Path, area: Area, *, anew: bool) -> tuple[BinaryIO, RescueMap]:
    """Return the image, opened, and what is in it already by its map.

    anew: begin again, whatever is there.

    Raises:
        UsageError: there is an image without a map, or the reverse, or the map is of something
            larger.
        DocumentError: the map is no map.
        DiskError: a file cannot be read or made.
    """
    rescue = None if anew else read_map(map_path, area)
    try:
        if rescue is not None:
            if not path.is_file():
                raise UsageError(
                    f"{map_path} tells of an image, but there is no {path}.",
                    remedies=("Bring the image back, or begin anew with --force.",),
                )
            return path.open("r+b"), rescue
        if path.exists() and not anew:
            raise UsageError(
                f"{path} exists already, and there is no map of it ({map_path}).",
                remedies=("Name its map with --map, choose another name, or add --force.",),
            )
        image = path.open("w+b")
        image.truncate(area.size_bytes)
    except OSError as error:
        raise _unwritable(str(path), error) from error
    return image, RescueMap(area.size_bytes)


def read_map(path: Path, area: Area) -> RescueMap | None:
    """Return the map in path, for area; None if there is no such file.

    Raises:
        UsageError: it is of something larger.
        DocumentError: it is no map.
        DiskError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(rescuemap.MAX_MAP_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DiskError(f"{path} cannot be read: {error.strerror}.") from error
    found = rescuemap.parse(data, path.name)
    beyond = [run for run in found if run.end > area.size_bytes and run.state is Block.SAVED]
    if beyond:
        raise UsageError(
            f"{path} is the map of something larger: it has saved {format_size(beyond[-1].end)},"
            f" and this is {format_size(area.size_bytes)}.",
            remedies=("Name the same TARGET as before.",),
        )
    return found.fitted(area.size_bytes, area.sector_bytes)


# -- what is lost ---------------------------------------------------------------------------------


def losses(rescue: RescueMap, area: Area, storage: Storage) -> list[Lost]:
    """Return what of area is not saved, by the partitions that it belongs to."""
    try:
        best = storage.table(area.lun).best
    except EdlError:  # what tells the names is lost as well
        best = None
    unit = area.sector_bytes
    gone = [
        (area.start_sector + run.start // unit, area.start_sector + run.end // unit)
        for run in rescue
        if run.state is not Block.SAVED
    ]
    named = [
        (part.name, part.first_sector, part.last_sector + 1)
        for part in (best.partitions if best else ())
    ]
    found = [lost for name, first, end in named for lost in _lost(name, first, end, gone)]
    outside = gone
    for _, first, end in named:
        outside = [
            piece
            for start, stop in outside
            for piece in ((start, min(stop, first)), (max(start, end), stop))
            if piece[0] < piece[1]
        ]
    found += _lost("", 0, area.start_sector + area.sectors, outside)
    return sorted(found, key=lambda lost: lost.first_sector)


def _lost(name: str, first: int, end: int, gone: list[tuple[int, int]]) -> Iterator[Lost]:
    """Yield what of the sectors from first to before end is gone, if anything is."""
    inside = [(max(first, start), min(end, stop)) for start, stop in gone]
    inside = [(start, stop) for start, stop in inside if start < stop]
    if inside:
        yield Lost(name, inside[0][0], sum(stop - start for start, stop in inside))


def _unwritable(what: str, error: OSError) -> DiskError:
    return DiskError(
        f"{what} cannot be written: {error.strerror}.",
        remedies=("Make room on that disk; then give the same command again: it goes on.",),
    )
