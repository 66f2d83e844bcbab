# SPDX-License-Identifier: BSD-3-Clause
"""What clients see of the phone: bytes that can be read, and written where that was asked for.

Writes wait in memory until a client flushes, or 64 MiB are waiting. Then they go the way of every
job: what exists only once is kept, or saved first, a journal is kept, and all is verified.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

from edl.chunks import BytesContent
from edl.device.phone import Phone
from edl.device.storage import Place, Storage
from edl.errors import (
    DeviceRefusedError,
    EdlError,
    ProtocolError,
    SafetyError,
    TransportError,
    VerifyError,
)
from edl.events import Emit, Notice, Stage
from edl.firehose.commands import Area
from edl.nbd.blocks import Blocks
from edl.nbd.changes import Changes
from edl.nbd.relay import Request
from edl.plan import job, unique
from edl.plan.check import checked
from edl.plan.job import Rules
from edl.plan.model import Plan, Write, plural
from edl.units import MIB, format_size

_MOST_WAITING_BYTES = 64 * MIB


class Disk:
    """A place of the phone's storage, served to clients.

    rules: how careful to be with writes; None: there are none. again: called when the session with
    the phone has ended; returns the one that goes on, or raises what ends it all.

    Attributes:
        area: what is served.
        read_bytes, written_bytes: what went to clients, and what of theirs is on the phone,
            verified.
    """

    def __init__(
        self,
        phone: Phone,
        place: Place,
        *,
        rules: Rules | None,
        again: Callable[[EdlError], Phone],
        emit: Emit,
    ) -> None:
        self.area = place.area
        self.read_bytes = self.written_bytes = 0
        self._phone = phone
        self._place = place
        self._rules = rules
        self._again = again
        self._emit = emit
        self._blocks = Blocks(place.area, self._fetch)
        self._changes = Changes(place.area.sector_bytes)
        self._died: EdlError | None = None
        self._storage = Storage(phone)
        if rules is not None:
            self._geometry = job.geometry(self._storage, {place.area.lun})
            whole = Write(place.area, BytesContent(b""), place.label, "", "")
            self._found = unique.look(self._plan((whole,)), self._storage)

    @property
    def waiting_bytes(self) -> int:
        """How much of what clients wrote is not on the phone yet."""
        return self._changes.size_bytes

    @property
    def lost(self) -> EdlError | None:
        """Why the session with the phone has ended, if it has and was not needed since."""
        return self._died

    @property
    def fetched_bytes(self) -> int:
        """How much was read from the phone."""
        return self._blocks.fetched_bytes

    def carry_out(self, request: Request) -> tuple[int, bytes | memoryview]:
        """Do what request wants; return an errno, 0 for success, and the bytes that were read.

        A session that has ended costs the request that it ended with; before the next one the phone
        is waited for.

        Raises:
            EdlError: the phone does not come back, or is locked.
        """
        self._require_session()
        try:
            match request.what:
                case "r":
                    return 0, self._read(request.offset, request.size)
                case "w":
                    return self._write(request.offset, request.data), b""
                case _:
                    self.flush()
                    return 0, b""
        except (TransportError, ProtocolError) as error:
            self._emit(Notice(f"the phone is gone: {error}"))
            self._died = error
        except (DeviceRefusedError, SafetyError, VerifyError) as error:
            self._emit(Notice(str(error)))
        return errno.EIO, b""

    def _require_session(self) -> None:
        if self._died is not None:
            self._phone = self._again(self._died)
            self._died = None
            self._storage = Storage(self._phone)
            self._emit(Stage("serve", "the phone is back; going on"))

    # -- reading ----------------------------------------------------------------------------------

    def _fetch(self, area: Area) -> memoryview:
        buffer = bytearray(area.size_bytes)
        view, at = memoryview(buffer), 0

        def sink(data: memoryview) -> None:
            nonlocal at
            view[at : at + len(data)] = data
            at += len(data)

        self._phone.programmer.read(area, sink)
        return view

    def _read(self, offset: int, size: int) -> memoryview:
        data = self._blocks.read(offset, size)
        self._changes.over(offset, data)
        self.read_bytes += size
        return memoryview(data)

    # -- writing ----------------------------------------------------------------------------------

    def _write(self, offset: int, data: bytes) -> int:
        """Keep data until the next flush; return EPERM where it would hurt what exists only once.

        Raises:
            EdlError: as `flush`, or as reading the sectors of which data is only a part.
        """
        unit = self.area.sector_bytes
        start, end = offset // unit * unit, -(-(offset + len(data)) // unit) * unit
        if (start, end) != (offset, offset + len(data)):
            whole = bytearray(self._read(start, end - start))
            whole[offset - start : offset - start + len(data)] = data
            data = bytes(whole)
        plan = unique.protect(self._plan((self._step(start, data),)), self._found, self._overwrite)
        if plan.kept or plan.errors:
            finding = plan.findings[-1]
            self._emit(Notice(f"refused a write: {finding.message} {finding.remedy}"))
            return errno.EPERM
        self._changes.add(start, data)
        if self.waiting_bytes >= _MOST_WAITING_BYTES:
            self.flush()
        return 0

    def flush(self) -> None:
        """Write what waits to the phone, and verify it.

        Raises:
            EdlError: that failed; all of it still waits.
        """
        if not self.waiting_bytes or self._rules is None:
            return
        self._require_session()
        steps = tuple(self._step(offset, data) for offset, data in self._changes.runs())
        plan = checked(self._plan(steps))
        unique.require_readable(plan, self._found)
        size = self.waiting_bytes
        text = f"{format_size(size)} in {plural(len(steps), 'part')}"
        self._emit(Stage("flush", f"writing {text}, and verifying it"))
        job.carry_out(plan, self._phone, self._found, self._rules, emit=self._quietly)
        for step in steps:
            offset = (step.area.start_sector - self.area.start_sector) * self.area.sector_bytes
            self._blocks.forget(offset, step.area.size_bytes)
        self._changes.clear()
        self.written_bytes += size
        self._rules = replace(self._rules, backup=False)  # what exists only once is saved now

    def _quietly(self, event: object) -> None:
        if isinstance(event, Notice):
            self._emit(event)

    @property
    def _overwrite(self) -> tuple[str, ...]:
        return self._rules.overwrite if self._rules is not None else ()

    def _step(self, offset: int, data: bytes) -> Write:
        area = self.area.part(offset, len(data))
        return Write(area, BytesContent(data), self._place.label, "", "")

    def _plan(self, steps: tuple[Write, ...]) -> Plan:
        title = f"edl nbd {self._place.label}"
        return Plan(job="write", title=title, geometry=self._geometry, steps=steps)
