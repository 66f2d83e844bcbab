# SPDX-License-Identifier: BSD-3-Clause
"""What all generations of programmers have in common: the USB library, the loop, a data buffer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from edl.virtual.faults import Fault, Kind, Place
from edl.virtual.link import Exit, Firmware, Receive, Request, Send, Sleep, Strike
from edl.virtual.pace import seconds
from edl.virtual.programmer import mishaps
from edl.virtual.programmer.board import VIP_LOCK, Board
from edl.virtual.programmer.mishaps import Suffering
from edl.virtual.programmer.validation import (
    GENERATION1,
    MAX_TABLE_BYTES,
    InvalidError,
    Validation,
    Words,
)
from edl.virtual.storage import Extent, Lun

XML_BYTES = 4096  # MaxXMLSizeInBytes of all: real-programmer.md 2.3

_OTHER_SECTOR = {512: 4096, 4096: 512}

Steps = Generator[Request, Any, None]  # part of a programmer's work
Attributes = Mapping[str, str]  # names in lower case, but where the generation says otherwise
Handler = Callable[[Attributes], Steps]


class RefusedError(Exception):
    """The command ends with these logs and a NAK.

    Attributes:
        logs: texts with the generation's prefix.
    """

    def __init__(self, *logs: str) -> None:
        super().__init__(*logs)
        self.logs = logs


class UnansweredError(Exception):
    """The command ends with these logs and without any response."""

    def __init__(self, *logs: str) -> None:
        super().__init__(*logs)
        self.logs = logs


class Leave(Exception):  # noqa: N818  (no error: the programmer has done its work)
    """The programmer ends.

    Attributes:
        reason: as in `edl.virtual.link.Exit`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Programmer(ABC):
    """A programmer: XML packets in, logs, responses and raw data out.

    Attributes:
        packets: how many packets came in outside raw mode.
        zlp_aware: the host ends a transfer that fills its last packet with a zero-length packet.
        buffer: the one buffer through which raw data passes; never cleared.
    """

    error_prefix: ClassVar[str] = ""
    vip_words: ClassVar[Words] = GENERATION1

    def __init__(self, board: Board) -> None:
        self.board = board
        self.storage = board.storage
        self.packets = 0
        self.zlp_aware = True
        self._ahead = bytearray()  # a packet that came in place of a zero-length one
        self.buffer = bytearray(XML_BYTES)
        self.handlers: dict[str, Handler] = {}
        self._suffering = Suffering()
        self._left: Extent | None = None  # of the write that is being carried out
        self._told: dict[Kind, int | None] = {}  # lies about the storage
        locked = board.quirks.lock == VIP_LOCK
        self._validation = Validation(board.fuses, self.vip_words) if locked else None

    @abstractmethod
    def greeting(self) -> Iterator[Request]:
        """Yield what comes unasked when the programmer starts."""

    @abstractmethod
    def obey(self, packet: bytes) -> Steps:
        """Carry out the commands in a packet."""

    @abstractmethod
    def log(self, text: str) -> Send:
        """Return a log. The text is sent as it is, not escaped: real-programmer.md 2.1."""

    @abstractmethod
    def response(self, value: str, **attributes: object) -> Send:
        """Return a response with these attributes, in this order."""

    def refusal(self, name: str) -> Send:
        """Return the response that refuses a command before any raw data."""
        return self.response("NAK")

    def xml_bytes(self) -> int:
        """Return how much the programmer is ready to take as one XML packet."""
        return XML_BYTES

    def run(self, *, greet: bool) -> Firmware:
        """Run until the phone is reset or switched off."""
        try:
            if greet:
                yield from self._announce()
                yield from self.greeting()
            while True:
                try:
                    packet = yield from self.receive(self.xml_bytes())
                except RefusedError as refused:
                    yield from map(self.log, refused.logs)
                    yield self.response("NAK")
                    continue
                self.packets += 1
                yield from self.obey(packet)
        except Leave as leave:
            yield Exit(leave.reason)

    def _announce(self) -> Iterator[Request]:
        if self._validation is not None:
            yield self.log(self._validation.announced)

    def receive(self, max_bytes: int) -> Generator[Request, bytes, bytes]:
        """Return the next transfer; in VIP mode one that a signed table holds.

        Raises:
            RefusedError: none does; or a table came that is not the one that is due.
        """
        validation = self._validation
        if validation is None:
            return (yield from self._transfer(max_bytes))
        try:
            while validation.wants_table:
                table = yield from self._transfer(MAX_TABLE_BYTES)
                self.packets += 1
                yield from map(self.log, validation.take_table(table))
                yield self.response("ACK")
            data = yield from self._transfer(max_bytes)
            validation.check(data)
        except InvalidError as invalid:
            raise RefusedError(*invalid.logs) from None
        return data

    def _transfer(self, max_bytes: int) -> Generator[Request, bytes, bytes]:
        """Return what arrives until max_bytes are full or a short packet ends the transfer.

        This is the usb_al library of the real programmers. A completion that is a multiple of the
        packet size means "more to come", with or without a zero-length packet. A full request is
        followed by a zero-length packet if the host is said to send them: nothing goes on until
        one packet more has come. real-programmer.md 2.3 and 7 (ZLP matrix). That a packet with data
        is not lost then is inferred: hosts which end only the last payload with a zero-length
        packet work (firehose.md 1.3), and payloads of 12288 bytes too (UFS fact 3).
        """
        self.board.owed = self._left
        packet_bytes = self.board.packet_bytes
        ahead, self._ahead = bytes(self._ahead[:max_bytes]), self._ahead[max_bytes:]
        if len(ahead) % packet_bytes:
            return ahead
        pieces, left = [ahead] if ahead else [], max_bytes - len(ahead)
        while left:
            piece = yield Receive(left)
            pieces.append(piece)
            left -= len(piece)
            if len(piece) % packet_bytes or left == max_bytes:
                return b"".join(pieces)
        if self.zlp_aware and max_bytes % packet_bytes == 0:
            self._ahead += yield Receive(packet_bytes)
        return b"".join(pieces)

    def perform(self, name: str, attributes: Attributes) -> Steps:
        """Carry out one command that this programmer knows, with the faults that strike it."""
        faults = self.board.injector.commands(name)
        extent = self.announced(attributes)
        self._suffering = mishaps.suffering(faults, extent.count)
        self._left = extent if name == "program" else None
        lies = (Kind.SECTORS, Kind.SECTOR_SIZE)
        self._told |= {fault.kind: fault.count for fault in faults if fault.kind in lies}
        yield from mishaps.strikes(faults)
        work = self._carry_out(name, attributes, faults)
        yield from mishaps.changed(work, faults, self.log, self.storage.sector_bytes)
        self._left = None

    def _carry_out(self, name: str, attributes: Attributes, faults: Iterable[Fault]) -> Steps:
        try:
            self._check_lock(name, faults)
            yield from self.handlers[name](attributes)
        except RefusedError as refused:
            yield from map(self.log, refused.logs)
            yield self.refusal(name)
        except UnansweredError as unanswered:
            yield from map(self.log, unanswered.logs)

    def announced(self, attributes: Attributes) -> Extent:
        """Return the sectors of a command; numbers that are not said plainly are 0."""
        names = ("physical_partition_number", "start_sector", "num_partition_sectors")
        texts = (attributes.get(name, "") for name in names)
        return Extent(*(int(text) if text.isdecimal() else 0 for text in texts))

    def told(self, lun: Lun) -> Lun:
        """Return a LUN of the size that is told of lun; it holds nothing."""
        sectors, size = lun.sectors, lun.sector_bytes
        if Kind.SECTORS in self._told:
            count = self._told[Kind.SECTORS]
            sectors = 2 * sectors if count is None else count
        if Kind.SECTOR_SIZE in self._told:
            size = self._told[Kind.SECTOR_SIZE] or _OTHER_SECTOR.get(size, size)
        return Lun(sectors, size)

    def knows(self, name: str) -> bool:
        """Return whether this build has a command, named in lower case."""
        return name in self.handlers and name not in self.board.quirks.missing

    def check_policy(self, lun: int, start: int, count: int) -> None:
        """Refuse what a maker's policy forbids."""
        if any(extent.touches(lun, start, count) for extent in self.board.quirks.restricted):
            raise RefusedError(
                f"{self.error_prefix}range restricted: "
                f"lun={lun}, start_sector={start}, num_sectors={count}"
            )

    def wait(self, lun: int, start: int, count: int, rate: float | None = None) -> Steps:
        """Take the time that the storage takes for these sectors. rate: bytes a second."""
        needed = self.storage.seconds(lun, start, count) + self._suffering.waits()
        needed += seconds(count * self.storage.sector_bytes, rate)
        if needed:
            yield Sleep(needed)

    def hashed(self, size_bytes: int) -> Steps:
        """Take the time that hashing size_bytes takes."""
        if needed := seconds(size_bytes, self.storage.pace.digest):
            yield Sleep(needed)

    def load(self, lun: int, start: int, count: int) -> Steps:
        """Read sectors to the beginning of the buffer.

        Raises:
            StorageError: the buffer then holds what it held before.
        """
        yield from self.wait(lun, start, count, self.storage.pace.read)
        match self.storage.kills(lun, start, count):
            case "reset":
                yield Strike(Fault(Kind.RESET, Place.READ))
            case "hang":
                yield Exit("hang")
        data = self.storage.read(lun, start, count)
        if not self._suffering.reads(count):
            raise self.storage.failure()
        self.buffer[: len(data)] = data

    def store(self, lun: int, start: int, count: int) -> Steps:
        """Write sectors from the beginning of the buffer.

        Raises:
            StorageError: nothing was written.
        """
        yield from self.wait(lun, start, count, self.storage.pace.write)
        if self._left is not None:
            self._left = Extent(lun, start + count, self._left.count - count)
            self.board.owed = self._left if self._left.count else None
        size_bytes = count * self.storage.sector_bytes
        if not self._suffering.forgets:
            self.storage.write(lun, start, memoryview(self.buffer)[:size_bytes])

    def clear(self, lun: int, start: int, count: int) -> Steps:
        """Erase sectors.

        Raises:
            StorageError: nothing was erased.
        """
        slow = self.storage.kind == "spinor"  # the others erase in no time that matters
        yield from self.wait(lun, start, count, self.storage.pace.write if slow else None)
        if not self._suffering.forgets:
            self.storage.erase(lun, start, count)

    def raw(self, size_bytes: int) -> Send:
        """Return the beginning of the buffer as raw data."""
        return Send(bytes(memoryview(self.buffer)[:size_bytes]))

    def _check_lock(self, name: str, faults: Iterable[Fault]) -> None:
        lock = self.board.quirks.lock if self._validation is None else None
        if lock is not None and name not in lock.allowed:
            raise RefusedError(*(self.error_prefix + text for text in lock.texts))
        if any(fault.kind is Kind.NAK for fault in faults):
            raise RefusedError(f"{self.error_prefix}command refused")


def pieces(start: int, count: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield (first sector, sectors) for every piece of at most step sectors, step at least 1."""
    stop = start + count
    while start < stop:
        yield start, min(step, stop - start)
        start += step


def document(body: str, separator: str) -> bytes:
    """Return an XML document as programmers send it. Text is bytes: nothing is escaped."""
    prolog = '<?xml version="1.0" encoding="UTF-8" ?>'
    return f"{prolog}{separator}<data>{separator}{body}".encode("latin-1", "replace")


def attribute_text(attributes: Mapping[str, object]) -> str:
    """Return attributes as they are written in a response."""
    return "".join(f' {name}="{value}"' for name, value in attributes.items())
