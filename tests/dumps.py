# SPDX-License-Identifier: BSD-3-Clause
"""Phones with a life behind them, and what can be dumped from them, without a line of edl.backup.

The layout is that of a phone of 2015, with small partitions. What is common is equal on all phones
of a firmware; what is unique follows from the name of the phone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid5

from edl.formats import gpt, manifest
from edl.formats.gpt import Gpt, Partition
from edl.formats.manifest import Extent, Kind, LunRecord, Manifest, Owner, State, StorageRecord
from edl.partitions import Severity, classify
from edl.virtual.storage import Storage

SPACE = UUID("6f2d7a0e-56d4-4f52-9a27-0a44c1b7a111")
LAYOUT = {  # name: KiB; in this order, the last one up to the end
    "modem": 64, "sbl1": 32, "sbl1bak": 32, "aboot": 32, "rpm": 16, "tz": 32, "DDR": 16,
    "boot": 64, "recovery": 64, "modemst1": 32, "modemst2": 32, "fsc": 4, "fsg": 32, "ssd": 8,
    "persist": 64, "misc": 16, "devinfo": 16, "config": 16, "logdump": 32, "odd_vendor": 16,
    "metadata": 16, "system": 128, "cache": 32, "userdata": 0,
}  # fmt: skip
UNIQUE = ("DDR", "modemst1", "modemst2", "fsc", "fsg", "ssd", "persist", "devinfo", "config")
KEPT = (*UNIQUE, "misc", "odd_vendor", "metadata", "userdata", "logdump")
COMMON = tuple(name for name in LAYOUT if name not in KEPT)


def bytes_of(owner: str, name: str, size: int) -> bytes:
    """Return size bytes that follow from the names of a phone (or firmware) and a partition."""
    return hashlib.shake_256(f"{owner}/{name}".encode()).digest(size)


def table(
    disk_sectors: int, layout: Mapping[str, int], *, unit: int = 512, disk: str = "disk"
) -> Gpt:
    """Return a table with layout (KiB by name; 0: up to the end) for a disk."""
    reserved = 16384 // unit
    at = 2 + reserved + 6  # what lies before the first partition is a gap
    partitions = []
    for number, (name, kib) in enumerate(layout.items(), 1):
        count = kib * 1024 // unit or disk_sectors - reserved - 1 - at
        type_guid = uuid5(SPACE, "type of " + name)
        partitions.append(
            Partition(number, name, at, at + count - 1, type_guid, uuid5(SPACE, name))
        )
        at += count
    return gpt.create(unit, disk_sectors, uuid5(SPACE, disk), partitions, entry_count=64)


def live(
    storage: Storage,
    owner: str,
    *,
    firmware: str = "v1",
    lun: int = 0,
    layout: Mapping[str, int] = LAYOUT,
    used_bytes: int = 32768,
    active: str = "",
) -> Gpt:
    """Let owner's phone with that firmware have lived: write its table and partitions to lun.

    used_bytes: how much of the last partition is filled. active: slot that it starts.
    """
    disk = storage.luns[lun]
    made = table(disk.sectors, layout, unit=disk.sector_bytes)
    for each in made.partitions:
        if active and each.name.endswith(f"_{active}"):
            made = made.replace(replace(each, attributes=4 << 48))
    disk.erase(0, disk.sectors)
    images = made.images()
    disk.write(0, images.primary)
    disk.write(images.backup_sector, images.backup)
    disk.write(made.header.first_usable_sector, bytes_of(owner, "gap", disk.sector_bytes))
    last = max(made.partitions, key=lambda each: each.first_sector)
    for each in made.partitions:
        size = used_bytes if each == last else each.sectors * disk.sector_bytes
        whose = owner if each.name in KEPT else firmware
        disk.write(each.first_sector, bytes_of(whose, each.name, size))
    return made


def held(storage: Storage, name: str, lun: int = 0) -> bytes:
    """Return what partition name of a phone holds, by the phone's own table."""
    disk = storage.luns[lun]
    head = disk.read(0, min(64, disk.sectors))
    found = gpt.parse(head, disk.sector_bytes).find(name)
    assert found is not None, name
    return disk.read(found.first_sector, found.sectors)


