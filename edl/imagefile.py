# SPDX-License-Identifier: BSD-3-Clause
"""A file on this computer as what it stands for: the raw bytes behind Android sparse images.

with open_content(path) as opened:
    read(opened.content)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edl.chunks import Content, FileContent, read_all
from edl.contents import SparseContent, as_file
from edl.errors import ImageError
from edl.formats import sparse


@dataclass(frozen=True)
class Opened:
    """What a file stands for.

    Attributes:
        forms: how it is wrapped, from the outside in (`sparse`); empty for a raw file.
        file_bytes: size of the file itself.
        content: the bytes inside all of that.
    """

    path: Path
    forms: tuple[str, ...]
    file_bytes: int
    content: Content


@contextmanager
def open_content(path: Path) -> Iterator[Opened]:
    """Open the image in path, whatever it is wrapped in.

    Raises:
        ImageError: there is no such file, it cannot be read, it is no file, or empty.
        DocumentError: what it is wrapped in is damaged.
    """
    size = file_size(path)
    content: Content = FileContent(path, 0, size, size)
    if sparse.is_sparse(read_all(content, 0, min(4, size))):
        yield Opened(path, ("sparse",), size, expanded(content, path.name))
    else:
        yield Opened(path, (), size, content)


def expanded(content: Content, name: str) -> SparseContent:
    """Return what the sparse image in content expands to.

    Raises:
        DocumentError: it is a damaged one.
    """
    with as_file(content) as file:
        return SparseContent(content, sparse.SparseImage.read(file, content.size_bytes, name))


def file_size(path: Path) -> int:
    """Return the size of an ordinary file or of a disk.

    Raises:
        ImageError: it is none that can be read at any place, or it is empty.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ImageError(f"{path} is a folder, no image.", remedies=("Name a file in it.",))
        if not stat.S_ISREG(kind) and not stat.S_ISBLK(kind):
            raise ImageError(
                f"{path} is a pipe or a device that has no size.",
                remedies=("Save what comes out of it in a file, and name that.",),
            )
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be read: {reason}.") from error
    if size == 0:
        raise ImageError(f"{path} is empty.", remedies=("Get the image again.",))
    return size
