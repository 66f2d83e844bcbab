# SPDX-License-Identifier: BSD-3-Clause
"""What the user hands over: XML files, patterns, folders, a loader; found, sorted and read.

Names in a package are not trusted: whatever a row names must lie inside the folders that the user
gave, whether the path says `..`, is absolute, or goes through a link.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from edl import files, loaders, spool
from edl.errors import DocumentError, ImageError, PackageError, UsageError
from edl.events import Emit, ignore
from edl.files import File
from edl.formats.rawprogram import (
    EraseRow,
    PatchRow,
    PowerRow,
    ProgramRow,
    Row,
    Rows,
    read_rawprogram,
)
from edl.formats.selection import Kind, classify_name, select
from edl.identity import PhoneIdentity
from edl.imageset import ProgrammerSet
from edl.units import MIB

_COMPLETE = {Kind.NORMAL, Kind.UNSPARSE}
_RIVALS = {Kind.NORMAL, Kind.UNSPARSE, Kind.KEEPING, Kind.UPGRADE, Kind.PARTIAL, Kind.LOCK}
_DANGEROUS = {Kind.BLANK, Kind.WIPE, Kind.PHY_WIPE, Kind.ERASE}
_MAX_XML_BYTES = 16 * MIB
_HEAD_BYTES = 4096
_DEPTH = 3  # how deep below the given folder the XML files may lie (stock packages: images/)
_MAX_FOLDERS = 1000  # looked into at one depth
_ABSOLUTE = re.compile(r"[A-Za-z]:|/")


@dataclass(frozen=True)
class NamedImage:
    """An image for a partition that the package knows by name only; the phone's tables say where.

    partition: as the package has it; `boot_ab` stands for both slots, `boot` on a phone with slots
    for the active one. filename: a member or a file; empty: the partition is erased. document,
    line: where the package says so, for people.
    """

    partition: str
    filename: str
    document: str
    line: int = 0

    @property
    def where(self) -> str:
        """`flashfile.xml:12`."""
        return f"{self.document}:{self.line}" if self.line else self.document


@dataclass(frozen=True)
class Package:
    """A package, read: rows in the order in which they are to be done, and where files may lie.

    roots: folders inside which every file must lie, as absolute paths without links. home: folder
    of each XML file by its name. members: files that do not lie in folders, by the name that rows
    give them: those of an archive, for example. named: images for partitions by name. loaders:
    files that are programmers by their content, and loader_named: whether the user named them.
    programmers: those that the package says are made of several images, each by itself complete.
    left_out: (name, reason). variants: where the package has a set for each kind of storage, all
    of them by sector size; this one stands for a phone that is not known yet. logical: names of
    partitions that lie in `super`, as far as the package says that. chips: names of those that it
    is for, if it says so. asks: what the user should know and agree to before the first write, a
    sentence or two each. emit: takes what is told of files that must be unpacked. packed: it is
    read out of an archive, so that nobody has unpacked anything. below: all files of a folder by
    path or name, for rows whose file does not lie where they say. storage: type of storage that it
    is for, as in `edl.device.phone.Wishes`, where the package says so.
    """

    title: str
    roots: tuple[Path, ...]
    documents: tuple[Rows, ...]
    home: dict[str, Path]
    loaders: tuple[Path, ...] = ()
    loader_named: bool = False
    programmers: tuple[ProgrammerSet, ...] = field(default=(), compare=False)
    left_out: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    members: Mapping[str, File] = field(default_factory=dict, compare=False)
    named: tuple[NamedImage, ...] = ()
    variants: Mapping[int, Package] = field(default_factory=dict, compare=False)
    logical: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    emit: Emit = field(default=ignore, compare=False)
    packed: bool = False
    below: Mapping[str, File] = field(default_factory=dict, compare=False)
    storage: str = ""
    _located: dict[tuple[str, str], File | None] = field(
        default_factory=dict, init=False, compare=False
    )
    _listings: dict[Path, dict[str, list[Path]]] = field(default_factory=dict, compare=False)

    @property
    def rows(self) -> Iterator[Row]:
        """All rows, in order."""
        for document in self.documents:
            yield from document.rows

    def for_sectors(self, sector_bytes: int) -> Package:
        """Return the package for a storage with sectors of that size: a variant, or this one."""
        return self.variants.get(sector_bytes, self)

    @property
    def alone(self) -> Package:
        """This package as if there were no variants, for plans without a phone."""
        return replace(self, variants={}) if self.variants else self

    @property
    def files(self) -> tuple[File, ...]:
        """The images that rows name and that are there."""
        found: list[File] = []
        rows = [(row.filename, row.file) for row in self.rows if isinstance(row, ProgramRow)]
        for filename, document in [*rows, *((row.filename, row.document) for row in self.named)]:
            if filename:
                with contextlib.suppress(PackageError, ImageError):
                    found.append(self.find(filename, document))
        return tuple(dict.fromkeys(found))

    @property
    def memory(self) -> str:
        """The type of storage that it is for, where it says so or counts erase blocks, else ""."""
        if any(isinstance(row, ProgramRow | EraseRow) and row.pages_per_block for row in self.rows):
            return "nand"
        return self.storage

    @property
    def sector_bytes(self) -> int | None:
        """The one sector size that the rows count in, or None if they say none or several."""
        if self.variants:
            return None
        sizes = {row.sector_bytes for row in self.rows if row.sector_bytes}
        return sizes.pop() if len(sizes) == 1 else None

    def other_chip(self, phone: PhoneIdentity) -> str:
        """Return why the package cannot be for phone, by the chips that both tell; or nothing."""
        same = {name.lower() for name in self.chips} & {name.lower() for name in phone.chips}
        if not self.chips or not phone.chips or same:
            return ""
        return (
            f"The package is for {' or '.join(self.chips)}, but the phone has a {phone.chip}: its"
            " firmware would not start there."
        )

    def find(self, filename: str, document: str) -> File:
        """Return the file that a row of document names; see locate.

        Raises:
            PackageError: there is none, or it lies outside the package.
            ImageError: it cannot be looked at.
        """
        file = self.locate(filename, document)
        if file is None:
            raise PackageError(
                f"'{filename}' is missing.",
                remedies=(
                    again(packed=self.packed),
                    "If the file lies elsewhere, name its folder with --include DIR.",
                ),
            )
        return file

    def locate(self, filename: str, document: str) -> File | None:
        """Return the file that a row of document names, or None if it is missing.

        Looks among the members first, beside the XML file, then in the other folders; exactly, then
        without regard to capitals; then anywhere below; then for a compressed one
        (`system.img.gz`), which is unpacked. Windows' separators count as separators.

        Raises:
            PackageError: it lies outside the package, or several files could be meant.
            ImageError: it cannot be looked at, or is compressed and damaged.
            DiskError: there is no room to unpack it.
        """
        key = (filename, document)
        if key not in self._located:
            self._located[key] = self._unpacked(filename, document)
        return self._located[key]

    def _unpacked(self, filename: str, document: str) -> File | None:
        """Return the file, unpacked if it is compressed and its name says so too."""
        found = (self._packed(filename + suffix, document) for suffix in ("", *spool.SUFFIXES))
        file = next((file for file in found if file is not None), None)
        return None if file is None else spool.plain(file, self.emit)

    def _packed(self, filename: str, document: str) -> File | None:
        file = self.members.get(filename)
        if file is None and self.roots:
            path = self._search(filename, document)
            return self.below.get(filename) if path is None else files.on_disk(path)
        return file

    def _search(self, filename: str, document: str) -> Path | None:
        plain = relative(filename)
        inside = strayed = False
        for folder in dict.fromkeys((self.home.get(document, self.roots[0]), *self.roots)):
            path = self._walk(folder, plain)
            if self._holds(path):
                inside = True
                if _is_file(path):
                    return path
            elif _is_file(path):
                strayed = True
        if strayed or not inside:
            raise outside(filename)
        return None

    def _walk(self, folder: Path, plain: str) -> Path:
        path = folder
        for part in PurePosixPath(plain).parts:
            path = path.parent if part == ".." else self._child(path, part)
        return path

    def _holds(self, path: Path) -> bool:
        """Tell whether path lies inside a root when all links are followed."""
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError):  # a name that is too long; links that go in a circle
            return False
        return any(resolved.is_relative_to(root) for root in self.roots)

    def _child(self, folder: Path, name: str) -> Path:
        exact = folder / name
        if _exists(exact):
            return exact
        if folder not in self._listings:
            self._listings[folder] = {}
            for entry in _entries(folder):
                self._listings[folder].setdefault(entry.name.lower(), []).append(entry)
        similar = self._listings[folder].get(name.lower(), [exact])
        if len(similar) > 1:
            names = " and ".join(f"'{entry.name}'" for entry in similar)
            raise PackageError(
                f"'{name}' is missing; {names} differ from it only in capitals.",
                remedies=("Give the right one of these files exactly the name of the row.",),
            )
        return similar[0]


def relative(filename: str) -> str:
    """Return a name of a row with `/` as separators.

    Raises:
        PackageError: it is an absolute path.
    """
    plain = filename.replace("\\", "/")
    if _ABSOLUTE.match(plain):
        raise PackageError(
            f"'{filename}' is an absolute path: a package must not name one.",
            remedies=("Put the file beside the XML file, and only its name into the row.",),
        )
    return plain


def outside(filename: str) -> PackageError:
    """Return the error for a name that leads out of the package."""
    return PackageError(
        f"'{filename}' lies outside the package.",
        remedies=("If that is meant, name its folder with --include DIR.",),
    )


def again(*, packed: bool) -> str:
    """Return how to get the package whole. packed: it is an archive, which nobody unpacks."""
    return "Download the package again." if packed else "Unpack the whole package again."


def _entries(folder: Path) -> list[Path]:
    """Return what is in folder, in order of name; nothing if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _exists(path: Path) -> bool:
    with contextlib.suppress(OSError):  # names that are too long, folders that are closed
        return path.exists()
    return False


