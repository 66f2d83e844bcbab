# SPDX-License-Identifier: BSD-3-Clause
"""Tar archives, read in place: plain ones anywhere, compressed ones with an index of them.

What is compressed as a whole must be read from its beginning to know what is in it. That is done
once (`tarindex`), and tests the compression's checksum; `tarreader` then reads the files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edl import spool
from edl.contents import Slice
from edl.errors import DocumentError, ImageError, PackageError
from edl.events import Emit, Stage, ignore
from edl.files import File
from edl.formats import tar
from edl.formats.streams import FileStream, Stream, Unpacked, compression, take
from edl.packages import tarindex
from edl.packages.tarindex import CUT_OFF, members
from edl.packages.tarreader import Archive, Member
from edl.packages.tree import Tree
from edl.streamed import StreamContent
from edl.units import MIB, format_size

TOLD_BYTES = 64 * MIB  # smaller ones are done before anybody has read that they are slow


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
        DiskError: there is no room for its index.
    """
    notes: list[str] = []
    magic = compression(file.head(tar.BLOCK_BYTES))
    if magic is None:
        files = _in_place(file, title, notes)
    else:
        files = _packed(file, magic, title, notes, emit)
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
            for name, section in members(stream, title, notes):
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
        raise DocumentError(CUT_OFF)


def _damaged(title: str, error: DocumentError) -> PackageError:
    return PackageError(
        f"{title} is damaged: {error.message}",
        remedies=("Download it again: what is there is not whole.",),
    )


# -- compressed ----------------------------------------------------------------------------------


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


def _packed(file: File, magic: bytes, title: str, notes: list[str], emit: Emit) -> dict[str, File]:
    if isinstance(file.content, StreamContent) and file.content.direct is None:
        file = spool.at_hand(file, emit)  # it is in another archive, in which nobody can go back
    folder = spool.folder_of(file) / f"tar-{spool.key(file)}"
    index = tarindex.load(folder)
    if index is None:
        size = format_size(file.size_bytes)
        emit(Stage("index", f"{title} ({size}): reading all of it once, to test it and to find its"
                            " files"))  # fmt: skip
        try:
            index = tarindex.make(file, magic, title, folder, emit)
        except DocumentError as error:
            raise _damaged(title, error) from error
    spool.touch(folder.parent)
    archive = Archive(file, magic, folder, index, emit)
    if not archive.anywhere and index.size_bytes > TOLD_BYTES:
        size = format_size(sum(entry.size_bytes for entry in index.entries if entry.tail))
        emit(Stage("index", f"{title} is compressed in one piece, in which nobody can go back:"
                            f" files that are not read in its order go to {folder.parent} (at"
                            f" most {size}, kept for a day)"))  # fmt: skip
    notes += index.notes
    return {
        entry.name: File(f"{file.name}/{entry.name}", Member(archive, entry), None, file.stamp)
        for entry in index.entries
    }
