# SPDX-License-Identifier: BSD-3-Clause
"""Packages and partition tables of NAND modems, made from what is published about them.

Layout: drivers/mtd/parsers/qcomsmempart.c of Linux, and public partition.mbn files. Nothing here
comes from edl.formats.mibib.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from pathlib import Path

GROWS = 0xFFFFFFFF
LAYOUT = (  # name, first erase block, erase blocks
    ("0:SBL", 0, 4),
    ("0:MIBIB", 4, 4),
    ("0:EFS2", 8, 8),
    ("0:TZ", 16, 4),
    ("0:modem", 20, 12),
    ("0:system", 32, GROWS),
)
PAGES = 64  # in an erase block
IMAGES = {"0:SBL": "sbl1.mbn", "0:TZ": "tz.mbn", "0:modem": "NON-HLOS.ubi"}


def crc(data: bytes) -> int:
    """Return the CRC with polynomial 0x04C11DB7, bit by bit, begun with 0."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if value >> 31 else value << 1
    return value


def table(layout: tuple[tuple[str, int, int], ...] = LAYOUT, version: int = 4) -> bytes:
    """Return a system table."""
    rows = (struct.pack("<16sIII", name.encode(), at, size, 0xFF01FF) for name, at, size in layout)
    return struct.pack("<4I", 0x55EE73AA, 0xE35EBDDB, version, len(layout)) + b"".join(rows)


def mibib(
    page: int,
    layout: tuple[tuple[str, int, int], ...] = LAYOUT,
    age: int = 1,
    *,
    sealed: bool = True,
) -> bytes:
    """Return the four pages of a copy. sealed: with its checksum."""
    pages = [
        struct.pack("<4I", 0xFE569FAC, 0xCD7F127A, 4, age),
        table(layout),
        struct.pack("<4I", 0xAA7D1B9A, 0x1F7D48BC, 4, 0),
    ]
    data = b"".join(each.ljust(page, b"\xff") for each in pages)
    seal = struct.pack("<4I", 0x9D41BEA1, 0xF1DED2EA, 1, crc(data)) if sealed else b""
    return data + seal.ljust(page, b"\xff")


def image(name: str, size: int) -> bytes:
    """Return bytes for name, ever the same."""
    return random.Random(name).randbytes(size)


def rom(folder: Path, page: int = 4096, images: Mapping[str, bytes] | None = None) -> Path:
    """Make the package of a modem in folder, as makers of modems have them; return it."""
    folder.mkdir()
    sizes = {"sbl1.mbn": 300_001, "tz.mbn": 70_000, "NON-HLOS.ubi": 5 * PAGES * page}
    held = {name: image(name, size) for name, size in sizes.items()} | dict(images or {})
    held["partition.mbn"] = mibib(page)
    names = IMAGES | {"0:MIBIB": "partition.mbn"}
    rows = []
    for label, block, count in LAYOUT:
        if file := names.get(label):
            place = (
                f'PAGES_PER_BLOCK="{PAGES}" SECTOR_SIZE_IN_BYTES="{page}"'
                f' last_sector="{(block + count) * PAGES - 1}"'
                f' num_partition_sectors="{count * PAGES}"'
                f' physical_partition_number="0" start_sector="{block * PAGES}"'
            )
            rows += [f'<program {place} filename="{file}"/>', f"<erase {place}/>"]
    text = "\n".join(['<?xml version="1.0" ?>', "<data>", *rows, "</data>", ""])
    kib = page // 1024
    (folder / f"rawprogram_nand_p{kib}K_b{kib * PAGES}K.xml").write_text(text)
    for name, data in held.items():
        (folder / name).write_bytes(data)
    return folder
