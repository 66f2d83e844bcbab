# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import zlib
from uuid import UUID

import pytest

from edl.errors import DocumentError
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition, create, find_sector_bytes, parse, safe_name
from edl.formats.gptcheck import problems
from tests.conftest import shared

DISK = UUID("98101b32-bbe2-4bf2-a06e-2bb33d000c20")
MISC = UUID("82acc91f-357c-4a68-9c8f-689e1b1a23a1")
BUILDS = ["apq8016-sbc-emmc", "qrb2210-rb1-emmc", "qcs6490-rb3gen2-ufs", "sdm845-db845c-ufs"]


def partition(number: int, first: int, last: int, name: str = "", attributes: int = 0) -> Partition:
    unique = UUID(int=number)
    return Partition(number, name or f"part{number}", first, last, MISC, unique, attributes)


def small(*partitions: Partition, sector_bytes: int = 512, disk_sectors: int = 200) -> Gpt:
    partitions = partitions or (partition(1, 34, 40), partition(3, 41, 41, "misc"))
    return create(sector_bytes, disk_sectors, DISK, partitions)


def reread(table: Gpt) -> Gpt:
    return parse(table.images().primary, table.sector_bytes)


# The oracle: an independent program wrote the package's table to a disk and ran the patch file.
@pytest.mark.parametrize("build", BUILDS)
def test_fitting_a_table_does_what_the_patch_file_does(build: str) -> None:
    folder = shared(f"golden/{build}")
    expected = json.loads((folder / "expected.json").read_text())
    extents = {
        (extent["lun"], extent["label"]): extent
        for extent in expected["extents"]
        if extent["label"] in {"PrimaryGPT", "BackupGPT"}
    }
    assert len(extents) == 2 * len(expected["disk_sectors"])
    for lun, disk_sectors in expected["disk_sectors"].items():
        data = (folder / f"gpt_main{lun}.bin").read_bytes()
        images = parse(data, expected["sector_size"]).fit(disk_sectors, grow=True).images()
        primary = extents[int(lun), "PrimaryGPT"]
        backup = extents[int(lun), "BackupGPT"]
        assert hashlib.sha256(images.primary).hexdigest() == primary["sha256"]
        assert hashlib.sha256(images.backup).hexdigest() == backup["sha256"]
        assert images.backup_sector == backup["start_sector"]


@pytest.mark.parametrize(("sector_bytes", "sectors"), [(512, (34, 33)), (4096, (6, 5))])
def test_both_copies_have_the_usual_size_and_can_be_read(
    sector_bytes: int, sectors: tuple[int, int]
) -> None:
    table = create(sector_bytes, 1000, DISK, [partition(2, 34, 40, "misc", 1 << 60)])
    images = table.images()
    assert (len(images.primary), len(images.backup)) == tuple(n * sector_bytes for n in sectors)
    assert images.backup_sector == 1000 - sectors[1]
    primary, backup = (
        parse(images.primary, sector_bytes),
        parse(images.backup, sector_bytes, backup=True),
    )
    assert primary.partitions == backup.partitions == (partition(2, 34, 40, "misc", 1 << 60),)
    assert primary.disk_guid == backup.disk_guid == DISK
    assert problems(primary, 1000) == problems(backup, 1000) == ()
    assert find_sector_bytes(images.primary) == sector_bytes
    assert gpt.primary_sectors(images.primary[: 2 * sector_bytes], sector_bytes) == 2 + (
        16384 // sector_bytes
    )
    # Both copies lead to the same table on the disk.
    assert backup.fit(1000, grow=False).images().backup == images.backup
    assert backup.fit(1000, grow=False).images().primary == images.primary


def test_the_last_sector_is_included() -> None:
    one, none = partition(1, 40, 40), partition(2, 40, 39)
    assert (one.sectors, none.sectors) == (1, 0)
    assert partition(3, 100, 7).sectors == 0


def test_the_protective_mbr_covers_the_disk() -> None:
    mbr = small().images().primary[:512]
    assert mbr[446:462].hex() == "00000200eeffffff01000000c7000000"
    assert mbr[510:] == b"\x55\xaa"
    huge = create(512, 2**33, DISK, []).images().primary
    assert huge[458:462] == b"\xff" * 4


def test_partitions_are_found_by_name() -> None:
    table = small(
        partition(1, 34, 34, "misc"), partition(2, 35, 35, "bk44"), partition(3, 36, 36, "bk44")
    )
    found = table.find("misc")
    assert found is not None
    assert found.number == 1
    assert table.find("boot") is None
    with pytest.raises(DocumentError, match="2 partitions are named 'bk44'"):
        table.find("bk44")


