# SPDX-License-Identifier: BSD-3-Clause
"""Carries a script out: the same code for the dry run that is hashed and for the phone.

Nothing is asked twice, nothing is adapted: what a phone refuses ends the job.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edl.chunks import read_all
from edl.device import refusal
from edl.device.dialogue import Dialogue
from edl.errors import (
    CancelledError,
    DeviceGoneError,
    DeviceRefusedError,
    EdlError,
    ProtocolError,
    StoppedMidwayError,
    VipRefusedError,
)
from edl.events import BytesMoved, Emit, StepStarted, ignore
from edl.firehose import loglines
from edl.firehose.answers import parse_configuration, parse_digest
from edl.firehose.host import Log, RawData, Response
from edl.outfile import new_file
from edl.plan.model import plural
from edl.transport import Transport
from edl.vip.script import Order, Script, Transfer

_TABLE_TIMEOUT_S = 30.0
_TIMEOUTS_S = {"program": 120.0, "erase": 600.0, "power": 5.0, "getsha256digest": 600.0}
_SETUP_TIMEOUT_S = 30.0
_SHOWN_LINES = 8
_FRESH = "Hold the power button for 15 seconds and enter EDL mode again: a new session begins."

_AGAIN = "Then start the same command again: it begins from the start."
_CHECK = "Compare package and tables first: the same command with --dry-run."


class Gate(Protocol):
    """Looks at each transfer before it goes out."""

    def due(self) -> bytes | None:
        """Return the table that must go out before the next transfer, or None."""
        ...

    def admit(self, transfer: Transfer, data: bytes) -> None:
        """Take note of the next transfer.

        Raises:
            EdlError: it must not go out.
        """
        ...


class Noting:
    """A gate for the dry run. transfers: what went out, in order."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []

    def due(self) -> bytes | None:
        """See Gate."""
        return None

    def admit(self, transfer: Transfer, data: bytes) -> None:
        """See Gate."""
        del data
        self.transfers.append(transfer)


