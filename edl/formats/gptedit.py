# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables for another disk, mended from one copy, and compared.

Facts: UEFI specification 2.10, chapter 5.3; ptool's convention that the last partition grows to
the end of the disk, and that an entry of type zero ('last_parti') may stand for it.
"""

from __future__ import annotations

import dataclasses
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.formats.gpt import Entry, Gpt, Partition, parse
from edl.formats.gptcheck import is_protective, sound

_ALL_SECTORS = 0xFFFFFFFF  # of an MBR: as many as there are


@dataclass(frozen=True)
class Change:
    """How a partition differs between two tables.

    Attributes:
        kinds: `added`, `missing`; or of `renamed`, `moved`, `resized`, `type`, `guid`,
            `attributes`, `renumbered`.
        before, after: the partition in either table; None where it is not in it.
    """

    name: str
    kinds: tuple[str, ...]
    before: Partition | None
    after: Partition | None

    @property
    def loses(self) -> bool:
        """Whether something that the partition holds would not be found any more."""
        if self.before is None or not self.before.sectors:
            return False
        return (
            self.after is None
            or self.after.first_sector != self.before.first_sector
            or self.after.sectors < self.before.sectors
        )


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
    table = dataclasses.replace(table, mbr=table.mbr and _covering(table.mbr, disk_sectors))
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


def _covering(mbr: bytes, disk_sectors: int) -> bytes:
    """Return sector 0 with its protective row over the disk, unless it says `all there is`."""
    changed = bytearray(mbr)
    for at in range(446, 510, 16):
        kind, (first, sectors) = changed[at + 4], struct.unpack_from("<II", changed, at + 8)
        if kind == 0xEE and first == 1 and sectors != _ALL_SECTORS:
            struct.pack_into("<I", changed, at + 12, min(max(disk_sectors - 1, 0), _ALL_SECTORS))
    return bytes(changed)


def _without_placeholder(table: Gpt, last_usable: int) -> Gpt:
    """Return table without entries of type zero that lie behind the disk: they hold nothing."""
    blank = Entry.unpack(bytes(Entry.size()))
    entries = (
        blank if not any(entry.type_guid) and entry.first_sector > last_usable else entry
        for entry in table.entries
    )
    return dataclasses.replace(table, entries=tuple(entries))


# -- repair -------------------------------------------------------------------------------------


def repair(table: Gpt, disk_sectors: int, sector: bytes, *, grow: bool = False) -> Gpt:
    """Return table as both copies of a disk (LUN) of disk_sectors should have it.

    What reaches behind the disk is cut: those sectors do not exist.

    Args:
        table: the copy to go by, or another table that is to be the disk's.
        disk_sectors: size of the disk in sectors of the table's size.
        sector: sector 0 of the disk. It stays, if it is a protective MBR.
        grow: whether the last partition becomes larger on a larger disk.

    Raises:
        DocumentError: a partition but the last does not lie on the disk.
    """
    mbr = next((known for known in (sector, table.mbr or b"") if is_protective(known)), None)
    return dataclasses.replace(refit(table, disk_sectors, grow=grow, needed_sectors=1), mbr=mbr)


def alike(primary: Gpt, backup: Gpt) -> bool:
    """Tell whether two sound copies say the same."""
    return not header_differences(primary, backup) and primary.entries == backup.entries


def good_copies(primary: Gpt | None, backup: Gpt | None) -> tuple[Gpt, ...]:
    """Return the copies that can be gone by: one if they say the same, two if they contradict."""
    copies = [table for table in (primary, backup) if table is not None and sound(table)]
    return tuple(copies[:1] if len(copies) > 1 and alike(*copies) else copies)


# -- comparison ---------------------------------------------------------------------------------


def header_differences(one: Gpt, other: Gpt) -> tuple[str, ...]:
    """Return the names of what two headers should have in common, and have not."""
    names = ("disk_guid", "first_usable_sector", "last_usable_sector", "entry_count")
    return tuple(name for name in names if getattr(one.header, name) != getattr(other.header, name))


def diff(before: Gpt, after: Gpt) -> tuple[Change, ...]:
    """Return how partitions differ, matched by name; those of one name in the order of place.

    Those of before come first, then the added ones.
    """
    return _changes(_by_name(before.partitions), _by_name(after.partitions))


def entry_differences(primary: Gpt, backup: Gpt) -> tuple[Change, ...]:
    """Return how the copies of one table differ, entry by entry."""
    one, other = (_by_number(table) for table in (primary, backup))
    return _changes(one, other)


_Key = tuple[str | int, int]


def _by_number(table: Gpt) -> dict[_Key, Partition]:
    return {(partition.number, 0): partition for partition in table.partitions}


def _by_name(partitions: Iterable[Partition]) -> dict[_Key, Partition]:
    seen: Counter[str] = Counter()
    found: dict[_Key, Partition] = {}
    for partition in sorted(partitions, key=lambda partition: partition.first_sector):
        found[partition.name, seen[partition.name]] = partition
        seen[partition.name] += 1
    return found


def _changes(before: dict[_Key, Partition], after: dict[_Key, Partition]) -> tuple[Change, ...]:
    changes = []
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        named = new if old is None else old
        kinds = tuple(_kinds(old, new))
        if kinds and named is not None:
            changes.append(Change(named.name, kinds, old, new))
    return tuple(changes)


def _kinds(old: Partition | None, new: Partition | None) -> Iterator[str]:
    if old is None or new is None:
        yield "added" if old is None else "missing"
        return
    pairs = {
        "renamed": (old.name, new.name),
        "moved": (old.first_sector, new.first_sector),
        "resized": (old.sectors, new.sectors),
        "type": (old.type_guid, new.type_guid),
        "guid": (old.unique_guid, new.unique_guid),
        "attributes": (old.attributes, new.attributes),
        "renumbered": (old.number, new.number),
    }
    yield from (kind for kind, (was, now) in pairs.items() if was != now)


# -- files --------------------------------------------------------------------------------------


def table_of_file(head: bytes, tail: bytes, sector_bytes: int) -> Gpt:
    """Return the table in a file: either copy alone, both in a row, or a dump of a disk.

    A sound copy is taken before a damaged one, the primary first.

    Args:
        head: how the file begins, at least 34 sectors if it has them.
        tail: how it ends.
        sector_bytes: 512 or 4096.

    Raises:
        DocumentError: there is no table with sectors of that size.
    """
    found: list[Gpt] = []
    reasons: list[DocumentError] = []
    for data, backup in ((head, False), (tail, True)):
        try:
            found.append(parse(data, sector_bytes, backup=backup))
        except DocumentError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    return next((table for table in found if sound(table)), found[0])
