# SPDX-License-Identifier: BSD-3-Clause
"""A running programmer that speaks Streaming Download: open, write, read where it does, close.

What it offers is found out, never believed: its storage by opening it, reading by a partition table
that must be where it belongs. Stock programmers answer READ with memory, not with flash, so that
only what is proved to be flash is called so. Frames go one by one, each answered; what was written
counts when CLOSE has been answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from edl.device.streaming_talk import Talk
from edl.errors import (
    DeviceGoneError,
    DeviceRefusedError,
    NoReadingError,
    ProtocolError,
    ReadFailedError,
    WriteFailedError,
    WrongStorageError,
)
from edl.events import Emit, ignore
from edl.firehose.answers import Configuration, Greeting, StorageInfo
from edl.firehose.commands import Area, Power
from edl.streaming import packets
from edl.streaming.host import Data, Done, Event, Hello, Refused
from edl.streaming.packets import ErrorCode, Opened, Security
from edl.transport import Transport

_log = logging.getLogger(__name__)

COMMAND_S = 5.0
WRITE_S = 60.0
CLOSE_S = 120.0
_SECTOR_BYTES = 512
_ADDRESSES = 1 << 32
_BATCH_BYTES = 64 * 1024  # what is told or given on at once
_OPENS = {0: Opened.EMMC_USER, 1: Opened.EMMC_BOOT0, 2: Opened.EMMC_BOOT1}
_MARK = b"EFI PART"
_NO_READING = (
    "This programmer speaks the old Streaming Download protocol and does not let the flash be read."
)
_NO_NAND = (
    "This phone has NAND, and its old programmer neither lets it be read nor knows its sectors: it"
    " only writes partitions by their names."
)
_BY_NAME = (
    "Write a partition by its name: edl write 0:AMSS FILE",
    "Or look for a Firehose programmer for exactly this model.",
)
_LOG_REMEDY = "Repeat with --log-file FILE and report it with that file."


class Programmer:
    """One programmer that runs on a phone; see `edl.device.programmer.Programmer`.

    Attributes:
        hello: what it said about itself.
    """

    protocol = "Streaming Download"

    def __init__(self, transport: Transport, emit: Emit = ignore) -> None:
        self.link_speed: int | None = getattr(transport, "link_speed", None)
        self.memory = ""
        self.payload_bytes = packets.MAX_DATA_BYTES
        self.configuration: Configuration | None = None
        self.digest_works: bool | None = False
        self.hello: Hello | None = None
        self._talk = Talk(transport, emit)
        self._open: Opened | None = None
        self._unit_bytes: int | None = None  # of addresses of READ, once reading is proved

    # -- attaching ------------------------------------------------------------------------------

    def start(self, first: bytes = b"") -> None:
        """Greet, and find out which storage there is. first: bytes that came before.

        Raises:
            ProgrammerFailedError: it does not answer, or does not know the phone's flash.
            DeviceRefusedError: it does not let itself be used.
        """
        if first:
            self._talk.core.receive(first)
        self.hello = hello = self._talk.greet()
        block = min(hello.block_bytes or packets.MAX_DATA_BYTES, packets.MAX_DATA_BYTES)
        self.payload_bytes = block // _SECTOR_BYTES * _SECTOR_BYTES
        if not self.payload_bytes:
            raise ProtocolError(
                f"The programmer wants data in blocks of {hello.block_bytes} bytes."
            )
        self._unlock()
        self._close(stale=True)  # an earlier program may have left something open
        try:
            self._enter(0)
            self.memory = "emmc"
        except DeviceRefusedError as error:
            _log.info("no eMMC: %s", error)
            self.memory = "nand"

    def _unlock(self) -> None:
        """Choose a security mode: the lesser one is what emmcdl and openpst ask for."""
        event: Event | None = None
        for mode in (Security.UNTRUSTED, Security.TRUSTED):
            event = self._talk.ask(lambda: self._talk.core.security_mode(mode), COMMAND_S)  # noqa: B023
            if isinstance(event, Done):
                return
        raise self._talk.refused("take a security mode", event)

    @property
    def generation(self) -> int:
        """0: it is no Firehose programmer."""
        return 0

    @property
    def signs(self) -> tuple[str, ...]:
        """Nothing is known of its words about locks."""
        return ()

    @property
    def greeting(self) -> Greeting:
        """What it can do, in Firehose's names."""
        functions = {"program", "power"} | ({"read", "getstorageinfo"} if self.reads else set())
        return Greeting(frozenset(functions))

    @property
    def reads(self) -> bool:
        """Whether it is proved that flash can be read; tried again as long as it is not."""
        return self._unit_bytes is not None or self._prove_reading()

    @property
    def reach_sectors(self) -> int | None:
        """How many sectors addresses can name: all that is known of the size without reading."""
        if self.memory == "nand":
            return None
        return _ADDRESSES * self._address_bytes // _SECTOR_BYTES

    def supports(self, function: str) -> bool | None:
        """Tell whether it has function, in Firehose's name."""
        return function in (self.greeting.functions or ())

    def ping(self) -> bool:
        """Make sure that it listens."""
        return isinstance(self._talk.ask(self._talk.core.nop, COMMAND_S), Done)

    # -- storage --------------------------------------------------------------------------------

    def storage_info(self, lun: int) -> StorageInfo:
        """Return what is known of lun: 0 is the user area, 1 and 2 the boot areas.

        The size is that which a partition table tells, where one can be read.

        Raises:
            WrongStorageError: there is no such area.
        """
        if self.memory != "emmc":
            return StorageInfo(memory=self.memory, product=self._product)
        self._enter(lun)
        sectors = self._told_sectors() if lun == 0 and self.reads else None
        return StorageInfo(sectors, _SECTOR_BYTES, len(_OPENS), "emmc", self._product)

    @property
    def _product(self) -> str | None:
        return (self.hello.flash_id.strip() if self.hello else "") or None

    def _told_sectors(self) -> int | None:
        """Return the size that the partition table tells, if its second copy is at that end."""
        try:
            head = self._sectors(0, 2)
            if head[_SECTOR_BYTES:].startswith(_MARK):
                last = int.from_bytes(head[_SECTOR_BYTES + 32 : _SECTOR_BYTES + 40], "little")
                if 0 < last < _ADDRESSES and self._sectors(last, 1).startswith(_MARK):
                    return last + 1
        except DeviceRefusedError as error:
            _log.info("how large the storage is: %s", error)
        return None

    def _sectors(self, start: int, count: int) -> bytes:
        data = bytearray()
        self.read(Area(0, start, count, _SECTOR_BYTES), data.extend)
        return bytes(data)

    def _prove_reading(self) -> bool:
        """Find out whether READ gives flash, and in which unit it counts.

        A partition table that is where it belongs proves both. Sector 0 alone tells no unit: then
        it is that of HELLO.
        """
        if self.memory != "emmc":
            return False
        for unit, address in ((_SECTOR_BYTES, 1), (1, _SECTOR_BYTES)):
            if self._peek(address).startswith(_MARK):
                self._unit_bytes = unit
                return True
        if _is_mbr(self._peek(0)):
            self._unit_bytes = self._address_bytes
        return self._unit_bytes is not None

    def _peek(self, address: int) -> bytes:
        """Return what READ gives for the length of a sector; nothing, if it gives none."""
        try:
            self._enter(0)
            return self._read_once(address, _SECTOR_BYTES)
        except DeviceRefusedError as error:
            _log.info("reading at %#x: %s", address, error)
            return b""

    @property
    def _address_bytes(self) -> int:
        """What an address counts, as was agreed on."""
        sectors = self.hello is not None and self.hello.counts_sectors
        return _SECTOR_BYTES if sectors else 1

    def _address(self, sector: int, unit: int) -> int:
        address = sector * _SECTOR_BYTES // unit
        if address >= _ADDRESSES:
            raise DeviceRefusedError(
                f"Sector {sector} cannot be named: this programmer counts bytes, up to 4 GiB.",
                remedies=("Look for a Firehose programmer for this model.",),
            )
        return address

    def _read_once(self, address: int, length: int) -> bytes:
        event = self._talk.ask(lambda: self._talk.core.read(address, length), COMMAND_S)
        if isinstance(event, Data):
            return event.data
        raise self._talk.refused("read", event, ReadFailedError)

    def read(self, area: Area, sink: Callable[[memoryview], None]) -> None:
        """Give the bytes of area to sink, piece by piece.

        Raises:
            ReadFailedError: sectors could not be read.
            DeviceRefusedError: the programmer does not let flash be read.
        """
        if not self.reads or self._unit_bytes is None:
            if self.memory == "nand":
                raise NoReadingError(_NO_NAND, remedies=_BY_NAME)
            raise NoReadingError(_NO_READING)
        self._enter(area.lun)
        batch = bytearray()
        left, sector = area.size_bytes, area.start_sector
        while left:
            size = min(left, self.payload_bytes)
            batch += self._read_once(self._address(sector, self._unit_bytes), size)
            sector += size // _SECTOR_BYTES
            left -= size
            if len(batch) >= _BATCH_BYTES or not left:
                sink(memoryview(bytes(batch)))
                batch.clear()

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

        moved: told how much more is taken; 0 when the first is about to go. last_sector: of NAND,
        whose bad blocks are the programmer's own matter here.

        Raises:
            WriteFailedError: the storage did not take the data; area is in an unknown state.
            DeviceRefusedError: the programmer refused before any data; area is as it was.
        """
        self._require_unit()
        self._address(area.start_sector + area.sectors - 1, self._address_bytes)
        self._enter(area.lun)
        moved(0)
        told = sent = 0
        for data in blocks(chunks, self.payload_bytes):
            sector = area.start_sector + sent // _SECTOR_BYTES
            self._write_once(self._address(sector, self._address_bytes), data)
            sent += len(data)
            if sent - told >= _BATCH_BYTES:
                moved(sent - told)
                told = sent
        self._close()
        moved(sent - told)
        if sent != area.size_bytes:
            raise RuntimeError(f"{sent} bytes were given for {area}")

    def _require_unit(self) -> None:
        """Make sure that what was agreed on is what reading has shown.

        Raises:
            ProtocolError: a write would go to another place than is meant.
        """
        if self._unit_bytes is not None and self._unit_bytes != self._address_bytes:
            raise ProtocolError(
                "The programmer says one thing and does another: it agreed on addresses in"
                f" {_unit_words(self._address_bytes)} and reads as if they were"
                f" {_unit_words(self._unit_bytes)}. Nothing is written.",
                remedies=("Use another programmer for this model.", _LOG_REMEDY),
            )

    def _write_once(self, address: int, data: bytes, *, once: bool = False) -> None:
        """Write a block. once: not again after a damaged answer, as NAND is written in order."""
        make = self._talk.core.write
        event = self._talk.ask(lambda: make(address, data), WRITE_S, once=once)
        if not isinstance(event, Done):
            raise self._talk.refused(f"write at {address:#x}", event, WriteFailedError)

    def _enter(self, lun: int) -> None:
        """Open an area of the storage, if it is not the one that is open."""
        what = _OPENS.get(lun)
        if what is None:
            raise WrongStorageError(f"Streaming Download names no LUN {lun}.")
        if self._open is what:
            return
        if self._open is not None:
            self._close()
        event = self._talk.ask(lambda: self._talk.core.open(what), COMMAND_S)
        if isinstance(event, Refused) and event.code is ErrorCode.OUT_OF_SEQUENCE:
            self._close(stale=True)  # something is open: by an answer that was lost
            event = self._talk.ask(lambda: self._talk.core.open(what), COMMAND_S)
        if not isinstance(event, Done) or event.status:
            raise self._talk.refused(f"open {what.name.lower()}", event, WrongStorageError)
        self._open = what

    def _close(self, *, stale: bool = False) -> None:
        """Close what is open: then all that was written is on the flash. stale: if anything is.

        Raises:
            WriteFailedError: what was written is not all on the flash.
        """
        self._open = None
        event = self._talk.ask(self._talk.core.close, CLOSE_S)
        if not stale and not isinstance(event, Done):
            raise self._talk.refused("finish what was written", event, WriteFailedError)

    def write_partition(
        self,
        name: str,
        chunks: Iterable[memoryview],
        *,
        table: bytes = b"",
        moved: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Write chunks to the NAND partition called name, from its beginning; return their length.

        The programmer goes around bad blocks itself. table: the partition table to be compared with
        the phone's before; one that differs is never put in its place.

        Raises:
            WrongStorageError: there is no such partition, or its table is another.
            WriteFailedError: the flash did not take the data; the partition is incomplete.
        """
        if table:
            core = self._talk.core
            event = self._talk.ask(lambda: core.partition_table(table, override=False), COMMAND_S)
            if not isinstance(event, Done) or event.status:
                raise self._talk.refused("take this partition table", event, WrongStorageError)
        event = self._talk.ask(lambda: self._talk.core.open(Opened.PARTITION, name), COMMAND_S)
        if not isinstance(event, Done) or event.status:
            raise self._talk.refused(f"open partition '{name}'", event, WrongStorageError)
        sent = told = 0
        moved(0)
        for data in blocks(chunks, self.payload_bytes):
            self._write_once(sent, data, once=True)
            sent += len(data)
            if sent - told >= _BATCH_BYTES:
                moved(sent - told)
                told = sent
        self._close()
        moved(sent - told)
        return sent

    def erase(self, area: Area) -> None:
        """Nothing: the protocol only erases all of the flash, which is never sent."""
        raise RuntimeError("Streaming Download erases no ranges")

    def sha256(self, area: Area) -> bytes | None:
        """Return None: it computes no digests."""
        return None

    def set_bootable(self, value: int) -> None:
        """Refuse: the protocol has nothing for it, and eMMC does not need it."""
        raise DeviceRefusedError("Streaming Download cannot choose what the phone boots from.")

    def power(self, action: Power) -> None:
        """Reset the phone or switch it off. A phone that leaves before it answers has obeyed.

        Raises:
            DeviceRefusedError: it will not.
        """
        if action is Power.EDL:
            raise DeviceRefusedError(
                "Streaming Download cannot restart the phone into EDL mode.",
                remedies=("Restart it with: edl reset", "Enter EDL mode by its keys."),
            )
        if self._open is not None:
            self._close()
        make = self._talk.core.reset if action is Power.RESET else self._talk.core.power_off
        try:
            event = self._talk.ask(make, COMMAND_S)
        except DeviceGoneError as error:
            _log.info("no answer to the reset: %s", error)
            return
        if not isinstance(event, Done):
            raise self._talk.refused("restart or switch off the phone", event)


def _unit_words(unit: int) -> str:
    return "bytes" if unit == 1 else "sectors"


def _is_mbr(sector: bytes) -> bool:
    """Tell whether sector is a master boot record with a partition."""
    return sector[510:512] == b"\x55\xaa" and any(sector[450:510:16])


def blocks(chunks: Iterable[memoryview], size: int) -> Iterable[bytes]:
    """Yield the bytes of chunks in blocks of size; the last one may be shorter."""
    left = bytearray()
    for chunk in chunks:
        left += chunk
        whole = len(left) // size * size
        for at in range(0, whole, size):
            yield bytes(left[at : at + size])
        del left[:whole]
    if left:
        yield bytes(left)
