# SPDX-License-Identifier: BSD-3-Clause
"""The journal of a job: what survives an interruption, and what must not."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edl.chunks import BytesContent, Content, FileContent, FillContent
from edl.contents import Joined, Slice
from edl.errors import DiskError, EdlError
from edl.files import on_disk
from edl.firehose.commands import Area
from edl.plan.journal import Flight, Journal, Kept, fingerprint, is_held, note, note_sent, read
from edl.plan.model import Finding, Geometry, Plan, Severity, Write
from edl.plan.patching import Overlaid

ONE, TWO, THREE = (Area(lun, 100 * lun, 8, 512) for lun in range(3))
DIGEST = bytes(range(32))


def interrupted(path: Path, *areas: Area, job: str = "job") -> bytes:
    """Leave the journal of a job that was interrupted after areas, and return its bytes."""
    journal = Journal(path, job, resume=False)
    for area in areas:
        journal.begin(area, "boot", 4096)
        journal.piece(area, DIGEST)
    journal.close()
    return path.read_bytes()


def lines(*rows: bytes, after: bytes = b"") -> bytes:
    """Return rows as a journal has them that begins with after: each with its CRC-32."""
    text = after
    for row in rows:
        text += b"%08x %b\n" % (zlib.crc32(row, zlib.crc32(text)), row)
    return text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phones" / "1234abcd" / "journal.jsonl"


def test_an_interrupted_job_goes_on_where_it_was(path: Path) -> None:
    interrupted(path, ONE, TWO)
    assert read(path).interrupted
    journal = Journal(path, "job", resume=True)
    assert (journal.done, journal.changed) == ({ONE: DIGEST, TWO: DIGEST}, True)
    journal.piece(THREE, DIGEST)
    journal.close()
    again = Journal(path, "job", resume=True)
    assert set(again.done) == {ONE, TWO, THREE}
    again.end("finished")
    again.close()
    assert read(path).end == "finished"
    assert not read(path).interrupted
    with pytest.raises(DiskError, match="not of this job any more"):
        Journal(path, "job", resume=True)


def test_a_new_journal_replaces_none(path: Path) -> None:
    before = interrupted(path, ONE, TWO)
    with pytest.raises(FileExistsError):
        Journal(path, "job", resume=False)
    with pytest.raises(DiskError, match="not of this job any more"):
        Journal(path, "another", resume=True)
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(DiskError, match="cannot be written"):
        Journal(path, "job", resume=True)


def test_a_piece_is_on_the_disk_at_once(path: Path) -> None:
    journal = Journal(path, "job", resume=False)
    assert not journal.changed
    before = path.stat().st_size
    journal.piece(ONE, DIGEST)
    assert path.stat().st_size > before
    journal.close()


def test_one_process_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_held(path)
    journal = Journal(path, "job", resume=False)
    journal.piece(ONE, DIGEST)
    assert is_held(path)
    with pytest.raises(DiskError, match="Another program goes on"):
        Journal(path, "job", resume=True)
    with pytest.raises(OSError, match="another program"):
        note(path, read(path), {"end": "x"})
    assert set(read(path).done) == {ONE}
    journal.close()
    assert not is_held(path)

    def without(_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("edl.plan.journal.lock", without)  # a file system without locks
    Journal(path, "job", resume=True).close()


# -- what a power cut leaves ----------------------------------------------------------------------


def rich(path: Path) -> tuple[bytes, list[int]]:
    """Return a journal with a line of each kind, and where its lines end."""
    journal = Journal(path, "job", resume=False, about={"title": "rom"}, session={"place": "a"})
    for area in (ONE, TWO):
        journal.begin(area, "boot", 4096)
        journal.sent(1024)
        journal.piece(area, DIGEST)
    journal.erasing(THREE, "misc")
    journal.begin(THREE, "misc", 4096)
    journal.sent(2048)
    journal.close()
    whole = path.read_bytes()
    return whole, [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]


def prefix(whole: bytes, ends: list[int], cut: int, path: Path) -> Kept:
    """Return what is to be believed of a journal of which cut bytes are left."""
    path.write_bytes(whole[: max((end for end in ends if end <= cut), default=0)])
    return read(path)


def test_cut_anywhere_it_tells_what_was_noted_before(path: Path) -> None:
    whole, ends = rich(path)
    kept = [prefix(whole, ends, end, path) for end in [0, *ends]]
    assert [len(each.done) for each in kept] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert [each.changed for each in kept] == [False] * 2 + [True] * 9
    assert [each.session for each in kept] == [{}] + [{"place": "a"}] * 10
    flights = [each.flight and (each.flight.area, each.flight.sent_bytes) for each in kept]
    assert flights == [
        None, None, (ONE, 0), (ONE, 1024), None, (TWO, 0), (TWO, 1024), None, None,
        (THREE, 0), (THREE, 2048),
    ]  # fmt: skip
    for cut in range(len(whole) + 1):
        right = kept[sum(end <= cut for end in ends)]
        rest = (b"", b"\0", bytes(4096))[cut % 3]  # a size that was noted, and data that was not
        path.write_bytes(whole[:cut] + rest)
        assert read(path) == right
    assert not any(each.damaged for each in kept)


def test_it_goes_on_behind_what_is_torn(path: Path) -> None:
    whole, ends = rich(path)
    for cut in range(ends[0], len(whole) + 1, 7):
        path.write_bytes(whole[:cut] + bytes(cut % 3))
        journal = Journal(path, "job", resume=True)
        before = set(journal.done)
        journal.piece(THREE, DIGEST)  # must not be spoilt by what is torn before it
        journal.close()
        assert set(read(path).done) == {*before, THREE}
        assert not read(path).damaged


def test_a_page_that_is_missing_ends_what_is_believed(path: Path) -> None:
    """Whatever follows a hole is not believed: neither what is done, nor what was in flight."""
    whole, ends = rich(path)
    for start in range(0, len(whole), 64):
        for size in (64, 128):
            holed = whole[:start] + bytes(size) + whole[start + size :]
            right = prefix(whole, ends, start, path)
            path.write_bytes(holed[: len(whole)])
            kept = read(path)
            assert kept == replace(right, damaged=kept.damaged)
            assert kept.damaged == (b"\n" in holed[: len(whole)][right.good_bytes :].rstrip(b"\0"))


def test_no_flipped_bit_is_believed(path: Path) -> None:
    whole, ends = rich(path)
    for at in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        right = prefix(whole, ends, at, path)
        path.write_bytes(flipped)
        assert read(path) == replace(right, damaged=read(path).damaged)


def test_lines_from_elsewhere_are_not_believed(path: Path) -> None:
    """Each line counts only behind those that it was written behind."""
    whole, ends = rich(path)
    rows = [whole[start:end] for start, end in itertools.pairwise([0, *ends])]
    path.write_bytes(b"".join([*rows[:3], *rows[4:]]))
    assert read(path).done == {}
    path.write_bytes(b"".join([*rows[:3], *rows[2:]]))
    assert read(path).done == {}
    assert read(path).damaged


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", b"{}", b"[]", b"null", b'{"area": [1, 2], "sha256": "00"}',
        b'{"area": [0, 1, 2, 512], "sha256": "zz"}', b'{"area": 7, "sha256": ""}', b"\0\0\0",
        b'{"area": [0, 1, -2, 512], "sha256": ""}', b'{"sent": 7}', b'{"session": []}',
        b'{"begin": [0, 1, 2, 512], "label": 7, "payload": 512}', b"[" * 100_000,
        b'{"begin": [0, 1, 2, 512], "label": "x", "payload": 0}', b'{"end": 7}',
        b'{"begin": [0, 1, 2, 0], "label": "x", "payload": 512}', b'{"erase": [1]}',
    ],
)  # fmt: skip
def test_a_senseless_line_ends_what_is_believed(line: bytes, path: Path) -> None:
    """Of a file that was made to look whole."""
    whole = interrupted(path, ONE)
    path.write_bytes(lines(line, b'{"settled": true}', after=whole))
    assert read(path).damaged
    journal = Journal(path, "job", resume=True)
    assert journal.done == {ONE: DIGEST}
    journal.close()
    assert path.read_bytes().startswith(whole)
    assert b"settled" not in path.read_bytes()
    assert not read(path).damaged


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdlError, match="cannot be written") as caught:
        Journal(tmp_path / "file" / "journal.jsonl", "job", resume=False)
    assert "EDL_HOME" in caught.value.remedies[0]
    assert not is_held(tmp_path / "file" / "journal.jsonl")


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


def test_only_what_begins_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done is on the disk with what begins next: half the waiting of small partitions."""
    journal = Journal(path, "job", resume=False)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(len(path.read_bytes().splitlines())))
    for _ in range(2):
        journal.begin(ONE, "x", 512)
        journal.piece(ONE, DIGEST)
    assert synced == [2, 4]  # lines that were there
    journal.end("finished")
    assert synced == [2, 4, 6]
    journal.close()


