# SPDX-License-Identifier: BSD-3-Clause
"""States in which other programs may have left a phone: `state=NAME` of a virtual one.

They are those of the attach ladder (sahara.md 11 and 19). A phone is in its state from the moment
that it is made until its software changes, or somebody enters EDL mode again by the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edl.sahara.packets import Mode
from edl.virtual.bootrom import RomConfig
from edl.virtual.descriptors import QUALCOMM
from edl.virtual.link import Firmware, Receive, Request, Send, Sleep
from edl.virtual.storage import Extent

_AWAITED_BYTES = 4096  # of an image that an earlier program has begun to send
_SECTORS = 256
_PROLOG = '<?xml version="1.0" encoding="UTF-8" ?>'
_FOR_EVER_S = 1e9


@dataclass(frozen=True)
class Condition:
    """A state. title: in words. rom: what is different in the boot ROM, where that is in charge.

    said: what the programmer was told last, where that is in charge; unread: what it answered is
    still to be read, otherwise an earlier program has read it. always: it is the boot ROM's nature,
    and no state that ends.
    """

    title: str
    rom: Callable[[RomConfig], RomConfig] | None = None
    said: str | None = None
    unread: bool = False
    always: bool = False

    @property
    def passing(self) -> bool:
        """Whether it is over when the host has begun to talk."""
        return self.unread or self.said == ""


CONDITIONS: dict[str, Condition] = {
    "hello-eaten": Condition(
        "another program has read the greeting (HELLO) of the boot ROM",
        rom=lambda rom: replace(rom, hello_eaten=True),
    ),
    "one-hello": Condition(
        "the boot ROM greets once and never again, also after command mode",
        rom=lambda rom: replace(rom, greets_once=True, knows_restart=False),
        always=True,
    ),
    "command-mode": Condition(
        "another program has left the boot ROM in command mode",
        rom=lambda rom: replace(rom, in_command_mode=True),
    ),
    "mid-image": Condition(
        "another program has stopped in the middle of sending a loader",
        rom=lambda rom: replace(rom, awaits_bytes=_AWAITED_BYTES),
    ),
    "refused": Condition(
        "the boot ROM has refused a loader of another program, and awaits a reset",
        rom=lambda rom: replace(rom, awaits_reset=True),
    ),
    "says-crash": Condition(
        "in EDL mode (9008), but the greeting offers a crash dump; it takes a loader",
        rom=lambda rom: replace(rom, hello_mode=Mode.MEMORY_DEBUG),
        always=True,
    ),
    "crash-dump": Condition(
        "crashed (900E): it offers a copy of its memory and takes no loader",
        rom=lambda rom: rom,  # in whose place `crashdump` runs then
    ),
    "programmer": Condition("a programmer runs already", said=""),
    "stale-answer": Condition(
        "a programmer runs, and its last answer has not been read", said="<nop />", unread=True
    ),
    "stale-read": Condition(
        "a programmer runs, and is in the middle of sending sectors that nobody reads",
        said="<read {area} />",
        unread=True,
    ),
    "stuck-write": Condition(
        "a programmer runs, and takes everything for the data of an interrupted write",
        said="<program {area} />",
    ),
    "mute": Condition("it hangs: it takes nothing and says nothing"),
}
CRASHED = "crash-dump"
CRASH_IDS = (QUALCOMM, 0x900E)
_GOOGLE = 0x18D1
# USB ids of a phone that has started, by what runs on it (AOSP's and Qualcomm's own)
SYSTEMS = {
    "adb": (_GOOGLE, 0x4EE7),
    "android": (_GOOGLE, 0x4EE1),
    "fastboot": (_GOOGLE, 0x4EE0),
    "crash": CRASH_IDS,
}


def programmer_in(condition: Condition, software: Firmware, sector_bytes: int) -> Firmware:
    """Return a programmer as another program has left it."""
    area = (
        f'SECTOR_SIZE_IN_BYTES="{sector_bytes}" num_partition_sectors="{_SECTORS}"'
        ' physical_partition_number="0" start_sector="0"'
    )
    said = (condition.said or "").format(area=area)
    if not said:
        return software
    return _told(software, f"{_PROLOG}<data>{said}</data>".encode(), unread=condition.unread)


def owing(software: Firmware, extent: Extent, sector_bytes: int) -> Firmware:
    """Return a programmer that waits for the data of extent, as a killed host has left it."""
    said = (
        f'<program SECTOR_SIZE_IN_BYTES="{sector_bytes}" num_partition_sectors="{extent.count}"'
        f' physical_partition_number="{extent.lun}" start_sector="{extent.start}" />'
    )
    return _told(software, f"{_PROLOG}<data>{said}</data>".encode(), unread=False)


def hung() -> Firmware:
    """Return software that does nothing any more."""
    yield Sleep(_FOR_EVER_S)


def _told(software: Firmware, packet: bytes, *, unread: bool) -> Firmware:
    """Run software, which has been sent packet already; unread: and nobody has read its answer."""
    request: Request = next(software)
    while not isinstance(request, Receive):
        request = software.send(None)
    request = software.send(packet)
    while not isinstance(request, Receive):
        if unread or not isinstance(request, Send):
            yield request
        request = software.send(None)
    while True:
        request = software.send((yield request))
