# SPDX-License-Identifier: BSD-3-Clause
"""qdl's installers: a flashmap.json that says which rawprogram files and programmers to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from edl import spool
from edl.errors import PackageError
from edl.files import File
from edl.formats.flashmap import MAX_BYTES, Flashmap, Layout, Programmable, read_flashmap
from edl.package import Package
from edl.packages import flat
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree

_NAME = "flashmap.json"


class Installer:
    """A flashmap.json with what it names.

    Options: `layout`, its name; `storage`, `emmc`, `ufs`, `nvme` or `spinor`.
    """

    name = "flashmap"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        return Confidence.SURE if tree.names(_NAME) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        path = min(tree.names(_NAME), key=len)
        told = read_flashmap(tree.files[path].head(MAX_BYTES + 1), path)
        layout = _layout(told, choices)
        home = str(PurePosixPath(path).parent)
        members = flat.Members(tree, home)
        loaders = _loaders(layout, members, choices)
        sets = {
            f"{each.memory}, slot {each.slot}": _package(tree, each, members, loaders)
            for each in layout.programmables
            if choices.options.get("storage", each.memory) == each.memory
        }
        if not sets:
            memories = ", ".join(each.memory for each in layout.programmables)
            raise PackageError(
                f"{tree.title} has nothing for that storage.", remedies=(f"It has: {memories}.",)
            )
        package = flat.one_of(tree.title, sets)
        if len(loaders) > 1:
            pairs = zip(sorted(layout.programmers), loaders, strict=True)
            listed = ",".join(f"{number}:{path}" for number, path in pairs)
            told_more = f"{_NAME}: the programmer is several images: --loader {listed}"
            package = replace(package, warnings=(*package.warnings, told_more))
        facts = (("layout", layout.name), ("storage", ", ".join(sets)))
        return package, Description(
            f"qdl installer (flashmap {told.version})",
            (told.product,) if told.product else (),
            facts=facts,
        )


def _layout(told: Flashmap, choices: Choices) -> Layout:
    wanted = choices.options.get("layout")
    found = [layout for layout in told.layouts if wanted in {None, layout.name}]
    if len(found) != 1:
        names = ", ".join(layout.name for layout in told.layouts)
        raise PackageError(
            f"The package has {'several layouts' if found else 'no such layout'}: {names}.",
            remedies=("Choose the one that is meant: --choose layout=NAME.",),
        )
    return found[0]


def _loaders(layout: Layout, members: flat.Members, choices: Choices) -> tuple[Path, ...]:
    """Return the programmers: the one, or a folder's worth of them with their ids."""
    files = {number: _member(members, name) for number, name in layout.programmers.items()}
    paths = {number: spool.kept(file, choices.emit) for number, file in files.items()}
    return tuple(paths[number] for number in sorted(paths))


def _member(members: flat.Members, name: str) -> File:
    try:
        return members[name]
    except KeyError:
        raise PackageError(
            f"'{name}' is missing.", remedies=("Download the package again.",)
        ) from None


def _package(
    tree: Tree, each: Programmable, members: flat.Members, loaders: tuple[Path, ...]
) -> Package:
    documents = flat.read_documents({name: _member(members, name) for name in each.files})
    return flat.assembled(tree.title, documents, members, loaders)
