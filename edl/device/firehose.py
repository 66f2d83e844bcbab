# SPDX-License-Identifier: BSD-3-Clause
"""A running programmer, as methods: configure, read, program, erase, digest, power.

Every answer counts only if it came: no response is a failure, an ACK without its substance too.
Timeouts come from what real phones need: minutes for an erase, and for a slow eMMC's last word.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from edl.device import refusal
from edl.device.dialogue import Dialogue, Exchange, is_missing
from edl.errors import DeviceGoneError, ProtocolError, ReadFailedError, TransportTimeoutError
from edl.events import Emit, ignore
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
from edl.firehose.host import Log, RawData, Response
from edl.transport import Transport
from edl.units import KIB, MIB

_log = logging.getLogger(__name__)

ASK_PAYLOAD_BYTES = MIB
COMMAND_TIMEOUT_S = 5.0
SETUP_TIMEOUT_S = 30.0  # generation 3 opens the storage here
FINAL_TIMEOUT_S = 120.0
READ_TIMEOUT_S = 30.0
ERASE_TIMEOUT_S = 600.0
FIRMWARE_TIMEOUT_S = 600.0
SPINOR_TIMEOUT_S = 600.0
SPINOR_BYTES_PER_S = 32 * KIB  # slowest part that we wait for, in addition
DIGEST_TIMEOUT_S = 30.0
DIGEST_BYTES_PER_S = 16 * MIB  # slowest digest that we wait for: generation 1 hashes in software
DIGEST_LONGEST_S = 5 * 3600.0  # whatever size the phone claims: 512 GiB at twice that speed
_GREETING_S = 0.25
_LAST_WORDS_S = 0.02
_LATE_S = 0.3  # how long the real answer may trail a bare one
_MAX_ROUNDS = 3
_UNIT_BYTES = 512  # every payload size is a multiple of this


class Programmer:
    """One programmer that runs on a phone."""

    protocol = "Firehose"
    reach_sectors: int | None = None  # a size that is not told is not guessed

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self._zlp = transport.sends_zlp
        self.link_speed: int | None = getattr(transport, "link_speed", None)
        self._talk = Dialogue(transport, emit)
        self._talk.told = self._learn
        self.greeting = Greeting()
        self.memory = ""  # "emmc" or "ufs" as the programmer named it
        self.payload_bytes = 0
        self.configuration: Configuration | None = None
        self.digest_works: bool | None = None
        self.pages_per_block: int | None = None  # of NAND, once the programmer has told

    # -- attaching ------------------------------------------------------------------------------

    def hear_greeting(self, first: bytes = b"", *, patience_s: float = _GREETING_S) -> None:
        """Take what the programmer says unasked; generation 1 says nothing.

        first: bytes that came before this object existed.
        """
        if first:
            self._talk.host.receive(first, whole_transfer=False)
        self._talk.drain(patience_s, until=_greeting_ends)

    def _learn(self) -> None:
        heard = parse_greeting(self._talk.logs, self._talk.host.generation_hint)
        known = self.greeting
        listing = heard if heard.functions is not None else known
        functions = listing.functions
        self.greeting = Greeting(
            functions,
            heard.build_date or known.build_date,
            heard.chip_serial or known.chip_serial,
            heard.generation or known.generation,
            listing.complete,
        )
        if functions is not None and (listing.complete or "getsha256digest" in functions):
            self.digest_works = "getsha256digest" in functions

    @property
    def generation(self) -> int:
        """1, 2 or 3; 1, the one that must be treated with most care, while it is not known."""
        return self.greeting.generation or 1

    @property
    def signs(self) -> tuple[str, ...]:
        """What the programmer has said so far about locks, limits and secure boot."""
        return tuple(self._talk.signs)

    def supports(self, function: str) -> bool | None:
        """Tell whether the programmer lists function; None if it lists nothing (generation 1).

        Nor is anything known of what is not in a list of which a part got lost.
        """
        functions = self.greeting.functions
        if functions is None or (function not in functions and not self.greeting.complete):
            return None
        return function in functions

    def ping(self) -> bool:
        """Send <nop>: proves that a programmer listens, and brings the list of its commands.

        Returns False for a no: the answer to what an earlier program had sent may still come.

        Raises:
            AuthorizationError: the maker has locked even this.
        """
        response = self._talk.ask("nop", commands.nop(), COMMAND_TIMEOUT_S, judge=False).response
        self._learn()
        if not response.ack:
            self._talk.settle()
            if loglines.is_lock(self._talk.logs):
                raise refusal.refused("nop", self._talk.logs)
        return response.ack

    def command(self, name: str, xml: bytes, timeout_s: float = SETUP_TIMEOUT_S) -> Exchange:
        """Send a command that has no method of its own, and return its yes with the logs.

        timeout_s: how long it may be silent; each line that it logs gives it that time again.

        Raises:
            DeviceRefusedError: the programmer says no, or does not know the command.
        """
        return self._talk.ask(name, xml, timeout_s)

    def configure(
        self,
        memory: str,
        *,
        payload_bytes: int = ASK_PAYLOAD_BYTES,
        skip_storage: bool = False,
    ) -> Configuration:
        """Agree on the storage type and the size of data transfers.

        A NAK that names a size is a counter-offer: it is taken up. What counts in it is the size
        that would be in force, not the "Supported" one (executed: §4.3 of the notes). Sizes are
        powers of two up to 1 MiB, so that every piece but the last fills its transfers: a
        programmer waits for exactly its size. A yes that names sizes counts, whatever was logged
        before it; a no that speaks of a lock is final.

        skip_storage: the programmer shall not open the storage yet, which may have no layout.

        Raises:
            AuthorizationError: the maker has locked the programmer.
            DeviceRefusedError: the programmer does not configure.
        """
        size = _fitting(payload_bytes)
        for _ in range(_MAX_ROUNDS):
            response = self._offer(memory, size, skip_storage=skip_storage)
            if is_missing(response):  # perhaps it was about an earlier command
                continue
            answer, locked = parse_configuration(response), loglines.is_lock(self._talk.logs)
            offer = _fitting(answer.payload_bytes)
            if response.ack and (offer >= size or not (offer or locked)):
                return self._agree(answer, size)
            if not offer or offer == size or (locked and not response.ack):
                break
            size = offer
        self._talk.settle()
        raise refusal.refused("configure", self._reasons())

    def _reasons(self) -> list[str]:
        """Return why the last command failed: what was logged since, else the first signs."""
        logs = self._talk.logs
        return logs if loglines.explain(logs) else [*self._talk.signs, *logs]

    def _offer(self, memory: str, size: int, *, skip_storage: bool) -> Response:
        """Send <configure> and return the answer that belongs to it.

        An answer without any attribute may be that of an older command, left in the pipe: a yes to
        <configure> always names sizes (executed on all generations), a flat no may not.
        """
        xml = commands.configure(memory, size, zlp=self._zlp, skip_storage=skip_storage)
        try:
            response = self._talk.ask("configure", xml, COMMAND_TIMEOUT_S, judge=False).response
        except TransportTimeoutError as error:
            if loglines.explain(self._talk.signs):  # VIP may leave what is not signed unanswered
                raise refusal.refused("configure", self._reasons()) from error
            raise
        for _ in range(_MAX_ROUNDS):
            refused = not response.ack and loglines.is_lock(self._talk.logs)
            if refused or not set(response.attributes) <= {"value", "rawmode"}:
                break
            try:
                late_s = COMMAND_TIMEOUT_S if response.ack else _LATE_S
                response = self._talk.answer("configure", late_s)
            except TransportTimeoutError:
                _log.debug("the bare answer was all")
                break
        if self.configuration is None and self._talk.host.generation_hint == 1:
            # behind its first answer comes a log, and no command is taken before that is read
            self._talk.drain(_LAST_WORDS_S)
        return response

    def _agree(self, answer: Configuration, size: int) -> Configuration:
        self.configuration = answer
        self.payload_bytes = size
        self._talk.listen(0)
        self.memory = answer.memory.lower()
        self._learn()
        return answer

    # -- storage --------------------------------------------------------------------------------

    def storage_info(self, lun: int) -> StorageInfo:
        """Return what the programmer tells about lun: nothing, where it lacks the command.

        (48 of 719 programmers lack it; some makers forbid it.)

        Raises:
            AuthorizationError: the maker has locked the programmer.
            WrongStorageError: there is no such LUN, or the storage does not answer.
        """
        xml = commands.get_storage_info(lun)
        exchange = self._talk.ask("getstorageinfo", xml, SETUP_TIMEOUT_S, judge=False)
        if self._talk.unknown(exchange.response):
            return StorageInfo()
        if not exchange.response.ack:
            self._talk.settle()
            if loglines.is_limit(self._talk.logs):
                return StorageInfo()
            raise refusal.refused("getstorageinfo", self._talk.logs)
        info = parse_storage_info(exchange.logs)
        if info.sectors is None:  # its words may trail its answer
            self._talk.settle()
            info = parse_storage_info(self._talk.logs)
        if self.memory == "nand":
            self.pages_per_block = info.pages_per_block
        return info

    def _more(self, area: Area, last_sector: int | None = None) -> dict[str, int | str]:
        """Return what a command about area says besides, on NAND."""
        if self.pages_per_block is None:
            return {}
        last = area.start_sector + area.sectors - 1 if last_sector is None else last_sector
        return commands.on_nand(self.pages_per_block, last)

    def _patience(self, area: Area, seconds: float) -> float:
        """Return how long to wait for the last word about area, at least seconds.

        SPI-NOR is slow: 15 s between two transfers and 35 s at the end of small files were seen
        (linux-msm/qdl#145, #163), and to erase a whole part takes minutes.
        """
        if self.memory != "spinor":
            return seconds
        return max(seconds, SPINOR_TIMEOUT_S) + area.size_bytes / SPINOR_BYTES_PER_S

    def read(self, area: Area, sink: Callable[[memoryview], None]) -> None:
        """Give the bytes of area to sink, piece by piece; a piece is valid during the call only.

        Bytes given to sink are to be trusted only when this returns: on a defective sector the
        phone sends all bytes all the same, and says no at the end.

        Raises:
            ReadFailedError: sectors could not be read.
            DeviceRefusedError: the programmer does not allow it.
        """
        self._talk.listen(min(self.payload_bytes, area.size_bytes))
        self._talk.send("read", commands.read(area, self._more(area)))
        self._talk.host.expect_answer_or_raw(area.size_bytes, area.sector_bytes)
        opening = self._talk.answer("read", SETUP_TIMEOUT_S)
        if not opening.ack or not opening.rawmode:
            self._talk.settle()
            raise refusal.refused("read", self._talk.logs)
        if "unannounced" not in opening.attributes:
            self._talk.host.expect_raw(area.size_bytes, area.sector_bytes)
        closing = self._take_raw(sink)
        self._talk.listen(0)
        if not closing.ack:
            self._talk.settle()
            raise refusal.refused(
                "read", self._talk.logs, default=ReadFailedError, what=_where(area), after_data=True
            )

    def _take_raw(self, sink: Callable[[memoryview], None]) -> Response:
        """Give raw data to sink until the closing response."""
        while True:
            match self._talk.next(READ_TIMEOUT_S if self._talk.host.raw_left else FINAL_TIMEOUT_S):
                case RawData(data):
                    sink(data)
                case Log(text):
                    self._talk.note(text)
                case Response() as response if self._talk.host.raw_left and response.ack:
                    raise ProtocolError(
                        f"The phone ended a read with {self._talk.host.raw_left} bytes missing."
                    )
                case Response() as response:
                    self._talk.host.end_raw()
                    return response
                case junk:
                    _log.debug("junk behind raw data: %r", junk.data[:64])

    def program(
        self,
        area: Area,
        chunks: Iterable[memoryview],
        *,
        label: str = "",
        moved: Callable[[int], None] = lambda _: None,
        last_sector: int | None = None,
    ) -> None:
        """Write chunks to area; together they must be exactly area.size_bytes long.

        All bytes are sent even when the phone has logged an error: it takes them all, and only its
        last word counts. moved: told how much more is out; 0 when the first is about to go.
        last_sector: on NAND, up to where it may go on behind bad blocks.

        Raises:
            WriteFailedError: the storage did not take the data; area is in an unknown state.
            DeviceRefusedError: the programmer refused before any data; area is as it was.
            TransportError: the data could not be sent; the programmer waits for the rest.
        """
        more = self._more(area, last_sector)
        xml = commands.program(area, label, more)
        self._write("program", xml, area, chunks, moved, self._patience(area, FINAL_TIMEOUT_S))

    def firmware(
        self,
        area: Area,
        chunks: Iterable[memoryview],
        moved: Callable[[int], None] = lambda _: None,
    ) -> tuple[str, ...]:
        """Give chunks, area.size_bytes long, to the storage device as its own new firmware.

        Returns what the programmer logged about it. Whether the device runs it is seen after the
        next start of the phone only. Raises as `program`.
        """
        xml = commands.firmware_write(area)
        self._write("firmwarewrite", xml, area, chunks, moved, FIRMWARE_TIMEOUT_S)
        return tuple(self._talk.logs)

    def _write(
        self,
        name: str,
        xml: bytes,
        area: Area,
        chunks: Iterable[memoryview],
        moved: Callable[[int], None],
        timeout_s: float,
    ) -> None:
        """Send a command that data belongs to, the data, and await the last word."""
        self._talk.send(name, xml)
        opening = self._talk.answer(name, SETUP_TIMEOUT_S)
        if not opening.ack or self._talk.unknown(opening):
            self._talk.settle()
            raise refusal.refused(name, self._talk.logs)
        if not opening.rawmode:
            raise ProtocolError(f"The programmer accepted <{name}> but does not wait for data.")
        early = self._pour(area, chunks, moved)
        closing = early or self._talk.answer(name, timeout_s)
        if not closing.ack:
            self._talk.settle()
            raise refusal.refused(name, self._talk.logs, what=_where(area), after_data=True)

    def _pour(
        self, area: Area, chunks: Iterable[memoryview], moved: Callable[[int], None]
    ) -> Response | None:
        """Send chunks in transfers of the agreed size; return a NAK that came in between."""
        sent = out = 0

        def tell() -> None:
            nonlocal out
            now = sent - self._talk.underway_bytes
            if now > out:
                moved(now - out)
                out = now

        for chunk in chunks:
            if not sent:
                moved(0)
            for at in range(0, len(chunk), self.payload_bytes):
                piece = chunk[at : at + self.payload_bytes]
                if (refused := self._talk.push(piece)) is not None:
                    return refused
                sent += len(piece)
                tell()
        if (refused := self._talk.pushed()) is not None:
            return refused
        tell()
        if sent != area.size_bytes:
            raise RuntimeError(f"{sent} bytes were given for {area}")
        return None

    def erase(self, area: Area) -> None:
        """Send <erase> for area; only for programmers that erase just that.

        These are generation 3, and those of NAND: the tools of modem makers send such erases to all
        of them (linux-msm/qdl#305, quectel_eg25_recovery#29).

        Raises:
            DeviceRefusedError: the programmer refused; nothing or part of it is erased.
        """
        if self.generation != 3 and self.pages_per_block is None:
            raise RuntimeError("<erase> wipes the whole LUN on this generation")
        xml = commands.erase(area, self._more(area))
        self._talk.ask("erase", xml, self._patience(area, ERASE_TIMEOUT_S))

    def sha256(self, area: Area) -> bytes | None:
        """Return the digest of area as the phone computes it, or None if it cannot.

        Raises:
            ReadFailedError: sectors could not be read.
        """
        if self.digest_works is False:
            return None
        timeout_s = DIGEST_TIMEOUT_S + area.size_bytes / DIGEST_BYTES_PER_S
        timeout_s = min(timeout_s, DIGEST_LONGEST_S)
        xml, logs = commands.sha256(area, self._more(area)), self._talk.logs
        response = self._talk.ask("getsha256digest", xml, timeout_s, judge=False).response
        digest = parse_digest(logs, response)
        if digest is None:  # the digest, or the reason why there is none, may trail the answer
            self._talk.settle()
            digest = parse_digest(logs, response)
        if response.ack and digest is not None:
            self.digest_works = True
            return digest
        if self._talk.unknown(response) or (response.ack and not logs):
            self.digest_works = False  # generation 1 says yes to what it does not know
            return None
        raise refusal.refused("getsha256digest", logs, default=ReadFailedError, what=_where(area))

    def set_bootable(self, value: int) -> None:
        """Make the phone boot from LUN value (UFS), or from the user area (eMMC, 0)."""
        self._talk.ask("setbootablestoragedrive", commands.set_bootable(value), SETUP_TIMEOUT_S)

    def power(self, action: Power) -> None:
        """Reset the phone or switch it off. A phone that leaves before it answers has obeyed.

        Raises:
            DeviceRefusedError: it will not.
            TransportTimeoutError: it stays and is mute.
        """
        try:
            self._talk.ask("power", commands.power(action), COMMAND_TIMEOUT_S)
        except DeviceGoneError as error:
            _log.info("no answer to <power>: %s", error)
            return
        self._talk.settle()


def _fitting(size: int) -> int:
    """Return the largest payload size up to size that we use; 0 if there is none."""
    return 1 << (min(size, MIB).bit_length() - 1) if size >= _UNIT_BYTES else 0


def _greeting_ends(line: str) -> bool:
    """Tell whether line is the last of a greeting: no need to wait for more."""
    text = line.removeprefix("INFO: ")
    return text.startswith(("End of supported functions", "Supported Functions: "))


def _where(area: Area) -> str:
    last = area.start_sector + area.sectors - 1
    return f"LUN {area.lun}, sectors {area.start_sector} to {last}"
