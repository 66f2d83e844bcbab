# SPDX-License-Identifier: BSD-3-Clause
"""A boot ROM that speaks DMSS Download: it takes a program for its memory, and starts it."""

from __future__ import annotations

import logging

from edl.device import framed
from edl.errors import (
    DeviceGoneError,
    ProgrammerRefusedError,
    ProtocolError,
    TransportTimeoutError,
)
from edl.events import Emit, Stage, ignore
from edl.formats.intelhex import Program
from edl.streaming.dmss import (
    LEAST_DATA_BYTES,
    Answered,
    Damaged,
    DmssHost,
    Event,
    Parameters,
    Reason,
    Rejected,
)
from edl.transport import Transport

_log = logging.getLogger(__name__)

COMMAND_S = 5.0
_QUIET_S = 0.2
_MAX_DATA_BYTES = 1024
_MAX_ADDRESS = 1 << 32


class DmssRom:
    """A device that speaks DMSS Download."""

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._transport = transport
        self._emit = emit
        self._core = DmssHost()

    def leftover(self) -> bytes:
        """Return the bytes behind the last answer: the first words of what was started."""
        return self._core.leftover()

    def upload(self, program: Program) -> None:
        """Put program into the phone's memory and start it.

        Without an entry address it starts where its first segment begins.

        Raises:
            ProgrammerRefusedError: the boot ROM takes a part of it not.
            TransportTimeoutError: it does not answer.
        """
        self._settle()
        size = self._data_bytes()
        total = 0
        for address, data in program.segments:
            if address + len(data) > _MAX_ADDRESS:
                raise ProgrammerRefusedError(f"No memory is at {address + len(data):#x}.")
            for at in range(0, len(data), size):
                self._put(address + at, data[at : at + size])
            total += len(data)
        entry = program.segments[0][0] if program.entry is None else program.entry
        self._emit(Stage("upload", f"{total} bytes sent, starting at {entry:#x}"))
        self._go(entry)

    def _settle(self) -> None:
        """Take what is left of answers to other things: these answers do not say to what."""
        core: framed.Core[Event] = self._core
        framed.drain(self._transport, core, _QUIET_S)

    def _data_bytes(self) -> int:
        """Return how much one packet may carry; what every boot ROM takes, if this one is vague."""
        event = self._ask_for_parameters()
        if not isinstance(event, Parameters) or event.write_bytes < LEAST_DATA_BYTES:
            return LEAST_DATA_BYTES
        return min(event.write_bytes, _MAX_DATA_BYTES)

    def _ask_for_parameters(self) -> Event | None:
        try:
            return self._ask(self._core.parameters())
        except TransportTimeoutError:
            return None

    def _put(self, address: int, data: bytes) -> None:
        event = self._ask(self._core.write(address, data))
        if not isinstance(event, Answered):
            raise _refused(f"{len(data)} bytes for memory at {address:#x}", event)

    def _go(self, entry: int) -> None:
        """Start what was sent. The last answer may get lost in the hurry of the start."""
        try:
            event = self._ask(self._core.go(entry))
        except (TransportTimeoutError, DeviceGoneError) as error:
            _log.info("no answer to GO: %s", error)
            return
        if not isinstance(event, Answered):
            raise _refused(f"to start at {entry:#x}", event)

    def _ask(self, frame: bytes) -> Event:
        """Return what answers frame; damaged ones were repeated."""
        core: framed.Core[Event] = self._core
        return framed.ask(
            self._transport,
            core,
            lambda: frame,
            COMMAND_S,
            passes=lambda _: False,
            again=_was_damaged,
        )


def _was_damaged(event: Event) -> bool:
    crc = isinstance(event, Rejected) and event.reason is Reason.BAD_CRC
    return crc or isinstance(event, Damaged)


def _refused(what: str, event: Event) -> ProgrammerRefusedError | ProtocolError:
    if not isinstance(event, Rejected):
        return ProtocolError(f"The boot ROM was given {what}, and answered {event}.")
    reason = event.reason.name.lower().replace("_", " ")
    return ProgrammerRefusedError(
        f"The boot ROM refused {what}: {reason} (reason {int(event.reason):#04x}).",
        remedies=(
            "Use the programmer (MPRG*.HEX) for exactly this chip.",
            "Hold the power button for 15 seconds and enter download mode again.",
        ),
    )
