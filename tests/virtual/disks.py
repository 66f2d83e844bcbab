# SPDX-License-Identifier: BSD-3-Clause
"""Disks for tests: partition tables made by hand, and builds of qcom-ptool applied by hand."""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edl.virtual.storage import Lun, Storage

BOOT_LOADER = uuid.UUID("dea0ba2c-cbdd-4805-b4f9-f428251c3e98")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Part:
    """A partition, first and last sector both included."""

    name: str
    first: int
    last: int
    kind: uuid.UUID = LINUX

    def pack(self) -> bytes:
        """Return the entry of the UEFI specification, table 5-6."""
        guid = uuid.uuid5(uuid.NAMESPACE_DNS, self.name)
        name = self.name.encode("utf-16-le").ljust(72, b"\0")
        return struct.pack(
            "<16s16sQQQ72s", self.kind.bytes_le, guid.bytes_le, self.first, self.last, 0, name
        )


def write_gpt(lun: Lun, parts: Iterable[Part], *, disk_sectors: int | None = None) -> None:
    """Write both partition tables, as for a disk of disk_sectors."""
    sectors = disk_sectors or lun.sectors
    array = b"".join(part.pack() for part in parts).ljust(128 * 128, b"\0")
    length = len(array) // lun.sector_bytes
    write_table(lun, array, 1, sectors - 1, 2, (2 + length, sectors - length - 2))
    backup = sectors - 1, 1, sectors - length - 1, (2 + length, sectors - length - 2)
    if sectors <= lun.sectors:
        write_table(lun, array, *backup)


def write_table(
    lun: Lun, array: bytes, own: int, other: int, entries: int, usable: tuple[int, int]
) -> None:
    """Write one partition table: UEFI specification, table 5-5."""
    count = len(array) // 128
    guid = uuid.UUID(int=7).bytes_le
    fields = (own, other, *usable, guid, entries, count, 128, zlib.crc32(array))

    def header(crc: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, *fields)

    whole = header(zlib.crc32(header(0))).ljust(lun.sector_bytes, b"\0")
    lun.write(own, whole)
    lun.write(entries, array.ljust(-(-len(array) // lun.sector_bytes) * lun.sector_bytes, b"\0"))


def make_bootable(storage: Storage, loader: bytes = b"first boot loader") -> None:
    """Write what the phone needs to start."""
    size = storage.sector_bytes
    loader = loader.ljust(-(-len(loader) // size) * size, b"\0")
    boot = storage.luns[0 if storage.kind == "emmc" else 1]
    for lun in storage.luns.values() if storage.kind == "ufs" else (boot,):
        parts = [Part("userdata", 1024, lun.sectors - 100)]
        if lun is boot:
            parts.insert(0, Part("xbl_a", 64, 1023, BOOT_LOADER))
            lun.write(64, loader)
        write_gpt(lun, parts)


def apply_build(storage: Storage, folder: Path, *, patch: bool = True) -> None:
    """Write the partition tables and the boot loaders of a golden build, then its patches."""
    for document in sorted(folder.glob("rawprogram?.xml")):
        for row in _rows(document, "program"):
            if row.get("filename") and (
                "GPT" in row["label"] or row["label"][:3] in {"xbl", "sbl"}
            ):
                lun = storage.luns[int(row["physical_partition_number"])]
                sectors = int(row["num_partition_sectors"])
                data = _file(folder, row["filename"], sectors * lun.sector_bytes)
                data += bytes(-len(data) % lun.sector_bytes)
                lun.write(_number(row["start_sector"], lun), data)
    for document in sorted(folder.glob("patch?.xml")) if patch else ():
        for row in _rows(document, "patch"):
            if row["filename"] == "DISK":
                _patch(storage.luns[int(row["physical_partition_number"])], row)


def _rows(document: Path, tag: str) -> list[dict[str, str]]:
    lines = document.read_text().splitlines()
    return [
        dict(_ATTRIBUTE.findall(line)) for line in lines if line.lstrip().startswith(f"<{tag} ")
    ]


def _file(folder: Path, name: str, room: int) -> bytes:
    """Return a file of the build, made by the rule in its README where it is missing."""
    if (folder / name).exists():
        return (folder / name).read_bytes()[:room]
    seed, cap = b"golden" + name.encode(), 3 << 20
    size = min(room, cap, 1 + int.from_bytes(hashlib.sha256(seed).digest()[:4]) % cap)
    return hashlib.shake_256(seed).digest(size)


def _number(text: str, lun: Lun) -> int:
    text = text.replace("NUM_DISK_SECTORS", str(lun.sectors)).replace(".", "")
    first, *rest = text.split("-")
    return int(first) - sum(map(int, rest))


def _patch(lun: Lun, row: dict[str, str]) -> None:
    value = row["value"]
    if crc := re.fullmatch(r"CRC32\((.+),(.+)\)", value):
        start, length = _number(crc[1], lun), int(crc[2])
        number = zlib.crc32(lun.read(start, -(-length // lun.sector_bytes))[:length])
    else:
        number = _number(value, lun)
    sector, offset = _number(row["start_sector"], lun), int(row["byte_offset"])
    data = bytearray(lun.read(sector, 1))
    size = int(row["size_in_bytes"])
    data[offset : offset + size] = number.to_bytes(size, "little")
    lun.write(sector, data)
