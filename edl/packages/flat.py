# SPDX-License-Identifier: BSD-3-Clause
"""Flat builds (QFIL, QPST, qcom-ptool) inside archives: rawprogram and patch files with images.

Folders are read by `edl.package`; this reads the same thing where it is packed.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from edl import loaders
from edl.errors import DocumentError, EdlError, PackageError
from edl.files import File
from edl.formats.mbn import read_image
from edl.formats.rawprogram import PatchRow, PowerRow, Rows, read_rawprogram
from edl.formats.selection import Kind, classify_name, select
from edl.package import Package, outside, relative
from edl.packages import programmers, spool
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.units import MIB

_MAX_XML_BYTES = 16 * MIB
_MAX_LOADER_BYTES = 64 * MIB
STORAGES = {512: "eMMC", 4096: "UFS"}
_COMPLETE = {Kind.NORMAL, Kind.UNSPARSE, Kind.FLASH, Kind.FLASH_UPDATE}


class Flat:
    """A build for QFIL, packed."""

    name = "flat"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        return Confidence.SURE if homes(tree) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format.

        Options: `set`, the folder of the set that is meant; `storage`, `emmc` or `ufs`; `upgrade`,
        `yes` for the set that keeps the user's data.
        """
        package = read(tree, choices)
        return package, description(package)


def description(package: Package) -> Description:
    """Return what can be told of a flat build: such packages do not say whom they are for."""
    sizes = list(package.variants) or [package.sector_bytes or 0]
    storages = [STORAGES[size] for size in sizes if size in STORAGES]
    if package.memory == "nand":
        storages = [f"NAND with pages of {sizes[0]} bytes"]
    facts = (("storage", " or ".join(storages)),) if storages else ()
    return Description("flat build (rawprogram)", facts=facts)


def homes(tree: Tree) -> list[str]:
    """Return the folders of tree, least deep ones only, that hold a complete rawprogram file."""
    found = [
        str(PurePosixPath(path).parent)
        for path in tree.names("*.xml")
        if classify_name(PurePosixPath(path).name).kind in _COMPLETE
    ]
    depths = {home: len(PurePosixPath(home).parts) for home in found}
    return [home for home, depth in depths.items() if depth == min(depths.values())]


def read(tree: Tree, choices: Choices | None = None) -> Package:
    """Return the package of the rawprogram files in tree; of several sets, that of choices.

    Raises:
        PackageError: there are several sets, and nothing tells which is meant.
        DocumentError: a file of it is damaged.
    """
    options = (choices or Choices()).options
    places = homes(tree)
    if wanted := options.get("set"):
        places = [home for home in places if wanted in {home, PurePosixPath(home).name}]
        if not places:
            raise PackageError(
                f"{tree.title} has no set '{wanted}'.",
                remedies=(f"It has: {', '.join(homes(tree))}.",),
            )
    upgrade = options.get("upgrade", "") in {"yes", "1", "true"}
    loaders_found = find_loaders(tree)
    told = programmers.of_tree(tree)
    sets = [
        replace(_read_set(tree, home, loaders_found, upgrade=upgrade), programmers=told)
        for home in places
    ]
    return one_of(tree.title, dict(zip(places, sets, strict=True)), options.get("storage", ""))


def one_of(title: str, sets: dict[str, Package], storage: str = "") -> Package:
    """Return the one package of sets, by their names, or one that the phone's storage decides.

    Raises:
        PackageError: that does not decide, or there is none for storage.
    """
    if storage:
        size = next((size for size, name in STORAGES.items() if name.lower() == storage), None)
        sets = {name: package for name, package in sets.items() if package.sector_bytes == size}
        if not sets:
            raise PackageError(f"{title} has no set for the storage '{storage}'.")
    if len(sets) == 1:
        return next(iter(sets.values()))
    by_size = {package.sector_bytes: package for package in sets.values()}
    if len(by_size) < len(sets) or None in by_size:
        raise PackageError(
            f"{title} holds several sets of rawprogram files: {', '.join(sets)}.",
            remedies=("Choose the one that is meant: --choose set=NAME.",),
        )
    variants = {size: package for size, package in by_size.items() if size is not None}
    first = next(iter(sets.values()))
    names = ", ".join(f"{name} ({STORAGES.get(each.sector_bytes or 0, 'another')})"
                      for name, each in sets.items())  # fmt: skip
    told = f"sets: {names}: the storage of the phone decides which is taken"
    return replace(first, variants=variants, warnings=(*first.warnings, told))


