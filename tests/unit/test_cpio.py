# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edl.errors import DocumentError
from edl.formats import cpio
from edl.formats.cpio import read_cpio

END = "TRAILER!!!"


def entry(name: str, data: bytes = b"", mode: int = 0o100644, magic: str = "070701") -> bytes:
    """Return one file as newc(5) describes it: 13 fields of 8 hex digits behind the magic."""
    title = name.encode() + b"\0"
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(title), 0)
    head = (magic + "".join(f"{field:08x}" for field in fields)).encode() + title
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def names(data: bytes) -> dict[str, bytes]:
    return {file.name: bytes(file.data) for file in read_cpio(data)}


def test_files() -> None:
    data = entry(".", mode=0o040755) + entry("13:prog.elf", b"12345") + entry("7") + entry(END)
    assert names(data) == {"13:prog.elf": b"12345", "7": b""}
    assert names(data + bytes(512 - len(data) % 512)) == names(data)
    assert names(entry("13", b"x", magic="070702", mode=0o644) + entry(END)) == {"13": b"x"}
    assert names(entry("1\x1b", b"x") + entry(END)) == {"1?": b"x"}


def test_archive_of_another_tool(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not installed")
    (tmp_path / "13:prog.elf").write_bytes(b"1" * 777)
    (tmp_path / "38").write_bytes(b"2" * 3)
    made = subprocess.run(
        ["cpio", "-o", "-H", "newc"], cwd=tmp_path, input=b"13:prog.elf\n38\n",
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert names(made) == {"13:prog.elf": b"1" * 777, "38": b"2" * 3}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no CPIO archive"),
        (b"\x7fELF" * 100, "no CPIO archive"),
        (b"070707" + b"0" * 200, "cpio -o -H newc"),
        (entry("13", b"1"), "no end mark"),
        (entry("13", b"1") + b"junk" * 40, "damaged at byte 120"),
        (entry("13", b"1" * 100)[:150], "cut off in '13'"),
        (entry("13", b"1" * 100)[:112], "a name has no end"),
        (entry("13")[:94] + b"00000002" + entry("13")[102:], "a name has no end"),
        (entry("n" * 5000), "a name has no end"),
        (entry("13", b"/etc/passwd", mode=0o120777) + entry(END), "no regular file"),
        (entry("13").replace(b"00000001", b"0000000g", 1), "no CPIO archive"),
    ],
)
def test_damaged_archives(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_cpio(data)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpio, "MAX_FILES", 2)
    assert len(names(entry("1") + entry("2") + entry(END))) == 2
    with pytest.raises(DocumentError, match="more than 2 files"):
        read_cpio(entry("1") + entry("2") + entry("3") + entry(END))
    monkeypatch.setattr(cpio, "MAX_BYTES", 100)
    with pytest.raises(DocumentError, match="too large"):
        read_cpio(entry(END))
