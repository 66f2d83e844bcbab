# SPDX-License-Identifier: BSD-3-Clause
"""What a running job reports. The library never prints; whoever runs it shows these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of the job begins, or tells its outcome (`found`, `loader`, `checked`, ...).

    total_bytes: what it moves; 0 where it moves nothing that is counted.
    """

    name: str
    text: str
    total_bytes: int = 0


@dataclass(frozen=True)
class StepStarted:
    """Step number `index` (from 1) of `count` begins; it moves `total_bytes`."""

    index: int
    count: int
    title: str
    total_bytes: int


@dataclass(frozen=True)
class BytesMoved:
    """`done_bytes` more bytes of the running step have gone over the wire or been skipped."""

    done_bytes: int


@dataclass(frozen=True)
class DeviceLog:
    """One line that the programmer logged, cleaned of control characters."""

    text: str


@dataclass(frozen=True)
class Notice:
    """Something odd that does not stop the job."""

    text: str


@dataclass(frozen=True)
class Busy:
    """The phone has said nothing for `waited_s`, and is waited for at most `left_s` more.

    doing: what it has been told to do and may take long for, such as `writing`: then it is normal;
    empty if nothing is known that it ought to be busy with.
    """

    doing: str
    waited_s: float
    left_s: float | None = None


Event = Stage | StepStarted | BytesMoved | DeviceLog | Notice | Busy
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Drop event: for callers who do not care."""
    del event
