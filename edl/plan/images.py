# SPDX-License-Identifier: BSD-3-Clause
"""What a row's file puts on the storage: one run of bytes, or those of a sparse image."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edl.chunks import Content, FileContent, FillContent, read_all
from edl.contents import Joined, Slice, SparseContent
from edl.errors import DocumentError, ImageError
from edl.files import File
from edl.formats import sparse
from edl.formats.rawprogram import ProgramRow, Row
from edl.plan.model import Severity
from edl.streamed import StreamContent
from edl.units import MIB

_MAX_TRIMMED_BYTES = 64 * MIB  # how much of a file may be cut off if it is all zeros
_HOLE = sparse.SparseKind.DONT_CARE
_DAMAGED = "Unpack the whole package again, or download it again: the file is damaged."
_DAMAGED_INSIDE = "Download the package again: the file in it is damaged."


class Note(Protocol):
    """Takes down a finding about a row."""

    def __call__(
        self,
        code: str,
        message: str,
        row: Row | None = None,
        *,
        remedy: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note it."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """length bytes that go offset_bytes behind the start of the row.

    fill: the pattern of a run of one value; else the bytes are in file from file_offset on.
    unpacked: several chunks of a sparse image in a row; the bytes are in it from offset_bytes on.
    hole: the file does not say what is there (DONT_CARE of a sparse image).
    """

    offset_bytes: int
    length: int
    file: File
    file_offset: int
    fill: bytes | None = None
    unpacked: SparseContent | None = None
    hole: bool = False

    def content(self, size_bytes: int) -> Content:
        """Return the bytes, padded with zeros to size_bytes."""
        if self.unpacked is not None:
            return Slice(self.unpacked, self.offset_bytes, self.length)
        if self.fill is not None and size_bytes == self.length:
            return FillContent(size_bytes, self.fill)
        if self.file.path is not None:
            return FileContent(self.file.path, self.file_offset, self.length, size_bytes)
        whole = self.file_offset == 0 and self.length == self.file.size_bytes
        part = self.file.content
        if not whole:
            part = Slice(part, self.file_offset, self.length)
        if size_bytes == self.length:
            return part
        return Joined((part, FillContent(size_bytes - self.length)))


def _table(file: File, name: str) -> sparse.SparseImage:
    """Return the layout of a sparse image; of one that is compressed it is unpacked for once.

    Raises:
        DocumentError: it is damaged.
        ImageError, OSError: it cannot be read.
    """
    content = file.content
    found = content.layout if isinstance(content, StreamContent) else None
    if found is None and file.path is not None and file.stamp is not None:
        return _table_at(file, name)
    if found is None:
        found = _read_table(file, name)
        if isinstance(content, StreamContent):
            content.layout = found
    return found


@functools.lru_cache(maxsize=2)  # asked for by each who looks at a file; a large one takes seconds
def _table_at(file: File, name: str) -> sparse.SparseImage:
    """Return the layout of a file on the disk; once it has changed it is another File."""
    return _read_table(file, name)


def _read_table(file: File, name: str) -> sparse.SparseImage:
    with file.open() as opened:
        return sparse.SparseImage.read(opened, file.size_bytes, name)


def size_bytes(file: File) -> int:
    """Return how much of the storage the file fills, unpacked; 0 if it cannot be read."""
    try:
        if not sparse.is_sparse(file.head(4)):
            return file.size_bytes
        return _table(file, file.name).size_bytes
    except (OSError, ImageError, DocumentError):
        return 0


def head(file: File, size: int) -> bytes:
    """Return how the image in file begins, up to size bytes, unpacked if it is sparse.

    Raises:
        ImageError: it cannot be read.
    """
    if not sparse.is_sparse(file.head(4)):
        return file.head(size)
    try:
        image = _table(file, file.name)
    except DocumentError:  # told where it is used
        return b""
    return read_all(SparseContent(file.content, image), 0, min(size, image.size_bytes))


def runs(file: File, row: ProgramRow, unit: int, piece: bool, note: Note) -> Iterator[Run]:
    """Yield what row writes of file, and what it leaves open. unit: sector size in bytes.

    piece: other rows write the rest of the file, so that it may be longer than the row.

    Raises:
        ImageError: the file is empty, cut short, or a damaged sparse image.
    """
    if file.size_bytes == 0:
        raise ImageError(f"'{row.filename}' is empty.", remedies=(_whole(file),))
    if sparse.is_sparse(file.head(4)):
        yield from _sparse_runs(file, row, unit, note)
    else:
        yield from _raw_run(file, row, unit, piece, note)


def _raw_run(
    file: File,
    row: ProgramRow,
    unit: int,
    piece: bool,
    note: Note,
) -> Iterator[Run]:
    size = file.size_bytes
    skipped = row.file_sector_offset * unit
    if skipped >= size:
        raise ImageError(
            f"'{row.filename}' ends before its sector {row.file_sector_offset}.",
            remedies=(_whole(file),),
        )
    length = size - skipped
    room = row.sectors * unit
    if (
        row.sectors
        and length > room
        and not piece
        and not _rest_is_zero(file, skipped + room, size)
    ):
        note(
            "image-too-large",
            f"'{row.filename}' has {length} bytes, partition {row.label or '?'} only {room}.",
            row,
            remedy="Use the package for this phone and storage size; nothing is cut off silently.",
        )
        return
    if row.sparse and row.sectors and length != room:
        note(
            "not-sparse",
            f"'{row.filename}' is called sparse but is not; it is written as it is.",
            row,
            severity=Severity.WARNING,
        )
    yield Run(0, min(length, room) if row.sectors else length, file, skipped)


def _whole(file: File) -> str:
    """Return how to get file whole: one out of an archive was unpacked by nobody."""
    by_itself = file.stamp is not None and file.path == file.stamp.path
    return _DAMAGED if by_itself else _DAMAGED_INSIDE


def _rest_is_zero(file: File, start: int, end: int) -> bool:
    if end - start > _MAX_TRIMMED_BYTES:
        return False
    return not any(any(chunk) for chunk in file.content.chunks(start, end - start))


def _sparse_runs(file: File, row: ProgramRow, unit: int, note: Note) -> Iterator[Run]:
    try:
        image = _table(file, row.filename)
    except DocumentError as error:
        raise ImageError(error.message, remedies=(_whole(file),)) from error
    if image.block_bytes % unit:
        raise ImageError(
            f"'{row.filename}' has blocks of {image.block_bytes} bytes, no multiple of a sector."
        )
    if row.file_sector_offset:
        raise ImageError(f"'{row.filename}' is sparse: it cannot be used from its middle on.")
    if row.sectors and image.size_bytes > row.sectors * unit:
        note(
            "image-too-large",
            f"'{row.filename}' unpacks to {image.size_bytes} bytes, partition {row.label or '?'}"
            f" has only {row.sectors * unit}.",
            row,
            remedy="Use the package for this phone and storage size.",
        )
        return
    if not row.sparse:
        note(
            "is-sparse",
            f"'{row.filename}' is sparse although its row does not say so; it is unpacked.",
            row,
            severity=Severity.WARNING,
        )
    if all(chunk.kind is _HOLE for chunk in image.chunks):
        note(
            "empty-sparse",
            f"'{row.filename}' is sparse and holds no data.",
            row,
            severity=Severity.INFO,
        )
    yield from stretches(file, image)


def stretches(file: File, image: sparse.SparseImage) -> Iterator[Run]:
    """Yield what lies between two holes as one run, and the holes: each run costs commands.

    image: what file is. The runs are in order, and leave nothing out.
    """
    unpacked = SparseContent(file.content, image)
    for hole, same in itertools.groupby(image.chunks, lambda chunk: chunk.kind is _HOLE):
        first, *others = same
        length = first.length_bytes + sum(chunk.length_bytes for chunk in others)
        if hole:
            yield Run(first.offset_bytes, length, file, 0, hole=True)
        elif others:
            yield Run(first.offset_bytes, length, file, 0, unpacked=unpacked)
        elif first.kind is sparse.SparseKind.FILL:
            yield Run(first.offset_bytes, length, file, 0, first.fill)
        else:
            yield Run(first.offset_bytes, length, file, first.file_offset)
