# SPDX-License-Identifier: BSD-3-Clause
"""GUID partition tables: read, judged, repaired and written, for sectors of 512 and 4096 bytes.

Facts: UEFI specification 2.10, chapter 5.3. Qualcomm's tables leave the last partition without a
size (last sector before first sector) and the backup's place at 0 until they are fitted to a disk;
both checksums are right all the same.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated
from uuid import UUID

from edl.errors import DocumentError
from edl.units import KIB
from edl.wire import Packet, Wire, u32, u64

SIGNATURE = b"EFI PART"
MAX_ENTRIES = 4096  # 128 are usual, Qualcomm's tables have 4 to 128
SECTOR_SIZES = (512, 4096)
# UEFI reserves 16 KiB for the entries, whatever their number: 34 or 6 sectors with MBR and header.
RESERVED_BYTES = 16 * KIB
NAME_UNITS = 36  # of UTF-16


class Header(Packet):
    """The header of a table as it lies on the disk; sectors count from 0."""

    signature: Annotated[bytes, Wire("8s")]
    revision: u32
    header_bytes: u32
    header_crc: u32
    reserved: u32
    my_sector: u64
    alternate_sector: u64  # of the other copy's header
    first_usable_sector: u64
    last_usable_sector: u64  # included
    disk_guid: Annotated[bytes, Wire("16s")]
    entries_sector: u64
    entry_count: u32
    entry_bytes: u32
    entries_crc: u32


class Entry(Packet):
    """One entry as it lies on the disk."""

    type_guid: Annotated[bytes, Wire("16s")]
    unique_guid: Annotated[bytes, Wire("16s")]
    first_sector: u64
    last_sector: u64
    attributes: u64
    name: Annotated[bytes, Wire("72s")]

    @property
    def text(self) -> str:
        """The name, up to its first NUL."""
        return self.name.decode("utf-16-le", "replace").partition("\0")[0]


@dataclass(frozen=True)
class Partition:
    """A used entry of a table.

    Attributes:
        number: its place in the table, from 1, as Linux and sgdisk count.
        name: as the table has it; it may hold anything, see safe_name.
        last_sector: included; before first_sector if the partition has no size yet.
    """

    number: int
    name: str
    first_sector: int
    last_sector: int
    type_guid: UUID
    unique_guid: UUID
    attributes: int = 0

    @property
    def sectors(self) -> int:
        """How many sectors it has; 0 if its size is still to be fitted to a disk."""
        return max(0, self.last_sector - self.first_sector + 1)

    @property
    def safe_name(self) -> str:
        """The name as part of a file name, on every system."""
        return safe_name(self.name)


@dataclass(frozen=True)
class Gpt:
    """One copy of a partition table.

    Attributes:
        entries: all of them, the unused too, so that nothing is lost when it is written back.
        mbr: sector 0, or None if the table was read from the end of a disk.
        header_crc_ok: whether the header is as its checksum says.
        entries_crc_ok: the same for the entries.
    """

    sector_bytes: int
    header: Header
    entries: tuple[Entry, ...]
    mbr: bytes | None
    header_crc_ok: bool = True
    entries_crc_ok: bool = True

    @property
    def disk_guid(self) -> UUID:
        """The identity of the disk."""
        return UUID(bytes_le=self.header.disk_guid)

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """The used entries, in the order of the table."""
        return tuple(
            _partition(entry, number)
            for number, entry in enumerate(self.entries, 1)
            if any(entry.type_guid)
        )

    def find(self, name: str) -> Partition | None:
        """Return the partition of that name, or None.

        Raises:
            DocumentError: several partitions have it (stock tables do that).
        """
        found = [partition for partition in self.partitions if partition.name == name]
        if len(found) > 1:
            raise DocumentError(f"{len(found)} partitions are named '{name}'.")
        return found[0] if found else None

    def replace(self, partition: Partition) -> Gpt:
        """Return the table with partition in the place that its number says.

        Raises:
            DocumentError: the table has no such place, or the name is too long.
        """
        if not 1 <= partition.number <= len(self.entries):
            raise DocumentError(f"The table has no entry {partition.number}.")
        entries = list(self.entries)
        entries[partition.number - 1] = _entry(partition, entries[partition.number - 1])
        return dataclasses.replace(self, entries=tuple(entries))

    def is_for(self, disk_sectors: int) -> bool:
        """Tell whether the table is made for a disk of disk_sectors."""
        return max(self.header.my_sector, self.header.alternate_sector) == disk_sectors - 1

    def last_usable(self, disk_sectors: int) -> int:
        """Return the last sector before the backup on a disk of disk_sectors."""
        return disk_sectors - 1 - self._reserved_sectors() - 1

    def fit(self, disk_sectors: int, *, grow: bool) -> Gpt:
        """Return this table as the primary one of a disk of disk_sectors.

        With grow, the last partition ends where the usable sectors end, as Qualcomm's patch files
        make it; without, all sizes stay.

        Raises:
            DocumentError: a partition does not fit on the disk.
        """
        header = self.header
        last_usable = self.last_usable(disk_sectors)
        if self.is_for(disk_sectors) and not grow and 0 < header.last_usable_sector <= last_usable:
            last_usable = header.last_usable_sector
        entries_end = 2 - (-len(self.entries) * Entry.size() // self.sector_bytes)
        if not entries_end <= header.first_usable_sector <= last_usable < 2**63:
            raise DocumentError(
                f"A disk of {disk_sectors} sectors has no room for a partition table that uses"
                f" sectors from {header.first_usable_sector} on."
            )
        entries = list(self.entries)
        if grow and any(entry.first_sector for entry in entries):
            # By place on the disk; ptool's dummy 'last_parti' counts although its type is zero.
            last = max(range(len(entries)), key=lambda index: entries[index].first_sector)
            entries[last] = dataclasses.replace(entries[last], last_sector=last_usable)
        header = dataclasses.replace(
            header,
            my_sector=1,
            alternate_sector=disk_sectors - 1,
            last_usable_sector=last_usable,
            entries_sector=2,
        )
        fitted = Gpt(self.sector_bytes, header, tuple(entries), self.mbr)
        for partition in fitted.partitions:
            if max(partition.first_sector, partition.last_sector) > last_usable:
                raise DocumentError(
                    f"Partition '{partition.name}' needs sectors {partition.first_sector} to"
                    f" {partition.last_sector}, but the disk has {disk_sectors}."
                )
        return fitted

    def images(self) -> Images:
        """Return both copies as they are to be written, with right checksums.

        Raises:
            DocumentError: the table was not fitted to a disk.
        """
        header = self.header
        reserved = self._reserved_sectors()
        if (header.my_sector, header.entries_sector) != (1, 2) or (
            header.alternate_sector <= reserved + header.last_usable_sector
        ):
            raise DocumentError("The partition table is not fitted to a disk.")
        entries = b"".join(entry.pack() for entry in self.entries)
        backup_sector = header.alternate_sector - reserved
        backup = dataclasses.replace(
            header,
            my_sector=header.alternate_sector,
            alternate_sector=1,
            entries_sector=backup_sector,
        )
        # A table may use sectors that UEFI reserves, as old phones' tables do.
        padded = min(reserved, header.first_usable_sector - 2) * self.sector_bytes
        mbr = self.mbr or _protective_mbr(header.alternate_sector, self.sector_bytes)
        return Images(
            mbr + self._sealed(header, entries) + entries.ljust(padded, b"\0"),
            entries.ljust(reserved * self.sector_bytes, b"\0") + self._sealed(backup, entries),
            backup_sector,
        )

    def _reserved_sectors(self) -> int:
        """Return how many sectors the entries get at either end of the disk."""
        return -(-max(RESERVED_BYTES, len(self.entries) * Entry.size()) // self.sector_bytes)

    def _sealed(self, header: Header, entries: bytes) -> bytes:
        """Return the sector of header, with the checksums of it and of entries."""
        header = dataclasses.replace(header, entries_crc=zlib.crc32(entries), header_crc=0)
        header = dataclasses.replace(header, header_crc=zlib.crc32(header.pack()))
        return header.pack().ljust(self.sector_bytes, b"\0")


@dataclass(frozen=True)
class Images:
    """Both copies of a table: primary belongs at sector 0, backup at backup_sector."""

    primary: bytes
    backup: bytes
    backup_sector: int


def parse(data: bytes, sector_bytes: int, *, backup: bool = False) -> Gpt:
    """Return the partition table in data.

    Wrong checksums are no error: a table may be read to be repaired.

    Args:
        data: what the disk holds from sector 0 on; of a backup, what it holds up to its end, so
            that the header is the last sector.
        sector_bytes: 512 or 4096.
        backup: whether data is a backup table.

    Raises:
        DocumentError: there is no table, or data does not hold all of it.
    """
    header = _header(data, sector_bytes, len(data) - sector_bytes if backup else sector_bytes)
    size = header.entry_count * Entry.size()
    places = (
        _backup_places(header, len(data) - sector_bytes, sector_bytes)
        if backup
        else (header.entries_sector * sector_bytes,)
    )
    candidates = [data[at : at + size] for at in places if 0 <= at <= len(data) - size]
    if not candidates:
        raise DocumentError("The partition table is cut off: its entries are missing.")
    good = [raw for raw in candidates if zlib.crc32(raw) == header.entries_crc]
    raw = (good or candidates)[0]
    sealed = dataclasses.replace(header, header_crc=0)
    return Gpt(
        sector_bytes,
        header,
        tuple(Entry.unpack(raw[at : at + Entry.size()]) for at in range(0, size, Entry.size())),
        None if backup else data[:sector_bytes],
        header_crc_ok=zlib.crc32(sealed.pack()) == header.header_crc,
        entries_crc_ok=bool(good),
    )


def primary_sectors(head: bytes, sector_bytes: int) -> int:
    """Return how many sectors from 0 on parse needs, by the first two sectors of the disk.

    Raises:
        DocumentError: head holds no table.
    """
    header = _header(head, sector_bytes, sector_bytes)
    entries_bytes = header.entry_count * Entry.size()
    sectors = header.entries_sector + -(-entries_bytes // sector_bytes)
    if header.entries_sector < 2 or sectors > min(header.first_usable_sector, MAX_ENTRIES):
        raise DocumentError(
            f"The partition table has its entries at sector {header.entries_sector}, which is no"
            " place for them."
        )
    return sectors


def find_sector_bytes(data: bytes) -> int | None:
    """Return the sector size of the table in a file that begins with sector 0, or None."""
    for size in SECTOR_SIZES:
        if data.startswith(SIGNATURE, size):
            return size
    return None


def create(
    sector_bytes: int,
    disk_sectors: int,
    disk_guid: UUID,
    partitions: Iterable[Partition],
    *,
    entry_count: int = 128,
) -> Gpt:
    """Return a new table with partitions for a disk of disk_sectors.

    Raises:
        DocumentError: a partition does not fit on the disk or has a number that is none.
    """
    blank = Entry.unpack(bytes(Entry.size()))
    reserved = -(-max(RESERVED_BYTES, entry_count * Entry.size()) // sector_bytes)
    header = Header(
        SIGNATURE, 0x10000, Header.size(), 0, 0, 1, 0, 2 + reserved, 0, disk_guid.bytes_le, 2,
        entry_count, Entry.size(), 0,
    )  # fmt: skip
    table = Gpt(sector_bytes, header, (blank,) * entry_count, None)
    for partition in partitions:
        table = table.replace(partition)
    return table.fit(disk_sectors, grow=False)


def safe_name(name: str) -> str:
    """Return name as part of a file name: letters, digits, `._+-`, never empty or hidden.

    Nor does it begin as an option of some program.
    """
    safe = re.sub(r"[^A-Za-z0-9._+-]|^-", "_", name[:64].strip("."))
    # Windows reserves these names, with any suffix.
    if re.match(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", safe, re.IGNORECASE):
        safe = f"_{safe}"
    return safe or "unnamed"


def _header(data: bytes, sector_bytes: int, offset: int) -> Header:
    """Return the header at offset, with numbers that are possible."""
    if sector_bytes not in SECTOR_SIZES:
        raise DocumentError(f"Partition tables with sectors of {sector_bytes} bytes are unknown.")
    raw = data[max(0, offset) : offset + Header.size()]
    if offset < 0 or len(raw) < Header.size() or not raw.startswith(SIGNATURE):
        raise DocumentError(
            f"There is no partition table for sectors of {sector_bytes} bytes: 'EFI PART' is not"
            " where it belongs."
        )
    header = Header.unpack(raw)
    if header.header_bytes != Header.size() or header.entry_bytes != Entry.size():
        raise DocumentError(
            f"The partition table has a header of {header.header_bytes} bytes and entries of"
            f" {header.entry_bytes}; only {Header.size()} and {Entry.size()} are known."
        )
    if not 0 < header.entry_count <= MAX_ENTRIES:
        raise DocumentError(f"The partition table declares {header.entry_count} entries.")
    return header


def _backup_places(header: Header, header_at: int, sector_bytes: int) -> tuple[int, ...]:
    """Return where in the data of a backup its entries may lie, the likeliest first.

    Files of packages do not know the size of the disk (the header says sector 0 then), and some
    leave out the unused sectors between the entries and the header (openstick).
    """
    distance = header.my_sector - header.entries_sector
    said = header_at - distance * sector_bytes if distance > 0 else -1
    return said, header_at - RESERVED_BYTES, 0


def _partition(entry: Entry, number: int) -> Partition:
    return Partition(
        number,
        entry.text,
        entry.first_sector,
        entry.last_sector,
        UUID(bytes_le=entry.type_guid),
        UUID(bytes_le=entry.unique_guid),
        entry.attributes,
    )


def _entry(partition: Partition, old: Entry) -> Entry:
    """Return old with what partition says; bytes behind an unchanged name stay."""
    name = old.name
    if old.text != partition.name:
        name = partition.name.encode("utf-16-le", "replace")
        if len(name) > NAME_UNITS * 2:
            raise DocumentError(f"'{partition.name}' is too long for a partition's name.")
    return Entry(
        partition.type_guid.bytes_le,
        partition.unique_guid.bytes_le,
        partition.first_sector,
        partition.last_sector,
        partition.attributes,
        name.ljust(NAME_UNITS * 2, b"\0"),
    )


def _protective_mbr(last_sector: int, sector_bytes: int) -> bytes:
    """Return sector 0: one partition of type 0xee over the whole disk, so that old tools stop."""
    row = bytes.fromhex("00000200eeffffff01000000") + min(last_sector, 0xFFFFFFFF).to_bytes(
        4, "little"
    )
    return (bytes(446) + row + bytes(48) + b"\x55\xaa").ljust(sector_bytes, b"\0")
