# SPDX-License-Identifier: BSD-3-Clause
"""A storage made up for a package, so that it can be looked through without a phone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edl.errors import ImageError, PackageError
from edl.formats.expressions import Expression
from edl.formats.rawprogram import EraseRow, PatchRow, ProgramRow, ReadRow, Row
from edl.package import Package
from edl.plan import images
from edl.plan.model import Geometry
from edl.units import GIB


def assumed_geometry(package: Package) -> Geometry:
    """Return a storage on which package fits, for plans without a phone."""
    unit = package.sector_bytes or 512
    flash = (row for row in package.rows if isinstance(row, ProgramRow | EraseRow))
    pages = next((row.pages_per_block for row in flash if row.pages_per_block), None)
    ends: dict[int, int] = {}  # by LUN: what is needed from its beginning on, and at its end
    tails: dict[int, int] = {}
    for row in package.rows:
        for start, sectors in _places(package, row, unit):
            if start.needs_disk:
                tails[row.lun] = max(tails.get(row.lun, 0), sectors, abs(start.number))
                ends.setdefault(row.lun, 0)
            else:
                ends[row.lun] = max(ends.get(row.lun, 0), start.number + sectors)
    smallest = GIB // unit
    luns = {
        lun: max(smallest, 1 << (end + tails.get(lun, 0)).bit_length()) for lun, end in ends.items()
    }
    memory = "nand" if pages else "emmc" if unit == 512 else "ufs"
    return Geometry(memory, unit, luns, assumed=True, pages_per_block=pages)


def _places(package: Package, row: Row, unit: int) -> Iterator[tuple[Expression, int]]:
    """Yield where row acts, and on how many sectors."""
    if isinstance(row, ProgramRow):
        size = 0
        with contextlib.suppress(PackageError, ImageError):
            if row.filename and not row.sectors:  # as long as the file is
                size = images.size_bytes(package.find(row.filename, row.file))
        yield row.start, row.sectors or max(-(-size // unit), 1)
    elif isinstance(row, ReadRow | EraseRow) and row.start is not None:
        yield row.start, row.sectors
    elif isinstance(row, PatchRow) and row.on_disk:
        yield row.start, 1
