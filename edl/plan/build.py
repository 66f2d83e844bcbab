# SPDX-License-Identifier: BSD-3-Clause
"""From a package and a storage to a plan. Nothing is touched but the package's files.

All problems are collected: a user learns everything that is wrong before the first write, and once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from edl.chunks import BytesContent, Content, FileContent
from edl.errors import DocumentError, ImageError, PackageError
from edl.firehose.commands import Area, Power
from edl.formats.expressions import Crc32, Expression, resolve
from edl.formats.rawprogram import EraseRow, PatchRow, PowerRow, ProgramRow, ReadRow, Row
from edl.package import Package
from edl.plan import images
from edl.plan.model import Erase, Finding, Geometry, Patch, Plan, ReadOut, Severity, Step, Write
from edl.plan.patching import patch_file

_BOOT_LABELS = {"xbl", "xbl_a", "sbl1", "sbl1_a"}
_MAX_PATCHED_FILE_BYTES = 16 * 1024 * 1024  # files that rows patch are partition tables


@dataclass(frozen=True)
class Options:
    """What the user wants of a package.

    luns, only, skip: restrict the rows (labels in lower case; only empty = all). allow_missing:
    leave out rows whose file is missing. read_folder: where <read> rows put their files.
    """

    luns: frozenset[int] = frozenset()
    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    allow_missing: bool = False
    set_bootable: bool = True
    reset: Power | None = Power.RESET
    read_folder: Path = field(default_factory=Path)


def build(package: Package, geometry: Geometry, options: Options | None = None) -> Plan:
    """Return the plan for package on a storage of geometry, with everything that was found.

    Findings of severity error mean that the plan must not be carried out.
    """
    return _Builder(package, geometry, options or Options()).plan()


class _Builder:
    def __init__(self, package: Package, geometry: Geometry, options: Options) -> None:
        self._package = package
        self._geometry = geometry
        self._options = options
        self._steps: list[Step] = []
        self._patches: list[Patch] = []
        self._findings: list[Finding] = []
        self._left_out = list(package.left_out)
        self._described = 0
        self._missing: list[str] = []
        self._file_patches: dict[str, list[PatchRow]] = {}
        self._pieces = Counter(
            row.filename.lower()
            for row in package.rows
            if isinstance(row, ProgramRow) and row.file_sector_offset
        )

    def plan(self) -> Plan:
        self._check_counting()
        rows = [row for row in self._package.rows if self._wanted(row)]
        for row in rows:
            if isinstance(row, PatchRow) and not row.on_disk:
                self._file_patches.setdefault(row.filename.lower(), []).append(row)
        for row in rows:
            self._take(row)
        self._tell_left_out()
        return Plan(
            job="rawprogram",
            title=self._package.title,
            geometry=self._geometry,
            steps=tuple(self._steps),
            patches=tuple(self._patches),
            bootable=self._bootable() if self._options.set_bootable else None,
            reset=self._options.reset,
            findings=tuple(self._findings),
            left_out=tuple(self._left_out),
        )

    # -- findings -------------------------------------------------------------------------------

    def _note(
        self,
        code: str,
        message: str,
        row: Row | None = None,
        *,
        remedy: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        where = f"{row.file}:{row.line}" if row is not None else ""
        self._findings.append(Finding(code, severity, message, where, remedy))

    def _check_counting(self) -> None:
        """Sector size and storage type of the package against the storage: once, not a row."""
        sizes = {row.sector_bytes for row in self._package.rows if row.sector_bytes}
        wrong = sorted(sizes - {self._geometry.sector_bytes})
        if wrong:
            kind = {512: "eMMC", 4096: "UFS"}
            right = self._geometry.sector_bytes
            self._note(
                "wrong-sector-size",
                f"The package counts sectors of {wrong[0]} bytes"
                f" ({kind.get(wrong[0], 'another storage')}), the storage has sectors of {right}"
                f" bytes ({kind.get(right, self._geometry.memory)}).",
                remedy=f"Use the package for the {kind.get(right, 'other')} variant of the phone.",
            )
        for warning in self._package.warnings:
            where, _, text = warning.partition(": ")
            self._findings.append(Finding("odd-figures", Severity.WARNING, text, where))

    def _tell_left_out(self) -> None:
        if self._described:
            self._left_out.append(
                (f"{self._described} rows", "they name no file: they only describe the layout")
            )
        if self._missing:
            self._left_out.append((", ".join(self._missing), "missing, and --allow-missing"))

    # -- rows -----------------------------------------------------------------------------------

    def _wanted(self, row: Row) -> bool:
        options = self._options
        if options.luns and row.lun not in options.luns:
            return False
        label = getattr(row, "label", None)
        if label is None:  # patches concern the partition table: they go with it
            return not options.only
        name = label.lower()
        return name not in options.skip and (not options.only or name in options.only)

    def _take(self, row: Row) -> None:
        try:
            match row:
                case ProgramRow():
                    self._program(row)
                case EraseRow():
                    self._erase(row)
                case ReadRow():
                    self._read(row)
                case PatchRow() if row.on_disk:
                    self._patch(row)
                case PatchRow():
                    self._check_file_patch(row)
                case PowerRow():
                    self._left_out.append((f"{row.file}:{row.line}", "--reset decides, not a row"))
        except DocumentError as error:
            self._note("bad-expression", error.message, row)
        except ImageError as error:
            self._note(error.code, error.message, row, remedy=_first(error.remedies))

    def _area(self, row: Row, start: Expression, sectors: int) -> Area | None:
        """Return the place of row if it lies on the storage, else note why not."""
        disk = self._geometry.luns.get(row.lun)
        if disk is None:
            self._note(
                "no-such-lun",
                f"The row is for LUN {row.lun}, which this phone does not have.",
                row,
                remedy="Use the package for the storage type of this phone.",
            )
            return None
        first = resolve(start, disk)
        if first + sectors > disk:
            self._note(
                "past-the-end",
                f"Sectors {first} to {first + sectors - 1} do not fit: LUN {row.lun} has {disk}.",
                row,
                remedy="Use the package for this storage size.",
            )
            return None
        return Area(row.lun, first, sectors, self._geometry.sector_bytes)

    def _program(self, row: ProgramRow) -> None:
        if not row.filename:
            self._described += 1
            return
        if row.pages_per_block is not None:
            self._note("nand", "The row is for NAND flash, which is not supported.", row)
            return
        try:
            path = self._package.find(row.filename, row.file)
        except PackageError as error:
            if self._options.allow_missing and "is missing" in error.message:
                self._missing.append(row.filename)
                return
            raise
        unit = row.sector_bytes or self._geometry.sector_bytes
        for run in images.runs(path, row, unit, self._is_piece(row), self._note):
            self._write(row, run, unit)

    def _is_piece(self, row: ProgramRow) -> bool:
        """Tell whether several rows share out one file, so that a row need not take all of it."""
        return self._pieces[row.filename.lower()] > 0

    def _write(self, row: ProgramRow, run: images.Run, unit: int) -> None:
        start = run.offset_bytes // unit
        sectors = -(-run.length // unit)
        place = replace(row.start, number=row.start.number + start)
        area = self._area(row, place, sectors)
        if area is None:
            return
        content = self._patched(row, run, area)
        self._steps.append(Write(area, content, row.label, row.filename, f"{row.file}:{row.line}"))

    def _patched(self, row: ProgramRow, run: images.Run, area: Area) -> Content:
        """Return the content of run with the package's patches to that file applied."""
        patches = self._file_patches.get(row.filename.lower())
        content = run.content(area.size_bytes)
        if not patches or not isinstance(content, FileContent):
            return content
        if run.length > _MAX_PATCHED_FILE_BYTES:
            self._note("patched-file-too-large", f"'{row.filename}' is patched by rows.", row)
            return content
        data = patch_file(content, patches, self._geometry.luns.get(row.lun))
        return BytesContent(data)

    def _check_file_patch(self, row: PatchRow) -> None:
        names = {r.filename.lower() for r in self._package.rows if isinstance(r, ProgramRow)}
        if row.filename.lower() not in names:
            self._left_out.append(
                (f"{row.file}:{row.line}", f"it patches '{row.filename}', which no row writes")
            )

    def _erase(self, row: EraseRow) -> None:
        if row.pages_per_block is not None:
            self._note("nand", "The row is for NAND flash, which is not supported.", row)
            return
        if row.start is None:
            self._note(
                "whole-lun-erase",
                f"The row erases all of LUN {row.lun}, partitions unique to this phone included.",
                row,
                remedy="Leave the file out; to wipe on purpose, use 'edl erase LUN'.",
            )
            return
        area = self._area(row, row.start, row.sectors)
        if area is not None:
            self._steps.append(Erase(area, row.label, f"{row.file}:{row.line}"))

    def _read(self, row: ReadRow) -> None:
        if not row.filename:
            self._described += 1
            return
        area = self._area(row, row.start, row.sectors)
        name = row.filename.replace("\\", "/").rsplit("/", 1)[-1]
        if area is None or name in {"", ".", ".."}:
            return
        path = self._options.read_folder / name
        if path.exists():
            self._note(
                "would-overwrite",
                f"The row reads into {path}, which exists already.",
                row,
                remedy="Move that file away, or choose another folder with --dir.",
            )
            return
        self._steps.append(ReadOut(area, path, row.label, f"{row.file}:{row.line}"))

    def _patch(self, row: PatchRow) -> None:
        area = self._area(row, row.start, 1)
        if area is None:
            return
        disk = self._geometry.luns[row.lun]
        value: int | Crc32
        if isinstance(row.value, Crc32):
            start = resolve(row.value.start, disk)
            value = replace(row.value, start=Expression(str(start), start))
            if start * area.sector_bytes + value.length_bytes > disk * area.sector_bytes:
                self._note("past-the-end", f"'{row.value.text}' leaves LUN {row.lun}.", row)
                return
        else:
            value = resolve(row.value, disk)
            if value >= 1 << (8 * row.size_in_bytes):
                message = f"{value} does not fit into {row.size_in_bytes} bytes."
                self._note("patch-too-large", message, row)
                return
        if row.byte_offset + row.size_in_bytes > area.sector_bytes:
            self._note("patch-past-sector", f"Byte {row.byte_offset} leaves the sector.", row)
            return
        self._patches.append(
            Patch(
                row.lun, area.start_sector, area.sector_bytes, row.byte_offset, row.size_in_bytes,
                value, row.what, f"{row.file}:{row.line}",
            )
        )  # fmt: skip

    def _bootable(self) -> int | None:
        """Return what setbootablestoragedrive should get: where the first boot loader is written.

        As qdl does; on UFS the LUN, on eMMC the user area, 0.
        """
        for step in self._steps:
            if isinstance(step, Write) and step.label.lower() in _BOOT_LABELS:
                return step.area.lun if self._geometry.memory == "ufs" else 0
        return None


def assumed_geometry(package: Package) -> Geometry:
    """Return a storage on which package fits, for plans without a phone."""
    unit = package.sector_bytes or 512
    need: dict[int, int] = {}
    for row in package.rows:
        for start, sectors in _places(row):
            tail = sectors if not start.needs_disk else abs(start.number)
            end = sectors + (start.number if not start.needs_disk else 0)
            need[row.lun] = max(need.get(row.lun, 0), end) + (tail if start.needs_disk else 0)
    smallest = (1 << 30) // unit
    luns = {lun: max(smallest, 1 << (end * 2).bit_length()) for lun, end in need.items()}
    memory = "emmc" if unit == 512 else "ufs"
    return Geometry(memory, unit, luns, assumed=True)


def _places(row: Row) -> Iterable[tuple[Expression, int]]:
    if isinstance(row, ProgramRow | ReadRow):
        yield row.start, max(row.sectors, 1)
    elif isinstance(row, EraseRow) and row.start is not None:
        yield row.start, row.sectors
    elif isinstance(row, PatchRow) and row.on_disk:
        yield row.start, 1


def _first(texts: tuple[str, ...]) -> str:
    return texts[0] if texts else ""
