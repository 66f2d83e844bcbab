# SPDX-License-Identifier: BSD-3-Clause
"""What a package, a dump or a backup holds for each partition, as one content each.

Packages cut partitions into pieces: rows of several files, sparse images that fill each other's
holes. Here the pieces are put together, and what none of them says anything about is kept in mind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from edl.chunks import Content, FillContent
from edl.contents import Joined
from edl.errors import DocumentError, ImageError, PackageError
from edl.files import File
from edl.formats.expressions import Expression
from edl.formats.mbn import read_image
from edl.formats.rawprogram import ProgramRow, Row
from edl.formats.sparse import is_sparse
from edl.images.parts import Part
from edl.loaders import HEAD_BYTES, looks_like_programmer
from edl.package import NamedImage, Package
from edl.partitions import classify
from edl.plan import images
from edl.plan.images import Run
from edl.plan.model import Severity

_SUFFIXES = {".img", ".bin", ".mbn", ".elf", ".melf", ".raw", ".simg", ".fv", ".ext4", ".erofs"}
LOGICAL = "super/"  # in front of the names of logical partitions
_DEFAULT_UNIT = 512
_NOWHERE = Expression("0", 0)
_MAX_LOADER_BYTES = 64 << 20

Span = tuple[int, int]  # offset and length in bytes


@dataclass(frozen=True)
class Holding:
    """What goes to one partition.

    Attributes:
        name: the partition's, or the file's where nothing else is known.
        content: all of it, raw; what is left open reads as zeros.
        written: the parts of it that are said, in order; the rest is left open.
        lun, start, unit: where it goes and in sectors of what size; None if the phone decides.
        files: of the package, that its bytes come from.
        named: it is for a partition that only the phone's tables place.
        row: which of the package's rows is the last that writes it, counted from 0; -1: none.
    """

    name: str
    content: Content
    written: tuple[Span, ...]
    lun: int | None = None
    start: Expression | None = None
    unit: int | None = None
    files: tuple[File, ...] = ()
    named: bool = False
    row: int = -1

    @property
    def size_bytes(self) -> int:
        """How large it is, unpacked."""
        return self.content.size_bytes

    @property
    def pieces(self) -> tuple[object, ...]:
        """What is equal where the same bytes go to several partitions."""
        return (self.files, self.written, self.size_bytes)


@dataclass(frozen=True)
class Held:
    """All that a package holds. problems: (name, reason) of what cannot be had."""

    holdings: tuple[Holding, ...]
    problems: tuple[tuple[str, str], ...] = ()


def of_parts(parts: Iterable[Part]) -> Held:
    """Return what is in parts of a dump, a backup or a `super`; what is cut off is a problem."""
    found = []
    problems = []
    for part in parts:
        there = part.size_bytes - part.missing_bytes
        if part.kind.code == "missing" or part.missing_bytes:
            problems.append(
                (part.label, f"it is {part.kind.text}" if not there else "it is cut off")
            )
        elif there:
            first = part.partition.first_sector if part.partition is not None else None
            start = None if first is None else Expression(str(first), first)
            span = (0, part.size_bytes)
            found.append(Holding(part.label, part.content, (span,), part.lun, start))
    return Held(tuple(found), tuple(problems))


def of_package(package: Package) -> Held:
    """Return what package holds: by its rows, by name, and images that it names nowhere.

    What is missing or damaged is a problem, and does not stop the others.
    """
    gathered = _Gathered(package)
    last = _last_pieces(package)
    for index, row in enumerate(package.rows):
        if isinstance(row, ProgramRow) and row.filename:
            gathered.take(row, last, index)
    for image in package.named:
        if image.filename:
            gathered.take(_row_of(image), last)
    gathered.take_others()
    return gathered.held()


def _last_pieces(package: Package) -> dict[tuple[str, str], int]:
    """Return where the last piece of each file begins, in sectors."""
    last: dict[tuple[str, str], int] = {}
    for row in package.rows:
        if isinstance(row, ProgramRow):
            key = (row.filename, row.file)
            last[key] = max(last.get(key, 0), row.file_sector_offset)
    return last


def _row_of(image: NamedImage) -> ProgramRow:
    return ProgramRow(
        image.document, image.line, -1, None, {},
        _NOWHERE, 0, image.filename, image.partition, True, 0, False, None, None,
    )  # fmt: skip


@dataclass
class _Building:
    """A holding while its pieces are found. pieces: offset and content; size: its end so far."""

    first: Holding
    pieces: list[tuple[int, Content]] = field(default_factory=list)
    size_bytes: int = 0
    files: dict[File, None] = field(default_factory=dict)
    row: int = -1


class _Gathered:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._buildings: list[_Building] = []
        self._by_key: dict[tuple[int | None, str], _Building] = {}
        self._problems: list[tuple[str, str]] = []
        self._used: set[File] = set()

    def take(self, row: ProgramRow, last: dict[tuple[str, str], int], index: int = -1) -> None:
        """Take what row writes. index: of the row; -1 if it is made for a named image."""
        unit = row.sector_bytes or self._package.sector_bytes or _DEFAULT_UNIT
        piece = row.file_sector_offset < last.get((row.filename, row.file), 0)
        try:
            file = self._package.find(row.filename, row.file)
            self._used.add(file)
            if not row.sparse and is_sparse(file.head(4)):
                row = replace(row, sparse=True)
            runs = list(images.runs(file, row, unit, piece, self._note))
        except (PackageError, ImageError, DocumentError) as error:
            self._problems.append((row.label or row.filename, error.message))
            return
        if runs:
            self._put(row, unit, file, runs, index)

    def _note(
        self,
        code: str,
        message: str,
        row: Row | None = None,
        *,
        remedy: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        if severity is Severity.ERROR:
            self._problems.append((getattr(row, "label", "") or code, message))

    def _put(self, row: ProgramRow, unit: int, file: File, runs: list[Run], index: int) -> None:
        building = self._building(row, unit, named=index < 0)
        start = building.first.start
        at = 0 if start is None else (row.start.number - start.number) * unit
        building.files[file] = None
        building.row = index
        for run in runs:
            offset = at + run.offset_bytes
            if not run.hole:
                building.pieces.append((offset, run.content(run.length)))
            building.size_bytes = max(building.size_bytes, offset + run.length)

    def _building(self, row: ProgramRow, unit: int, *, named: bool) -> _Building:
        """Return the one that row goes on with, or a new one."""
        name = row.label or PurePosixPath(row.filename.replace("\\", "/")).stem
        lun, start = (None, None) if named else (row.lun, row.start)
        found = self._by_key.get((lun, name.lower()))
        if found is not None and _goes_on(found.first.start, row.start):
            return found
        found = _Building(Holding(name, FillContent(0), (), lun, start, unit, named=named))
        self._by_key[(lun, name.lower())] = found
        self._buildings.append(found)
        return found

    def take_others(self) -> None:
        """Take images that no row names: parts of `super` in an update, for example."""
        for path, file in self._others():
            row = _row_of(NamedImage(PurePosixPath(path).stem, path, ""))
            try:
                known = (None, row.label.lower()) in self._by_key
                if known or not file.size_bytes or _is_programmer(file):
                    continue
                runs = list(images.runs(file, row, _DEFAULT_UNIT, False, self._note))
            except (ImageError, DocumentError, PackageError) as error:
                self._problems.append((path, error.message))
                continue
            self._put(row, _DEFAULT_UNIT, file, runs, -1)

    def _others(self) -> Iterator[tuple[str, File]]:
        for path in self._package.members:
            plain = PurePosixPath(path)
            known = classify(plain.stem).category != "unknown"
            if plain.suffix.lower() in _SUFFIXES or (known and not plain.suffix):
                try:
                    file = self._package.members[path]
                except (KeyError, PackageError):
                    continue
                if file not in self._used:
                    yield path, file

    def held(self) -> Held:
        """Return what was found, put together."""
        found = []
        for building in self._buildings:
            try:
                found.append(_joined(building))
            except ImageError as error:
                self._problems.append((building.first.name, error.message))
        return Held(tuple(found), tuple(dict.fromkeys(self._problems)))


def _goes_on(first: Expression | None, start: Expression) -> bool:
    """Tell whether a row that begins at start can be a later piece of what begins at first."""
    if first is None:
        return True
    same = (first.per_sector, first.per_block) == (start.per_sector, start.per_block)
    return same and first.number <= start.number


def _is_programmer(file: File) -> bool:
    if file.size_bytes > _MAX_LOADER_BYTES or not looks_like_programmer(file.head(HEAD_BYTES)):
        return False
    try:
        return read_image(file.head(file.size_bytes)).is_programmer
    except DocumentError:
        return False


def _joined(building: _Building) -> Holding:
    """Return the holding of all pieces, with zeros where none of them is.

    Raises:
        ImageError: two pieces say something about the same bytes.
    """
    parts: list[Content] = []
    written: list[Span] = []
    end = 0
    for offset, content in sorted(building.pieces, key=lambda each: each[0]):
        if offset < end:
            raise ImageError(f"'{building.first.name}' has pieces that lie on each other.")
        if offset > end:
            parts.append(FillContent(offset - end))
        parts.append(content)
        if written and offset == end:
            written[-1] = (written[-1][0], written[-1][1] + content.size_bytes)
        else:
            written.append((offset, content.size_bytes))
        end = offset + content.size_bytes
    if end < building.size_bytes:
        parts.append(FillContent(building.size_bytes - end))
    content = parts[0] if len(parts) == 1 else Joined(tuple(parts))
    return replace(
        building.first,
        content=content,
        written=tuple(written),
        files=tuple(building.files),
        row=building.row,
    )
