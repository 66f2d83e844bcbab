# SPDX-License-Identifier: BSD-3-Clause
"""Faults of the computer: its disk is full, the files that go to the phone change, it is killed.

They strike below everything that edl does with files, as they would in the system: `open` gives
files that count what is written to them, and reading and `stat` show sources as they are said to
have become. No file on the disk is harmed. All is as before when the phone is unplugged.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from edl.virtual.faults import Injector, Kind, Place

_BUFFERED: Mapping[bool, type[io.BufferedWriter | io.BufferedRandom]] = {
    False: io.BufferedWriter,
    True: io.BufferedRandom,
}
_WRITING = frozenset("wax+")
_RAW = frozenset("rwax+")
_A_SECOND_NS = 1_000_000_000
_Key = tuple[int, int]  # device and inode


class _Watch:
    """What has been written and read, and what has become of the files.

    cut: the length that files are said to have, by key. changed: files that hold something else.
    """

    def __init__(self, injector: Injector, kill: Callable[[], None]) -> None:
        self.cut: dict[_Key, int] = {}
        self.changed: set[_Key] = set()
        self._injector = injector
        self._kill = kill
        self._lock = threading.Lock()  # sources are read ahead in a thread
        self._full = self._doomed = False

    def write(self, count: int) -> int:
        """Take in that count bytes are about to be written; return how many find room.

        Raises:
            OSError: none.
        """
        with self._lock:
            room = min(count, self._injector.room(Place.DISK))
            fault = self._injector.due(Place.DISK, count)
            if fault is not None and fault.kind is Kind.DISK_FULL:
                self._full = True
            elif self._full:
                room = 0
            self._doomed = fault is not None and fault.kind is Kind.KILL
            if self._full and not room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._injector.passed(Place.DISK, room)
            return room

    def written(self) -> None:
        """Take in that this has been written."""
        if self._doomed:
            self._kill()

    def read(self, descriptor: int, piece: memoryview, offset: int) -> int:
        """Take in that piece was read from offset on; return how much of it there is."""
        key = _key(os.fstat(descriptor))
        with self._lock:
            room = min(len(piece), self._injector.room(Place.SOURCE))
            fault = self._injector.due(Place.SOURCE, len(piece))
            self._injector.passed(Place.SOURCE, len(piece))
            match fault.kind if fault is not None else None:
                case Kind.KILL:
                    self._kill()
                case Kind.SOURCE_CUT:
                    self.cut[key] = offset + room
                case Kind.SOURCE_CHANGED:
                    self.changed.add(key)
        if key in self.changed:
            piece[:] = bytes(byte ^ 0xFF for byte in piece)
        return max(0, min(len(piece), self.cut.get(key, offset + len(piece)) - offset))

    def seen(self, state: os.stat_result) -> os.stat_result:
        """Return what stat tells of a file now."""
        key = _key(state)
        if key not in self.cut and key not in self.changed:
            return state
        fields = list(state)
        fields[stat.ST_SIZE] = self.cut.get(key, state.st_size)
        later = state.st_mtime_ns + _A_SECOND_NS
        return os.stat_result(fields, {"st_mtime_ns": later, "st_mtime": later / _A_SECOND_NS})


class _Counted(io.FileIO):
    """A file whose bytes count."""

    watch: _Watch

    def write(self, data: Any, /) -> int:  # noqa: ANN401  # whatever FileIO takes
        view = memoryview(data).cast("B")
        count = super().write(view[: self.watch.write(len(view))])
        self.watch.written()
        return count


def _key(state: os.stat_result) -> _Key:
    return state.st_dev, state.st_ino


@contextlib.contextmanager
def striking(
    injector: Injector, kill: Callable[[], None], exempt: Path | None = None
) -> Iterator[None]:
    """Let the faults of the computer strike for as long as this lasts.

    kill: ends this process. exempt: folder whose files do not count: those of the phone itself.
    """
    if not any(fault.on_host for fault in injector.pending):
        yield
        return
    watch = _Watch(injector, kill)
    with contextlib.ExitStack() as stack:
        for module, name, make in (
            (io, "open", lambda real: _opener(real, watch, exempt)),
            (builtins, "open", lambda real: _opener(real, watch, exempt)),
            (os, "preadv", lambda real: _reader(real, watch)),
            (os, "stat", lambda real: _looker(real, watch)),
        ):
            real = getattr(module, name)
            setattr(module, name, make(real))
            stack.callback(setattr, module, name, real)
        yield


def _looker(real: Callable[..., os.stat_result], watch: _Watch) -> Callable[..., os.stat_result]:
    return lambda *arguments, **keywords: watch.seen(real(*arguments, **keywords))


def _reader(real: Callable[..., int], watch: _Watch) -> Callable[..., int]:
    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        count = real(descriptor, buffers, offset)
        return watch.read(descriptor, buffers[0][:count], offset)

    return preadv


def _opener(real: Callable[..., Any], watch: _Watch, exempt: Path | None) -> Callable[..., Any]:
    def counted_open(
        file: Any,  # noqa: ANN401  # what open takes
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if not _WRITING & {*mode} or _is_exempt(file, exempt):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Counted(file, "".join(each for each in mode if each in _RAW), closefd, opener)
        raw.watch = watch
        if buffering == 0:
            return raw
        buffered = _BUFFERED["+" in mode](cast("Any", raw))
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode  # type: ignore[misc]
        return text

    return counted_open


def _is_exempt(file: Any, folder: Path | None) -> bool:  # noqa: ANN401
    """Return whether file is of the phone, or no file on a disk at all."""
    if isinstance(file, int):
        return not stat.S_ISREG(os.fstat(file).st_mode)
    return folder is not None and Path(os.fsdecode(file)).resolve().is_relative_to(folder)
