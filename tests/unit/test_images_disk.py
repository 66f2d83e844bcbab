# SPDX-License-Identifier: BSD-3-Clause
"""Dumps of disks: partition tables and partitions out of files."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from uuid import UUID

import pytest

from edl.chunks import BytesContent, read_all
from edl.errors import ImageError
from edl.formats import gpt
from edl.formats.gpt import Partition
from edl.images.disk import open_image, read_lun
from edl.units import MIB
from tests.unit.test_contents import sparse_image

SIZE = 8 * MIB


def table_for(unit: int, size: int = SIZE, names: tuple[str, ...] = ("boot_a", "data")) -> gpt.Gpt:
    first = MIB // unit
    partitions = [
        Partition(
            number,
            name,
            first * number,
            first * (number + 1) - 1,
            UUID(int=1000),
            UUID(int=number),
        )
        for number, name in enumerate(names, 1)
    ]
    return gpt.create(unit, size // unit, UUID(int=7), partitions)


def disk(unit: int, names: tuple[str, ...] = ("boot_a", "data")) -> bytearray:
    """Return a disk of 8 MiB: a table at either end, and partitions of 1 MiB with random bytes."""
    images = table_for(unit, names=names).images()
    data = bytearray(SIZE)
    data[: len(images.primary)] = images.primary
    data[images.backup_sector * unit :] = images.backup
    for number in range(1, len(names) + 1):
        data[number * MIB : (number + 1) * MIB] = random.Random(number).randbytes(MIB)
    return data


@pytest.mark.parametrize("unit", [512, 4096])
def test_a_disk_is_read_with_both_tables_and_its_partitions(tmp_path: Path, unit: int) -> None:
    path = tmp_path / "dump.img"
    path.write_bytes(disk(unit))
    with open_image(path) as image:
        (lun,) = image.luns.values()
        assert lun.sector_bytes == unit
        assert lun.sectors == lun.said_sectors == SIZE // unit
        assert lun.primary is not None
        assert lun.backup is not None
        assert lun.table is lun.primary
        assert lun.backup_offset == SIZE - unit
        assert [p.name for p in lun.partitions] == ["boot_a", "data"]
        number, partition = image.partition("data")
        content = lun.content_of(partition)
        assert number == 0
        assert read_all(content, 0, content.size_bytes) == random.Random(2).randbytes(MIB)
        assert image.has_table
        assert image.partition("BOOT_A") == image.partition("0/boot_a")
        with pytest.raises(ImageError, match="no partition 'boot'"):
            image.partition("boot")


@pytest.mark.parametrize("unit", [512, 4096])
def test_either_copy_of_the_table_is_enough(unit: int) -> None:
    data = disk(unit)
    data[unit : unit + 8] = bytes(8)
    lun = read_lun(BytesContent(bytes(data)))
    assert lun.primary is None
    assert lun.table is lun.backup is not None
    assert lun.sector_bytes == unit
    data = disk(unit)
    data[-unit:] = bytes(unit)
    lun = read_lun(BytesContent(bytes(data)))
    assert lun.backup is None
    assert lun.backup_offset is None
    assert lun.table is lun.primary is not None


def test_a_whole_copy_comes_before_a_damaged_one() -> None:
    data = disk(512)
    data[1024 + 60] ^= 1  # in the name of the first entry
    lun = read_lun(BytesContent(bytes(data)))
    assert lun.primary is not None
    assert not lun.primary.entries_crc_ok
    assert lun.table is lun.backup


def test_the_backup_of_an_enlarged_dump_is_where_the_primary_says() -> None:
    data = bytes(disk(512)) + bytes(MIB)
    lun = read_lun(BytesContent(data))
    assert lun.backup is not None
    assert lun.backup_offset == SIZE - 512
    assert lun.said_sectors == SIZE // 512
    assert lun.sectors == len(data) // 512


def test_a_dump_that_was_cut_off_says_what_is_missing() -> None:
    lun = read_lun(BytesContent(bytes(disk(512)[: 2 * MIB + 4096])))
    boot, data = lun.partitions
    assert (lun.missing_bytes(boot), lun.missing_bytes(data)) == (0, MIB - 4096)
    assert lun.backup is None
    assert read_all(lun.content_of(data), 0, 4096) == random.Random(2).randbytes(MIB)[:4096]
    with pytest.raises(ImageError, match="cut off"):
        read_all(lun.content_of(data), 0, MIB)


def test_a_table_that_was_never_fitted_says_no_size() -> None:
    table = table_for(512)
    header = dataclasses.replace(table.header, alternate_sector=0, last_usable_sector=0)
    lun = read_lun(BytesContent(bytes(disk(512))))
    assert lun.said_sectors == SIZE // 512
    unfitted = dataclasses.replace(
        lun, primary=dataclasses.replace(table, header=header), backup=None
    )
    assert unfitted.said_sectors is None


@pytest.mark.parametrize("size", [1, 512, 1024, 4096, 5000, 70_000])
def test_files_without_a_table_are_opened_too(size: int) -> None:
    lun = read_lun(BytesContent(b"\xa5" * size))
    assert lun.table is None
    assert lun.said_sectors is None
    assert lun.partitions == ()


@pytest.mark.parametrize("unit", [512, 4096])
def test_headers_without_entries_are_no_table(unit: int) -> None:
    data = disk(unit)[: 2 * unit]
    assert read_lun(BytesContent(bytes(data))).table is None
    table = bytearray(disk(unit))
    table[-unit + 80 : -unit + 84] = b"\xff" * 4  # entries beyond any number
    assert read_lun(BytesContent(bytes(table))).backup is None


def test_sparse_dumps_are_expanded(tmp_path: Path) -> None:
    path = tmp_path / "dump.simg"
    data = bytes(disk(4096))
    path.write_bytes(
        sparse_image(
            (0xCAC1, 768, data[: 3 * MIB]),
            (0xCAC3, 1024, b""),
            (0xCAC1, 256, data[7 * MIB :]),
        )
    )
    with open_image(path) as image:
        assert image.source is not None
        assert image.source.forms == ("sparse",)
        _, partition = image.partition("data")
        content = image.luns[0].content_of(partition)
        assert read_all(content, 0, MIB) == random.Random(2).randbytes(MIB)
        assert image.luns[0].backup is not None


def test_names_that_exist_twice_cannot_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "dump.img"
    path.write_bytes(disk(512, ("log", "log", "LOG")))
    with open_image(path) as image:
        with pytest.raises(ImageError, match="more than once: 0/log, 0/log"):
            image.partition("log")
        assert image.partition("LOG")[1].number == 3


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path, words in [
        (tmp_path, "neither an image"),
        (tmp_path / "gone", "no file"),
        (tmp_path / "empty", "is empty"),
        (Path("/dev/zero"), "no size"),
        (Path("a\0b"), "cannot be read"),
    ]:
        with pytest.raises(ImageError, match=words), open_image(path):
            pass
