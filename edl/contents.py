# SPDX-License-Identifier: BSD-3-Clause
"""Contents made of other contents: parts, rows of parts, sparse images; and where they are blank.

A dump of 64 GB is mostly holes. `data_runs` says where there can be anything but zeros, so that
nobody reads the rest.
"""

from __future__ import annotations

import bisect
import errno
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO, Protocol, runtime_checkable

from edl.chunks import CHUNK_BYTES, Content, FileContent, FillContent, pread, read_all
from edl.errors import ImageError
from edl.formats.sparse import SparseChunk, SparseImage, SparseKind


@runtime_checkable
class Holed(Content, Protocol):
    """A content that knows where it is blank."""

    def data_runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield offset and length of each run that may be other than zero, in order."""
        ...


def data_runs(content: Content, offset: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield where length bytes of content from offset on may be other than zero.

    Each run is (offset, length), in order and not empty. All between them is zero for certain.

    Raises:
        ImageError: the file behind content cannot be looked at.
    """
    if length <= 0:
        return
    if isinstance(content, Holed):
        yield from content.data_runs(offset, length)
    elif isinstance(content, FileContent):
        yield from _file_runs(content, offset, min(offset + length, content.length))
    elif not (isinstance(content, FillContent) and not any(content.pattern)):
        yield offset, length


def _file_runs(content: FileContent, at: int, end: int) -> Iterator[tuple[int, int]]:
    try:
        with content.path.open("rb", buffering=0) as file:
            for start, size in _runs_of(file.fileno(), content.offset + at, content.offset + end):
                yield start - content.offset, size
    except OSError as error:
        raise ImageError(f"{content.path} cannot be read: {error.strerror}.") from error


