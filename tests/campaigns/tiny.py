# SPDX-License-Identifier: BSD-3-Clause
"""Phones of 1 MiB, and a package, a backup and a job of each kind for them: a job takes 0.1 s."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.units import MIB
from edl.virtual.phone import Phone
from tests import dumps
from tests.campaigns.bench import Device, Disks, Model, entries, places
from tests.campaigns.jobs import Backup, Job, Restore
from tests.conftest import REPO
from tests.virtual.handmade import LOADERS

_EMMC = {0: {
    "modem": 32, "sbl1": 8, "sbl1bak": 8, "aboot": 8, "modemst1": 8, "persist": 16, "boot": 40,
}}  # fmt: skip
_UFS = {0: {"modemst1": 8, "persist": 16, "abl_a": 16, "abl_b": 16, "boot_a": 40}, 1: {"xbl_a": 32}}
_IMAGES = ("modem", "sbl1", "sbl1bak", "aboot", "modemst1", "boot", "abl_a", "abl_b", "boot_a",
           "xbl_a")  # fmt: skip
_ENTRIES_BYTES = 64 * 128  # of the tables that `dumps.table` makes
_SERIAL = 0x1A2B3C4D
_PARTITION_TABLES = 16384  # bytes that they reserve at either end


@dataclass(frozen=True)
class Tiny(Model):
    """A phone of 1 MiB, or with two LUNs of 1 MiB."""

    mib: int = 1

    @property
    def layouts(self) -> Mapping[int, Mapping[str, int]]:
        return _UFS if self.ufs else _EMMC

    def spec(self, serial: int, *changes: str) -> str:
        size = "luns=1MiB+1MiB" if self.ufs else "size=1MiB"
        return ",".join((self.profile, size, f"serial={serial:#x}", *changes))

    @property
    def loader(self) -> Path:
        """The programmer that it trusts."""
        return REPO / "loaders" / LOADERS[self.profile.removesuffix("-ufs")]

    @property
    def disk_sectors(self) -> int:
        return MIB // self.sector_bytes

    def table(self, lun: int, disk: str) -> Any:  # noqa: ANN401
        """Return the partition table of lun. disk: gives its GUID."""
        return dumps.table(self.disk_sectors, self.layouts[lun], unit=self.sector_bytes, disk=disk)


def make_phone(folder: Path, model: Tiny, firmware: str) -> Device:
    """Make a phone with a life behind it, in EDL mode."""
    with Phone.create(model.spec(_SERIAL), folder) as phone:
        for lun, layout in model.layouts.items():
            dumps.live(
                phone.storage, "a", firmware=firmware, lun=lun, layout=layout,
                used_bytes=1024 * [*layout.values()][-1], active="a" if model.ufs else "",
            )  # fmt: skip
    return Device(folder, model)


class Package:
    """A stock package in a folder: images, tables that are patched to the disk's size, a loader."""

    def __init__(self, folder: Path, model: Tiny) -> None:
        self.folder = folder
        self._model = model
        self._unit = model.sector_bytes
        self._written: dict[int, list[tuple[int, bytes]]] = {}
        folder.mkdir()
        shutil.copy(model.loader, folder / model.loader.name)
        for lun in model.layouts:
            self._make(lun)

    def applied(self, before: Disks) -> Disks:
        """Return what a phone holds when the package has been written."""
        after = dict(before)
        for lun, writes in self._written.items():
            disk = bytearray(after[lun])
            for offset, data in writes:
                padded = data + bytes(-len(data) % self._unit)
                disk[offset : offset + len(padded)] = padded
            after[lun] = bytes(disk)
        return after

    def extents(self) -> list[tuple[int, int, int]]:
        """Return LUN, first byte and end of what the package changes."""
        return [
            (lun, offset, offset - (-len(data) // self._unit) * self._unit)
            for lun, writes in self._written.items()
            for offset, data in writes
        ]

    def _make(self, lun: int) -> None:
        made = self._model.table(lun, "new disk")
        images, rows = made.images(), []
        writes = self._written[lun] = []
        for each in made.partitions:
            if each.name not in _IMAGES:
                continue
            size = each.sectors * self._unit - 5000
            data = dumps.bytes_of("v2", each.name, size)
            (self.folder / f"{each.name}.img").write_bytes(data)
            rows.append(_row(self._unit, lun, each.first_sector, each.sectors, each.name))
            if each.name not in dumps.KEPT:
                writes.append((each.first_sector * self._unit, data))
        count = len(images.backup) // self._unit
        for name, data, start in (
            ("PrimaryGPT", images.primary, "0"),
            ("BackupGPT", images.backup, f"NUM_DISK_SECTORS-{count}."),
        ):
            (self.folder / f"{name}{lun}.img").write_bytes(self._unpatched(data, lun, name))
            sectors = len(data) // self._unit
            rows.append(_row(self._unit, lun, start, sectors, name, f"{name}{lun}.img"))
        writes += [(0, images.primary), (images.backup_sector * self._unit, images.backup)]
        body = "\n".join(rows)
        (self.folder / f"rawprogram{lun}.xml").write_text(
            f"<?xml version='1.0'?><data>{body}</data>"
        )
        body = "\n".join(self._patches(lun))
        (self.folder / f"patch{lun}.xml").write_text(
            f"<?xml version='1.0'?><patches>{body}</patches>"
        )

    def _unpatched(self, data: bytes, lun: int, name: str) -> bytes:
        """Return a table as packages have it: what depends on the disk's size is blank."""
        blank = bytearray(data)
        primary = name == "PrimaryGPT"
        header = self._unit if primary else len(data) - self._unit
        entries = 2 * self._unit if primary else 0
        last = entries + 128 * (len(self._model.layouts[lun]) - 1) + 40
        for at, size in ((last, 8), (header + 16, 4), (header + 32 if primary else header + 24, 8),
                         (header + 48, 8), (header + 88, 4)):  # fmt: skip
            blank[at : at + size] = bytes(size)
        return bytes(blank)

    def _patches(self, lun: int) -> Iterator[str]:
        """Yield the rows that make the tables fit, in the order of ptool's patch files."""
        reserved = _PARTITION_TABLES // self._unit
        entry = 128 * (len(self._model.layouts[lun]) - 1)
        end = f"NUM_DISK_SECTORS-{reserved + 2}."
        last = self._model.table(lun, "").partitions[-1].last_sector
        for table, header, own in (
            ("2", "1", (32, "NUM_DISK_SECTORS-1.")),
            (
                f"NUM_DISK_SECTORS-{reserved + 1}.",
                "NUM_DISK_SECTORS-1.",
                (24, "NUM_DISK_SECTORS-1."),
            ),
        ):
            sector = _plus(table, entry // self._unit)
            for where, offset, size, value in (
                (sector, entry % self._unit + 40, 8, last),
                (header, 48, 8, end),
                (header, own[0], 8, own[1]),
                (header, 88, 4, f"CRC32({table},{_ENTRIES_BYTES})"),
                (header, 16, 4, "0"),
                (header, 16, 4, f"CRC32({header},92)"),
            ):
                yield (
                    f'<patch SECTOR_SIZE_IN_BYTES="{self._unit}" byte_offset="{offset}"'
                    f' filename="DISK" physical_partition_number="{lun}" size_in_bytes="{size}"'
                    f' start_sector="{where}" value="{value}" what="made"/>'
                )


def _plus(sector: str, count: int) -> str:
    """Return the sector that lies count behind."""
    if sector.isdigit():
        return str(int(sector) + count)
    name, _, number = sector.removesuffix(".").partition("-")
    return f"{name}-{int(number) - count}."


def _row(unit: int, lun: int, start: object, sectors: int, label: str, filename: str = "") -> str:
    return (
        f'<program SECTOR_SIZE_IN_BYTES="{unit}" file_sector_offset="0"'
        f' filename="{filename or label + ".img"}" label="{label}"'
        f' num_partition_sectors="{sectors}" physical_partition_number="{lun}"'
        f' sparse="false" start_sector="{start}"/>'
    )


class WholeBackup(Backup):
    """Save all of the phone."""

    def __init__(self, device: Device, folder: Path) -> None:
        Job.__init__(self, random.Random(0), device, folder)
        self.target = folder / "saved"
        self.packed, self.bad = False, None
        self.form = "partitions" if device.model.profile == "msm8953" else "images"
        self.options = ["--form", self.form]


class WritePackage(Job):
    """Write a package."""

    name = "rawprogram"

    def __init__(self, device: Device, folder: Path, package: Package, wanted: Disks) -> None:
        super().__init__(random.Random(0), device, folder)
        self.package = package.folder
        self.extents = package.extents()
        self.wanted = wanted

    def arguments(self, *, again: bool) -> list[str]:
        return ["rawprogram", str(self.package), "--yes", *(["--resume"] if again else [])]

    def after(self) -> Disks:
        return self.wanted

    def wrong(self) -> Iterator[str]:
        yield from super().wrong()
        if self.device.model.ufs and self.device.bootable != 1:
            yield f"the phone boots from LUN {self.device.bootable}, not 1"


class WriteBack(Restore):
    """Write the phone's own backup back."""

    def __init__(self, device: Device, folder: Path, dump: Path, wanted: Disks) -> None:
        # what lies beside the eMMC's user area is large, and written back as everything else
        only = () if device.model.ufs or device.model.profile == "msm8953" else ("--lun", "0")
        super().__init__(random.Random(0), device, folder, dump, wanted, *only, variant="own")
        self.resumes = True

    @property
    def extents(self) -> list[tuple[int, int, int]]:
        """All but what exists only once, which is as in the dump: LUN, first byte and end."""
        unit = self.device.model.sector_bytes
        return [
            (lun, start, end)
            for lun, disk in self.wanted.items()
            for start, end in _without_unique(disk, unit)
        ]


def _without_unique(disk: bytes, unit: int) -> Iterator[tuple[int, int]]:
    if entries(disk, unit) is None:  # no table: nothing is unique
        yield 0, len(disk)
        return
    at = 0
    for name, (start, end) in sorted(places(disk, unit).items(), key=lambda item: item[1]):
        if name in dumps.KEPT:
            yield at, start
            at = end
    yield at, len(disk)
