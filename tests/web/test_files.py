# SPDX-License-Identifier: BSD-3-Clause
"""Folders to choose from: names that are hostile, links, and what is no folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edl.errors import UsageError
from edl.web import files
from tests.web.conftest import Make

posix = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")


def rows(folder: Path) -> dict[str, tuple[object, ...]]:
    found = files.listing(str(folder))
    return {row["name"]: (row["kind"], row["bytes"], row["path"]) for row in found["entries"]}


def test_folders_come_first(tmp_path: Path) -> None:
    for name in ("b", "C", "a.zip"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "z").mkdir()
    (tmp_path / "B2").mkdir()
    found = files.listing(str(tmp_path))
    assert [row["name"] for row in found["entries"]] == ["B2", "z", "a.zip", "b", "C"]
    assert found["parent"] == str(tmp_path.parent)
    assert (found["more"], found["separator"]) == (False, os.sep)
    last = found["entries"][-1]
    assert (last["bytes"], last["path"]) == (5, str(tmp_path / "C"))
    assert str(last["modified"]).endswith("+00:00")
    assert found["entries"][0]["bytes"] is None


@posix
def test_hostile_names(tmp_path: Path) -> None:
    for name in (b"<img src=x>", b"\x1b[2J", b"a\nb", "\u202etxt.exe".encode(), b"\xff\xfe", b"-y"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"")
    found = rows(tmp_path)
    assert set(found) == {"<img src=x>", "\\x1b[2J", "a\\nb", "\\u202etxt.exe", "??", "-y"}
    assert found["??"][2] is None  # no page could give that name back
    assert found["a\\nb"][2] == f"{tmp_path}/a\nb"
    for kind, size, _ in found.values():
        assert (kind, size) == ("file", 0)


@posix
def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "old").write_bytes(b"")
    os.utime(tmp_path / "old", (1e17, 1e17))
    assert set(rows(tmp_path)) == {"link", "old"}


def test_a_full_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_SHOWN", 3)
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"")
    found = files.listing(str(tmp_path))
    assert [row["name"] for row in found["entries"]] == ["0", "1", "2"]
    assert found["more"] is True


@pytest.mark.parametrize("path", ["x", "../x", "", "/a\0b", "/nowhere/at/all", "/" + "x" * 5000,
                                  "/\ud800"])  # fmt: skip
def test_no_folders(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        files.listing(path)
    assert caught.value.message.isprintable()


def test_the_way_up_ends() -> None:
    top = files.listing(Path.cwd().anchor)
    assert top["parent"] is None
    assert top["path"] in top["roots"]


def test_asked_over_http(make: Make, tmp_path: Path) -> None:
    ask = make().browser.ask
    assert ask("GET", "/api/files").json["path"] == str(tmp_path)
    assert ask("GET", f"/api/files?path={tmp_path}/../{tmp_path.name}").json["path"] == str(
        tmp_path
    )
    answer = ask("GET", "/api/files?path=/nowhere")
    assert answer.status == 400
    assert "cannot be shown" in answer.json["error"]["message"]