@dataclass
class Report:
    """What was done: counts of orders, of hashed transfers and tables, and bytes of data.

    confirmed, differing: titles of what the phone told the digest of, as it should be or not;
    untold: of what it did not tell it. files: what was read.
    """

    orders: int = 0
    transfers: int = 0
    tables: int = 0
    written_bytes: int = 0
    confirmed: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Session:
    """One run of a script.

    keep: whether what is read is kept; not in the dry run. saves: the folder for what is saved.
    """

    def __init__(
        self,
        transport: Transport,
        gate: Gate,
        *,
        emit: Emit = ignore,
        cancel: threading.Event | None = None,
        keep: bool = True,
        saves: Path | None = None,
    ) -> None:
        self._talk = Dialogue(transport, emit)
        self._gate = gate
        self._emit = emit
        self._cancel = cancel or threading.Event()
        self._keep = keep
        self._saves = saves or Path()
        self._payload_bytes = 0
        self._changing = ""
        self._sent = hashlib.sha256()  # of the last order with data
        self.report = Report()

    def carry_out(self, script: Script) -> Report:
        """Do all orders of script.

        Raises:
            VipRefusedError: the programmer takes a table or a transfer for none that was signed.
            DeviceRefusedError: it refuses an order for another reason.
            StoppedMidwayError, CancelledError: the user stopped the job.
            TransportError, ProtocolError: the connection failed.
        """
        self._payload_bytes = script.settings.payload_bytes
        count = len(script.orders)
        try:
            for index, order in enumerate(script.orders, 1):
                self._check_cancel()
                size = order.reads if order.content is None else order.content.size_bytes
                title = order.title or f"<{order.name}>"
                self._emit(StepStarted(index, count, title, size))
                self._order(order)
                self.report.orders += 1
        except EdlError as error:
            error.state = self._state(count)
            raise
        return self.report

    def _state(self, count: int) -> str:
        if not self._changing:
            return ""
        done = f"{self.report.orders} of {plural(count, 'order')} are done"
        return f"{done}; '{self._changing}' may be incomplete: the phone may not start as it is."

    def _check_cancel(self) -> None:
        if not self._cancel.is_set():
            return
        if self._changing:
            raise StoppedMidwayError("Stopped as you asked.", remedies=(_FRESH, _AGAIN))
        raise CancelledError("Stopped as you asked; nothing was written.")

    # -- orders ---------------------------------------------------------------------------------

    def _order(self, order: Order) -> None:
        self._talk.host.forget()
        self._talk.logs.clear()
        if order.name in {"program", "erase", "patch"}:
            self._changing = order.title or order.where
        self._send(Transfer(order), order.xml)
        self._finish(f"<{order.name}>")
        if order.reads:
            self._read(order)
            return
        if order.name == "getsha256digest":
            self._compare(order)
            return
        try:
            answer = self._answer(order)
        except DeviceGoneError:
            if order.name == "power":  # it has obeyed
                return
            raise
        if order.name == "program":
            self._pour(order, answer)

    def _answer(self, order: Order) -> Response:
        """Return the phone's yes.

        Raises:
            VipRefusedError, DeviceRefusedError: it is a no.
        """
        timeout_s = _TIMEOUTS_S.get(order.name, _SETUP_TIMEOUT_S)
        answer = self._talk.answer(order.name, timeout_s)
        if order.name == "configure":
            self._require_size(parse_configuration(answer).payload_bytes)
        if not answer.ack or self._talk.unknown(answer):
            raise self._refused(f"<{order.name}> {order.title}".strip(), order.name, order.title)
        return answer

    def _require_size(self, size: int) -> None:
        """Make sure that the phone awaits transfers of the size that was hashed.

        Raises:
            VipRefusedError: it does not.
        """
        if size not in {0, self._payload_bytes}:
            raise VipRefusedError(
                f"The programmer wants transfers of {size} bytes, the tables are made for"
                f" {self._payload_bytes}.",
                remedies=(f"Make the tables again with --max-payload {size}, and sign them.",),
            )

    def _compare(self, order: Order) -> None:
        """Compare what the phone says it holds with what the order before has sent.

        A no is none to the whole job: programmers may lack the command.
        """
        answer = self._talk.answer(order.name, _TIMEOUTS_S[order.name])
        self._talk.settle()
        if loglines.is_lock(self._talk.logs):
            raise self._refused(f"<{order.name}> {order.title}", order.name)
        told = parse_digest(self._talk.logs, answer) if answer.ack else None
        right = told == self._sent.digest()
        report = self.report
        found = report.untold if told is None else report.confirmed if right else report.differing
        found.append(order.title)

    def _pour(self, order: Order, opening: Response) -> None:
        """Send the data of order, transfer by transfer."""
        if not opening.rawmode:
            raise ProtocolError("The programmer accepted <program> but does not wait for data.")
        content = order.content
        if content is None:
            raise RuntimeError("a program order has content")
        self._sent = hashlib.sha256()
        step = self._payload_bytes - self._payload_bytes % order.sector_bytes  # as qdl does
        for at in range(0, content.size_bytes, step):
            size = min(step, content.size_bytes - at)
            data = read_all(content, at, size)
            self._send(Transfer(order, at, size), data)
            self._sent.update(data)
            self.report.written_bytes += size
            self._emit(BytesMoved(size))
        self._finish(f"the data of {order.title}")
        self._answer(order)

    def _read(self, order: Order) -> None:
        """Read what the phone sends for order into its file."""
        answer = self._answer(order)
        if not answer.rawmode:
            raise ProtocolError("The programmer accepted <read> but sends no data.")
        self._talk.host.expect_raw(order.reads, order.sector_bytes)
        if not self._keep:
            self._take(order, lambda _: None)
            return
        path = self._saves / order.save if order.step is None else order.step.path
        with new_file(path, size_bytes=order.reads, private=True) as file:
            self._take(order, file.write)
        self.report.files.append(str(path))

    def _take(self, order: Order, sink: Callable[[memoryview], object]) -> None:
        while True:
            match self._talk.next(_SETUP_TIMEOUT_S):
                case RawData(data):
                    sink(data)
                    self._emit(BytesMoved(len(data)))
                case Log(text):
                    self._talk.note(text)
                case Response() as closing:
                    if not closing.ack or self._talk.host.raw_left:
                        raise self._refused(f"<read> {order.title}", "read")
                    return

    # -- transfers ------------------------------------------------------------------------------

    def _send(self, transfer: Transfer, data: bytes) -> None:
        """Send one hashed transfer, behind the table that is due."""
        table = self._gate.due()
        if table is not None:
            self._send_table(table)
        self._gate.admit(transfer, data)
        if self._talk.push(memoryview(data)) is not None:
            raise self._refused(str(transfer), transfer.order.name)
        self.report.transfers += 1

    def _send_table(self, table: bytes) -> None:
        """Send a table, which is not hashed itself but bound to the one before.

        Raises:
            VipRefusedError: the programmer does not take it.
        """
        name = "digest table"
        self._finish("data")
        if self._talk.push(memoryview(table)) is not None:
            raise self._refused(f"digest table {self.report.tables}", name)
        self._finish(name)
        if not self._talk.answer(name, _TABLE_TIMEOUT_S).ack:
            raise self._refused(f"digest table {self.report.tables}", name)
        self.report.tables += 1

    def _finish(self, what: str) -> None:
        """Wait until all that was sent is out."""
        if self._talk.pushed() is not None:
            raise self._refused(what, "program")

    def _refused(self, what: str, name: str, title: str = "") -> EdlError:
        """Return the error for a no to what, which belongs to command name for title."""
        self._talk.settle()
        logs = self._talk.logs
        if not loglines.is_lock(logs) and name != "digest table":
            return refusal.refused(name, logs, default=DeviceRefusedError, what=title)
        return VipRefusedError(
            f"The programmer refused {what}: it differs from what was signed.",
            device_log=tuple(logs)[-_SHOWN_LINES:],
            remedies=(_FRESH, _CHECK),
        )