def test_a_replaced_partition_keeps_what_lies_behind_its_name() -> None:
    table = small()
    entry = dataclasses.replace(table.entries[0], name="ab".encode("utf-16-le") + b"\0\0\x01\xd8")
    table = dataclasses.replace(table, entries=(entry, *table.entries[1:]))
    (first, second) = table.partitions
    assert (first.name, second.number) == ("ab", 3)
    changed = reread(table.replace(dataclasses.replace(first, attributes=5)))
    assert changed.partitions[0].attributes == 5
    assert changed.entries[0].name[:8] == entry.name[:8]
    renamed = reread(table.replace(dataclasses.replace(first, name="x" * 36)))
    assert renamed.partitions[0].name == "x" * 36


def test_impossible_partitions_are_refused() -> None:
    with pytest.raises(DocumentError, match="has no entry 129"):
        small().replace(partition(129, 34, 34))
    with pytest.raises(DocumentError, match="has no entry 0"):
        small().replace(partition(0, 34, 34))
    with pytest.raises(DocumentError, match="too long for a partition's name"):
        small(partition(1, 34, 34, "x" * 37))
    with pytest.raises(
        DocumentError, match="'part1' needs sectors 34 to 167, but the disk has 200"
    ):
        small(partition(1, 34, 167))
    with pytest.raises(DocumentError, match="needs sectors 167 to 3"):
        small(partition(1, 167, 3))


def test_a_disk_needs_room_for_both_copies() -> None:
    assert create(512, 68, DISK, [partition(1, 34, 34)]).images().backup_sector == 35
    for disk_sectors in (67, 0, 2**64):
        with pytest.raises(DocumentError, match=f"disk of {disk_sectors} sectors has no room"):
            create(512, disk_sectors, DISK, [])
    header = dataclasses.replace(small().header, first_usable_sector=33)
    with pytest.raises(DocumentError, match="uses sectors from 33 on"):
        dataclasses.replace(small(), header=header).fit(200, grow=False)


def test_growing_moves_the_end_of_the_last_partition_only() -> None:
    table = small(partition(1, 100, 99, "userdata"), partition(2, 34, 50))
    for disk_sectors in (200, 500):
        fitted = table.fit(disk_sectors, grow=True)
        assert [p.last_sector for p in fitted.partitions] == [disk_sectors - 34, 50]
        assert problems(reread(fitted), disk_sectors) == ()
    assert table.fit(500, grow=False).partitions == table.partitions
    assert small(partition(1, 34, 34)).fit(90, grow=True).partitions[0].last_sector == 56
    empty = create(512, 200, DISK, []).fit(300, grow=True)
    assert empty.partitions == ()


def test_a_table_that_fits_keeps_its_usable_sectors() -> None:
    header = dataclasses.replace(small().header, last_usable_sector=100)
    table = dataclasses.replace(small(), header=header)
    assert table.fit(200, grow=False).header.last_usable_sector == 100
    assert table.fit(201, grow=False).header.last_usable_sector == 167


def test_only_a_fitted_table_is_written() -> None:
    images = small().images()
    backup = parse(images.backup, 512, backup=True)
    for table in (
        backup,
        dataclasses.replace(
            small(), header=dataclasses.replace(small().header, alternate_sector=0)
        ),
    ):
        with pytest.raises(DocumentError, match="not fitted to a disk"):
            table.images()


def test_small_tables_leave_the_sectors_of_partitions_alone() -> None:
    # As comma's: entries in one sector of 4096 bytes, the first partition right behind them.
    header = dataclasses.replace(small(sector_bytes=4096).header, first_usable_sector=3)
    table = Gpt(4096, header, small(sector_bytes=4096).entries[:32], None)
    assert len(table.fit(100, grow=False).images().primary) == 3 * 4096


def test_a_table_at_a_wrong_place_is_told() -> None:
    table = reread(small())
    header = dataclasses.replace(table.header, my_sector=7)
    assert problems(dataclasses.replace(table, header=header), 200) == (
        "The header is at sector 1 and says that it is at sector 7.",
    )
    assert problems(dataclasses.replace(table, mbr=bytes(512)), 200) == (
        "Sector 0 does not tell old tools that the disk is in use (protective MBR).",
    )
    assert problems(table, 300) == (
        "The backup is said to be at sector 199, the disk ends with 299.",
    )


def test_wrong_checksums_are_told_and_put_right() -> None:
    data = bytearray(small().images().primary)
    data[512 + 40] ^= 1  # first usable sector: 34 becomes 35
    data[1024 + 56] ^= 1  # first letter of a name
    table = parse(bytes(data), 512)
    assert (table.header_crc_ok, table.entries_crc_ok) == (False, False)
    assert problems(table, 200) == (
        "The checksum of the header is wrong.",
        "The checksum of the entries is wrong.",
        "Partition 'qart1' is not within the usable sectors.",
    )
    assert reread(table).header_crc_ok
    assert reread(table).entries_crc_ok


