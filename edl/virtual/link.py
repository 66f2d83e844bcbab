# SPDX-License-Identifier: BSD-3-Clause
"""What the phone's software may ask of its USB controller.

Software of the virtual phone (boot ROM, programmer) is a generator. It yields one of the requests
below and is resumed when the controller has done it, just as real firmware waits for a completed
transfer:

    packet = yield Receive(4096)      # bytes of one completed OUT request
    yield Send(b"<?xml ...")          # returns when the host has taken all of it
    yield Sleep(0.05)
    yield Strike(fault)               # a fault of the cable or the phone strikes now
    yield Exit("reset")               # this software ends; the phone acts on the reason

A Receive completes when max_bytes have arrived or on a packet shorter than the endpoint's packet
size (a zero-length packet included). So a transfer that is an exact multiple of the packet size
stays open until more data or a zero-length packet comes: the trap that real programmers have.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from edl.virtual.faults import Fault


@dataclass(frozen=True)
class Receive:
    """Post an OUT request; resumed with its bytes.

    timeout_s: resumed with None if nothing at all arrived in that time.
    """

    max_bytes: int
    timeout_s: float | None = None


@dataclass(frozen=True)
class Send:
    """Post an IN transfer; resumed when the host has read it to its end.

    zlp: end it with a zero-length packet when it fills its last packet.
    """

    data: bytes | bytearray | memoryview
    zlp: bool = True


@dataclass(frozen=True)
class Sleep:
    """Do nothing for that long."""

    seconds: float


@dataclass(frozen=True)
class Strike:
    """Let a fault strike that concerns more than this software: unplug, reset, kill."""

    fault: Fault


@dataclass(frozen=True)
class Exit:
    """Leave for good.

    reason: start (run the loaded programmer), boot (the loaded system), reset, reset_to_edl, off,
    hang.
    """

    reason: str


Request = Receive | Send | Sleep | Strike | Exit
Firmware = Generator[Request, Any, None]
