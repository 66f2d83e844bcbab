# SPDX-License-Identifier: BSD-3-Clause
"""Archives are checked before the first write, members that lie apart several at a time."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edl.errors import ImageError
from edl.files import File
from edl.packages import whole, zips
from edl.streamed import StreamContent

DATA = bytes(range(256)) * 100


def archive(path: Path, count: int, kind: int = zipfile.ZIP_DEFLATED) -> list[File]:
    with zipfile.ZipFile(path, "w", kind) as made:
        for number in range(count):
            made.writestr(f"{number}.img", DATA)
    return [zips.of_zip(path).files[f"{number}.img"] for number in range(count)]


def test_all_are_checked_and_none_twice(tmp_path: Path) -> None:
    files = archive(tmp_path / "a.zip", 20)
    assert whole.verify(files) == 20
    assert all(isinstance(file.content, StreamContent) for file in files)
    assert whole.verify(files) == 0


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_all_damage_is_told_in_order(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    archive(path, 9, kind)
    data = bytearray(path.read_bytes())
    for number in (7, 2):
        at = data.rindex(f"{number}.img".encode()) - 46 + 16  # its checksum in the directory
        data[at] ^= 1
    path.write_bytes(data)
    files = list(zips.of_zip(path).files.values())
    with pytest.raises(ImageError) as caught:
        whole.verify(files)
    assert [line.split()[0] for line in caught.value.message.splitlines()] == ["2.img", "7.img"]


def content(check: Callable[[], object], *, apart: bool) -> File:
    """Return a file whose content calls check when it is checked."""

    def start() -> StreamContent:
        check()
        raise ImageError("enough")

    return File("x", StreamContent("x", 1, start, apart=apart))  # type: ignore[arg-type]


def test_several_at_a_time_where_they_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    together = threading.Barrier(4, timeout=30)
    with pytest.raises(ImageError):
        whole.verify([content(together.wait, apart=True) for _ in range(8)])
    assert not together.broken


def test_one_after_the_other_where_they_share_a_stream() -> None:
    threads: list[threading.Thread] = []
    files = [content(lambda: threads.append(threading.current_thread()), apart=False)] * 3
    with pytest.raises(ImageError):
        whole.verify(files)
    assert set(threads) == {threading.main_thread()}


@pytest.mark.parametrize("apart", [True, False])
def test_a_mistake_of_ours_is_no_damage(apart: bool) -> None:
    def fail() -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        whole.verify([content(fail, apart=apart)])


def test_ctrl_c_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    interrupted = threading.Event()

    def join(_thread: threading.Thread, _timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        begun.append(1)
        interrupted.wait(30)

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        whole.verify([content(wait, apart=True) for _ in range(100)])
    interrupted.set()
    assert len(begun) <= 4
