# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from edl.errors import DocumentError
from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.gptcheck import problems
from edl.formats.gptedit import refit

DISK = UUID("98101b32-bbe2-4bf2-a06e-2bb33d000c20")
MISC = UUID("82acc91f-357c-4a68-9c8f-689e1b1a23a1")


def part(number: int, first: int, last: int, name: str = "", kind: UUID = MISC) -> Partition:
    return Partition(number, name or f"part{number}", first, last, kind, UUID(int=number))


def phone(*, sector_bytes: int = 512, disk_sectors: int = 1000) -> Gpt:
    """Return a table whose last partition goes to the end of the disk."""
    end = disk_sectors - (34 if sector_bytes == 512 else 6)
    rows = [part(2, 34, 99, "persist"), part(1, 200, end, "userdata"), part(5, 100, 199, "boot_a")]
    return create(sector_bytes, disk_sectors, DISK, rows)


def ends(table: Gpt) -> list[int]:
    return [partition.last_sector for partition in table.partitions]


# --- refit


@pytest.mark.parametrize(("sector_bytes", "behind"), [(512, 34), (4096, 6)])
@pytest.mark.parametrize("disk_sectors", [1001, 5000, 2**33])
def test_a_larger_disk_lets_the_last_partition_grow(
    sector_bytes: int, behind: int, disk_sectors: int
) -> None:
    table = refit(phone(sector_bytes=sector_bytes), disk_sectors)
    assert ends(table) == [disk_sectors - behind, 99, 199]
    images = table.images()
    for data, backup in ((images.primary, False), (images.backup, True)):
        assert problems(parse(data, sector_bytes, backup=backup), disk_sectors) == ()
    kept = refit(phone(sector_bytes=sector_bytes), disk_sectors, grow=False)
    assert kept.partitions == phone(sector_bytes=sector_bytes).partitions
    assert kept.header.last_usable_sector == disk_sectors - behind


@pytest.mark.parametrize("grow", [True, False])
def test_a_smaller_disk_cuts_what_is_empty_and_no_more(*, grow: bool) -> None:
    table = refit(phone(), 500, grow=grow, needed_sectors=267)
    assert ends(table) == [466, 99, 199]
    assert problems(parse(table.images().backup, 512, backup=True), 500) == ()
    with pytest.raises(DocumentError, match=r"'userdata', needs 268 sectors, but .* has only 267"):
        refit(phone(), 500, grow=grow, needed_sectors=268)
    with pytest.raises(DocumentError, match="needs 767 sectors"):
        refit(phone(), 999, grow=grow)
    with pytest.raises(DocumentError, match="'userdata' needs sectors 200 to"):
        refit(phone(), 230, grow=grow, needed_sectors=0)


def test_a_disk_of_the_same_size_leaves_all_partitions_as_they_are() -> None:
    table = create(512, 1000, DISK, [part(1, 34, 99, "userdata")])
    assert refit(table, 1000) == table
    backup = parse(table.images().backup, 512, backup=True)
    assert refit(backup, 1000).images() == table.images()
    unsized = create(512, 1000, DISK, [part(1, 34, 33, "userdata")])
    assert ends(refit(unsized, 1000)) == [966]
    assert ends(refit(unsized, 1000, grow=False)) == [966]
    empty = create(512, 1000, DISK, [])
    assert refit(empty, 500).header.last_usable_sector == 466


def test_what_only_stands_for_the_end_of_the_disk_is_no_content() -> None:
    dummy = part(3, 300, 966, "last_parti", UUID(int=0))
    table = create(512, 1000, DISK, [part(1, 34, 299, "persist"), dummy])
    assert refit(table, 500).entries[2].last_sector == 466
    assert ends(refit(table, 2000)) == [299]  # LUNs of UFS end with it, not with a partition
    smallest = refit(table, 333)  # sector 299 is the last one before the backup
    assert (smallest.entries[2].first_sector, ends(smallest)) == (0, [299])
    with pytest.raises(DocumentError, match=r"'persist', needs 266 sectors, but .* only 265"):
        refit(table, 332)


def test_a_damaged_table_is_fitted_too() -> None:
    table = dataclasses.replace(phone(), header_crc_ok=False, entries_crc_ok=False)
    assert ends(refit(table, 2000)) == [1966, 99, 199]
