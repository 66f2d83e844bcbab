# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones in folders, what they hold, and what they have to hold after a job.

Nothing here goes by what edl's host code says: bytes come from the phones' own disk files, tables
are read by a reader of a few lines, and what is common to phones is written down by name.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edl.units import MIB
from edl.virtual.phone import Phone
from tests import dumps

Disks = dict[int, bytes]

EMMC = {
    "modem": 256, "sbl1": 64, "sbl1bak": 64, "aboot": 128, "rpm": 16, "tz": 64, "DDR": 16,
    "boot": 512, "recovery": 256, "modemst1": 64, "modemst2": 64, "fsc": 4, "fsg": 64, "ssd": 8,
    "persist": 128, "misc": 16, "devinfo": 16, "config": 16, "logdump": 32, "odd_vendor": 16,
    "metadata": 16, "system": 2048, "cache": 64, "userdata": 0,
}  # fmt: skip
EMMC_AB = {
    "xbl_a": 64, "xbl_b": 64, "abl_a": 64, "abl_b": 64, "modem_a": 64, "modem_b": 64, "boot_a": 256,
    "boot_b": 256, "modemst1": 64, "modemst2": 64, "fsg": 64, "fsc": 4, "persist": 64,
    "system_a": 512, "system_b": 512, "misc": 16, "userdata": 0,
}  # fmt: skip
UFS: dict[int, dict[str, int]] = {
    0: {"ssd": 8, "persist": 64, "misc": 16, "system": 2048, "userdata": 0},
    1: {"xbl_a": 64, "xbl_config_a": 0},
    2: {"xbl_b": 64, "xbl_config_b": 0},
    3: {"devinfo": 16, "config": 0},
    4: {
        "tz_a": 64, "tz_b": 64, "abl_a": 64, "abl_b": 64, "boot_a": 512, "boot_b": 512,
        "modem_a": 64, "modem_b": 64, "logdump": 0,
    },
    5: {"modemst1": 64, "modemst2": 64, "fsg": 64, "fsc": 0},
}  # fmt: skip
LUNS = "{size}MiB+1MiB+1MiB+1MiB+4MiB+1MiB"
PROFILES = ("msm8916", "msm8953", "sdm660", "qcm2290", "qcm2290-ufs")
_USED_BYTES = MIB
_ENTRY = 128


@dataclass(frozen=True)
class Model:
    """A kind of phone. mib: size of the eMMC, or of LUN 0."""

    profile: str
    mib: int
    slots: bool = False

    @property
    def ufs(self) -> bool:
        return self.profile.endswith("ufs")

    @property
    def sector_bytes(self) -> int:
        return 4096 if self.ufs else 512

    @property
    def layouts(self) -> Mapping[int, Mapping[str, int]]:
        return UFS if self.ufs else {0: EMMC_AB if self.slots else EMMC}

    def spec(self, serial: int, *changes: str) -> str:
        """Return how the command line names such a phone."""
        size = "luns=" + LUNS.format(size=self.mib) if self.ufs else f"size={self.mib}MiB"
        return ",".join((self.profile, size, f"serial={serial:#x}", *changes))


@dataclass(frozen=True)
class Entry:
    """One partition of a table."""

    name: str
    first: int
    last: int
    type_guid: bytes
    guid: bytes
    attributes: int


