# SPDX-License-Identifier: BSD-3-Clause
"""A file on this computer as what it stands for: raw bytes, out of compression and sparse images.

    with open_content(path) as opened:
        read(opened.content)

Seekable Zstandard and sparse images are read where they lie. Other compressed files can only be
read from their beginning on, so they are unpacked into a temporary file without a name, which is
gone when the content is closed or the program ends, however it ends. Zeros take no room in it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edl.chunks import Content, FileContent, read_all
from edl.contents import OpenContent, SparseContent, as_file, is_zero
from edl.errors import DiskError, DocumentError, ImageError
from edl.events import BytesMoved, Emit, Stage, ignore
from edl.formats import archive, sparse, streams
from edl.formats.seekable import SeekableContent
from edl.formats.streams import Budget, FileStream, Unpacked
from edl.units import GIB, MIB, format_size

MAX_UNPACKED_BYTES = 2048 * GIB  # the largest phones have half of that
_RESERVE_BYTES = 64 * MIB  # of free room that is left alone
_BLOCK_BYTES = MIB
_MAX_WRAPPINGS = 4
_KINDS = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(frozen=True)
class Opened:
    """What a file stands for.

    Attributes:
        forms: how it is wrapped, from the outside in (`gzip`, `sparse`); empty for a raw file.
        file_bytes: size of the file itself.
        content: the bytes inside all of that.
        sparse: the outermost sparse image among the forms.
    """

    path: Path
    forms: tuple[str, ...]
    file_bytes: int
    content: Content
    sparse: SparseContent | None = None


@contextmanager
def open_content(path: Path, emit: Emit = ignore) -> Iterator[Opened]:
    """Open the image in path, whatever it is wrapped in.

    Raises:
        ImageError: there is no such file, it cannot be read, it is no file, or empty; or it is an
            archive of several files.
        DocumentError: what it is wrapped in is damaged.
        DiskError: there is no room to unpack it.
    """
    size = file_size(path)
    content: Content = FileContent(path, 0, size, size)
    forms: list[str] = []
    found: SparseContent | None = None
    with ExitStack() as stack:
        while True:
            head = read_all(content, 0, min(archive.HEAD_BYTES, content.size_bytes))
            if len(forms) == _MAX_WRAPPINGS:
                break
            if sparse.is_sparse(head):
                content = expanded(content, path.name)
                found = found or content
                forms.append("sparse")
            elif (magic := streams.compression(head)) is not None:
                seekable = _seekable(path, magic) if not forms else None
                content = seekable or stack.enter_context(_unpacked(content, magic, path, emit))
                forms.append(_KINDS[magic])
            else:
                break
        _require_image(head, path)
        yield Opened(path, tuple(forms), size, content, found)


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
            raise ImageError(
                f"{path} is a folder, neither an image nor a backup.",
                remedies=("Name a file in it.",),
            )
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


def _require_image(head: bytes, path: Path) -> None:
    """Refuse archives: they hold files, not the bytes of a storage."""
    kind = archive.foreign_kind(head) or ("zip or tar" if archive.is_archive(head) else None)
    if kind is not None:
        raise ImageError(
            f"{path} is an archive of files ({kind}), no image.",
            remedies=("Unpack it, and name the image that was in it.",),
        )


def _seekable(path: Path, magic: bytes) -> Content | None:
    """Return what a seekable file unpacks to; None if it is not of that kind."""
    if _KINDS[magic] != "zstd":
        return None
    try:
        content = SeekableContent.whole(path)
    except DocumentError:
        return None
    return content if content.size_bytes else None


class _Most(Budget):
    """Lets through what a phone can hold: most of a dump is zeros, which compress to nothing."""

    def __init__(self) -> None:
        super().__init__(0)
        self._left_bytes = MAX_UNPACKED_BYTES


@contextmanager
def _unpacked(content: Content, magic: bytes, path: Path, emit: Emit) -> Iterator[Content]:
    """Unpack content into a temporary file, beside path if possible."""
    folder = _folder(path)
    emit(Stage("unpack", f"{path.name} ({_KINDS[magic]}) into a temporary file in {folder}"))
    with tempfile.TemporaryFile(dir=folder, prefix=".edl-") as spool, as_file(content) as packed:
        stream = Unpacked(FileStream(packed), magic, _Most())
        try:
            size = _copy(stream, spool, folder, emit)
        except OSError as error:
            raise DiskError(
                f"{path.name} cannot be unpacked in {folder}: {error.strerror}.",
                remedies=("Make room there, or unpack it yourself on another disk.",),
            ) from error
        except DocumentError as error:
            raise DocumentError(f"{path.name}: {error.message}") from error
        if size == 0:
            raise ImageError(f"{path} unpacks to nothing.", remedies=("Get the image again.",))
        yield OpenContent(spool, size)


def _copy(stream: Unpacked, spool: BinaryIO, folder: Path, emit: Emit) -> int:
    """Write what stream has into spool, zeros as holes, and return how much it was."""
    size, unchecked = 0, _RESERVE_BYTES
    while block := _block(stream):
        if is_zero(memoryview(block)):
            spool.seek(len(block), os.SEEK_CUR)
        else:
            unchecked += len(block)
            if unchecked > _RESERVE_BYTES // 2:
                _require_room(folder)
                unchecked = 0
            spool.write(block)
        size += len(block)
        emit(BytesMoved(len(block)))
    spool.truncate(size)
    spool.flush()
    return size


def _block(stream: Unpacked) -> bytes:
    return streams.take(stream, _BLOCK_BYTES)


def _require_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _RESERVE_BYTES:
        raise DiskError(
            f"{folder} has only {format_size(free)} left, too little to unpack the image there.",
            remedies=("Make room there, or unpack it yourself on another disk.",),
        )


def _folder(path: Path) -> Path:
    """Return where a temporary file can be: beside path, where there is room for large files."""
    beside = path.resolve().parent
    return beside if os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
