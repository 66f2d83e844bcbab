# SPDX-License-Identifier: BSD-3-Clause
"""What a phone's storage looks like in files: LUNs with their partition tables and partitions.

with open_image(path) as image:
    lun, partition = image.partition("boot_a")
    content = image.luns[lun].content_of(partition)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edl.chunks import Content, read_all
from edl.contents import Slice
from edl.errors import DocumentError, ImageError
from edl.events import Emit, ignore
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition
from edl.images.file import Opened, open_content

_MOST_ENTRIES_BYTES = gpt.MAX_ENTRIES * gpt.Entry.size()


@dataclass(frozen=True)
class LunImage:
    """One LUN.

    Attributes:
        content: its bytes; a dump that was cut off has fewer than the LUN.
        sector_bytes: 512 or 4096, as the partition table tells.
        primary: the table at the beginning, None if there is none.
        backup: the table at the end, None if there is none.
        backup_offset: where the header of the backup was found, in bytes; at the end of the content
            or, in the dump of a smaller disk that was enlarged, where the primary says.
    """

    content: Content
    sector_bytes: int
    primary: Gpt | None
    backup: Gpt | None
    backup_offset: int | None = None

    @property
    def table(self) -> Gpt | None:
        """The copy to go by: a whole one before a damaged one, the primary first."""
        copies = [table for table in (self.primary, self.backup) if table is not None]
        whole = [table for table in copies if table.header_crc_ok and table.entries_crc_ok]
        return next(iter(whole or copies), None)

    @property
    def sectors(self) -> int:
        """How many whole sectors content has."""
        return self.content.size_bytes // self.sector_bytes

    @property
    def said_sectors(self) -> int | None:
        """How many sectors the LUN has by its partition table; None if that does not tell."""
        if self.table is None:
            return None
        last = max(self.table.header.my_sector, self.table.header.alternate_sector)
        return last + 1 if last > 1 else None

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions that have a size, in the order of the table."""
        return tuple(p for p in self.table.partitions if p.sectors) if self.table else ()

    def content_of(self, partition: Partition) -> Content:
        """Return the bytes of partition; reading fails where the dump was cut off."""
        start = partition.first_sector * self.sector_bytes
        return Slice(self.content, start, partition.sectors * self.sector_bytes)

    def missing_bytes(self, partition: Partition) -> int:
        """Return how many bytes at the end of partition the dump does not have."""
        size = partition.sectors * self.sector_bytes
        end = partition.first_sector * self.sector_bytes + size
        return min(size, max(0, end - self.content.size_bytes))


@dataclass(frozen=True)
class DiskImage:
    """The LUNs of one phone, or what of them is there.

    Attributes:
        luns: by number; a single file is LUN 0.
        source: the file that it was opened from, if it was one.
    """

    luns: dict[int, LunImage]
    source: Opened | None = None

    @property
    def has_table(self) -> bool:
        """Whether a partition table was found at all."""
        return any(lun.table is not None for lun in self.luns.values())

    def partitions(self) -> Iterator[tuple[int, Partition]]:
        """Yield all partitions that have a size, with their LUN."""
        for number, lun in self.luns.items():
            for partition in lun.partitions:
                yield number, partition

    def partition(self, name: str) -> tuple[int, Partition]:
        """Return the partition called `NAME` or `LUN/NAME`, with its LUN; capitals may differ.

        Raises:
            ImageError: there is none of that name, or several.
        """
        known = [(lun, p, f"{lun}/{p.name}") for lun, p in self.partitions()]
        for fold in (str, str.lower):
            wanted = fold(name)
            found = [row for row in known if wanted in {fold(row[1].name), fold(row[2])}]
            if len(found) > 1:
                places = ", ".join(row[2] for row in found)
                raise ImageError(f"'{name}' exists more than once: {places}.")
            if found:
                return found[0][:2]
        raise ImageError(f"The image has no partition '{name}'.")


@contextmanager
def open_image(path: Path, emit: Emit = ignore) -> Iterator[DiskImage]:
    """Open what path holds: a dump of a disk (LUN), raw, sparse or compressed.

    A file without a partition table is opened too: its LUN has no table then.

    Raises:
        ImageError: the file cannot be read; see `file.open_content`.
    """
    with open_content(path, emit) as opened:
        yield DiskImage({0: read_lun(opened.content)}, opened)


def read_lun(content: Content, sector_bytes: int | None = None) -> LunImage:
    """Return the LUN in content, with both copies of its partition table if they are there.

    sector_bytes: if it is known; else it is found out, and 512 if there is no table at all.

    Raises:
        ImageError: content cannot be read.
    """
    sizes = gpt.SECTOR_SIZES if sector_bytes is None else (sector_bytes,)
    for unit in sizes:
        primary = read_primary(content, unit)
        at = content.size_bytes // unit * unit - unit
        backup = read_backup(content, at, unit)
        if backup is None and primary is not None:
            # the dump is larger than the disk that the table was made for
            at = primary.header.alternate_sector * unit
            backup = read_backup(content, at, unit)
        if primary is not None or backup is not None:
            return LunImage(content, unit, primary, backup, None if backup is None else at)
    return LunImage(content, sizes[0], None, None)


def read_primary(content: Content, unit: int) -> Gpt | None:
    """Return the table at the beginning of content, or None. unit: size of a sector in bytes.

    Raises:
        ImageError: content cannot be read.
    """
    if content.size_bytes < 2 * unit:
        return None
    try:
        needed = gpt.primary_sectors(read_all(content, 0, 2 * unit), unit) * unit
        return gpt.parse(read_all(content, 0, min(needed, content.size_bytes)), unit)
    except DocumentError:
        return None


def read_backup(content: Content, header_at: int, unit: int) -> Gpt | None:
    """Return the backup table whose header is at header_at bytes, or None.

    Raises:
        ImageError: content cannot be read.
    """
    if not 2 * unit <= header_at <= content.size_bytes - unit:
        return None
    raw = read_all(content, header_at, unit)
    if not raw.startswith(gpt.SIGNATURE):
        return None
    header = gpt.Header.unpack(raw[: gpt.Header.size()])
    distance = (header.my_sector - header.entries_sector) * unit
    if not 0 < distance <= _MOST_ENTRIES_BYTES:
        distance = gpt.RESERVED_BYTES
    start = max(0, header_at - distance)
    try:
        return gpt.parse(read_all(content, start, header_at + unit - start), unit, backup=True)
    except DocumentError:
        return None
