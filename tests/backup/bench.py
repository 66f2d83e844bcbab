# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones with something on them, and backups of them with small blocks."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

from edl.backup.folder import Backup
from edl.backup.save import Report, Request, prepare, save
from edl.device.storage import Storage
from edl.events import Emit
from edl.units import KIB
from edl.virtual.profiles import PhoneSpec
from tests.phones import Bench, spec
from tests.virtual.disks import Part, write_gpt

BLOCK = 256 * KIB
# In units of 64 KiB, end not included: xbl has data, userdata has some, modemst1 is unique.
LAYOUT = (("xbl_a", 2, 6), ("modemst1", 6, 8), ("userdata", 10, 40), ("ones", 40, 60))


def small(profile: str, **changes: Any) -> PhoneSpec:  # noqa: ANN401
    """Return a phone with just room for the layout on its first and its last LUN."""
    sectors = {0: 1024, 1: 64, 2: 1024} if profile.endswith("ufs") else {0: 8192}
    return spec(profile, sectors=sectors, **changes)


def fill(bench: Bench) -> None:
    """Write tables and data to LUN 0, and to the last LUN."""
    noise = random.Random(7)
    for number in (0, max(bench.flash.luns)):
        lun = bench.flash.luns[number]
        unit = 64 * KIB // lun.sector_bytes
        write_gpt(lun, [Part(name, start * unit, end * unit - 1) for name, start, end in LAYOUT])
        lun.write(2 * unit, noise.randbytes(4 * 64 * KIB))
        lun.write(6 * unit, noise.randbytes(100_000 // 4096 * 4096))
        lun.write(20 * unit, noise.randbytes(64 * KIB))
        lun.write(40 * unit, b"\xff" * (20 * 64 * KIB))
        lun.write(8 * unit, b"in a gap".ljust(lun.sector_bytes, b"\0"))


def take(
    storage: Storage,
    folder: Path,
    *,
    emit: Emit = lambda _: None,
    cancel: threading.Event | None = None,
    **options: Any,  # noqa: ANN401
) -> Report:
    """Make a backup."""
    request = Request(folder, block_bytes=BLOCK, **options)
    return save(storage, request, prepare(storage, request), emit=emit, cancel=cancel)


def whole(bench: Bench, lun: int) -> bytes:
    """Return what the phone holds."""
    return bench.flash.luns[lun].read(0, bench.flash.luns[lun].sectors)


def held(backup: Backup) -> dict[int, bytes]:
    """Return what a backup holds, by LUN; zeros where it has nothing."""
    unit = backup.manifest.storage.sector_bytes
    held = {lun.lun: bytearray(lun.sectors * unit) for lun in backup.manifest.luns}
    for lun, extent in backup.extents():
        at = extent.start_sector * unit
        for chunk in backup.content(extent).chunks(0, extent.sectors * unit):
            held[lun.lun][at : at + len(chunk)] = chunk
            at += len(chunk)
    return {lun: bytes(data) for lun, data in held.items()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
