# SPDX-License-Identifier: BSD-3-Clause
"""Packages of HMD's Nokia phones (FIH): nb0, and images with the build's name in front of theirs.

Some hold rawprogram files and are flat builds then; the others go by the names of partitions.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from edl.contents import Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import nb0
from edl.package import Package
from edl.packages import flat
from edl.packages.fastboot import Fastboot
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.packages.zips import leads_out, plain_name

_BUILD = re.compile(r"[A-Z][A-Z0-9]{1,3}-[0-9A-Z][0-9A-Za-z.-]*-(?=[a-z])", re.ASCII)
_FEWEST = 2


class Nokia:
    """An nb0, or a folder or archive of files with the build's name in front."""

    name = "nokia"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        if (file := _container(tree)) is not None:
            try:
                nb0.members(file.content)
            except DocumentError:
                return Confidence.MAYBE
            return Confidence.LIKELY
        plain = _stripped(tree)
        if plain is None:
            return Confidence.NO
        known = flat.homes(plain) or Fastboot().detect(plain)
        return Confidence.LIKELY if known else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        file = _container(tree)
        inside = _inside(tree, file) if file is not None else tree
        plain = _stripped(inside) or inside
        if flat.homes(plain):
            package = flat.read(plain, choices)
        elif Fastboot().detect(plain):
            package = Fastboot().open(plain, choices)[0]
        else:
            names = ", ".join(list(plain.files)[:8])
            raise PackageError(
                f"{tree.title} is a package of FIH (Nokia), but holds nothing that says where its"
                f" images go: {names}.",
                remedies=("A single image goes to its partition with: edl write NAME FILE.",),
            )
        return package, Description("Nokia package (FIH)", version=_version(inside))


def _container(tree: Tree) -> File | None:
    if len(tree.files) != 1:
        return None
    file = next(iter(tree.files.values()))
    head = file.head(nb0.HEAD_BYTES)
    return file if nb0.is_nb0(head, file.size_bytes) else None


def _inside(tree: Tree, file: File) -> Tree:
    """Return the files in a container.

    Raises:
        PackageError: it is cut off.
    """
    try:
        found = nb0.members(file.content)
    except DocumentError as error:
        raise PackageError(
            f"{file.name}: {error.message}",
            remedies=("Download it again: what is there is not whole.",),
        ) from error
    files = {
        plain_name(each.name): File(
            f"{file.name}/{plain_name(each.name)}",
            Slice(file.content, each.offset, each.size_bytes),
            None,
            file.stamp,
        )
        for each in found
        if not leads_out(each.name)
    }
    return Tree(tree.title, "nb0", dict(sorted(files.items())))


def _stripped(tree: Tree) -> Tree | None:
    """Return tree without the build's name in front of each file, or None if there is none."""
    files: dict[str, File] = {}
    builds = 0
    for path, file in tree.files.items():
        place = PurePosixPath(path)
        match = _BUILD.match(place.name)
        builds += match is not None
        short = place.name[match.end() :] if match else place.name
        files.setdefault(str(place.with_name(short)), file)
    return replace(tree, files=files) if builds >= _FEWEST else None


def _version(tree: Tree) -> str:
    for path in tree.files:
        if match := _BUILD.match(PurePosixPath(path).name):
            return match[0].rstrip("-")
    return ""
