# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables, images and sectors, as users read and write them."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from edl.formats import gpt
from edl.virtual.phone import Phone
from edl.virtual.storage import Extent
from tests.cli.conftest import Edl
from tests.cli.test_options import code
from tests.cli.test_safety import bench

__all__ = ["bench"]

BLOCK = 4096
ABOOT = 148528  # its first sector on the board


def sparse(blocks: int, *chunks: tuple[int, int, bytes]) -> bytes:
    """Return an Android sparse image (libsparse, sparse_format.h) of chunks: kind, blocks, data."""
    body = b"".join(
        struct.pack("<HHII", kind, 0, count, 12 + len(data)) + data for kind, count, data in chunks
    )
    return struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, BLOCK, blocks, len(chunks), 0) + body


RAW, FILL, SKIP = 0xCAC1, 0xCAC2, 0xCAC3


def test_sparse_images_are_unpacked(edl: Edl, whole: Path, tmp_path: Path) -> None:
    phone = ("--virtual", whole)
    image, back = tmp_path / "x.img", tmp_path / "back.img"
    before = tmp_path / "before.img"
    assert edl(*phone, "read", "aboot", before).status == 0
    chunks = ((RAW, 1, b"r" * BLOCK), (FILL, 2, b"fill"), (SKIP, 3, b""), (RAW, 1, b"s" * BLOCK))
    image.write_bytes(sparse(7, *chunks))
    result = edl(*phone, "write", "aboot", image)
    assert result.status == 0
    assert "  written    2 parts, 16 KiB\n" in result.out
    assert edl(*phone, "read", "aboot", back).status == 0
    expected = b"r" * BLOCK + b"fill" * (BLOCK // 2) + before.read_bytes()[3 * BLOCK : 6 * BLOCK]
    assert back.read_bytes()[: 7 * BLOCK] == expected + b"s" * BLOCK
    assert edl(*phone, "write", "aboot", image, "--unsparse", "no").status == 0
    assert edl(*phone, "read", "aboot", back, "--force").status == 0
    assert back.read_bytes().startswith(image.read_bytes())


def test_a_sparse_image_for_other_sectors(edl: Edl, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(
        struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, 2048, 1, 1, 0)
        + struct.pack("<HHII", RAW, 0, 1, 12 + 2048)
        + bytes(2048)
    )
    result = edl("--virtual", "qcm2290-ufs", "write", "0/64+64", image)
    assert (result.status, code(result.err)) == (7, "image")
    assert "is made of blocks that are no multiple of a sector." in result.err


def test_tables_as_sgdisk_prints_them(edl: Edl, whole: Path) -> None:
    shown = edl("--virtual", whole, "printgpt", "--format", "sgdisk", "--lun", "0").out
    assert "Number  Start (sector)    End (sector)  Size       Code  Name\n" in shown
    assert f"  11          {ABOOT}          150575   1 MiB       FFFF  aboot\n" in shown


def test_the_active_slot_is_told(edl: Edl, whole: Path, tmp_path: Path) -> None:
    told = edl("--virtual", whole, "printgpt", "--json").last["luns"][0]
    assert told["active_slot"] is None
    file = tmp_path / "gpt.bin"
    assert edl("--virtual", whole, "read", "0/0+34", file).status == 0
    table = gpt.parse(file.read_bytes(), 512)
    for old, new, attributes in (("aboot", "boot_a", 0x3F), ("hyp", "boot_b", 0x3A)):
        entry = table.find(old)
        assert entry is not None
        table = table.replace(replace(entry, name=new, attributes=attributes << 48))
    file.write_bytes(table.images().primary)
    assert edl("--virtual", whole, "write", "0/0+34", file).status == 0
    assert "\n  active slot: a\n" in edl("--virtual", whole, "printgpt").out
    told = edl("--virtual", whole, "printgpt", "--json").last["luns"][0]
    assert told["active_slot"] == "a"


def test_tables_that_cannot_be_read(edl: Edl, bench: Phone) -> None:
    bench.storage.faults = replace(bench.storage.faults, unreadable=(Extent(1, 0, 8192),))
    result = edl("--virtual", "any", "printgpt")
    assert result.status == 0
    assert "  note     LUN 1: " in result.err
    alone = edl("--virtual", "any", "printgpt", "--lun", "1")
    assert (alone.status, code(alone.err)) == (6, "read-failed")


def test_sectors_that_cannot_be_read(edl: Edl, bench: Phone, board: Path, tmp_path: Path) -> None:
    bench.storage.faults = replace(bench.storage.faults, unreadable=(Extent(0, ABOOT + 3),))
    result = edl("--virtual", "any", "verify", board, "--only", "aboot,hyp", "--method", "readback")
    assert (result.status, code(result.err)) == (8, "verify")
    assert "  equal      hyp\n  DIFFERENT  aboot (The programmer failed at <read>" in result.out
    result = edl("--virtual", "any", "read", "aboot", tmp_path / "x.img")
    assert (result.status, code(result.err)) == (6, "read-failed")
    assert list(tmp_path.glob("x.img*")) == []


def test_flash_that_forgets(edl: Edl, bench: Phone, board: Path) -> None:
    bench.storage.faults = replace(bench.storage.faults, forgotten=(Extent(0, ABOOT, 64),))
    bench.storage.write(0, ABOOT + 64, bytes(512))
    result = edl("--virtual", "any", "erase", "aboot", "-y")
    assert (result.status, code(result.err)) == (8, "verify")
    assert "the phone took the data twice and does not hold it" in result.err
    assert "on the phone: " in result.err
    assert edl("--virtual", "any", "verify", board, "--only", "aboot").status == 8


@pytest.mark.parametrize("profile", ["msm8953", "msm8916"])
def test_old_programmers_may_not_come_back_in_edl(profile: str, edl: Edl) -> None:
    result = edl("--virtual", profile, "reset", "--mode", "edl")
    assert result.status == 0
    assert "most programmers of this generation restart the system instead." in result.err


def test_several_files_into_a_folder(edl: Edl, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for option in (("-d", folder), (folder,)):
        result = edl("--virtual", whole, "read", "aboot,0/0+34", *option, "--force")
        assert result.status == 0
        assert sorted(path.name for path in folder.iterdir()) == ["LUN_0_sector_0.bin", "aboot.bin"]
    same = edl("--virtual", whole, "read", "aboot,hyp", f"{folder}/x,{folder}/./x")
    assert (same.status, code(same.err)) == (2, "usage")
    assert "Two targets would be read into the same file." in same.err


def test_a_lun_for_names_that_say_none(edl: Edl, whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    assert edl("--virtual", whole, "read", "aboot", file, "-u", "0").status == 0
    wrong = edl("--virtual", whole, "read", "aboot", file, "--lun", "1", "--force")
    assert (wrong.status, code(wrong.err)) == (2, "usage")
    assert edl("--virtual", whole, "sha256", "0/aboot", "--lun", "1").status == 0
