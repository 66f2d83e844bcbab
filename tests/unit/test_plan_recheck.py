# SPDX-License-Identifier: BSD-3-Clause
"""Files of a job that change while it goes on: told at once, soon, or at the end at the latest."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.errors import ImageError
from edl.files import File, on_disk
from edl.plan.recheck import Sources


def test_the_file_in_use_is_looked_at_each_time_and_the_others_once_a_second(
    tmp_path: Path,
) -> None:
    now = [0.0]
    for name in ("a.img", "b.img"):
        (tmp_path / name).write_bytes(b"1")
    files = [on_disk(tmp_path / "a.img"), on_disk(tmp_path / "b.img", "folder/b.img")]
    sources = Sources([*files, File("memory", BytesContent(b""))], clock=lambda: now[0])
    (tmp_path / "b.img").write_bytes(b"22")
    now[0] = 0.9
    sources.require_unchanged("a.img")
    for name in ("b.img", "folder/b.img", "", "of nobody"):
        with pytest.raises(ImageError, match=r"b\.img has changed since"):
            sources.require_unchanged(name)
    now[0] = 1.8
    sources.require_unchanged("a.img")  # all have been looked at, just now
    now[0] = 2.0
    with pytest.raises(ImageError, match=r"b\.img has changed since"):
        sources.require_unchanged("a.img")


def test_members_of_an_archive_are_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"1")
    stamp = on_disk(path).stamp
    looked: list[str] = []
    monkeypatch.setattr(File, "require_unchanged", lambda file: looked.append(file.name))
    members = [File(f"{number}", BytesContent(b""), None, stamp) for number in range(100)]
    Sources(members).require_unchanged()
    assert len(looked) == 1
