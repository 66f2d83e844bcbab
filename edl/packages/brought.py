# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables that a package brings without patch files: rows that fit them to any disk.

They have one copy, made for no disk: no place for the backup, and a last partition of one sector.
What ptool's patch files do for other packages is done for these with the same rows, so that one
place computes it all: the backup's place, the last partition grown, and all checksums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edl.chunks import BytesContent, read_all
from edl.contents import Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import gpt
from edl.formats.expressions import parse, parse_value
from edl.formats.gpt import Entry, Gpt, Partition
from edl.formats.gptcheck import sound
from edl.formats.rawprogram import PatchRow, ProgramRow, Row, Rows
from edl.package import Package
from edl.plan import byname

_MAX_TABLE_BYTES = 1 << 20
_LAST_SECTOR = 40  # in an entry: see gpt.Entry
_CRC, _MY, _ALTERNATE, _LAST_USABLE, _ENTRIES_AT, _ENTRIES_CRC = 16, 24, 32, 48, 72, 88


@dataclass(frozen=True)
class Brought:
    """The tables of a package. files: both copies of each, by the names that the rows give them."""

    sector_bytes: int
    tables: Mapping[int, Gpt]
    documents: tuple[Rows, ...]
    files: Mapping[str, File]

    def grows(self, name: str) -> bool:
        """Tell whether the partition name is one that fills its disk, so that it has no size."""
        growing = (_growing(table) for table in self.tables.values())
        return any(last is not None and last.name == name for last in growing)

    def attributes(self, name: str) -> int:
        """Return the attributes of the partition name, in either slot; 0 if there is none."""
        wanted = {name.lower(), f"{name.lower()}_a", f"{name.lower()}_b"}
        for table in self.tables.values():
            for partition in table.partitions:
                if partition.name.lower() in wanted:
                    return partition.attributes
        return 0

    def rows(self, package: Package, slot: str) -> Package:
        """Return package with rows for its named images, where these tables have them.

        Raises:
            PackageError: the tables have none of them.
        """
        placed = byname.placed(package, self.tables, self.sector_bytes, slot)
        documents = tuple(
            replace(document, rows=tuple(map(self._open_ended, document.rows)))
            for document in placed.documents
        )
        return replace(placed, documents=documents)

    def _open_ended(self, row: Row) -> Row:
        """Return row without an end, if it is for a partition that has none yet."""
        if isinstance(row, ProgramRow) and self.grows(row.label):
            return replace(row, sectors=0)
        return row


def brought(images: Mapping[int, File], document: str) -> Brought:
    """Return the tables in images, files with a primary table by LUN.

    document: the file of the package that they come from, for people.

    Raises:
        PackageError: one of them is no sound table, or they count different sectors.
        ImageError: they cannot be read.
    """
    tables: dict[int, Gpt] = {}
    rows: list[Row] = []
    files: dict[str, File] = {}
    for lun, file in sorted(images.items()):
        tables[lun] = table = _table(file)
        size = _reserved(table) + 2
        size = min(size, table.header.first_usable_sector) * table.sector_bytes
        primary, backup = f"{file.name} (LUN {lun})", f"{file.name} (LUN {lun}, backup)"
        content = Slice(file.content, 0, min(size, file.size_bytes))
        files[primary] = replace(file, name=primary, content=content, path=None)
        files[backup] = replace(file, name=backup, content=BytesContent(_backup(table)), path=None)
        rows += _copies(lun, table, document, primary, backup)
        rows += _described(lun, table, document)
        rows += _patches(lun, table, document)
    sizes = {table.sector_bytes for table in tables.values()}
    if len(sizes) != 1:
        raise PackageError(f"{document} has tables for different kinds of storage.")
    return Brought(sizes.pop(), tables, (Rows(document, tuple(rows), ()),), files)


