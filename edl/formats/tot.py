# SPDX-License-Identifier: BSD-3-Clause
"""LG's tot files (2012 to 2014): pieces of an eMMC one behind the other, and where they belong.

Facts: LGBinExtractor (APHeader.c, BinExtractor.c). A table from 0x2010 on has 16 bytes for each
piece: its first sector on the phone, its first sector behind 0x100000 of the file, its length in
sectors, and zeros; 0xffffffff ends it. Names of 32 bytes stand at 0x4220 or, in newer files, at
0x6230. All sectors have 512 bytes. The number at 8 differs by model. There are no checksums.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from edl.chunks import Content, read_all
from edl.errors import DocumentError

MAGIC = b"\x44\xdd\x55\xaa"
SECTOR_BYTES = 512
_SECOND_MAGIC, _SECOND_AT = b"\x33\xec\x55\xaa", 0x2000
_ROWS_AT, _ROW = 0x2010, struct.Struct("<IIII")
_NAMES_AT, _NAME_BYTES = (0x4220, 0x6230), 32
_DATA_AT = 0x100000
_NONE = 0xFFFFFFFF
_MAX_PIECES = (_NAMES_AT[0] - _ROWS_AT) // _ROW.size
_NAME = re.compile(rb"[A-Za-z0-9_.-]{1,31}\0*")


@dataclass(frozen=True)
class Piece:
    """A part of a partition. offset, size_bytes: in the file. first_sector: on the phone."""

    number: int
    name: str
    first_sector: int
    offset: int
    size_bytes: int


def is_tot(content: Content) -> bool:
    """Tell whether content is a tot file. Raises ImageError: it cannot be read."""
    if content.size_bytes < _DATA_AT or read_all(content, 0, 4) != MAGIC:
        return False
    return read_all(content, _SECOND_AT, 4) == _SECOND_MAGIC


def read_tot(content: Content) -> tuple[Piece, ...]:
    """Return the pieces in content, in order.

    Raises:
        DocumentError: they have no names, or do not lie in the file.
        ImageError: it cannot be read.
    """
    rows = _rows(read_all(content, _ROWS_AT, _MAX_PIECES * _ROW.size))
    pieces = []
    behind = _DATA_AT
    for number, (row, name) in enumerate(zip(rows, _names(content, len(rows)), strict=True)):
        first, start, sectors = row
        offset = behind if start == _NONE else _DATA_AT + start * SECTOR_BYTES
        behind = offset + sectors * SECTOR_BYTES
        if not sectors or behind > content.size_bytes:
            raise DocumentError(f"'{name}' (piece {number}) does not lie in the file.")
        pieces.append(Piece(number, name, first, offset, sectors * SECTOR_BYTES))
    return tuple(pieces)


def _rows(raw: bytes) -> list[tuple[int, int, int]]:
    rows = []
    for first, start, sectors, _ in _ROW.iter_unpack(raw):
        if first == _NONE:
            break
        rows.append((first, start, sectors))
    if not rows:
        raise DocumentError("It names no pieces.")
    return rows


def _names(content: Content, count: int) -> list[str]:
    found = []
    for at in _NAMES_AT:
        raw = read_all(content, at, count * _NAME_BYTES)
        names = [raw[index : index + _NAME_BYTES] for index in range(0, len(raw), _NAME_BYTES)]
        if all(_NAME.fullmatch(name) for name in names):
            found.append([name.rstrip(b"\0").decode("ascii") for name in names])
    if len(found) != 1:
        raise DocumentError("The names of its pieces are not where known files of LG have them.")
    return found[0]
