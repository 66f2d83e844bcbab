# SPDX-License-Identifier: BSD-3-Clause
"""From a phone on the bus to a configured programmer, whatever state the phone is in.

What runs on it is found out by the rungs of `ladder`; here a boot ROM gets its programmer, and a
programmer is configured and asked for its storage.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from edl.device import before_firehose, ladder, provisioning, ufs
from edl.device.firehose import ASK_PAYLOAD_BYTES
from edl.device.firehose import Programmer as FirehoseProgrammer
from edl.device.ladder import Answering
from edl.device.programmer import Programmer
from edl.device.sahara import BootRom
from edl.errors import (
    DeviceGoneError,
    DeviceRefusedError,
    InterruptedUploadError,
    MuteError,
    NoDeviceError,
    ProgrammerFailedError,
    TransportTimeoutError,
    UnprovisionedError,
    UsageError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.events import Emit, Stage, ignore
from edl.firehose.answers import StorageInfo
from edl.firehose.commands import Area
from edl.identity import PhoneIdentity
from edl.sahara import host
from edl.transport import Transport
from edl.units import format_size

_log = logging.getLogger(__name__)

_STORAGES = ("emmc", "ufs")  # the order in which an unknown storage is tried: eMMC fails cleanly
_OTHERS = ("nand", "nvme", "spinor")  # tried by and by where those have failed
_COME_BACK_ATTEMPTS = 10
_COME_BACK_PAUSE_S = 0.3
_START_ATTEMPTS = 3
_START_PAUSE_S = 0.5
_FRESH_S = 5.0  # what qdl waits for a programmer that is to be sent signed tables
_LATE_WORDS_S = 0.5
MEMORY_NAMES = {"emmc": "eMMC", "ufs": "UFS", "nand": "NAND", "nvme": "NVMe", "spinor": "SPI-NOR"}

ChooseLoader = Callable[[PhoneIdentity], Mapping[int, bytes]]
Reopen = Callable[[], Transport]
Settle = Callable[[Transport], bool]
Start = Callable[[Transport, PhoneIdentity, "Wishes", Emit, bytes], "Phone"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Wishes:
    """What the user or the package says about the phone.

    memory: "emmc", "ufs", "nand", ..., or "" for whatever the phone has. hints: storage types to
    try first. identify: ask the boot ROM who it is. payload_bytes: largest data transfer to ask
    for, or None. untouched: ask a UFS device about itself, and for none of its LUNs.
    """

    memory: str = ""
    hints: tuple[str, ...] = ()
    identify: bool = True
    payload_bytes: int | None = None
    untouched: bool = False


@dataclass
class Phone:
    """A phone with a configured programmer.

    luns: storage info by LUN, LUN 0 at least (where the programmer tells any). attached: the
    programmer had been running before. place: where it is, in words that change when it leaves the
    bus; empty if that is not known. seen: names of the partitions that were read, by LUN. device:
    what a UFS device says about itself as a whole, where its programmer can tell that.
    """

    transport: Transport
    programmer: Programmer
    identity: PhoneIdentity
    luns: dict[int, StorageInfo] = field(default_factory=dict)
    attached: bool = False
    place: str = ""
    seen: dict[int, tuple[str, ...]] = field(default_factory=dict)
    device: StorageInfo | None = None

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
    def unprovisioned(self) -> bool:
        """Whether its storage is a UFS device without LUNs."""
        info = self.device or self.luns.get(0)
        return info is not None and not info.sectors and ufs.device_of(info).unprovisioned

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
            UnprovisionedError: it has none at all. Then it is not even asked: a programmer that
                fails to open a LUN cannot provision any more (linux-msm/qdl#297).
        """
        if self.unprovisioned:
            raise UnprovisionedError("The UFS storage of this phone has no LUNs: unprovisioned.")
        if number not in self.luns:
            self.luns[number] = self.programmer.storage_info(number)
        return self.luns[number]


