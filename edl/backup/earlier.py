# SPDX-License-Identifier: BSD-3-Clause
"""What an earlier backup holds of a phone: what has not changed since need not be read again.

Nothing of it is believed: it counts only where it has the digest that the phone tells now. So a
damaged backup, or that of another phone, costs time and no byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edl.backup import find
from edl.backup.folder import Backup, open_backup
from edl.errors import EdlError, ImageError
from edl.firehose.commands import Area


class Earlier:
    """The bytes of an earlier backup by where they were on the phone."""

    def __init__(self, backup: Backup) -> None:
        self._backup = backup
        self._unit = backup.manifest.storage.sector_bytes
        self._pool = ThreadPoolExecutor(1, "earlier")

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._backup.folder

    def fetching(self, area: Area) -> Callable[[], tuple[bytearray, bytes] | None]:
        """Look for area beside what else is done; call what is returned for data and SHA-256."""
        return self._pool.submit(self._fetch, area).result

    def _fetch(self, area: Area) -> tuple[bytearray, bytes] | None:
        held = self.data(area)
        return None if held is None else (held, hashlib.sha256(held).digest())

    def data(self, area: Area) -> bytearray | None:
        """Return what area held, zeros where the backup has nothing of it; None without any."""
        if area.sector_bytes != self._unit:
            return None
        found = bytearray(area.size_bytes)
        end = area.start_sector + area.sectors
        any_there = False
        for lun, extent in self._backup.extents():
            first = max(area.start_sector, extent.start_sector)
            count = min(end, extent.start_sector + extent.sectors) - first
            if lun.lun != area.lun or count <= 0:
                continue
            any_there = True
            at = (first - area.start_sector) * self._unit
            offset = (first - extent.start_sector) * self._unit
            try:
                for chunk in self._backup.content(extent).chunks(offset, count * self._unit):
                    found[at : at + len(chunk)] = chunk
                    at += len(chunk)
            except ImageError:
                return None
        return found if any_there else None


def earlier(serial: str | None, but: Path) -> Earlier | None:
    """Return the newest whole backup of the phone with serial, other than the one in but."""
    if serial is None:
        return None
    for known in find.find(serial):
        if known.state != "complete" or known.form == "unique parts":
            continue
        try:
            if known.path.resolve() != but.resolve():
                return Earlier(open_backup(known.path))
        except (EdlError, OSError):
            continue
    return None
