# SPDX-License-Identifier: BSD-3-Clause
"""Chunks on their way to the phone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

from edl.chunks import CHUNK_BYTES, FillContent
from edl.errors import ImageError


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
