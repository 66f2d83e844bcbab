# SPDX-License-Identifier: BSD-3-Clause
"""Files in the seekable format of Zstandard: compressed, and readable anywhere without unpacking.

The data is cut into frames of the same size, each compressed by itself; a table of their sizes
stands in a skippable frame at the end. So every Zstandard tool unpacks such a file as a whole.

Facts: zstd_seekable_compression_format.md of the Zstandard sources, version 0.1.0.
"""

from __future__ import annotations

import bisect
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from edl.errors import DocumentError, ImageError
from edl.units import MIB

if sys.version_info >= (3, 14):  # pragma: no cover  # it came with that version
    from compression import zstd
else:
    from backports import zstd

FRAME_BYTES = 2 * MIB
MAX_FRAME_BYTES = 64 * MIB  # of other programs' files; the format allows 1 GiB
MAX_FRAMES = 1 << 24
LEVEL = 3
_TABLE_MAGIC = 0x184D2A5E
_FOOTER_MAGIC = 0x8F92EAB1
_CHECKSUMS = 0x80  # of the descriptor: each entry has one
_RESERVED = 0x7C
_HEAD = struct.Struct("<II")
_FOOT = struct.Struct("<IBI")
_ENTRY = struct.Struct("<II")
_CHUNK_BYTES = MIB
_WINDOW_LOG = 27  # what every decoder accepts; no frame can ask for more memory


class Frame(NamedTuple):
    """The size of one frame as it lies in the file, and unpacked."""

    packed_bytes: int
    size_bytes: int


class Output(Protocol):
    """Where a Writer puts its bytes."""

    def write(self, data: bytes, /) -> object:
        """Take data at the end."""
        ...


class Writer:
    """Packs what it is given into frames; `close` writes the table.

    frames: those that the file has already, to go on with one that was interrupted.
    """

    def __init__(self, file: Output, frames: Iterable[Frame] = ()) -> None:
        self._file = file
        self._pending = bytearray()
        self._blank: bytes | None = None
        self.frames = list(frames)

    def write(self, data: bytes | memoryview) -> None:
        """Take data; whole frames go out at once.

        Raises:
            OSError: the file takes no more.
        """
        view = memoryview(data)
        while view:
            room = FRAME_BYTES - len(self._pending)
            self._pending += view[:room]
            view = view[room:]
            if len(self._pending) == FRAME_BYTES:
                self.flush()

    def flush(self) -> None:
        """End the running frame, so that all that was given is in the file."""
        if self._pending:
            packed = self._packed(self._pending)
            self._file.write(packed)
            self.frames.append(Frame(len(packed), len(self._pending)))
            self._pending = bytearray()

    def close(self) -> None:
        """Write what is left, and the table; the file stays open."""
        self.flush()
        size = len(self.frames) * _ENTRY.size + _FOOT.size
        table = b"".join(_ENTRY.pack(*frame) for frame in self.frames)
        foot = _FOOT.pack(len(self.frames), 0, _FOOTER_MAGIC)
        self._file.write(_HEAD.pack(_TABLE_MAGIC, size) + table + foot)

    def _packed(self, data: bytearray) -> bytes:
        """Return data as a frame; that of zeros is made once: storage is full of them."""
        if len(data) < FRAME_BYTES or any(data[:64]) or data.count(0) < FRAME_BYTES:
            return _pack(bytes(data))
        if self._blank is None:
            self._blank = _pack(bytes(data))
        return self._blank


def _pack(data: bytes) -> bytes:
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.compress(data, options=options)


