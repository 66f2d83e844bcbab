# SPDX-License-Identifier: BSD-3-Clause
"""The content of one LUN of the virtual phone: up to 256 GB that cost nothing until written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edl.units import MIB


class _Content(Protocol):
    """The bytes of a LUN."""

    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes | memoryview) -> None: ...
    def erase(self, offset: int, length: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class _MemoryContent:
    """Content in memory: pieces of 1 MiB, of which only the written ones exist."""

    def __init__(self) -> None:
        self._pieces: dict[int, bytearray] = {}

    def read(self, offset: int, length: int) -> bytes:
        parts = []
        for index, start, end in _pieces(offset, length):
            piece = self._pieces.get(index)
            parts.append(bytes(end - start) if piece is None else piece[start:end])
        return b"".join(parts)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        view, taken = memoryview(data), 0
        for index, start, end in _pieces(offset, len(view)):
            piece = self._pieces.setdefault(index, bytearray(MIB))
            piece[start:end] = view[taken : taken + end - start]
            taken += end - start

    def erase(self, offset: int, length: int) -> None:
        stop = offset + length
        for index in [index for index in self._pieces if offset < (index + 1) * MIB]:
            first, last = max(offset, index * MIB), min(stop, (index + 1) * MIB)
            if last - first == MIB:
                del self._pieces[index]
            elif first < last:
                start = first - index * MIB
                self._pieces[index][start : start + last - first] = bytes(last - first)

    def flush(self) -> None:
        """Do nothing: memory is all there is."""

    def close(self) -> None:
        """Do nothing, so that a phone can be looked at after its end."""


def _pieces(offset: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, first byte, end byte) for every piece of 1 MiB that is touched."""
    stop = offset + length
    while offset < stop:
        index, start = divmod(offset, MIB)
        end = min(MIB, start + stop - offset)
        yield index, start, end
        offset += end - start


class _FileContent:
    """Content in a sparse file."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        path.touch()
        self._file = path.open("r+b", buffering=0)
        if path.stat().st_size < size_bytes:
            self._file.truncate(size_bytes)

    def read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._file.seek(offset)
        self._file.write(data)

    def erase(self, offset: int, length: int) -> None:
        stop = offset + length
        if stop >= self._size_bytes:
            self._file.truncate(offset)
            self._file.truncate(self._size_bytes)
            return
        while (offset := self._next_data(offset, stop)) < stop:
            count = min(stop - offset, MIB)
            self.write(offset, bytes(count))
            offset += count

    def _next_data(self, offset: int, stop: int) -> int:
        """Return where the next written byte from offset on may be, or stop."""
        seek_data = getattr(os, "SEEK_DATA", None)  # not every system tells holes
        if seek_data is None or offset >= stop:
            return offset
        try:
            return os.lseek(self._file.fileno(), offset, seek_data)
        except OSError:  # no data up to the end of the file
            return stop

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Lun:
    """A LUN in memory, where only what was written takes space, or in a sparse file.

    It reads as zeros at first.

    Attributes:
        sectors: its size.
        sector_bytes: size of a sector, 512 or 4096.
    """

    def __init__(self, sectors: int, sector_bytes: int, path: Path | None = None) -> None:
        self.sectors = sectors
        self.sector_bytes = sector_bytes
        self._content: _Content = (
            _MemoryContent() if path is None else _FileContent(path, sectors * sector_bytes)
        )

    def covers(self, start: int, count: int) -> bool:
        """Return whether count sectors from sector start on lie on this LUN."""
        return min(start, count) >= 0 and start + count <= self.sectors

    def read(self, start: int, count: int) -> bytes:
        """Return count sectors from sector start on.

        Raises:
            ValueError: they do not all lie on the LUN.
        """
        self._check(start, count)
        return self._content.read(start * self.sector_bytes, count * self.sector_bytes)

    def write(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Keep data from sector start on.

        Raises:
            ValueError: data is not whole sectors, or they do not all lie on the LUN.
        """
        count, rest = divmod(len(data), self.sector_bytes)
        if rest:
            raise ValueError(f"{len(data)} bytes are not whole sectors of {self.sector_bytes}")
        self._check(start, count)
        self._content.write(start * self.sector_bytes, memoryview(data))

    def erase(self, start: int, count: int) -> None:
        """Make count sectors from sector start on read as zeros.

        Raises:
            ValueError: they do not all lie on the LUN.
        """
        self._check(start, count)
        self._content.erase(start * self.sector_bytes, count * self.sector_bytes)

    def digest(self, start: int, count: int) -> bytes:
        """Return the SHA-256 of count sectors from sector start on."""
        sha256, step = hashlib.sha256(), MIB // self.sector_bytes
        for first in range(start, start + count, step):
            sha256.update(self.read(first, min(step, start + count - first)))
        return sha256.digest()

    def flush(self) -> None:
        """Bring the file to the computer's own storage."""
        self._content.flush()

    def close(self) -> None:
        """Close the file. A LUN in memory stays readable."""
        self._content.close()

    def _check(self, start: int, count: int) -> None:
        if not self.covers(start, count):
            raise ValueError(f"{count} sectors from {start} on do not lie on {self.sectors}")
