# SPDX-License-Identifier: BSD-3-Clause
"""Out of an interrupted write: the bytes that a programmer still waits for are delivered.

A programmer whose host was killed inside <program> takes all that comes for data, and nothing but
data ends that (real-programmer.md 7). How much it has got is known only within bounds: a transfer
may have been cut, and what filled no sector was dropped. So most of what is owed goes out in
transfers of the agreed size, and the last of it sector by sector until the programmer says that it
is done. Whatever is delivered lands in the area of that <program>, and must be programmed again.

Zeros are delivered, not the bytes that were meant: where they would land is not known exactly, and
should the programmer be done already, zeros are no command that it could obey.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from edl.device.dialogue import Dialogue
from edl.errors import MuteError, TransportTimeoutError
from edl.events import Emit, Stage, ignore
from edl.firehose.commands import Area
from edl.firehose.host import Log, Response
from edl.transport import Transport
from edl.units import format_size

_log = logging.getLogger(__name__)

_SLICE_S = 0.5  # how long a write may block before we look whether there is an answer
_SLICES = 120
_PEEP_S = 0.002  # where a transfer is taken only by a programmer that waits for it
_STREAM_PEEP_S = 0.005  # where the driver takes it, and passes it on when it can
_LAST_WORD_S = 10.0


def deliver(
    transport: Transport,
    area: Area,
    payload_bytes: int,
    most_bytes: int,
    emit: Emit = ignore,
) -> None:
    """Deliver what a programmer in the middle of writing area waits for, until it says so.

    What was sent to it last must have been shorter than a packet: it then waits for whole sectors.
    payload_bytes: size of data transfers that was agreed on. most_bytes: it has got at most so many
    bytes of area.

    Raises:
        MuteError: it does not come back: it does not wait for data of this area.
        TransportError: the connection fails.
    """
    least = max(0, area.size_bytes - most_bytes)
    emit(Stage("owed", f"the programmer still waits for data: at least {format_size(least)}"))
    talk = Dialogue(transport, emit)
    zeros = bytes(max(payload_bytes, area.sector_bytes))
    peep_s = _PEEP_S if transport.keeps_transfers else _STREAM_PEEP_S
    for size in _sizes(area, payload_bytes, least):
        if _push(transport, talk, memoryview(zeros)[:size]) or _closed(talk, peep_s):
            break
    else:
        if not _closed(talk, _LAST_WORD_S):
            raise MuteError(
                "The phone waits for data of another write than the one in the journal."
            )
    with contextlib.suppress(TransportTimeoutError):
        while True:  # a surplus is no command: what is said about it does not matter
            talk.next(5 * peep_s)


def _sizes(area: Area, payload_bytes: int, least: int) -> Iterator[int]:
    """Yield the sizes of transfers: least bytes quickly, all others sector by sector."""
    quick = least // payload_bytes
    for _ in range(quick):
        yield payload_bytes
    for _ in range(area.sectors - quick * payload_bytes // area.sector_bytes):
        yield area.sector_bytes


def _push(transport: Transport, talk: Dialogue, piece: memoryview) -> bool:
    """Send piece; True if the programmer says meanwhile that it is done.

    Raises:
        MuteError: it takes nothing.
    """
    for _ in range(_SLICES):
        try:
            transport.write(piece, _SLICE_S, zlp=True)
        except TransportTimeoutError as error:
            piece = piece[error.done_bytes :]
            if _closed(talk, _PEEP_S):
                return True
        else:
            return False
    raise MuteError("The phone is connected but mute: it takes no data any more.")


def _closed(talk: Dialogue, patience_s: float) -> bool:
    """Tell whether the programmer says that it has all data."""
    try:
        while True:
            match talk.next(patience_s):
                case Log(text):
                    talk.note(text)
                case Response(rawmode=False) as response:
                    _log.info("the interrupted write is closed: %s", response)
                    return True
                case _:
                    continue
    except TransportTimeoutError:
        return False
