# SPDX-License-Identifier: BSD-3-Clause
"""Meta builds: a contents.xml, and a build tree in which its paths lead to the files."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from edl import spool
from edl.errors import PackageError
from edl.files import File
from edl.formats.metabuild import Entry, MetaBuild, read_metabuild
from edl.formats.xml import MAX_BYTES
from edl.package import Package
from edl.packages import flat
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree

_NAME = "contents.xml"
_LAYOUT, _HEAD_BYTES = b"<nandboot", 4096
_STORAGES = {"emmc", "ufs", "nand", "nvme", "spinor"}


class MetaBuilds:
    """A contents.xml with the files that it names.

    Options: `flavor`, one of those that it offers; `storage`, such as `emmc` or `ufs`.
    """

    name = "contents.xml"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        path = min(tree.names(_NAME), key=len, default="")
        if not path:
            return Confidence.NO
        # flat builds keep a contents.xml whose tree is not there
        told = read_metabuild(tree.files[path].head(MAX_BYTES + 1), path)
        home = str(PurePosixPath(path).parent)
        names = (entry.path for entry in told.entries if entry.kind == "rawprogram")
        found = (located(tree, home, name) for name in names)
        # that of a modem names the layout of its flash, which says where nothing is written
        there = any(file and _LAYOUT not in file.head(_HEAD_BYTES) for file in found)
        return Confidence.SURE if there else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        path = min(tree.names(_NAME), key=len)
        told = read_metabuild(tree.files[path].head(MAX_BYTES + 1), path)
        wanted = choices.options.get("storage", "")
        storages = [each for each in told.storages if wanted in {"", each} and each in _STORAGES]
        if not storages and "" in told.storages:
            storages = [wanted]
        if not storages:
            others = ", ".join(filter(None, told.storages)) or "no storage"
            raise PackageError(
                f"{tree.title} has no rawprogram files for {wanted or 'storage of any kind'}.",
                remedies=(f"Its contents.xml names such files for: {others}.",),
            )
        flavor = _flavor(told, choices)
        home = str(PurePosixPath(path).parent)
        sets = {
            each: replace(_Build(tree, home, told, each, flavor).package(choices), storage=each)
            for each in storages
        }
        package = flat.one_of(tree.title, sets)
        facts = (("flavor", flavor),) if flavor else ()
        names = tuple(filter(None, storages))
        return package, Description(
            "meta build (contents.xml)",
            version=told.product,
            facts=(*facts, *((("storage", " or ".join(names)),) if names else ())),
        )


def _flavor(told: MetaBuild, choices: Choices) -> str:
    wanted = choices.options.get("flavor")
    if wanted is None and len(told.flavors) <= 1:
        return told.flavors[0] if told.flavors else ""
    if wanted not in told.flavors:
        names = ", ".join(told.flavors) or "none"
        raise PackageError(
            f"The package has the flavors {names}.",
            remedies=("Choose the one that is meant: --choose flavor=NAME.",),
        )
    return wanted


def located(tree: Tree, home: str, path: str) -> File | None:
    """Return the file at a path of the contents.xml in the folder home, if it is in tree."""
    parts = list(PurePosixPath(home).parts)
    for part in PurePosixPath(path).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return tree.get("/".join(parts))


class _Build(Mapping[str, File]):
    """The files of a build for one storage, by the names that rows give them."""

    def __init__(self, tree: Tree, home: str, told: MetaBuild, storage: str, flavor: str) -> None:
        self._tree = tree
        self._home = home
        self._told = told
        self._storage = storage
        self._flavor = flavor
        self._images = told.of("image", storage, flavor)

    def package(self, choices: Choices) -> Package:
        """Return what the rawprogram and patch files of the build make."""
        entries = [*self._of("rawprogram"), *self._of("patch")]
        files: dict[str, File] = {}
        missing: list[str] = []
        for entry in entries:
            file = self._at(entry.path)
            if file is None:
                missing.append(entry.path)
            else:
                files.setdefault(PurePosixPath(entry.path).name, file)
        if missing:
            raise PackageError(
                f"Files that contents.xml names are missing: {', '.join(missing[:5])}.",
                remedies=("Name the folder in which all parts of the build lie side by side.",),
            )
        documents = flat.read_documents(files)
        return flat.assembled(self._tree.title, documents, self, self._loaders(choices))

    def _of(self, kind: str) -> tuple[Entry, ...]:
        return self._told.of(kind, self._storage, self._flavor)

    def _loaders(self, choices: Choices) -> tuple[Path, ...]:
        found = (self._at(entry.path) for entry in self._of("programmer"))
        paths = (spool.kept(file, choices.emit) for file in found if file is not None)
        return tuple(paths) or flat.find_loaders(self._tree)

    def _at(self, path: str) -> File | None:
        return located(self._tree, self._home, path)

    def __getitem__(self, name: str) -> File:
        wanted = PurePosixPath(name.replace("\\", "/")).name
        for entry in self._images:
            pattern = PurePosixPath(entry.path)
            if fnmatch.fnmatchcase(wanted.lower(), pattern.name.lower()):
                file = self._at(str(pattern.parent / wanted))
                if file is not None:
                    return file
        for entry in self._of("rawprogram"):
            file = self._at(str(PurePosixPath(entry.path).parent / wanted))
            if file is not None:
                return file
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree.files)

    def __len__(self) -> int:
        return len(self._tree.files)
