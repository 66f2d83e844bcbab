# SPDX-License-Identifier: BSD-3-Clause
"""What a running job reports. The library never prints; whoever runs it shows these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of the job begins, or tells its outcome (`found`, `loader`, `checked`, ...)."""

    name: str
    text: str


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


Event = Stage | StepStarted | BytesMoved | DeviceLog | Notice
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Drop event: for callers who do not care."""
    del event
