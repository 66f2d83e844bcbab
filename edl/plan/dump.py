# SPDX-License-Identifier: BSD-3-Clause
"""What is to be restored, whatever it comes from: LUNs in parts, with bytes where there are any.

A backup says in its manifest what is where and whose it is. A bare image (dd, sparse) says only
what its partition table tells.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edl.chunks import Content, read_all
from edl.contents import Slice
from edl.device.storage import Tables
from edl.errors import CancelledError, DocumentError, ImageError
from edl.events import BytesMoved, Emit, Stage, StepStarted, ignore
from edl.files import File, on_disk
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition
from edl.formats.manifest import Extent, Kind, Manifest, Owner, State, StorageRecord
from edl.images.disk import LunImage
from edl.units import MIB

_MAX_TABLE_BYTES = MIB
_ABSENT = {
    State.SKIPPED: "nobody asked for it when the backup was made",
    State.FORBIDDEN: "the programmer did not give it when the backup was made",
}


@dataclass(frozen=True, eq=False)
class Part:
    """A run of sectors of one LUN.

    Attributes:
        content: its bytes; None if there are none, and absent says why.
        digests: SHA-256 of each block of it; empty if nobody wrote them down.
        bad: (first sector on the LUN, sectors) that are not known; content has zeros there.
    """

    lun: int
    kind: Kind
    name: str
    start_sector: int
    sectors: int
    content: Content | None = None
    absent: str = ""
    digests: tuple[bytes, ...] = ()
    bad: tuple[tuple[int, int], ...] = ()

    @property
    def end_sector(self) -> int:
        """The first sector behind it."""
        return self.start_sector + self.sectors


@dataclass(frozen=True, eq=False)
class DumpLun:
    """One LUN in parts, in order and without gaps.

    Attributes:
        table: the copy of the partition table to go by; None if none is whole.
        primary_ok: whether table is the one at the beginning.
    """

    lun: int
    sectors: int
    parts: tuple[Part, ...]
    table: Gpt | None = None
    primary_ok: bool = False

    @property
    def partitions(self) -> tuple[Part, ...]:
        """The parts that are partitions."""
        return tuple(part for part in self.parts if part.kind is Kind.PARTITION)


@dataclass(frozen=True, eq=False)
class Dump:
    """What was read from a phone once.

    Attributes:
        title: what to call it. file: what a plan names as source. made: when, empty if unknown.
        storage: None for a bare image but for its sector size. complete: the job that made it
            came to its end. files: all that it consists of.
    """

    title: str
    owner: Owner
    storage: StorageRecord
    luns: tuple[DumpLun, ...]
    files: tuple[File, ...]
    made: str = ""
    complete: bool = True

    def parts(self) -> Iterator[Part]:
        """Yield the parts of all LUNs."""
        for lun in self.luns:
            yield from lun.parts


def of_backup(
    manifest: Manifest,
    content: Callable[[Extent], Content],
    title: str,
    files: Iterable[Path],
) -> Dump:
    """Return the dump that a backup is. content: gives the bytes of an extent that has some.

    Raises:
        ImageError: a table in it cannot be read, or is not the one that the manifest speaks of.
    """
    luns = []
    for record in manifest.luns:
        parts = tuple(_of_extent(record.lun, extent, content) for extent in record.extents)
        copies = [
            _table(parts, kind, manifest.storage.sector_bytes)
            for kind in (Kind.GPT_PRIMARY, Kind.GPT_BACKUP)
        ]
        lun = _lun(record.lun, record.sectors, parts, copies)
        _require_agreement(lun, title)
        luns.append(lun)
    return Dump(
        title,
        manifest.phone,
        manifest.storage,
        tuple(luns),
        tuple(map(on_disk, files)),
        manifest.made,
        manifest.complete,
    )


def _of_extent(lun: int, extent: Extent, content: Callable[[Extent], Content]) -> Part:
    absent = _ABSENT.get(extent.state, "")
    return Part(
        lun,
        extent.kind,
        extent.name,
        extent.start_sector,
        extent.sectors,
        None if absent else content(extent),
        absent,
        extent.sha256,
        extent.bad,
    )


def _table(parts: Iterable[Part], kind: Kind, unit: int) -> Gpt | None:
    """Return the copy of the table in the part of that kind, if it is there and is one."""
    backup = kind is Kind.GPT_BACKUP
    for part in parts:
        if part.kind is kind and part.content is not None and not part.bad:
            size = part.content.size_bytes
            length = min(size, _MAX_TABLE_BYTES)
            data = read_all(part.content, size - length if backup else 0, length)
            with contextlib.suppress(DocumentError):
                return gpt.parse(data, unit, backup=backup)
    return None


def _lun(number: int, sectors: int, parts: tuple[Part, ...], copies: list[Gpt | None]) -> DumpLun:
    """Return a LUN with the better one of the copies of its table: primary, backup."""
    primary, backup = copies
    if is_whole(primary, sectors):
        return DumpLun(number, sectors, parts, primary, primary_ok=True)
    return DumpLun(number, sectors, parts, backup if is_whole(backup, sectors) else None)


def is_whole(table: Gpt | None, disk_sectors: int) -> bool:
    """Tell whether table can be gone by: right checksums, and partitions that lie on the disk."""
    if table is None or not (table.header_crc_ok and table.entries_crc_ok):
        return False
    end = 0
    for partition in sorted(sized(table), key=lambda partition: partition.first_sector):
        if partition.first_sector < end:
            return False
        end = partition.last_sector + 1
    return end <= disk_sectors


def sized(table: Gpt | Tables | None) -> tuple[Partition, ...]:
    """Return the partitions of table that have a size."""
    return tuple(partition for partition in table.partitions if partition.sectors) if table else ()


def _require_agreement(lun: DumpLun, title: str) -> None:
    """Make sure that the manifest calls the sectors what the backup's own table calls them."""
    if lun.table is None:
        return
    told = {(part.name, part.start_sector, part.sectors) for part in lun.partitions}
    there = {(each.name, each.first_sector, each.sectors) for each in sized(lun.table)}
    if told != there:
        name = min(told ^ there)[0]
        raise ImageError(
            f"The manifest of {title} and the partition table in it contradict each other"
            f" (LUN {lun.lun}, '{name}').",
            remedies=("It was changed after it was made: use another backup.",),
        )


