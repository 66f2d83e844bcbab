# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables of packages, made to fit the phone's storage whatever its size is.

Other packages bring patch files for that; what is made here are the same rows as qcom-ptool's.
"""

from __future__ import annotations

from collections.abc import Iterator

from edl.formats.expressions import parse, parse_value
from edl.formats.gpt import Entry, Gpt, Header
from edl.formats.rawprogram import PatchRow

_HEADER = 1  # sector of the first table's header
# where a header has what follows from the size of the storage (UEFI 2.10, table 5.5)
_CRC, _OWN, _OTHER, _LAST_USABLE, _ENTRIES, _ENTRIES_CRC = 16, 24, 32, 48, 72, 88
_ENTRY_LAST = 40


def backup_sectors(table: Gpt) -> int:
    """Return how many sectors the backup of table takes at the end of a disk."""
    return -1 - table.last_usable(0)


def backup_image(table: Gpt) -> bytes:
    """Return the backup of table; `table_patches` makes it right."""
    room = (backup_sectors(table) - 1) * table.sector_bytes
    entries = b"".join(entry.pack() for entry in table.entries).ljust(room, b"\0")
    return entries + table.header.pack().ljust(table.sector_bytes, b"\0")


def table_patches(table: Gpt, lun: int, document: str) -> Iterator[PatchRow]:
    """Yield what makes table and its backup, as written, fit the end of the disk.

    The last partition grows with the disk if it ends where all usable sectors do.
    """
    size = len(table.entries) * Entry.size()
    behind = _behind(table)
    reserved = backup_sectors(table)
    start, end = table.header.entries_sector, f"NUM_DISK_SECTORS-{reserved}."
    last = "NUM_DISK_SECTORS-1."
    for header, entries in ((str(_HEADER), start), (last, end)):
        first = header == str(_HEADER)
        if grows := _growing(table):
            at, offset = divmod((grows - 1) * Entry.size(), table.sector_bytes)
            place = str(start + at) if first else f"NUM_DISK_SECTORS-{reserved - at}."
            yield _row(table, lun, document, place, offset + _ENTRY_LAST, 8, behind)
        own, other = (header, last) if first else (last, str(_HEADER))
        for offset, length, value in (
            (_LAST_USABLE, 8, behind),
            (_OWN, 8, own),
            (_OTHER, 8, other),
            (_ENTRIES, 8, str(entries)),
            (_ENTRIES_CRC, 4, f"CRC32({entries},{size})"),
            (_CRC, 4, "0"),
            (_CRC, 4, f"CRC32({header},{Header.size()})"),
        ):
            yield _row(table, lun, document, header, offset, length, value)


def _behind(table: Gpt) -> str:
    """Return the last usable sector, counted from the end of the disk as table has it."""
    header = table.header
    least = backup_sectors(table) + 1
    back = max(header.my_sector, header.alternate_sector) - header.last_usable_sector + 1
    made = header.alternate_sector > 1 and header.last_usable_sector > 0
    return f"NUM_DISK_SECTORS-{max(back, least) if made else least}."


def _growing(table: Gpt) -> int:
    """Return the number of the last partition if it is to fill the disk, else 0."""
    last = max(table.partitions, key=lambda each: each.first_sector, default=None)
    if last is None:
        return 0
    unsized = last.sectors == 0
    return last.number if unsized or last.last_sector == table.header.last_usable_sector else 0


def _row(
    table: Gpt, lun: int, document: str, sector: str, offset: int, length: int, value: str
) -> PatchRow:
    return PatchRow(
        document, 0, lun, table.sector_bytes, {},
        parse(sector), offset, length, parse_value(value), "DISK", "partition table",
    )  # fmt: skip
