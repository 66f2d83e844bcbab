# SPDX-License-Identifier: BSD-3-Clause
"""A programmer that runs is configured, and asked for its storage: whichever kind that is."""

from __future__ import annotations

import logging

from edl.device import provisioning
from edl.device.firehose import ASK_PAYLOAD_BYTES
from edl.device.firehose import Programmer as FirehoseProgrammer
from edl.device.phone import Phone, Wishes
from edl.errors import DeviceRefusedError, UsageError, WrongSectorSizeError, WrongStorageError
from edl.firehose.commands import Area

_log = logging.getLogger(__name__)

_STORAGES = ("emmc", "ufs")  # the order in which an unknown storage is tried: eMMC fails cleanly
_OTHERS = ("nand", "nvme", "spinor")  # tried by and by where those have failed


def learn_storage(phone: Phone, programmer: FirehoseProgrammer, wishes: Wishes) -> None:
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
