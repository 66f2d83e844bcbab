# SPDX-License-Identifier: BSD-3-Clause
"""The flash of the virtual phone: an eMMC or a UFS device with its LUNs, its data and its faults.

It does what it is asked, or raises StorageError with the numbers that programmers print.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from edl.virtual.layout import Layout
from edl.virtual.lun import Lun
from edl.virtual.pace import Pace

__all__ = [
    "EmmcProduct",
    "Event",
    "Extent",
    "Faults",
    "FlashProduct",
    "Kind",
    "Lun",
    "Operation",
    "Storage",
    "StorageError",
    "UfsProduct",
    "emmc",
    "ext_csd",
    "plain",
    "ufs",
]

Kind = Literal["emmc", "ufs", "nand", "spinor", "nvme"]
Operation = tuple[Literal["read", "write", "erase"], int, int, int]  # what, LUN, start, sectors
Event = tuple[str | int, ...]  # such as ("ufs-open", slot, lun)

USER, BOOT0, BOOT1 = EMMC_LUNS = 0, 1, 2  # physical partitions of an eMMC
DEVICE_WLUN = 0xD0  # UFS: the well-known unit that stands for the whole device
RPMB_WLUN = 0xFEBA  # another name under which programmers open it: real-programmer-ufs.md, fact 6

# What a driver reports for a refused request. 15 was chosen by the rig in which real programmers
# ran; -5 (input/output) and -22 (invalid) are a genuine UFS driver's: real-programmer-ufs.md.
EMMC_FAILED = 15
UFS_FAILED = -5
UFS_INVALID = -22


class StorageError(Exception):
    """The storage refuses a request.

    Attributes:
        errno: the driver's number, as in `SDCC Error 15 (3)`.
        result: what the layer above makes of it, the number in brackets.
    """

    def __init__(self, errno: int, result: int = 3) -> None:
        super().__init__(f"{errno} ({result})")
        self.errno = errno
        self.result = result


@dataclass(frozen=True)
class Extent:
    """A run of sectors on one LUN."""

    lun: int
    start: int
    count: int = 1

    def touches(self, lun: int, start: int, count: int) -> bool:
        """Return whether any of the count sectors from start on is one of these."""
        return lun == self.lun and start < self.start + self.count and self.start < start + count


@dataclass(frozen=True)
class Faults:
    """What is wrong with the flash.

    Attributes:
        unreadable: sectors whose reads fail.
        deadly: sectors whose reads make the phone reset itself.
        hanging: sectors whose reads make the programmer hang.
        unwritable: sectors whose writes and erases fail.
        forgotten: sectors whose writes are acknowledged and not kept.
        zeros: sectors that read as zeros, whatever was written.
        slow: sectors and the seconds that a request which touches them takes.
        read_only: every write and erase fails, as on an eMMC at the end of its life.
        dead: the device does not answer, so that no LUN opens.
        unprovisioned: the device answers, but has no LUNs (UFS).
        tells_nothing: then it tells nothing of itself either, unless it is asked as a whole.
    """

    unreadable: tuple[Extent, ...] = ()
    deadly: tuple[Extent, ...] = ()
    hanging: tuple[Extent, ...] = ()
    unwritable: tuple[Extent, ...] = ()
    forgotten: tuple[Extent, ...] = ()
    zeros: tuple[Extent, ...] = ()
    slow: tuple[tuple[Extent, float], ...] = ()
    read_only: bool = False
    dead: bool = False
    unprovisioned: bool = False
    tells_nothing: bool = False


def _hit(extents: Sequence[Extent], lun: int, start: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield (first sector, end sector) of every overlap."""
    for extent in extents:
        if extent.touches(lun, start, count):
            yield max(start, extent.start), min(start + count, extent.start + extent.count)


