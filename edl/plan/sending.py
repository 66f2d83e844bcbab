# SPDX-License-Identifier: BSD-3-Clause
"""Chunks on their way to the phone.

The next piece is read, unpacked and hashed while the phone still has to do with this one. Else an
unpacker that is as slow as the link would wait for the phone, and then the link for the unpacker.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol, Self

from edl.chunks import CHUNK_BYTES, Content, FillContent, ReadAhead
from edl.errors import ImageError
from edl.plan.together import Readings, Share


class Source(Protocol):
    """Chunks to be sent, and then their SHA-256."""

    def chunks(self) -> Iterator[memoryview]:
        """Yield them in order, each valid until the next one."""
        ...

    @property
    def digest(self) -> Callable[[], bytes]:
        """Tell the SHA-256, once all have been taken."""
        ...


class Held:
    """Bytes in memory, hashed while they are sent."""

    def __init__(self, data: memoryview, digest: Callable[[], bytes]) -> None:
        self._data = data
        self.digest = digest

    def chunks(self) -> Iterator[memoryview]:
        """See Source."""
        for at in range(0, len(self._data), CHUNK_BYTES):
            yield self._data[at : at + CHUNK_BYTES]


class Guarded:
    """Chunks of a piece. A file that fails midway goes on as zeros.

    So the phone is not left waiting for data; the error is raised afterwards. The first chunk is
    there before the phone is asked to take any.
    """

    def __init__(self, source: Source, size_bytes: int) -> None:
        self._chunks = source.chunks()
        self._first = next(self._chunks)
        self._left = size_bytes
        self.error: ImageError | None = None

    def __iter__(self) -> Iterator[memoryview]:
        try:
            for chunk in itertools.chain([self._first], self._chunks):
                self._left -= len(chunk)
                yield chunk
        except ImageError as error:
            self.error = error
            yield from FillContent(self._left).chunks(0, self._left)


class Reader:
    """Reads pieces of a content in order; the next one as soon as one has been read to its end.

    Use as a context manager. lengths: of the pieces that will be asked for, by their offsets.
    readings: of other phones that may write the same.
    """

    def __init__(
        self, content: Content, lengths: Mapping[int, int], readings: Readings | None = None
    ) -> None:
        self._content = content
        self._lengths = lengths
        self._readings = readings
        self._next: tuple[int, ReadAhead | Share] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._drop()

    def piece(self, offset: int, length: int) -> ReadAhead | Share:
        """Return what reads a piece, perhaps for a while already; to be used as a context manager.

        What was read ahead of another piece is given up.
        """
        if self._next is not None and self._next[0] == offset:
            (_, ahead), self._next = self._next, None
            return ahead
        self._drop()
        return self._made(offset, length)

    def _made(self, offset: int, length: int) -> ReadAhead | Share:
        following = offset + length
        then = partial(self._begin, following) if following in self._lengths else None
        if self._readings is not None:
            return self._readings.piece(self._content, offset, length, then)
        return ReadAhead(self._content, offset, length, then)

    def _begin(self, offset: int) -> None:
        if self._next is None:  # else that one has been read and not been asked for yet
            ahead = self._made(offset, self._lengths[offset])
            self._next = offset, ahead
            ahead.begin()

    def _drop(self) -> None:
        if self._next is not None:
            (_, ahead), self._next = self._next, None
            ahead.end()
