# SPDX-License-Identifier: BSD-3-Clause
"""How a LUN reads: spots all over it, each read twice, with the time that it took.

Flash that wears out tells it in three ways: reads fail, reads differ, and reads take long because
the storage tries again and again before it gives up.
"""

from __future__ import annotations

import enum
import hashlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from edl.device.programmer import Programmer
from edl.errors import CancelledError, DeviceRefusedError, ReadFailedError
from edl.events import BytesMoved, Emit, StepStarted, ignore
from edl.firehose.commands import Area
from edl.units import MIB, format_size

SPOTS = 128
SPOT_BYTES = MIB
_SLOW_RATIO = 8.0  # so many times the median, and at least:
_SLOW_S = 0.25


class State(enum.StrEnum):
    """How a spot reads.

    WITHHELD: the programmer refuses it, or gives zeros where the storage holds something else.
    """

    GOOD = "good"
    SLOW = "slow"
    UNSTABLE = "unstable"
    UNREADABLE = "unreadable"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Spot:
    """An area that was read. seconds: the faster of two reads; None if it could not be read.

    words: what the phone said about it.
    """

    area: Area
    state: State
    seconds: float | None = None
    words: str = ""

    @property
    def bytes_per_s(self) -> float | None:
        """How fast it was read."""
        return self.area.size_bytes / self.seconds if self.seconds else None


@dataclass(frozen=True)
class Surface:
    """What was seen of one LUN. whole: the spots cover all of it."""

    lun: int
    sectors: int
    sector_bytes: int
    spots: tuple[Spot, ...] = ()
    whole: bool = False

    @property
    def size_bytes(self) -> int:
        """Size of the LUN."""
        return self.sectors * self.sector_bytes

    @property
    def read_bytes(self) -> int:
        """How much of it was looked at."""
        return sum(spot.area.size_bytes for spot in self.spots)

    @property
    def median_s(self) -> float | None:
        """Median of the time that a spot takes."""
        times = [spot.seconds for spot in self.spots if spot.seconds is not None]
        return statistics.median(times) if times else None

    def of(self, *states: State) -> tuple[Spot, ...]:
        """Return the spots that are in one of states."""
        return tuple(spot for spot in self.spots if spot.state in states)


def spots(lun: int, sectors: int, sector_bytes: int, *, whole: bool) -> Iterator[Area]:
    """Yield the areas to look at: evenly spread, the first and the last sectors among them."""
    per_spot = max(1, SPOT_BYTES // sector_bytes)
    if whole:
        per_spot *= 16
    count = -(-sectors // per_spot)
    if not whole:
        count = min(count, SPOTS)
    last = max(0, sectors - per_spot)
    for index in range(count):
        start = index * per_spot if whole else last * index // max(1, count - 1)
        yield Area(lun, start, min(per_spot, sectors - start), sector_bytes)


@dataclass
class _Reading:
    """One read of a spot."""

    seconds: float
    digest: bytes
    blank: bool


@dataclass
class Reader:
    """Looks at LUNs. clock: in seconds."""

    programmer: Programmer
    emit: Emit = ignore
    cancel: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], float] = time.perf_counter

    def look(
        self, lun: int, sectors: int, sector_bytes: int, *, whole: bool, step: tuple[int, int]
    ) -> Surface:
        """Return how lun reads. step: which of how many LUNs this is, for the display.

        Raises:
            CancelledError: stopped by cancel.
            TransportError: the connection failed.
        """
        areas = list(spots(lun, sectors, sector_bytes, whole=whole))
        total = 2 * sum(area.size_bytes for area in areas)
        self.emit(StepStarted(*step, f"LUN {lun}", total))
        seen = tuple(map(self._spot, areas))
        covered = sum(area.sectors for area in areas) >= sectors
        return _with_slow(Surface(lun, sectors, sector_bytes, seen, covered))

    def _spot(self, area: Area) -> Spot:
        if self.cancel.is_set():
            raise CancelledError("Stopped as you asked; nothing was changed.")
        try:
            first, second = self._read(area), self._read(area)
        except ReadFailedError as error:
            return Spot(area, State.UNREADABLE, words=words_of(error))
        except DeviceRefusedError as error:
            return Spot(area, State.WITHHELD, words=words_of(error))
        seconds = min(first.seconds, second.seconds)
        if first.digest != second.digest:
            return Spot(area, State.UNSTABLE, seconds, "two reads differ")
        if first.blank and self._differs(area, first.digest):
            return Spot(area, State.WITHHELD, seconds, "zeros are sent for something else")
        return Spot(area, State.GOOD, seconds)

    def _read(self, area: Area) -> _Reading:
        sha256 = hashlib.sha256()
        blank = True

        def take(data: memoryview) -> None:
            nonlocal blank
            blank = blank and not any(data[:64]) and data == bytes(len(data))
            sha256.update(data)
            self.emit(BytesMoved(len(data)))

        start = self.clock()
        self.programmer.read(area, take)
        return _Reading(self.clock() - start, sha256.digest(), blank)

    def _differs(self, area: Area, digest: bytes) -> bool:
        """Tell whether the storage holds something else there, by the phone's own digest."""
        try:
            told = self.programmer.sha256(area)
        except DeviceRefusedError:
            return False
        return told is not None and told != digest


def _with_slow(surface: Surface) -> Surface:
    """Return surface with the spots marked that take far longer than the others."""
    median = surface.median_s
    if median is None:
        return surface
    limit = max(_SLOW_RATIO * median, median + _SLOW_S)
    return replace(
        surface,
        spots=tuple(
            replace(spot, state=State.SLOW, words=f"{spot.seconds:.1f} s for {_size(spot)}")
            if spot.state is State.GOOD and spot.seconds is not None and spot.seconds > limit
            else spot
            for spot in surface.spots
        ),
    )


def _size(spot: Spot) -> str:
    return format_size(spot.area.size_bytes)


def words_of(error: DeviceRefusedError) -> str:
    """Return the line of the phone that says most: what did not open, else its last one."""
    for line in error.device_log:
        if "open" in line.lower():
            return line
    return error.device_log[-1] if error.device_log else error.message
