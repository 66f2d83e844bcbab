# SPDX-License-Identifier: BSD-3-Clause
"""Whether the bytes that a stuck programmer waits for are known: the journal tells, or nobody does.

Bytes are delivered only where nothing but this phone's last job can have left it so: same run of
this computer, and the phone has not left its place on the bus since. Entering EDL mode again, or
plugging it in again, gives it another place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edl.device import owed
from edl.errors import DiskError, EdlError
from edl.events import Emit, ignore
from edl.plan.home import home, phone_folder
from edl.plan.journal import NOTE_BYTES, Flight, Kept, note_sent, read
from edl.transport import Transport

NAME = "journal.jsonl"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def session(place: str) -> dict[str, str]:
    """Return what a journal notes of the run that begins, with the phone at place."""
    return {"boot": boot(), "place": place}


def boot() -> str:
    """Return what tells one run of this computer from others."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):  # no Linux; off by one it is no proof, and no harm
        return f"minute {(datetime.now(UTC).timestamp() - time.monotonic()) / 60:.0f}"


def journals() -> dict[str, Kept]:
    """Return the journals of interrupted jobs, by the phone's serial number."""
    try:
        paths = sorted(home().joinpath("phones").glob(f"*/{NAME}"))
    except (OSError, EdlError):
        return {}
    found = {path.parent.name: read(path) for path in paths}
    return {serial: kept for serial, kept in found.items() if kept.job}


@dataclass(frozen=True)
class Claim:
    """What the programmer of the phone with that serial number was sent last."""

    serial: str
    kept: Kept
    flight: Flight

    def settle(self, transport: Transport, emit: Emit = ignore) -> None:
        """Deliver what the programmer waits for.

        Raises:
            DiskError: the journal cannot be written: the next attempt would count wrongly.
            MuteError, TransportError: see `owed.deliver`.
        """
        flight = self.flight
        path = phone_folder(self.serial) / NAME
        try:
            note_sent(path, self.kept, flight.area.size_bytes)
        except OSError as error:
            raise DiskError(f"The journal {path} cannot be written: {error.strerror}.") from error
        most = flight.sent_bytes + max(NOTE_BYTES, flight.payload_bytes)
        owed.deliver(transport, flight.area, flight.payload_bytes, most, emit)


def claim(place: str, serial: str | None) -> Claim | None:
    """Return what the phone at place was sent last, if that is proved. serial: if it is known."""
    now = session(place)
    if not place:
        return None
    for name, kept in journals().items():
        if kept.flight is not None and kept.session == now and serial in {None, name}:
            return Claim(name, kept, kept.flight)
    return None
