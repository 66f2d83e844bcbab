# SPDX-License-Identifier: BSD-3-Clause
"""From a phone on the bus to a configured programmer, whatever state the phone is in.

The rungs, each one bounded and reported:
  1. listen: a HELLO (boot ROM) or XML (a programmer that still talks) is there already;
  2. an unasked answer to HELLO: wakes a boot ROM whose HELLO another program has eaten. A running
     programmer takes it for bad XML and says so, which tells that it is there;
  3. <nop>: a programmer of generation 1 or 2 that had nothing to say.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from edl.device.firehose import Programmer
from edl.device.sahara import BootRom, crash_dump
from edl.errors import (
    DeviceGoneError,
    DeviceRefusedError,
    ProtocolError,
    TransportTimeoutError,
    UsageError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.events import Emit, Stage, ignore
from edl.firehose.answers import StorageInfo
from edl.firehose.commands import Area
from edl.identity import PhoneIdentity
from edl.sahara import host
from edl.sahara.packets import Mode
from edl.transport import Transport
from edl.units import MIB, format_size

_log = logging.getLogger(__name__)

LISTEN_S = 0.5
WAKE_S = 1.0
_STORAGES = ("emmc", "ufs")  # the order in which an unknown storage is tried: eMMC fails cleanly
_FIREHOSE_MARKS = (b"<?xml", b"<data")

_MAX_LEFTOVER_BYTES = 256 * MIB  # what an interrupted <read> still sends; ours are 64 MiB long
_LEAVE_S = 5.0
_COME_BACK_ATTEMPTS = 10
_COME_BACK_PAUSE_S = 0.3
_START_ATTEMPTS = 3
_START_PAUSE_S = 0.5

ChooseLoader = Callable[[PhoneIdentity], Mapping[int, bytes]]
Reopen = Callable[[], Transport]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Wishes:
    """What the user or the package says about the phone.

    memory: "emmc", "ufs", "nand", ..., or "" for whatever the phone has. hints: storage types to
    try first. identify: ask the boot ROM who it is. payload_bytes: largest data transfer to ask
    for, or None.
    """

    memory: str = ""
    hints: tuple[str, ...] = ()
    identify: bool = True
    payload_bytes: int | None = None


@dataclass
class Phone:
    """A phone with a configured programmer.

    luns: storage info by LUN, LUN 0 at least (where the programmer tells any). attached: the
    programmer had been running before.
    """

    transport: Transport
    programmer: Programmer
    identity: PhoneIdentity
    luns: dict[int, StorageInfo] = field(default_factory=dict)
    attached: bool = False

    @property
    def sector_bytes(self) -> int:
        """Sector size in bytes, as the programmer says, else what its storage type has."""
        info = self.luns.get(0)
        if info is not None and info.sector_bytes:
            return info.sector_bytes
        return 512 if self.programmer.memory == "emmc" else 4096

    @property
    def lun_count(self) -> int | None:
        """Number of LUNs, if known."""
        return next((info.luns for info in self.luns.values() if info.luns), None)

    @property
    def serial(self) -> str:
        """Serial number as 8 hex digits, or "unknown"."""
        number = self.identity.serial
        if number is None:
            number = self.programmer.greeting.chip_serial
        return "unknown" if number is None else f"{number:08x}"

    def lun(self, number: int) -> StorageInfo:
        """Return what is known of LUN number, asking once.

        Raises:
            DeviceRefusedError: the phone has no such LUN.
        """
        if number not in self.luns:
            self.luns[number] = self.programmer.storage_info(number)
        return self.luns[number]


@dataclass(frozen=True)
class Answering:
    """What answered: exactly one of the two, unless an upload was interrupted.

    programmer_first: what a programmer said already. interrupted: in which state an earlier program
    has left the boot ROM; it has been told to start over, and leaves the bus.
    """

    boot_rom: BootRom | None = None
    hello: host.HelloSeen | None = None
    programmer_first: bytes | None = None
    interrupted: str = ""


def find_out(transport: Transport, emit: Emit = ignore) -> Answering:
    """Find out what runs on the phone.

    Raises:
        ProtocolError: it is in crash-dump mode, or talks without end.
        TransportError: the connection fails.
    """
    for wait_s, knocks in ((LISTEN_S, False), (WAKE_S, True)):
        rom = BootRom(transport, emit)
        try:
            if knocks:
                emit(Stage("connect", "the phone does not greet; knocking"))
                rom.wake()
            data = bytes(transport.read(wait_s))
        except TransportTimeoutError:
            continue
        if data.lstrip(b"\0\r\n ").startswith(_FIREHOSE_MARKS):
            return Answering(programmer_first=data)
        rom.receive(data)
        try:
            event = rom.next_event(WAKE_S)
        except (ProtocolError, TransportTimeoutError) as error:
            _log.info("what came is no answer to us: %s", error)
            _discard(transport)
        else:
            return _boot_rom_speaks(rom, event)
    return Answering(programmer_first=b"")


def _discard(transport: Transport, wait_s: float = LISTEN_S) -> None:
    """Take what belongs to an earlier program that stopped midway: sectors, parts of packets.

    Raises:
        ProtocolError: there is no end of it.
    """
    size = 0
    while size < _MAX_LEFTOVER_BYTES:
        try:
            size += len(transport.read(wait_s))
        except TransportTimeoutError:
            return
    raise ProtocolError("The phone sends without end, and none of it is an answer.")


def _boot_rom_speaks(rom: BootRom, event: host.Event) -> Answering:
    match event:
        case host.HelloSeen(mode=Mode.MEMORY_DEBUG):
            return _offers_crash_dump(rom)
        case host.MemoryOffered():
            raise crash_dump()
        case host.HelloSeen():
            return Answering(boot_rom=rom, hello=event)
        case host.ProgrammerSpeaks():
            return Answering(programmer_first=rom.leftover())
        case host.ImageEnded(image_id, status):
            rom.reset()
            return Answering(interrupted=f"image {image_id}, {status.name}")
        case _:
            rom.push_back(event)
            return Answering(boot_rom=rom)


def _offers_crash_dump(rom: BootRom) -> Answering:
    """Ask for an image all the same: some boot ROMs take one (Galaxy S21: bkerler/edl#404)."""
    try:
        rom.wake()
        event = rom.next_event(WAKE_S)
    except (ProtocolError, TransportTimeoutError) as error:
        raise crash_dump() from error
    if not isinstance(event, host.ImageRequested):
        raise crash_dump()
    rom.push_back(event)
    return Answering(boot_rom=rom)


def connect(
    transport: Transport,
    choose_loader: ChooseLoader,
    wishes: Wishes,
    emit: Emit = ignore,
    known: PhoneIdentity | None = None,
    reopen: Reopen | None = None,
) -> Phone:
    """Bring the phone to a configured programmer and learn its storage.

    choose_loader: called with the phone's identity if a programmer must be uploaded; returns images
    by id. known: identity that an earlier run learnt; a running programmer cannot tell it. reopen:
    finds the phone again when it has left the bus to come back, perhaps faster.

    Raises:
        EdlError: see the errors of each rung.
    """
    answering = find_out(transport, emit)
    if answering.interrupted and reopen is not None and _leaves(transport):
        emit(Stage("connect", "an earlier upload was interrupted; the boot ROM starts over"))
        transport, answering = _come_back(reopen, lambda back: (back, find_out(back, emit)))
    if answering.interrupted:
        raise ProtocolError(
            f"The phone is stuck in an interrupted upload ({answering.interrupted}).",
            remedies=("Hold the power button for 15 seconds and enter EDL mode again.",),
        )
    rom = answering.boot_rom
    if rom is None:
        programmer = Programmer(transport, emit)
        _attach(programmer, answering.programmer_first or b"", emit)
        phone = Phone(transport, programmer, known or PhoneIdentity(), attached=True)
        _learn_storage(phone, wishes)
    else:
        identity = _identify(rom, answering.hello, wishes, emit) or known or PhoneIdentity()
        rom.upload(choose_loader(identity))
        try:
            phone = _start(transport, identity, rom.leftover(), wishes, emit)
        except DeviceGoneError:
            if reopen is None:
                raise
            emit(Stage("connect", "the programmer comes back on the bus"))
            phone = _come_back(reopen, lambda back: _start(back, identity, b"", wishes, emit))
    emit(Stage("storage", _describe(phone)))
    return phone


def _come_back(reopen: Reopen, use: Callable[[Transport], Result]) -> Result:
    """Return what use makes of the phone, which has left the bus and comes back.

    For a moment the system may still list it as it was before.
    """
    for _ in range(_COME_BACK_ATTEMPTS - 1):
        try:
            return use(reopen())
        except DeviceGoneError:
            time.sleep(_COME_BACK_PAUSE_S)
    return use(reopen())


def _leaves(transport: Transport) -> bool:
    """Tell whether the phone leaves the bus now, as it does for a reset."""
    try:
        _discard(transport, _LEAVE_S)
    except DeviceGoneError:
        return True
    return False


def _identify(
    rom: BootRom, hello: host.HelloSeen | None, wishes: Wishes, emit: Emit
) -> PhoneIdentity | None:
    """Ask the boot ROM who it is; None if it is not asked."""
    if hello is None:
        return None
    if not wishes.identify:
        rom.push_back(hello)
        return None
    identity = rom.identify(hello)
    emit(Stage("identity", identity.describe()))
    return identity


def _start(
    transport: Transport, identity: PhoneIdentity, first: bytes, wishes: Wishes, emit: Emit
) -> Phone:
    """Hear the fresh programmer and configure it.

    One that is still starting (DDR training) loses or delays the first command: it is asked again.
    """
    programmer = Programmer(transport, emit)
    programmer.hear_greeting(first)
    phone = Phone(transport, programmer, identity)
    for _ in range(_START_ATTEMPTS - 1):
        try:
            _learn_storage(phone, wishes)
        except TransportTimeoutError:
            if programmer.configuration is not None:
                raise
        else:
            return phone
        emit(Stage("connect", "the programmer is still starting; asking again"))
        programmer.hear_greeting(patience_s=_START_PAUSE_S)
    _learn_storage(phone, wishes)
    return phone


def _attach(programmer: Programmer, first: bytes, emit: Emit) -> None:
    programmer.hear_greeting(first)
    try:
        # a late no may still answer our knocking, so a yes is waited for
        any(programmer.ping() for _ in range(_START_ATTEMPTS))
    except TransportTimeoutError as error:
        raise TransportTimeoutError(
            "The phone is connected but mute: neither its boot ROM nor a programmer answers.",
            remedies=(
                "Hold the power button (with volume down) for 15 seconds, then enter EDL mode"
                " again.",
                "Stop programs that grab the port, such as ModemManager, and replug.",
            ),
        ) from error
    emit(Stage("found", "a programmer is running already; going on with it"))


def _learn_storage(phone: Phone, wishes: Wishes) -> None:
    """Configure, and make sure that the storage answers; each type is tried at most once."""
    first = [wishes.memory.lower()] if wishes.memory else [*wishes.hints, *_STORAGES]
    refused: list[DeviceRefusedError] = []
    for memory in dict.fromkeys(first):
        try:
            _configure(phone.programmer, memory, wishes)
            info = phone.programmer.storage_info(0)
            if info.sectors is None:
                _probe(phone)
        except (WrongStorageError, WrongSectorSizeError) as error:
            _log.info("storage %s: %s", memory, error)
            refused.append(error)
        else:
            phone.luns[0] = info
            return
    raise refused[0]


def _probe(phone: Phone) -> None:
    """Read a sector, where the programmer does not tell about its storage.

    Raises:
        WrongStorageError, WrongSectorSizeError: the storage is of another type.
    """
    try:
        phone.programmer.read(Area(0, 0, 1, phone.sector_bytes), lambda _: None)
    except (WrongStorageError, WrongSectorSizeError):
        raise
    except DeviceRefusedError as error:  # a defect, or a range that is not for us: it is there
        _log.info("probing the storage: %s", error)


def _configure(programmer: Programmer, memory: str, wishes: Wishes) -> None:
    size = {"payload_bytes": wishes.payload_bytes} if wishes.payload_bytes else {}
    answer = programmer.configure(memory, **size)
    said = answer.memory.lower()
    if said == "none":  # generation 3: a name that it does not know, with ACK
        raise WrongStorageError(f"The programmer knows no storage type {memory!r}.")
    if wishes.memory and said and said != memory and memory in _STORAGES:
        raise UsageError(
            f"You asked for {memory}, but the phone has {said}.",
            remedies=(f"Leave --memory out, or use --memory {said}.",),
        )


def _describe(phone: Phone) -> str:
    info = phone.luns.get(0)
    memory = (phone.programmer.memory or "unknown").replace("emmc", "eMMC").replace("ufs", "UFS")
    words = [memory]
    if info is not None and info.product:
        words.append(info.product)
    if info is not None and info.sectors and info.sector_bytes:
        words.append(format_size(info.sectors * info.sector_bytes))
    if phone.lun_count:
        words.append(f"{phone.lun_count} LUNs")
    return ", ".join([*words, f"{phone.sector_bytes}-byte sectors"])
