# SPDX-License-Identifier: BSD-3-Clause
"""How fast a virtual phone is: the link, the flash behind it, and the time that passes on both.

A modelled link moves whole packets at its rate, one after the other. A transfer gets onto it
GAP_US after the host has submitted it, so one that is queued in time costs nothing, and one that
is submitted when the one before has ended leaves the link idle. The time is that of the phone's
clock: results depend on no computer's load. What the host itself needs counts only where the clock
is told to measure it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

GAP_US = 125.0  # a microframe of USB 2: interrupt, wake-up, and the next schedule
_US = 1_000_000  # microseconds of a second


@dataclass(frozen=True)
class Pace:
    """Rates in bytes a second; None: no time at all.

    Attributes:
        link: of the bulk endpoints, both directions together.
        read, write: of the flash.
        digest: of the phone's hash engine; what it hashes must be read, too.
    """

    link: float | None = None
    read: float | None = None
    write: float | None = None
    digest: float | None = None


def seconds(size_bytes: int, rate: float | None) -> float:
    """Return how long size_bytes take at rate."""
    return size_bytes / rate if rate else 0.0


class Clock:
    """The time of a phone, in microseconds since it was made.

    real: waiting takes as long as it says; otherwise it takes no time at all.

    Attributes:
        host: gives the host's own time in nanoseconds; what passes of it outside of the phone
            passes for the phone as well. None: the host's work takes no time.
    """

    def __init__(self, *, real: bool = False) -> None:
        self.now_us: float = 0
        self._real = real
        self.host: Callable[[], int] | None = None
        self._left_ns: int | None = None  # when the host went to work
        self._begun_ns: int | None = None  # when this clock began, by the computer's

    def follow(self) -> None:
        """Be the computer's clock from now on.

        Then all that anybody computes takes time, and none of it holds up what is on the link: of
        many phones, each goes on while the computer is busy with the others.
        """
        self._begun_ns = time.perf_counter_ns() - round(self.now_us * 1000)

    def advance_to(self, moment_us: float) -> None:
        """Let time pass until moment_us."""
        if self._begun_ns is not None:
            time.sleep(max(0.0, moment_us - self._elapsed_us(self._begun_ns)) / _US)
        elif self._real:
            time.sleep((moment_us - self.now_us) / _US)
        self.now_us = moment_us

    def enter(self) -> None:
        """Count what the host has worked, now that it calls."""
        if self._begun_ns is not None:
            self.now_us = max(self.now_us, self._elapsed_us(self._begun_ns))
        elif self.host is not None and self._left_ns is not None:
            self.now_us += (self.host() - self._left_ns) / 1000
            self._left_ns = None

    def leave(self) -> None:
        """Let the host work."""
        if self.host is not None:
            self._left_ns = self.host()

    @staticmethod
    def _elapsed_us(begun_ns: int) -> float:
        return (time.perf_counter_ns() - begun_ns) / 1000


class Link:
    """The bulk endpoints' common wire.

    Attributes:
        free_us: when the last packet so far is over.
        busy_us: how long packets with data have been on it.
        data_bytes: what these carried.
    """

    def __init__(self, rate: float) -> None:
        self.free_us = 0.0
        self.busy_us = 0.0
        self.data_bytes = 0
        self._rate = rate
        self._earliest_us = 0.0

    def begin(self, submitted_us: float) -> None:
        """Begin a transfer that the host has submitted then."""
        self._earliest_us = submitted_us + GAP_US

    def move(self, size_bytes: int, packet_bytes: int, ready_us: float) -> float:
        """Move size_bytes of the transfer, an empty packet if 0; return when that is over.

        ready_us: when the phone had data or room.
        """
        packets = max(1, -(-size_bytes // packet_bytes))
        begin_us = max(self.free_us, self._earliest_us, ready_us)
        self.free_us = begin_us + packets * packet_bytes / self._rate * _US
        self._earliest_us = 0.0
        self.busy_us += size_bytes / self._rate * _US
        self.data_bytes += size_bytes
        return self.free_us
