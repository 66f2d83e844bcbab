# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong between a phone and a computer, and in both, as data.

    KIND@PLACE:NUMBER[:VALUE]

    unplug@out:100000       the cable comes out when 100000 bytes have gone to the phone
    stall@in-transfer:3     the phone halts its IN endpoint before its fourth transfer
    nak@program:2           the third program command is refused
    corrupt@in:64:01        of byte 64 of what the phone sends the first bit is flipped
    hello-eaten             another program has read the first transfer
    busy:2                  another program has the phone, for the first two attempts

NUMBER counts what passes before the fault, over the whole life of the phone, or from where it is
when a fault is added. Faults in the middle of a packet keep the whole packet back. Each strikes
once. All kinds, their places and values: `faultkinds.TABLE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edl.errors import UsageError
from edl.virtual.faultkinds import COMMANDS, TABLE, Kind, Place, Value, every

__all__ = ["TABLE", "UNLIMITED", "Fault", "Injector", "Kind", "Place", "every", "parse_fault"]

MAX_GARBAGE_BYTES = 4096
MAX_FREEZE_S = 3600
STATES = ("edl", "system", "crash", "off")
UNLIMITED = 1 << 62  # more bytes or transfers than any phone sees
_MAX_COUNT = 10**12

# A vendor's programmer is known to mix these into its documents: bkerler/edl xmlparser.py:22.
_STRAY_BYTES = bytes.fromhex("f0e98814")
_FAULT = re.compile(
    r"(?P<kind>[a-z-]+)(?:@(?P<place>[a-z0-9-]+))?(?::(?P<at>[0-9]{1,15}))?"
    r"(?::(?P<value>[0-9a-z.]+))?"
)
# What strikes at a byte or before a transfer.
_BREAKING = frozenset(
    {
        Kind.UNPLUG,
        Kind.RESET,
        Kind.STALL,
        Kind.FREEZE,
        Kind.TIMEOUT,
        Kind.SHORT,
        Kind.OVERFLOW,
        Kind.SWALLOW,
        Kind.GARBAGE,
        Kind.KILL,
        Kind.DISK_FULL,
        Kind.SOURCE_CHANGED,
        Kind.SOURCE_CUT,
    }
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    at: how much passes before it; of `busy` and `denied`: how many attempts fail, 0 for all.
    seconds: how long it lasts, up to an hour; None for the kind's own.
    mask: the bits that `corrupt` flips, 1 to 255.
    data: what `garbage` sends, 1 to 4096 bytes.
    count: bytes, sectors or documents; None for the kind's own.
    state: in which the phone comes back after `reset`, one of STATES.

    Raises:
        ValueError: the fault cannot be at that place, or a number is out of range.
    """

    kind: Kind
    place: Place | None = None
    at: int = 0
    seconds: float | None = None
    mask: int = 0xFF
    data: bytes = _STRAY_BYTES
    count: int | None = None
    state: str = STATES[0]

    def __post_init__(self) -> None:
        places = TABLE[self.kind].places
        if self.place not in places:
            text = ", ".join(place for place in places if place) or "nowhere"
            raise ValueError(f"'{self.kind}' can be at: {text}")
        if not 0 <= self.at < UNLIMITED:
            raise ValueError(f"{self.at} is no number of bytes or transfers")
        if self.seconds is not None and not 0 < self.seconds <= MAX_FREEZE_S:
            raise ValueError(f"it lasts up to {MAX_FREEZE_S} seconds")
        if not 1 <= self.mask <= 0xFF:
            raise ValueError(f"a byte has no bits {self.mask:#x}")
        if not 1 <= len(self.data) <= MAX_GARBAGE_BYTES:
            raise ValueError(f"garbage has 1 to {MAX_GARBAGE_BYTES} bytes, not {len(self.data)}")
        if self.count is not None and not 0 <= self.count <= _MAX_COUNT:
            raise ValueError(f"{self.count} is not between 0 and {_MAX_COUNT}")
        if self.state not in STATES:
            raise ValueError(f"a phone comes back as {', '.join(STATES)}")

    def __str__(self) -> str:
        """Return the fault as `parse_fault` reads it."""
        if self.place is None:
            return f"{self.kind}:{self.at}" if self.at else str(self.kind)
        text = f"{self.kind}@{self.place}:{self.at}"
        match TABLE[self.kind].value:
            case Value.SECONDS if self.seconds is not None:
                return f"{text}:{str(self.seconds).removesuffix('.0')}"
            case Value.MASK:
                return f"{text}:{self.mask:02x}"
            case Value.DATA:
                return f"{text}:{self.data.hex()}"
            case Value.COUNT if self.count is not None:
                return f"{text}:{self.count}"
            case Value.STATE:
                return f"{text}:{self.state}"
            case _:
                return text

    @property
    def on_host(self) -> bool:
        """Whether it strikes the computer's files, and nothing of the phone."""
        return self.place in {Place.DISK, Place.SOURCE}


def parse_fault(text: str) -> Fault:
    """Return the fault that text describes.

    Raises:
        UsageError: text describes no fault.
    """
    if text == "hello-eaten":
        return Fault(Kind.SWALLOW, Place.IN_TRANSFER)
    match = _FAULT.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is no fault such as unplug@out:100000.", remedies=_REMEDIES)
    try:
        return _fault(*match.group("kind", "place", "at", "value"))
    except ValueError as error:
        raise UsageError(f"The fault '{text}' cannot be: {error}.", remedies=_REMEDIES) from error


_REMEDIES = ("See all faults and where they can strike: edl virtual faults.",)


def _fault(kind_name: str, place: str | None, at: str | None, value: str | None) -> Fault:
    if kind_name not in set(Kind):
        raise ValueError(f"there is no '{kind_name}'")
    if place is not None and place not in set(Place):
        raise ValueError(f"there is no place '{place}'")
    kind = Kind(kind_name)
    if place is not None and at is None:
        raise ValueError("the number is missing")
    fields = {} if value is None else _read_value(kind, value)
    return Fault(kind, Place(place) if place else None, int(at or 0), **fields)


def _read_value(kind: Kind, text: str) -> dict[str, Any]:
    """Return the field of a fault that text stands for."""
    match TABLE[kind].value:
        case Value.SECONDS:
            return {"seconds": float(text)}
        case Value.MASK:
            return {"mask": int(text, 16)}
        case Value.DATA:
            return {"data": bytes.fromhex(text)}
        case Value.COUNT:
            return {"count": int(text)}
        case Value.STATE:
            return {"state": text}
        case Value.NONE:
            raise ValueError(f"'{kind}' takes no value")


class Injector:
    """Counts what passes between one phone and its host, and says which fault is due.

    Attributes:
        pending: the faults that have not struck yet, in the order in which they would.
        counts: bytes, transfers and commands so far.
    """

    def __init__(
        self, faults: Iterable[Fault] = (), counts: Mapping[Place, int] | None = None
    ) -> None:
        self.pending = list(faults)
        self.counts: dict[Place, int] = dict.fromkeys(Place, 0) | dict(counts or {})
        self._passing: list[Fault] = []

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults that count from now on, and that end with this process."""
        for fault in faults:
            seen = 0 if fault.place is None else self.counts[fault.place]
            self._passing.append(replace(fault, at=fault.at + seen))
            self.pending.append(self._passing[-1])

    @property
    def lasting(self) -> tuple[Fault, ...]:
        """The pending faults that outlive this process."""
        passing = set(map(id, self._passing))
        return tuple(fault for fault in self.pending if id(fault) not in passing)

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

    def commands(self, name: str) -> list[Fault]:
        """Count a Firehose command, and take out and return the faults that strike it."""
        places = {Place.COMMAND, *(place for place in COMMANDS if place == name)}
        struck = [
            fault
            for fault in self.pending
            if fault.place in places and fault.at <= self.counts[fault.place]
        ]
        for fault in struck:
            self.pending.remove(fault)
        for place in places:
            self.passed(place)
        return struck

    def zlp(self, kind: Kind, place: Place) -> bool:
        """Return whether the zero-length packet of a transfer gets lost, or one more comes.

        It is the first one from the transfer of the fault on; that one has been counted already.
        """
        for fault in self.pending:
            if (fault.kind, fault.place) == (kind, place) and fault.at < self.counts[place]:
                self.pending.remove(fault)
                return True
        return False

    def altered(self, data: memoryview, place: Place) -> bytes | memoryview:
        """Return data, which comes next at place, with the bits that go wrong flipped."""
        start = self.counts[place]
        struck = [
            fault
            for fault in self.pending
            if fault.kind is Kind.CORRUPT
            and fault.place is place
            and start <= fault.at < start + len(data)
        ]
        if not struck:
            return data
        changed = bytearray(data)
        for fault in struck:
            changed[fault.at - start] ^= fault.mask
            self.pending.remove(fault)
        return bytes(changed)

    def prevents(self, kind: Kind) -> bool:
        """Return whether this attempt to open the phone fails because it is busy or denied."""
        for index, fault in enumerate(self.pending):
            if fault.kind is kind:
                if fault.at == 1:
                    del self.pending[index]
                elif fault.at:
                    left = replace(fault, at=fault.at - 1)
                    if any(fault is passing for passing in self._passing):
                        self._passing.append(left)
                    self.pending[index] = left
                return True
        return False

    def _breaking(self, place: Place) -> list[Fault]:
        return [fault for fault in self.pending if fault.place is place and fault.kind in _BREAKING]