def _is_file(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_file()
    return False


def _is_folder(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_dir()
    return False


@dataclass
class _Sorted:
    """The arguments, by what they are. named: XML files that were named one by one."""

    named: list[Path] = field(default_factory=list)
    documents: list[Path] = field(default_factory=list)
    loaders: list[Path] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def open_package(arguments: Iterable[str], include: Iterable[str] = ()) -> Package:
    """Return the package that arguments name: XML files, patterns, folders and a loader.

    Raises:
        UsageError: an argument names nothing, or what does not go together.
        PackageError, DocumentError: the package does not hold together.
    """
    arguments = list(arguments)
    found = _Sorted()
    for argument in arguments:
        path = Path(argument)
        if argument and (_is_folder(path) or _is_file(path)):
            _take(path, found)
        else:
            _take_pattern(argument, found)
    found.documents += _chosen(found)
    if not found.documents:
        raise _nothing_found(arguments, found)
    return _read(arguments, found, [included(folder) for folder in include])


def _nothing_found(arguments: list[str], found: _Sorted) -> PackageError:
    remedies = ["Name the folder that holds rawprogram0.xml, or the XML files themselves."]
    if found.left_out:
        names = ", ".join(f"{name} ({reason})" for name, reason in found.left_out[:5])
        remedies.append(f"If one of these is meant, name it alone: {names}.")
    return PackageError(
        f"No rawprogram file was found in {', '.join(arguments)}.", remedies=remedies
    )


def included(folder: str) -> Path:
    """Return the folder that --include names, without links.

    Raises:
        UsageError: there is none.
    """
    path = Path(folder)
    if not _is_folder(path):
        raise UsageError(f"--include: '{folder}' is no folder.")
    return path.resolve()


def _take(path: Path, found: _Sorted) -> None:
    if _is_folder(path):
        _take_folder(path.resolve(), found)
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}.") from error
    if loaders.looks_like_programmer(head):
        found.loaders.append(path)
    else:
        found.named.append(path)


def _take_pattern(argument: str, found: _Sorted) -> None:
    matches = sorted(Path(match) for match in glob.glob(argument))  # noqa: PTH207  # keeps the folder
    for match in matches:
        if classify_name(match.name).kind in _DANGEROUS:
            found.left_out.append((match.name, "a pattern never takes files that wipe or blank"))
        else:
            _take(match, found)
    if not matches:
        raise UsageError(
            f"'{argument}' is no file, folder or pattern that matches one.",
            remedies=("Check the name; a pattern such as rawprogram*.xml is expanded here too.",),
        )


def _chosen(found: _Sorted) -> list[Path]:
    """Return which of the named files are used.

    A shell expands `rawprogram*.xml` before we see it: a list that mixes files which wipe or blank
    with others was a pattern. One that holds only such files was meant.
    """
    kinds = {path: classify_name(path.name).kind for path in found.named}
    dangerous = [path for path, kind in kinds.items() if kind in _DANGEROUS]
    others = [path for path in kinds if path not in dangerous]
    if not others and not found.documents:
        return dangerous
    if dangerous and not found.documents and all(kinds[path] is Kind.PATCH for path in others):
        raise UsageError(
            f"'{dangerous[0].name}' wipes or blanks, and stands beside patch files only.",
            remedies=("Name it alone if that is what you want.",),
        )
    reason = "it wipes or blanks; name it alone if that is what you want"
    found.left_out += [(path.name, reason) for path in dangerous]
    if len(_RIVALS.intersection(kinds.values())) > 1:
        return _without_rivals(others, found)
    return others


def _without_rivals(paths: list[Path], found: _Sorted) -> list[Path]:
    """Return paths without the sets that others of them take the place of."""
    chosen = select({path.name for path in paths})
    found.left_out += [(left.name, left.reason) for left in chosen.left_out]
    names = {*chosen.rawprograms, *chosen.patches}
    return [
        path for path in paths if path.name in names or classify_name(path.name).kind is Kind.OTHER
    ]


def _take_folder(folder: Path, found: _Sorted) -> None:
    """Take the one right set of XML files of folder, or of the one folder below that has some."""
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise PackageError(f"{folder} cannot be read: {error.strerror}.") from error
    homes = _homes(folder)
    if len(homes) > 1:
        names = ", ".join(str(home) for home in homes)
        raise PackageError(
            f"{folder} holds several sets of rawprogram files: {names}.",
            remedies=("Name the one folder that is meant.",),
        )
    found.roots.append(folder)
    for home in homes or [folder]:
        chosen = select(entry.name for entry in _entries(home) if _is_file(entry))
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
            for entry in _entries(place)
            if not entry.is_symlink() and _is_folder(entry)
        ][:_MAX_FOLDERS]
    return []


