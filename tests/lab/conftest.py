# SPDX-License-Identifier: BSD-3-Clause
"""The lab, a package, and what it should come to on a phone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import dumps, packs
from tests.cli.conftest import LOADER
from tests.conftest import REPO
from tests.lab import rack as racks


def _labgrid() -> Path | None:
    """Return the Python that has labgrid: never this one, whose pyserial is not labgrid's."""
    path = Path(os.environ.get("EDL_LABGRID", REPO / ".venv-labgrid" / "bin" / "python"))
    return path if path.exists() else None


def documented(language: str, word: str) -> str:
    """Return the one block of docs/lab.md in that language that has word in it."""
    page = (REPO / "docs" / "lab.md").read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    return str(block)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[racks.Rack]:
    """Return a lab with a coordinator, and no exporter yet."""
    python = _labgrid()
    if reason := racks.lacking(python):
        pytest.skip(reason)
    assert python is not None
    with racks.Rack(tmp_path_factory.mktemp("rack"), python) as rack:
        yield rack


SECTORS = 8192
IMAGES = {
    "xbl.elf": LOADER.read_bytes(),  # any whole ELF image starts
    "one.img": bytes(n % 251 for n in range(512 * 1024)),
    "two.img": bytes(n % 241 for n in range(1024 * 1024)),
}
_TABLE = dumps.table(SECTORS, {"xbl": 64, "one": 512, "two": 1024, "userdata": 0})
_PLACES = tuple(zip(IMAGES, _TABLE.partitions, strict=False))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a package for a phone of 4 MiB, which starts from it."""
    folder = tmp_path_factory.mktemp("package") / "rom"
    tables = _TABLE.images()
    rows = [packs.program(name, place.first_sector, place.sectors) for name, place in _PLACES]
    rows += [
        packs.program("gpt_main0.bin", 0, len(tables.primary) // 512, "PrimaryGPT"),
        packs.program(
            "gpt_backup0.bin", tables.backup_sector, len(tables.backup) // 512, "BackupGPT"
        ),
    ]
    packs.put(folder, {"rawprogram0.xml": packs.document(*rows), **IMAGES})
    packs.put(folder, {"gpt_main0.bin": tables.primary, "gpt_backup0.bin": tables.backup})
    shutil.copy(LOADER, folder / "prog_firehose_ddr.elf")
    return folder


def on_the_disk(phone: Path) -> dict[str, bytes]:
    """Return what lies where the package's images belong, from the file with the phone's disk."""
    disk = (phone / "user.img").read_bytes()
    starts = {name: place.first_sector * 512 for name, place in _PLACES}
    return {name: disk[start : start + len(IMAGES[name])] for name, start in starts.items()}
