# SPDX-License-Identifier: BSD-3-Clause
"""The journal of a job: what survives an interruption, and what must not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edl.chunks import BytesContent, Content, FileContent, FillContent
from edl.contents import Joined, Slice
from edl.errors import EdlError
from edl.files import on_disk
from edl.firehose.commands import Area
from edl.plan.journal import Flight, Journal, Kept, fingerprint, note_sent, read
from edl.plan.model import Finding, Geometry, Plan, Severity, Write
from edl.plan.patching import Overlaid

ONE, TWO, THREE = (Area(lun, 100 * lun, 8, 512) for lun in range(3))
DIGEST = bytes(range(32))


def interrupted(path: Path, *areas: Area, job: str = "job") -> bytes:
    """Leave the journal of a job that was interrupted after areas, and return its bytes."""
    journal = Journal(path, job, resume=False)
    for area in areas:
        journal.piece(area, DIGEST)
    journal.close(finished=False)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phones" / "1234abcd" / "journal.jsonl"


def test_an_interrupted_job_goes_on_where_it_was(path: Path) -> None:
    interrupted(path, ONE, TWO)
    journal = Journal(path, "job", resume=True)
    assert journal.done == {ONE: DIGEST, TWO: DIGEST}
    journal.piece(THREE, DIGEST)
    journal.close(finished=False)
    again = Journal(path, "job", resume=True)
    assert set(again.done) == {ONE, TWO, THREE}
    again.close(finished=True)
    assert not path.exists()


def test_without_resume_a_job_starts_over(path: Path) -> None:
    interrupted(path, ONE, TWO)
    journal = Journal(path, "job", resume=False)
    assert journal.done == {}
    journal.close(finished=False)
    journal = Journal(path, "job", resume=True)
    assert journal.done == {}
    journal.close(finished=False)


def test_another_job_does_not_go_on_with_it(path: Path) -> None:
    interrupted(path, ONE)
    journal = Journal(path, "another", resume=True)
    assert journal.done == {}
    journal.piece(TWO, DIGEST)
    journal.close(finished=False)
    journal = Journal(path, "another", resume=True)
    assert set(journal.done) == {TWO}
    journal.close(finished=False)


def test_there_may_be_nothing_to_go_on_with(path: Path) -> None:
    journal = Journal(path, "job", resume=True)
    assert journal.done == {}
    journal.close(finished=True)


def test_a_piece_is_on_the_disk_at_once(path: Path) -> None:
    journal = Journal(path, "job", resume=False)
    before = path.stat().st_size
    journal.piece(ONE, DIGEST)
    assert path.stat().st_size > before
    journal.close(finished=False)


def test_a_journal_that_is_torn_anywhere_loses_only_what_is_torn(path: Path) -> None:
    whole = interrupted(path, ONE, TWO)
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        journal = Journal(path, "job", resume=True)
        assert len(journal.done) == sum(end <= cut for end in ends[1:])
        journal.piece(THREE, DIGEST)  # must not be spoilt by what is torn before it
        journal.close(finished=False)
        again = Journal(path, "job", resume=True)
        assert set(again.done) == {*journal.done, THREE}
        again.close(finished=False)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\n", b"{}\n", b"[]\n", b"null\n", b'{"area": [1, 2], "sha256": "00"}\n',
        b'{"area": [0, 1, 2, 512], "sha256": "zz"}\n', b'{"area": 7, "sha256": ""}\n', b"\0\0\0\n",
        b'{"area": [0, 1, -2, 512], "sha256": ""}\n', b'{"sent": 7}\n', b'{"session": []}\n',
        b'{"begin": [0, 1, 2, 512], "label": 7, "payload": 512}\n',
        b'{"begin": [0, 1, 2, 512], "label": "x", "payload": 0}\n',
        b'{"begin": [0, 1, 2, 0], "label": "x", "payload": 512}\n',
    ],
)  # fmt: skip
def test_a_damaged_line_ends_what_is_believed(line: bytes, path: Path) -> None:
    whole = interrupted(path, ONE)
    path.write_bytes(whole + line + whole.splitlines(keepends=True)[1])
    journal = Journal(path, "job", resume=True)
    assert journal.done == {ONE: DIGEST}
    journal.close(finished=False)
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdlError, match="cannot be written") as caught:
        Journal(tmp_path / "file" / "journal.jsonl", "job", resume=False)
    assert "EDL_HOME" in caught.value.remedies[0]


def _fail_on_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_a_full_disk_is_told_when_the_job_begins(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_on_sync(monkeypatch)
    with pytest.raises(EdlError, match="No space left on device"):
        Journal(path, "job", resume=False)


def test_a_full_disk_in_the_middle_is_for_the_job_to_bear(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path, "job", resume=False)
    _fail_on_sync(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        journal.piece(ONE, DIGEST)
    journal.close(finished=False)


def test_closing_fails_never(path: Path) -> None:
    journal = Journal(path, "job", resume=False)
    path.unlink()
    os.close(journal._file.fileno())
    journal.close(finished=True)


def test_what_was_in_flight_is_known_until_it_is_done(path: Path) -> None:
    journal = Journal(path, "job", resume=False, about={"title": "rom"}, session={"place": "a"})
    journal.piece(ONE, DIGEST)
    journal.begin(TWO, "boot", 4096)
    assert read(path).flight == Flight(TWO, "boot", 4096)
    journal.sent(1024)
    journal.sent(2048)
    kept = read(path)
    assert kept.flight == Flight(TWO, "boot", 4096, 2048)
    assert (kept.job, kept.about, kept.session) == ("job", {"title": "rom"}, {"place": "a"})
    assert kept.done == {ONE: DIGEST}
    journal.close(finished=False)
    with path.open("ab") as file:
        file.write(b'{"sent": 9')
    note_sent(path, kept, 4096)
    assert read(path).flight == Flight(TWO, "boot", 4096, 4096)
    journal = Journal(path, "job", resume=True, session={"place": "b"})
    journal.piece(TWO, DIGEST)
    journal.close(finished=False)
    kept = read(path)
    assert (kept.session, kept.flight) == ({"place": "b"}, None)
    assert set(kept.done) == {ONE, TWO}


@pytest.mark.parametrize(
    "line",
    [
        b'{"version": 1, "job": "job"}\n', b'{"version": 2, "job": 7, "about": {}}\n',
        b'{"version": 2, "job": "job", "about": []}\n', b"",
    ],
)  # fmt: skip
def test_a_journal_of_another_kind_is_none(line: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(line + b'{"sent": 1}\n')
    assert read(path) == Kept()


# -- fingerprints -------------------------------------------------------------------------------


def plan(content: Content, **more: object) -> Plan:
    write = Write(Area(0, 0, 2, 512), content, "boot", "boot.img", "r.xml:3")
    made = Plan("rawprogram", "rom", Geometry("emmc", 512, {0: 1000}), (write,))
    return replace(made, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Unknown:
    size_bytes: int = 1024

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        yield memoryview(bytes(length))[offset:]


def test_the_same_job_has_the_same_fingerprint(tmp_path: Path) -> None:
    image = tmp_path / "boot.img"
    image.write_bytes(b"a")
    content = FileContent(image, 0, 1, 1024)
    first = fingerprint(plan(content), (on_disk(image),))
    assert fingerprint(plan(content), (on_disk(image),)) == first
    finding = Finding("x", Severity.WARNING, "of another day")
    assert fingerprint(plan(content, findings=(finding,)), (on_disk(image),)) == first


def test_another_job_has_another_fingerprint(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.img", "b.img")]
    for path in paths:
        path.write_bytes(b"a" * 2048)
        os.utime(path, ns=(10**18, 10**18))
    inner = FileContent(paths[0], 0, 1024, 1024)
    contents: list[Content] = [
        inner,
        FileContent(paths[1], 0, 1024, 1024),
        FileContent(paths[0], 512, 1024, 1024),
        FileContent(paths[0], 0, 1023, 1024),
        Overlaid(inner, 512, ((0, bytes(512)),)),
        Overlaid(inner, 512, ((1, bytes(512)),)),
        Overlaid(inner, 512, ((0, b"\1" * 512),)),
        BytesContent(bytes(1024)),
        BytesContent(b"\1" * 1024),
        FillContent(1024),
        FillContent(1024, b"\1"),
        Slice(inner, 0, 1024),
        Slice(inner, 512, 1024),
        Joined((inner,)),
        Joined((inner, FillContent(0))),
        Unknown(),
    ]
    prints = {fingerprint(plan(content), (on_disk(paths[0]),)) for content in contents}
    prints.add(fingerprint(plan(inner, bootable=1), (on_disk(paths[0]),)))
    prints.add(fingerprint(plan(inner), (on_disk(paths[1]),)))
    os.utime(paths[0], ns=(10**18, 10**18 + 1))
    prints.add(fingerprint(plan(inner), (on_disk(paths[0]),)))
    paths[0].write_bytes(b"a" * 2049)
    os.utime(paths[0], ns=(10**18, 10**18))
    prints.add(fingerprint(plan(inner), (on_disk(paths[0]),)))
    assert len(prints) == len(contents) + 4