def _has_rawprogram(folder: Path) -> bool:
    return any(
        classify_name(entry.name).kind in _COMPLETE and _is_file(entry)
        for entry in _entries(folder)
    )


def _read(arguments: list[str], found: _Sorted, include: list[Path]) -> Package:
    problems: list[str] = []
    documents: list[Rows] = []
    home: dict[str, Path] = {}
    once: dict[Path, Path] = {}
    for path in found.documents:
        once.setdefault(path.resolve(), path)
    for path in once.values():
        name = path.name if path.name not in home else str(path)
        home[name] = path.parent.resolve()
        try:
            documents.append(read_rawprogram(_content(path), name))
        except DocumentError as error:
            problems.append(error.message)
    if problems:
        raise DocumentError("\n".join(problems))
    roots = tuple(dict.fromkeys([*found.roots, *home.values(), *include]))
    named = bool(found.loaders)
    if not named:
        found.loaders += [
            path for root in _outermost(roots) for path in loaders.find_programmers(root)
        ]
    return Package(
        title=arguments[0] if len(arguments) == 1 else f"{len(documents)} XML files",
        roots=roots,
        documents=tuple(sorted(documents, key=_rank)),
        home=home,
        loaders=tuple(dict.fromkeys(found.loaders)),
        loader_named=named,
        left_out=tuple(found.left_out),
        warnings=tuple(text for document in documents for text in document.warnings),
    )


def _outermost(roots: tuple[Path, ...]) -> list[Path]:
    """Return roots without those that lie in another one."""
    return [root for root in roots if not any(other in root.parents for other in roots)]


def _rank(document: Rows) -> int:
    """Rank documents that only patch behind those that program; the order stays otherwise."""
    return int(all(isinstance(row, PatchRow | PowerRow) for row in document.rows))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_XML_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
