# SPDX-License-Identifier: BSD-3-Clause
"""Contents that only come in order: what is compressed, unpacked while it is read.

Whoever reads on where the last reader stopped costs nothing; whoever goes back starts again. Jobs
read their images from the first byte to the last, so that is rare.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edl.chunks import CHUNK_BYTES, Content
from edl.errors import DocumentError, ImageError
from edl.formats.sparse import SparseImage
from edl.formats.streams import Stream

Start = Callable[[], Stream]


class Pieces:
    """The bytes of a content from offset on, in order. See Stream."""

    def __init__(self, content: Content, offset: int = 0, length: int | None = None) -> None:
        length = content.size_bytes - offset if length is None else length
        self._pieces = content.chunks(offset, length)
        self._rest = memoryview(b"")

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        if not self._rest:
            self._rest = memoryview(bytes(next(self._pieces, b"")))
        data, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return bytes(data)

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        while size_bytes and (data := self.read(min(size_bytes, CHUNK_BYTES))):
            size_bytes -= len(data)


@dataclass
class _Live:
    """A stream and how much of it has been taken."""

    stream: Stream
    at: int = 0


@dataclass(eq=False)
class StreamContent:
    """size_bytes that a stream gives. start: returns it from its beginning, any number of times.

    name: of what it unpacks, for errors. direct: returns the same bytes where they can be read
    anywhere, for those that are packed but not compressed; the stream then is for `verify` only. A
    stream that checks what it gives (a CRC at its end) is read to its very end. layout: of a sparse
    image, once somebody has read it, as that may mean to unpack all of it. crc: the CRC-32 that all
    of it has for certain; None if nobody has looked. lying: the same bytes where they were put on
    the disk for several readers. apart: it begins anywhere in a file of the disk and unpacks in
    little memory, so that several such contents may be read at the same time.
    """

    name: str
    size_bytes: int
    start: Start
    direct: Callable[[], Content] | None = None
    layout: SparseImage | None = None
    crc: int | None = None
    apart: bool = False
    _live: _Live | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _whole: bool = field(default=False, init=False)
    lying: Content | None = field(default=None, init=False)

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content.

        Raises:
            ImageError: it is damaged or cut off.
        """
        try:
            if self.lying is not None:
                yield from self.lying.chunks(offset, length)
                return
            if self.direct is not None:
                yield from self.direct().chunks(offset, length)
                return
            live = self._take(offset)
            yield from self._read(live, length)
        except DocumentError as error:
            raise self._damaged(error.message) from error
        except OSError as error:
            raise ImageError(f"{self.name} cannot be read: {error.strerror}.") from error
        if live.at < self.size_bytes:  # else an unpacker would keep its memory for nothing
            with self._lock:
                self._live = live

    @property
    def is_whole(self) -> bool:
        """Whether all checks of the stream have been made."""
        return self._whole

    def verify(self) -> None:
        """Read what nobody has read yet, so that all checks of the stream have been made.

        Raises:
            ImageError: it is damaged or cut off.
        """
        if self._whole:
            return
        live = self._live
        at = live.at if live is not None and self.direct is None else 0
        try:
            for _ in self._read(self._take(at), self.size_bytes - at):
                pass
        except DocumentError as error:
            raise self._damaged(error.message) from error
        except OSError as error:
            raise ImageError(f"{self.name} cannot be read: {error.strerror}.") from error
        self._whole = True  # there may be nothing in it at all

    def _read(self, live: _Live, length: int) -> Iterator[memoryview]:
        while length:
            piece = live.stream.read(min(length, CHUNK_BYTES))
            if not piece:
                raise DocumentError("it ends too early")
            live.at += len(piece)
            length -= len(piece)
            if live.at == self.size_bytes:
                if live.stream.read(1):
                    raise DocumentError("it does not end where it should")
                self._whole = True
            yield memoryview(piece)

    def _take(self, offset: int) -> _Live:
        """Return a stream that stands at offset; nobody else has it."""
        with self._lock:
            live, self._live = self._live, None
        if live is None or live.at > offset:
            live = _Live(self.start())
        if live.at < offset:
            live.stream.skip(offset - live.at)
            live.at = offset
        return live

    def _damaged(self, why: str) -> ImageError:
        return ImageError(
            f"{self.name} is damaged: {why.rstrip('.')}.",
            remedies=("Download the package again: what is there is not whole.",),
        )
