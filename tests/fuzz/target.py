# SPDX-License-Identifier: BSD-3-Clause
"""What a fuzz target is: something that takes bytes from strangers, and what it promises."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from edl.chunks import BytesContent, Content
from edl.errors import DocumentError, EdlError
from edl.formats.streams import Stream

MOST_READ_BYTES = 1 << 20


class BrokenPromiseError(Exception):
    """A target returned something that it promises never to return."""


@dataclass(frozen=True)
class Target:
    """Something that takes bytes from strangers.

    Attributes:
        name: as `--target` takes it.
        modules: whose input it is; each of them has code that the seeds reach.
        check: takes any bytes, uses all that it gets for them, and raises nothing but errors.
        errors: what check may raise, as the modules' docstrings promise.
        seeds: good input, from which bad input is made; the same ones each time.
        words: pieces of input with a meaning, which random bytes would hardly hit.
        most_bytes: longest input that is tried.
        sealed: gives input right checksums, so that what they guard is reached as well.
    """

    name: str
    modules: tuple[str, ...]
    check: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    errors: tuple[type[Exception], ...] = (DocumentError,)
    words: tuple[bytes, ...] = ()
    most_bytes: int = 1 << 16
    sealed: Callable[[bytes], bytes] | None = None


def attempt(target: Target, data: bytes) -> None:
    """Give data to target, as it is and with right checksums.

    Raises:
        Exception: any but those that the target promises: it is broken.
    """
    _attempt(target, data)
    if target.sealed is not None:
        _attempt(target, target.sealed(data))


def _attempt(target: Target, data: bytes) -> None:
    try:
        target.check(data)
    except target.errors as error:
        require(not isinstance(error, EdlError) or bool(error.message), "an error says nothing")


def require(condition: bool, promise: str) -> None:
    """Make sure that condition holds."""
    if not condition:
        raise BrokenPromiseError(promise)


def require_printable(*texts: str) -> None:
    """Make sure that texts cannot drive a terminal."""
    for text in texts:
        require(text.isprintable(), f"not printable: {text!r}")


def drain(content: Content) -> None:
    """Read the first MiB of content in one go, and again from the middle on."""
    size = min(content.size_bytes, MOST_READ_BYTES)
    whole = b"".join(map(bytes, content.chunks(0, size)))
    require(len(whole) == size, f"{len(whole)} bytes instead of {size}")
    part = b"".join(map(bytes, content.chunks(size // 2, size - size // 2)))
    require(part == whole[size // 2 :], "another reading gives other bytes")


def read_some(stream: Stream, most_bytes: int = MOST_READ_BYTES) -> int:
    """Read at most so many bytes of stream, and skip some more; return how many were read."""
    total = 0
    while total < most_bytes and (data := stream.read(5000)):
        require(len(data) <= 5000, "more bytes than were asked for")
        total += len(data)
    stream.skip(100_000)
    return total


def content_of(data: bytes) -> Content:
    """Return data as a content that must not be read where it has no bytes."""
    return _Strict(data)


class _Strict(BytesContent):
    """Bytes that notice who reads behind their end: a file would say that it has become shorter."""

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        require(offset >= 0 and length >= 0, f"a reading of {length} bytes at {offset}")
        require(offset + length <= len(self.data), "a reading behind the end")
        return super().chunks(offset, length)


_MOST_LOOKS = 5000


def look_at(*values: object) -> None:
    """Ask values, and all that they hold, for everything that they tell about themselves."""
    waiting: list[object] = list(values)
    for _ in range(_MOST_LOOKS):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            waiting += [getattr(value, field.name) for field in dataclasses.fields(value)]
            waiting += [getattr(value, name) for name in _told(type(value))]
            str(value)


@functools.cache
def _told(kind: type) -> tuple[str, ...]:
    """Return the names of the public properties of a class."""
    return tuple(
        name
        for each in kind.__mro__
        for name, value in vars(each).items()
        if isinstance(value, property | functools.cached_property) and not name.startswith("_")
    )


_FOLDER = tempfile.TemporaryDirectory(prefix="edl-fuzz-")


def path_of(data: bytes, name: str = "input") -> Path:
    """Return the path of a file that holds data, until the next one of that name."""
    path = Path(_FOLDER.name) / name
    path.write_bytes(data)
    return path


def folder_of(name: str) -> Path:
    """Return an empty folder of that name."""
    path = Path(_FOLDER.name) / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


@contextlib.contextmanager
def at_home() -> Iterator[Path]:
    """Give the user's data an empty folder."""
    with pytest.MonkeyPatch.context() as change:
        change.setenv("EDL_HOME", str(folder_of("home")))
        yield folder_of("home")


def file_of(data: bytes) -> io.BytesIO:
    """Return data as an open file."""
    return io.BytesIO(data)