def _table(file: File) -> Gpt:
    data = read_all(file.content, 0, min(_MAX_TABLE_BYTES, file.size_bytes))
    unit = gpt.find_sector_bytes(data)
    if unit is None:
        raise _unusable(file, "there is none in it")
    try:
        table = gpt.parse(data, unit)
    except DocumentError as error:
        raise _unusable(file, error.message) from error
    header = table.header
    ends = 2 - (-len(table.entries) * Entry.size() // unit)
    if not sound(table):
        raise _unusable(file, "its checksums are wrong")
    if (header.my_sector, header.entries_sector) != (1, 2) or header.first_usable_sector < ends:
        raise _unusable(file, "it is laid out in a way that is not known")
    return table


def _unusable(file: File, why: str) -> PackageError:
    return PackageError(
        f"{file.name} is no partition table that can be used: {why.rstrip('.')}.",
        remedies=(
            "Download the package again.",
            "If the phone's own partition tables are whole: --choose table=phone.",
        ),
    )


def _reserved(table: Gpt) -> int:
    """Return how many sectors the entries get at either end of the disk, as UEFI says."""
    size = max(gpt.RESERVED_BYTES, len(table.entries) * Entry.size())
    return -(-size // table.sector_bytes)


def _growing(table: Gpt) -> Partition | None:
    """Return the last partition by place, if it is to fill the disk: it has at most one sector."""
    last = max(table.partitions, key=lambda each: each.first_sector, default=None)
    return last if last is not None and last.sectors <= 1 else None


def _backup(table: Gpt) -> bytes:
    unit = table.sector_bytes
    entries = b"".join(entry.pack() for entry in table.entries)
    return entries.ljust(_reserved(table) * unit, b"\0") + table.header.pack().ljust(unit, b"\0")


def _copies(lun: int, table: Gpt, document: str, primary: str, backup: str) -> Iterator[Row]:
    reserved = _reserved(table)
    sectors = min(reserved + 2, table.header.first_usable_sector)
    yield _row(lun, table, document, "0", sectors, "PrimaryGPT", primary)
    start = f"NUM_DISK_SECTORS-{reserved + 1}."
    yield _row(lun, table, document, start, reserved + 1, "BackupGPT", backup)


def _described(lun: int, table: Gpt, document: str) -> Iterator[Row]:
    """Yield rows without a file, as ptool makes them: they say what else there is."""
    for partition in table.partitions:
        start, name = str(partition.first_sector), partition.name
        yield _row(lun, table, document, start, partition.sectors, name)


def _row(
    lun: int, table: Gpt, document: str, start: str, sectors: int, label: str, filename: str = ""
) -> ProgramRow:
    return ProgramRow(
        document, 1, lun, table.sector_bytes, {},
        parse(start), sectors, filename, label, False, 0, False, None, None,
    )  # fmt: skip


def _patches(lun: int, table: Gpt, document: str) -> Iterator[PatchRow]:
    """Yield what ptool's patch files do, in their order: the checksums come last."""
    unit, reserved = table.sector_bytes, _reserved(table)
    end = header = "NUM_DISK_SECTORS-1."
    array, usable = f"NUM_DISK_SECTORS-{reserved + 1}.", f"NUM_DISK_SECTORS-{reserved + 2}."
    size = len(table.entries) * Entry.size()
    changes: list[tuple[str, int, int, str, str]] = []
    if last := _growing(table):
        at = (last.number - 1) * Entry.size() + _LAST_SECTOR
        sector, offset = divmod(at, unit)
        changes += [
            (f"{2 + sector}", offset, 8, usable, "last partition"),
            (f"NUM_DISK_SECTORS-{reserved + 1 - sector}.", offset, 8, usable, "last partition"),
        ]
    changes += [
        ("1", _LAST_USABLE, 8, usable, "last usable sector"),
        (header, _LAST_USABLE, 8, usable, "last usable sector"),
        ("1", _ALTERNATE, 8, end, "place of the backup"),
        (header, _MY, 8, end, "place of the backup"),
        (header, _ALTERNATE, 8, "1", "place of the primary table"),
        (header, _ENTRIES_AT, 8, array, "place of the entries"),
        ("1", _ENTRIES_CRC, 4, f"CRC32(2,{size})", "checksum of the entries"),
        (header, _ENTRIES_CRC, 4, f"CRC32({array},{size})", "checksum of the entries"),
        ("1", _CRC, 4, "0", "checksum of the header"),
        ("1", _CRC, 4, "CRC32(1,92)", "checksum of the header"),
        (header, _CRC, 4, "0", "checksum of the header"),
        (header, _CRC, 4, f"CRC32({header},92)", "checksum of the header"),
    ]
    for start, offset, count, value, what in changes:
        yield PatchRow(
            document, 1, lun, unit, {},
            parse(start), offset, count, parse_value(value), "DISK", what,
        )  # fmt: skip