# -- bare images --------------------------------------------------------------------------------


def of_image(image: LunImage, title: str, path: Path, lun: int = 0) -> Dump:
    """Return the dump that the image of a LUN in the file at path is. Nobody knows whose it is.

    Raises:
        ImageError: there is no whole partition table in it.
    """
    made = _of_lun(lun, image)
    if made.table is None:
        raise ImageError(
            f"{title} has no whole partition table in it: it is no image of a whole storage.",
            remedies=(
                "Is it the image of one partition? Write it with: edl write NAME FILE",
                "Was it copied completely? Compare its size with the one that it should have.",
            ),
        )
    return Dump(title, Owner(), StorageRecord("", image.sector_bytes), (made,), (on_disk(path),))


def _of_lun(number: int, image: LunImage) -> DumpLun:
    sectors = image.said_sectors or image.sectors
    parts = tuple(_runs(number, image, sectors))
    return _lun(number, sectors, parts, [image.primary, image.backup])


def _runs(number: int, image: LunImage, sectors: int) -> Iterator[Part]:
    """Yield the parts of a LUN: both tables, partitions, and what lies between them."""

    def part(kind: Kind, name: str, start: int, end: int) -> Part:
        unit = image.sector_bytes
        if end > image.sectors:
            return Part(number, kind, name, start, end - start, None, "the image ends before it")
        content = Slice(image.content, start * unit, (end - start) * unit)
        return Part(number, kind, name, start, end - start, content)

    table = image.table
    if table is None or not is_whole(table, sectors):
        return
    backup_starts = table.last_usable(sectors) + 1
    partitions = sorted(sized(table), key=lambda partition: partition.first_sector)
    last = max([1, *(partition.last_sector + 1 for partition in partitions)])
    end = min(
        [
            1 + sectors - backup_starts,
            sectors,
            *(partition.first_sector for partition in partitions),
        ]
    )
    yield part(Kind.GPT_PRIMARY, "GPT", 0, end)
    for partition in partitions:
        if end < partition.first_sector:
            yield part(Kind.GAP, f"sectors from {end} on", end, partition.first_sector)
        end = partition.last_sector + 1
        yield part(Kind.PARTITION, partition.name, partition.first_sector, end)
    backup = max(last, end, backup_starts)
    if end < backup:
        yield part(Kind.GAP, f"sectors from {end} on", end, backup)
    if backup < sectors:
        yield part(Kind.GPT_BACKUP, "backup GPT", backup, sectors)


def content_digest(content: Content) -> bytes:
    """Return the SHA-256 of all of content."""
    digest = hashlib.sha256()
    for chunk in content.chunks(0, content.size_bytes):
        digest.update(chunk)
    return digest.digest()


# -- checking -----------------------------------------------------------------------------------


def check(
    parts: Iterable[Part],
    block_bytes: int,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> int:
    """Compare what parts hold with the digests that were written down; return the bytes compared.

    Raises:
        ImageError: a block is not what was saved, or cannot be read.
        CancelledError: stopped by cancel.
    """
    known = [part for part in parts if part.digests and part.content is not None]
    total = sum(part.content.size_bytes for part in known if part.content)
    if known:
        emit(Stage("check", "comparing the backup with its own digests before anything is written"))
        emit(StepStarted(1, 1, "the backup's files", total))
    for part in known:
        _check(part, block_bytes, emit, cancel)
    return total


def _check(part: Part, block_bytes: int, emit: Emit, cancel: threading.Event | None) -> None:
    content = part.content
    size = content.size_bytes if content else 0
    for at, wanted in zip(range(0, size, block_bytes), part.digests, strict=True):
        if cancel is not None and cancel.is_set():
            raise CancelledError("Stopped as you asked; nothing was written.")
        digest, count = hashlib.sha256(), min(block_bytes, size - at)
        for chunk in content.chunks(at, count) if content else ():
            digest.update(chunk)
        if digest.digest() != wanted:
            raise ImageError(
                f"'{part.name}' in the backup is not what was saved (LUN {part.lun}, bytes"
                f" {at} to {at + count - 1} of it): the file was changed or is damaged."
                " Nothing was written.",
                remedies=(
                    "Get that file from another copy of the backup.",
                    f"Restore the rest without it: --skip {part.name}",
                ),
            )
        emit(BytesMoved(count))
