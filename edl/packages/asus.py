# SPDX-License-Identifier: BSD-3-Clause
"""Images of ASUS with a signature block in front (`ASUS MAGIC!`).

Facts: srlabs/extractor, and ASUS' own boot loader sources, which have the marks for the regions.
The block has 4096 bytes; behind it lies the image as everybody has it. All else in such packages is
for fastboot or a flat build.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from edl.contents import Slice
from edl.files import File
from edl.package import Package
from edl.packages import flat
from edl.packages.fastboot import Fastboot
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree

_MARKS = (b"ASUS MAGIC!", b"ASUS WW_SKU", b"ASUS CN_SKU")
_BLOCK_BYTES = 4096
_SUFFIXES = {".img", ".raw", ".bin"}
_MARK_BYTES = 12


class Asus:
    """A folder or an archive with such images."""

    name = "asus"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        if not _signed(tree):
            return Confidence.NO
        known = flat.homes(tree) or Fastboot().detect(tree)
        return Confidence.SURE if known else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        files = dict(tree.files)
        for path in _signed(tree):
            files[path] = _plain(files[path])
        plain = replace(tree, files=files)
        if flat.homes(plain):
            package = flat.read(plain, choices)
        else:
            package = Fastboot().open(plain, choices)[0]
        facts = (("signed images", ", ".join(_signed(tree))),)
        return package, Description("ASUS package", facts=facts)


def _signed(tree: Tree) -> list[str]:
    return [
        path
        for path, file in tree.files.items()
        if PurePosixPath(path).suffix.lower() in _SUFFIXES
        and file.size_bytes > _BLOCK_BYTES
        and file.head(_MARK_BYTES).startswith(_MARKS)
    ]


def _plain(file: File) -> File:
    rest = Slice(file.content, _BLOCK_BYTES, file.size_bytes - _BLOCK_BYTES)
    return File(file.name, rest, None, file.stamp)
