# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables against sgdisk (Debian: gdisk), which takes files as disks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.gptcheck import problems
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


def test_what_sgdisk_writes_is_read(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.img")
    for partition in PARTITIONS:
        n = str(partition.number)
        sgdisk(
            *("-a", "1", "-n", f"{n}:{partition.first_sector}:{partition.last_sector}"),
            *("-c", f"{n}:{partition.name}", "-t", f"{n}:{partition.type_guid}"),
            *("-u", f"{n}:{partition.unique_guid}", "-A", f"{n}:=:{partition.attributes:016x}"),
            *("-U", str(DISK), disk),
        )
    data = disk.read_bytes()
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
