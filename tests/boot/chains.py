# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones with a whole boot chain on them, signed with the key that they trust."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping

from edl.errors import DocumentError
from edl.formats import gpt, slots
from edl.formats.slots import Slot
from edl.virtual.storage import Storage
from loaders.images import Binding, Recipe, elf_image
from loaders.make_dummies import MSM8916, QCM2290
from loaders.signing import VENDOR_PSS, Vendor
from tests.virtual.disks import BOOT_LOADER, Part, write_gpt

SIZE = 256 * 1024  # of every partition
BOOT_IMAGE = b"ANDROID!" + bytes(32) + b"\0\0\0\0" + b"kernel" * 100
VBMETA = b"AVB0" + bytes(252)
KEPT = {  # what exists only once
    "persist": b"\0" * 1080 + b"\x53\xef",
    "fsg": b"IMGEFS1",
    "modemst1": b"IMGEFS1",
    "devinfo": b"ANDROID-BOOT!".ljust(32, b"\0"),
    "userdata": b"\0" * 1024 + b"\x10\x20\xf5\xf2",
    "metadata": b"\0" * 1080 + b"\x53\xef",
    "misc": b"\0",
}
OLD = ("sbl1", "rpm", "tz", "hyp", "aboot")
NEW = ("xbl", "rpm", "tz", "hyp", "devcfg", "abl")


@functools.cache
def image(
    text: str,
    *,
    rollback: int = 1,
    vendor: Vendor | None = VENDOR_PSS,
    hwid: int = QCM2290,
    version: int = 6,
    said: str = "",
    size: int = 2000,
) -> bytes:
    """Return a signed image, as the virtual QCM2290 takes it.

    said: its QC_IMAGE_VERSION_STRING. size: of its content.
    """
    chips = (0x9003,) if hwid == QCM2290 else ()
    recipe = Recipe(
        version=version,
        bits=64,
        digest="sha384" if version == 6 else "sha256",
        binding=Binding(hwid, soc_versions=chips, rollback=rollback),
        vendor=vendor,
    )
    words = f"QC_IMAGE_VERSION_STRING={said}\0" if said else ""
    return elf_image(recipe, (text + words).encode().ljust(size, b"."))


@functools.cache
def old_image(text: str, *, rollback: int = 1) -> bytes:
    """Return an image for the virtual MSM8916."""
    recipe = Recipe(binding=Binding(MSM8916, rollback=rollback))
    return elf_image(recipe, text.encode().ljust(2000, b"."))


def vbmeta(properties: Mapping[str, str], rollback_index: int = 0) -> bytes:
    """Return verified boot metadata with these properties: avb_vbmeta_image.h of libavb."""
    rows = b""
    for key, value in properties.items():
        body = struct.pack(">QQ", len(key), len(value)) + f"{key}\0{value}\0".encode()
        body += bytes(-len(body) % 8)
        rows += struct.pack(">QQ", 0, len(body)) + body
    head = struct.pack(
        ">4sIIQQI8Q2QQI", b"AVB0", 1, 0, 0, len(rows), 0, *[0] * 8, 0, len(rows), rollback_index, 0
    )
    return head.ljust(256, b"\0") + rows


def put(storage: Storage, lun: int, parts: Mapping[str, bytes], room: int = SIZE) -> None:
    """Write a table with these partitions to lun, and what they hold."""
    unit = storage.sector_bytes
    room //= unit
    rows = []
    for index, (name, data) in enumerate(parts.items()):
        start = 64 + index * room
        loader = name.startswith(("xbl", "sbl1")) and not name.startswith("xbl_config")
        kind = {"kind": BOOT_LOADER} if loader else {}
        rows.append(Part(name, start, start + room - 1, **kind))
        storage.luns[lun].write(start, data.ljust(-(-len(data) // unit) * unit, b"\0"))
    write_gpt(storage.luns[lun], rows)


def place(storage: Storage, name: str) -> tuple[int, int]:
    """Return LUN and first sector of a partition."""
    for number, lun in storage.luns.items():
        try:
            table = gpt.parse(
                lun.read(0, 34 if storage.sector_bytes == 512 else 6), storage.sector_bytes
            )
        except DocumentError:  # a LUN without a table
            continue
        for partition in table.partitions:
            if partition.name == name:
                return number, partition.first_sector
    raise KeyError(name)


def fill(storage: Storage, name: str, data: bytes) -> None:
    """Make data all that a partition holds."""
    lun, start = place(storage, name)
    storage.luns[lun].write(start, data.ljust(SIZE, b"\0"))


def emmc(storage: Storage, names: Iterable[str] = NEW) -> None:
    """Make an eMMC phone without slots whole."""
    chain = {name: image(name) for name in names}
    put(storage, 0, {**chain, "boot": BOOT_IMAGE, "vbmeta": VBMETA, **KEPT})


def ufs(storage: Storage, slot: Slot = "a") -> None:
    """Make a UFS phone with slots whole, with slot as the active one."""
    for lun, side in ((1, "a"), (2, "b")):
        put(storage, lun, {f"xbl_{side}": image("xbl"), f"xbl_config_{side}": image("config")})
    pairs = [name for name in NEW if name != "xbl"]
    held = {f"{name}_{side}": image(name) for name in pairs for side in "ab"}
    held |= {f"{name}_{side}": data for name, data in (("boot", BOOT_IMAGE), ("vbmeta", VBMETA))
             for side in "ab"}  # fmt: skip
    put(storage, 4, held)
    put(storage, 0, KEPT)
    for lun in (3, 5):
        put(storage, lun, {"cdt" if lun == 3 else "fsc": b"cdt"})
    activate(storage, slot)


def activate(storage: Storage, slot: Slot) -> None:
    """Make slot the active one in all tables."""
    tables = {}
    for number, lun in storage.luns.items():
        tables[number] = gpt.parse(lun.read(0, 6), storage.sector_bytes)
    for number, table in slots.activate(tables, slot, ufs=True).items():
        images = table.images()
        storage.luns[number].write(0, images.primary)
        storage.luns[number].write(images.backup_sector, images.backup)
