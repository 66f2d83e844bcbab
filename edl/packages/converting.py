# SPDX-License-Identifier: BSD-3-Clause
"""Images from one form into another: raw, Android sparse, seekable Zstandard.

Facts: AOSP libsparse, sparse_format.h. All numbers are little-endian.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from edl.chunks import Content, FillContent, read_all
from edl.contents import Joined, Slice, SparseContent, data_runs
from edl.errors import CancelledError, ImageError
from edl.events import BytesMoved, Emit, ignore
from edl.formats import seekable
from edl.formats.sparse import MAGIC, SparseKind
from edl.images.file import MAX_UNPACKED_BYTES, Opened, open_content
from edl.images.work import save
from edl.outfile import new_file
from edl.units import KIB, MIB, format_size

BLOCK_BYTES = 4096  # fastboot and all tools know it; others not always
_UNIT_BYTES = 16 * KIB  # what is looked at for one repeated word
_MOST_UNITS = 1 << 19  # so that there are never more chunks than readers take
_MOST_RAW_BYTES = 256 * MIB  # in a chunk: old readers count with 32 bits, and take it into memory
_HEADER = struct.Struct("<4sHHHHIIII")
_CHUNK = struct.Struct("<HHII")

Span = tuple[int, int]


class Form(StrEnum):
    """What an image is converted to."""

    RAW = "raw"
    SPARSE = "sparse"
    ZST = "zst"


def form_of(path: Path) -> Form:
    """Return the form that the name of path asks for; raw if it says nothing."""
    suffix = path.suffix.lower()
    if suffix in {".simg", ".sparse", ".sparseimg"}:
        return Form.SPARSE
    return Form.ZST if suffix in {".zst", ".zstd"} else Form.RAW


@dataclass(frozen=True)
class Input:
    """What is converted.

    content: raw; what is left open reads as zeros. written: the parts that are said, in order.
    forms: how the first file is wrapped. files: how many there are.
    """

    content: Content
    written: tuple[Span, ...]
    forms: tuple[str, ...] = ()
    files: int = 1


def whole(content: Content) -> Input:
    """Return content, all of which is said."""
    return Input(content, ((0, content.size_bytes),) if content.size_bytes else ())


@contextmanager
def opened(paths: Sequence[Path], emit: Emit = ignore) -> Iterator[Input]:
    """Open one image in whatever form, or the sparse files that together are one.

    Raises:
        ImageError, DocumentError: they cannot be read, or do not go together.
        DiskError: there is no room to unpack a compressed one.
    """
    with ExitStack() as stack:
        found = [stack.enter_context(open_content(path, emit)) for path in paths]
        source = joined(found) if len(found) > 1 else _single(found[0])
        if source.content.size_bytes > MAX_UNPACKED_BYTES:
            size = format_size(source.content.size_bytes)
            raise ImageError(f"{paths[0]} says that it is {size} large: no phone has so much.")
        yield source


def _single(opened_file: Opened) -> Input:
    content = opened_file.content
    if isinstance(content, SparseContent):
        return Input(content, _said(content), opened_file.forms)
    return Input(content, ((0, content.size_bytes),), opened_file.forms)


def _said(content: SparseContent) -> tuple[Span, ...]:
    """Return what a sparse image says, runs that meet as one."""
    found: list[Span] = []
    for chunk in content.image.chunks:
        if chunk.kind is SparseKind.DONT_CARE:
            continue
        if found and sum(found[-1]) == chunk.offset_bytes:
            found[-1] = (found[-1][0], found[-1][1] + chunk.length_bytes)
        else:
            found.append((chunk.offset_bytes, chunk.length_bytes))
    return tuple(found)


def joined(parts: Sequence[Opened]) -> Input:
    """Return the one image that sparse files make together, in whatever order.

    Raises:
        ImageError: one of them is not sparse, or two say something about the same bytes.
    """
    pieces: list[tuple[int, int, Opened]] = []
    size = 0
    for part in parts:
        if not isinstance(part.content, SparseContent):
            raise ImageError(
                f"{part.path} is no sparse image: only the parts of one can be put together.",
                remedies=("Name one image, or all parts of one sparse image.",),
            )
        size = max(size, part.content.size_bytes)
        pieces += [(start, length, part) for start, length in _said(part.content)]
    contents: list[Content] = []
    written: list[Span] = []
    end = 0
    for start, length, part in sorted(pieces, key=lambda piece: piece[0]):
        if start < end:
            raise ImageError(
                f"{part.path} has data for byte {start}, which another file has as well.",
                remedies=("Name each part once, and the parts of one image only.",),
            )
        if start > end:
            contents.append(FillContent(start - end))
        contents.append(Slice(part.content, start, length))
        if written and start == end:
            written[-1] = (written[-1][0], written[-1][1] + length)
        else:
            written.append((start, length))
        end = start + length
    if end < size:
        contents.append(FillContent(size - end))
    return Input(Joined(tuple(contents)), tuple(written), parts[0].forms, len(parts))


def convert(
    source: Input,
    path: Path,
    form: Form,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> None:
    """Write source into path in another form. The file has its name only when it is whole.

    Raises:
        ImageError: source cannot be read.
        DiskError: the file cannot be written.
        CancelledError: stopped by cancel.
    """
    if form is Form.RAW:
        save(source.content, path, emit=emit, cancel=cancel)
    elif form is Form.SPARSE:
        with new_file(path) as file:
            _Sparse(file, source, emit, cancel).write()
    else:
        with new_file(path) as file:
            _write_packed(file, source.content, emit, cancel)


def _stop(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("Stopped as you asked; the images are as they were.")


def _write_packed(
    file: BinaryIO, content: Content, emit: Emit, cancel: threading.Event | None
) -> None:
    writer = seekable.Writer(file)
    end = 0

    def blank(stop: int) -> None:
        for chunk in FillContent(stop - end).chunks(0, stop - end):
            _stop(cancel)
            writer.write(chunk)
            emit(BytesMoved(len(chunk)))

    for start, length in data_runs(content, 0, content.size_bytes):
        blank(start)
        for chunk in content.chunks(start, length):
            _stop(cancel)
            writer.write(chunk)
            emit(BytesMoved(len(chunk)))
        end = start + length
    blank(content.size_bytes)
    writer.close()


# -- sparse ----------------------------------------------------------------------------------------


class _Sparse:
    """Writes a sparse image: runs of one word as such, all else as it is, holes as holes."""

    def __init__(
        self, file: BinaryIO, source: Input, emit: Emit, cancel: threading.Event | None
    ) -> None:
        self._file = file
        self._source = source
        self._emit = emit
        self._cancel = cancel
        self._blocks = -(-source.content.size_bytes // BLOCK_BYTES)
        least = -(-self._blocks // _MOST_UNITS)
        self._unit = max(_UNIT_BYTES, least * BLOCK_BYTES)
        self._chunks = 0
        self._done = 0  # blocks that chunks cover
        self._kind: SparseKind | None = None  # of the chunk that is being written
        self._count = 0  # its blocks so far
        self._fill = b""
        self._place = 0  # where its header goes in the file

    def write(self) -> None:
        """Write all of it; the last block is filled up with zeros, as img2simg does."""
        self._file.write(bytes(_HEADER.size))
        for start, length in _on_blocks(self._source.written, self._blocks):
            self._add(SparseKind.DONT_CARE, start - self._done - self._count)
            self._data(start * BLOCK_BYTES, length * BLOCK_BYTES)
        self._add(SparseKind.DONT_CARE, self._blocks - self._done - self._count)
        self._end_chunk()
        self._file.seek(0)
        self._file.write(
            _HEADER.pack(
                MAGIC, 1, 0, _HEADER.size, _CHUNK.size, BLOCK_BYTES, self._blocks, self._chunks, 0
            )
        )

    def _data(self, offset: int, length: int) -> None:
        """Add length bytes from offset on; what is no data for certain is not read.

        Units begin at multiples of their size, so that it does not matter where a file has holes.
        """
        content, end = self._source.content, offset + length
        known = min(end, content.size_bytes)
        at = offset
        for start, size in data_runs(content, offset, known - offset):
            begin = max(at, start // self._unit * self._unit)
            self._zeros(begin - at)
            at = begin
            stop = min(-(-(start + size) // self._unit) * self._unit, end)
            while at < stop:
                count = min(self._unit - at % self._unit, stop - at)
                data = read_all(content, at, min(count, content.size_bytes - at))
                self._block_data(data.ljust(count, b"\0"))
                at += count
        self._zeros(end - at)

    def _zeros(self, size_bytes: int) -> None:
        self._emit(BytesMoved(size_bytes))
        self._add(SparseKind.FILL, size_bytes // BLOCK_BYTES, bytes(4))

    def _block_data(self, data: bytes) -> None:
        _stop(self._cancel)
        self._emit(BytesMoved(len(data)))
        count = len(data) // BLOCK_BYTES
        word = data[:4]
        if data[:64] == word * 16 and data == word * (len(data) // 4):
            self._add(SparseKind.FILL, count, word)
        else:
            self._add(SparseKind.RAW, count)
            self._file.write(data)

    def _add(self, kind: SparseKind, blocks: int, fill: bytes = b"") -> None:
        """Go on with the running chunk, or begin the next one."""
        if not blocks:
            return
        full = kind is SparseKind.RAW and self._count * BLOCK_BYTES >= _MOST_RAW_BYTES
        if kind is not self._kind or fill != self._fill or full:
            self._end_chunk()
            self._kind, self._fill = kind, fill
            self._place = self._file.tell()
            self._file.write(bytes(_CHUNK.size) + fill)
        self._count += blocks

    def _end_chunk(self) -> None:
        if self._kind is None:
            return
        end = self._file.tell()
        size = end - self._place
        self._file.seek(self._place)
        self._file.write(_CHUNK.pack(self._kind.value, 0, self._count, size))
        self._file.seek(end)
        self._chunks += 1
        self._done += self._count
        self._kind, self._count = None, 0


def _on_blocks(spans: Sequence[Span], blocks: int) -> Iterator[Span]:
    """Yield spans of bytes as spans of whole blocks; they may meet then, and never overlap."""
    end = 0
    for offset, length in spans:
        first = max(end, offset // BLOCK_BYTES)
        end = max(end, min(blocks, -(-(offset + length) // BLOCK_BYTES)))
        if first < end:
            yield first, end - first
