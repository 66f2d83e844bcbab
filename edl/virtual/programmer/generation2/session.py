# SPDX-License-Identifier: BSD-3-Clause
"""Generation 2: envelopes, dispatch, and the commands that touch no sectors."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from edl.virtual.link import Request, Send, Sleep
from edl.virtual.programmer.base import (
    XML_BYTES,
    Leave,
    Programmer,
    RefusedError,
    Steps,
    attribute_text,
    document,
)
from edl.virtual.programmer.base import Attributes as NoAttributes
from edl.virtual.programmer.board import Board
from edl.virtual.programmer.generation2.attributes import Attributes
from edl.virtual.programmer.generation2.text import ScanError, Scanner, evaluate
from edl.virtual.programmer.info import common_texts, emmc_texts, raw_texts, ufs_texts
from edl.virtual.programmer.validation import GENERATION2
from edl.virtual.storage import EmmcProduct, Extent, Lun, StorageError, UfsProduct

_DEFAULT_PAYLOAD_BYTES = 131072  # more than the buffer holds: configure without a size fails
_MAX_DIGEST_TABLE_BYTES = 8192
_MAX_POKE_BYTES = 8
_COUNT = "num_partition_sectors"
_PEEK_BYTES = 107  # in one log
_RAW_LASTS = (265, 531)  # last bytes of the pieces in which EXT_CSD is logged

# In the order of the banner.
_COMMANDS = (
    "program",
    "configure",
    "nop",
    "firmwarewrite",
    "patch",
    "setbootablestoragedrive",
    "ufs",
    "emmc",
    "power",
    "benchmark",
    "read",
    "getstorageinfo",
    "getsha256digest",
    "erase",
    "peek",
    "poke",
)

_DEVICE_TYPES = {"emmc": ("SDCC", 1), "ufs": ("UFS", 3)}
_MEMORY_NAMES = {"emmc": "eMMC", "ufs": "UFS"}
_POWER = {
    "reset_to_edl": (
        "POWER_RESET_TO_EDL - Will set PBL cookies before reset",
        "bsp_target_reset_edl",
    ),
    "reset": ("POWER_RESET", "bsp_target_reset"),
    "off": ("POWER_OFF", "bsp_target_poweroff"),
}


@dataclass(frozen=True)
class Build:
    """What differs between two programmers of this generation.

    Attributes:
        target_name: what configure answers.
        date, time: of the build.
        buffer_bytes: its one buffer, the largest payload.
    """

    target_name: str
    date: str
    time: str
    buffer_bytes: int


SDM660 = Build("MSM8996", "Jun  9 2018", "18:19:02", 32768)


class Session(Programmer):
    """The part of a programmer of generation 2 that touches no sectors."""

    vip_words = GENERATION2

    def __init__(self, board: Board, build: Build, *, running: bool) -> None:
        super().__init__(board)
        self.build = build
        self.payload_bytes = board.payload_bytes or build.buffer_bytes
        self.attributes = Attributes(_DEFAULT_PAYLOAD_BYTES)
        self.opened: str | None = board.storage.kind if running else None
        self.buffer = bytearray(max(self.payload_bytes, XML_BYTES))
        self.handlers = {
            "configure": self._configure,
            "nop": self._nop,
            "setbootablestoragedrive": self._setbootable,
            "ufs": self._provision,
            "emmc": self._provision,
            "power": self._power,
            "benchmark": self._benchmark,
            "getstorageinfo": self._getstorageinfo,
            "peek": self._peek,
            "poke": self._poke,
        }

    def greeting(self) -> Iterator[Request]:
        """Yield the banner."""
        yield self.log(f"Binary build date: {self.build.date} @ {self.build.time}")
        yield from self._identity()

    def _identity(self) -> Iterator[Request]:
        serial = self.board.chip_serial
        yield self.log(f"Chip serial num: {serial} (0x{serial:x})")
        names = "".join(f"{name} " for name in _COMMANDS if self.knows(name))
        yield self.log(f"Supported Functions: {names}")

    def log(self, text: str) -> Send:
        """Return a log in the form of this generation."""
        return Send(document(f'<log value="{text}"/>\n</data>', "\n"))

    def response(self, value: str, **attributes: object) -> Send:
        """Return a response in the form of this generation."""
        body = f'<response value="{value}"{attribute_text(attributes)} />\n</data>'
        return Send(document(body, "\n"))

    def obey(self, packet: bytes) -> Steps:
        """Carry out the first command of a packet."""
        self.buffer[: len(packet)] = packet
        if len(packet) == XML_BYTES:
            yield self.response("NAK")
        elif packet:
            try:
                name = yield from self._parse(len(packet))
            except ScanError as error:
                yield self.log(error.log)
                yield self.response("NAK")
            except RefusedError as refused:
                yield from map(self.log, refused.logs)
                yield self.response("NAK")
            else:
                yield from self.perform(name, {})

    def _parse(self, packet_bytes: int) -> Generator[Request, Any, str]:
        """Assign the attributes of a packet, and return its command."""
        scanner = Scanner(bytes(self.buffer[:XML_BYTES]), packet_bytes)
        tag = scanner.tag()
        name = tag.lower()
        if not self.knows(name):
            raise RefusedError(f"**WARNING Ignoring Unrecognized tag '{tag}'")
        self.attributes.begin()
        for attribute, value in scanner.attributes():
            if not self.attributes.assign(attribute, value) and self.attributes.number("Verbose"):
                yield self.log(
                    f"IGNORING UNRECOGNIZED Attribute '{attribute}' with value '{value}'"
                )
        return name

    # What commands read from the attributes

    def disk(self) -> tuple[int, Lun]:
        """Return the physical partition, opened.

        Raises:
            RefusedError: it cannot be opened. The logs are those of the storage layer alone.
        """
        number = self.attributes.number("physical_partition_number")
        if self.opened is None:
            raise RefusedError
        if self.opened != self.storage.kind or number not in self.storage.opening:
            driver, device = _DEVICE_TYPES[self.opened]
            raise RefusedError(
                f"ERROR: Failed to open the {driver} Device slot 0 partition {number}",
                f"ERROR: Failed to open the device {device} slot 0 partition {number}",
                f"INFO: Device type {device}, slot 0, partition {number}, error 0",
                f"WARN: Get Info failed to open {device} slot 0, partition {number}, error 0",
            )
        return number, self.storage.luns[number]

    def announced(self, _: NoAttributes) -> Extent:
        """See Programmer."""
        texts = {name: self.attributes.text(name) for name in ("start_sector", _COUNT)}
        number = self.attributes.number("physical_partition_number")
        return super().announced({**texts, "physical_partition_number": str(number)})

    def device_type(self) -> int:
        """Return the number by which logs call the storage."""
        return _DEVICE_TYPES[self.storage.kind][1]

    def sectors(self, name: str) -> int:
        """Return an expression that may be as large as the LUN, but not larger: 6."""
        trailer = f"parseSectorValue could not handle {name} value"
        try:
            number, lun = self.disk()
        except RefusedError as refused:
            raise RefusedError(
                *refused.logs, "storage_device_get_num_partition_sectors FAILED!", trailer
            ) from None
        value = evaluate(self.attributes.text(name), lun.sectors)
        if not 0 <= value <= lun.sectors:
            raise RefusedError(
                f"XML attribute '{name}'={value} exceeds total size of partition {number} "
                f"in sectors: {lun.sectors}",
                trailer,
            )
        return value

    def check_sector_bytes(self, lun: Lun, *trailer: str) -> None:
        """Compare SECTOR_SIZE_IN_BYTES with the storage."""
        sector_bytes = self.attributes.number("SECTOR_SIZE_IN_BYTES")
        if sector_bytes != lun.sector_bytes:
            raise RefusedError(
                f"Attribute 'SECTOR_SIZE_IN_BYTES'={sector_bytes} must be equal to disk sector "
                f"size {lun.sector_bytes}",
                *trailer,
            )

    # Commands

    def _nop(self, _: NoAttributes) -> Steps:
        yield self.log(f"Binary build date: {self.build.date} @ {self.build.time}\n")
        yield self.log(f"fh.attrs.Verbose is set to {self.attributes.number('Verbose')}")
        yield from self._identity()
        yield self.response("ACK")

    def _configure(self, _: NoAttributes) -> Steps:
        wanted = self.attributes.text("MemoryName") or "emmc"
        kind = wanted.lower()
        if kind not in _MEMORY_NAMES:
            raise RefusedError(f"Invalid storage type: {wanted}")
        digest_bytes = self.attributes.number("MaxDigestTableSizeInBytes")
        if digest_bytes > _MAX_DIGEST_TABLE_BYTES:
            raise RefusedError(
                f"Attribute 'MaxDigestTableSizeInBytes'={digest_bytes} cannot exceed "
                f"{_MAX_DIGEST_TABLE_BYTES}",
                "ERROR 13: Line 1195: HANDLE_CONFIGURE_FAILURE",
            )
        self.zlp_aware = self.attributes.number("ZlpAwareHost") != 0
        yield self.log(
            f"Calling usb_al_bulk_set_zlp_mode({'TRUE' if self.zlp_aware else 'FALSE'}) "
            f"since ZlpAwareHost='{self.attributes.number('ZlpAwareHost')}'"
        )
        value, log = self._negotiate()
        if log:
            yield self.log(log)
        yield from self._open(kind)
        yield self.response(
            value,
            MinVersionSupported=1,
            MemoryName=_MEMORY_NAMES[kind],
            MaxPayloadSizeFromTargetInBytes=4096,
            MaxPayloadSizeToTargetInBytes=self.payload_bytes,
            MaxPayloadSizeToTargetInBytesSupported=self.payload_bytes,
            MaxXMLSizeInBytes=XML_BYTES,
            Version=1,
            TargetName=self.build.target_name,
            DateTime=f"{self.build.date} - {self.build.time}",
        )

    def _negotiate(self) -> tuple[str, str]:
        """Return the answer to the wanted payload size and a log. It never grows again: 4.3."""
        name = "MaxPayloadSizeToTargetInBytes"
        wanted, value, log = self.attributes.number(name), "ACK", ""
        if wanted > self.payload_bytes:
            value = "NAK"
            log = (
                f"fh.attrs.{name} of {wanted} > fh.channel_buffer_capacity of {self.payload_bytes}"
            )
        elif wanted:
            self.payload_bytes = wanted
        else:
            log = f"Host's payload to target size not provided or 0; using {self.payload_bytes}"
        self.attributes.set_number(name, self.payload_bytes)
        return value, log

    def _open(self, kind: str) -> Steps:
        """Open the storage, unless the host wants it skipped. Another kind fails here: 11."""
        if self.attributes.number("SkipStorageInit"):
            yield self.log("skipping storage init requested by user")
        elif kind != self.storage.kind:
            driver, device = _DEVICE_TYPES[kind]
            raise RefusedError(
                f"ERROR: Failed to open the {driver} Device slot 0 partition 0",
                f"ERROR: Failed to open the device {device} slot 0 partition 0",
                "storage_device_open() returned FALSE",
            )
        self.opened = kind

    def _getstorageinfo(self, _: NoAttributes) -> Steps:
        try:
            number, lun = self.disk()
        except RefusedError as refused:
            raise RefusedError(*refused.logs, "GetStorageInfo Failed") from None
        lun = self.told(lun)
        yield from map(self.log, common_texts(self.storage, lun, physical=0))
        product = self.storage.product
        if isinstance(product, EmmcProduct):
            yield from map(self.log, emmc_texts(product))
            for span, digits in raw_texts(product, _RAW_LASTS):
                body = f'<log value="eMMC_RAW_DATA {span}{digits}" />\n</data>'
                yield Send(document(body, "\n"))
        elif isinstance(product, UfsProduct):
            yield from map(self.log, ufs_texts(self.storage, number, lun, product))
        yield self.response("ACK")

    def _setbootable(self, _: NoAttributes) -> Steps:
        """Take the value for an expression: x is 0 and is acknowledged (10)."""
        text = self.attributes.text("value")
        if not text:
            raise RefusedError("Can't convert attribute 'value'='' to number")
        value = evaluate(text, 0)
        try:
            self.storage.set_bootable(value)
        except StorageError as error:
            raise RefusedError(
                f"ERROR: UFS Error {error.errno} ({error.result})", "ERROR: Set Bootable Failed 1"
            ) from None
        yield self.response("ACK")

    def _provision(self, _: NoAttributes) -> Steps:
        if self.attributes.number("commit"):
            self.storage.note("configure", self.storage.kind)
        yield self.response("ACK")

    def _benchmark(self, _: NoAttributes) -> Steps:
        yield self.response("ACK")

    def _power(self, _: NoAttributes) -> Steps:
        value = self.attributes.text("value").lower()
        if value not in _POWER:
            raise RefusedError(
                "To be here means power_action was not understood with power tag. "
                "Target is *not* being reset or powered off"
            )
        requested, function = _POWER[value]
        seconds = self.attributes.number("delayinseconds")
        yield self.log(f"Inside handlePower() - Requested {requested}")
        yield self.log(
            f"Issuing {function}() after {seconds} seconds, if this hangs, "
            "do you have WATCHDOG enabled?"
        )
        yield self.response("ACK")
        yield Sleep(seconds)
        raise Leave(value)

    def _peek(self, _: NoAttributes) -> Steps:
        address, count = self._memory_range()
        yield self.log(f"Using address {address:X}")
        for first in range(address, address + count, _PEEK_BYTES):
            last = min(first + _PEEK_BYTES, address + count)
            tokens = (f"0x{self.board.memory.get(at, 0):02X} " for at in range(first, last))
            yield self.log("".join(tokens))
        yield self.response("ACK")

    def _poke(self, _: NoAttributes) -> Steps:
        address, count = self._memory_range()
        if count > _MAX_POKE_BYTES:
            raise RefusedError("Invalid parameters")
        value = self.attributes.number("value64")
        yield self.log(f"Using address {address:X}")
        self.board.memory |= dict(enumerate(value.to_bytes(8, "little")[:count], address))
        yield self.response("ACK")

    def _memory_range(self) -> tuple[int, int]:
        address = self.attributes.number("address64")
        count = self.attributes.number("size_in_bytes")
        if not address or not count:
            raise RefusedError("Invalid parameters")
        return address, count
