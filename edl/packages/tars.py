# SPDX-License-Identifier: BSD-3-Clause
"""Tar archives: plain ones are read in place, compressed ones are unpacked to the disk, once.

What is compressed as a whole can only be read from its beginning on, and rows want their images in
an order of their own. The compression's checksum is checked on the way.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from edl import spool
from edl.chunks import CHUNK_BYTES, FileContent
from edl.contents import Slice
from edl.errors import DiskError, DocumentError, ImageError, PackageError
from edl.events import Emit, Stage, ignore
from edl.files import File
from edl.formats import tar
from edl.formats.gpt import safe_name
from edl.formats.streams import (
    FileStream,
    Section,
    Stream,
    Unpacked,
    compression,
    take,
)
from edl.home import private, private_folder
from edl.packages.tree import Tree
from edl.packages.zips import leads_out, plain_name
from edl.units import format_size

_MAX_MEMBERS = 50_000
_CUT_OFF = "The tar archive is cut off: get the file again."
_INDEX = "index.json"
_MAX_INDEX_BYTES = 32 * 1024 * 1024
_REST_BYTES = 1 << 40


def is_tar(head: bytes) -> bool:
    """Return whether a file that begins with head, 512 bytes, is a plain tar archive."""
    return tar.is_header(head)


def holds_tar(file: File) -> bool:
    """Return whether file is a compressed tar archive, and not one compressed file.

    Raises:
        ImageError: it is damaged.
    """
    with _stream(file) as stream:
        try:
            return tar.is_header(take(stream, tar.BLOCK_BYTES))
        except DocumentError as error:
            raise spool.damaged(file.name, error) from error


def read(file: File, title: str, emit: Emit = ignore) -> Tree:
    """Return the files in file, a tar archive, plain or compressed. title: what people call it.

    Raises:
        PackageError: it is damaged, or made to exhaust whoever reads it.
        ImageError: it cannot be read.
        DiskError: there is no room to unpack it.
    """
    notes: list[str] = []
    if compression(file.head(tar.BLOCK_BYTES)) is None:
        files = _in_place(file, title, notes)
    else:
        files = _unpacked(file, title, notes, emit)
    return Tree(title, "tar", dict(sorted(files.items())), notes=tuple(notes))


# -- in place ------------------------------------------------------------------------------------


class _Counting:
    """A stream that knows where it stands."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.at = 0

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        data = self._stream.read(size_bytes)
        self.at += len(data)
        return data

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        self._stream.skip(size_bytes)
        self.at += size_bytes


def _in_place(file: File, title: str, notes: list[str]) -> dict[str, File]:
    found: dict[str, File] = {}
    try:
        with file.open() as opened:
            stream = _Counting(FileStream(opened))
            for name, section in _members(stream, title, notes):
                _require_within(stream.at + section.left_bytes, file)
                content = Slice(file.content, stream.at, section.left_bytes)
                found[name] = File(f"{file.name}/{name}", content, None, file.stamp)
    except DocumentError as error:
        raise _damaged(title, error) from error
    except OSError as error:
        raise ImageError(f"{title} cannot be read: {error.strerror}.") from error
    return found


def _require_within(end: int, file: File) -> None:
    if end > file.size_bytes:
        raise DocumentError(_CUT_OFF)


def _members(stream: Stream, title: str, notes: list[str]) -> Iterator[tuple[str, Section]]:
    """Yield name and content of the files in stream; of two of one name the last one counts."""
    for count, (told, section) in enumerate(tar.tar_members(stream)):
        if count == _MAX_MEMBERS:
            raise PackageError(f"{title} holds more than {_MAX_MEMBERS} files.")
        name = plain_name(told)
        if leads_out(told):
            notes.append(f"{name}: its name leads out of the archive")
        else:
            yield name, section


def _damaged(title: str, error: DocumentError) -> PackageError:
    return PackageError(
        f"{title} is damaged: {error.message}",
        remedies=("Download it again: what is there is not whole.",),
    )


# -- unpacked to the disk ------------------------------------------------------------------------


@contextlib.contextmanager
def _stream(file: File) -> Iterator[Stream]:
    """Open what file unpacks to."""
    magic = compression(file.head(tar.BLOCK_BYTES))
    try:
        with file.open() as opened:
            stream: Stream = FileStream(opened)
            if magic is not None:
                stream = Unpacked(stream, magic, spool.Roomy())
            yield stream
    except OSError as error:
        raise ImageError(f"{file.name} cannot be read: {error.strerror}.") from error


def _unpacked(file: File, title: str, notes: list[str], emit: Emit) -> dict[str, File]:
    folder = spool.folder_of(file) / f"tar-{spool.key(file)}"
    index = _Index.of(folder)
    if index is None:
        spool.require_room(folder.parent, file.size_bytes, title)
        size = format_size(file.size_bytes)
        emit(Stage("unpack", f"{title} ({size}), once, to {folder}; kept for a day"))
        try:
            index = _unpack(file, title, folder, emit)
        except DocumentError as error:
            raise _damaged(title, error) from error
    spool.touch(folder.parent)
    notes += index.notes
    found = {}
    for name, number, length in index.files:
        path = _path(folder, number, name)
        content = FileContent(path, 0, length, length)
        found[name] = File(f"{file.name}/{name}", content, path, file.stamp)
    return found


def _path(folder: Path, number: int, name: str) -> Path:
    """Return where a file lies: its name is told to people, its number makes it the only one."""
    return folder / str(number) / safe_name(PurePosixPath(name).name)


@dataclass(frozen=True)
class _Index:
    """What lies in a folder: name, number (which is its name there) and size of each file."""

    files: tuple[tuple[str, int, int], ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Return what an earlier run unpacked to folder, if that is all there still."""
        try:
            with (folder / _INDEX).open("rb") as file:
                told = json.loads(file.read(_MAX_INDEX_BYTES))
            files = tuple((str(name), int(at), int(size)) for name, at, size in told["files"])
            whole = all(_path(folder, at, name).stat().st_size == size for name, at, size in files)
            notes = tuple(map(str, told["notes"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return cls(files, notes) if whole else None

    def save(self, folder: Path) -> None:
        text = json.dumps({"files": self.files, "notes": self.notes})
        with open(folder / _INDEX, "w", encoding="utf-8", opener=private) as file:
            file.write(text)


def _unpack(file: File, title: str, folder: Path, emit: Emit) -> _Index:
    """Unpack all of file to folder, which is there only when that is done.

    Where another process was quicker, what it reads from stays.
    """
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    notes: list[str] = []
    numbers: dict[str, tuple[int, int]] = {}
    try:
        private_folder(partial)
        with _stream(file) as stream:
            for number, (name, section) in enumerate(_members(stream, title, notes)):
                length = section.left_bytes
                spool.put(_path(partial, number, name), _pieces(section), f"{title}/{name}", emit)
                numbers[name] = (number, length)
            stream.skip(_REST_BYTES)  # the checksum stands at the very end
        files = tuple((name, *at) for name, at in numbers.items())
        index = _Index(files, tuple(notes))
        index.save(partial)
        if _Index.of(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
    except OSError as error:
        raise DiskError(
            f"{title} cannot be unpacked to {folder}: {error.strerror}.",
            remedies=("Make room there, or set EDL_HOME to a folder on another disk.",),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return index


def _pieces(section: Section) -> Iterator[bytes]:
    while section.left_bytes:
        piece = take(section, min(CHUNK_BYTES, section.left_bytes))
        if not piece:
            raise DocumentError(_CUT_OFF)
        yield piece