@dataclass(frozen=True)
class EmmcProduct:
    """What an eMMC says about itself. The defaults are those of the recorded dialogues."""

    manufacturer_id: int = 0x15
    oem_id: int = 0x100
    name: str = "EMUMMC"
    serial: int = 0xDEADBEEF
    firmware: int = 0x11223344
    ext_csd: bytes = bytes(index & 0xFF for index in range(512))


@dataclass(frozen=True)
class UfsProduct:
    """What a UFS device says about itself. The defaults are those of the recorded dialogues.

    Attributes:
        inquiry: 8 characters maker, 16 product, 4 revision, as INQUIRY returns them, and what the
            programmer copies with them.
        string_indices: of manufacturer name, product name, serial number and OEM id.
        enhanced: dEnhanced1MaxNAllocU, wEnhanced1CapAdjFac, … of the memory types 1 to 4.
        boot_lun_ids: bBootLunID of the LUNs that have one.
        life: bDeviceLifeTimeEstA and B, for a programmer that is new enough to tell them.
        erase_block_sectors: in units of 512 bytes, as all sizes of the device descriptors.
    """

    manufacturer_id: int = 0x1CE
    inquiry: str = "EMUCORP VIRTUAL-UFS-00010100 "
    boot_enabled: int = 1
    min_block: int = 8
    erase_block_sectors: int = 0x2000
    allocation_unit: int = 1
    rpmb_unit: int = 0x40
    block_size_log2: int = 12
    provisioning_type: int = 2
    write_protect: int = 0
    memory_type: int = 0
    supported_memory_types: int = 0x801F
    enhanced: tuple[int, ...] = (0,) * 8
    descriptor_locked: int = 0
    string_indices: tuple[int, int, int, int] = (1, 2, 3, 4)
    boot_lun_ids: tuple[tuple[int, int], ...] = ((1, 1), (2, 2))
    life: tuple[int, int] | None = None


@dataclass(frozen=True)
class FlashProduct:
    """What programmers tell of NAND, SPI-NOR and NVMe.

    memory: as they write it. pages_per_block: pages that NAND erases together, else 1.
    """

    memory: str
    manufacturer_id: int
    name: str
    serial: int = 0
    firmware: str = "1"
    pages_per_block: int = 1


def ext_csd(sectors: int, life: tuple[int, int] = (1, 1), pre_eol: int = 1) -> bytes:
    """Return what an eMMC 5.1 of that size says about itself; offsets as in JESD84-B51.

    life: codes of the expected life that is used, of both kinds of memory. pre_eol: code of the
    spare blocks that are used.
    """
    data = bytearray(512)
    data[192] = 8  # EXT_CSD_REV
    data[212:216] = min(sectors, 0xFFFFFFFF).to_bytes(4, "little")  # SEC_COUNT
    data[254:262] = b"\x07" + bytes(7)  # FIRMWARE_VERSION
    data[267:270] = bytes((pre_eol, *life))
    return bytes(data)


