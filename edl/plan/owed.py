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
from edl.errors import DiskError
from edl.events import Emit, ignore
from edl.plan import history
from edl.plan.history import Record
from edl.plan.journal import NOTE_BYTES, Flight, is_held, note_sent
from edl.transport import QUEUED_BYTES, Transport

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def session(place: str) -> dict[str, str | int]:
    """Return what a journal notes of the run that begins, with the phone at place.

    at: tells which of several was last, in one run of the computer.
    """
    return {"boot": boot(), "place": place, "at": time.monotonic_ns()}


def boot() -> str:
    """Return what tells one run of this computer from others."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):  # no Linux; off by one it is no proof, and no harm
        return f"minute {(datetime.now(UTC).timestamp() - time.monotonic()) / 60:.0f}"


@dataclass(frozen=True)
class Claim:
    """What the programmer of a phone was sent last, in the job of record."""

    record: Record
    flight: Flight

    @property
    def serial(self) -> str:
        """The phone's serial number."""
        return self.record.serial

    def settle(self, transport: Transport, emit: Emit = ignore) -> None:
        """Deliver what the programmer waits for.

        Raises:
            DiskError: the journal cannot be written: the next attempt would count wrongly.
            MuteError, TransportError: see `owed.deliver`.
        """
        flight = self.flight
        path = self.record.path
        try:
            note_sent(path, self.record.kept, flight.area.size_bytes)
        except OSError as error:
            raise DiskError(f"The journal {path} cannot be written: {error.strerror}.") from error
        queued = max(QUEUED_BYTES, 2 * flight.payload_bytes)
        most = flight.sent_bytes + NOTE_BYTES + queued
        owed.deliver(transport, flight.area, flight.payload_bytes, most, emit)


def claim(place: str, serial: str | None) -> Claim | None:
    """Return what the phone at place was sent last, if that is proved. serial: if it is known.

    A journal that is damaged proves nothing: what was sent later may be noted in what is lost.
    """
    last = _last_at(place, serial)
    if last is None or last.kept.flight is None or last.kept.damaged:
        return None
    return Claim(last, last.kept.flight)


def who(place: str) -> str | None:
    """Return the serial number of the phone at place, if it has not left it since its last job.

    Some programmers do not tell it.
    """
    last = _last_at(place, None)
    return last.serial if last is not None else None


def _last_at(place: str, serial: str | None) -> Record | None:
    """Return the job that was interrupted last with a phone at place, in this run of the computer.

    serial: of the phone, if it is known.
    """
    now = session(place)
    here = [
        record
        for name in (history.serials() if place else [])
        if serial in {None, name}
        for record in history.records(name)
        if not is_held(record.path)
        and all(record.kept.session.get(key) == now[key] for key in ("boot", "place"))
    ]
    return max(here, key=_begun, default=None)


def _begun(record: Record) -> int:
    """Return when the last run of the job of record began."""
    at = record.kept.session.get("at")
    return at if isinstance(at, int) else 0