class Device:
    """A virtual phone in a folder, looked at from outside."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder = folder
        self.model = model

    @classmethod
    def make(cls, folder: Path, model: Model, serial: int, owner: str, firmware: str) -> Device:
        """Make a phone with a life behind it."""
        with Phone.create(model.spec(serial), folder) as phone:
            for lun, layout in model.layouts.items():
                dumps.live(
                    phone.storage, owner, firmware=firmware, lun=lun, layout=layout,
                    used_bytes=min(_USED_BYTES, 256 * 1024 if lun else _USED_BYTES),
                    active="a" if model.slots or model.ufs else "",
                )  # fmt: skip
        return cls(folder, model)

    def copy(self, folder: Path) -> Device:
        """Return another one that is the same."""
        shutil.copytree(self.folder, folder)
        return Device(folder, self.model)

    def _file(self, lun: int) -> Path:
        names = ("user", "boot0", "boot1")
        return self.folder / (f"lun{lun}.img" if self.model.ufs else f"{names[lun]}.img")

    def disks(self) -> Disks:
        """Return what it holds."""
        luns = len(list(self.folder.glob("*.img")))
        return {lun: self._file(lun).read_bytes() for lun in range(luns)}

    def put(self, lun: int, offset: int, data: bytes) -> None:
        """Change what it holds."""
        with self._file(lun).open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def _saved(self) -> dict[str, object]:
        saved: dict[str, object] = json.loads((self.folder / "phone.json").read_text())
        return saved

    def change(self, **fields: object) -> None:
        """Change what is kept of it besides its disks."""
        (self.folder / "phone.json").write_text(json.dumps(self._saved() | fields))

    def counts(self) -> dict[str, int]:
        """Return what has passed over its cable so far."""
        counts = self._saved()["counts"]
        assert isinstance(counts, dict)
        return counts

    @property
    def pending(self) -> list[str]:
        """The faults that have not struck."""
        pending = self._saved()["faults"]
        assert isinstance(pending, list)
        return pending

    @property
    def bootable(self) -> object:
        """The LUN that it boots from."""
        return self._saved()["bootable"]

    def enter_edl(self) -> None:
        """Do what a user does when asked to; faults that have not struck are over."""
        self.change(faults=[], condition="")
        with Phone.open(self.folder) as phone:
            phone.enter_edl()


def entries(disk: bytes, unit: int, *, backup: bool = False) -> list[Entry] | None:
    """Return the partitions of a table; None if it is not sound in every respect."""
    sectors = len(disk) // unit
    at = sectors - 1 if backup else 1
    header = disk[at * unit : at * unit + 92]
    if header[:8] != b"EFI PART":
        return None
    crc, _, here, other = struct.unpack_from("<IIQQ", header, 16)
    first, count, size, table_crc = struct.unpack_from("<QIII", header, 72)
    if zlib.crc32(header[:16] + bytes(4) + header[20:]) != crc or size != _ENTRY:
        return None
    if here != at or other != (1 if backup else sectors - 1) or count > 1024:
        return None
    table = disk[first * unit : first * unit + count * size]
    if zlib.crc32(table) != table_crc:
        return None
    found = []
    for offset in range(0, len(table), _ENTRY):
        entry = table[offset : offset + _ENTRY]
        if any(entry[:16]):
            start, last, attributes = struct.unpack_from("<QQQ", entry, 32)
            name = entry[56:].decode("utf-16-le").rstrip("\0")
            found.append(Entry(name, start, last, entry[:16], entry[16:32], attributes))
    return found


def places(disk: bytes, unit: int) -> dict[str, tuple[int, int]]:
    """Return first byte and end of each partition, by the primary table."""
    found = entries(disk, unit)
    assert found is not None
    return {each.name: (each.first * unit, (each.last + 1) * unit) for each in found}


def neither(now: bytes, before: bytes, after: bytes, unit: int) -> Iterator[int]:
    """Yield the sectors of now that are neither as before nor as after."""
    step = 256 * unit
    for at in range(0, len(now), step):
        piece = now[at : at + step]
        if piece == before[at : at + step] or piece == after[at : at + step]:
            continue
        for start in range(at, min(at + step, len(now)), unit):
            sector = now[start : start + unit]
            if sector not in (before[start : start + unit], after[start : start + unit]):
                yield start // unit


def noise(rng: random.Random, size: int) -> bytes:
    """Return bytes that nothing else holds."""
    return rng.randbytes(size)
