# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong between a phone and a computer, as data.

    KIND@PLACE:NUMBER[:VALUE]

    unplug@out:100000       the cable comes out when 100000 bytes have gone to the phone
    stall@in-transfer:3     the phone halts its IN endpoint before its fourth transfer
    freeze@out:4096         from then on the phone takes no data; freeze@out:4096:1.7 for 1.7 s
    swallow@out-transfer:2  the third write of the host gets lost
    corrupt@in:64           byte 64 of what the phone sends has all bits flipped; :01 only the first
    garbage@in-transfer:5   four stray bytes come before the sixth transfer; :HEX says which
    hello-eaten             another program has read the first transfer
    busy, denied            another program has the phone, or its permissions are missing;
                            busy:2 the first two attempts only

NUMBER counts what passes before the fault, over the whole life of the phone. Faults in the middle
of a packet keep the whole packet back. Each strikes once.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edl.errors import UsageError

MAX_GARBAGE_BYTES = 4096
MAX_FREEZE_S = 3600
UNLIMITED = 1 << 62  # more bytes or transfers than any phone sees

# A vendor's programmer is known to mix these into its documents: bkerler/edl xmlparser.py:22.
_STRAY_BYTES = bytes.fromhex("f0e98814")


class Kind(enum.StrEnum):
    """What goes wrong."""

    UNPLUG = "unplug"
    STALL = "stall"
    FREEZE = "freeze"
    SWALLOW = "swallow"
    CORRUPT = "corrupt"
    GARBAGE = "garbage"
    BUSY = "busy"
    DENIED = "denied"


class Place(enum.StrEnum):
    """What is counted until the fault: bytes or transfers, seen from the host."""

    OUT = "out"
    IN = "in"
    OUT_TRANSFER = "out-transfer"
    IN_TRANSFER = "in-transfer"


