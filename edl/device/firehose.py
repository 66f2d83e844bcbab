# SPDX-License-Identifier: BSD-3-Clause
"""A running programmer, as methods: configure, read, program, erase, digest, power.

Every answer counts only if it came: no response is a failure, an ACK without its substance too.
Timeouts come from what real phones need (slow eMMC: 1.7 s for a packet, minutes for an erase); a
log line starts the time over, because a programmer that logs is alive.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edl.device import refusal
from edl.errors import (
    DeviceGoneError,
    ProtocolError,
    ReadFailedError,
    TransportTimeoutError,
)
from edl.events import DeviceLog, Emit, ignore
from edl.firehose import commands, loglines
from edl.firehose.answers import (
    Configuration,
    Greeting,
    StorageInfo,
    parse_configuration,
    parse_digest,
    parse_greeting,
    parse_storage_info,
)
from edl.firehose.commands import Area, Power
from edl.firehose.host import FirehoseHost, Junk, Log, RawData, Response
from edl.transport import Transport
from edl.units import MIB

_log = logging.getLogger(__name__)

ASK_PAYLOAD_BYTES = MIB
COMMAND_TIMEOUT_S = 5.0
SETUP_TIMEOUT_S = 30.0  # generation 3 opens the storage here
DATA_TIMEOUT_S = 60.0
FINAL_TIMEOUT_S = 120.0
READ_TIMEOUT_S = 30.0
ERASE_TIMEOUT_S = 600.0
DIGEST_TIMEOUT_S = 30.0
DIGEST_BYTES_PER_S = 16 * MIB  # slowest digest that we wait for: generation 1 hashes in software
_SLICE_S = 1.0  # how long a write may block before we look whether a log blocks the phone
_GRACE_S = 0.3  # how long a response may trail the log that says there will be none
_MAX_LOGS = 20_000  # lines for one command: a digest of 256 GiB logs a few thousand
_MAX_ROUNDS = 3
_UNIT_BYTES = 512  # every payload size is a multiple of this
_MAX_PAYLOAD_BYTES = 1 << 28


@dataclass(frozen=True)
class Exchange:
    """A response, and what was logged before it."""

    response: Response
    logs: tuple[str, ...]


class Programmer:
    """One programmer that runs on a phone."""

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._transport = transport
        self._emit = emit
        self._host = FirehoseHost()
        self._logs: list[str] = []
        self.greeting = Greeting()
        self.memory = ""  # "emmc" or "ufs" as the programmer named it
        self.payload_bytes = 0
        self.configuration: Configuration | None = None
        self.digest_works: bool | None = None

    # -- attaching ------------------------------------------------------------------------------

    def hear_greeting(self, first: bytes = b"", *, patience_s: float = 0.25) -> None:
        """Take what the programmer says unasked; generation 1 says nothing.

        first: bytes that came before this object existed.
        """
        if first:
            self._host.receive(first, whole_transfer=False)
        self._drain(patience_s, until=_greeting_ends)
        self._learn()

    def _learn(self) -> None:
        heard = parse_greeting(self._logs, self._host.generation_hint)
        known = self.greeting
        functions = heard.functions if heard.functions is not None else known.functions
        self.greeting = Greeting(
            functions,
            heard.build_date or known.build_date,
            heard.chip_serial or known.chip_serial,
            heard.generation or known.generation,
        )
        if functions is not None:
            self.digest_works = "getsha256digest" in functions

    @property
    def generation(self) -> int:
        """1, 2 or 3; 1, the one that must be treated with most care, while it is not known."""
        return self.greeting.generation or 1

    def supports(self, function: str) -> bool | None:
        """Tell whether the programmer lists function; None if it lists nothing (generation 1)."""
        functions = self.greeting.functions
        return None if functions is None else function in functions

    def ping(self) -> bool:
        """Send <nop>: proves that a programmer listens, and brings the list of its commands.

        Returns False for a no: the answer to what an earlier program had sent may still come.
        """
        self._send("nop", commands.nop())
        response = self._answer("nop", COMMAND_TIMEOUT_S)
        self._learn()
        if not response.ack:
            self._settle()
        return response.ack

    def configure(self, memory: str, *, payload_bytes: int = ASK_PAYLOAD_BYTES) -> Configuration:
        """Agree on the storage type and the size of data transfers.

        A NAK that names a size is a counter-offer: it is taken up. What counts in it is the size
        that would be in force, not the "Supported" one (executed: §4.3 of the notes).

        Raises:
            DeviceRefusedError: the programmer does not configure, for example because it is locked.
        """
        size = payload_bytes
        logs: tuple[str, ...] = ()
        for _ in range(_MAX_ROUNDS):
            answer, acked, logs = self._offer(memory, size)
            offer = answer.payload_bytes // _UNIT_BYTES * _UNIT_BYTES
            if loglines.is_lock(logs):
                break
            if acked and offer in {0, size}:
                return self._agree(answer, size)
            if not 0 < offer < _MAX_PAYLOAD_BYTES or offer == size:
                break
            size = offer
        self._settle()
        raise refusal.refused("configure", logs)

    def _offer(self, memory: str, size: int) -> tuple[Configuration, bool, tuple[str, ...]]:
        """Send <configure> and return the answer that belongs to it.

        An answer without any attribute may be that of an older command, left in the pipe: a yes to
        <configure> always names sizes (executed on all generations), a flat no may not.
        """
        exchange = self._ask(
            "configure", commands.configure(memory, size, zlp=True), COMMAND_TIMEOUT_S, judge=False
        )
        response = exchange.response
        while set(response.attributes) <= {"value", "rawmode"}:
            if loglines.is_lock(self._logs):
                break
            try:
                response = self._answer(
                    "configure", COMMAND_TIMEOUT_S if response.ack else _GRACE_S
                )
            except TransportTimeoutError:
                _log.debug("the bare answer was all")
                break
        return parse_configuration(response), response.ack, tuple(self._logs)

    def _agree(self, answer: Configuration, size: int) -> Configuration:
        self.configuration = answer
        self.payload_bytes = size
        self.memory = answer.memory.lower()
        self._learn()
        if self.greeting.generation is None:  # no greeting: what the answer has tells
            generation = 3 if not answer.target else 2 if answer.build else 1
            self.greeting = Greeting(*self._known_but_generation(), generation)
        return answer

    def _known_but_generation(self) -> tuple[frozenset[str] | None, str | None, int | None]:
        return self.greeting.functions, self.greeting.build_date, self.greeting.chip_serial

    # -- storage --------------------------------------------------------------------------------

    def storage_info(self, lun: int) -> StorageInfo:
        """Return what the programmer tells about lun.

        Raises:
            DeviceRefusedError: there is no such LUN, or the storage does not answer.
        """
        exchange = self._ask("getstorageinfo", commands.get_storage_info(lun), SETUP_TIMEOUT_S)
        return parse_storage_info(exchange.logs)

    def read(self, area: Area, sink: Callable[[memoryview], None]) -> None:
        """Give the bytes of area to sink, piece by piece; a piece is valid during the call only.

        Bytes given to sink are to be trusted only when this returns: on a defective sector the
        phone sends all bytes all the same, and says no at the end.

        Raises:
            ReadFailedError: sectors could not be read.
            DeviceRefusedError: the programmer does not allow it.
        """
        self._logs.clear()
        self._send("read", commands.read(area))
        self._host.expect_answer_or_raw(area.size_bytes, area.sector_bytes)
        opening = self._answer("read", SETUP_TIMEOUT_S)
        if not opening.ack or not opening.rawmode:
            self._settle()
            raise refusal.refused("read", self._logs)
        if "unannounced" not in opening.attributes:
            self._host.expect_raw(area.size_bytes, area.sector_bytes)
        closing = self._take_raw(sink)
        if not closing.ack:
            self._settle()
            raise refusal.refused(
                "read", self._logs, default=ReadFailedError, what=_where(area), after_data=True
            )

    def _take_raw(self, sink: Callable[[memoryview], None]) -> Response:
        """Give raw data to sink until the closing response."""
        while True:
            match self._next(READ_TIMEOUT_S if self._host.raw_left else FINAL_TIMEOUT_S, "read"):
                case RawData(data):
                    sink(data)
                case Log(text):
                    self._note(text)
                case Response() as response if self._host.raw_left and response.ack:
                    raise ProtocolError(
                        f"The phone ended a read with {self._host.raw_left} bytes missing."
                    )
                case Response() as response:
                    self._host.end_raw()
                    return response
                case Junk(data):
                    _log.debug("junk behind raw data: %r", data[:64])

    def program(
        self,
        area: Area,
        chunks: Iterable[memoryview],
        *,
        label: str = "",
        moved: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Write chunks to area; together they must be exactly area.size_bytes long.

        All bytes are sent even when the phone has logged an error: it takes them all, and only its
        last word counts. moved: told the size of each transfer that is out.

        Raises:
            WriteFailedError: the storage did not take the data; area is in an unknown state.
            DeviceRefusedError: the programmer refused before any data; area is as it was.
            TransportError: the data could not be sent; the programmer waits for the rest.
        """
        self._logs.clear()
        self._send("program", commands.program(area, label))
        opening = self._answer("program", SETUP_TIMEOUT_S)
        if not opening.ack:
            self._settle()
            raise refusal.refused("program", self._logs)
        if opening.rawmode is False or (opening.rawmode is None and area.sectors):
            raise ProtocolError("The programmer accepted <program> but does not wait for data.")
        early = self._pour(area, chunks, moved)
        closing = early or self._answer("program", FINAL_TIMEOUT_S)
        if not closing.ack:
            self._settle()
            raise refusal.refused("program", self._logs, what=_where(area), after_data=True)

    def _pour(
        self, area: Area, chunks: Iterable[memoryview], moved: Callable[[int], None]
    ) -> Response | None:
        """Send chunks in transfers of the agreed size; return a NAK that came in between."""
        sent = 0
        for chunk in chunks:
            for at in range(0, len(chunk), self.payload_bytes):
                piece = chunk[at : at + self.payload_bytes]
                if (refused := self._push(piece)) is not None:
                    return refused
                sent += len(piece)
                moved(len(piece))
        if sent != area.size_bytes:
            raise RuntimeError(f"{sent} bytes were given for {area}")
        return None

    def _push(self, piece: memoryview) -> Response | None:
        """Send one transfer. A phone that is stuck on a log of its own is read, then fed on."""
        deadline = time.monotonic() + DATA_TIMEOUT_S
        while True:
            try:
                self._transport.write(piece, _SLICE_S, zlp=True)
            except TransportTimeoutError as error:
                piece = piece[error.done_bytes :]
                heard, response = self._listen()
                if response is not None:
                    return response
                if not heard and not error.done_bytes and time.monotonic() > deadline:
                    raise
            else:
                return None

    def _listen(self) -> tuple[bool, Response | None]:
        """Take what the phone has to say in the middle of our data."""
        heard = False
        while True:
            try:
                match self._next(0.02, "program"):
                    case Log(text):
                        self._note(text)
                    case Response(ack=False, rawmode=False) as response:
                        return True, response
                    case _:
                        pass
                heard = True
            except TransportTimeoutError:
                return heard, None

    def erase(self, area: Area) -> None:
        """Send <erase> for area; only for programmers that erase just that (generation 3).

        Raises:
            DeviceRefusedError: the programmer refused; nothing or part of it is erased.
        """
        if self.generation != 3:
            raise RuntimeError("<erase> wipes the whole LUN on this generation")
        self._ask("erase", commands.erase(area), ERASE_TIMEOUT_S)

    def patch(
        self, lun: int, sector: int, sector_bytes: int, offset: int, data: str, size: int
    ) -> None:
        """Patch size bytes (at most 8) at byte offset of one sector with the value data.

        An ACK proves nothing on generations 1 and 2: read the sector back.
        """
        xml = commands.patch(lun, sector, sector_bytes, offset, size, data)
        self._ask("patch", xml, SETUP_TIMEOUT_S)

    def sha256(self, area: Area) -> bytes | None:
        """Return the digest of area as the phone computes it, or None if it cannot.

        Raises:
            ReadFailedError: sectors could not be read.
        """
        if self.digest_works is False:
            return None
        timeout_s = DIGEST_TIMEOUT_S + area.size_bytes / DIGEST_BYTES_PER_S
        exchange = self._ask("getsha256digest", commands.sha256(area), timeout_s, judge=False)
        if loglines.is_unknown_command(exchange.logs):
            self.digest_works = False
            return None
        digest = parse_digest(exchange.logs, exchange.response)
        if exchange.response.ack and digest is not None:
            self.digest_works = True
            return digest
        if exchange.response.ack and not exchange.logs:
            self.digest_works = False  # generation 1 says yes to what it does not know
            return None
        self._settle()
        raise refusal.refused(
            "getsha256digest", exchange.logs, default=ReadFailedError, what=_where(area)
        )

    def set_bootable(self, value: int) -> None:
        """Make the phone boot from LUN value (UFS), or from the user area (eMMC, 0)."""
        self._ask("setbootablestoragedrive", commands.set_bootable(value), SETUP_TIMEOUT_S)

    def power(self, action: Power) -> None:
        """Reset the phone or switch it off. A phone that leaves before it answers has obeyed."""
        try:
            self._ask("power", commands.power(action), COMMAND_TIMEOUT_S)
        except (DeviceGoneError, TransportTimeoutError) as error:
            _log.info("no answer to <power>: %s", error)
            return
        self._settle()

    def _settle(self) -> None:
        """Read what trails an answer: the reason of a refusal, the last words before a reset.

        Some phones reset only when their logs were taken, so this is no idle wait.
        """
        try:
            self._drain(0.1)
        except (DeviceGoneError, ProtocolError) as error:
            _log.debug("last words: %s", error)

    def raw_command(self, xml: bytes) -> Exchange:
        """Send xml as it is and return what comes back."""
        return self._ask("xml", xml, SETUP_TIMEOUT_S, judge=False)

    # -- the exchange ---------------------------------------------------------------------------

    def _ask(self, name: str, xml: bytes, timeout_s: float, *, judge: bool = True) -> Exchange:
        """Send a command and return its answer; with judge, a NAK is an error."""
        self._logs.clear()
        self._send(name, xml)
        response = self._answer(name, timeout_s)
        if judge and (not response.ack or loglines.is_unknown_command(self._logs)):
            self._settle()
            raise refusal.refused(name, self._logs)
        return Exchange(response, tuple(self._logs))

    def _send(self, name: str, xml: bytes) -> None:
        """Send one document. A log that the phone still wants to say blocks it: take it first."""
        _log.debug("> %s", xml.decode())
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        self._host.forget()
        while True:
            try:
                self._transport.write(xml, _SLICE_S)
            except TransportTimeoutError as error:
                if error.done_bytes:
                    raise ProtocolError(f"The phone took only a part of <{name}>.") from error
                if not self._drain(0.02) and time.monotonic() > deadline:
                    raise refusal.mute(name, error) from error
            else:
                self._logs.clear()  # what came before is not about this command
                return

    def _answer(self, name: str, timeout_s: float) -> Response:
        """Return the next response; logs before it are kept and reported.

        Generation 3 logs an error instead of an answer to what it does not understand: that log
        then is the answer, after a moment in which a real one may still come.
        """
        left_s = timeout_s
        try:
            while True:
                match self._next(left_s, name):
                    case Log(text):
                        self._note(text)
                        left_s = _GRACE_S if loglines.ends_without_answer(text) else timeout_s
                    case Response() as response:
                        _log.debug("< %s", response)
                        return response
                    case Junk(data):
                        _log.debug("< junk %r", data[:64])
                    case RawData():
                        raise ProtocolError(f"Raw data came where <{name}> awaits an answer.")
        except TransportTimeoutError as error:
            if any(loglines.ends_without_answer(line) for line in self._logs):
                return Response(ack=False, rawmode=False)
            raise refusal.mute(name, error, self._logs) from error

    def _next(self, timeout_s: float, name: str) -> Log | Response | RawData | Junk:
        while (event := self._host.next_event()) is None:
            data = self._transport.read(timeout_s)
            self._host.receive(data, whole_transfer=self._transport.keeps_transfers)
        return event

    def _note(self, text: str) -> None:
        if len(self._logs) >= _MAX_LOGS:
            raise ProtocolError(f"The phone logs without end: {text[:80]!r}")
        _log.debug("< log %s", text)
        self._logs.append(text)
        self._emit(DeviceLog(text))

    def _drain(self, patience_s: float, until: Callable[[str], bool] = lambda _: False) -> bool:
        """Take everything that the phone says by itself; True if there was something."""
        heard = done = False
        while not done:
            try:
                match self._next(patience_s if not heard else min(patience_s, 0.05), "greeting"):
                    case Log(text):
                        self._note(text)
                        done = until(text)
                    case stale:
                        _log.debug("stale %s", type(stale).__name__)
                heard = True
            except TransportTimeoutError:
                done = True
        if heard:
            self._learn()
        return heard


def _greeting_ends(line: str) -> bool:
    """Tell whether line is the last of a greeting: no need to wait for more."""
    text = line.removeprefix("INFO: ")
    return text.startswith(("End of supported functions", "Supported Functions: "))


def _where(area: Area) -> str:
    last = area.start_sector + area.sectors - 1
    return f"LUN {area.lun}, sectors {area.start_sector} to {last}"
