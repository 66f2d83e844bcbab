# SPDX-License-Identifier: BSD-3-Clause
"""Images for fastboot without any XML: `boot.img`, `system.img`, ...

Google, Nothing, OnePlus and many others give them so. Each goes to the partition that its name
says. Scripts that lie beside them (flash_all) are not needed for that, and never run.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from edl.package import NamedImage, Package
from edl.packages.flat import Members, find_loaders
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.partitions import classify

_SUFFIXES = {".img", ".bin", ".mbn", ".elf", ".raw", ".fv"}
_USER = ("userdata", "metadata", "cache")
# a folder with one of these is for a phone, and not some other images
_TELLING = {"boot", "abl", "aboot", "xbl", "sbl1", "vbmeta", "system", "super", "recovery", "modem"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,35}", re.ASCII)
_FEWEST = 2


class Fastboot:
    """A folder or an archive of images with the names of partitions."""

    name = "fastboot"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        found = max((images(tree, home) for home in _homes(tree)), key=len, default={})
        bases = {name.removesuffix("_a").removesuffix("_b") for name in found}
        enough = len(found) >= _FEWEST and bool(_TELLING & bases)
        return Confidence.MAYBE if enough else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        home = max(_homes(tree), key=lambda folder: len(images(tree, folder)))
        named: list[NamedImage] = []
        left_out: list[tuple[str, str]] = []
        for partition, filename in images(tree, home).items():
            if partition in _USER and not choices.wipe:
                left_out.append((filename, "it replaces your data; --wipe takes it as well"))
            else:
                named.append(NamedImage(partition, filename, home))
        package = Package(
            title=tree.title,
            roots=(),
            documents=(),
            home={},
            loaders=find_loaders(tree),
            left_out=tuple(left_out),
            members=Members(tree, home),
            named=tuple(named),
        )
        return package, Description("images for fastboot, by the names of partitions")


def _homes(tree: Tree) -> list[str]:
    return list(dict.fromkeys(str(PurePosixPath(path).parent) for path in tree.files))


def images(tree: Tree, home: str) -> dict[str, str]:
    """Return the files in the folder home by the partition that their names say."""
    found: dict[str, str] = {}
    for filename in tree.below(home):
        path = PurePosixPath(filename)
        if path.suffix.lower() in _SUFFIXES and _NAME.fullmatch(path.stem):
            known = classify(path.stem).category != "unknown"
            if known or path.suffix.lower() == ".img":
                found.setdefault(path.stem.lower(), filename)
    return found
