# SPDX-License-Identifier: BSD-3-Clause
"""Files of a backup while it is made: NAME.partial until they are whole and on the disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from edl.backup.progress import Done
from edl.chunks import FileContent, FillContent
from edl.contents import is_zero
from edl.errors import DiskError, ImageError
from edl.formats.seekable import Frame, Writer, unpack
from edl.home import open_private
from edl.outfile import store_sparse
from edl.units import MIB

_FAT_BYTES = 4 * 1024 * MIB


class Output(Protocol):
    """One file of a backup."""

    def holds(self, done: Done) -> bool:
        """Tell whether what an earlier run put there is still whole; asked in the file's order."""
        ...

    def put(self, offset: int, data: memoryview | None, size: int) -> tuple[Frame, ...]:
        """Put size bytes at offset, zeros if data is None; return what the progress must keep.

        Raises:
            DiskError: the disk takes no more.
        """
        ...

    def finish(self) -> None:
        """Bring the file to the disk, and give it its name.

        Raises:
            DiskError: that does not work.
        """
        ...

    def close(self) -> None:
        """Close the file as it is, to go on with it another time."""
        ...


class RawFile:
    """The bytes as they are; zeros are holes."""

    def __init__(self, path: Path, size: int, *, resume: bool) -> None:
        self._path = path
        self._partial = partial(path)
        self._size = size
        with _explained(path, size):
            if resume and path.exists() and not self._partial.exists():
                path.replace(self._partial)  # whole, but the job did not get to know
            self._resumed = resume and self._partial.exists()
            mode = "r+b" if self._resumed else "w+b"
            self._file = open_private(self._partial, mode)
            self._file.truncate(size)

    def holds(self, done: Done) -> bool:
        """See Output."""
        found = hashlib.sha256()
        if self._is_hole(done.offset, done.size_bytes):
            content: FillContent | FileContent = FillContent(done.size_bytes)
            chunks = content.chunks(0, done.size_bytes)
        else:
            content = FileContent(self._partial, 0, self._size, self._size)
            chunks = content.chunks(done.offset, done.size_bytes)
        try:
            for chunk in chunks:
                found.update(chunk)
        except ImageError:
            return False
        return found.digest() == done.sha256

    def _is_hole(self, offset: int, size: int) -> bool:
        seek_data = getattr(os, "SEEK_DATA", None)  # not every system tells holes
        if seek_data is None:
            return False
        try:
            with self._partial.open("rb") as file:
                return os.lseek(file.fileno(), offset, seek_data) >= offset + size
        except OSError:  # there is no data up to the end
            return True

    def put(self, offset: int, data: memoryview | None, size: int) -> tuple[Frame, ...]:
        """See Output."""
        with _explained(self._path, self._size):
            self._file.seek(offset)
            if self._resumed and not self._is_hole(offset, size):
                self._file.write(bytes(size) if data is None else data)
            elif data is not None:
                store_sparse(self._file, data)
            self._file.flush()
        return ()

    def finish(self) -> None:
        """See Output."""
        with _explained(self._path, self._size):
            _keep(self._file, self._path)

    def close(self) -> None:
        """See Output."""
        self._file.close()


class PackedFile:
    """Seekable Zstandard. What is put must be in order; what is left out becomes zeros."""

    def __init__(self, path: Path, size: int, *, resume: bool) -> None:
        self._path = path
        self._partial = partial(path)
        self._size = size
        self._frames: list[Frame] = []
        self._at = 0  # how many bytes the frames hold
        self._place = 0  # where the next frame lies in the file
        self._writer: Writer | None = None
        with _explained(path, size):
            if resume and path.exists() and not self._partial.exists():
                path.replace(self._partial)
            mode = "r+b" if resume and self._partial.exists() else "w+b"
            self._file = open_private(self._partial, mode)

    def holds(self, done: Done) -> bool:
        """See Output. Once something is not whole, nothing behind it is."""
        if self._writer is not None:
            return False
        size = sum(frame.size_bytes for frame in done.frames)
        begin = done.offset - self._at  # zeros before it
        if size != begin + done.size_bytes or not self._matches(done, begin):
            self._start()
            return False
        self._frames += done.frames
        self._at += size
        self._place += sum(frame.packed_bytes for frame in done.frames)
        return True

    def _matches(self, done: Done, begin: int) -> bool:
        found = hashlib.sha256()
        at = 0
        self._file.seek(self._place)
        for frame in done.frames:
            data = unpack(self._file.read(frame.packed_bytes), frame)
            if data is None:
                return False
            inside = max(0, min(len(data), begin - at))
            if not is_zero(data[:inside]):
                return False
            found.update(data[inside:])
            at += len(data)
        return found.digest() == done.sha256

    def _start(self) -> Writer:
        """Drop whatever lies behind what is whole, and go on from there."""
        if self._writer is None:
            self._file.seek(self._place)
            self._file.truncate()
            self._writer = Writer(self._file, self._frames)
        return self._writer

    def put(self, offset: int, data: memoryview | None, size: int) -> tuple[Frame, ...]:
        """See Output."""
        with _explained(self._path, self._size):
            writer = self._start()
            known = len(writer.frames)
            self._blank(writer, offset)
            if data is None:
                self._blank(writer, offset + size)
            else:
                writer.write(data)
                self._at += len(data)
            writer.flush()
            self._file.flush()
            return tuple(writer.frames[known:])

    def _blank(self, writer: Writer, end: int) -> None:
        if end < self._at:
            raise RuntimeError("a packed file is written in order")
        for chunk in FillContent(end - self._at).chunks(0, end - self._at):
            writer.write(chunk)
        self._at = end
        writer.flush()

    def finish(self) -> None:
        """See Output."""
        with _explained(self._path, self._size):
            writer = self._start()
            self._blank(writer, self._size)
            writer.close()
            _keep(self._file, self._path)

    def close(self) -> None:
        """See Output."""
        self._file.close()


def _keep(file: IO[bytes], path: Path) -> None:
    """Bring file to the disk, then give it its name."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    partial(path).replace(path)


def partial(path: Path) -> Path:
    """Return what the file at path is called until it is whole."""
    return path.with_name(path.name + ".partial")


@contextmanager
def _explained(path: Path, size: int) -> Iterator[None]:
    """Turn an error of this computer's disk into ours."""
    try:
        yield
    except OSError as error:
        remedies = ["Make room on that disk."]
        if size >= _FAT_BYTES:
            remedies.append(
                "Disks formatted with FAT take no file of 4 GiB: use another disk, or --form"
                " partitions with --compress."
            )
        raise DiskError(
            f"{path} cannot be written: {error.strerror}.", remedies=remedies
        ) from error
