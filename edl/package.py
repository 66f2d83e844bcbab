# SPDX-License-Identifier: BSD-3-Clause
"""What the user hands over: XML files, patterns, folders, a loader; found, sorted and read.

Names in a package are not trusted: whatever a row names must lie inside the folders that the user
gave, whether the path says `..`, is absolute, or goes through a link.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edl import loaders
from edl.errors import DocumentError, ImageError, PackageError, UsageError
from edl.formats.rawprogram import PatchRow, PowerRow, ProgramRow, Row, Rows, read_rawprogram
from edl.formats.selection import Kind, classify_name, select
from edl.units import MIB

_DANGEROUS = {Kind.BLANK, Kind.WIPE, Kind.PHY_WIPE, Kind.ERASE}
_MAX_XML_BYTES = 16 * MIB
_HEAD_BYTES = 4096
_DEPTH = 3  # how deep below the given folder the XML files may lie (stock packages: images/)
_WINDOWS_ROOT = re.compile(r"[A-Za-z]:|[/\\]")


@dataclass(frozen=True)
class Package:
    """A package, read: rows in the order in which they are to be done, and where files may lie.

    roots: folders inside which every file must lie. home: folder of each XML file by its name.
    loaders: files that are programmers by their content. loader_named: the user named them, they
    were not found. left_out: (name, reason).
    """

    title: str
    roots: tuple[Path, ...]
    documents: tuple[Rows, ...]
    home: dict[str, Path]
    loaders: tuple[Path, ...] = ()
    loader_named: bool = False
    left_out: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    _listings: dict[Path, dict[str, Path]] = field(default_factory=dict, compare=False)

    @property
    def rows(self) -> Iterator[Row]:
        """All rows, in order."""
        for document in self.documents:
            yield from document.rows

    @property
    def files(self) -> tuple[Path, ...]:
        """The images that rows name and that are there."""
        paths = []
        for row in self.rows:
            if isinstance(row, ProgramRow) and row.filename:
                with contextlib.suppress(PackageError):
                    paths.append(self.find(row.filename, row.file))
        return tuple(dict.fromkeys(paths))

    @property
    def sector_bytes(self) -> int | None:
        """The one sector size that the rows count in, or None if they say none or several."""
        sizes = {row.sector_bytes for row in self.rows if row.sector_bytes}
        return sizes.pop() if len(sizes) == 1 else None

    def find(self, filename: str, document: str) -> Path:
        """Return the file that a row of document names.

        Looks beside the XML file first, then in the other folders; exactly, then without regard to
        case. Windows' separators count as separators.

        Raises:
            PackageError: there is none, or it lies outside the package.
        """
        plain = filename.replace("\\", "/")
        if _WINDOWS_ROOT.match(plain):
            raise PackageError(f"'{filename}' is an absolute path: a package must not name one.")
        inside = False
        for folder in dict.fromkeys((self.home.get(document, self.roots[0]), *self.roots)):
            path = self._walk(folder, PurePosixPath(plain).parts)
            if path is None:
                continue
            inside = True
            if path.is_file():
                return path
        if not inside:
            raise PackageError(
                f"'{filename}' lies outside the package.",
                remedies=("If that is meant, name its folder with --include DIR.",),
            )
        raise PackageError(f"'{filename}' is missing.")

    def _walk(self, folder: Path, parts: Sequence[str]) -> Path | None:
        """Return folder/parts, or None if that leaves all roots."""
        path = folder
        for part in parts:
            if part == "..":
                path = path.parent
            elif part != ".":
                path = self._child(path, part)
        allowed = [root.resolve() for root in self.roots]
        resolved = path.resolve()
        return path if any(resolved.is_relative_to(root) for root in allowed) else None

    def _child(self, folder: Path, name: str) -> Path:
        exact = folder / name
        if exact.exists():
            return exact
        if folder not in self._listings:
            try:
                entries = {entry.name.lower(): entry for entry in folder.iterdir()}
            except OSError:
                entries = {}
            self._listings[folder] = entries
        return self._listings[folder].get(name.lower(), exact)


@dataclass
class _Sorted:
    """The arguments, by what they are."""

    documents: list[Path] = field(default_factory=list)
    loaders: list[Path] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def open_package(arguments: Iterable[str], include: Iterable[str] = ()) -> Package:
    """Return the package that arguments name: XML files, patterns, folders and a loader.

    Raises:
        UsageError: an argument names nothing.
        PackageError, DocumentError: the package does not hold together.
    """
    arguments = list(arguments)
    found = _Sorted()
    named: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            _take_folder(path, found)
        elif path.is_file():
            _take_file(path, named, found)
        else:
            _take_pattern(argument, named, found)
    found.documents += _without_dangerous(named, found)
    if not found.documents:
        raise PackageError(
            f"No rawprogram file was found in {', '.join(arguments)}.",
            remedies=("Name the folder that holds rawprogram0.xml, or the XML files themselves.",),
        )
    return _read(arguments, found, [Path(folder) for folder in include])


def _take_file(path: Path, named: list[Path], found: _Sorted) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}.") from error
    if loaders.looks_like_programmer(head):
        found.loaders.append(path)
    else:
        named.append(path)


def _take_pattern(argument: str, named: list[Path], found: _Sorted) -> None:
    matches = sorted(Path(match) for match in glob.glob(argument))  # noqa: PTH207  # keeps the folder
    for match in matches:
        if classify_name(match.name).kind in _DANGEROUS:
            found.left_out.append((match.name, "a pattern never takes files that wipe or blank"))
        elif match.is_file():
            _take_file(match, named, found)
    if not matches:
        raise UsageError(
            f"'{argument}' is no file, folder or pattern that matches one.",
            remedies=("Check the name; a pattern such as rawprogram*.xml is expanded here too.",),
        )


def _without_dangerous(named: list[Path], found: _Sorted) -> list[Path]:
    """Return named without wiping and blanking files that came beside ordinary ones.

    A shell expands `rawprogram*.xml` before we see it: a list that mixes both was a pattern. One
    that holds only such files was meant.
    """
    kinds = {path: classify_name(path.name).kind for path in named}
    if not any(kind in {Kind.NORMAL, Kind.UNSPARSE} for kind in kinds.values()):
        return named
    kept = []
    for path in named:
        if kinds[path] in _DANGEROUS:
            reason = "it wipes or blanks; name it alone if that is what you want"
            found.left_out.append((path.name, reason))
        else:
            kept.append(path)
    if any(kinds[path] is Kind.UNSPARSE for path in kept):
        kept = _rivals(kept, found)
    return kept


def _rivals(paths: list[Path], found: _Sorted) -> list[Path]:
    by_name = {path.name: path for path in paths}
    chosen = select(by_name)
    found.left_out += [(left.name, left.reason) for left in chosen.left_out]
    names = {*chosen.rawprograms, *chosen.patches}
    others = [path for path in paths if classify_name(path.name).kind is Kind.OTHER]
    return [path for path in paths if path.name in names] + others


def _take_folder(folder: Path, found: _Sorted) -> None:
    """Take the one right set of XML files of folder, or of the one folder below that has some."""
    homes = _homes(folder)
    if len(homes) > 1:
        names = ", ".join(str(home) for home in homes)
        raise PackageError(
            f"{folder} holds several sets of rawprogram files: {names}.",
            remedies=("Name the one folder that is meant.",),
        )
    found.roots.append(folder)
    for home in homes:
        chosen = select(entry.name for entry in home.iterdir() if entry.is_file())
        found.documents += [home / name for name in (*chosen.rawprograms, *chosen.patches)]
        found.left_out += [(left.name, left.reason) for left in chosen.left_out]
        found.roots.append(home)


def _homes(folder: Path) -> list[Path]:
    level = [folder]
    for _ in range(_DEPTH):
        homes = [place for place in level if _has_rawprogram(place)]
        if homes:
            return homes
        level = [
            entry
            for place in level
            for entry in sorted(place.iterdir())
            if entry.is_dir() and not entry.is_symlink()
        ][:1000]
    return []


def _has_rawprogram(folder: Path) -> bool:
    return any(
        classify_name(entry.name).kind in {Kind.NORMAL, Kind.UNSPARSE}
        for entry in folder.iterdir()
        if entry.is_file()
    )


def _read(arguments: list[str], found: _Sorted, include: list[Path]) -> Package:
    problems: list[str] = []
    documents: list[Rows] = []
    home: dict[str, Path] = {}
    for path in found.documents:
        name = path.name if path.name not in home else str(path)
        try:
            documents.append(read_rawprogram(_content(path), name))
            home[name] = path.parent
        except DocumentError as error:
            problems.append(error.message)
    if problems:
        raise DocumentError("\n".join(problems))
    folders = [*found.roots, *(path.parent for path in found.documents), *include]
    roots = tuple(dict.fromkeys(folders))
    named = bool(found.loaders)
    if not named:
        found.loaders += [path for root in roots for path in loaders.find_programmers(root)]
    return Package(
        title=arguments[0] if len(arguments) == 1 else f"{len(found.documents)} XML files",
        roots=roots,
        documents=tuple(sorted(documents, key=_rank)),
        home=home,
        loaders=tuple(dict.fromkeys(found.loaders)),
        loader_named=named,
        left_out=tuple(found.left_out),
        warnings=tuple(text for document in documents for text in document.warnings),
    )


def _rank(document: Rows) -> int:
    """Rank documents that only patch behind those that program; the order stays otherwise."""
    only_patches = all(isinstance(row, PatchRow | PowerRow) for row in document.rows)
    return int(only_patches and not document.of(ProgramRow))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_XML_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    return data
