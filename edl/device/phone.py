# SPDX-License-Identifier: BSD-3-Clause
"""A phone with a configured programmer, and what is wished of one before it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from edl.device import ufs
from edl.device.programmer import Programmer
from edl.errors import UnprovisionedError
from edl.firehose.answers import StorageInfo
from edl.identity import PhoneIdentity
from edl.transport import Transport
from edl.units import format_size

_NAMES = {"emmc": "eMMC", "ufs": "UFS", "nand": "NAND", "nvme": "NVMe", "spinor": "SPI-NOR"}


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


def storage_words(phone: Phone) -> str:
    """Return what storage a phone has, for people."""
    info = phone.luns.get(0) or phone.device
    memory = phone.programmer.memory or "unknown"
    words = [_NAMES.get(memory, memory)]
    if info is not None and info.product:
        words.append(info.product)
    if info is not None and info.sectors and info.sector_bytes:
        words.append(format_size(info.sectors * info.sector_bytes))
    if phone.unprovisioned:
        return ", ".join([*words, "no LUNs: unprovisioned"])
    if phone.lun_count:
        words.append(f"{phone.lun_count} LUNs")
    return ", ".join([*words, f"{phone.sector_bytes}-byte sectors"])
