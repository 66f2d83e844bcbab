# SPDX-License-Identifier: BSD-3-Clause
"""A conversation with a programmer: commands out, logs and answers in, each wait bounded.

Time is counted in the waits themselves, never by a clock: a programmer that logs is alive, and
every line gives it the whole time again. What could go on for ever by talking is bounded in number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from edl.device import refusal
from edl.errors import DeviceGoneError, ProtocolError, TransportTimeoutError
from edl.events import DeviceLog, Emit, ignore
from edl.firehose import loglines
from edl.firehose.host import FirehoseHost, Junk, Log, RawData, Response
from edl.transport import Queueing, Transport
from edl.transport.patient import PatientTransport

_log = logging.getLogger(__name__)

COMMAND_SLICE_S = 0.25  # how long a write may block before we look whether a log blocks the phone
COMMAND_SLICES = 40
DATA_SLICE_S = 2.0  # a slow eMMC takes 1.7 s for a packet
DATA_SLICES = 30
_PEEP_S = 0.02  # for what is ready to be read
_SETTLE_S = 0.1
_GRACE_S = 0.3  # how long a response may trail the log that says there will be none
_MAX_LOGS = 20_000  # lines for one command: a digest of 256 GiB logs a few thousand
_MAX_LOG_CHARS = 4 * 1024 * 1024  # of all these lines
_MAX_LINE_CHARS = 4096  # the longest ones known dump 512 bytes in hex
_MAX_STALE = 100_000  # events, or transfers without any, that mean nothing to us
_MAX_SIGNS = 20
_ERRORS = ("ERROR", "WARN")  # how lines of generation 3 begin that tell of failures
_WORK = {  # commands that a phone may need long for, and what it does then
    "configure": "opening its storage",
    "getstorageinfo": "opening its storage",
    "read": "reading",
    "program": "writing",
    "erase": "erasing",
    "getsha256digest": "computing a digest",
    "ufs": "dividing its storage",
    "firmwarewrite": "changing the firmware of its storage",
    "fixgpt": "writing partition tables",
}
_UNANSWERED = "unanswered"  # attribute of a response that did not come


@dataclass(frozen=True)
class Exchange:
    """A response, and what was logged before it."""

    response: Response
    logs: tuple[str, ...]


class Dialogue:
    """One conversation.

    Attributes:
        host: the protocol core; raw data is announced to it.
        logs: what was logged since the last command was sent.
        signs: every line so far that speaks of a maker's lock or limit, or of secure boot.
        told: called when the programmer has said something that nobody had asked for.
    """

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._transport = transport
        self._queueing = transport if isinstance(transport, Queueing) else None
        self._patient = transport if isinstance(transport, PatientTransport) else None
        self._emit = emit
        self.host = FirehoseHost()
        self.logs: list[str] = []
        self._log_chars = 0
        self.signs: list[str] = []
        self.told: Callable[[], None] = lambda: None

    # -- out ------------------------------------------------------------------------------------

    def ask(self, name: str, xml: bytes, timeout_s: float, *, judge: bool = True) -> Exchange:
        """Send a command and return its answer; with judge, a NAK is an error."""
        self.send(name, xml)
        response = self.answer(name, timeout_s)
        if judge and (not response.ack or self.unknown(response)):
            self.settle()
            raise refusal.refused(name, self.logs)
        return Exchange(response, tuple(self.logs))

    def unknown(self, response: Response) -> bool:
        """Tell whether response, to the last command, means that there is no such command."""
        return loglines.is_unknown_command(self.logs, answered=not is_missing(response))

    def send(self, name: str, xml: bytes) -> None:
        """Send one document. A log that the phone still wants to say blocks it: take it first.

        Raises:
            TransportTimeoutError: the phone takes nothing.
        """
        _log.debug("> %s", xml.decode())
        self.host.forget()
        self._at_work("")
        left = COMMAND_SLICES
        while True:
            try:
                self._transport.write(xml, COMMAND_SLICE_S)
            except TransportTimeoutError as error:
                if error.done_bytes:
                    raise ProtocolError(f"The phone took only a part of <{name}>.") from error
                left = COMMAND_SLICES if self.drain(_PEEP_S) else left - 1
                if not left:
                    raise refusal.mute(name, error) from error
            else:
                self.logs.clear()  # what came before is not about this command
                self._log_chars = 0
                self._at_work(_WORK.get(name, ""))
                return

    def _at_work(self, doing: str) -> None:
        """Tell what the phone is busy with, should it keep anybody waiting."""
        if self._patient is not None:
            self._patient.doing = doing

    @property
    def underway_bytes(self) -> int:
        """How much of what was pushed may not be out yet."""
        return 0 if self._queueing is None else self._queueing.underway_bytes

    def push(self, piece: memoryview) -> Response | None:
        """Send one transfer of data, however slowly the phone takes it; see also `pushed`.

        A phone that is stuck on a log of its own is read, then fed on.

        Returns:
            The NAK with which the phone has ended the transfer early, if it has.

        Raises:
            TransportTimeoutError: the phone takes nothing more; `done_bytes` is about this piece.
        """
        send = self._transport.write if self._queueing is None else self._queueing.post

        def go_on(done_bytes: int) -> None:
            nonlocal piece
            piece = piece[done_bytes:]

        return self._patiently(lambda: send(piece, DATA_SLICE_S, zlp=True), go_on)

    def pushed(self) -> Response | None:
        """Wait until all that was pushed is out. Returns and raises as `push`."""
        queueing = self._queueing
        if queueing is None:
            return None
        return self._patiently(lambda: queueing.finish(DATA_SLICE_S), lambda _: None)

    def _patiently(self, send: Callable[[], None], go_on: Callable[[int], None]) -> Response | None:
        """Send until it is done, and listen in between; see `push`.

        go_on: told how much has gone before a time-out.
        """
        left = DATA_SLICES
        while True:
            under_way = self.underway_bytes
            try:
                send()
            except TransportTimeoutError as error:
                go_on(error.done_bytes)
                moved = error.done_bytes or self.underway_bytes < under_way
                heard, refused = self._listen()
                left = DATA_SLICES if heard or moved else left - 1
                if refused is not None or not left:
                    self._abandon()
                if refused is not None:
                    return refused
                if not left:
                    raise
            else:
                return None

    def _abandon(self) -> None:
        if self._queueing is not None:
            self._queueing.abandon()

    def listen(self, transfer_bytes: int) -> None:
        """From now on, be ready for raw data in transfers of that size; 0: for answers alone."""
        if self._queueing is not None:
            self._queueing.listen(transfer_bytes)

    def _listen(self) -> tuple[bool, Response | None]:
        """Take what the phone has to say in the middle of our data."""
        heard = False
        for _ in range(_MAX_STALE):
            try:
                match self.next(_PEEP_S):
                    case Log(text):
                        self.note(text)
                    case Response(ack=False, rawmode=False) as response:
                        return True, response
            except TransportTimeoutError:
                return heard, None
            heard = True
        raise _babble()

    # -- in -------------------------------------------------------------------------------------

    def answer(self, name: str, timeout_s: float) -> Response:
        """Return the next response; logs before it are kept and reported.

        Generation 3 logs an error instead of an answer to what it does not understand: that log
        then is the answer, after a moment in which a real one may still come. If the programmer
        goes on with other words than errors, it was about an earlier command.
        """
        ended = False
        try:
            for _ in range(_MAX_STALE):
                match self.next(_GRACE_S if ended else timeout_s):
                    case Log(text):
                        self.note(text)
                        goes_on = not text.startswith(_ERRORS)
                        ended = loglines.ends_without_answer(text) or (ended and not goes_on)
                    case Response() as response:
                        _log.debug("< %s", response)
                        _require_plain(name, response)
                        return response
                    case RawData():
                        raise ProtocolError(f"Raw data came where <{name}> awaits an answer.")
                    case junk:
                        _log.debug("< junk %r", junk.data[:64])
        except TransportTimeoutError as error:
            if ended:
                return Response(ack=False, rawmode=False, attributes={_UNANSWERED: "true"})
            raise refusal.mute(name, error, self.logs) from error
        raise _babble()

    def next(self, timeout_s: float) -> Log | Response | RawData | Junk:
        """Return the next thing that arrives, each transfer within timeout_s."""
        for _ in range(_MAX_STALE):
            if (event := self.host.next_event()) is not None:
                return event
            data = self._transport.read(timeout_s)
            self.host.receive(data, whole_transfer=self._transport.keeps_transfers)
        raise _babble()

    def note(self, text: str) -> None:
        """Keep a line of the programmer's log, and report it."""
        self._log_chars += len(text)
        if len(self.logs) >= _MAX_LOGS or self._log_chars > _MAX_LOG_CHARS:
            raise ProtocolError(f"The phone logs without end: {text[:80]!r}")
        text = text[:_MAX_LINE_CHARS]
        _log.debug("< log %s", text)
        self.logs.append(text)
        if loglines.is_sign(text) and text not in self.signs and len(self.signs) < _MAX_SIGNS:
            self.signs.append(text)
        self._emit(DeviceLog(text))

    def drain(self, patience_s: float, until: Callable[[str], bool] = lambda _: False) -> bool:
        """Take everything that the phone says by itself; True if there was something."""
        heard = False
        for _ in range(_MAX_STALE):
            try:
                event = self.next(min(patience_s, 0.05) if heard else patience_s)
            except TransportTimeoutError:
                break
            heard = True
            if isinstance(event, Log):
                self.note(event.text)
                if until(event.text):
                    break
            else:
                _log.debug("stale %s", type(event).__name__)
        else:
            raise _babble()
        if heard:
            self.told()
        return heard

    def settle(self) -> None:
        """Read what trails an answer: the reason of a refusal, the last words before a reset.

        Some phones reset only when their logs were taken, so this is no idle wait.
        """
        try:
            self.drain(_SETTLE_S)
        except (DeviceGoneError, ProtocolError) as error:
            _log.debug("last words: %s", error)


def is_missing(response: Response) -> bool:
    """Tell whether response stands for one that did not come: see `Dialogue.answer`."""
    return _UNANSWERED in response.attributes


def _require_plain(name: str, response: Response) -> None:
    """Make sure that response says yes or no: what is garbled says neither.

    Raises:
        ProtocolError: it does not.
    """
    values = [text for key, text in response.attributes.items() if key.lower() == "value"]
    if values and values[0].strip().upper() not in {"ACK", "NAK"}:
        raise ProtocolError(f"The programmer's answer to <{name}> is garbled: '{values[0]}'.")


def _babble() -> ProtocolError:
    return ProtocolError("The phone sends without end, and none of it is an answer.")
