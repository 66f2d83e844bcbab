# SPDX-License-Identifier: BSD-3-Clause
"""Pieces that several phones write at about the same time: each is read and hashed once.

None waits for another: who falls too far behind reads for itself, and so does everybody where the
common reading fails, so that each meets the error itself.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Self, cast

from edl.chunks import CHUNK_BYTES, BytesContent, Content, Hasher, ReadAhead, regular

_AHEAD = 4  # chunks that are read before anybody asks for them
_KEPT = 16  # chunks that are kept, for those behind the first
_MOST_DIGESTS = 4096  # of pieces


@dataclass(frozen=True)
class _Piece:
    """Which bytes. name: equal where two contents mean the same bytes."""

    content: Content = field(compare=False)
    name: Hashable
    offset: int
    length: int


class Readings:
    """What is being read for the phones of one package; may be used from all their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[_Piece, _Reading] = {}
        self._digests: OrderedDict[_Piece, bytes] = OrderedDict()

    def piece(
        self, content: Content, offset: int, length: int, then: Callable[[], None] | None = None
    ) -> ReadAhead | Share:
        """Return what reads a piece; to be used as a context manager.

        then: called when the last chunks have been asked for. What is short, or in memory, is read
        by each phone.
        """
        if length <= CHUNK_BYTES or isinstance(content, BytesContent):
            return ReadAhead(content, offset, length, then)
        name: Hashable = cast("Hashable", content)
        try:
            hash(content)
        except TypeError:
            name = id(content)  # which the piece keeps alive
        return Share(self, _Piece(content, name, offset, length), then)

    def join(self, piece: _Piece) -> _Reading:
        """Return the reading of piece, which begins if there is none that can be joined."""
        with self._lock:
            reading = self._under_way.get(piece)
            if reading is None or reading.is_past:
                reading = _Reading(piece, self._digests.get(piece))
                self._under_way[piece] = reading
                reading.start()
            reading.shares += 1
            return reading

    def leave(self, reading: _Reading) -> None:
        """Let go of reading; with the last one it ends."""
        with self._lock:
            reading.shares -= 1
            last = not reading.shares
            if last and self._under_way.get(reading.piece) is reading:
                del self._under_way[reading.piece]
            if reading.found is not None:
                self._digests[reading.piece] = reading.found
                self._digests.move_to_end(reading.piece)
                if len(self._digests) > _MOST_DIGESTS:
                    self._digests.popitem(last=False)
        if last:
            reading.stop()


class Share:
    """One phone's part in the reading of a piece. Used as a ReadAhead is."""

    def __init__(
        self, readings: Readings, piece: _Piece, then: Callable[[], None] | None = None
    ) -> None:
        self._readings = readings
        self._piece = piece
        self._then = then
        self._reading: _Reading | None = None

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *details: object) -> None:
        self.end()

    def begin(self) -> None:
        """Read from now on."""
        if self._reading is None:
            self._reading = self._readings.join(self._piece)

    def end(self) -> None:
        """Read no more."""
        if self._reading is not None:
            reading, self._reading = self._reading, None
            self._readings.leave(reading)

    def chunks(self) -> Iterator[memoryview]:
        """Yield the chunks in order.

        Raises:
            ImageError: the content could not be read.
        """
        reading, piece = self._reading, self._piece
        assert reading is not None  # noqa: S101  # it has begun
        for index in range(reading.count):
            if self._then is not None and index + _AHEAD >= reading.count:
                then, self._then = self._then, None
                then()
            data = reading.take(index)
            if data is None:
                done = index * CHUNK_BYTES
                left = piece.content.chunks(piece.offset + done, piece.length - done)
                yield from (memoryview(data) for data in regular(left))
                return
            yield memoryview(data)

    def digest(self) -> bytes:
        """Return the SHA-256 of all chunks; only when they all have been taken.

        Raises:
            ImageError: the content could not be read.
        """
        piece = self._piece
        found = None if self._reading is None else self._reading.digest()
        if found is None:
            whole = hashlib.sha256()
            for chunk in piece.content.chunks(piece.offset, piece.length):
                whole.update(chunk)
            found = whole.digest()
        return found


class _Reading(threading.Thread):
    """Reads a piece as far as the first phone wants it, and keeps a little for the others.

    Attributes:
        count: its chunks. shares: how many take part. found: the digest, once it is known.
    """

    def __init__(self, piece: _Piece, known: bytes | None) -> None:
        super().__init__(name="read-ahead", daemon=True)
        self.piece = piece
        self.count = -(-piece.length // CHUNK_BYTES)
        self.shares = 0
        self.found = known
        self._hasher = Hasher() if known is None else None
        self._chunks: deque[bytes] = deque(maxlen=_KEPT)
        self._next = 0  # what is read next; up to here, _chunks holds the last ones
        self._wanted = _AHEAD
        self._ended = self._stopped = False
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)  # there is something to read
        self._news = threading.Condition(self._lock)  # something has been read

    @property
    def is_past(self) -> bool:
        """Whether its beginning is not kept any more, or will never come."""
        with self._lock:
            return self._next > _KEPT or (self._ended and self._next < self.count)

    def run(self) -> None:
        """See threading.Thread."""
        piece = self.piece
        try:
            for data in regular(piece.content.chunks(piece.offset, piece.length)):
                if self._hasher is not None:
                    self._hasher.update(data)
                if not self._put(data):
                    return
            if self._hasher is not None:
                self.found = self._hasher.digest()
        except BaseException:  # noqa: BLE001, S110  # each phone reads on, and meets it itself
            pass
        finally:
            if self._hasher is not None:
                self._hasher.digest()
            with self._lock:
                self._ended = True
                self._news.notify_all()

    def _put(self, data: bytes) -> bool:
        with self._lock:
            self._chunks.append(data)
            self._next += 1
            self._news.notify_all()
            self._room.wait_for(lambda: self._next < self._wanted or self._stopped)
            return not self._stopped

    def take(self, index: int) -> bytes | None:
        """Return a chunk; None if it is not kept any more, or could not be read."""
        with self._lock:
            self._want(index + 1 + _AHEAD)
            self._news.wait_for(lambda: index < self._next or self._ended)
            at = index - self._next + len(self._chunks)
            return self._chunks[at] if 0 <= at < len(self._chunks) else None

    def digest(self) -> bytes | None:
        """Return the digest, when all has been read; None if that failed."""
        with self._lock:
            self._want(self.count + 1)
            self._news.wait_for(lambda: self._ended)
        return self.found

    def _want(self, count: int) -> None:
        if count > self._wanted:
            self._wanted = count
            self._room.notify()

    def stop(self) -> None:
        """End; nobody takes part any more."""
        with self._lock:
            self._stopped = True
            self._room.notify()
        self.join()
