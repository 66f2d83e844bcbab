# SPDX-License-Identifier: BSD-3-Clause
"""qdl's installers: a flashmap.json that says which rawprogram files and programmers to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from edl import spool
from edl.errors import PackageError
from edl.files import File
from edl.formats.flashmap import MAX_BYTES, Flashmap, Layout, Programmable, read_flashmap
from edl.imageset import PROGRAMMER_ID, ProgrammerSet
from edl.package import Package
from edl.packages import flat, programmers
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
        """See Format.

        Layouts that differ only in their programmer are one package: the phone decides.
        """
        path = min(tree.names(_NAME), key=len)
        told = read_flashmap(tree.files[path].head(MAX_BYTES + 1), path)
        layouts = _layouts(told, choices)
        members = flat.Members(tree, str(PurePosixPath(path).parent))
        programmers = [_programmer(each, members, several=len(layouts) > 1) for each in layouts]
        made = tuple(each for each in programmers if each is not None)
        loaders = _loaders(layouts, made, members, choices)
        wanted = choices.options.get("storage")
        sets = {
            f"{each.memory}, slot {each.slot}": _package(tree, each, members, loaders, made)
            for each in layouts[0].programmables
            if wanted in {None, each.memory}
        }
        if not sets:
            memories = ", ".join(each.memory for each in layouts[0].programmables)
            raise PackageError(
                f"{tree.title} has nothing for that storage.", remedies=(f"It has: {memories}.",)
            )
        package = flat.one_of(tree.title, sets)
        facts = [
            ("layout", ", ".join(layout.name for layout in layouts)),
            ("storage", ", ".join(sets)),
        ]
        facts += [
            ("programmer", f"{each.name}: images {', '.join(map(str, sorted(each.files)))}")
            for each in made
        ]
        return package, Description(
            f"qdl installer (flashmap {told.version})",
            (told.product,) if told.product else (),
            facts=tuple(facts),
        )


def _layouts(told: Flashmap, choices: Choices) -> list[Layout]:
    """Return the layout that is meant, or all if they differ in their programmers only."""
    wanted = choices.options.get("layout")
    found = [layout for layout in told.layouts if wanted in {None, layout.name}]
    alike = {layout.programmables for layout in found}
    if len(alike) != 1 or len({layout.name for layout in found}) < len(found):
        names = ", ".join(layout.name for layout in told.layouts)
        raise PackageError(
            f"The package has {'several layouts' if found else 'no such layout'}: {names}.",
            remedies=("Choose the one that is meant: --choose layout=NAME.",),
        )
    return found


def _programmer(layout: Layout, members: flat.Members, *, several: bool) -> ProgrammerSet | None:
    """Return the programmer of a layout; None if it is a single image, and the only one."""
    if len(layout.programmers) == 1 and PROGRAMMER_ID in layout.programmers:
        file = _member(members, layout.programmers[PROGRAMMER_ID])
        if (found := programmers.of_file(file, members.get)) is not None:
            return replace(found, name=layout.name) if several else found
    if len(layout.programmers) > 1 or several:
        return ProgrammerSet(layout.name, programmers.named(layout.programmers, members.get))
    return None


def _loaders(
    layouts: list[Layout],
    made: tuple[ProgrammerSet, ...],
    members: flat.Members,
    choices: Choices,
) -> tuple[Path, ...]:
    """Return the files of the programmers, put on the disk; the images that start first."""
    if not made:
        files = [_member(members, name) for name in layouts[0].programmers.values()]
    else:
        numbered = [pair for each in made for pair in each.files.items()]
        files = [file for _, file in sorted(numbered, key=lambda pair: pair[0] != PROGRAMMER_ID)]
    return tuple(dict.fromkeys(spool.kept(file, choices.emit) for file in files))


def _member(members: flat.Members, name: str) -> File:
    try:
        return members[name]
    except KeyError:
        raise PackageError(
            f"'{name}' is missing.", remedies=("Download the package again.",)
        ) from None


def _package(
    tree: Tree,
    each: Programmable,
    members: flat.Members,
    loaders: tuple[Path, ...],
    made: tuple[ProgrammerSet, ...],
) -> Package:
    documents = flat.read_documents({name: _member(members, name) for name in each.files})
    package = flat.assembled(tree.title, documents, members, loaders)
    return replace(package, programmers=made)
