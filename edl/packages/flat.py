# SPDX-License-Identifier: BSD-3-Clause
"""Flat builds (QFIL, QPST, qcom-ptool) inside archives: rawprogram and patch files with images.

Folders are read by `edl.package`; this reads the same thing where it is packed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from edl import loaders
from edl.errors import DocumentError, EdlError, PackageError
from edl.files import File
from edl.formats.mbn import read_image
from edl.formats.rawprogram import PatchRow, PowerRow, Rows, read_rawprogram
from edl.formats.selection import Kind, classify_name, select
from edl.package import Package
from edl.packages import spool
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.units import MIB

_MAX_XML_BYTES = 16 * MIB
_MAX_LOADER_BYTES = 64 * MIB
_COMPLETE = {Kind.NORMAL, Kind.UNSPARSE}


class Flat:
    """A build for QFIL, packed."""

    name = "flat"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        return Confidence.SURE if homes(tree) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        del choices
        package = read(tree)
        return package, Description("flat build (rawprogram)")


def homes(tree: Tree) -> list[str]:
    """Return the folders of tree that hold a rawprogram file of a complete set."""
    found = [
        str(PurePosixPath(path).parent)
        for path in tree.names("*.xml")
        if classify_name(PurePosixPath(path).name).kind in _COMPLETE
    ]
    return list(dict.fromkeys(found))


def read(tree: Tree) -> Package:
    """Return the package of the one set of rawprogram files in tree.

    Raises:
        PackageError: there are several sets.
        DocumentError: a file of it is damaged.
    """
    places = homes(tree)
    if len(places) > 1:
        raise PackageError(
            f"{tree.title} holds several sets of rawprogram files: {', '.join(places)}.",
            remedies=("Unpack it, and name the one folder that is meant.",),
        )
    home = places[0]
    chosen = select(tree.below(home))
    documents: list[Rows] = []
    problems: list[str] = []
    for name in (*chosen.rawprograms, *chosen.patches):
        file = tree.below(home)[name]
        try:
            documents.append(read_rawprogram(file.head(_MAX_XML_BYTES + 1), name))
        except DocumentError as error:
            problems.append(error.message)
    if problems:
        raise DocumentError("\n".join(problems))
    return Package(
        title=tree.title,
        roots=(),
        documents=tuple(sorted(documents, key=_rank)),
        home={},
        loaders=find_loaders(tree),
        left_out=tuple((left.name, left.reason) for left in chosen.left_out),
        warnings=tuple(text for document in documents for text in document.warnings),
        members=Members(tree, home),
    )


def _rank(document: Rows) -> int:
    return int(all(isinstance(row, PatchRow | PowerRow) for row in document.rows))


class Members(Mapping[str, File]):
    """The files of a tree as rows name them: beside the XML file, else anywhere by their name."""

    def __init__(self, tree: Tree, home: str) -> None:
        self._tree = tree
        self._home = home

    def __getitem__(self, name: str) -> File:
        plain = PurePosixPath(name.replace("\\", "/"))
        if plain.is_absolute() or ".." in plain.parts:
            raise PackageError(
                f"'{name}' lies outside the package.",
                remedies=("Unpack the package, and name the folder with --include DIR.",),
            )
        file = self._tree.get(str(PurePosixPath(self._home) / plain)) or self._anywhere(plain.name)
        if file is None:
            raise KeyError(name)
        return file

    def _anywhere(self, name: str) -> File | None:
        found = [path for path in self._tree.files if PurePosixPath(path).name == name]
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
