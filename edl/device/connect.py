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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edl.device.firehose import Programmer
from edl.device.sahara import BootRom
from edl.errors import (
    DeviceGoneError,
    DeviceRefusedError,
    ProtocolError,
    TransportTimeoutError,
    UsageError,
    WrongStorageError,
)
from edl.events import Emit, Stage, ignore
from edl.firehose.answers import StorageInfo
from edl.identity import PhoneIdentity
from edl.sahara import host
from edl.sahara.packets import Mode
from edl.transport import Transport
from edl.units import format_size

_log = logging.getLogger(__name__)

LISTEN_S = 0.5
WAKE_S = 1.0
_STORAGES = ("emmc", "ufs")  # the order in which an unknown storage is tried: eMMC fails cleanly
_FIREHOSE_MARKS = (b"<?xml", b"<data")

_START_ATTEMPTS = 3
_START_PAUSE_S = 0.5

ChooseLoader = Callable[[PhoneIdentity], Mapping[int, bytes]]
Reopen = Callable[[], Transport]


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
    """What answered: exactly one of the two. first: what a programmer said already."""

    boot_rom: BootRom | None = None
    hello: host.HelloSeen | None = None
    programmer_first: bytes | None = None


def find_out(transport: Transport, emit: Emit = ignore) -> Answering:
    """Find out what runs on the phone.

    Raises:
        TransportTimeoutError: the phone is mute.
        ProtocolError: it is in crash-dump mode, or speaks something else.
    """
    rom = BootRom(transport, emit)
    for wait_s, rung in ((LISTEN_S, None), (WAKE_S, rom.wake)):
        if rung is not None:
            emit(Stage("connect", "the phone does not greet; knocking"))
            rung()
        try:
            data = bytes(transport.read(wait_s))
        except TransportTimeoutError:
            continue
        if data.lstrip(b"\0\r\n ").startswith(_FIREHOSE_MARKS):
            return Answering(programmer_first=data)
        rom.receive(data)
        return _boot_rom_speaks(rom)
    return Answering(programmer_first=b"")


def _boot_rom_speaks(rom: BootRom) -> Answering:
    event = rom.next_event(WAKE_S)
    match event:
        case host.HelloSeen(mode=Mode.MEMORY_DEBUG) | host.MemoryOffered():
            raise ProtocolError(
                "The phone is in crash-dump mode, not in EDL mode.",
                remedies=("Hold the power button for 15 seconds, then enter EDL mode.",),
            )
        case host.HelloSeen():
            return Answering(boot_rom=rom, hello=event)
        case host.ProgrammerSpeaks():
            return Answering(programmer_first=rom.leftover())
        case host.ImageEnded(image_id, status):
            raise ProtocolError(
                f"The phone is stuck in an interrupted upload (image {image_id}, {status.name}).",
                remedies=("Hold the power button for 15 seconds and enter EDL mode again.",),
            )
        case _:
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
    finds the phone again when its programmer has left the bus to come back, perhaps faster.

    Raises:
        EdlError: see the errors of each rung.
    """
    answering = find_out(transport, emit)
    if answering.boot_rom is None:
        programmer = Programmer(transport, emit)
        _attach(programmer, answering.programmer_first or b"", emit)
        phone = Phone(transport, programmer, known or PhoneIdentity(), attached=True)
        _learn_storage(phone, wishes)
    else:
        identity = _upload(answering, choose_loader, wishes, emit)
        first = answering.boot_rom.leftover()
        try:
            phone = _start(transport, identity, first, wishes, emit)
        except DeviceGoneError:
            if reopen is None:
                raise
            emit(Stage("connect", "the programmer comes back on the bus"))
            phone = _start(reopen(), identity, b"", wishes, emit)
    emit(Stage("storage", _describe(phone)))
    return phone


def _upload(
    answering: Answering, choose_loader: ChooseLoader, wishes: Wishes, emit: Emit
) -> PhoneIdentity:
    rom, identity = answering.boot_rom, PhoneIdentity()
    if rom is None:
        raise RuntimeError("no boot ROM answers")
    if answering.hello is not None and wishes.identify:
        identity = rom.identify(answering.hello)
        emit(Stage("identity", identity.describe()))
    elif answering.hello is not None:
        rom.push_back(answering.hello)
    rom.upload(choose_loader(identity))
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
    for attempt in range(_START_ATTEMPTS):
        try:
            _learn_storage(phone, wishes)
        except TransportTimeoutError:
            if programmer.configuration is not None or attempt == _START_ATTEMPTS - 1:
                raise
            emit(Stage("connect", "the programmer is still starting; asking again"))
            programmer.hear_greeting(patience_s=_START_PAUSE_S)
        else:
            break
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
    refused: DeviceRefusedError | None = None
    for memory in dict.fromkeys(first):
        try:
            _configure(phone.programmer, memory, wishes)
            phone.luns[0] = phone.programmer.storage_info(0)
        except WrongStorageError as error:
            _log.info("storage %s: %s", memory, error)
            refused = refused or error
        except DeviceRefusedError as error:
            if phone.programmer.configuration is None or error.code != "refused":
                raise
            # the programmer knows no <getstorageinfo> (48 of 719): its sector size shows on reading
            return
        else:
            if phone.luns[0].memory in {None, memory, phone.programmer.memory}:
                return
    if refused is not None:
        raise refused


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
