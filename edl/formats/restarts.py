# SPDX-License-Identifier: BSD-3-Clause
"""Where in a compressed file unpacking can begin: a bounded number of points, evenly spread.

Only gzip's decompressor can be copied at any place. Of the other kinds a new one must begin where a
compressed unit does: a frame of Zstandard, a stream of bzip2 or xz, a block of xz. Programs that
compress on several processors make many of these, others one for the whole file.
"""

from __future__ import annotations

import bisect
import io
import itertools
import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

from edl.formats.streams import START, Point
from edl.units import KIB, MIB

_SPACING_BYTES = 32 * MIB
_MOST = 512  # copies of gzip's decompressor take 20 MiB then
_XZ_HEADER_BYTES = 12
_XZ_FOOTER = struct.Struct("<II2s2s")  # CRC-32 of what follows, size of the index, flags, magic
_MAX_XZ_INDEX_BYTES = 256 * KIB
_MAX_SHIFT = 56  # numbers have nine bytes at most


class Points:
    """Points of one file, in order; of too many every other one is dropped.

    most: how many are kept at least half of. spacing_bytes: how far apart they are to begin with.
    """

    def __init__(self, most: int = _MOST, spacing_bytes: int = _SPACING_BYTES) -> None:
        self._points = [START]
        self._most = most
        self._spacing_bytes = spacing_bytes

    def before(self, at: int) -> Point:
        """Return the last point that is not behind byte at of what comes out."""
        return self._points[self._behind(at) - 1]

    def wanted(self, at: int) -> bool:
        """Tell whether a point there would not be too near to those that are known."""
        behind = self._behind(at)
        near = self._points[behind - 1 : behind + 1]
        return all(abs(point.unpacked - at) >= self._spacing_bytes for point in near)

    def add(self, point: Point) -> None:
        """Take in a point, if it is wanted."""
        if not self.wanted(point.unpacked):
            return
        self._points.insert(self._behind(point.unpacked), point)
        if len(self._points) > self._most:
            self._spacing_bytes *= 2
            points, self._points = self._points[1:], [START]
            for each in points:
                if each.unpacked - self._points[-1].unpacked >= self._spacing_bytes:
                    self._points.append(each)

    def lasting(self) -> list[Point]:
        """Return the points that another run can use as well."""
        return [point for point in self._points if point.unit is None]

    def widest(self, end: int) -> int:
        """Return how much must be unpacked at most to come to any byte before end."""
        starts = [*(point.unpacked for point in self._points), end]
        return max(after - before for before, after in itertools.pairwise(starts))

    def _behind(self, at: int) -> int:
        return bisect.bisect_right(self._points, at, key=lambda point: point.unpacked)


def xz_blocks(file: BinaryIO, size_bytes: int) -> tuple[list[Point], int]:
    """Return where the blocks of an xz file begin, by the index at its end; and where they end.

    Of files of several streams, and of damaged ones, nothing is known this way: none, and 0. Facts:
    The .xz File Format 1.2.0, sections 2.1 and 4.

    Raises:
        OSError: file cannot be read.
    """
    try:
        file.seek(size_bytes - _XZ_FOOTER.size)
        footer = file.read(_XZ_FOOTER.size)
        crc, told, flags, magic = _XZ_FOOTER.unpack(footer)
        length = 4 * (told + 1)
        end = size_bytes - _XZ_FOOTER.size - length
        if magic != b"YZ" or crc != zlib.crc32(footer[4:10]) or length > _MAX_XZ_INDEX_BYTES:
            return [], 0
        file.seek(0)
        header = file.read(_XZ_HEADER_BYTES)
        file.seek(end)
        index = file.read(length)
    except (struct.error, ValueError):
        return [], 0
    if header[6:8] != flags or zlib.crc32(index[:-4]) != int.from_bytes(index[-4:], "little"):
        return [], 0
    points: list[Point] = []
    packed, unpacked = _XZ_HEADER_BYTES, 0
    for block_bytes, size in _records(index[:-4]):
        points.append(Point(unpacked, packed, header))
        packed += block_bytes + -block_bytes % 4
        unpacked += size
    return (points, end) if packed == end else ([], 0)


def _records(index: bytes) -> Iterable[tuple[int, int]]:
    """Return size in the file and unpacked size of each block that an index tells."""
    data = io.BytesIO(index[1:])
    count = min(_number(data), len(index))  # each takes two bytes at least
    return [(_number(data), _number(data)) for _ in range(count)]


def _number(data: io.BytesIO) -> int:
    """Return a number of seven bits a byte, the lowest first; it ends where no more are told."""
    value = shift = 0
    for byte in iter(lambda: data.read(1), b""):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80 or shift == _MAX_SHIFT:
            break
        shift += 7
    return value
