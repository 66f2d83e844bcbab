# SPDX-License-Identifier: BSD-3-Clause
"""The golden builds: real boards' layouts with images made by rule, and digests made elsewhere.

See tests/golden/builds/README.md. Digests come from an independent program, never from this one.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.virtual import sample

SOURCES = Path(__file__).parent / "golden" / "builds"
NAMES = ("apq8016-sbc-emmc", "qrb2210-rb1-emmc", "sdm845-db845c-ufs", "qcs6490-rb3gen2-ufs")


@dataclass(frozen=True)
class Build:
    """One build, complete. folder: the package. expected: what the disk must hold afterwards."""

    name: str
    folder: Path
    expected: dict[str, Any]

    @property
    def sector_bytes(self) -> int:
        """Sector size in bytes."""
        size: int = self.expected["sector_size"]
        return size

    @property
    def disk_sectors(self) -> dict[int, int]:
        """Sectors of each LUN."""
        return {int(lun): count for lun, count in self.expected["disk_sectors"].items()}


def make(name: str, folder: Path) -> Build:
    """Return the build called name, completed in folder."""
    source = SOURCES / name
    expected = json.loads((source / "expected.json").read_text())
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != "expected.json":
            shutil.copy(path, folder)
    sample.fill(folder, expected["rawprogram"])
    return Build(name, folder, expected)