def connect(
    transport: Transport,
    choose_loader: ChooseLoader,
    wishes: Wishes,
    emit: Emit = ignore,
    known: PhoneIdentity | None = None,
    reopen: Reopen | None = None,
    settle: Settle | None = None,
) -> Phone:
    """Bring the phone to a configured programmer and learn its storage.

    choose_loader: called with the phone's identity if a programmer must be uploaded; returns images
    by id. known: identity that an earlier run learnt; a running programmer cannot tell it. reopen:
    finds the phone again when it has left the bus to come back, perhaps faster. settle: called with
    a phone that seems to be in the middle of an interrupted write; tells whether it has brought its
    programmer out of it.

    Raises:
        MuteError, CrashDumpError, InterruptedUploadError: it must enter EDL mode again by its keys.
        ProgrammerRefusedError: the boot ROM does not take the programmer, or it does not start;
            another one may follow once the phone is in EDL mode again.
        EdlError: see the errors of each rung.
    """
    ask = wishes.identify and known is None
    try:
        answering = ladder.find_out(transport, emit, ask=ask)
    except MuteError:
        if settle is None or not settle(transport):
            raise
        answering, settle = Answering(), None
    if answering.interrupted:
        transport, answering = _start_over(transport, answering, emit, reopen)
    rom = answering.boot_rom
    if answering.streaming:
        phone = _with_streaming(transport, known or PhoneIdentity(), wishes, emit)
        phone.attached = True
    elif answering.dmss:
        phone = _by_dmss(transport, choose_loader, known, wishes, emit, reopen)
    elif rom is None:
        programmer = _attached(transport, answering.programmer_first or b"", emit, settle)
        phone = Phone(transport, programmer, known or PhoneIdentity(), attached=True)
        _learn_storage(phone, programmer, wishes)
    else:
        identity = _identify(rom, answering, wishes, emit) or known or PhoneIdentity()
        images = choose_loader(identity)
        unasked = _upload(rom, images)
        start = _with_streaming if before_firehose.speaks_streaming(images) else _start
        try:
            phone = start(transport, identity, wishes, emit, rom.leftover())
        except DeviceGoneError:
            if reopen is None:
                raise
            chain = _Chain(images, unasked, emit)
            phone = _started_elsewhere(reopen, start, identity, wishes, emit, chain)
    emit(Stage("storage", _describe(phone)))
    return phone


def start_programmer(
    transport: Transport,
    choose_loader: ChooseLoader,
    wishes: Wishes,
    emit: Emit = ignore,
    known: PhoneIdentity | None = None,
    reopen: Reopen | None = None,
    settle: Settle | None = None,
) -> Phone:
    """Bring a phone in EDL mode to a programmer that was told nothing yet, and is not configured.

    For sessions in which every byte was settled beforehand. Parameters: see `connect`; settle is
    of no use, as nothing is owed to a programmer that is not there yet.

    Raises:
        InterruptedUploadError: a programmer runs already: who knows what it was told.
        EdlError: as `connect`.
    """
    del settle
    ask = wishes.identify and known is None
    answering = ladder.find_out(transport, emit, ask=ask)
    if answering.interrupted:
        transport, answering = _start_over(transport, answering, emit, reopen)
    rom = answering.boot_rom
    if rom is None:
        raise InterruptedUploadError(
            "A programmer runs on the phone already, and this job needs one that has just started."
        )
    identity = _identify(rom, answering, wishes, emit) or known or PhoneIdentity()
    _upload(rom, choose_loader(identity))
    first = rom.leftover()
    try:
        return _heard(transport, identity, first, emit)
    except DeviceGoneError:
        if reopen is None:
            raise
        emit(Stage("connect", "the programmer comes back on the bus"))
        return _come_back(reopen, lambda back: _heard(back, identity, b"", emit))


def _heard(transport: Transport, identity: PhoneIdentity, first: bytes, emit: Emit) -> Phone:
    """Return the phone when its programmer has said what it says unasked, however late."""
    programmer = FirehoseProgrammer(transport, emit)
    programmer.hear_greeting(first, patience_s=_FRESH_S)
    programmer.hear_greeting(patience_s=_LATE_WORDS_S)
    return Phone(transport, programmer, identity)


@dataclass
class _Chain:
    """Images of which a phone has taken some before it left the bus. unasked: ids of the others."""

    images: Mapping[int, bytes]
    unasked: frozenset[int]
    emit: Emit

    def go_on(self, answering: Answering) -> bytes:
        """Give the boot ROM that has come back its next images.

        Returns:
            The first words of the programmer that has started then.

        Raises:
            ProgrammerFailedError: it has asked for them all, or asks for the same ones again.
        """
        rom, before = answering.boot_rom, self.unasked
        if rom is None or not before:
            raise _crashed("came back in EDL mode without it")
        self.emit(Stage("connect", "the phone comes back on the bus for the next image"))
        if answering.hello is not None:
            rom.push_back(answering.hello)
        self.unasked &= _upload(rom, self.images)
        if self.unasked == before:
            raise _crashed("came back in EDL mode without it")
        return rom.leftover()