def _read_set(
    tree: Tree, home: str, loaders_found: tuple[Path, ...], *, upgrade: bool = False
) -> Package:
    files = tree.below(home)
    chosen = select(files, upgrade=upgrade)
    documents = read_documents(
        {name: files[name] for name in (*chosen.rawprograms, *chosen.patches)}
    )
    return assembled(
        tree.title,
        documents,
        Members(tree, home),
        loaders_found,
        tuple((left.name, left.reason) for left in chosen.left_out),
    )


def read_documents(files: Mapping[str, File]) -> list[Rows]:
    """Return the rows in files, XML documents by their names.

    Raises:
        DocumentError: some are damaged; all of them are told.
    """
    documents: list[Rows] = []
    problems: list[str] = []
    for name, file in files.items():
        try:
            documents.append(read_rawprogram(file.head(_MAX_XML_BYTES + 1), name))
        except DocumentError as error:
            problems.append(error.message)
    if problems:
        raise DocumentError("\n".join(problems))
    return documents


def assembled(
    title: str,
    documents: Iterable[Rows],
    members: Mapping[str, File],
    loaders_found: tuple[Path, ...],
    left_out: tuple[tuple[str, str], ...] = (),
) -> Package:
    """Return the package of documents, what only patches behind what programs."""
    ordered = tuple(sorted(documents, key=_rank))
    return Package(
        title=title,
        roots=(),
        documents=ordered,
        home={},
        loaders=loaders_found,
        left_out=left_out,
        warnings=tuple(text for document in ordered for text in document.warnings),
        members=members,
    )


def _rank(document: Rows) -> int:
    return int(all(isinstance(row, PatchRow | PowerRow) for row in document.rows))


class Members(Mapping[str, File]):
    """The files of a tree as rows name them: beside the XML file, else anywhere by their name."""

    def __init__(self, tree: Tree, home: str) -> None:
        self._tree = tree
        self._home = home

    def __getitem__(self, name: str) -> File:
        plain = PurePosixPath(relative(name))
        file = self._tree.get(self._place(plain, name)) or self._anywhere(plain.name)
        if file is None:
            raise KeyError(name)
        return file

    def _place(self, plain: PurePosixPath, name: str) -> str:
        """Return where plain leads from home; `..` may lead anywhere inside the package."""
        parts: list[str] = []
        for part in (*PurePosixPath(self._home).parts, *plain.parts):
            if part != "..":
                parts.append(part)
            elif parts:
                parts.pop()
            else:
                raise outside(name)
        return "/".join(parts)

    def _anywhere(self, name: str) -> File | None:
        found = self._tree.names(glob.escape(name))  # without regard to capitals
        found = [path for path in found if PurePosixPath(path).name == name] or found
        if len(found) > 1:
            raise PackageError(f"'{name}' could be {' or '.join(found[:5])}.")
        return self._tree.files[found[0]] if found else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree.files)

    def __len__(self) -> int:
        return len(self._tree.files)


def find_loaders(tree: Tree) -> tuple[Path, ...]:
    """Return the programmers in tree, put on the disk where they are packed."""
    found = []
    for file in tree.files.values():
        if not 0 < file.size_bytes <= _MAX_LOADER_BYTES:
            continue
        try:
            if not loaders.looks_like_programmer(file.head(loaders.HEAD_BYTES)):
                continue
            if read_image(file.head(file.size_bytes)).is_programmer:
                found.append(spool.kept(file))
        except EdlError:  # a damaged image is told of when it is to be written
            continue
    return tuple(found)
