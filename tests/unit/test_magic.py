# SPDX-License-Identifier: BSD-3-Clause
"""What partitions hold, by heads built from the formats' own headers."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from edl.formats.magic import HEAD_BYTES, recognise
from tests import supers


def at(offset: int, data: bytes) -> bytes:
    return (bytes(offset) + data).ljust(HEAD_BYTES, b"\0")


MBN = struct.pack("<10I", 5, 3, 0, 0x8000000, 1000, 500, 0, 300, 0, 200).ljust(HEAD_BYTES, b"x")


@pytest.mark.parametrize(
    ("head", "code", "words"),
    [
        (bytes(supers.super_image(supers.two_slots())[:HEAD_BYTES]), "super", "logical"),
        (supers.geometry(), "super_empty", "layout"),
        (at(512, b"EFI PART"), "disk", "512-byte"),
        (at(4096, b"EFI PART"), "disk", "4096-byte"),
        (at(0, bytes.fromhex("3aff26ed")), "sparse", "sparse"),
        (at(0, b"ANDROID!" + bytes(32) + b"\4\0\0\0"), "boot", "boot image, version 4"),
        (at(0, b"ANDROID!" + bytes(32) + b"\0\xe0\4\0"), "boot", "boot image"),
        (at(0, b"\x7fELF"), "elf", "ELF"),
        (at(1024, bytes.fromhex("1020f5f2")), "f2fs", "F2FS"),
        (at(1024, bytes.fromhex("e2e1f5e0")), "erofs", "EROFS"),
        (at(0x438, b"\x53\xef"), "ext2", "ext2"),
        (at(0x438, b"\x53\xef" + bytes(0x22) + b"\4"), "ext3", "ext3"),
        (at(0x438, b"\x53\xef" + bytes(0x22) + b"\4\0\0\0\x40"), "ext4", "ext4"),
        (at(54, b"FAT16")[:510] + b"\x55\xaa", "fat", "FAT"),
        (at(82, b"FAT32")[:510] + b"\x55\xaa", "fat", "FAT"),
        (at(510, b"\x55\xaa"), "mbr", "MBR"),
        (MBN, "mbn", "version 3"),
        (bytes(HEAD_BYTES), "blank", "blank"),
        (b"\xff" * 100, "blank", "blank"),
        (b"", "blank", "blank"),
        (b"hello", "unknown", "unknown"),
        ((bytes(0x438) + b"\x53\xef"), "unknown", "unknown"),
    ],
)
def test_heads(head: bytes, code: str, words: str) -> None:
    kind = recognise(head)
    assert kind.code == code
    assert words in kind.text


def test_what_mke2fs_makes_is_ext4(tmp_path: Path) -> None:
    tool = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin")
    if tool is None:
        pytest.skip("mkfs.ext4 (e2fsprogs) is not installed")
    path = tmp_path / "fs.img"
    path.write_bytes(bytes(1 << 20))
    subprocess.run([tool, "-q", path], check=True, capture_output=True)
    assert recognise(path.read_bytes()[:HEAD_BYTES]).code == "ext4"
