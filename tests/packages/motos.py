# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's packages, written as the research describes them, with a writer of its own."""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path

from tests.packages.making import noise, sparse

KEEP, NV, FLASHED = 0x20, 0x38, 0x48
# name: first sector, sectors, attributes; the last one has one sector, as theirs have
PARTS = {
    "sbl1": (128, 64, 0x68),
    "aboot": (192, 64, 0x68),
    "modem": (256, 64, FLASHED),
    "modemst1": (320, 64, NV),
    "modemst2": (384, 64, NV),
    "fsg": (448, 64, 0x78),
    "boot": (512, 64, FLASHED),
    "system": (640, 1024, FLASHED),
    "cache": (1664, 64, 0x58),
    "carrier": (1728, 64, 0x18),
    "odd": (1792, 64, KEEP),
    "DDR": (1856, 64, 0x58),
    "userdata": (2048, 1, 0x18),
}
IMAGES = {
    "NON-HLOS.bin": noise(3000, 11),
    "fsg.mbn": noise(700, 12),
    "boot.img": b"ANDROID!" + noise(4000, 13),
    "system.img_sparsechunk.0": sparse((8, noise(8 * 4096, 14)), (120, b"")),
    "system.img_sparsechunk.9": sparse((8, b""), (4, noise(4 * 4096, 15)), (116, b"")),
    "system.img_sparsechunk.10": sparse((100, b""), (28, noise(28 * 4096, 16))),
}
SBL1, ABOOT = noise(5000, 17), noise(6000, 18)
WHERE = {
    "NON-HLOS.bin": "modem",
    "fsg.mbn": "fsg",
    "boot.img": "boot",
    "system.img_sparsechunk.0": "system",
    "system.img_sparsechunk.10": "system",  # not in order
    "system.img_sparsechunk.9": "system",
}


def container(files: Mapping[str, bytes]) -> bytes:
    """Return a container: 256 bytes, then (name of 248 bytes, length, data to 4096), and an end."""
    body = b"SINGLE_N_LONELY".ljust(256, b"\0")
    for name, data in files.items():
        body += name.encode().ljust(248, b"\0") + struct.pack("<Q", len(data))
        body += data + bytes(-len(data) % 4096)
    return body + b"LONELY_N_SINGLE".ljust(256, b"\0")


def packed(
    recipe: str,
    files: Mapping[str, bytes],
    *,
    protocol: str = "fastboot",
    programmer: str = "",
) -> bytes:
    """Return a container with what leads to its recipe."""
    index = f'<package compatible="protocol:{protocol} cpu.name:MSM8953" filename="x.pkg.xml"/>'
    package = '<recipe filename="x.default.xml"/>'
    if programmer:
        package += f'<programmer filename="{programmer}"/>'
    head = '<?xml version="1.0"?>\n'
    return container(
        {
            "x.default.xml": f"{head}<recipe>\n{recipe}\n</recipe>".encode(),
            "x.pkg.xml": f"{head}<package>{package}</package>".encode(),
            **files,
            "index.xml": f"{head}<index>{index}</index>".encode(),
        }
    )


def table(
    parts: Mapping[str, tuple[int, int, int]] | None = None, unit: int = 512, count: int = 32
) -> bytes:
    """Return a primary table for no disk: UEFI 2.10, tables 5-5 and 5-6, as gpt_main0.bin is."""
    entries = b""
    for name, (first, sectors, attributes) in (PARTS if parts is None else parts).items():
        kind = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
        guid = uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes_le
        last = first + sectors - 1
        entries += struct.pack("<16s16sQQQ", kind, guid, first, last, attributes)
        entries += name.encode("utf-16-le").ljust(72, b"\0")
    entries = entries.ljust(count * 128, b"\0")
    usable = 2 + 16384 // unit

    def header(crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, 1, 0, usable, 0,
            uuid.UUID(int=7).bytes_le, 2, count, 128, zlib.crc32(entries),
        )  # fmt: skip

    mbr = bytes(446) + bytes.fromhex("00000200eeffffff01000000ffffffff") + bytes(48) + b"\x55\xaa"
    head = mbr.ljust(unit, b"\0") + header(zlib.crc32(header(0))).ljust(unit, b"\0")
    # behind the entries stands a signature, which is for the boot loader only
    return (head + entries).ljust(usable * unit, b"\0") + noise(1024, 19)


def gpt_bin(data: bytes | None = None) -> bytes:
    """Return gpt.bin."""
    recipe = '<flash partition="partition:0" filename="gpt_main0.bin"/>'
    return packed(recipe, {"gpt_main0.bin": table() if data is None else data})


def bootloader(slot: str = "") -> bytes:
    """Return bootloader.img."""
    recipe = (
        f'<flash partition="aboot{slot}" filename="aboot.mbn"/>'
        f'<flash partition="sbl1{slot}" filename="sbl1.mbn"/>'
    )
    return packed(recipe, {"aboot.mbn": ABOOT, "sbl1.mbn": SBL1})


def md5(data: bytes) -> str:
    """Return the MD5 of data in hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def step(operation: str, partition: str = "", filename: str = "", data: bytes = b"") -> str:
    """Return a step; the MD5 is that of data."""
    words = [f'operation="{operation}"', f'partition="{partition}"']
    if filename:
        words += [f'filename="{filename}"', f'MD5="{md5(data)}"']
    return f"    <step {' '.join(words)}/>"


HEADER = """<header>
    <phone_model model="potter"/>
    <software_version version="potter-user 8.1.0"/>
    <subsidy_lock_config MD5="d41d8cd98f00b204e9800998ecf8427e" name="slcf_rev_d_default.nvm"/>
    <sparsing enabled="true" max-sparse-size="268435456"/>
  </header>"""


def document(*steps: str) -> bytes:
    """Return a flashfile.xml."""
    lines = "\n".join(
        [
            '    <step operation="getvar" var="max-sparse-size"/>',
            '    <step operation="oem" var="fb_mode_set"/>',
            *steps,
            '    <step operation="oem" var="fb_mode_clear"/>',
        ]
    )
    text = f'<flashing>\n  {HEADER}\n  <steps interface="AP">\n{lines}\n  </steps>\n</flashing>'
    return f'<?xml version="1.0" ?>\n{text}\n'.encode()


def package(folder: Path, *extra: str, **changed: bytes) -> Path:
    """Write a package; changed: files that are others, by their names with `_` for `.` and `-`."""
    files = {"gpt.bin": gpt_bin(), "bootloader.img": bootloader(), **IMAGES}
    names = {re.sub(r"[.-]", "_", name): name for name in files}
    files |= {names[name]: data for name, data in changed.items()}
    where = {"gpt.bin": "partition", "bootloader.img": "bootloader", **WHERE}
    flashed = [step("flash", where[name], name, files[name]) for name in where]
    flashed += [step("erase", name) for name in ("modemst1", "modemst2", "odd", "carrier", "DDR")]
    wiped = [step("erase", name) for name in ("cache", "userdata")]
    folder.mkdir(parents=True, exist_ok=True)
    files["servicefile.xml"] = document(*flashed, *extra)
    files["flashfile.xml"] = document(*flashed, *wiped, *extra)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
