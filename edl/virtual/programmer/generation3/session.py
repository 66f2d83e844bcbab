# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3: envelopes, dispatch, opening of the storage, commands that touch no sectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from edl.virtual.link import Request, Send, Sleep
from edl.virtual.programmer.base import (
    XML_BYTES,
    Attributes,
    Leave,
    Programmer,
    RefusedError,
    Steps,
    attribute_text,
    document,
)
from edl.virtual.programmer.board import Board
from edl.virtual.programmer.generation3.provisioning import (
    COMMIT_S,
    NOT_CONFIGURED,
    NOT_OPENED,
    UfsDescriptor,
    divide,
)
from edl.virtual.programmer.generation3.text import NumberError, ScanError, number, number_or, scan
from edl.virtual.programmer.info import common_texts, emmc_texts, raw_texts, ufs_texts
from edl.virtual.programmer.validation import GENERATION3
from edl.virtual.storage import DEVICE_WLUN, RPMB_WLUN, EmmcProduct, Lun, StorageError, UfsProduct

PIECE_BYTES = 16384  # of every read and write, whatever was negotiated: 6
_MAX_DIGEST_TABLE_BYTES = 8192
_MAX_OPEN_LUNS = 10  # UFS fact 4
_RAW_LASTS = (177, 355, 532)  # last bytes of the pieces in which EXT_CSD is logged
_DEFAULT_DELAY_US = 100

# In the order of the banner.
_COMMANDS = (
    "program",
    "read",
    "nop",
    "patch",
    "configure",
    "setbootablestoragedrive",
    "erase",
    "power",
    "firmwarewrite",
    "getstorageinfo",
    "benchmark",
    "emmc",
    "ufs",
    "fixgpt",
    "getsha256digest",
)

# Memory names by their first three letters: canonical name, driver, type number. The numbers of
# NAND, SPI-NOR and NVMe are not known.
_MEMORIES = {
    "emm": ("eMMC", "SDCC", 1),
    "ufs": ("UFS", "UFS", 3),
    "nan": ("nand", "NAND", 2),
    "spi": ("spinor", "SPI NOR", 4),
    "nvm": ("nvme", "NVME", 5),
}
_NONE = "none"

_POWER = {
    "reset": "bsp_target_reset() 0",
    "off": "bsp_target_poweroff() 1",
    "reset_to_edl": "bsp_target_reset() 2",
}

# Stack addresses that are logged when a LUN cannot be opened; they depend on the command alone.
_STACK = {
    "getstorageinfo": 537853652,
    "program": 537853684,
    "firmwarewrite": 537853684,
    "read": 537853756,
    "getsha256digest": 537853572,
    "patch": 537853668,
    "erase": 537853716,
    "setbootablestoragedrive": 537853788,
    "fixgpt": 537853716,
}

# What getstorageinfo finds on the stack where no storage was chosen: qcm2290-ufs.txt, the end.
_GARBAGE = (
    "INFO: Device Total Logical Blocks: 0x200efed0",
    "INFO: Device Block Size in Bytes: 0x200efea0",
    "INFO: Device Total Physical Partitions: 0xffffffd0",
    "INFO: Device Manufacturer ID: 0x200eff80",
    "INFO: Device Serial Number: 0x200efed0",
    (
        'INFO: {"storage_info": {"total_blocks":537853648, "block_size":537853600, "page_size":0, '
        '"num_physical":-48, "manufacturer_id":537853824, "serial_num":537853648, '
        '"fw_version":"\xa0\xfe\x0e ","mem_type":"\xa0\xfe\x0e ","prod_name":""}}'
    ).replace('"', "&quot;"),
)


@dataclass(frozen=True)
class Build:
    """What differs between two programmers of this generation.

    Attributes:
        date, time: of the build.
        payload_bytes: largest payload that configure accepts.
    """

    date: str
    time: str
    payload_bytes: int


QCM2290 = Build("Mar 16 2022", "11:57:42", 16384)


