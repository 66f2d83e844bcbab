# SPDX-License-Identifier: BSD-3-Clause
"""Builds of Lenovo whose XML documents are encrypted (`rawprogram0.x`); flat builds otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from edl.chunks import BytesContent
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import lenovo_x
from edl.package import Package
from edl.packages import flat
from edl.packages.keys import Keys, none_fits, read_keys
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree

_NOTHING = File("", BytesContent(b""))


class Lenovo:
    """A flat build with `.x` files in the place of `.xml` files."""

    name = "lenovo"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        paths = [str(PurePosixPath(path).with_suffix(".xml")) for path in _encrypted(tree)]
        names = Tree(tree.title, tree.kind, dict.fromkeys(paths, _NOTHING))
        return Confidence.SURE if flat.homes(names) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format. Options: `keys`, a file with keys; and those of flat builds."""
        keys = read_keys(choices)
        files = dict(tree.files)
        for path in _encrypted(tree):
            document = _deciphered(files.pop(path), keys)
            files[str(PurePosixPath(path).with_suffix(".xml"))] = document
        package = flat.read(replace(tree, files=files), choices)
        told = flat.description(package)
        return package, replace(told, kind="Lenovo build (rawprogram, encrypted documents)")


def _encrypted(tree: Tree) -> list[str]:
    """Return the paths of documents that are there in encrypted form only."""
    found = []
    for path in tree.names("*.x"):
        plain = str(PurePosixPath(path).with_suffix(".xml"))
        name = PurePosixPath(plain).name
        if tree.get(plain) is None and name.lower().startswith(("rawprogram", "patch")):
            found.append(path)
    return found


def _deciphered(file: File, keys: Keys) -> File:
    data = file.head(lenovo_x.MAX_BYTES + 1)
    for word in keys.lenovo:
        try:
            document = lenovo_x.decipher(data, word)
        except DocumentError as error:
            raise PackageError(
                f"{file.name}: {error.message}", remedies=("Download the package again.",)
            ) from error
        if document is not None:
            return File(file.name, BytesContent(document), None, file.stamp)
    raise PackageError(
        f"{file.name} is encrypted, and {none_fits(keys.lenovo)}.",
        remedies=(
            keys.remedy,
            "If another tool has decrypted them, lay the .xml files beside the images.",
        ),
    )