def _upload(rom: BootRom, images: Mapping[int, bytes]) -> frozenset[int]:
    """Give the phone its images; return the ids of those that it did not ask for."""
    try:
        return rom.upload(images)
    except TransportTimeoutError as error:
        raise MuteError(
            f"The phone stopped in the middle of the upload: {error.message}",
            remedies=(MuteError.remedies[0], TransportTimeoutError.remedies[0]),
        ) from error


def _start_over(
    transport: Transport, answering: Answering, emit: Emit, reopen: Reopen | None
) -> tuple[Transport, Answering]:
    """Return what answers after the reset that a boot ROM in the middle of an upload was told.

    Raises:
        InterruptedUploadError: it is not out of there.
    """
    why = answering.interrupted
    emit(Stage("connect", f"an earlier upload was interrupted ({why}); the boot ROM starts over"))
    if reopen is not None and ladder.leaves(transport):
        transport, answering = _come_back(reopen, lambda back: (back, ladder.find_out(back, emit)))
    if answering.interrupted:
        raise InterruptedUploadError(
            f"The phone is stuck in an interrupted upload ({answering.interrupted})."
        )
    return transport, answering


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


def _with_streaming(
    transport: Transport, identity: PhoneIdentity, wishes: Wishes, emit: Emit, first: bytes = b""
) -> Phone:
    """Return the phone whose programmer speaks Streaming Download."""
    programmer = before_firehose.started(transport, first, wishes.memory, emit)
    phone = Phone(transport, programmer, identity)
    phone.luns[0] = programmer.storage_info(0)
    return phone


def _by_dmss(
    transport: Transport,
    choose_loader: ChooseLoader,
    known: PhoneIdentity | None,
    wishes: Wishes,
    emit: Emit,
    reopen: Reopen | None,
) -> Phone:
    """Return the phone after its boot ROM, which does not tell who it is, got its programmer."""
    identity = known or PhoneIdentity()
    emit(Stage("found", "a boot ROM that speaks DMSS Download"))
    first = before_firehose.upload(transport, choose_loader(identity), emit)
    try:
        return _with_streaming(transport, identity, wishes, emit, first)
    except DeviceGoneError:
        if reopen is None:
            raise
        return _started_elsewhere(reopen, _with_streaming, identity, wishes, emit)


def _started_elsewhere(
    reopen: Reopen,
    begin: Start,
    identity: PhoneIdentity,
    wishes: Wishes,
    emit: Emit,
    chain: _Chain | None = None,
) -> Phone:
    """Return the phone, which has left the bus for its programmer to come back on it.

    chain: images that its boot ROM may still ask for, where it comes back for the next one.

    Raises:
        ProgrammerFailedError: its boot ROM comes back, or nothing: the programmer has crashed.
    """
    emit(Stage("connect", "the programmer comes back on the bus"))

    def start(back: Transport) -> Phone:
        answering = ladder.listen(back, emit)
        first = answering.programmer_first if answering is not None else None
        if answering is not None and answering.boot_rom is not None:
            first = (chain or _Chain({}, frozenset(), emit)).go_on(answering)
        return begin(back, identity, wishes, emit, first or b"")

    try:
        return _come_back(reopen, start)
    except NoDeviceError as error:
        raise _crashed("did not come back") from error


def _crashed(what: str) -> ProgrammerFailedError:
    """Return the error for a programmer that does not run (bkerler/edl#77, #690, #732)."""
    return ProgrammerFailedError(
        f"The phone took the programmer, left USB and {what}: it crashed.",
        remedies=(
            "Try another variant of the programmer (ddr, lite), after entering EDL mode again.",
            "Use the programmer from the stock package of exactly this model.",
        ),
    )


def _identify(
    rom: BootRom, answering: Answering, wishes: Wishes, emit: Emit
) -> PhoneIdentity | None:
    """Ask the boot ROM who it is; None if it is not asked."""
    seen = answering.hello or (host.CommandReady() if answering.commanding else None)
    if seen is None:
        return None
    if not wishes.identify:
        rom.push_back(seen)
        return None
    identity = rom.identify(answering.hello)
    emit(Stage("identity", identity.describe()))
    return identity


