# SPDX-License-Identifier: BSD-3-Clause
"""Streams of containers: out of contents, out of zlib, and held to size and checksums."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from edl.chunks import CHUNK_BYTES, Content
from edl.errors import DocumentError
from edl.formats.streams import Budget, Stream


class _Readable(Protocol):
    def read(self, size_bytes: int, /) -> bytes: ...


class Digest(Protocol):
    """What hashlib calls a hash object."""

    def update(self, data: bytes, /) -> None:
        """Take data."""
        ...

    def digest(self) -> bytes:
        """Return the digest of all data."""
        ...


def skip(stream: _Readable, size_bytes: int) -> None:
    """Read size_bytes of stream for nothing, or what is left of it."""
    while size_bytes and (data := stream.read(min(size_bytes, CHUNK_BYTES))):
        size_bytes -= len(data)


class Pieces:
    """The bytes of a content, in order: size_bytes from offset on, or all."""

    def __init__(self, content: Content, offset: int = 0, size_bytes: int | None = None) -> None:
        size = content.size_bytes - offset if size_bytes is None else size_bytes
        self._pieces: Iterator[memoryview] = content.chunks(offset, size)
        self._rest = memoryview(b"")

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        if not self._rest:
            # A reader's buffer is used again for its next piece.
            self._rest = memoryview(bytes(next(self._pieces, b"")))
        data, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return bytes(data)

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        skip(self, size_bytes)


class Inflated:
    """What zlib data (RFC 1950) unpacks to."""

    def __init__(self, packed: Stream) -> None:
        self._packed = packed
        self._decoder = zlib.decompressobj()

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        try:
            while not self._decoder.eof:
                source = self._decoder.unconsumed_tail or self._packed.read(CHUNK_BYTES)
                data = self._decoder.decompress(source, size_bytes)
                if data or not source:
                    return data
        except zlib.error as error:
            raise DocumentError("The compressed data are damaged.") from error
        return b""

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        skip(self, size_bytes)


class Unbounded(Budget):
    """For what is held to a size that is known anyway, by `Checked`."""

    def __init__(self) -> None:
        super().__init__(0)

    def spend(self, size_bytes: int) -> None:
        """See Budget."""


class Crc32:
    """A CRC-32 as hashlib has its digests; in the order of bytes of little-endian numbers."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        """See Digest."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """See Digest."""
        return self._value.to_bytes(4, "little")


@dataclass(frozen=True)
class Sum:
    """A checksum of bytes. name: for people; of several with the same name one must be right.

    first_bytes: only so many from the beginning on are counted; 0 for all. padded_to: zeros are
    counted in up to a multiple of that.
    """

    name: str
    make: Callable[[], Digest]
    wanted: bytes
    first_bytes: int = 0
    padded_to: int = 1


class _Running:
    """A checksum that is being made."""

    def __init__(self, wanted: Sum) -> None:
        self.wanted = wanted
        self._digest = wanted.make()
        self._size = 0

    def update(self, data: bytes) -> None:
        if first := self.wanted.first_bytes:
            data = data[: max(0, first - self._size)]
        self._size += len(data)
        self._digest.update(data)

    def is_right(self) -> bool:
        self._digest.update(bytes(-self._size % self.wanted.padded_to))
        return self._digest.digest() == self.wanted.wanted


class Checked:
    """The size_bytes of a stream; the last of them only if its checksums are right.

    It is an error of the stream to be longer; whoever reads it finds out if it is shorter.
    """

    def __init__(self, stream: Stream, size_bytes: int, sums: Iterable[Sum]) -> None:
        self._stream = stream
        self._left = size_bytes
        self._running = [_Running(each) for each in sums]

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        data = self._stream.read(size_bytes)
        self._left -= len(data)
        if self._left < 0:
            raise DocumentError("it is longer than its container says")
        for each in self._running:
            each.update(data)
        if data and self._left == 0:
            self._settle()
        return data

    def _settle(self) -> None:
        right = {each.wanted.name for each in self._running if each.is_right()}
        wrong = {each.wanted.name for each in self._running} - right
        if wrong:
            raise DocumentError(f"its checksum ({', '.join(sorted(wrong))}) is wrong")

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        skip(self, size_bytes)
