# SPDX-License-Identifier: BSD-3-Clause
"""Which parts of an area the phone holds already, found by its own digests, as far as asking pays.

Asking about a block costs a command, and the time in which the phone reads and hashes it. An equal
block saves its transfer (the phone would hash it afterwards in any case, to verify it); a different
one makes the question vain. So blocks double while they are equal and halve at a difference, the
smallest follows from what commands take, and vain questions may cost no more than a small share of
the time that writing takes, and of the time that was saved.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from edl.device.programmer import Programmer
from edl.errors import AuthorizationError, DeviceRefusedError
from edl.firehose.commands import Area
from edl.units import KIB, MIB

WINDOW_BYTES = 16 * MIB  # looked at together, and kept in memory
WINDOW_OF_MANY_BYTES = 4 * MIB  # the same, of one of many phones
_LEAST_BYTES = 32 * KIB  # of a block
_MOST_LEAST_BYTES = MIB
_VAIN_SHARE = 0.04  # of the time that moving data takes
_SAVED_SHARE = 0.5  # of the time that was saved
_GRANT_S = 0.05  # to begin with
_WEIGHT = 0.25  # of a new measurement
_LARGE_BYTES = MIB  # from here on the bytes take the time, below it the command


class Unchanged(StrEnum):
    """What to do with what the phone has already.

    WRITE: write it all the same. SKIP: send as few bytes as possible. AUTO: skip what saves time.
    """

    WRITE = "write"
    SKIP = "skip"
    AUTO = "auto"


@dataclass(frozen=True)
class Run:
    """A stretch of an area. same: whether the phone holds it already."""

    offset: int
    size_bytes: int
    same: bool


@dataclass
class Rate:
    """What a kind of command takes: seconds for itself, and for each byte.

    known: the bytes have been measured; before that they are a guess.
    """

    command_s: float
    byte_s: float
    known: bool = False

    def seconds(self, size: int) -> float:
        """Return how long size bytes take."""
        return self.command_s + size * self.byte_s

    def note(self, size: int, seconds: float) -> None:
        """Learn from a command that took so long."""
        if size >= _LARGE_BYTES:
            weight = _WEIGHT if self.known else 1.0
            self.byte_s += (max(0.0, seconds - self.command_s) / size - self.byte_s) * weight
            self.known = True
        else:
            own = max(0.0, seconds - size * self.byte_s)
            self.command_s += (own - self.command_s) * _WEIGHT


class Finder:
    """Finds what of the windows of a job the phone holds.

    thorough: ask also where it costs more time than it saves, so that the fewest bytes are moved.
    reading: what differs is read from the phone, not written to it.
    clock: gives seconds.
    """

    def __init__(
        self,
        programmer: Programmer,
        *,
        thorough: bool = False,
        reading: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._programmer = programmer
        self._thorough = thorough
        self._reading = reading
        self._clock = clock
        self._digests = Rate(0.002, 1 / (200 * MIB))  # until they are measured
        self._moves = Rate(0.005, 1 / (40 * MIB))
        self._size = MIB  # of the next block
        self._sampled = False  # a large piece was, or will be, moved
        self._moving_s = 0.0
        self._saved_s = 0.0
        self._vain_s = 0.0
        self._pool = ThreadPoolExecutor(1, "digest")

    @property
    def pays(self) -> bool:
        """Whether another question can be afforded, and the phone answers any."""
        return self._programmer.digest_works is not False and self._affords(self._least)

    def moved(self, size: int, seconds: float) -> None:
        """Learn how long it took to write (or read) size bytes."""
        self._moves.note(size, seconds)
        self._moving_s += seconds

    def hashing(self, data: memoryview) -> Callable[[], bytes]:
        """Hash data beside what else is done; call what is returned for its SHA-256."""
        found = self._pool.submit(hashlib.sha256, data)
        return lambda: found.result().digest()

    def runs(self, area: Area, data: memoryview, *, differs: bool = False) -> tuple[Run, ...]:
        """Return data, what area is to hold, as runs that the phone has, and such that it has not.

        differs: it is known that the phone does not hold all of it.

        area has at most WINDOW_BYTES. Runs are in order, whole sectors, and leave nothing out; what
        was not asked about counts as different.

        Raises:
            EdlError: the connection failed, or the programmer is locked.
        """
        runs: list[Run] = []
        for start, size, same in self._blocks(area, data, len(data) if differs else 0):
            if runs and runs[-1].same == same:
                runs[-1] = Run(runs[-1].offset, runs[-1].size_bytes + size, same)
            else:
                runs.append(Run(start, size, same))
        return tuple(runs)

    def _blocks(
        self, area: Area, data: memoryview, suspect: int
    ) -> Iterator[tuple[int, int, bool]]:
        """Yield offset, size and sameness of each block, in order.

        suspect: the end of a block that differs, while nothing of it was found to.
        """
        at, changed = 0, 0  # changed: how much in a row differs, up to here
        unsent_s = 0.0  # what moving the different blocks of this window will take
        while at < len(data):
            size = self._next_size(len(data) - at, suspect - at)
            known = suspect > at and suspect - at <= size  # as nothing else of it differs
            if not known and not self._affords(size, unsent_s):
                least = min(_MOST_LEAST_BYTES, len(data) - at)
                self._size, size, known = self._least, least, True
            if not known and self._holds(area, data, at, size, splits=changed > 0):
                yield at, size, True
                at += size
                changed = 0
                self._size = min(max(self._size, 2 * size), WINDOW_BYTES)
                continue
            if not known and size > self._least:
                suspect = at + size
                self._size = size // 2
                continue
            suspect = 0
            changed += size
            if not self._thorough:  # the next ones are likely to differ, too
                more = changed // 2 if self._sampled else _LARGE_BYTES  # enough to measure
                size += min(more, _MOST_LEAST_BYTES, len(data) - at - size)
                self._sampled = True
            size = whole(size, area.sector_bytes)
            yield at, size, False
            at += size
            unsent_s += self._moves.seconds(size)
            self._size = self._least

    def _next_size(self, left: int, suspected: int) -> int:
        """Return the size of the block to look at: in a suspect one at most the half of it."""
        size = min(max(self._size, self._least), left)
        if suspected > self._least:
            size = min(size, 1 << (suspected // 2 - 1).bit_length())
        return min(size, suspected) if suspected > 0 else size

    def _holds(self, area: Area, data: memoryview, at: int, size: int, *, splits: bool) -> bool:
        """Ask the phone, while the host hashes the same bytes.

        splits: if it is there, what is to be moved becomes two commands.
        """
        part = area.part(at, size)
        begin = self._clock()
        wanted = self.hashing(data[at : at + size])
        try:
            there = self._programmer.sha256(part)
        except AuthorizationError:
            raise
        except DeviceRefusedError:  # bad sectors, perhaps: writing tells
            there = None
        seconds = self._clock() - begin
        same = there == wanted()
        self._digests.note(size, seconds)
        if same:
            self._saved_s += size * self._moves.byte_s - splits * self._moves.command_s
            if self._reading:  # what is written would be hashed to verify it; this is for nothing
                self._saved_s -= min(seconds, self._moves.seconds(size))
        else:
            self._vain_s += seconds
        return same

    # -- what is worth it -------------------------------------------------------------------------

    @property
    def _least(self) -> int:
        """The smallest block that is worth a question when every second one is equal."""
        gain = self._moves.byte_s - self._digests.byte_s
        worth = self._digests.command_s / gain if gain > 0 else _MOST_LEAST_BYTES
        least = _LEAST_BYTES
        while least < min(worth, _MOST_LEAST_BYTES) and not self._thorough:
            least *= 2
        return least

    def _affords(self, size: int, unsent_s: float = 0.0) -> bool:
        moving_s = self._moving_s + unsent_s
        share = _SAVED_SHARE if self._saved_s > 0 else 1.0
        budget_s = _GRANT_S + _VAIN_SHARE * moving_s + share * self._saved_s
        return self._thorough or self._vain_s + self._digests.seconds(size) <= budget_s


def whole(size: int, unit: int) -> int:
    """Return size, rounded up to whole units."""
    return -(-size // unit) * unit


def windows(
    chunks: Iterable[memoryview], size_bytes: int, window_bytes: int = WINDOW_BYTES
) -> Iterator[memoryview]:
    """Yield size_bytes of chunks in windows, which are valid until the next one."""
    buffer = memoryview(bytearray(min(window_bytes, size_bytes)))
    held, left = 0, size_bytes
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            count = min(len(chunk) - at, len(buffer) - held)
            buffer[held : held + count] = chunk[at : at + count]
            at, held, left = at + count, held + count, left - count
            if held == len(buffer) or not left:
                yield buffer[:held]
                held = 0
