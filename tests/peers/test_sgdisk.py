# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables against sgdisk (Debian: gdisk), which takes files as disks."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from edl.errors import DocumentError
from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.gptcheck import problems
from edl.formats.gptedit import good_copies, refit, repair
from edl.formats.slots import INACTIVE_TYPE, activate
from tests.conftest import shared

DISK_SECTORS = 20480
DISK_BYTES = DISK_SECTORS * 512
DISK = UUID("98101b32-bbe2-4bf2-a06e-2bb33d000c20")
BOOT = UUID("20117f86-e985-4357-b9ee-374bc1d8487d")
PARTITIONS = (
    Partition(1, "boot_a", 64, 3000, BOOT, UUID("11111111-2222-3333-4444-555555555555"), 1 << 60),
    Partition(2, "misc", 3001, 3001, BOOT, UUID(int=2), 0x3F << 48 | 0x68),
    Partition(7, "Größe 中", 3500, DISK_SECTORS - 34, BOOT, UUID(int=7)),
)


def sgdisk(*arguments: str | Path) -> str:
    path = shutil.which("sgdisk")
    if path is None:
        pytest.skip("sgdisk (gdisk) is not installed")
    environment = {"LC_ALL": "C.UTF-8"}
    run = subprocess.run(
        [path, *arguments], check=True, capture_output=True, text=True, env=environment
    )
    return run.stdout


def printed(disk: Path, number: int) -> Partition:
    """Return what sgdisk says about one partition."""
    text = sgdisk("-i", str(number), disk)
    return Partition(
        number,
        re.findall(r"^Partition name: '(.*)'$", text, re.MULTILINE)[0],
        int(re.findall(r"First sector: (\d+)", text)[0]),
        int(re.findall(r"Last sector: (\d+)", text)[0]),
        UUID(re.findall(r"GUID code: (\S+)", text)[0]),
        UUID(re.findall(r"unique GUID: (\S+)", text)[0]),
        int(re.findall(r"Attribute flags: (\S+)", text)[0], 16),
    )


