# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables for another disk, mended from one copy, and compared.

Facts: UEFI specification 2.10, chapter 5.3; ptool's convention that the last partition grows to
the end of the disk, and that an entry of type zero ('last_parti') may stand for it.
"""

from __future__ import annotations

import dataclasses

from edl.errors import DocumentError
from edl.formats.gpt import Entry, Gpt


def refit(
    table: Gpt, disk_sectors: int, *, grow: bool = True, needed_sectors: int | None = None
) -> Gpt:
    """Return table as the primary one of a disk (LUN) of disk_sectors.

    The backup's place and the last usable sector are those of the disk. On a larger disk the last
    partition grows to the end, on a smaller one it is cut to what there is. On a disk of the
    table's own size all partitions stay, but a last one that has no size yet gets it.

    Args:
        table: either copy, checksums right or wrong.
        disk_sectors: size of the disk in sectors of the table's size.
        grow: whether the last partition may become larger.
        needed_sectors: how many sectors of the last partition hold something; it is never cut
            below that. None: all of them.

    Raises:
        DocumentError: the partitions do not fit on the disk, or the last one would lose content.
    """
    table = _without_placeholder(table, table.last_usable(disk_sectors))
    last = _last_entry(table)
    if last is None:
        return table.fit(disk_sectors, grow=False)
    old = last.last_sector - last.first_sector + 1
    fitted = table.fit(disk_sectors, grow=True)
    new = fitted.header.last_usable_sector - last.first_sector + 1
    if new > old > 0 and (not grow or table.is_for(disk_sectors)):
        return table.fit(disk_sectors, grow=False)
    needed = old if needed_sectors is None else needed_sectors
    if any(last.type_guid) and new < needed:
        raise DocumentError(
            f"The last partition, '{last.text}', needs {needed} sectors, but a disk of"
            f" {disk_sectors} sectors has only {new} for it."
        )
    return fitted


def _last_entry(table: Gpt) -> Entry | None:
    """Return the entry of the last partition by place, or of what stands for it."""
    placed = [entry for entry in table.entries if entry.first_sector]
    return max(placed, key=lambda entry: entry.first_sector, default=None)


def _without_placeholder(table: Gpt, last_usable: int) -> Gpt:
    """Return table without entries of type zero that lie behind the disk: they hold nothing."""
    blank = Entry.unpack(bytes(Entry.size()))
    entries = (
        blank if not any(entry.type_guid) and entry.first_sector > last_usable else entry
        for entry in table.entries
    )
    return dataclasses.replace(table, entries=tuple(entries))