def test_a_full_disk_in_the_middle_is_for_the_job_to_bear(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path, "job", resume=False)
    _fail_on_sync(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        journal.begin(ONE, "x", 512)
    journal.end("finished")  # never fails
    journal.close()


def test_closing_fails_never(path: Path) -> None:
    journal = Journal(path, "job", resume=False)
    path.unlink()
    os.close(journal._file.fileno())
    journal.close()


def test_without_folders_that_can_be_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.plan.journal.os.name", "nt")
    assert interrupted(path, ONE)


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
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"sent": 9')
    note_sent(path, kept, 4096)
    assert read(path).flight == Flight(TWO, "boot", 4096, 4096)
    journal = Journal(path, "job", resume=True, session={"place": "b"})
    assert read(path).flight is None  # whoever talks to its programmer has settled it
    journal.piece(TWO, DIGEST)
    journal.close()
    kept = read(path)
    assert (kept.session, kept.flight) == ({"place": "b"}, None)
    assert set(kept.done) == {ONE, TWO}


@pytest.mark.parametrize(
    "line",
    [
        b'{"version": 2, "job": "job", "about": {}, "session": {}}', b"",
        b'{"version": 3, "job": 7, "about": {}, "session": {}}',
        b'{"version": 3, "job": "job", "about": [], "session": {}}',
        b'{"version": 3, "job": "job", "about": {}, "session": []}',
    ],
)  # fmt: skip
def test_a_journal_of_another_kind_is_none(line: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(lines(line, b'{"sent": 1}'))
    assert read(path) == replace(Kept(damaged=True), about=read(path).about)
    assert not read(path).interrupted


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