def blank(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    return path


def write(table: Gpt, path: Path) -> Path:
    images = table.images()
    with blank(path).open("r+b") as file:
        file.write(images.primary)
        file.seek(images.backup_sector * 512)
        file.write(images.backup)
    assert path.stat().st_size == DISK_BYTES
    return path


def made_by_sgdisk(disk: Path) -> Path:
    options: list[str] = ["-a", "1", "-U", str(DISK)]
    for partition in PARTITIONS:
        n = str(partition.number)
        options += ["-n", f"{n}:{partition.first_sector}:{partition.last_sector}"]
        options += ["-c", f"{n}:{partition.name}", "-t", f"{n}:{partition.type_guid}"]
        options += ["-u", f"{n}:{partition.unique_guid}"]
        options += ["-A", f"{n}:=:{partition.attributes:016x}"]
    sgdisk(*options, blank(disk))
    return disk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a disk made by sgdisk, which tests leave as it is."""
    return made_by_sgdisk(tmp_path_factory.mktemp("sgdisk") / "disk.img")


def test_what_sgdisk_writes_is_read(made: Path) -> None:
    data = made.read_bytes()
    primary, backup = parse(data, 512), parse(data, 512, backup=True)
    for table in (primary, backup):
        assert table.partitions == PARTITIONS
        assert table.disk_guid == DISK
        assert problems(table, DISK_SECTORS) == ()
    images = primary.fit(DISK_SECTORS, grow=False).images()
    assert data[: len(images.primary)] == images.primary
    assert data[-len(images.backup) :] == images.backup


def test_sgdisk_finds_nothing_wrong_with_what_we_write(tmp_path: Path) -> None:
    disk = write(create(512, DISK_SECTORS, DISK, PARTITIONS), tmp_path / "disk.img")
    assert "No problems found." in sgdisk("-v", disk)
    assert tuple(printed(disk, partition.number) for partition in PARTITIONS) == PARTITIONS
    assert f"Disk identifier (GUID): {str(DISK).upper()}" in sgdisk("-p", disk)


def test_sgdisk_agrees_with_a_stock_table_fitted_to_another_disk(tmp_path: Path) -> None:
    stock = parse(shared("corpus/msm8953-oppo-r9s/gpt_main2.bin").read_bytes(), 512)
    assert problems(stock, DISK_SECTORS) != ()
    disk = write(stock.fit(DISK_SECTORS, grow=True), tmp_path / "disk.img")
    assert "No problems found." in sgdisk("-v", disk)
    found = parse(disk.read_bytes(), 512).partitions
    assert found[-1].last_sector == DISK_SECTORS - 34
    assert tuple(printed(disk, partition.number) for partition in found) == found


def mended(disk: Path) -> None:
    """Mend both copies on disk from the sound one, as `edl gpt repair` does."""
    data = disk.read_bytes()
    tables = []
    for backup in (False, True):
        with contextlib.suppress(DocumentError):
            tables.append(parse(data, 512, backup=backup))
    (good,) = good_copies(*(tables if len(tables) == 2 else [*tables, None]))
    write_over(repair(good, len(data) // 512, data[:512]), disk)


def write_over(table: Gpt, disk: Path) -> None:
    images = table.images()
    with disk.open("r+b") as file:
        file.write(images.primary)
        file.seek(images.backup_sector * 512)
        file.write(images.backup)


# Where the damage is: header, entries, or all of one copy (backup counted from the end).
DAMAGE = {
    "primary header": (512 + 50, b"\xaa" * 4),
    "primary gone": (512, bytes(33 * 512)),
    "backup entries": (-33 * 512 + 40, b"\xaa" * 4),
    "backup gone": (-33 * 512, bytes(33 * 512)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_copy_is_mended_as_sgdisk_mends_it(
    damage: str, made: Path, tmp_path: Path
) -> None:
    ours = Path(shutil.copy(made, tmp_path / "ours.img"))
    whole = ours.read_bytes()
    at, junk = DAMAGE[damage]
    with ours.open("r+b") as file:
        file.seek(at, 0 if at >= 0 else 2)
        file.write(junk)
    theirs = Path(shutil.copy(ours, tmp_path / "theirs.img"))
    assert ours.read_bytes() != whole
    # any change makes sgdisk write both copies: here the disk's GUID, to what it is
    sgdisk("-U", str(DISK), theirs)
    mended(ours)
    assert ours.read_bytes() == theirs.read_bytes() == whole


def test_a_larger_disk_is_fitted_as_sgdisk_fits_it(made: Path, tmp_path: Path) -> None:
    ours = Path(shutil.copy(made, tmp_path / "ours.img"))
    with ours.open("r+b") as file:
        file.truncate(DISK_BYTES + 512 * 5000)
    theirs = Path(shutil.copy(ours, tmp_path / "theirs.img"))
    sgdisk("-e", theirs)
    table = parse(ours.read_bytes(), 512)
    write_over(refit(table, DISK_SECTORS + 5000, grow=False), ours)
    one, other = ours.read_bytes(), theirs.read_bytes()
    assert one[512:] == other[512:]
    assert one[454:512] == other[454:512]  # what comes before in the MBR is cylinders and heads
    write_over(refit(table, DISK_SECTORS + 5000), ours)
    assert "No problems found." in sgdisk("-v", ours)
    assert printed(ours, 7).last_sector == DISK_SECTORS + 5000 - 34
    assert printed(ours, 1) == PARTITIONS[0]


def test_a_smaller_disk_has_no_problems_either(tmp_path: Path) -> None:
    smaller = DISK_SECTORS - 3000
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(smaller * 512)
    write_over(refit(create(512, DISK_SECTORS, DISK, PARTITIONS), smaller, needed_sectors=9), disk)
    assert "No problems found." in sgdisk("-v", disk)
    assert [printed(disk, p.number).last_sector for p in PARTITIONS] == [3000, 3001, smaller - 34]


def test_a_switched_slot_is_a_sound_table(tmp_path: Path) -> None:
    pair = [
        Partition(1, "boot_a", 64, 3000, BOOT, UUID(int=1), 0x77 << 48),
        Partition(2, "boot_b", 3001, 6000, INACTIVE_TYPE, UUID(int=2), 0x71 << 48),
    ]
    table = create(512, DISK_SECTORS, DISK, pair)
    disk = write(activate({0: table}, "b", ufs=False)[0], tmp_path / "disk.img")
    assert "No problems found." in sgdisk("-v", disk)
    # 0x73: a without its active bit; 0x3f: b as after an update
    told = [(printed(disk, n).attributes >> 48, printed(disk, n).type_guid) for n in (1, 2)]
    assert told == [(0x73, INACTIVE_TYPE), (0x3F, BOOT)]
    bits = [sgdisk("-A", f"{n}:show", disk) for n in (1, 2)]
    assert [f":{bit}:1 " in bits[1] for bit in range(48, 56)] == [True] * 6 + [False] * 2
    assert [f":{bit}:1 " in bits[0] for bit in (50, 54)] == [False, True]
