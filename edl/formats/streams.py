# SPDX-License-Identifier: BSD-3-Clause
"""Bytes that come once and in order: out of files, out of parts of them, and out of compression.

Archives of any size are read through these in constant memory, without unpacking anything to disk.
"""

from __future__ import annotations

import bz2
import lzma
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from edl.errors import DocumentError
from edl.units import MIB

if sys.version_info >= (3, 14):  # pragma: no cover  # it came with that version
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 64 * 1024

_XZ_MEMORY_BYTES = 128 * MIB  # `xz -9` needs 65 MiB to unpack
_ZSTD_WINDOW_LOG = 27  # 128 MiB: what `zstd` unpacks without being told to take more
_BASE_BYTES = 256 * MIB
_MAX_RATIO = 100  # stock packages unpack to at most ten times their size


class Stream(Protocol):
    """Bytes that can be read once, in order."""

    def read(self, size_bytes: int, /) -> bytes:
        """Return at least one and at most size_bytes bytes; none at the end.

        Raises:
            DocumentError: what the bytes come out of is damaged.
            OSError: the file cannot be read.
        """
        ...

    def skip(self, size_bytes: int, /) -> None:
        """Pass over size_bytes bytes, or those that are left. Raises what `read` raises."""
        ...


def take(stream: Stream, size_bytes: int) -> bytes:
    """Return size_bytes bytes of stream; fewer at its end."""
    pieces: list[bytes] = []
    while size_bytes and (piece := stream.read(min(size_bytes, CHUNK_BYTES))):
        pieces.append(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)


class FileStream:
    """The bytes of an open file from where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        return self._file.read(size_bytes)

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        self._file.seek(size_bytes, os.SEEK_CUR)


class Preread:
    """A stream whose first bytes have been looked at already."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head = head
        self._rest = rest

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        if not self._head:
            return self._rest.read(size_bytes)
        piece, self._head = self._head[:size_bytes], self._head[size_bytes:]
        return piece

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        looked_at = min(size_bytes, len(self._head))
        self._head = self._head[looked_at:]
        self._rest.skip(size_bytes - looked_at)


class Section:
    """The next left_bytes bytes of a stream."""

    def __init__(self, stream: Stream, left_bytes: int) -> None:
        self._stream = stream
        self.left_bytes = left_bytes

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        piece = self._stream.read(min(size_bytes, self.left_bytes)) if self.left_bytes else b""
        self.left_bytes -= len(piece)
        return piece

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        size_bytes = min(size_bytes, self.left_bytes)
        self.left_bytes -= size_bytes
        self._stream.skip(size_bytes)


class Budget:
    """How much an archive may unpack to: enough for any package, too little for a bomb."""

    def __init__(self, archive_bytes: int) -> None:
        self._left_bytes = _BASE_BYTES + _MAX_RATIO * archive_bytes

    def spend(self, size_bytes: int) -> None:
        """Count size_bytes that came out of a compression.

        Raises:
            DocumentError: that is more than an honest archive of this size unpacks to.
        """
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise DocumentError(
                f"It unpacks to more than {_MAX_RATIO} times its size: it is made to fill disks."
            )


class _Unit(Protocol):
    """What bz2 and lzma call a decompressor: one compressed unit of a file that may hold more."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipUnit:
    """The same for gzip, which zlib offers in another form."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def copy(self) -> _GzipUnit:
        """Return another one that goes on from here; it takes about 40 KiB."""
        other = _GzipUnit()
        other._inner = self._inner.copy()
        return other

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz_unit() -> _Unit:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


def _zstd_unit() -> _Unit:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return zstd.ZstdDecompressor(options=options)


_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
COMPRESSIONS: dict[bytes, Callable[[], _Unit]] = {
    b"\x1f\x8b\x08": _GzipUnit,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": _xz_unit,
    _ZSTD: _zstd_unit,
}


@dataclass(frozen=True)
class Point:
    """Where unpacking can begin: at byte unpacked of what comes out, with byte packed of the file.

    first: what a new decompressor is fed before that. unit: the decompressor as it was there, to be
    copied; None where a new one serves.
    """

    unpacked: int
    packed: int
    first: bytes = b""
    unit: _GzipUnit | None = None


START = Point(0, 0)


class Unpacked:
    """What a compressed stream unpacks to. magic: one of COMPRESSIONS, with which it begins.

    A file may be several compressed ones in a row; anything else behind them is left alone. start:
    where the stream stands, if it is not at its beginning. at: position in what comes out. begun:
    where the last compressed unit began.
    """

    def __init__(self, stream: Stream, magic: bytes, budget: Budget, start: Point = START) -> None:
        self._stream = stream
        self._magic = magic
        self._budget = budget
        self._unit: _Unit | None = (
            COMPRESSIONS[magic]() if start.unit is None else start.unit.copy()
        )
        self._pending = start.first
        self.at = start.unpacked
        self.packed_at = start.packed
        self.begun = start

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        while (unit := self._unit or self._next_unit()) is not None:
            if piece := self._step(unit, size_bytes):
                self._budget.spend(len(piece))
                self.at += len(piece)
                return piece
        return b""

    def point(self) -> Point | None:
        """Return the point here, where the decompressor can be copied and has no input left."""
        unit = self._unit
        if isinstance(unit, _GzipUnit) and unit.needs_input and not self._pending:
            return Point(self.at, self.packed_at, unit=unit.copy())
        return None

    def _step(self, unit: _Unit, size_bytes: int) -> bytes:
        """Return what some more input unpacks to, which may be nothing."""
        fed, self._pending = self._pending, b""
        ended = False
        if unit.needs_input and not fed:
            fed = self._stream.read(CHUNK_BYTES)
            self.packed_at += len(fed)
            ended = not fed
        try:
            piece = unit.decompress(fed, size_bytes)
        except (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError) as error:
            raise DocumentError("The compressed data are damaged.") from error
        if unit.eof:
            self._pending, self._unit = unit.unused_data, None
        elif ended and not piece:
            raise DocumentError("The compressed data are cut off: get the file again.")
        return piece

    def _next_unit(self) -> _Unit | None:
        """Return the compressed unit that follows the last one, or None."""
        more = take(self._stream, max(0, len(self._magic) - len(self._pending)))
        self._pending += more
        self.packed_at += len(more)
        if compression(self._pending) == self._magic:
            self._unit = COMPRESSIONS[self._magic]()
            self.begun = Point(self.at, self.packed_at - len(self._pending))
        return self._unit

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        while size_bytes and (piece := self.read(min(size_bytes, CHUNK_BYTES))):
            size_bytes -= len(piece)


def compression(head: bytes) -> bytes | None:
    """Return the one of COMPRESSIONS with which head begins, if any.

    Frames of Zstandard without data (RFC 8878, 3.1.2), which pzstd puts before others, are its too.
    """
    if head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F:
        return _ZSTD
    return next((magic for magic in COMPRESSIONS if head.startswith(magic)), None)
