# SPDX-License-Identifier: BSD-3-Clause
"""Pieces are read one ahead, and only that one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from edl.chunks import CHUNK_BYTES, ReadAhead
from edl.plan.sending import Reader
from edl.plan.together import Share

PIECE = 6 * CHUNK_BYTES
WAIT_S = 30


@dataclass
class Counted:
    """Chunks that tell their number. begun: where each reader began, with an event for it."""

    size_bytes: int
    begun: list[int] = field(default_factory=list)
    events: dict[int, threading.Event] = field(default_factory=dict)

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        self.begun.append(offset)
        self.events.setdefault(offset, threading.Event()).set()
        for number in range(offset // CHUNK_BYTES, (offset + length) // CHUNK_BYTES):
            yield memoryview(bytes([number]) * CHUNK_BYTES)


def taken(ahead: ReadAhead | Share) -> bytes:
    """Return the first byte of each chunk."""
    with ahead:
        return b"".join(bytes(chunk[:1]) for chunk in ahead.chunks())


def test_the_next_piece_is_begun_before_it_is_asked_for() -> None:
    content = Counted(3 * PIECE)
    with Reader(content, dict.fromkeys(range(0, 3 * PIECE, PIECE), PIECE)) as reader:
        first = reader.piece(0, PIECE)
        assert taken(first) == bytes(range(6))
        assert content.events.setdefault(PIECE, threading.Event()).wait(WAIT_S)
        second = reader.piece(PIECE, PIECE)
        assert taken(second) == bytes(range(6, 12))
        expected = b"".join(bytes([number]) * CHUNK_BYTES for number in range(6, 12))
        assert second.digest() == hashlib.sha256(expected).digest()
        assert taken(reader.piece(2 * PIECE, PIECE)) == bytes(range(12, 18))
    assert content.begun == [0, PIECE, 2 * PIECE]


def test_what_is_skipped_is_not_read_ahead() -> None:
    content = Counted(3 * PIECE)
    with Reader(content, {0: PIECE, 2 * PIECE: PIECE}) as reader:
        taken(reader.piece(0, PIECE))
        taken(reader.piece(2 * PIECE, PIECE))
    assert content.begun == [0, 2 * PIECE]


def test_what_is_not_asked_for_is_given_up() -> None:
    content = Counted(3 * PIECE)
    before = threading.active_count()
    with Reader(content, dict.fromkeys(range(0, 3 * PIECE, PIECE), PIECE)) as reader:
        taken(reader.piece(0, PIECE))
        assert taken(reader.piece(2 * PIECE, PIECE)) == bytes(range(12, 18))
        taken(reader.piece(0, PIECE))
    assert threading.active_count() == before


def test_pieces_that_fit_into_the_queue_are_not_overtaken() -> None:
    small = 2 * CHUNK_BYTES
    content = Counted(8 * small)
    with Reader(content, dict.fromkeys(range(0, 8 * small, small), small)) as reader:
        for at in range(0, 8 * small, small):
            first = at // CHUNK_BYTES
            assert taken(reader.piece(at, small)) == bytes((first, first + 1))
            if reader._next is not None:
                at_next, ahead = reader._next
                assert isinstance(ahead, ReadAhead)
                if ahead._thread is not None:
                    ahead._thread.join(WAIT_S)  # it has read all, and begins nothing over its head
                    assert at_next == at + small
    assert sorted(content.begun) == content.begun


def test_single_chunks_need_no_thread() -> None:
    content = Counted(2 * CHUNK_BYTES)
    lengths = {0: CHUNK_BYTES, CHUNK_BYTES: CHUNK_BYTES}
    with Reader(content, lengths) as reader:
        assert taken(reader.piece(0, CHUNK_BYTES)) == b"\0"
        assert content.begun == [0]
