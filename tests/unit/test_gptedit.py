# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from edl.errors import DocumentError
from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.gptcheck import is_protective, problems
from edl.formats.gptedit import (
    diff,
    entry_differences,
    good_copies,
    header_differences,
    refit,
    repair,
    table_of_file,
)

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


def test_a_disk_without_sectors_has_no_room() -> None:
    table = parse(phone().images().primary, 512)
    with pytest.raises(DocumentError, match="A disk of 0 sectors has no room"):
        refit(table, 0)


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


# --- repair


def both(table: Gpt) -> tuple[Gpt, Gpt]:
    images, unit = table.images(), table.sector_bytes
    return parse(images.primary, unit), parse(images.backup, unit, backup=True)


def test_either_copy_leads_to_the_same_pair() -> None:
    primary, backup = both(phone())
    sector = phone().images().primary[:512]
    assert repair(primary, 1000, sector).images() == phone().images()
    assert repair(backup, 1000, sector).images() == phone().images()
    assert repair(backup, 1000, b"").images() == phone().images()  # a new one is like it


def test_sector_0_stays_if_it_keeps_old_tools_away() -> None:
    mbr = bytearray(phone().images().primary[:512])
    mbr[:4] = b"boot"
    table = phone()
    assert repair(table, 1000, bytes(mbr)).images().primary[:512] == mbr
    mine = dataclasses.replace(table, mbr=bytes(mbr))
    assert repair(mine, 1000, bytes(512)).images().primary[:512] == mbr
    mbr[450] = 0x83  # a partition of Linux, nothing that protects
    assert not is_protective(bytes(mbr))
    assert is_protective(repair(table, 1000, bytes(mbr)).images().primary[:512])


@pytest.mark.parametrize(("size", "fitted"), [(999, 1999), (7, 1999), (2**32 - 1, 2**32 - 1)])
def test_the_protective_row_covers_the_disk(size: int, fitted: int) -> None:
    mbr = bytearray(phone().images().primary[:512])
    mbr[458:462] = size.to_bytes(4, "little")
    table = refit(dataclasses.replace(phone(), mbr=bytes(mbr)), 2000)
    assert table.images().primary[458:462] == fitted.to_bytes(4, "little")


def test_what_lies_behind_the_disk_is_cut() -> None:
    assert ends(repair(phone(), 500, b"")) == [466, 99, 199]
    assert ends(repair(phone(), 2000, b"")) == [966, 99, 199]
    assert ends(repair(phone(), 2000, b"", grow=True)) == [1966, 99, 199]
    with pytest.raises(DocumentError, match="'userdata' needs sectors 200 to"):
        repair(phone(), 230, b"")


def test_a_copy_to_go_by_is_sound_and_not_contradicted() -> None:
    primary, backup = both(phone())
    bad = dataclasses.replace(primary, entries_crc_ok=False)
    other = both(phone().replace(part(2, 34, 98, "persist")))[1]
    assert good_copies(primary, backup) == (primary,)
    assert good_copies(bad, backup) == (backup,)
    assert good_copies(None, backup) == (backup,)
    assert good_copies(primary, None) == (primary,)
    assert good_copies(bad, None) == good_copies(None, None) == ()
    assert good_copies(primary, other) == (primary, other)
    header = dataclasses.replace(backup.header, disk_guid=bytes(16), last_usable_sector=1)
    changed = dataclasses.replace(backup, header=header)
    assert good_copies(primary, changed) == (primary, changed)
    assert header_differences(primary, changed) == ("disk_guid", "last_usable_sector")


# --- comparison


def test_differences_by_name() -> None:
    before = create(
        512,
        1000,
        DISK,
        [part(1, 34, 50, "modem"), part(2, 51, 60, "x"), part(3, 61, 70, "x"), part(4, 71, 80)],
    )
    after = create(
        512,
        1000,
        DISK,
        [
            part(1, 34, 60, "modem"),
            dataclasses.replace(part(2, 61, 70, "x"), attributes=4),
            Partition(9, "x", 80, 84, UUID(int=1), UUID(int=2), 0),
            part(5, 90, 99),
        ],
    )
    changes = {(c.name, c.kinds): c for c in diff(before, after)}
    assert [(name, kinds, c.loses) for (name, kinds), c in changes.items()] == [
        ("modem", ("resized",), False),  # larger: all that was there is found
        ("x", ("moved", "attributes"), True),
        ("x", ("moved", "resized", "type", "guid", "renumbered"), True),
        ("part4", ("missing",), True),
        ("part5", ("added",), False),
    ]
    assert diff(before, before) == ()
    (back, *_) = diff(after, before)
    assert back.loses  # smaller: its end would be missing


def test_a_partition_without_size_has_nothing_to_lose() -> None:
    unsized = create(512, 1000, DISK, [part(1, 34, 33, "userdata")])
    (change,) = diff(unsized, refit(unsized, 1000))
    assert (change.kinds, change.loses) == (("resized",), False)
    (change,) = diff(unsized, create(512, 1000, DISK, []))
    assert (change.kinds, change.loses) == (("missing",), False)


def test_differences_of_copies_go_by_the_place_in_the_table() -> None:
    primary, backup = both(phone())
    assert entry_differences(primary, backup) == ()
    renamed = backup.replace(part(5, 100, 199, "boot_b"))
    (change,) = entry_differences(primary, renamed)
    assert (change.name, change.kinds) == ("boot_a", ("renamed",))


# --- files


@pytest.mark.parametrize("unit", [512, 4096])
def test_tables_in_files(unit: int) -> None:
    table = phone(sector_bytes=unit)
    images = table.images()
    for data in (images.primary, images.backup, images.primary + images.backup):
        assert table_of_file(data, data, unit).partitions == table.partitions
    dump = images.primary + bytes(900 * unit) + images.backup
    assert table_of_file(dump, dump, unit).mbr is not None
    damaged = bytearray(dump)
    damaged[unit + 40] ^= 1
    assert table_of_file(bytes(damaged), bytes(damaged), unit).mbr is None  # the backup
    for data in (images.primary, images.backup):  # a damaged copy is better than none
        damaged = bytearray(data)
        damaged[damaged.index(b"EFI PART") + 16] ^= 1
        assert not table_of_file(bytes(damaged), bytes(damaged), unit).header_crc_ok
    with pytest.raises(DocumentError, match="'EFI PART' is not where it belongs"):
        table_of_file(images.primary, images.primary, 512 if unit == 4096 else 4096)
