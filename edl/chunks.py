# SPDX-License-Identifier: BSD-3-Clause
"""Where bytes come from: files, runs of one value, memory; read ahead while the phone writes.

A `Content` has a fixed size and can be read anywhere, any number of times, in constant memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from edl.errors import ImageError
from edl.units import MIB

STILL_CHANGING = "Let the other program finish with it, see that it is whole, and start again."
CHUNK_BYTES = MIB
_AHEAD = 4


class Content(Protocol):
    """Bytes to be written, of a size that is known."""

    @property
    def size_bytes(self) -> int:
        """How many bytes it has."""
        ...

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """Yield length bytes from offset on, in pieces that are valid until the next one.

        Raises:
            ImageError: the bytes cannot be read any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileContent:
    """length bytes of a file from offset on, then zeros up to size_bytes."""

    path: Path
    offset: int
    length: int
    size_bytes: int

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        buffer = bytearray(min(CHUNK_BYTES, max(length, 1)))
        try:
            with self.path.open("rb", buffering=0) as file:
                while length:
                    piece = memoryview(buffer)[: min(length, len(buffer))]
                    self._fill(file.fileno(), piece, offset)
                    yield piece
                    offset += len(piece)
                    length -= len(piece)
        except OSError as error:
            raise ImageError(
                f"{self.path} cannot be read: {error.strerror}.",
                remedies=("Copy it to a disk of this computer, and start again from there.",),
            ) from error

    def _fill(self, descriptor: int, piece: memoryview, offset: int) -> None:
        wanted = max(0, min(len(piece), self.length - offset))
        done = 0
        while done < wanted:
            count = pread(descriptor, piece[done:wanted], self.offset + offset + done)
            if count == 0:
                raise ImageError(
                    f"{self.path} has become shorter while it was being used.",
                    remedies=(STILL_CHANGING,),
                )
            done += count
        piece[wanted:] = bytes(len(piece) - wanted)


def pread(descriptor: int, target: memoryview, offset: int) -> int:
    """Read from offset of an open file into target; return how many bytes, 0 at its end."""
    import os  # noqa: PLC0415  # the module stays importable where os lacks preadv (Windows)

    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [target], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, len(target))
    target[: len(data)] = data
    return len(data)


@dataclass(frozen=True, slots=True)
class FillContent:
    """A run of one repeated pattern; zeros by default."""

    size_bytes: int
    pattern: bytes = b"\0"

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        step = CHUNK_BYTES - CHUNK_BYTES % len(self.pattern)
        shift = offset % len(self.pattern)
        pattern = self.pattern[shift:] + self.pattern[:shift]
        block = memoryview(pattern * (min(step, length) // len(pattern) + 1))
        while length:
            count = min(length, step)
            yield block[:count]
            length -= count


@dataclass(frozen=True)
class BytesContent:
    """Bytes in memory."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return len(self.data)

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        yield memoryview(self.data)[offset : offset + length]


def read_all(content: Content, offset: int, length: int) -> bytes:
    """Return length bytes of content from offset on; for small pieces."""
    return b"".join(bytes(chunk) for chunk in content.chunks(offset, length))


def regular(chunks: Iterable[memoryview]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of CHUNK_BYTES, the last one shorter.

    What goes to a phone must come in whole sectors, and contents give what they happen to have.
    """
    rest = bytearray()
    for chunk in chunks:
        if not rest and len(chunk) == CHUNK_BYTES:
            yield bytes(chunk)  # the reader's buffer is used again for the next chunk
            continue
        rest += chunk
        while len(rest) >= CHUNK_BYTES:
            yield bytes(rest[:CHUNK_BYTES])
            del rest[:CHUNK_BYTES]
    if rest:
        yield bytes(rest)


class Hasher:
    """SHA-256 in a thread of its own: hashlib lets others work while it computes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._thread = threading.Thread(target=self._run, name="hasher", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            self._hash.update(data)

    def update(self, data: bytes) -> None:
        """Hash data; waits only while there is much to do already."""
        self._queue.put(data)

    def digest(self) -> bytes:
        """Return the digest of everything, and end the thread. May be called again."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        return self._hash.digest()


@dataclass
class _Work:
    """What reader and consumer of a ReadAhead share."""

    full: queue.Queue[bytes | BaseException | None] = field(
        default_factory=lambda: queue.Queue(_AHEAD)
    )
    stop: threading.Event = field(default_factory=threading.Event)


class ReadAhead:
    """Reads and hashes a piece of content in threads, while the consumer sends what is there.

    Use as a context manager; `digest()` after the last chunk. What is one chunk only is read when
    it is asked for: starting threads would take longer.
    """

    def __init__(
        self, content: Content, offset: int, length: int, then: Callable[[], None] | None = None
    ) -> None:
        """Make it ready. then: called when all has been read, in whatever thread did it."""
        self._source = content, offset, length
        self._then = then
        self._digest = b""
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *details: object) -> None:
        self.end()

    def begin(self) -> None:
        """Read from now on. It is done on entering, too, where it was not before."""
        if self._source[2] > CHUNK_BYTES and self._thread is None:
            self._work = _Work()
            self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Read no more."""
        if self._thread is None:
            return
        self._work.stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._work.full.get_nowait()
        self._thread.join()

    def _run(self) -> None:
        hasher = Hasher()
        try:
            content, offset, length = self._source
            for data in regular(content.chunks(offset, length)):
                hasher.update(data)
                if not self._put(data):
                    return
            self._digest = hasher.digest()
            if self._then is not None:
                self._then()
            self._put(None)
        except BaseException as error:  # noqa: BLE001  # raised again in the consumer's thread
            self._put(error)
        finally:
            hasher.digest()

    def _put(self, item: bytes | BaseException | None) -> bool:
        while not self._work.stop.is_set():
            with contextlib.suppress(queue.Full):
                self._work.full.put(item, timeout=0.1)
                return True
        return False

    def chunks(self) -> Iterator[memoryview]:
        """Yield the chunks in order.

        Raises:
            ImageError: the content could not be read.
        """
        if self._thread is None:
            content, offset, length = self._source
            data = b"".join(regular(content.chunks(offset, length)))
            self._digest = hashlib.sha256(data).digest()
            if data:
                yield memoryview(data)
            return
        while (item := self._work.full.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield memoryview(item)

    def digest(self) -> bytes:
        """Return the SHA-256 of all chunks; only when they all have been taken."""
        return self._digest
