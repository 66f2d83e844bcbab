# SPDX-License-Identifier: BSD-3-Clause
"""Files of archives that must lie on the disk: programmers, and what cannot be read where it is.

They lie in the user's data folder, under a name that follows from the archive (its path, size and
time), so that the next command and a job which is gone on with find the same. Nobody else may read
them; `clean` removes what nobody has used for a day.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from edl.chunks import CHUNK_BYTES, FileContent
from edl.contents import as_file, is_zero
from edl.errors import DiskError, DocumentError, ImageError
from edl.events import BytesMoved, Emit, Stage, ignore
from edl.files import File, Stamp
from edl.formats.gpt import safe_name
from edl.formats.streams import Budget, FileStream, Stream, Unpacked, compression
from edl.home import home, open_private, private_folder
from edl.units import MIB, format_size

SUFFIXES = (".gz", ".xz", ".zst", ".bz2")  # of compressed images
_HEAD_BYTES = 16
_MOST_BYTES = 1 << 41  # the largest phones have half of that
_KEEP_S = 24 * 3600
_SPARE_BYTES = 64 * MIB  # left free for journals and what is saved
_TOLD_BYTES = 64 * MIB  # from here on people are told what takes so long, and so much room


class Roomy(Budget):
    """Lets through what a phone can hold: zeros take no room here, and what is left is watched."""

    def __init__(self) -> None:
        super().__init__(0)
        self._left_bytes = _MOST_BYTES


def folder_of(file: File) -> Path:
    """Return the folder for what comes out of the archive that file is, or comes from."""
    stamp = file.stamp
    text = f"{stamp.path.resolve()} {stamp.size_bytes} {stamp.mtime_ns}" if stamp else file.name
    return home() / "unpacked" / hashlib.sha256(text.encode()).hexdigest()[:16]


def kept(file: File, emit: Emit = ignore) -> Path:
    """Return where file lies on the disk, putting it there if need be.

    Raises:
        DiskError: there is no room for it.
        ImageError: it is damaged.
    """
    if file.path is not None:
        return file.path
    path = _place(file, "")
    if not (path.exists() and path.stat().st_size == file.size_bytes):
        require_room(path.parent, file.size_bytes, file.name)
        _tell(file, path, emit)
        put(path, file.content.chunks(0, file.size_bytes), file.name, emit)
    touch(folder_of(file))
    return path


def at_hand(file: File, emit: Emit = ignore) -> File:
    """Return file so that it can be read anywhere at once: put on the disk if need be.

    Raises: see kept.
    """
    return file if file.path is not None else _lying(file.name, kept(file, emit), file.stamp)


def unpacked(file: File, magic: bytes, emit: Emit = ignore) -> File:
    """Return what the compressed file unpacks to, unpacked to the disk once.

    magic: one of `formats.streams.COMPRESSIONS`, with which it begins.

    Raises:
        DiskError: there is no room for it.
        ImageError: it is damaged.
    """
    name = str(PurePosixPath(file.name).with_suffix(""))
    path = _place(file, "-unpacked")
    if not path.exists():
        require_room(path.parent, file.size_bytes, file.name)
        _tell(file, path, emit)
        with as_file(file.content) as packed:
            stream = Unpacked(FileStream(packed), magic, Roomy())
            put(path, pieces(stream), file.name, emit)
    touch(folder_of(file))
    return _lying(name, path, file.stamp)


def plain(file: File, emit: Emit = ignore) -> File:
    """Return file, unpacked if it is compressed and its name says so too.

    Raises: see unpacked.
    """
    if not file.name.lower().endswith(SUFFIXES):
        return file
    magic = compression(file.head(_HEAD_BYTES))
    return file if magic is None else unpacked(file, magic, emit)


def _lying(name: str, path: Path, stamp: Stamp | None) -> File:
    size = Stamp.of(path).size_bytes
    return File(name, FileContent(path, 0, size, size), path, stamp)


def key(file: File) -> str:
    """Return what tells file apart from others of the same archive."""
    return hashlib.sha256(file.name.encode()).hexdigest()[:8]


def _place(file: File, ending: str) -> Path:
    name = safe_name(PurePosixPath(file.name).name)
    return folder_of(file) / f"{key(file)}{ending}" / name


def _tell(file: File, path: Path, emit: Emit) -> None:
    if file.size_bytes >= _TOLD_BYTES:
        size = format_size(file.size_bytes)
        emit(Stage("unpack", f"{file.name} ({size}) to {path.parent}, kept for a day"))


def pieces(stream: Stream) -> Iterator[bytes]:
    """Yield what stream has, to its end."""
    while piece := stream.read(CHUNK_BYTES):
        yield piece


def put(path: Path, data: Iterable[bytes | memoryview], name: str, emit: Emit = ignore) -> None:
    """Write data to path, which is there only when all of it is. Zeros become holes.

    name: of the file that data comes from, for errors.

    Raises:
        DiskError: there is no room.
        ImageError: the file is damaged.
    """
    who = f"{os.getpid()}-{threading.get_ident()}"  # two phones may need the same at once
    partial = path.with_name(f"{path.name}.{who}.partial")
    unchecked = 0
    try:
        private_folder(path.parent)
        with open_private(partial, "wb") as out:
            for piece in data:
                if is_zero(memoryview(piece)):
                    out.seek(len(piece), os.SEEK_CUR)
                else:
                    out.write(piece)
                    unchecked += len(piece)
                if unchecked > _SPARE_BYTES // 2:
                    require_room(path.parent, 0, name)
                    unchecked = 0
                emit(BytesMoved(len(piece)))
            out.truncate()
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except DocumentError as error:
        raise damaged(name, error) from error
    except OSError as error:
        raise DiskError(
            f"{name} cannot be unpacked to {path.parent}: {error.strerror}.",
            remedies=("Make room there, or set EDL_HOME to a folder on another disk.",),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def damaged(name: str, error: DocumentError) -> ImageError:
    """Return the error for an archive, called name, that turned out to be damaged."""
    return ImageError(
        f"{name} is damaged: {error.message}",
        remedies=("Download it again: what is there is not whole.",),
    )


def require_room(folder: Path, size_bytes: int, name: str) -> None:
    """Make sure that there is room for size_bytes of name in folder.

    Raises:
        DiskError: there is not.
    """
    try:
        private_folder(folder)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DiskError(f"{folder} cannot be used: {error.strerror}.") from error
    if free < size_bytes + _SPARE_BYTES:
        raise DiskError(
            f"{name} must be unpacked to {folder}: {format_size(size_bytes + _SPARE_BYTES)} are"
            f" needed, {format_size(free)} are free.",
            remedies=("Make room there, or set EDL_HOME to a folder on another disk.",),
        )


def touch(folder: Path) -> None:
    """Note that folder is in use, so that it is kept."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def clean(now: dt.datetime | None = None) -> None:
    """Remove what was unpacked and has not been used for a day, and what killed runs left."""
    limit = (now or dt.datetime.now(dt.UTC)).timestamp() - _KEEP_S
    with contextlib.suppress(OSError):
        for folder in (home() / "unpacked").iterdir():
            for path in (folder, *folder.glob("*.partial"), *folder.glob("*/*.partial")):
                if path.is_dir() and path.stat().st_mtime < limit:
                    shutil.rmtree(path, ignore_errors=True)
                elif path.is_file() and path.stat().st_mtime < limit:
                    path.unlink()
