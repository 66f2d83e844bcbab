# SPDX-License-Identifier: BSD-3-Clause
"""Journals that lie: edited, of another phone, absurd. Nothing goes on that was not begun."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edl.home import home
from tests.cli.conftest import LOADER, Edl, write_rows

Row = dict[str, Any]
Edit = Callable[[list[Row]], None]
HUGE = 10**400
SMALL = "qcm2290,size=4MiB,fault=unplug@out:1300000"


@pytest.fixture(scope="module")
def rom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a package of two images, the second one larger."""
    folder = tmp_path_factory.mktemp("rom")
    (folder / "a.img").write_bytes(b"a" * 100_000)
    (folder / "b.img").write_bytes(
        b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(60000))
    )
    (folder / "prog.elf").write_bytes(LOADER.read_bytes())
    write_rows(folder, ("a.img", 1024, 400, "first"), ("b.img", 2048, 4000, "system"))
    return folder


@pytest.fixture
def broken(edl: Edl, rom: Path, tmp_path: Path) -> Path:
    """Return a phone that was unplugged in the middle of that package, in EDL mode again."""
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, SMALL).status == 0
    assert edl("--virtual", phone, "rawprogram", rom, "--no-reset").status == 4
    assert edl("virtual", "edl", phone).status == 0
    return phone


def journal() -> Path:
    """Return the one journal."""
    (path,) = home().rglob("rawprogram-*.jsonl")
    return path


def rewrite(edit: Edit) -> None:
    """Change what the journal says, with checksums that are right."""
    rows = [json.loads(line[9:]) for line in journal().read_bytes().splitlines()]
    edit(rows)
    crc, data = 0, b""
    for row in rows:
        text = json.dumps(row).encode()
        line = b"%08x %b\n" % (zlib.crc32(text, crc), text)
        crc = zlib.crc32(line, crc)
        data += line
    journal().write_bytes(data)


def how(**changed: object) -> Edit:
    return lambda rows: rows[0]["about"]["how"].update(changed)


def about(**changed: object) -> Edit:
    return lambda rows: rows[0]["about"].update(changed)


def parameters(**changed: object) -> Edit:
    return lambda rows: rows[0]["about"]["how"]["parameters"].update(changed)


def more(*added: Row) -> Edit:
    return lambda rows: rows.extend(added)


def deep(rows: list[Row]) -> None:
    """Make a row that no parser of JSON gets through."""
    nested: object = 1
    for _ in range(500):
        nested = [nested]
    rows.append({"session": {"x": nested}})


EDITS: dict[str, Edit] = {
    "another command": how(words=["erase"]),
    "itself": how(words=["resume"]),
    "no command": how(words=[]),
    "a group": how(words=["gpt"]),
    "below a command": how(words=["rawprogram", "x"]),
    "words that are none": how(words=["\x1b[2J", 7]),
    "a parameter that it has not": parameters(nonsense=1),
    "parameters of other types": parameters(source=7, packages=7, package=7, only=7, skip=[[7]]),
    "a folder that cannot be": how(folder="a\0b"),
    "a folder elsewhere": how(folder="/proc"),
    "a folder of a number": how(folder=7),
    "settings": how(settings={"loader": 7, "memory": "\x1b", "vid": "x", "max_payload": -1}),
    "settings that are none": how(settings=[1]),
    "a time that never was": how(begun="9999-99-99"),
    "a time without a zone": how(begun="0001-01-01T00:00"),
    "a title that drives terminals": about(title="\x1b]0;owned\x07\x1b[2J\nerror: x"),
    "files that are none": about(files=7),
    "other files": about(files=[["a.img", "/etc/passwd", 1, 1]]),
    "areas that are none": about(areas=7),
    "areas without end": about(areas=[[0, 0, HUGE, 512]] * 3),
    "negative areas": about(areas=[[-1, -1, -1, -1]]),
    "another job": lambda rows: rows[0].update(job="0" * 64),
    "a huge flight": more({"begin": [0, HUGE, HUGE, 512], "label": "x", "payload": HUGE}),
    "a flight of text": more({"begin": [0, 0, 8, 512], "label": "\x1b[2J", "payload": 512}),
    "more sent than there is": more(
        {"begin": [0, 2048, 8, 512], "label": "x", "payload": 512}, {"sent": HUGE}
    ),
    "wrong digests": more({"area": [0, 2048, 4000, 512], "sha256": "ab" * 32}),
    "short digests": more({"area": [0, 2048, 4000, 512], "sha256": ""}),
    "areas outside the job": more({"area": [5, 1 << 70, 1 << 70, 4096], "sha256": "00" * 32}),
    "deep": deep,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edited_journals(edit: Edit, edl: Edl, broken: Path, rom: Path) -> None:
    rewrite(edit)
    result = edl("--virtual", broken, "resume")
    assert "This is a bug" not in result.err
    assert all(letter == "\n" or letter.isprintable() for letter in result.out + result.err)
    if result.status == 0:  # what it says of the work was put to the test
        assert "all equal to what was sent" in result.out
        assert edl("--virtual", broken, "verify", rom).status == 0
    else:
        assert result.status in {2, 7, 8, 9}, result.err
        assert edl("--virtual", broken, "rawprogram", rom, "--no-reset", "-y").status == 0


def test_the_journal_of_another_phone(edl: Edl, broken: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert edl("virtual", "new", other, "qcm2290,size=4MiB,serial=0x00000bad").status == 0
    theirs = home() / "phones" / "00000bad"
    journal().parent.rename(theirs) if journal().parent.name == "1a2b3c4d" else None
    if not theirs.exists():
        journal().parent.parent.rename(theirs)
    result = edl("--virtual", other, "resume")
    assert "This is a bug" not in result.err
    if result.status == 0:  # the same work, all of it verified on the phone that it was done on
        assert "all equal to what was sent" in result.out
    mine = edl("--virtual", broken, "resume")
    assert mine.status == 2
    assert "No interrupted job" in mine.err


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 5000, b"[" * 200_000, b'{"version": 3}\n', b"\xff" * 100, b"00000000 [" * 9999],
    ids=["empty", "zeros", "brackets", "no checksum", "ones", "long"],
)
def test_journals_that_are_none(data: bytes, edl: Edl, broken: Path, rom: Path) -> None:
    journal().write_bytes(data)
    result = edl("--virtual", broken, "resume")
    assert result.status in {2, 7}
    assert "This is a bug" not in result.err
    assert edl("--virtual", broken, "rawprogram", rom, "--no-reset", "-y").status == 0