@dataclass
class Storage:
    """The flash of one phone.

    Attributes:
        kind: emmc, ufs, nand, spinor or nvme.
        luns: by number; eMMC: 0 user area, 1 and 2 the boot partitions.
        product: what it says about itself.
        faults: what is wrong with it; may be replaced at any time.
        record: keep `operations` and `events`.
        operations: what was asked of it, whether it succeeded or not.
        events: what else happened, named as in the recorded dialogues: ("ufs-open", slot, lun),
            ("ufs-boot", lun, value), ("ufs-format", lun), ("ufs-configure", lun, hex).
        bootable: LUN that the phone boots from, None until it was set.
        pace: how fast it is, where it is sound.
        folder: where its files lie; None: all is in memory.
        layout: of a UFS device that was divided anew.
        capacity_bytes: of all its LUNs together, however it is divided.
        divides: False: it takes every layout and stays as it is, as in the recorded dialogues.
    """

    kind: Kind
    luns: dict[int, Lun]
    product: EmmcProduct | UfsProduct | FlashProduct
    faults: Faults = Faults()
    record: bool = False
    operations: list[Operation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    bootable: int | None = None
    pace: Pace = field(default_factory=Pace)
    folder: Path | None = None
    layout: Layout | None = None
    capacity_bytes: int = 0
    divides: bool = True

    def __post_init__(self) -> None:
        self.sector_bytes = next(iter(self.luns.values())).sector_bytes  # the same on all LUNs
        self.capacity_bytes = self.capacity_bytes or sum(
            lun.sectors * lun.sector_bytes for lun in self.luns.values()
        )

    def divide(self, layout: Layout) -> None:
        """Divide a UFS device anew; all that it held is lost."""
        self.close()
        for number in self.luns:
            if (file := _ufs_file(self.folder, number)) is not None:
                file.unlink(missing_ok=True)
        self.become(layout)
        if self.folder is not None:
            layout.write(self.folder)

    def become(self, layout: Layout) -> None:
        """Be a UFS device that was divided so."""
        unit = self.sector_bytes
        self.layout = layout
        self.luns = {
            number: Lun(size // unit, unit, _ufs_file(self.folder, number))
            for number, size in layout.sizes.items()
        }
        self.faults = replace(self.faults, unprovisioned=False, tells_nothing=False)

    @property
    def opening(self) -> Mapping[int, Lun]:
        """The LUNs that can be opened."""
        return {} if self.faults.dead or self.faults.unprovisioned else self.luns

    def seconds(self, lun: int, start: int, count: int) -> float:
        """Return how long a request for these sectors takes."""
        return sum(
            seconds for extent, seconds in self.faults.slow if extent.touches(lun, start, count)
        )

    def kills(self, lun: int, start: int, count: int) -> str:
        """Return what reading these sectors does to the programmer: `reset`, `hang` or nothing."""
        for word, extents in (("reset", self.faults.deadly), ("hang", self.faults.hanging)):
            if any(extent.touches(lun, start, count) for extent in extents):
                return word
        return ""

    def read(self, lun: int, start: int, count: int) -> bytes:
        """Return count sectors of lun.

        Raises:
            StorageError: the range crosses the end, or a sector of it is unreadable.
        """
        self._request("read", lun, start, count)
        faults = self.faults
        if any(_hit(faults.unreadable, lun, start, count)):
            raise self.failure()
        data = self.luns[lun].read(start, count)
        for first, end in _hit(faults.zeros, lun, start, count):
            size = self.sector_bytes
            blank = bytearray(data)
            blank[(first - start) * size : (end - start) * size] = bytes((end - first) * size)
            data = bytes(blank)
        return data

    def write(self, lun: int, start: int, data: bytes | bytearray | memoryview) -> None:
        """Write data, whole sectors, to lun. A refused write changes nothing.

        Raises:
            StorageError: the range crosses the end, or a sector of it cannot be written.
        """
        size, view = self.sector_bytes, memoryview(data)
        count = len(view) // size
        self._request("write", lun, start, count)
        self._check_writable(lun, start, count)
        first = start
        for lost, end in sorted(_hit(self.faults.forgotten, lun, start, count)):
            if first < lost:
                self.luns[lun].write(first, view[(first - start) * size : (lost - start) * size])
            first = max(first, end)
        self.luns[lun].write(first, view[(first - start) * size : count * size])

    def erase(self, lun: int, start: int, count: int) -> None:
        """Make count sectors of lun read as zeros. A refused erase changes nothing.

        Raises:
            StorageError: the range crosses the end, or a sector of it cannot be erased.
        """
        self._request("erase", lun, start, count)
        self._check_writable(lun, start, count)
        if not any(_hit(self.faults.forgotten, lun, start, count)):
            self.luns[lun].erase(start, count)

    def set_bootable(self, value: int) -> None:
        """Boot from LUN value from now on.

        Raises:
            StorageError: a UFS device takes 0, 1 and 2 only.
        """
        if self.kind == "ufs":
            if value > 2:
                raise StorageError(UFS_INVALID)
            self.note("ufs-boot", value, value)
        self.bootable = value

    def note(self, *event: str | int) -> None:
        """Remember an event."""
        if self.record:
            self.events.append(event)

    def flush(self) -> None:
        """Bring the files to the computer's own storage."""
        for lun in self.luns.values():
            lun.flush()

    def close(self) -> None:
        """Close the files."""
        for lun in self.luns.values():
            lun.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _request(
        self, what: Literal["read", "write", "erase"], lun: int, start: int, count: int
    ) -> None:
        if self.record:
            self.operations.append((what, lun, start, count))
        if lun not in self.opening or not self.luns[lun].covers(start, count):
            raise self.failure()

    def _check_writable(self, lun: int, start: int, count: int) -> None:
        faults = self.faults
        if faults.read_only or any(_hit(faults.unwritable, lun, start, count)):
            raise self.failure()

    def failure(self) -> StorageError:
        """Return the error of this kind of storage."""
        return StorageError(EMMC_FAILED if self.kind == "emmc" else UFS_FAILED)


def emmc(
    sectors: int = 65536,
    *,
    boot_sectors: int = 8192,
    product: EmmcProduct | None = None,
    faults: Faults = Faults(),
    folder: Path | None = None,
    record: bool = False,
) -> Storage:
    """Return an eMMC with a user area and two boot partitions.

    folder: where the files user.img, boot0.img and boot1.img lie; None keeps all in memory.
    """
    sizes = {"user": sectors, "boot0": boot_sectors, "boot1": boot_sectors}
    luns = _luns(sizes, 512, folder)
    return Storage("emmc", luns, product or EmmcProduct(), faults, record)


def ufs(
    lun_sectors: Sequence[int] = (65536, 8192, 8192, 8192, 32768, 8192),
    *,
    sector_bytes: int = 4096,
    product: UfsProduct | None = None,
    faults: Faults = Faults(),
    folder: Path | None = None,
    record: bool = False,
) -> Storage:
    """Return a UFS device with a LUN for each size, or as it was divided anew since.

    folder: where the files lun0.img, lun1.img, … lie; None keeps all in memory.

    Raises:
        ImageError: the file about the layout in folder is damaged.
    """
    layout = None if folder is None else Layout.read(folder)
    if layout is not None:
        storage = ufs(lun_sectors, sector_bytes=sector_bytes, product=product, faults=faults)
        storage.folder, storage.record = folder, record
        storage.become(layout)
        return storage
    sizes = {f"lun{number}": sectors for number, sectors in enumerate(lun_sectors)}
    luns = _luns(sizes, sector_bytes, folder)
    return Storage("ufs", luns, product or UfsProduct(), faults, record, folder=folder)


def plain(
    product: FlashProduct,
    lun: Lun,
    *,
    faults: Faults = Faults(),
    record: bool = False,
) -> Storage:
    """Return storage with one LUN: NAND, SPI-NOR or NVMe, as product says."""
    return Storage(_PLAIN_KINDS[product.memory], {0: lun}, product, faults, record)


_PLAIN_KINDS: Mapping[str, Kind] = {"NAND": "nand", "SPINOR": "spinor", "NVMe": "nvme"}


def _ufs_file(folder: Path | None, number: int) -> Path | None:
    return None if folder is None else folder / f"lun{number}.img"


def _luns(sizes: dict[str, int], sector_bytes: int, folder: Path | None) -> dict[int, Lun]:
    """Return LUNs of these names and sizes. None stays open if one cannot be made."""
    with contextlib.ExitStack() as stack:
        luns = {}
        for number, (name, sectors) in enumerate(sizes.items()):
            path = None if folder is None else folder / f"{name}.img"
            luns[number] = Lun(sectors, sector_bytes, path)
            stack.callback(luns[number].close)
        stack.pop_all()
    return luns