@dataclass(frozen=True)
class Disk:
    """An open LUN.

    Attributes:
        number: its number.
        lun: itself; None where no storage was chosen, and everything succeeds.
    """

    number: int
    lun: Lun | None

    @property
    def sectors(self) -> int:
        """Return its size."""
        return 0 if self.lun is None else self.lun.sectors


class Session(Programmer):
    """The part of a programmer of generation 3 that touches no sectors."""

    error_prefix = "ERROR: "
    vip_words = GENERATION3

    def __init__(self, board: Board, build: Build, *, running: bool) -> None:
        super().__init__(board)
        self._build = build
        self._supported = board.payload_bytes or build.payload_bytes
        self._memory = _memory(board.storage.kind) if running else None
        self._verbose = False
        self._open: set[int] = set()
        self._descriptor = UfsDescriptor()
        self._spoiled = False  # an unprovisioned device was asked for a LUN
        self.buffer = bytearray(PIECE_BYTES)
        self.handlers = {
            "nop": self._nop,
            "configure": self._configure,
            "setbootablestoragedrive": self._setbootable,
            "power": self._power,
            "getstorageinfo": self._getstorageinfo,
            "benchmark": self._benchmark,
            "emmc": self._provision_emmc,
            "ufs": self._provision_ufs,
        }

    def greeting(self) -> Iterator[Request]:
        """Yield the banner."""
        yield self.log(f"INFO: Binary build date: {self._build.date} @ {self._build.time}")
        yield from self._identity()

    def _identity(self) -> Iterator[Request]:
        serial = self.board.chip_serial
        names = [name for name in _COMMANDS if self.knows(name)]
        yield self.log(f"INFO: Binary build date: {self._build.date} @ {self._build.time}\n")
        yield self.log(f"INFO: Chip serial num: {serial} (0x{serial:x})")
        yield self.log(f"INFO: Supported Functions ({len(names)}):")
        for name in names:
            yield self.log(f"INFO: {name}")
        yield self.log(f"INFO: End of supported functions {len(names)}")

    def log(self, text: str) -> Send:
        """Return a log; its text begins with the level."""
        return Send(document(f'<log value="{text}" /></data>', "\n"))

    def response(self, value: str, **attributes: object) -> Send:
        """Return a response. It is put together in the buffer for raw data, with a NUL behind."""
        attributes = attributes or {"rawmode": "false"}
        body = f'<response value="{value}"{attribute_text(attributes)} /></data>'
        data = document(body, "\n")
        self.buffer[: len(data) + 1] = data + b"\0"
        return Send(data)

    def obey(self, packet: bytes) -> Steps:
        """Carry out the first command of a packet."""
        if not packet:
            yield self.log("ERROR: Failed to read XML command 0")
            return
        name: str = ""
        attributes: Attributes = {}
        try:
            name, attributes = scan(packet)
        except ScanError as error:
            yield self.log(f"ERROR: Failed to parse xml, error at offset {error.offset}")
        name = name.lower()
        if self.knows(name):
            yield self.log(f"INFO: Calling handler for {name}")
            yield from self.perform(name, attributes)
        else:
            yield self.log("ERROR: Failed to run the last command -1")

    # Opening the storage

    def open(self, command: str, attributes: Attributes, *, number: int | None = None) -> Disk:
        """Open a LUN, by default the one that the attributes name; 0 if they name none.

        Raises:
            RefusedError: there is no such storage or LUN.
        """
        if number is None:
            number = number_or(attributes.get("physical_partition_number"), 0)
        slot = number_or(attributes.get("slot"), 0)
        memory = self._memory
        if "storage_type" in attributes:
            memory = _memory(attributes["storage_type"])
        if memory is None:
            return Disk(number, None)
        lun = self._opened(memory, slot, number)
        if lun is None:
            name, driver, device = _MEMORIES[memory]
            raise RefusedError(
                f"ERROR: Failed to open the {driver} Device slot {slot} partition {number}",
                f"ERROR: Failed to open the device:{device} slot:{slot} partition:{number} error:0",
                f"ERROR: OPEN handle NULL and no error, weird {_STACK[command]}",
                f"ERROR: Failed to open device, type:{name}, slot:{slot}, lun:{number} error:3",
            )
        return Disk(number, lun)

    def _opened(self, memory: str, slot: int, number: int) -> Lun | None:
        kind = self.storage.kind
        if memory != kind[:3] or slot:
            self.storage.note(f"{_MEMORIES[memory][0].lower()}-open", slot, number)
            return None
        if kind != "ufs":
            return self.storage.opening.get(number)
        if not self._open:
            self.storage.note("ufs-open", 0, DEVICE_WLUN)
        if number not in self._open:
            if len(self._open) >= _MAX_OPEN_LUNS:
                raise RefusedError(
                    f"ERROR: Ran out of physical partitions to allocate {_MAX_OPEN_LUNS}"
                )
            self.storage.note("ufs-open", 0, number)
        lun = self.storage.opening.get(number)
        faults = self.storage.faults
        if number in {DEVICE_WLUN, RPMB_WLUN}:
            lun = None if faults.dead or self._spoiled else Lun(0, self.storage.sector_bytes)
        elif faults.unprovisioned:  # linux-msm/qdl#297: only a restart mends that
            self._spoiled = True
        if lun is not None:
            self._open.add(number)
        return lun

    def driver_failure(self, error: StorageError) -> str:
        """Return what the driver's layer logs."""
        driver = _MEMORIES[self.storage.kind[:3]][1]
        return f"ERROR: {driver} Error {error.errno} ({error.result})"

    # Commands

    def _nop(self, _: Attributes) -> Steps:
        yield from self._identity()
        yield self.response("ACK")

    def _configure(self, attributes: Attributes) -> Steps:
        if "memoryname" in attributes:
            self._memory = _memory(attributes["memoryname"])
            yield self.log(f"INFO: Storage type set to value {self._memory_name()}")
        if "verbose" in attributes:
            self._verbose = attributes["verbose"].startswith("1")
        payload, supported, failures = self._negotiate(attributes)
        yield from map(self.log, failures)
        yield from self._set_zlp(attributes.get("zlpawarehost", "1"))
        if attributes.get("skipwrite", "").startswith("1"):
            self._memory = None
            yield self.log("INFO: SkipWrites is set, Setting the device as NULL device")
        yield self.response(
            "NAK" if failures else "ACK",
            MemoryName=self._memory_name(),
            MinVersionSupported=1,
            Version=1,
            MaxPayloadSizeToTargetInBytes=payload,
            MaxPayloadSizeToTargetInBytesSupported=supported,
            MaxXMLSizeInBytes=XML_BYTES,
            DateTime=f"{self._build.date} - {self._build.time}",
        )

    def _negotiate(self, attributes: Attributes) -> tuple[int, int, list[str]]:
        """Return both payload sizes of the response, and why it is a NAK: 4.3."""
        payload, supported, failures = 0, 0, []
        with suppress(NumberError):
            payload = number(attributes.get("maxpayloadsizetotargetinbytes"))
            supported = self._supported
        if payload > supported:
            failures.append(
                f"WARN: NAK: MaxPayloadSizeToTargetInBytes sent by host {payload} larger than "
                f"supported {supported}"
            )
            payload = supported
        digest_bytes = number_or(attributes.get("maxdigesttablesizeinbytes"), 0)
        if digest_bytes > _MAX_DIGEST_TABLE_BYTES:
            failures.append(
                f"ERROR: NAK: Host wants to send a Hash table {digest_bytes} larger than "
                f"supported {_MAX_DIGEST_TABLE_BYTES}"
            )
        return payload, supported, failures

    def _set_zlp(self, text: str) -> Steps:
        self.zlp_aware = not text.startswith("0")
        if self._verbose:
            mode, reason = ("TRUE", "not set") if self.zlp_aware else ("FALSE", "set")
            yield self.log(f"DEBUG: Calling usb_al_bulk_set_zlp_mode({mode}), zlp is {reason} to 0")

    def _memory_name(self) -> str:
        return _NONE if self._memory is None else _MEMORIES[self._memory][0]

    def _getstorageinfo(self, attributes: Attributes) -> Steps:
        disk = self._open_for_info(attributes)
        product = self.storage.product
        if disk.lun is None:
            yield from map(self.log, _GARBAGE)
        else:
            physical = len(self.storage.opening)
            lun = self.told(disk.lun)
            yield from map(self.log, common_texts(self.storage, lun, physical=physical))
            if isinstance(product, EmmcProduct):
                texts = [*emmc_texts(product)]
                texts += [
                    f"eMMC_RAW_DATA{span}{digits}"
                    for span, digits in raw_texts(product, _RAW_LASTS)
                ]
            elif isinstance(product, UfsProduct):
                texts = [*ufs_texts(self.storage, disk.number, lun, product)]
            else:
                texts = []
            yield from (self.log(f"INFO: {text}") for text in texts)
        yield self.response("ACK")

    def _open_for_info(self, attributes: Attributes) -> Disk:
        """Open the LUN, or the device itself where it has no LUNs: firehose.md 8."""
        faults = self.storage.faults
        anyway = faults.unprovisioned and not faults.tells_nothing
        if anyway and self._memory == self.storage.kind[:3]:
            return self.open("getstorageinfo", attributes, number=DEVICE_WLUN)
        return self.open("getstorageinfo", attributes)

    def _setbootable(self, attributes: Attributes) -> Steps:
        """Open the LUN that value names, and boot from it. A bad value sets 0, then NAK: 10."""
        try:
            value = number(attributes.get("value"))
        except NumberError:
            self.storage.set_bootable(0)
            raise RefusedError from None
        yield self.log(f"INFO: Using scheme of value= {value}")
        disk = self.open("setbootablestoragedrive", attributes, number=value)
        if disk.lun is not None:
            try:
                self.storage.set_bootable(value)
            except StorageError as error:
                raise RefusedError(
                    self.driver_failure(error), "ERROR: Set Bootable Failed 1"
                ) from None
        yield self.response("ACK")

    def _power(self, attributes: Attributes) -> Steps:
        """Answer, then reset. Whatever is not understood resets too: 10."""
        value = attributes.get("value", "").lower()
        if value not in _POWER:
            yield self.log("ERROR: power/reset option not specified, default is do reset 0")
            value = "reset"
        seconds = number_or(attributes.get("delayinseconds"), 0)
        delay_us = seconds * 1_000_000 or _DEFAULT_DELAY_US
        yield self.response("ACK")
        yield self.log(
            f"INFO: Will issue reset/power off {delay_us} useconds, "
            "if this hangs check if watchdog is enabled"
        )
        yield self.log(f"INFO: {_POWER[value]}")
        yield Sleep(delay_us / 1_000_000)
        raise Leave(value)

    def _benchmark(self, _: Attributes) -> Steps:
        yield self.response("ACK")

    def _provision_emmc(self, attributes: Attributes) -> Steps:
        if self._memory == "ufs":
            raise RefusedError("ERROR: Tried to configure emmc but memoryname is ufs")
        if attributes.get("commit", "").startswith("1"):
            self.storage.note("emmc-configure", 0)
        yield self.response("ACK")

    def _provision_ufs(self, attributes: Attributes) -> Steps:
        """Collect a configuration descriptor; commit hands it to the device: UFS fact 12."""
        if self._memory == "emm":
            raise RefusedError("ERROR: Tried to configure ufs but memoryname is emmc")
        self._descriptor.collect(attributes)
        if attributes.get("commit", "").startswith("1"):
            self.storage.note("ufs-open", 0, DEVICE_WLUN)
            if self.storage.faults.dead or self._spoiled:
                raise RefusedError(NOT_OPENED, *NOT_CONFIGURED)
            self.storage.note("ufs-configure", DEVICE_WLUN, self._descriptor.data.hex())
            yield Sleep(COMMIT_S)
            try:
                divide(self.storage, self._descriptor)
            except StorageError as error:
                raise RefusedError(self.driver_failure(error), *NOT_CONFIGURED) from None
        yield self.response("ACK")


def _memory(text: str) -> str | None:
    """Return the first three letters of a memory name that is known."""
    return text[:3].lower() if text[:3].lower() in _MEMORIES else None
