# SPDX-License-Identifier: BSD-3-Clause
"""Phones that leave the bus and come back on it: for their next image, or with their programmer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from edl.device import ladder
from edl.device.ladder import Answering
from edl.device.phone import Phone, Wishes
from edl.device.sahara import BootRom
from edl.errors import (
    DeviceGoneError,
    MuteError,
    NoDeviceError,
    ProgrammerFailedError,
    TransportTimeoutError,
)
from edl.events import Emit, Stage
from edl.identity import PhoneIdentity
from edl.transport import Transport

_ATTEMPTS = 10
_PAUSE_S = 0.3

Reopen = Callable[[], Transport]
Start = Callable[[Transport, PhoneIdentity, Wishes, Emit, bytes], Phone]
Result = TypeVar("Result")


@dataclass
class Chain:
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
        self.unasked &= upload(rom, self.images)
        if self.unasked == before:
            raise _crashed("came back in EDL mode without it")
        return rom.leftover()


def upload(rom: BootRom, images: Mapping[int, bytes]) -> frozenset[int]:
    """Give the phone its images; return the ids of those that it did not ask for."""
    try:
        return rom.upload(images)
    except TransportTimeoutError as error:
        raise MuteError(
            f"The phone stopped in the middle of the upload: {error.message}",
            remedies=(MuteError.remedies[0], TransportTimeoutError.remedies[0]),
        ) from error


def come_back(reopen: Reopen, use: Callable[[Transport], Result]) -> Result:
    """Return what use makes of the phone, which has left the bus and comes back.

    For a moment the system may still list it as it was before.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return use(reopen())
        except DeviceGoneError:
            time.sleep(_PAUSE_S)
    return use(reopen())


def started_elsewhere(
    reopen: Reopen,
    begin: Start,
    identity: PhoneIdentity,
    wishes: Wishes,
    emit: Emit,
    chain: Chain | None = None,
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
            first = (chain or Chain({}, frozenset(), emit)).go_on(answering)
        return begin(back, identity, wishes, emit, first or b"")

    try:
        return come_back(reopen, start)
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
