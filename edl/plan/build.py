# SPDX-License-Identifier: BSD-3-Clause
"""From a package and a storage to a plan. Nothing is touched but the package's files.

All problems are collected: a user learns everything that is wrong before the first write, and once.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
from dataclasses import dataclass, field, replace
from pathlib import Path

from edl.errors import DocumentError, ImageError, PackageError
from edl.files import File
from edl.firehose.commands import Area, Power
from edl.formats.expressions import Crc32, Expression, resolve
from edl.formats.rawprogram import EraseRow, PatchRow, PowerRow, ProgramRow, ReadRow, Row
from edl.package import Package
from edl.plan import holes, images, nand, plausible
from edl.plan.assumed import assumed_geometry
from edl.plan.filepatches import FilePatches
from edl.plan.model import (
    Erase,
    Finding,
    Geometry,
    Patch,
    Plan,
    ReadOut,
    Severity,
    Step,
    Write,
    overlaps,
    plural,
)
from edl.plan.patching import number, require_fit

__all__ = ["USER_DATA", "Options", "assumed_geometry", "build"]

USER_DATA = frozenset({"userdata", "metadata", "cache"})

_BOOT_LABELS = {"xbl", "xbl_a", "sbl1", "sbl1_a"}
_MAX_NAME_BYTES = 200  # of a file to read into; file systems take 255 with what is appended


@dataclass(frozen=True)
class Options:
    """What the user wants of a package.

    luns, only, skip: restrict the rows (labels in lower case; only empty = all). keep: labels whose
    rows are taken only if `only` names them. allow_missing: leave out rows whose file is missing.
    zero_holes: blank what sparse images leave open. erase_luns: LUNs that rows without a range may
    erase as a whole. read_folder: where <read> rows put their files.
    """

    luns: frozenset[int] = frozenset()
    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    keep: frozenset[str] = frozenset()
    allow_missing: bool = False
    zero_holes: bool = False
    erase_luns: frozenset[int] = frozenset()
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
        self._absent: set[int] = set()  # LUNs that rows name and the storage does not have
        self._spared: list[Area] = []  # where rows would write that are left out
        self._dropped = 0  # patches that go with those
        self._holes: list[Erase] = []  # what sparse images leave open
        self._last_pieces: dict[File, int] = {}  # by file: where its last piece begins
        self._patched = FilePatches(geometry, self._note)

    def plan(self) -> Plan:
        luns = self._options.luns
        rows = [row for row in self._package.rows if not luns or row.lun in luns]
        self._check_counting(rows)
        self._check_names()
        for row in rows:
            self._prepare(row)
        # Patches come last: they change what the other rows put there.
        for row in sorted(rows, key=_rank):
            self._take(row)
        zero = self._options.zero_holes
        steps, stay = holes.settled(self._holes, self._steps, zero=zero)
        self._left_out += stay
        self._check_twins(rows)
        self._tell_left_out()
        return Plan(
            job="rawprogram",
            title=self._package.title,
            geometry=self._geometry,
            steps=tuple(steps),
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
        where = _where(row) if row is not None else ""
        self._findings.append(Finding(code, severity, _shown(message), where, remedy))

    def _check_counting(self, rows: list[Row]) -> None:
        """Sector size of the package against the storage: once, not a row."""
        right = self._geometry.sector_bytes
        wrong = [row for row in rows if row.sector_bytes not in {None, right}]
        if wrong:
            kind = {512: "eMMC", 4096: "UFS"}
            size = wrong[0].sector_bytes or 0
            self._note(
                "wrong-sector-size",
                f"The package counts sectors of {size} bytes ({kind.get(size, 'another storage')}),"
                f" the storage has sectors of {right} bytes"
                f" ({kind.get(right, self._geometry.memory)}).",
                wrong[0],
                remedy=f"Use the package for the {kind.get(right, 'other')} variant of the phone.",
            )
        for warning in self._package.warnings:
            where, _, text = warning.partition(": ")
            self._findings.append(Finding("odd-row", Severity.WARNING, text, where))

    def _check_names(self) -> None:
        """Names that the user gave against those of the package: a typo must not go unnoticed."""
        labels = {getattr(row, "label", "").lower() for row in self._package.rows} - {""}
        for names, severity in (
            (self._options.only, Severity.ERROR),
            (self._options.skip, Severity.WARNING),
        ):
            for name in sorted(names - labels):
                similar = difflib.get_close_matches(name, sorted(labels))
                meant = f"Did you mean {' or '.join(similar)}?" if similar else ""
                self._note(
                    "no-such-name",
                    f"No row of the package is named '{name}'.",
                    remedy=meant or "See the names with: edl check PACKAGE.",
                    severity=severity,
                )

    def _check_twins(self, rows: list[Row]) -> None:
        """Tell of a boot chain of which the package writes one copy only."""
        if self._options.only or self._options.skip:
            return
        written = [step.label for step in self._steps if isinstance(step, Write)]
        described = [row.label for row in rows if isinstance(row, ProgramRow)]
        if pairs := plausible.lacking_twins(written, described):
            names = ", ".join(f"{first} but not {twin}" for first, twin in pairs)
            self._note(
                "twin-missing",
                f"The package writes only one copy of the boot chain: {names}.",
                remedy="If the phone does not start afterwards, write them to the copies too.",
                severity=Severity.WARNING,
            )

    def _tell_left_out(self) -> None:
        told = (
            (self._described, "they name no file: they only describe the layout", "row"),
            (self._dropped, "they change what is left out", "patch row"),
        )
        self._left_out += [(plural(count, word), why) for count, why, word in told if count]
        if self._missing:
            names = ", ".join(dict.fromkeys(self._missing))
            self._left_out.append((names, "missing, and --allow-missing"))

    # -- rows -----------------------------------------------------------------------------------

    def _prepare(self, row: Row) -> None:
        """Note what row means for other rows: patches of their files, pieces of one file."""
        if not isinstance(row, PatchRow | ProgramRow) or row.filename in {"", "DISK"}:
            return
        file = None
        with contextlib.suppress(PackageError, ImageError):  # told when the row is taken
            file = self._package.locate(row.filename, row.file)
        if file and isinstance(row, PatchRow):
            self._patched.add(file, row)
        elif file and isinstance(row, ProgramRow):
            last = max(self._last_pieces.get(file, 0), row.file_sector_offset)
            self._last_pieces[file] = last

    def _wanted(self, row: Row) -> bool:
        if isinstance(row, PatchRow | PowerRow):
            return True
        name = getattr(row, "label", "").lower()
        options = self._options
        if name in options.skip or (options.only and name not in options.only):
            return False
        if name not in options.keep - options.only or not isinstance(row, ProgramRow | EraseRow):
            return True
        if isinstance(row, EraseRow) or row.filename:
            told = (row.label, "it replaces your data; --wipe takes it as well")
            self._left_out += [] if told in self._left_out else [told]
        return False

    def _take(self, row: Row) -> None:
        if not self._wanted(row):
            self._spare(row)
            return
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
                case _:  # a PowerRow
                    self._left_out.append((_where(row), "--reset decides, not a row"))
        except DocumentError as error:
            code = "bad-patch" if isinstance(row, PatchRow) else "bad-expression"
            self._note(code, error.message, row, remedy="Use an unchanged package.")
        except ImageError as error:
            self._note(error.code, error.message, row, remedy=next(iter(error.remedies), ""))
        except OSError as error:
            told = f"{error.filename} cannot be used: {error.strerror}."
            self._note("image", told, row, remedy="Choose another folder.")

    def _spare(self, row: Row) -> None:
        """Note where row, which is left out, would have written."""
        disk = self._geometry.luns.get(row.lun)
        if isinstance(row, ProgramRow) and row.filename and disk is not None:
            with contextlib.suppress(DocumentError):
                first = resolve(row.start, disk)
                unit = self._geometry.sector_bytes
                self._spared.append(Area(row.lun, first, max(row.sectors, 1), unit))

    def _area(self, row: Row, start: Expression, sectors: int) -> Area | None:
        """Return the place of row if it lies on the storage, else note why not."""
        unit = self._geometry.sector_bytes
        if row.sector_bytes not in {None, unit}:
            return None  # told once for all rows
        disk = self._geometry.luns.get(row.lun)
        if disk is None:
            if row.lun not in self._absent:
                self._absent.add(row.lun)
                self._note(
                    "no-such-lun",
                    f"The package has rows for LUN {row.lun}, which this phone does not have.",
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
        return Area(row.lun, first, sectors, unit)

    def _refused(self, row: ProgramRow | EraseRow) -> bool:
        """Tell whether row is for NAND and the storage is not, or the other way round."""
        told = nand.mismatch(row.pages_per_block, self._geometry)
        if told:
            self._note("nand", told, row, remedy="Use the package for this kind of storage.")
        return bool(told)

    def _program(self, row: ProgramRow) -> None:
        if not row.filename:
            self._described += 1
            return
        if self._refused(row):
            return
        file = self._package.locate(row.filename, row.file)
        if file is None and self._options.allow_missing:
            self._missing.append(row.filename)
            self._spare(row)
            return
        file = self._package.find(row.filename, row.file)
        unit = row.sector_bytes or self._geometry.sector_bytes
        self._check_kind(row, file)
        piece = row.file_sector_offset < self._last_pieces.get(file, 0)
        for run in images.runs(file, row, unit, piece, self._note):
            if row.pages_per_block is not None:
                self._flash(row, run, unit)
            elif run.hole:
                self._hole(row, run, unit)
            else:
                self._write(row, run, unit)

    def _hole(self, row: ProgramRow, run: images.Run, unit: int) -> None:
        """Note what an image leaves open; what lies behind the storage's end is nothing."""
        disk = self._geometry.luns.get(row.lun)
        if disk is None or unit != self._geometry.sector_bytes:
            return  # told when the data is placed
        start = resolve(row.start, disk) + run.offset_bytes // unit
        count = min(run.length // unit, disk - start)
        if count > 0:
            area = Area(row.lun, start, count, unit)
            self._holes.append(Erase(area, _shown(row.label), _where(row)))

    def _check_kind(self, row: ProgramRow, file: File) -> None:
        """Stop at an image that is recognised and belongs to another partition."""
        if row.file_sector_offset:
            return
        kind = plausible.misplaced(row.label, images.head(file, plausible.HEAD_BYTES))
        if kind is not None:
            self._note(
                "wrong-image",
                f"'{row.filename}' is of another kind than partition {row.label} holds:"
                f" {kind.text}.",
                row,
                remedy=f"Use an unchanged package, or leave it out: --skip {row.label}.",
            )

    def _write(self, row: ProgramRow, run: images.Run, unit: int) -> None:
        place = replace(row.start, number=row.start.number + run.offset_bytes // unit)
        area = self._area(row, place, -(-run.length // unit))
        if area is not None:
            content = self._patched.overlaid(run.content(area.size_bytes), run.file, row, run)
            label, name = _shown(row.label), _shown(row.filename)
            self._steps.append(Write(area, content, label, name, _where(row)))

    def _flash(self, row: ProgramRow, run: images.Run, unit: int) -> None:
        """Write a file to NAND: to all of the row's place, around bad blocks."""
        if run.hole or run.offset_bytes:
            told = f"'{row.filename}' is sparse with holes: NAND cannot be written in parts."
            self._note("nand", told, row, remedy="Use an unchanged package.")
            return
        area = self._area(row, row.start, -(-run.length // unit))
        if area is None:
            return
        last = row.last_sector
        if last is None:
            last = area.start_sector + max(row.sectors, area.sectors) - 1
        count = max(last + 1 - area.start_sector, area.sectors)
        room = self._area(row, row.start, nand.whole_blocks(count, self._geometry))
        if room is not None:
            content = self._patched.overlaid(run.content(area.size_bytes), run.file, row, run)
            label, name = _shown(row.label), _shown(row.filename)
            self._steps.append(Write(area, content, label, name, _where(row), room))

    def _check_file_patch(self, row: PatchRow) -> None:
        file = self._package.locate(row.filename, row.file)
        if file is None or not self._patched.used(file):
            told = (row.filename, "rows patch it, but no row writes it")
            if told not in self._left_out:
                self._left_out.append(told)

    def _erase(self, row: EraseRow) -> None:
        if self._refused(row):
            return
        start, sectors = row.start, row.sectors
        if start is None:
            if row.lun not in self._options.erase_luns:
                self._note(
                    "whole-lun-erase",
                    f"The row erases all of LUN {row.lun}, partitions unique to this phone"
                    " included.",
                    row,
                    remedy=f"Leave the file out; or insist with --erase-lun {row.lun}.",
                )
                return
            start, sectors = Expression("0", 0), self._geometry.luns.get(row.lun, 0)
        area = self._area(row, start, sectors)
        if area is not None:
            self._steps.append(Erase(area, _shown(row.label), _where(row)))

    def _read(self, row: ReadRow) -> None:
        if not row.filename:
            self._described += 1
            return
        name = row.filename.replace("\\", "/").rsplit("/", 1)[-1]
        if name in {"", ".", ".."} or len(name.encode()) > _MAX_NAME_BYTES or row.sectors == 0:
            told = f"The row reads nothing, or into no file: '{row.filename[:80]}'."
            self._note("bad-read", told, row, remedy="Use an unchanged package.")
            return
        area = self._area(row, row.start, row.sectors)
        if area is None:
            return
        path = self._options.read_folder / name
        taken = {step.path.name.lower() for step in self._steps if isinstance(step, ReadOut)}
        if name.lower() in taken or path.exists():
            self._note(
                "would-overwrite",
                f"The row reads into {path}, which exists already or is read into twice.",
                row,
                remedy="Move that file away, or choose another folder with --dir.",
            )
            return
        self._steps.append(ReadOut(area, path, _shown(row.label), _where(row)))

    def _patch(self, row: PatchRow) -> None:
        area = self._area(row, row.start, 1)
        if area is None:
            return
        if not self._goes_along(area):
            self._dropped += 1
            return
        require_fit(row, area.sector_bytes)
        disk = self._geometry.luns[row.lun]
        value: int | Crc32
        if isinstance(row.value, Crc32):
            start = resolve(row.value.start, disk)
            value = replace(row.value, start=Expression(str(start), start))
            if start * area.sector_bytes + value.length_bytes > disk * area.sector_bytes:
                raise DocumentError(f"'{row.value.text}' leaves LUN {row.lun}.")
        else:
            value = number(row, row.value, disk)
        self._patches.append(
            Patch(
                row.lun, area.start_sector, area.sector_bytes, row.byte_offset, row.size_in_bytes,
                value, _shown(row.what), _where(row),
            )
        )  # fmt: skip

    def _goes_along(self, sector: Area) -> bool:
        """Tell whether a patch of sector belongs to the rows that are wanted.

        One that would change what is left out is left out too: it was made for what the package
        writes there, and not for what the phone has.
        """
        if not self._options.only and not any(overlaps(area, sector) for area in self._spared):
            return True
        return any(isinstance(step, Write) and overlaps(step.area, sector) for step in self._steps)

    def _bootable(self) -> int | None:
        """Return what setbootablestoragedrive should get: where the first boot loader is written.

        As qdl does; on UFS the LUN, on eMMC the user area, 0.
        """
        for step in self._steps:
            if isinstance(step, Write) and step.label.lower() in _BOOT_LABELS:
                return step.area.lun if self._geometry.memory == "ufs" else 0
        return None


def _rank(row: Row) -> int:
    """Return when row is carried out: patches change what other rows put there.

    Packages for NAND erase places behind the rows that program them: the makers' tools sort them.
    """
    if isinstance(row, EraseRow) and row.pages_per_block is not None:
        return 0
    return 2 if isinstance(row, PatchRow) else 1


def _where(row: Row) -> str:
    return _line(row.file, row.line)


@functools.lru_cache(maxsize=64)  # one text for all the runs of a sparse image
def _line(file: str, line: int) -> str:
    return f"{file}:{line}"


@functools.lru_cache(maxsize=64)
def _shown(text: str) -> str:
    """Return text of a document without what could drive a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
