# SPDX-License-Identifier: BSD-3-Clause
"""A package to try everything with: a real board's layout, and images that are made up by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from edl.errors import DiskError, UsageError
from edl.formats.rawprogram import ProgramRow, read_rawprogram
from edl.units import MIB

_LAYOUT = ("rawprogram0.xml", "patch0.xml", "gpt_main0.bin", "gpt_backup0.bin")
_ZEROS = (
    "zeros_33sectors.bin",
    33 * 512,
)  # ptool makes it beside the tables: it blanks a partition
_MAX_IMAGE_BYTES = 3 * MIB


def made_up(name: str, room_bytes: int) -> bytes:
    """Return the image called name: its size and content follow from its name.

    room_bytes: size of the partition, 0 if it is not limited. The rule is that of the golden builds
    (tests/golden/builds/README.md), so that their digests hold for this package too.
    """
    seed = b"golden" + name.encode()
    room = min(room_bytes or _MAX_IMAGE_BYTES, _MAX_IMAGE_BYTES)
    wish = 1 + int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") % _MAX_IMAGE_BYTES
    return hashlib.shake_256(seed).digest(min(room, wish))


def fill(folder: Path, documents: Iterable[str]) -> int:
    """Make the images that the rawprogram files in folder name and that are not there.

    Returns how many there are. The first row that names a file fixes its size.
    """
    count = 0
    for document in documents:
        rows = read_rawprogram((folder / document).read_bytes(), document)
        for row in rows.of(ProgramRow):
            path = folder / row.filename
            if row.filename and not path.exists():
                path.write_bytes(made_up(row.filename, row.sectors * (row.sector_bytes or 512)))
                count += 1
    return count


def make_sample(folder: Path, loader: Path | None = None) -> int:
    """Make the sample package in folder, which is new or empty; return the number of its files.

    loader: a programmer to put into it, as stock packages have one.

    Raises:
        UsageError: folder is not empty.
        DiskError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty.", remedies=("Choose another folder.",))
        data = resources.files("edl.data") / "sample"
        for name in _LAYOUT:
            (folder / name).write_bytes((data / name).read_bytes())
        name, size = _ZEROS
        (folder / name).write_bytes(bytes(size))
        count = len(_LAYOUT) + 1 + fill(folder, ["rawprogram0.xml"])
        if loader is not None:
            (folder / "prog_firehose_ddr.elf").write_bytes(loader.read_bytes())
            count += 1
    except OSError as error:
        raise DiskError(f"No package can be made in {folder}: {error.strerror}.") from error
    return count
