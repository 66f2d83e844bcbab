# SPDX-License-Identifier: BSD-3-Clause
"""Faults of the computer, as programs with files meet them."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.chunks import FileContent, read_all
from edl.errors import ImageError
from edl.files import on_disk
from edl.virtual.faults import Injector, Place, parse_fault
from edl.virtual.hostfaults import striking


class Computer:
    """A computer with faults. killed: how often this process would have been."""

    def __init__(self, *faults: str) -> None:
        self.injector = Injector(map(parse_fault, faults))
        self.killed = 0

    def kill(self) -> None:
        self.killed += 1

    @contextlib.contextmanager
    def running(self, exempt: Path | None = None) -> Iterator[None]:
        with striking(self.injector, self.kill, exempt):
            yield


def test_without_such_faults_nothing_is_touched() -> None:
    before = io.open, builtins.open, os.stat
    with Computer("unplug@out:5").running():
        assert (io.open, builtins.open, os.stat) == before
    with Computer("disk-full@disk:5").running():
        assert (io.open, builtins.open, os.stat) != before
    assert (io.open, builtins.open, os.stat) == before


def test_the_disk_is_full_and_stays_full(tmp_path: Path) -> None:
    computer = Computer("disk-full@disk:10")
    with computer.running():
        with (tmp_path / "a").open("wb", buffering=0) as file:
            assert file.write(b"123456") == 6
            assert file.write(b"789012") == 4
            with pytest.raises(OSError, match="No space left"):
                file.write(b"34")
        with pytest.raises(OSError, match="No space left") as caught:
            (tmp_path / "b").write_bytes(b"x")
        assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "a").read_bytes() == b"1234567890"
    assert computer.injector.counts[Place.DISK] == 10


@pytest.mark.parametrize("mode", ["wb", "w", "x", "ab", "w+b"])
def test_every_way_to_write_counts(tmp_path: Path, mode: str) -> None:
    computer = Computer("disk-full@disk:4")
    with computer.running():
        file = open(tmp_path / "file", mode)  # noqa: PTH123, SIM115
        with pytest.raises(OSError, match="No space left"), file:
            file.write(b"12345" if "b" in mode else "12345")
    assert (tmp_path / "file").read_bytes() == b"1234"


def test_temporary_files_count_and_can_be_read(tmp_path: Path) -> None:
    computer = Computer("disk-full@disk:100")
    with computer.running(), tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(b"a" * 60)
        file.seek(0)
        assert file.read() == b"a" * 60
    assert computer.injector.counts[Place.DISK] == 60


def test_the_phones_own_files_and_pipes_do_not_count(tmp_path: Path) -> None:
    computer = Computer("disk-full@disk:0")
    with computer.running(tmp_path):
        (tmp_path / "lun0.img").write_bytes(b"x" * 100)
        one, two = os.pipe()
        with os.fdopen(two, "wb") as file:
            file.write(b"y")
        os.close(one)
    assert computer.injector.counts[Place.DISK] == 0


def test_edl_is_killed_at_a_byte(tmp_path: Path) -> None:
    computer = Computer("kill@disk:3", "kill@source:7")
    with computer.running():
        with (tmp_path / "a").open("wb", buffering=0) as file:
            assert file.write(b"12345") == 3
            assert (computer.killed, (tmp_path / "a").read_bytes()) == (1, b"123")
            file.write(b"45")
        assert read_all(FileContent(tmp_path / "a", 0, 5, 10), 0, 5) == b"12345"
        assert computer.killed == 1
        read_all(FileContent(tmp_path / "a", 0, 5, 10), 0, 5)
    assert computer.killed == 2


def test_a_source_changes(tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(b"abcdef")
    source = on_disk(path)
    computer = Computer("source-changed@source:6")
    with computer.running():
        assert source.head(6) == b"abcdef"
        source.require_unchanged()
        assert source.head(2) == b"\x9e\x9d"
        with pytest.raises(ImageError, match="has changed since"):
            source.require_unchanged()
    assert source.head(6) == b"abcdef"
    source.require_unchanged()


def test_a_source_becomes_shorter(tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(b"abcdef")
    source = on_disk(path)
    computer = Computer("source-cut@source:4")
    with computer.running():
        with pytest.raises(ImageError, match="has become shorter"):
            source.head(6)
        assert source.head(4) == b"abcd"
        assert path.stat().st_size == 4
        with pytest.raises(ImageError, match="has changed since"):
            source.require_unchanged()
    assert path.stat().st_size == 6
