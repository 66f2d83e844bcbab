# SPDX-License-Identifier: BSD-3-Clause
"""Contents that only come in order: what is compressed, unpacked while it is read.

Whoever reads on where the last reader stopped costs nothing; whoever goes back starts again. Jobs
read their images from the first byte to the last, so that is rare.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edl.chunks import CHUNK_BYTES
from edl.errors import DocumentError, ImageError
from edl.formats.streams import Stream

Start = Callable[[], Stream]


@dataclass
class _Live:
    """A stream and how much of it has been taken."""

    stream: Stream
    at: int = 0


@dataclass(eq=False)
class StreamContent:
    """size_bytes that a stream gives. start: returns it from its beginning, any number of times.

    name: of what it unpacks, for errors. A stream that checks what it gives (a CRC at its end) is
    read to its very end.
    """

    name: str
    size_bytes: int
    start: Start
    _live: _Live | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content.

        Raises:
            ImageError: it is damaged or cut off.
        """
        live = self._take(offset)
        try:
            if live.at < offset:
                live.stream.skip(offset - live.at)
                live.at = offset
            while length:
                piece = live.stream.read(min(length, CHUNK_BYTES))
                if not piece:
                    raise self._damaged("it ends too early")
                live.at += len(piece)
                length -= len(piece)
                if live.at == self.size_bytes and live.stream.read(1):
                    raise self._damaged("it does not end where it should")
                yield memoryview(piece)
        except DocumentError as error:
            raise self._damaged(error.message) from error
        except OSError as error:
            raise ImageError(f"{self.name} cannot be read: {error.strerror}.") from error
        with self._lock:
            self._live = live

    def _take(self, offset: int) -> _Live:
        """Return a stream that stands at offset or before it; nobody else has it."""
        with self._lock:
            live, self._live = self._live, None
        if live is None or live.at > offset:
            try:
                live = _Live(self.start())
            except OSError as error:
                raise ImageError(f"{self.name} cannot be read: {error.strerror}.") from error
        return live

    def _damaged(self, why: str) -> ImageError:
        return ImageError(
            f"{self.name} is damaged: {why.rstrip('.')}.",
            remedies=("Download the package again: what is there is not whole.",),
        )