def whole(storage: Storage, lun: int = 0) -> bytes:
    """Return all bytes of a LUN."""
    return storage.luns[lun].read(0, storage.luns[lun].sectors)


def image(storage: Storage, path: Path, lun: int = 0) -> Path:
    """Dump a LUN as dd does."""
    path.write_bytes(whole(storage, lun))
    return path


def backup(
    storage: Storage,
    folder: Path,
    owner: Owner | None = None,
    *,
    skip: Iterable[str] = (),
    bad: Mapping[str, tuple[int, int]] | None = None,
    complete: bool = True,
    luns: Iterable[int] | None = None,
    tables: bool = True,
) -> Path:
    """Make a backup of a phone, one file a LUN.

    skip: partitions that are not in it. bad: by name, run of sectors (of the partition) that could
    not be read. tables: whether the partition tables are in it.
    """
    folder.mkdir()
    numbers = luns if luns is not None else ([0] if storage.kind == "emmc" else storage.luns)
    records = []
    for number in numbers:
        disk = storage.luns[number]
        data = bytearray(whole(storage, number))
        extents = [
            _extent(number, each, data, disk.sector_bytes, set(skip), bad or {})
            for each in _runs(data, disk.sector_bytes)
        ]
        if not tables:
            extents = [each if each.name in LAYOUT else _skipped(each) for each in extents]
        (folder / f"lun{number}.img").write_bytes(data)
        records.append(LunRecord(number, disk.sectors, None, None, tuple(extents)))
    made = Manifest(
        made="2026-01-31T12:00:00Z",
        tool="test",
        complete=complete,
        phone=owner or Owner(),
        storage=StorageRecord(storage.kind, storage.sector_bytes),
        form=manifest.Form.IMAGES,
        compression=manifest.Compression.NONE,
        verified=manifest.Verified.NOT,
        luns=tuple(records),
    )
    (folder / "manifest.json").write_text(made.text())
    return folder


def _skipped(extent: Extent) -> Extent:
    return replace(extent, state=State.SKIPPED, file=None, file_offset_bytes=0, sha256=())


def _runs(data: bytes | bytearray, unit: int) -> Iterable[tuple[Kind, str, int, int]]:
    """Yield kind, name, first sector and end of what a LUN consists of."""
    sectors = len(data) // unit
    try:
        found = gpt.parse(bytes(data), unit)
    except Exception:  # noqa: BLE001  # a LUN without a table
        yield Kind.GAP, "raw", 0, sectors
        return
    reserved = 16384 // unit
    yield Kind.GPT_PRIMARY, "gpt", 0, 2 + reserved
    at = 2 + reserved
    for each in sorted(found.partitions, key=lambda each: each.first_sector):
        if at < each.first_sector:
            yield Kind.GAP, "gap", at, each.first_sector
        at = each.last_sector + 1
        yield Kind.PARTITION, each.name, each.first_sector, at
    backup_at = sectors - 1 - reserved
    if at < backup_at:
        yield Kind.GAP, "gap", at, backup_at
    yield Kind.GPT_BACKUP, "backup gpt", backup_at, sectors


def _extent(
    lun: int,
    run: tuple[Kind, str, int, int],
    data: bytearray,
    unit: int,
    skip: set[str],
    bad: Mapping[str, tuple[int, int]],
) -> Extent:
    kind, name, start, end = run
    if name in skip:
        data[start * unit : end * unit] = bytes((end - start) * unit)
        return Extent(kind, name, start, end - start, State.SKIPPED)
    lost: tuple[tuple[int, int], ...] = ()
    if name in bad:
        first, count = bad[name]
        lost = ((start + first, count),)
        data[(start + first) * unit : (start + first + count) * unit] = bytes(count * unit)
    step = manifest.BLOCK_BYTES
    digests = tuple(
        hashlib.sha256(data[at : min(at + step, end * unit)]).digest()
        for at in range(start * unit, end * unit, step)
    )
    return Extent(
        kind, name, start, end - start, State.PARTLY if lost else State.SAVED,
        severity=classify(name).severity.value if kind is Kind.PARTITION else Severity.SAFE.value,
        file=f"lun{lun}.img", file_offset_bytes=start * unit, sha256=digests, bad=lost,
    )  # fmt: skip
