# SPDX-License-Identifier: BSD-3-Clause
"""A file of a package, wherever it lies: by itself on the disk, or inside an archive."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from edl.chunks import Content, FileContent, read_all
from edl.contents import as_file
from edl.errors import ImageError


@dataclass(frozen=True)
class Stamp:
    """What changes when a file on the disk changes. mtime_ns: time of the last change."""

    path: Path
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the stamp of the file at path.

        Raises:
            ImageError: it cannot be looked at.
        """
        try:
            state = os.stat(path)  # noqa: PTH116  # path.stat() costs twice as much, a file each row
        except (OSError, ValueError) as error:  # ValueError: nothing can be called so
            reason = getattr(error, "strerror", None) or "no file can be called so"
            raise ImageError(f"{path} cannot be read: {reason}.") from error
        return cls(path, state.st_size, state.st_mtime_ns)


@dataclass(frozen=True)
class File:
    """A file of a package. Two are equal if they have the same name and stamp.

    name: as people know it, with the name of the archive in front, safe to print. content: its
    bytes as they lie there; sparse images are not expanded. path: where it lies by itself, or None.
    stamp: of the file on the disk that its bytes come from, itself or an archive; None: memory.
    """

    name: str
    content: Content = field(compare=False)
    path: Path | None = None
    stamp: Stamp | None = None

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return self.content.size_bytes

    def head(self, size_bytes: int) -> bytes:
        """Return the first size_bytes bytes, or all.

        Raises:
            ImageError: it cannot be read.
        """
        return read_all(self.content, 0, min(size_bytes, self.size_bytes))

    def open(self) -> io.BufferedReader:
        """Return it as a file object that can be read and sought.

        Raises:
            ImageError: it cannot be opened.
        """
        if self.path is None:
            return as_file(self.content)
        try:
            return self.path.open("rb")
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read: {error.strerror}.") from error

    def require_unchanged(self) -> None:
        """Make sure that the file is as it was when it was looked at first.

        Raises:
            ImageError: it has changed, or is gone.
        """
        if self.stamp is not None and Stamp.of(self.stamp.path) != self.stamp:
            raise ImageError(
                f"{self.stamp.path} has changed since it was checked.",
                remedies=("Let the other program finish, and start again.",),
            )


def on_disk(path: Path, name: str = "") -> File:
    """Return the file at path.

    Raises:
        ImageError: it cannot be looked at.
    """
    stamp = Stamp.of(path)
    size = stamp.size_bytes
    return File(name or path.name, FileContent(path, 0, size, size), path, stamp)
