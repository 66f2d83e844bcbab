# SPDX-License-Identifier: BSD-3-Clause
"""Programmers of several images inside packages: which file answers which Sahara id.

The same three ways to say it as beside --loader: ids with files, a sahara_config document, a CPIO
archive. See `edl.imageset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from edl import imageset
from edl.chunks import BytesContent
from edl.errors import DocumentError, EdlError, PackageError
from edl.files import File
from edl.formats import cpio, sahara_config
from edl.imageset import PROGRAMMER_ID, ProgrammerSet
from edl.packages.tree import Tree

Find = Callable[[str], File | None]

_MAX_CONFIG_BYTES = 1 << 16
_HEAD_BYTES = 4096


def of_tree(tree: Tree) -> tuple[ProgrammerSet, ...]:
    """Return the programmers that sahara_config documents in tree describe, complete ones only."""
    found = []
    for path in tree.names("*.xml"):
        try:
            each = of_file(tree.files[path], partial(tree.beside, path))
        except EdlError:  # of another kind, or its files are not there: the next one may be right
            continue
        if each is not None and PROGRAMMER_ID in each.files:
            found.append(each)
    return tuple(found)


def of_file(file: File, find: Find) -> ProgrammerSet | None:
    """Return the programmer of several images that file is or describes, None if it is one image.

    find: returns the file that it means by a name, or None.

    Raises:
        DocumentError, ImageError: it is damaged.
        PackageError: files that it names are missing; all of them are listed.
    """
    head = file.head(_HEAD_BYTES)
    name = PurePosixPath(file.name).name
    if head.startswith(cpio.MAGIC) and file.size_bytes <= imageset.MAX_FILE_BYTES:
        images = imageset.of_file(Path(name), file.head(file.size_bytes)) or {}
        parts = {number: _part(file, number, data) for number, data in images.items()}
        return ProgrammerSet(name, parts)
    if not sahara_config.is_sahara_config(head):
        return None
    if file.size_bytes > _MAX_CONFIG_BYTES:
        raise DocumentError(f"{file.name} is too large for a sahara_config.")
    config = sahara_config.read_sahara_config(file.head(_MAX_CONFIG_BYTES), name)
    return ProgrammerSet(name, named(config.images, find))


def named(names: Mapping[int, str], find: Find) -> dict[int, File]:
    """Return the files that names gives for ids.

    Raises:
        PackageError: some are missing; all of them are listed.
    """
    found = {number: find(name) for number, name in names.items()}
    missing = [f"'{names[number]}' (image {number})" for number, file in found.items() if not file]
    if missing:
        raise PackageError(
            f"Images of the programmer are missing: {', '.join(missing)}.",
            remedies=("Download the package again.",),
        )
    return {number: file for number, file in found.items() if file is not None}


def _part(file: File, number: int, data: bytes) -> File:
    return File(f"{file.name}/image-{number}.bin", BytesContent(data), None, file.stamp)
