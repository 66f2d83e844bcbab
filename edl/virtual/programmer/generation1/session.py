# SPDX-License-Identifier: BSD-3-Clause
"""Generation 1: envelopes, dispatch, and the commands that touch no sectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edl.virtual.link import Request, Send, Sleep
from edl.virtual.programmer.base import (
    XML_BYTES,
    Attributes,
    Leave,
    Programmer,
    RefusedError,
    Steps,
    UnansweredError,
    attribute_text,
    document,
)
from edl.virtual.programmer.board import Board
from edl.virtual.programmer.generation1.text import (
    NotValidatedError,
    NumberError,
    evaluate,
    plain,
    scan,
)
from edl.virtual.programmer.info import json_text
from edl.virtual.storage import EmmcProduct, Lun, StorageError

_MAX_DIGEST_TABLE_BYTES = 8192
_MAX_POKE_BYTES = 8


@dataclass(frozen=True)
class Build:
    """What differs between two programmers of this generation.

    Attributes:
        target_name: what configure answers.
        payload_bytes: largest supported payload.
        addresses: the log that follows the first packet and precedes the answer to configure.
        erase_attribute: the one attribute that erase reads.
        erase_missing: logged when it is absent.
        full_info: getstorageinfo tells product data and JSON too.
        after_value: byte of the stack behind a patch value of 8 bytes.
        log_chars: longer logs are cut.
        peek_bytes: bytes in one log of peek.
        divides_by_zero: 7/0 is 0, not silence.
    """

    target_name: str
    payload_bytes: int
    addresses: str
    erase_attribute: str
    erase_missing: str
    full_info: bool
    after_value: int
    log_chars: int
    peek_bytes: int
    divides_by_zero: bool


MSM8916 = Build(
    target_name="8916",
    payload_bytes=16384,
    addresses="logbuf@0x0801CDF0 fh@0x08019C58",
    erase_attribute="storagedrive",
    erase_missing="No storage drive number",
    full_info=False,
    after_value=0x36,
    log_chars=256,
    peek_bytes=50,
    divides_by_zero=True,
)
MSM8953 = Build(
    target_name="8953",
    payload_bytes=1048576,
    addresses="logbuf@0x0806CE10 fh@0x08069C78",
    erase_attribute="physical_partition_number",
    erase_missing="No physical_partition_number",
    full_info=True,
    after_value=0x05,
    log_chars=4000,
    peek_bytes=107,
    divides_by_zero=False,
)


class Session(Programmer):
    """The part of a programmer of generation 1 that touches no sectors."""

    def __init__(self, board: Board, build: Build, *, running: bool) -> None:
        super().__init__(board)
        self.build = build
        self.supported_bytes = board.payload_bytes or build.payload_bytes
        self.payload_bytes = self.supported_bytes
        self.skip_write = False
        self.ack_every = 0
        self.buffer = bytearray(max(self.supported_bytes, XML_BYTES))
        self._first = not running
        self.handlers = {
            "configure": self._configure,
            "setbootablestoragedrive": self._setbootable,
            "ufs": self._provision,
            "emmc": self._provision,
            "power": self._power,
            "benchmark": self._nop,
            "getstorageinfo": self._getstorageinfo,
            "peek": self._peek,
            "poke": self._poke,
            "nop": self._nop,
        }

    def greeting(self) -> Iterator[Request]:
        """Yield nothing: this generation starts in silence."""
        return iter(())

    def log(self, text: str) -> Send:
        """Return a log in the form of this generation."""
        return Send(document(f'<log value="{text[: self.build.log_chars]}" /></data>', ""))

    def response(self, value: str, **attributes: object) -> Send:
        """Return a response in the form of this generation."""
        return Send(
            document(f'<response value="{value}"{attribute_text(attributes)} /></data>', "")
        )

    def xml_bytes(self) -> int:
        """Return the payload size, if it is smaller than an XML packet may be: 4.3."""
        return min(XML_BYTES, self.payload_bytes)

    def obey(self, packet: bytes) -> Steps:
        """Carry out all commands of a packet."""
        if not packet:
            return
        self.buffer[: len(packet)] = packet
        try:
            commands = scan(packet)
        except NotValidatedError:
            yield self.log("XML (0 bytes) not validated")
            yield self.response("NAK")
        else:
            for name, attributes in commands:
                yield from self._command(name, attributes)
        if self._first:
            self._first = False
            yield self.log(self.build.addresses)

    def _command(self, name: str, attributes: Attributes) -> Steps:
        if self.knows(name.lower()):
            yield from self.perform(name.lower(), attributes)
        else:
            yield self.log(f"WARNING: Ignoring unrecognized tag '{name}'. Continuing.")
            yield self.response("ACK")

    # What commands read from their attributes

    def lun(self, attributes: Attributes) -> tuple[int, Lun]:
        """Return the physical partition. Without one there is no response: 5."""
        try:
            number = plain(attributes.get("physical_partition_number")) & 0xFF
        except NumberError:
            raise UnansweredError from None
        return number, self.existing_lun(number)

    def existing_lun(self, number: int) -> Lun:
        """Return LUN number."""
        if number not in self.storage.opening:
            raise RefusedError(f"Invalid physical partition {number}")
        return self.storage.luns[number]

    def storage_lun(self, attributes: Attributes) -> tuple[int, Lun]:
        """Return the physical partition after a look at the sector size."""
        number, lun = self.lun(attributes)
        sector_bytes = number_or(attributes.get("sector_size_in_bytes"), 512)
        if sector_bytes != lun.sector_bytes:
            raise RefusedError(
                f"Sector size in XML {sector_bytes} does not match disk sector size "
                f"{lun.sector_bytes}"
            )
        return number, lun

    def expression(self, text: str | None, lun: Lun, *failures: str) -> int:
        """Return the value of an expression, or refuse with failures."""
        try:
            return evaluate(text, lun.sectors)
        except NumberError:
            raise RefusedError(*failures) from None
        except ZeroDivisionError:
            if self.build.divides_by_zero:
                return 0
            raise UnansweredError from None

    def sectors(self, attributes: Attributes, name: str, lun: Lun, failure: str) -> int:
        """Return an expression that may be as large as the LUN, but not larger: 6."""
        value = self.expression(attributes.get(name), lun, failure)
        if value > lun.sectors:
            raise RefusedError("Parsed value exceeds size of partition in sectors", failure)
        return value

    def start(self, attributes: Attributes, lun: Lun) -> int:
        """Return start_sector."""
        return self.sectors(attributes, "start_sector", lun, "Failed to parse start sector")

    # Commands

    def _nop(self, attributes: Attributes) -> Steps:
        yield self.response("ACK")

    def _configure(self, attributes: Attributes) -> Steps:
        failures = self._set_payload(attributes.get("maxpayloadsizetotargetinbytes"))
        if number_or(attributes.get("maxdigesttablesizeinbytes"), 0) > _MAX_DIGEST_TABLE_BYTES:
            failures.append("Host's hash buffer size is too large")
        if text := attributes.get("zlpawarehost"):
            self.zlp_aware = text[0] != "0"
        if text := attributes.get("skipwrite"):
            self.skip_write = text[0] == "1"
        self.ack_every = number_or(attributes.get("ackrawdataeverynumpackets"), 0)
        if attributes.get("ackrawdata", "").startswith("1"):
            self.ack_every = 1
        yield from map(self.log, failures)
        yield self.log(self.build.addresses)
        yield self.response(
            "NAK" if failures else "ACK",
            MinVersionSupported=1,
            MemoryName="eMMC" if self.storage.kind == "emmc" else "UFS",
            MaxPayloadSizeFromTargetInBytes=4096,
            MaxPayloadSizeToTargetInBytes=self.payload_bytes,
            MaxPayloadSizeToTargetInBytesSupported=self.supported_bytes,
            MaxXMLSizeInBytes=XML_BYTES,
            Version=1,
            TargetName=self.build.target_name,
        )

    def _set_payload(self, text: str | None) -> list[str]:
        try:
            wanted = self.supported_bytes if text is None else plain(text)
        except NumberError:
            return ["Failed to get max payload size"]
        if wanted > self.supported_bytes:
            return ["Host's payload to target size is too large"]
        if not wanted:
            return ["Host's payload to target size is zero"]
        self.payload_bytes = wanted
        return []

    def _getstorageinfo(self, attributes: Attributes) -> Steps:
        try:
            _, lun = self.lun(attributes)
        except UnansweredError:
            raise RefusedError from None
        lun = self.told(lun)
        yield self.log(f"num_partition_sectors={lun.sectors}")
        yield self.log(f"SECTOR_SIZE_IN_BYTES={lun.sector_bytes}")
        yield self.log(f"num_physical_partitions={len(self.storage.luns)}")
        product = self.storage.product
        if self.build.full_info and isinstance(product, EmmcProduct):
            yield self.log(f"MFR_ID={product.manufacturer_id}")
            yield self.log(f"OEM_ID={product.oem_id}")
            yield self.log(f"Product name={product.name}")
            yield self.log(json_text(self.storage, lun, maker_key="mfr_id", gap=" "))
        yield self.response("ACK")

    def _setbootable(self, attributes: Attributes) -> Steps:
        if "value" not in attributes:
            raise RefusedError("Could not find bootable drive value.")
        try:
            value = plain(attributes["value"])
        except NumberError:
            raise RefusedError("Failed to get bootable drive") from None
        try:
            self.storage.set_bootable(value)
        except StorageError:
            raise RefusedError(f"Failed to set bootable drive to {value}.") from None
        yield self.log(f"Set bootable drive to {value}.")
        yield self.response("ACK")

    def _provision(self, attributes: Attributes) -> Steps:
        if "commit" in attributes:
            yield self.log("would have committed here")
        yield self.response("ACK")

    def _power(self, attributes: Attributes) -> Steps:
        """Compare by prefix, so that reset_to_edl is reset; anything else gets no response."""
        value = attributes.get("value", "").lower()
        reason = next((reason for reason in ("reset", "off") if value.startswith(reason)), None)
        if reason is None:
            raise UnansweredError
        yield self.response("ACK")
        if seconds := number_or(attributes.get("delayinseconds"), 0):
            yield Sleep(seconds)
        raise Leave(reason)

    def _peek(self, attributes: Attributes) -> Steps:
        address, count = self._memory_range(attributes)
        yield self.log(f"Using address {address:08X}")
        step = self.build.peek_bytes
        for first in range(address, address + count, step):
            last = min(first + step, address + count)
            tokens = (f"0x{self.board.memory.get(at, 0):02X} " for at in range(first, last))
            yield self.log("".join(tokens))
        yield self.response("ACK")

    def _poke(self, attributes: Attributes) -> Steps:
        address, count = self._memory_range(attributes)
        if count > _MAX_POKE_BYTES:
            raise RefusedError(f"Cannot handle size in bytes greater than {_MAX_POKE_BYTES}")
        value = number_or(attributes.get("value"), 0)
        yield self.log(f"Using address {address:08X}")
        self.board.memory |= dict(
            enumerate(value.to_bytes(_MAX_POKE_BYTES, "little")[:count], address)
        )
        yield self.response("ACK")

    def _memory_range(self, attributes: Attributes) -> tuple[int, int]:
        try:
            address = plain(attributes.get("address64"))
        except NumberError:
            raise RefusedError("Failed to get address") from None
        count = number_or(attributes.get("sizeinbytes"), 0)
        if not address or not count:
            raise RefusedError("Invalid parameters")
        return address, count


def number_or(text: str | None, default: int) -> int:
    """Return the plain number in text, or default where there is none."""
    try:
        return plain(text)
    except NumberError:
        return default
