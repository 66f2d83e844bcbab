# SPDX-License-Identifier: BSD-3-Clause
"""Sony's images (sin), versions 1 to 3: which bytes of a partition a file holds.

Facts: anyxperia_dumper (munjeni). A header of its own with hashes and a signature, then the data.
Version 3 has a list of pieces, plain or packed with LZ4. Numbers are big-endian. Versions 4 and 5
are tar archives, packed with gzip: see `edl.packages.sony`.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass

from edl.chunks import Content, read_all
from edl.errors import DocumentError
from edl.units import MIB

HEAD_BYTES = 0x20
_MAGIC = b"\x03SIN"
_OLD = (b"\x01\0", b"\x02\0")
_OLD_EXTRA_BYTES = 16
_BLOCKS = b"MMCF"
_GUID_BYTES = 24  # what stands before the list: a magic, a size, the partition's GUID
_ENTRY = struct.Struct(">4sI")
_ADDR = struct.Struct(">QQQ")
_LZ4A = struct.Struct(">QQQQ")
_MAX_LIST_BYTES = 64 * MIB
_MAX_PIECE_BYTES = 64 * MIB
_MAX_BYTES = 1 << 40


@dataclass(frozen=True)
class Piece:
    """A run of bytes of the partition. packed: its data in the file are packed with LZ4."""

    target: int
    size_bytes: int
    offset: int
    packed_bytes: int
    packed: bool


@dataclass(frozen=True)
class Sin:
    """An image: its pieces in order of place. size_bytes: up to where the last one ends."""

    version: int
    pieces: tuple[Piece, ...]

    @property
    def size_bytes(self) -> int:
        """How much of the partition it covers."""
        return max((piece.target + piece.size_bytes for piece in self.pieces), default=0)


def version_of(head: bytes) -> int:
    """Return the version of a file that begins with head, 1 to 3, or 0 if it is no such file."""
    if head.startswith(_MAGIC):
        return 3
    return head[0] if head[:2] in _OLD else 0


def read_sin(content: Content) -> Sin:
    """Return what the headers of content say.

    Raises:
        DocumentError: it is none, is cut off, or contradicts itself.
    """
    head = _taken(content, 0, HEAD_BYTES)
    version = version_of(head)
    if not version:
        raise DocumentError("The file does not begin as Sony's images do.")
    if version < 3:
        start = int.from_bytes(head[2:6], "big") + _OLD_EXTRA_BYTES
        return Sin(version, (_rest(content, start),))
    start = int.from_bytes(head[4:8], "big")
    mark, size = _ENTRY.unpack(_taken(content, start, _ENTRY.size))
    if mark == _BLOCKS:
        return Sin(version, _pieces(content, start + _ENTRY.size, size))
    if not mark.startswith(b"\x7fELF"):  # hashes of blocks stand before the data
        start += int.from_bytes(head[0x18:0x1C], "big")
    return Sin(version, (_rest(content, start),))


def _rest(content: Content, start: int) -> Piece:
    size = content.size_bytes - start
    if size <= 0:
        raise DocumentError("It is cut off: there is nothing behind its header.")
    return Piece(0, size, start, size, packed=False)


def _pieces(content: Content, start: int, size: int) -> tuple[Piece, ...]:
    """Return the pieces that the list of size bytes at start names."""
    if not _GUID_BYTES <= size <= _MAX_LIST_BYTES:
        raise DocumentError(f"It has a list of {size} bytes, which cannot be.")
    table = _taken(content, start, size)
    data = start + size
    found: list[Piece] = []
    at = _GUID_BYTES
    while at < size:
        piece, length = _piece(table, at, data)
        if piece.offset + piece.packed_bytes > content.size_bytes:
            raise DocumentError(f"It is cut off within piece {len(found) + 1}.")
        found.append(piece)
        at += length
    found.sort(key=lambda each: each.target)
    for before, after in itertools.pairwise(found):
        if before.target + before.size_bytes > after.target:
            raise DocumentError("Two of its pieces overlap.")
    return tuple(found)


def _piece(table: bytes, at: int, data: int) -> tuple[Piece, int]:
    if at + _ENTRY.size + _ADDR.size > len(table):
        raise DocumentError("Its list of pieces is cut off.")
    kind, length = _ENTRY.unpack_from(table, at)
    values = at + _ENTRY.size
    if kind == b"ADDR":
        offset, size, target = _ADDR.unpack_from(table, values)
        piece = Piece(target, size, data + offset, size, packed=False)
        least = _ENTRY.size + _ADDR.size
    elif kind == b"LZ4A" and values + _LZ4A.size <= len(table):
        offset, size, packed, target = _LZ4A.unpack_from(table, values)
        piece = Piece(target, size, data + offset, packed, packed=True)
        least = _ENTRY.size + _LZ4A.size
    else:
        raise DocumentError(f"It has pieces of the unknown kind {kind!r}.")
    large = piece.packed and max(piece.size_bytes, piece.packed_bytes) > _MAX_PIECE_BYTES
    if length < least or large or piece.target + piece.size_bytes > _MAX_BYTES:
        raise DocumentError(f"It has a piece of {piece.size_bytes} bytes, which cannot be.")
    return piece, length


def _taken(content: Content, at: int, size_bytes: int) -> bytes:
    if at + size_bytes > content.size_bytes:
        raise DocumentError(f"It is cut off: it ends at byte {content.size_bytes}.")
    return read_all(content, at, size_bytes)
