# SPDX-License-Identifier: BSD-3-Clause
"""How far something is, how fast it goes just now, and how long that would take to its end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_S = 30.0  # the past that speeds are of: time in which nothing moves is in it
_SAMPLE_S = 0.1
_LEAST_S = 1.0  # sooner nobody can tell


class Meter:
    """Counts bytes.

    Attributes:
        done, total: bytes.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.done, self.total = 0, total
        self._clock = clock
        self._samples = deque([(clock(), 0)])

    def move(self, count: int) -> None:
        """Count bytes that have been moved just now."""
        self.done += count
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((now, self.done))
        while len(self._samples) > 1 and now - self._samples[1][0] > _WINDOW_S:
            self._samples.popleft()

    @property
    def part(self) -> float:
        """How much of it is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def speed(self) -> float | None:
        """Bytes a second of late; it sinks while nothing moves. None: too early to tell."""
        begin_s, begin = self._samples[0]
        seconds = self._clock() - begin_s
        return (self.done - begin) / seconds if seconds >= _LEAST_S else None

    @property
    def left_s(self) -> float | None:
        """How long the rest takes at that speed; None where nobody can tell."""
        speed = self.speed
        return max(0, self.total - self.done) / speed if speed else None
