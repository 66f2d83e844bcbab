# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.chunks import (
    CHUNK_BYTES,
    BytesContent,
    Content,
    FileContent,
    FillContent,
    ReadAhead,
    read_all,
    regular,
)
from edl.errors import ImageError

DATA = bytes(range(251)) * 40


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "boot.img"
    path.write_bytes(DATA)
    return path


def pieces(content: Content, offset: int, length: int) -> list[bytes]:
    return [bytes(chunk) for chunk in content.chunks(offset, length)]


# --- files


def test_a_file_is_followed_by_zeros(image: Path) -> None:
    content = FileContent(image, offset=100, length=50, size_bytes=4096)
    whole = DATA[100:150] + bytes(4046)
    assert read_all(content, 0, 4096) == whole
    assert read_all(content, 20, 100) == whole[20:120]
    assert read_all(content, 1000, 24) == bytes(24)
    assert pieces(content, 0, 0) == []


def test_a_large_file_comes_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "large.img"
    data = os.urandom(CHUNK_BYTES + 1000)
    path.write_bytes(data)
    content = FileContent(path, 0, len(data), 3 * CHUNK_BYTES)
    found = pieces(content, 5, 2 * CHUNK_BYTES)
    assert [len(piece) for piece in found] == [CHUNK_BYTES, CHUNK_BYTES]
    assert b"".join(found) == (data + bytes(CHUNK_BYTES))[5 : 5 + 2 * CHUNK_BYTES]


def test_systems_without_pread_read_the_same(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "preadv")  # Windows
    content = FileContent(image, 7, len(DATA) - 7, len(DATA))
    assert read_all(content, 1, len(DATA) - 7) == DATA[8:] + bytes(1)


def test_a_file_that_has_shrunk_is_an_image_error(image: Path) -> None:
    content = FileContent(image, 0, len(DATA), len(DATA))
    os.truncate(image, 1000)
    assert read_all(content, 0, 1000) == DATA[:1000]
    with pytest.raises(ImageError) as caught:
        read_all(content, 0, len(DATA))
    assert caught.value.message == f"{image} has become shorter while it was being used."
    assert "see that it is whole" in caught.value.remedies[0]


def test_a_file_that_is_gone_is_an_image_error(image: Path) -> None:
    content = FileContent(image, 0, 10, 10)
    image.unlink()
    with pytest.raises(ImageError) as caught:
        read_all(content, 0, 10)
    assert caught.value.message == f"{image} cannot be read: No such file or directory."


# --- runs and bytes


@pytest.mark.parametrize("pattern", [b"\0", b"\xde\xad\xbe\xef", b"abc"])
def test_a_run_repeats_its_pattern_from_anywhere(pattern: bytes) -> None:
    size = 2 * CHUNK_BYTES + 100
    content = FillContent(size, pattern)
    whole = (pattern * (size // len(pattern) + 1))[:size]
    assert read_all(content, 0, size) == whole
    assert read_all(content, 1, 10) == whole[1:11]
    assert (
        read_all(content, CHUNK_BYTES - 1, CHUNK_BYTES + 5)
        == whole[CHUNK_BYTES - 1 :][: CHUNK_BYTES + 5]
    )
    assert max(len(piece) for piece in pieces(content, 0, size)) <= CHUNK_BYTES
    assert pieces(content, 3, 0) == []


def test_bytes() -> None:
    content = BytesContent(DATA)
    assert content.size_bytes == len(DATA)
    assert read_all(content, 10, 20) == DATA[10:30]
    assert FillContent(5).size_bytes == 5


# --- reading ahead


class Slow:
    """Content whose reader waits for permission, and notes how far it came."""

    def __init__(self, chunks: int, failure: BaseException | None = None) -> None:
        self.size_bytes = chunks * CHUNK_BYTES
        self.read = 0
        self.closed = threading.Event()
        self._failure = failure

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        buffer = bytearray(CHUNK_BYTES)
        try:
            for number in range(offset // CHUNK_BYTES, (offset + length) // CHUNK_BYTES):
                buffer[0] = number % 256  # the same buffer, as a file has it
                self.read += 1
                yield memoryview(buffer)
            if self._failure is not None:
                raise self._failure
        finally:
            self.closed.set()


def test_chunks_come_in_order_with_their_digest() -> None:
    content = Slow(100)
    with ReadAhead(content, 3 * CHUNK_BYTES, 50 * CHUNK_BYTES) as ahead:
        found = [bytes(chunk) for chunk in ahead.chunks()]
    assert [chunk[0] for chunk in found] == list(range(3, 53))
    assert ahead.digest() == hashlib.sha256(b"".join(found)).digest()


def test_chunks_stay_as_they_are_while_the_reader_goes_on() -> None:
    with ReadAhead(Slow(20), 0, 20 * CHUNK_BYTES) as ahead:
        chunks = list(ahead.chunks())
    assert [chunk[0] for chunk in chunks] == list(range(20))


def test_the_reader_is_never_far_ahead() -> None:
    content = Slow(1000)
    with ReadAhead(content, 0, 1000 * CHUNK_BYTES) as ahead:
        stream = ahead.chunks()
        for taken in range(1, 50):
            next(stream)
            assert content.read <= taken + 6
    assert content.closed.is_set()


def test_a_consumer_that_gives_up_stops_the_reader() -> None:
    content = Slow(1000)
    with ReadAhead(content, 0, 1000 * CHUNK_BYTES) as ahead:
        next(ahead.chunks())
    assert content.closed.is_set()
    assert content.read < 20


def test_a_consumer_that_takes_nothing_stops_the_reader() -> None:
    content = Slow(2)
    with ReadAhead(content, 0, 2 * CHUNK_BYTES):
        pass
    assert content.closed.is_set()


@pytest.mark.parametrize("failure", [ImageError("the file is gone"), KeyboardInterrupt()])
def test_a_failure_of_the_reader_reaches_the_consumer(failure: BaseException) -> None:
    with ReadAhead(Slow(3, failure), 0, 3 * CHUNK_BYTES) as ahead:
        stream = ahead.chunks()
        assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
        with pytest.raises(type(failure)) as caught:
            next(stream)
    assert caught.value is failure


@pytest.mark.parametrize("sizes", [[], [1], [1822, 226], [CHUNK_BYTES], [CHUNK_BYTES - 1, 2, 5]])
def test_pieces_are_even_whatever_the_content_gives(sizes: list[int]) -> None:
    given = [os.urandom(size) for size in [*sizes, 3 * CHUNK_BYTES]]
    found = list(regular(map(memoryview, given)))
    assert b"".join(found) == b"".join(given)
    assert {len(piece) for piece in found[:-1]} == {CHUNK_BYTES}
