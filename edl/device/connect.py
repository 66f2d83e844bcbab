# SPDX-License-Identifier: BSD-3-Clause
"""From a phone on the bus to a configured programmer, whatever state the phone is in.

What runs on it is found out by the rungs of `ladder`; here a boot ROM gets its programmer, which is
then configured and asked for its storage (`configuring`), wherever it comes back (`returning`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edl.device import before_firehose, ladder, returning
from edl.device.configuring import learn_storage
from edl.device.firehose import Programmer as FirehoseProgrammer
from edl.device.ladder import Answering
from edl.device.phone import Phone, Wishes, storage_words
from edl.device.returning import Chain, Reopen
from edl.device.sahara import BootRom
from edl.errors import (
    DeviceGoneError,
    InterruptedUploadError,
    MuteError,
    ProgrammerFailedError,
    TransportTimeoutError,
)
from edl.events import Emit, Stage, ignore
from edl.identity import PhoneIdentity
from edl.sahara import host
from edl.transport import Transport

_START_ATTEMPTS = 3
_START_PAUSE_S = 0.5
_FRESH_S = 5.0  # what qdl waits for a programmer that is to be sent signed tables
_LATE_WORDS_S = 0.5

ChooseLoader = Callable[[PhoneIdentity], Mapping[int, bytes]]
Settle = Callable[[Transport], bool]


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
        learn_storage(phone, programmer, wishes)
    else:
        identity = _identify(rom, answering, wishes, emit) or known or PhoneIdentity()
        images = choose_loader(identity)
        unasked = returning.upload(rom, images)
        start = _with_streaming if before_firehose.speaks_streaming(images) else _start
        try:
            phone = start(transport, identity, wishes, emit, rom.leftover())
        except DeviceGoneError:
            if reopen is None:
                raise
            chain = Chain(images, unasked, emit)
            phone = returning.started_elsewhere(reopen, start, identity, wishes, emit, chain)
    emit(Stage("storage", storage_words(phone)))
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
    returning.upload(rom, choose_loader(identity))
    first = rom.leftover()
    try:
        return _heard(transport, identity, first, emit)
    except DeviceGoneError:
        if reopen is None:
            raise
        emit(Stage("connect", "the programmer comes back on the bus"))
        return returning.come_back(reopen, lambda back: _heard(back, identity, b"", emit))


def _heard(transport: Transport, identity: PhoneIdentity, first: bytes, emit: Emit) -> Phone:
    """Return the phone when its programmer has said what it says unasked, however late."""
    programmer = FirehoseProgrammer(transport, emit)
    programmer.hear_greeting(first, patience_s=_FRESH_S)
    programmer.hear_greeting(patience_s=_LATE_WORDS_S)
    return Phone(transport, programmer, identity)


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
        transport, answering = returning.come_back(
            reopen, lambda back: (back, ladder.find_out(back, emit))
        )
    if answering.interrupted:
        raise InterruptedUploadError(
            f"The phone is stuck in an interrupted upload ({answering.interrupted})."
        )
    return transport, answering


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
        return returning.started_elsewhere(reopen, _with_streaming, identity, wishes, emit)


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
            learn_storage(phone, programmer, wishes)
        except TransportTimeoutError:
            if programmer.configuration is not None:
                raise
        else:
            return phone
        emit(Stage("connect", "the programmer is still starting; asking again"))
        programmer.hear_greeting(patience_s=_START_PAUSE_S)
    try:
        learn_storage(phone, programmer, wishes)
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