def _start(
    transport: Transport, identity: PhoneIdentity, wishes: Wishes, emit: Emit, first: bytes
) -> Phone:
    """Hear the fresh programmer and configure it.

    One that is still starting (DDR training) loses or delays the first command: it is asked again.
    """
    programmer = FirehoseProgrammer(transport, emit)
    programmer.hear_greeting(first)
    phone = Phone(transport, programmer, identity)
    for _ in range(_START_ATTEMPTS - 1):
        try:
            _learn_storage(phone, programmer, wishes)
        except TransportTimeoutError:
            if programmer.configuration is not None:
                raise
        else:
            return phone
        emit(Stage("connect", "the programmer is still starting; asking again"))
        programmer.hear_greeting(patience_s=_START_PAUSE_S)
    try:
        _learn_storage(phone, programmer, wishes)
    except TransportTimeoutError as error:
        if programmer.configuration is not None:
            raise
        raise _silent(error) from error
    return phone


def _silent(error: TransportTimeoutError) -> ProgrammerFailedError:
    """Return the error for a programmer that was taken and says nothing (bkerler/edl#59, #396)."""
    return ProgrammerFailedError(
        f"The phone took the programmer, but it does not work: {error.message}",
        remedies=error.remedies,
        device_log=error.device_log,
    )


def _attached(
    transport: Transport, first: bytes, emit: Emit, settle: Settle | None
) -> FirehoseProgrammer:
    """Return the programmer that runs; brought out of an interrupted write by settle if need be.

    Raises:
        MuteError: it answers nothing.
    """
    programmer = FirehoseProgrammer(transport, emit)
    try:
        _hear(programmer, first)
    except MuteError:
        if settle is None or not settle(transport):
            raise
        programmer = FirehoseProgrammer(transport, emit)
        _hear(programmer, b"")
    emit(Stage("found", "a programmer is running already; going on with it"))
    return programmer


def _hear(programmer: FirehoseProgrammer, first: bytes) -> None:
    """Hear a programmer, and make sure that it takes commands.

    Raises:
        MuteError: it answers nothing, or takes commands for data.
    """
    programmer.hear_greeting(first)
    try:
        # a late no may still answer our knocking, so a yes is waited for
        any(programmer.ping() for _ in range(_START_ATTEMPTS))
    except TransportTimeoutError as error:
        raise ladder.mute(takes=True) from error


def _learn_storage(phone: Phone, programmer: FirehoseProgrammer, wishes: Wishes) -> None:
    """Configure, and make sure that the storage answers; each type is tried at most once."""
    if wishes.untouched:
        size = wishes.payload_bytes or ASK_PAYLOAD_BYTES
        phone.device = provisioning.survey(programmer, size)
        return
    first = [wishes.memory.lower()] if wishes.memory else [*wishes.hints, *_STORAGES]
    if not wishes.memory and programmer.generation == 3:  # the older ones have one driver or two
        first += _OTHERS
    refused: list[DeviceRefusedError] = []
    for memory in dict.fromkeys(first):
        try:
            _configure(programmer, memory, wishes)
            if memory == "ufs" and programmer.generation == 3:
                phone.device = provisioning.about_device(programmer)
                if phone.unprovisioned:
                    return
            info = programmer.storage_info(0)
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


def _configure(programmer: FirehoseProgrammer, memory: str, wishes: Wishes) -> None:
    answer = programmer.configure(memory, payload_bytes=wishes.payload_bytes or ASK_PAYLOAD_BYTES)
    said = answer.memory.lower()
    if said == "none":  # generation 3: a name that it does not know, with ACK
        raise WrongStorageError(f"The programmer knows no storage type {memory!r}.")
    if wishes.memory and said and said != memory and memory in _STORAGES:
        raise UsageError(
            f"You asked for {memory}, but the phone has {said}.",
            remedies=(f"Leave --memory out, or use --memory {said}.",),
        )


def _describe(phone: Phone) -> str:
    info = phone.luns.get(0) or phone.device
    memory = phone.programmer.memory or "unknown"
    words = [MEMORY_NAMES.get(memory, memory)]
    if info is not None and info.product:
        words.append(info.product)
    if info is not None and info.sectors and info.sector_bytes:
        words.append(format_size(info.sectors * info.sector_bytes))
    if phone.unprovisioned:
        return ", ".join([*words, "no LUNs: unprovisioned"])
    if phone.lun_count:
        words.append(f"{phone.lun_count} LUNs")
    return ", ".join([*words, f"{phone.sector_bytes}-byte sectors"])