def test_what_does_not_fit_together_is_told() -> None:
    table = small(
        partition(1, 34, 60, "big"),
        partition(2, 40, 45, "inner"),
        partition(3, 60, 70, "edge"),
        partition(4, 90, 89, "grow"),
    )
    assert problems(table) == (
        "Partition 'inner' overlaps 'big'.",
        "Partition 'edge' overlaps 'big'.",
        "Partition 'grow' has no size: its last sector is before its first.",
    )
    assert problems(table, 300)[0] == (
        "The backup is said to be at sector 199, the disk ends with 299."
    )
    header = dataclasses.replace(table.header, last_usable_sector=0)
    assert "The usable sectors are said to be 34 to 0." in problems(
        dataclasses.replace(table, header=header)
    )


def test_a_package_backup_does_not_know_where_it_lies() -> None:
    images = small().images()
    backup = bytearray(images.backup)
    at = len(backup) - 512
    struct.pack_into("<Q", backup, at + 24, 0)  # my sector, as Oppo's and Nokia's files have it
    struct.pack_into("<Q", backup, at + 72, 0)  # and that of the entries
    struct.pack_into("<I", backup, at + 16, 0)
    struct.pack_into("<I", backup, at + 16, zlib.crc32(backup[at : at + 92]))
    table = parse(bytes(backup), 512, backup=True)
    assert table.partitions == small().partitions
    assert (table.header_crc_ok, table.entries_crc_ok) == (True, True)
    # openstick leaves the unused sectors out, although the header counts them.
    entries = small().entries[:16]
    short = dataclasses.replace(
        small(), entries=entries, header=dataclasses.replace(small().header, entry_count=16)
    ).images()
    table = parse(short.backup[: 4 * 512] + short.backup[-512:], 512, backup=True)
    assert table.entries_crc_ok
    assert table.entries == entries


GOOD = small().images()


def broken(offset: int, code: str, value: int) -> bytes:
    data = bytearray(GOOD.primary)
    struct.pack_into("<" + code, data, 512 + offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "There is no partition table for sectors of 512 bytes"),
        (bytes(17408), "There is no partition table"),
        (GOOD.primary[: 512 + 91], "There is no partition table"),
        (GOOD.primary[:-1], "The partition table is cut off: its entries are missing."),
        (broken(12, "I", 96), "a header of 96 bytes and entries of 128"),
        (broken(84, "I", 256), "a header of 92 bytes and entries of 256"),
        (broken(80, "I", 0), "declares 0 entries"),
        (broken(80, "I", 4097), "declares 4097 entries"),
        (broken(80, "I", 0xFFFFFFFF), "declares 4294967295 entries"),
        (broken(72, "Q", 3), "The partition table is cut off"),
        (broken(72, "Q", 2**64 - 1), "The partition table is cut off"),
    ],
)
def test_what_is_no_table_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        parse(data, 512)


def test_no_table_is_found_for_other_sector_sizes() -> None:
    for sector_bytes in (4096, 2048, 0):
        with pytest.raises(DocumentError, match=rf"sectors of {sector_bytes} bytes"):
            parse(GOOD.primary, sector_bytes)
    assert find_sector_bytes(GOOD.backup) is None


@pytest.mark.parametrize("data", [b"", b"x" * 511, GOOD.backup[:-1], GOOD.primary])
def test_a_backup_ends_with_its_header(data: bytes) -> None:
    with pytest.raises(DocumentError, match="There is no partition table"):
        parse(data, 512, backup=True)


def test_a_backup_without_its_entries_is_cut_off() -> None:
    with pytest.raises(DocumentError, match="cut off"):
        parse(GOOD.backup[-1024:], 512, backup=True)


def test_how_much_to_read_is_bounded() -> None:
    assert gpt.primary_sectors(GOOD.primary, 512) == 34
    for offset, code, value in [(72, "Q", 0), (72, "Q", 1), (72, "Q", 30), (72, "Q", 2**60)]:
        with pytest.raises(DocumentError, match=f"has its entries at sector {value}"):
            gpt.primary_sectors(broken(offset, code, value), 512)
    huge = bytearray(broken(72, "Q", 2**60))
    struct.pack_into("<Q", huge, 512 + 40, 2**61)
    with pytest.raises(DocumentError, match="has its entries at sector 11529"):
        gpt.primary_sectors(bytes(huge), 512)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("boot_a", "boot_a"),
        ("limits-cdsp", "limits-cdsp"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\\b:c*d?e", "a_b_c_d_e"),
        ("\x1b[31mred\x00\n", "__31mred__"),
        (".hidden.", "hidden"),
        (".-rf", "_rf"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("NUL", "_NUL"),
        ("com1.img", "_com1.img"),
        ("console", "console"),
        ("Grüße", "Gr__e"),
        ("x" * 200, "x" * 64),
    ],
)
def test_safe_names_can_be_files_everywhere(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert partition(1, 0, 0, name or "\0").safe_name in {safe, "_"}


def test_names_that_are_no_text_are_read_all_the_same() -> None:
    table = small()
    entry = dataclasses.replace(table.entries[0], name=b"\x00\xd8" * 36)
    (first, _) = dataclasses.replace(table, entries=(entry, *table.entries[1:])).partitions
    assert first.safe_name == "_" * 36
