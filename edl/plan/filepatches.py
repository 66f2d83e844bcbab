# SPDX-License-Identifier: BSD-3-Clause
"""Patches of files: what rows change in a file of the package before it is written."""

from __future__ import annotations

from edl.chunks import Content, read_all
from edl.errors import DocumentError
from edl.files import File
from edl.formats.rawprogram import PatchRow, ProgramRow
from edl.formats.sparse import is_sparse
from edl.plan.images import Note, Run
from edl.plan.model import Geometry
from edl.plan.patching import Overlaid, patch_file
from edl.units import MIB

_MAX_BYTES = 16 * MIB  # files that rows patch are partition tables


class FilePatches:
    """The patch rows of all files; each file is worked out once a LUN."""

    def __init__(self, geometry: Geometry, note: Note) -> None:
        self._geometry = geometry
        self._note = note
        self._rows: dict[File, list[PatchRow]] = {}
        self._sectors: dict[tuple[File, int], dict[int, bytes]] = {}

    def add(self, file: File, row: PatchRow) -> None:
        """Take down that row patches file."""
        self._rows.setdefault(file, []).append(row)

    def used(self, file: File) -> bool:
        """Tell whether a row has written file."""
        return any(written == file for written, _ in self._sectors)

    def overlaid(self, content: Content, file: File, row: ProgramRow, run: Run) -> Content:
        """Return content, which is that of run, with the patches applied.

        Raises:
            ImageError: the file cannot be read.
        """
        if file not in self._rows:
            return content
        key = (file, row.lun)
        if key not in self._sectors:
            self._sectors[key] = self._patched(file, row)
        unit = self._geometry.sector_bytes
        first = run.file_offset // unit
        inside = range(first, first + content.size_bytes // unit)
        sectors = tuple(
            (sector - first, data)
            for sector, data in sorted(self._sectors[key].items())
            if sector in inside
        )
        return Overlaid(content, unit, sectors) if sectors else content

    def _patched(self, file: File, row: ProgramRow) -> dict[int, bytes]:
        """Return the sectors of the file that rows patch, as they are afterwards."""
        patches = self._rows[file]
        data = _read(file, self._geometry.sector_bytes)
        if data is None or is_sparse(bytes(data[:4])):
            self._note(
                "patched-image",
                f"The row patches '{row.filename}', which is no partition table: it is sparse, or"
                f" larger than {_MAX_BYTES} bytes.",
                patches[0],
                remedy="Use an unchanged package.",
            )
            return {}
        unit, disk = self._geometry.sector_bytes, self._geometry.luns[row.lun]
        sectors = set()
        for patch in patches:
            try:
                pages = self._geometry.pages_per_block
                sectors.add(patch_file(data, patch, unit, disk, pages))
            except DocumentError as error:
                self._note("bad-patch", error.message, patch, remedy="Use an unchanged package.")
        return {at: bytes(data[at * unit : (at + 1) * unit]) for at in sectors}


def _read(file: File, unit: int) -> bytearray | None:
    """Return the file in whole sectors of unit bytes, or None if it is too large to be a table."""
    size = file.size_bytes
    if size > _MAX_BYTES:
        return None
    return bytearray(read_all(file.content, 0, size).ljust(-(-size // unit) * unit, b"\0"))
