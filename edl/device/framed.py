# SPDX-License-Identifier: BSD-3-Clause
"""Frames over a transport: what the two protocols before Firehose have in common.

A frame that came damaged, either way, is sent again a few times: USB checks its own packets, but a
serial port does not. Waits are bounded, and so is what a phone may say without answering.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from edl.errors import ProtocolError, TransportTimeoutError
from edl.transport import Transport

_log = logging.getLogger(__name__)

_SEND_SLICE_S = 0.5
_SEND_SLICES = 20
_PEEP_S = 0.02
ATTEMPTS = 4
_MAX_STALE = 10_000  # frames, or transfers without any, that mean nothing to us
_PACKET_BYTES = 512

Event_co = TypeVar("Event_co", covariant=True)
Event = TypeVar("Event")


class Core(Protocol[Event_co]):
    """The protocol core of a conversation in frames."""

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""
        ...

    def next_event(self) -> Event_co | None:
        """Return what arrived."""
        ...


def send(transport: Transport, core: Core[Event], frame: bytes) -> None:
    """Send one frame. It never fills its last USB packet: one more flag is padding.

    What the phone still has to say blocks it: that is taken first.

    Raises:
        TransportTimeoutError: the phone does not take it.
    """
    _log.debug("> %s", frame[:64].hex())
    if len(frame) % _PACKET_BYTES == 0:
        frame = b"\x7e" + frame
    for left in reversed(range(_SEND_SLICES)):
        try:
            transport.write(frame, _SEND_SLICE_S)
        except TransportTimeoutError as error:
            if error.done_bytes or not left:
                raise
            with contextlib.suppress(TransportTimeoutError):
                core.receive(transport.read(_PEEP_S))
        else:
            return


def ask(
    transport: Transport,
    core: Core[Event],
    make: Callable[[], bytes],
    timeout_s: float,
    *,
    passes: Callable[[Event], bool],
    again: Callable[[Event], bool],
) -> Event:
    """Send the frame that make gives, and return the event that answers it.

    passes: tells what is no answer (and may take note of it). again: tells after which answers the
    frame is sent once more; the last one is returned whatever it is.

    Raises:
        TransportTimeoutError: no answer in time.
        ProtocolError: the phone talks without end.
    """
    send(transport, core, make())
    event = _answer(transport, core, timeout_s, passes)
    for _ in range(ATTEMPTS - 1):
        if not again(event):
            break
        _log.info("sending a frame again: %s", event)
        send(transport, core, make())
        event = _answer(transport, core, timeout_s, passes)
    return event


def _answer(
    transport: Transport, core: Core[Event], timeout_s: float, passes: Callable[[Event], bool]
) -> Event:
    for _ in range(_MAX_STALE):
        event = core.next_event()
        if event is None:
            core.receive(transport.read(timeout_s))
        elif not passes(event):
            return event
    raise ProtocolError("The phone sends without end, and none of it is an answer.")


def drain(transport: Transport, core: Core[Event], timeout_s: float) -> None:
    """Take what the phone still says about an earlier request."""
    for _ in range(_MAX_STALE):
        try:
            core.receive(transport.read(timeout_s))
        except TransportTimeoutError:
            break
    else:
        raise ProtocolError("The phone sends without end, and none of it is an answer.")
    while core.next_event() is not None:
        pass
