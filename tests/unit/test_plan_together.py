# SPDX-License-Identifier: BSD-3-Clause
"""Pieces for several phones: read and hashed once, and nobody waits for anybody."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from edl.chunks import CHUNK_BYTES, BytesContent, Content, ReadAhead
from edl.errors import ImageError
from edl.plan import together
from edl.plan.sending import Reader
from edl.plan.together import Readings, Share

MANY = 40  # chunks: more than are kept


@dataclass(eq=False)
class Counted:
    """Chunks that tell their number, and how often each was read. fails: at this one, so often."""

    size_bytes: int = MANY * CHUNK_BYTES
    read: list[int] = field(default_factory=list)
    fails: int = -1
    times: int = 0

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        for number in range(offset // CHUNK_BYTES, (offset + length) // CHUNK_BYTES):
            if number == self.fails and self.times:
                self.times -= 1
                raise ImageError("The disk is gone.")
            self.read.append(number)
            yield memoryview(bytes([number]) * CHUNK_BYTES)

    @property
    def digest(self) -> bytes:
        """Of all of it, by hand."""
        numbers = range(self.size_bytes // CHUNK_BYTES)
        return hashlib.sha256(b"".join(bytes([n]) * CHUNK_BYTES for n in numbers)).digest()


@dataclass
class Unhashable(Counted):
    """Two of these may be equal, but cannot be looked up."""


def opened(readings: Readings, content: Content) -> Share:
    share = readings.piece(content, 0, content.size_bytes)
    assert isinstance(share, Share)
    return share


def numbers(share: Share | ReadAhead) -> list[int]:
    """Take all chunks; return the numbers in them."""
    return [chunk[0] for chunk in share.chunks()]


def test_phones_side_by_side_read_once() -> None:
    content, readings = Counted(), Readings()
    digests: list[bytes] = []

    def phone() -> None:
        with opened(readings, content) as share:
            ready.wait()
            seen = []
            for chunk in share.chunks():
                seen.append(chunk[0])
                if len(seen) % 4 == 0:
                    together_.wait()  # no phone is far from the others
            assert seen == list(range(MANY))
            digests.append(share.digest())

    ready, together_ = threading.Barrier(3), threading.Barrier(3)
    phones = [threading.Thread(target=phone) for _ in range(3)]
    for each in phones:
        each.start()
    for each in phones:
        each.join()
    assert content.read == list(range(MANY))
    assert digests == [content.digest] * 3


def test_who_falls_behind_reads_for_itself_and_the_digest_is_known() -> None:
    content, readings = Counted(), Readings()
    with opened(readings, content) as slow, opened(readings, content) as fast:
        behind = slow.chunks()
        assert next(behind)[0] == 0
        assert numbers(fast) == list(range(MANY))
        assert fast.digest() == content.digest
        assert [chunk[0] for chunk in behind] == list(range(1, MANY))
        assert slow.digest() == content.digest
    assert content.read == [*range(MANY), *range(1, MANY)]


def test_the_fast_one_stops_and_the_slow_one_has_its_digest() -> None:
    content, readings = Counted(), Readings()
    with opened(readings, content) as slow:
        behind = slow.chunks()
        next(behind)
        with opened(readings, content) as fast:
            for chunk in fast.chunks():
                if chunk[0] == 30:
                    break
        assert len(list(behind)) == MANY - 1
        assert slow.digest() == content.digest


def test_who_comes_late_begins_anew_and_hashes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    content, readings = Counted(), Readings()
    with opened(readings, content) as first:
        half = first.chunks()
        while next(half)[0] < 30:
            pass
        with opened(readings, content) as second:
            assert numbers(second) == list(range(MANY))
            assert second.digest() == content.digest
        assert len(list(half)) == MANY - 31
    monkeypatch.setattr(together, "Hasher", None)
    with opened(readings, content) as third:
        assert numbers(third) == list(range(MANY))
        assert third.digest() == content.digest


def test_digests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_MOST_DIGESTS", 2)
    readings = Readings()
    for _ in range(3):
        with opened(readings, Counted(2 * CHUNK_BYTES)) as share:
            numbers(share)
            share.digest()
    assert len(readings._digests) == 2
    assert readings._under_way == {}


def test_each_meets_an_error_itself() -> None:
    content, readings = Counted(fails=3, times=99), Readings()
    errors = []
    for _ in range(2):
        with opened(readings, content) as share:
            with pytest.raises(ImageError) as caught:
                numbers(share)
            errors.append(caught.value)
    assert errors[0] is not errors[1]  # each phone's error tells what is on that phone


def test_an_error_that_passes_costs_nothing_but_time() -> None:
    content, readings = Counted(fails=3, times=1), Readings()
    with opened(readings, content) as share, opened(readings, content) as joined:
        assert numbers(share) == list(range(MANY))
        assert share.digest() == content.digest
        with opened(readings, content) as late:  # does not join what has failed
            assert numbers(late) == list(range(MANY))
            assert late.digest() == content.digest
        assert numbers(joined) == list(range(MANY))


def test_what_is_not_begun_or_given_up_ends() -> None:
    content, readings = Counted(), Readings()
    before = threading.active_count()
    share = opened(readings, content)
    share.begin()
    share.begin()
    share.end()
    share.end()
    assert threading.active_count() == before
    assert len(content.read) <= 5
    assert share.digest() == content.digest


def test_contents_that_cannot_be_looked_up_are_shared_by_identity() -> None:
    one, other, readings = Unhashable(), Unhashable(), Readings()
    with opened(readings, one) as a, opened(readings, one) as b, opened(readings, other) as c:
        assert (a._reading is b._reading, a._reading is c._reading) == (True, False)


def test_what_is_short_or_in_memory_is_not_shared() -> None:
    readings = Readings()
    data = BytesContent(bytes(3 * CHUNK_BYTES))
    assert isinstance(readings.piece(data, 0, data.size_bytes), ReadAhead)
    assert isinstance(readings.piece(Counted(), 0, CHUNK_BYTES), ReadAhead)


def test_the_next_piece_is_begun_by_all() -> None:
    content, readings = Counted(), Readings()
    half = MANY // 2 * CHUNK_BYTES
    lengths = {0: half, half: half}
    with Reader(content, lengths, readings) as one, Reader(content, lengths, readings) as other:
        for at in (0, half):
            with one.piece(at, half) as first, other.piece(at, half) as second:
                pairs = zip(first.chunks(), second.chunks(), strict=True)
                assert all(mine is not yours and mine == yours for mine, yours in pairs)
    assert sorted(content.read) == list(range(MANY))
