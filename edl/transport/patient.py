# SPDX-License-Identifier: BSD-3-Clause
"""A transport that says so when its phone keeps it waiting: nobody shall wait in silence."""

from __future__ import annotations

from collections.abc import Callable

from edl.errors import TransportTimeoutError
from edl.events import Busy, Emit
from edl.transport import Buffer, Queueing, Transport

_WORD_S = 2.0  # longest wait without a word
_AGAIN_S = 30.0  # and then until the next one


class PatientTransport:
    """Passes everything on to inner, and reports long waits to emit.

    Attributes:
        doing: what the phone has been told to do and may take long for, such as `writing`; empty if
            there is nothing that it ought to be busy with.
    """

    def __init__(self, inner: Transport, emit: Emit) -> None:
        self.keeps_transfers = inner.keeps_transfers
        self.packet_bytes = inner.packet_bytes
        self.sends_zlp = inner.sends_zlp
        self.description = inner.description
        self.link_speed: int | None = getattr(inner, "link_speed", None)  # of USB alone
        self.doing = ""
        self._inner = inner
        self._queueing = inner if isinstance(inner, Queueing) else None
        self._emit = emit
        self._blocked_s = 0.0  # how long it has taken no data; may come in many short waits
        self._told_s = 0.0  # of this, when it was last told

    def read(self, timeout_s: float) -> memoryview:
        """See Transport."""
        waited_s, patience_s = 0.0, _WORD_S
        while (left_s := timeout_s - waited_s) > patience_s:
            try:
                return self._inner.read(patience_s)
            except TransportTimeoutError:
                waited_s, patience_s = waited_s + patience_s, _AGAIN_S
                self._emit(Busy(self.doing, waited_s, timeout_s - waited_s))
        return self._inner.read(left_s)

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """See Transport."""
        view = memoryview(data).cast("B")
        try:
            self._inner.write(view, min(timeout_s, _WORD_S), zlp=zlp)
        except TransportTimeoutError as error:
            done = error.done_bytes
            self._block(0.0 if done else min(timeout_s, _WORD_S))
            if timeout_s <= _WORD_S:
                raise
            self._write_on(view, done, timeout_s - _WORD_S, zlp=zlp)
        self._block(0.0)

    def _write_on(self, view: memoryview, done: int, timeout_s: float, *, zlp: bool) -> None:
        """Send what is left of view."""
        try:
            self._inner.write(view[done:], timeout_s, zlp=zlp)
        except TransportTimeoutError as error:
            error.done_bytes += done
            raise

    def _block(self, waited_s: float) -> None:
        """Count a wait in vain; 0: something was taken after all."""
        self._blocked_s = self._blocked_s + waited_s if waited_s else 0.0
        due_s = self._told_s + _AGAIN_S if self._told_s else _WORD_S
        if not self._blocked_s:
            self._told_s = 0.0
        elif self._blocked_s >= due_s:
            self._told_s = self._blocked_s
            self._emit(Busy(self.doing, self._blocked_s))

    @property
    def underway_bytes(self) -> int:
        """See Queueing."""
        return 0 if self._queueing is None else self._queueing.underway_bytes

    def post(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """See Queueing. Where nothing can be queued, data is written."""
        if self._queueing is None:
            self.write(data, timeout_s, zlp=zlp)
        else:
            queueing = self._queueing
            self._waiting(timeout_s, lambda: queueing.post(data, timeout_s, zlp=zlp))

    def finish(self, timeout_s: float) -> None:
        """See Queueing."""
        if self._queueing is not None:
            queueing = self._queueing
            self._waiting(timeout_s, lambda: queueing.finish(timeout_s))

    def _waiting(self, timeout_s: float, send: Callable[[], None]) -> None:
        """Send; a wait in vain counts as one without a word. timeout_s: at most _WORD_S."""
        try:
            send()
        except TransportTimeoutError as error:
            self._block(0.0 if error.done_bytes else timeout_s)
            raise
        self._block(0.0)

    def abandon(self) -> None:
        """See Queueing."""
        if self._queueing is not None:
            self._queueing.abandon()

    def listen(self, transfer_bytes: int) -> None:
        """See Queueing."""
        if self._queueing is not None:
            self._queueing.listen(transfer_bytes)

    def close(self) -> None:
        """See Transport."""
        self._inner.close()
