# SPDX-License-Identifier: BSD-3-Clause
"""What faults have done to the endpoints of a phone: halted, frozen, about to fail."""

from __future__ import annotations

from edl.virtual.faults import UNLIMITED, Fault, Kind, Place
from edl.virtual.pace import Clock

IN, OUT = 0x81, 0x01  # endpoint addresses: sahara.md 13.2
_US = 1_000_000  # microseconds of a second


class Trouble:
    """The state of both endpoints.

    Attributes:
        halted: endpoints that stall.
        overflows: the next packet for the host finds no room.
    """

    def __init__(self, clock: Clock) -> None:
        self.halted: set[int] = set()
        self.overflows = False
        self._clock = clock
        self._frozen_until_us: dict[int, float] = {IN: 0, OUT: 0}
        self._impatient: set[int] = set()  # they thaw when the host gives up
        self._short: Fault | None = None

    def strike(self, fault: Fault) -> bool:
        """Let fault strike; return whether it is one of an endpoint."""
        endpoint = IN if fault.place in {Place.IN, Place.IN_TRANSFER} else OUT
        match fault.kind:
            case Kind.STALL:
                self.halted.add(endpoint)
            case Kind.FREEZE if fault.seconds is not None:
                end_us = self._clock.now_us + round(fault.seconds * _US)
                self._frozen_until_us[endpoint] = end_us
            case Kind.FREEZE:
                self._frozen_until_us[endpoint] = UNLIMITED
            case Kind.TIMEOUT:
                self._frozen_until_us[endpoint] = UNLIMITED
                self._impatient.add(endpoint)
            case Kind.SHORT:
                self._short = fault
            case Kind.OVERFLOW:
                self.overflows = True
            case _:
                return False
        return True

    def frozen(self, endpoint: int) -> bool:
        """Return whether nothing moves over endpoint."""
        return self._clock.now_us < self._frozen_until_us[endpoint]

    @property
    def ends_us(self) -> tuple[float, ...]:
        """When endpoints thaw, or have thawed."""
        return tuple(self._frozen_until_us.values())

    def give_up(self, endpoint: int) -> None:
        """Take in that the host waits no longer."""
        if endpoint in self._impatient:
            self._impatient.remove(endpoint)
            self._frozen_until_us[endpoint] = 0

    def shortened(self, taken: int, stop: int, packet_bytes: int) -> int:
        """Return where a write ends that should end at stop, and of which taken bytes are taken."""
        fault, self._short = self._short, None
        if fault is None:
            return stop
        if fault.place is Place.OUT:
            wanted = taken + (fault.count or 0)
        else:
            wanted = stop // 2 if fault.count is None else fault.count
        return max(taken, min(stop, wanted // packet_bytes * packet_bytes))