def _runs_of(descriptor: int, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where an open file has data between at and end."""
    seek_data, seek_hole = getattr(os, "SEEK_DATA", None), getattr(os, "SEEK_HOLE", None)
    while at < end:
        if seek_data is None or seek_hole is None:  # Windows
            start, stop = at, end
        else:
            start, stop = _next_run(descriptor, at, seek_data, seek_hole)
        stop = min(stop, end)
        if start < stop:
            yield start, stop - start
        at = max(stop, start)


_FAR = 1 << 62


def _next_run(descriptor: int, at: int, seek_data: int, seek_hole: int) -> tuple[int, int]:
    """Return where the next data from at on begins and ends; far away if there is none."""
    try:
        start = os.lseek(descriptor, at, seek_data)
        return start, os.lseek(descriptor, start, seek_hole)
    except OSError as error:
        if error.errno == errno.ENXIO:  # only a hole is left
            return _FAR, _FAR
        if error.errno == errno.EINVAL:  # neither do devices and some file systems tell
            return at, _FAR
        raise


def is_blank(content: Content, offset: int, length: int) -> bool:
    """Tell whether length bytes of content from offset on are all zeros.

    Raises:
        ImageError: they cannot be read.
    """
    return all(
        is_zero(chunk)
        for start, size in data_runs(content, offset, length)
        for chunk in content.chunks(start, size)
    )


def is_zero(chunk: memoryview) -> bool:
    """Tell whether chunk is all zeros; the first bytes decide in most cases."""
    return not any(chunk[:64]) and bytes(chunk) == bytes(len(chunk))


@dataclass(frozen=True)
class OpenContent:
    """size_bytes bytes of an open file that may have no name; whoever opened it closes it."""

    file: BinaryIO
    size_bytes: int

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        buffer = bytearray(min(CHUNK_BYTES, max(length, 1)))
        try:
            while length:
                piece = memoryview(buffer)[: min(length, len(buffer))]
                count = pread(self.file.fileno(), piece, offset)
                if count == 0:
                    raise ImageError("The temporary file is shorter than it was.")
                yield piece[:count]
                offset += count
                length -= count
        except OSError as error:
            raise ImageError(f"The temporary file cannot be read: {error.strerror}.") from error

    def data_runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See Holed."""
        try:
            yield from _runs_of(self.file.fileno(), offset, offset + length)
        except OSError as error:
            raise ImageError(f"The temporary file cannot be read: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class Slice:
    """size_bytes of another content from offset on.

    Raises (in chunks):
        ImageError: content ends before; then it was cut off.
    """

    content: Content
    offset: int
    size_bytes: int

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        self._require(offset, length)
        yield from self.content.chunks(self.offset + offset, length)

    def data_runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See Holed."""
        self._require(offset, length)
        for start, size in data_runs(self.content, self.offset + offset, length):
            yield start - self.offset, size

    def _require(self, offset: int, length: int) -> None:
        if self.offset + offset + length > self.content.size_bytes:
            raise ImageError(
                f"The image ends at byte {self.content.size_bytes}, but the part that is wanted"
                f" goes on to {self.offset + offset + length}: it was cut off.",
                remedies=("Get the image again: a part of it is missing.",),
            )


@dataclass(frozen=True)
class Joined:
    """Contents one behind the other."""

    parts: tuple[Content, ...]

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """Where each part begins, and the end."""
        starts = [0]
        for part in self.parts:
            starts.append(starts[-1] + part.size_bytes)
        return tuple(starts)

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self._starts[-1]

    def _within(self, offset: int, length: int) -> Iterator[tuple[int, Content, int, int]]:
        """Yield the parts that overlap a range: where each begins, and its own range."""
        end = offset + length
        index = bisect.bisect_right(self._starts, offset) - 1
        while offset < end and index < len(self.parts):
            start, stop = self._starts[index], min(self._starts[index + 1], end)
            if offset < stop:
                yield start, self.parts[index], offset - start, stop - offset
                offset = stop
            index += 1

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        for _, part, at, count in self._within(offset, length):
            yield from part.chunks(at, count)

    def data_runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See Holed."""
        for start, part, at, count in self._within(offset, length):
            for where, size in data_runs(part, at, count):
                yield start + where, size


@dataclass(frozen=True)
class SparseContent:
    """What the Android sparse image in `file` expands to; what it leaves alone reads as zeros."""

    file: Content
    image: SparseImage = field(hash=False)  # of any number of chunks

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self.image.size_bytes

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(chunk.offset_bytes + chunk.length_bytes for chunk in self.image.chunks)

    def _within(self, offset: int, length: int) -> Iterator[tuple[SparseChunk, int, int]]:
        """Yield the chunks that overlap a range, with where in them that is and how much."""
        end = offset + length
        index = bisect.bisect_right(self._ends, offset)
        while offset < end and index < len(self._ends):
            chunk, stop = self.image.chunks[index], min(self._ends[index], end)
            yield chunk, offset - chunk.offset_bytes, stop - offset
            offset, index = stop, index + 1

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        for chunk, at, count in self._within(offset, length):
            if chunk.kind is SparseKind.RAW:
                yield from self.file.chunks(chunk.file_offset + at, count)
            else:
                yield from FillContent(chunk.length_bytes, chunk.fill or b"\0").chunks(at, count)

    def data_runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See Holed."""
        for chunk, at, count in self._within(offset, length):
            if chunk.kind is SparseKind.RAW or any(chunk.fill):
                yield chunk.offset_bytes + at, count


class ContentFile(io.RawIOBase):
    """A content as a file that can be read and sought, for parsers that want one."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See io.RawIOBase."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._content.size_bytes}
        self._at = max(0, base[whence] + offset)
        return self._at

    def tell(self) -> int:
        """See io.RawIOBase."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """See io.RawIOBase."""
        count = max(0, min(len(buffer), self._content.size_bytes - self._at, CHUNK_BYTES))
        buffer[:count] = read_all(self._content, self._at, count)
        self._at += count
        return count


def as_file(content: Content) -> io.BufferedReader:
    """Return content as a buffered file."""
    return io.BufferedReader(ContentFile(content))
