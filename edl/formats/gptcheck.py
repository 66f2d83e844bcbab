# SPDX-License-Identifier: BSD-3-Clause
"""Judge a partition table: checksums, the disk that it is for, and where its partitions lie."""

from __future__ import annotations

from collections.abc import Iterator

from edl.formats.gpt import Gpt


def problems(table: Gpt, disk_sectors: int | None = None) -> tuple[str, ...]:
    """Return what is wrong with table, on a disk (LUN) of disk_sectors if that is known.

    Each problem is a sentence. A table of a package that waits for its patch has problems too: no
    place for the backup, and a last partition without a size.
    """
    return (*_of_header(table, disk_sectors), *_of_partitions(table))


def sound(table: Gpt) -> bool:
    """Tell whether both checksums of table are right: it says what somebody meant it to say."""
    return table.header_crc_ok and table.entries_crc_ok


def is_protective(sector: bytes) -> bool:
    """Tell whether sector 0 of a disk keeps tools that know no GPT away: one row of type 0xee."""
    return sector[510:512] == b"\x55\xaa" and 0xEE in sector[450:510:16]


def _of_header(table: Gpt, disk_sectors: int | None) -> Iterator[str]:
    header = table.header
    if not table.header_crc_ok:
        yield "The checksum of the header is wrong."
    if not table.entries_crc_ok:
        yield "The checksum of the entries is wrong."
    if table.mbr is not None and header.my_sector != 1:
        yield f"The header is at sector 1 and says that it is at sector {header.my_sector}."
    if table.mbr is not None and not is_protective(table.mbr):
        yield "Sector 0 does not tell old tools that the disk is in use (protective MBR)."
    last = max(header.my_sector, header.alternate_sector)
    if disk_sectors is not None and last != disk_sectors - 1:
        yield f"The backup is said to be at sector {last}, the disk ends with {disk_sectors - 1}."
    if not header.first_usable_sector <= header.last_usable_sector < last:
        yield (
            f"The usable sectors are said to be {header.first_usable_sector} to"
            f" {header.last_usable_sector}."
        )


def _of_partitions(table: Gpt) -> Iterator[str]:
    header = table.header
    end, before = -1, ""
    for partition in sorted(table.partitions, key=lambda partition: partition.first_sector):
        what = f"Partition '{partition.safe_name}'"
        if not partition.sectors:
            yield f"{what} has no size: its last sector is before its first."
            continue
        if partition.first_sector < header.first_usable_sector or (
            partition.last_sector > header.last_usable_sector
        ):
            yield f"{what} is not within the usable sectors."
        if partition.first_sector <= end:
            yield f"{what} overlaps '{before}'."
        if partition.last_sector > end:
            end, before = partition.last_sector, partition.safe_name
