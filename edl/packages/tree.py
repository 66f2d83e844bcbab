# SPDX-License-Identifier: BSD-3-Clause
"""What a user hands over as files by name: a folder, an archive read in place, or a single file."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edl.errors import PackageError
from edl.files import File, on_disk

_MAX_FILES = 50_000
_MAX_DEPTH = 6


@dataclass(frozen=True)
class Tree:
    """Files by their path inside, with `/`; in order of name.

    title: what the user named. kind: `folder`, `zip`, `tar`, `file`, ... folder: where it lies, if
    it is one. notes: what users should know about how it is read.
    """

    title: str
    kind: str
    files: Mapping[str, File]
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    _lower: dict[str, list[str]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _folders: dict[str, dict[str, File]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def names(self, pattern: str = "*") -> list[str]:
        """Return the paths whose last part fits pattern, without regard to capitals."""
        fits = re.compile(fnmatch.translate(pattern.lower())).match
        return [path for path in self.files if fits(path.rpartition("/")[2].lower())]

    def get(self, path: str) -> File | None:
        """Return the file at path: exactly, else without regard to capitals, else None.

        Raises:
            PackageError: several files differ in capitals only.
        """
        path = path.replace("\\", "/").removeprefix("./")
        if path in self.files:
            return self.files[path]
        if not self._lower:
            for name in self.files:
                self._lower.setdefault(name.lower(), []).append(name)
        found = self._lower.get(path.lower(), [])
        if len(found) > 1:
            raise PackageError(
                f"'{path}' is missing; {' and '.join(found)} differ from it only in capitals.",
                remedies=("Give the right one of these files exactly that name.",),
            )
        return self.files[found[0]] if found else None

    def beside(self, path: str, name: str) -> File | None:
        """Return the file name in the folder of path."""
        return self.get(str(PurePosixPath(path).parent / name))

    def below(self, folder: str) -> dict[str, File]:
        """Return the files directly in folder, by name."""
        if not self._folders:
            for path, file in self.files.items():
                parent, _, name = path.rpartition("/")
                self._folders.setdefault(parent or ".", {})[name] = file
        return dict(self._folders.get(str(PurePosixPath(folder)), {}))


def of_folder(folder: Path) -> Tree:
    """Return the files of folder; links are not followed out of it.

    Raises:
        PackageError: it cannot be read, or holds too much to be a package.
    """
    root = folder.resolve()
    files: dict[str, File] = {}
    try:
        for path in _walk(root, 0):
            if len(files) == _MAX_FILES:
                raise PackageError(
                    f"{folder} holds more than {_MAX_FILES} files: that is no package.",
                    remedies=("Name the folder of the package itself.",),
                )
            files[path.relative_to(root).as_posix()] = on_disk(path)
    except OSError as error:
        raise PackageError(f"{folder} cannot be read: {error.strerror}.") from error
    return Tree(str(folder), "folder", dict(sorted(files.items())), folder=root)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            if depth < _MAX_DEPTH:
                yield from _walk(entry, depth + 1)
        elif entry.is_file():
            yield entry


def of_file(path: Path) -> Tree:
    """Return a tree of the one file at path.

    Raises:
        ImageError: it cannot be looked at.
    """
    return Tree(str(path), "file", {path.name: on_disk(path)})