_PLACES: Mapping[Kind, tuple[Place | None, ...]] = {
    Kind.UNPLUG: tuple(Place),
    Kind.STALL: tuple(Place),
    Kind.FREEZE: tuple(Place),
    Kind.SWALLOW: (Place.OUT_TRANSFER, Place.IN_TRANSFER),
    Kind.CORRUPT: (Place.IN,),
    Kind.GARBAGE: (Place.IN_TRANSFER,),
    Kind.BUSY: (None,),
    Kind.DENIED: (None,),
}
_FAULT = re.compile(
    r"(?P<kind>[a-z-]+)(?:@(?P<place>[a-z-]+))?(?::(?P<at>[0-9]{1,15}))?(?::(?P<value>[0-9a-f.]+))?"
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    at: how many bytes or transfers pass before it; of `busy` and `denied`: how many attempts fail,
        0 for all of them.
    seconds: how long `freeze` lasts, up to an hour; None for ever.
    mask: the bits that `corrupt` flips, 1 to 255.
    data: what `garbage` sends, 1 to 4096 bytes.

    Raises:
        ValueError: the fault cannot be at that place, or a number is out of range.
    """

    kind: Kind
    place: Place | None = None
    at: int = 0
    seconds: float | None = None
    mask: int = 0xFF
    data: bytes = _STRAY_BYTES

    def __post_init__(self) -> None:
        if self.place not in _PLACES[self.kind]:
            places = ", ".join(place for place in _PLACES[self.kind] if place) or "nowhere"
            raise ValueError(f"'{self.kind}' can be at: {places}")
        if not 0 <= self.at < UNLIMITED:
            raise ValueError(f"{self.at} is no number of bytes or transfers")
        if self.seconds is not None and not 0 < self.seconds <= MAX_FREEZE_S:
            raise ValueError(f"a phone freezes for up to {MAX_FREEZE_S} seconds or for ever")
        if not 1 <= self.mask <= 0xFF:
            raise ValueError(f"a byte has no bits {self.mask:#x}")
        if not 1 <= len(self.data) <= MAX_GARBAGE_BYTES:
            raise ValueError(f"garbage has 1 to {MAX_GARBAGE_BYTES} bytes, not {len(self.data)}")

    def __str__(self) -> str:
        """Return the fault as `parse_fault` reads it."""
        if self.place is None:
            return f"{self.kind}:{self.at}" if self.at else str(self.kind)
        text = f"{self.kind}@{self.place}:{self.at}"
        match self.kind:
            case Kind.FREEZE if self.seconds is not None:
                return f"{text}:{self.seconds}"
            case Kind.CORRUPT:
                return f"{text}:{self.mask:02x}"
            case Kind.GARBAGE:
                return f"{text}:{self.data.hex()}"
            case _:
                return text


def parse_fault(text: str) -> Fault:
    """Return the fault that text describes.

    Raises:
        UsageError: text describes no fault.
    """
    if text == "hello-eaten":
        return Fault(Kind.SWALLOW, Place.IN_TRANSFER)
    match = _FAULT.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is no fault such as unplug@out:100000.")
    try:
        return _fault(*match.group("kind", "place", "at", "value"))
    except ValueError as error:
        raise UsageError(f"The fault '{text}' cannot be: {error}.") from error


def _fault(kind_name: str, place: str | None, at: str | None, value: str | None) -> Fault:
    kind = Kind(kind_name)
    if place is not None and at is None:
        raise ValueError("the number is missing")
    fields: dict[str, Any] = {}
    if value is not None:
        match kind:
            case Kind.FREEZE:
                fields["seconds"] = float(value)
            case Kind.CORRUPT:
                fields["mask"] = int(value, 16)
            case Kind.GARBAGE:
                fields["data"] = bytes.fromhex(value)
            case _:
                raise ValueError(f"'{kind}' takes no value")
    return Fault(kind, Place(place) if place else None, int(at or 0), **fields)


class Injector:
    """Counts what passes between one phone and its host, and says which fault is due.

    Attributes:
        pending: the faults that have not struck yet, in the order in which they would.
        counts: bytes and transfers so far.
    """

    def __init__(
        self, faults: Iterable[Fault] = (), counts: Mapping[Place, int] | None = None
    ) -> None:
        self.pending = list(faults)
        self.counts: dict[Place, int] = dict.fromkeys(Place, 0) | dict(counts or {})

    def room(self, place: Place) -> int:
        """Return how many bytes may pass before the next fault at place."""
        return min(
            (fault.at - self.counts[place] for fault in self._breaking(place)), default=UNLIMITED
        )

    def due(self, place: Place, reach: int = 1) -> Fault | None:
        """Take out and return the fault that strikes within the next reach bytes or transfers."""
        for fault in self._breaking(place):
            if fault.at < self.counts[place] + reach:
                self.pending.remove(fault)
                return fault
        return None

    def passed(self, place: Place, number: int = 1) -> None:
        """Count number bytes or transfers."""
        self.counts[place] += number

    def corrupt(self, data: memoryview) -> None:
        """Flip the bits that go wrong in data, which comes next from the phone."""
        start = self.counts[Place.IN]
        for fault in [fault for fault in self.pending if fault.kind is Kind.CORRUPT]:
            if start <= fault.at < start + len(data):
                data[fault.at - start] ^= fault.mask
                self.pending.remove(fault)

    def prevents(self, kind: Kind) -> bool:
        """Return whether this attempt to open the phone fails because it is busy or denied."""
        for index, fault in enumerate(self.pending):
            if fault.kind is kind:
                if fault.at == 1:
                    del self.pending[index]
                elif fault.at:
                    self.pending[index] = replace(fault, at=fault.at - 1)
                return True
        return False

    def _breaking(self, place: Place) -> list[Fault]:
        return [
            fault
            for fault in self.pending
            if fault.place is place and fault.kind is not Kind.CORRUPT
        ]