def read_table(file: BinaryIO, name: str) -> list[Frame]:
    """Return the frames of an open file, in order; name is for messages.

    Raises:
        DocumentError: it has no table, as compressed files of other kinds, or a damaged one.
        OSError: it cannot be read.
    """
    end = file.seek(0, 2)
    file.seek(max(0, end - _FOOT.size))
    foot = file.read(_FOOT.size)
    if len(foot) < _FOOT.size or _FOOT.unpack(foot)[2] != _FOOTER_MAGIC:
        raise DocumentError(f"{name} has no table of its frames: it is not seekable Zstandard.")
    count, descriptor, _ = _FOOT.unpack(foot)
    entry_bytes = _ENTRY.size + (4 if descriptor & _CHECKSUMS else 0)
    size = count * entry_bytes + _FOOT.size
    start = end - size - _HEAD.size
    if count > MAX_FRAMES or descriptor & _RESERVED or start < 0:
        raise DocumentError(f"{name} has a damaged table of its frames.")
    file.seek(start)
    table = file.read(_HEAD.size + size)
    if table[: _HEAD.size] != _HEAD.pack(_TABLE_MAGIC, size):
        raise DocumentError(f"{name} has a damaged table of its frames.")
    frames = [
        Frame(*_ENTRY.unpack_from(table, at))
        for at in range(_HEAD.size, _HEAD.size + count * entry_bytes, entry_bytes)
    ]
    if sum(frame.packed_bytes for frame in frames) != start:
        raise DocumentError(f"{name} does not have the length that its table says.")
    if any(frame.size_bytes > MAX_FRAME_BYTES for frame in frames):
        raise DocumentError(f"{name} has frames of more than {MAX_FRAME_BYTES} bytes.")
    return frames


@dataclass(frozen=True)
class SeekableContent:
    """size_bytes bytes of a seekable file, unpacked, from offset on. See `edl.chunks.Content`."""

    path: Path
    size_bytes: int
    offset: int = 0

    @classmethod
    def whole(cls, path: Path) -> SeekableContent:
        """Return all of the file at path.

        Raises:
            DocumentError: it is no such file.
            ImageError: it cannot be read.
        """
        content = cls(path, 0)
        return cls(path, content.index.starts[-1])

    @cached_property
    def index(self) -> Index:
        """Where the frames are; read once."""
        try:
            with self.path.open("rb") as file:
                return Index.of(read_table(file, str(self.path)))
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read: {error.strerror}.") from error

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content. Each frame has a checksum of its content, which is tested."""
        index, at = self.index, self.offset + offset
        if not 0 <= offset <= offset + length <= self.size_bytes <= index.starts[-1] - self.offset:
            raise ImageError(f"{self.path} does not hold {length} bytes at {at}.")
        number = bisect.bisect_right(index.starts, at) - 1
        try:
            with self.path.open("rb") as file:
                while length:
                    frame = index.frames[number]
                    file.seek(index.places[number])
                    data = unpack(file.read(frame.packed_bytes), frame)
                    if data is None:
                        raise ImageError(f"{self.path} is damaged at {index.starts[number]}.")
                    begin = at - index.starts[number]
                    for piece in _cut(data[begin : begin + length]):
                        yield piece
                        at += len(piece)
                        length -= len(piece)
                    number += 1
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read: {error.strerror}.") from error


def unpack(packed: bytes, frame: Frame) -> memoryview | None:
    """Return the content of a frame, or None if it is damaged; a checksum in it is tested."""
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    unpacker = zstd.ZstdDecompressor(options=options)
    try:
        data = unpacker.decompress(packed, max_length=frame.size_bytes + 1)
    except zstd.ZstdError:
        return None
    return memoryview(data) if len(data) == frame.size_bytes and unpacker.eof else None


@dataclass(frozen=True)
class Index:
    """Frames, and where each begins. places: in the file; starts: unpacked, and the end."""

    frames: list[Frame]
    places: list[int]
    starts: list[int]

    @classmethod
    def of(cls, frames: list[Frame]) -> Index:
        """Return the index of frames; empty ones are left out."""
        places, starts, kept = [], [0], []
        place = 0
        for frame in frames:
            if frame.size_bytes:
                kept.append(frame)
                places.append(place)
                starts.append(starts[-1] + frame.size_bytes)
            place += frame.packed_bytes
        return cls(kept, places, starts)


def _cut(data: memoryview) -> Iterator[memoryview]:
    for at in range(0, len(data), _CHUNK_BYTES):
        yield data[at : at + _CHUNK_BYTES]
