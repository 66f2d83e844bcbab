# SPDX-License-Identifier: BSD-3-Clause
"""The journals of a phone: which are there, which are kept, and which are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.errors import DamagedJournalError, DiskError
from edl.firehose.commands import Area
from edl.plan import history, home
from edl.plan.journal import Journal, read

SERIAL = "1a2b3c4d"
AREA = Area(0, 64, 64, 512)


def begun(kind: str = "rawprogram", *areas: Area, change: bool = True) -> Journal:
    """Begin a job that has written 8 sectors."""
    about = {"title": "rom", "areas": history.rows(areas)}
    journal = history.begin(SERIAL, kind, "job", about, {"place": "a"})
    if change:
        journal.begin(Area(0, 64, 8, 512), "boot", 4096)
        journal.piece(Area(0, 64, 8, 512), bytes(32))
    return journal


def names() -> list[str]:
    return [record.name for record in history.records(SERIAL)]


def ended() -> list[str]:
    folder = home.phone_folder(SERIAL) / "jobs" / "ended"
    return sorted(path.stem for path in folder.iterdir())


def test_each_job_has_a_journal_of_its_own() -> None:
    for kind in ("rawprogram", "gpt repair", "write"):
        begun(kind, AREA).close()
    assert names() == ["rawprogram-1", "gpt-repair-2", "write-3"]
    assert history.serials() == [SERIAL]
    (first, *_) = history.interrupted(SERIAL)
    assert (first.title, first.progress) == ("rom", "4 KiB of 32 KiB written")
    first.require_readable()


def test_one_that_runs_is_not_interrupted() -> None:
    running = begun()
    assert history.interrupted(SERIAL) == []
    other = begun("write")  # touches no journal that is held
    assert names() == ["rawprogram-1", "write-2"]
    running.piece(AREA, bytes(32))
    for journal in (running, other):
        journal.close()
    assert AREA in read(running.path).done


def test_one_that_has_changed_nothing_is_dropped() -> None:
    begun(change=False).close()
    assert history.interrupted(SERIAL) == []
    assert names() == ["rawprogram-1"]
    begun("write").close()
    assert names() == ["write-1"]
    history.drop(begun("erase", change=False))
    assert names() == ["write-1"]


def test_numbers_are_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    history.finish(begun("write", AREA), SERIAL, [AREA])
    monkeypatch.setattr(history, "MOST_ENDED", 3)
    for number in range(2, 8):
        journal = begun("write", AREA)
        assert journal.path.stem == f"write-{number}"
        history.finish(journal, SERIAL, [AREA])
    assert ended() == ["write-5", "write-6", "write-7"]
    assert names() == []


def test_two_that_begin_at_once_get_two_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    first = begun()
    monkeypatch.setattr(history, "_number", lambda path: 1 if "x" in path.stem else 0)
    with pytest.raises(DiskError, match="No journal can be made"):
        begun()
    first.close()


def test_only_what_is_covered_is_made_up_for() -> None:
    half = Area(0, 64, 32, 512)
    begun("rawprogram", AREA).close()
    begun("write", half).close()
    unknown = begun("erase")
    unknown.close()  # it does not tell what it was to change
    closed = history.finish(begun("restore", half), SERIAL, [half])
    assert [record.name for record in closed] == ["write-2"]
    assert names() == ["rawprogram-1", "erase-3"]
    closed = history.finish(begun("restore"), SERIAL, [half, Area(0, 96, 400, 512)])
    assert [record.name for record in closed] == ["rawprogram-1"]


def test_areas_are_merged() -> None:
    rows = history.rows([Area(1, 8, 8, 512), AREA, Area(1, 0, 8, 512), Area(0, 0, 1, 4096)])
    assert rows == [[0, 64, 64, 512], [1, 0, 16, 512], [0, 0, 1, 4096]]


@pytest.mark.parametrize("areas", [7, [[1]], [["x", 1, 2, 3]], {}, [[float("inf"), 1, 2, 3]]])
def test_areas_that_make_no_sense(areas: object) -> None:
    journal = history.begin(SERIAL, "write", "job", {"areas": areas}, {})
    journal.begin(AREA, "boot", 4096)
    journal.close()
    (record,) = history.interrupted(SERIAL)
    assert record.areas == []


def test_a_journal_that_tells_nothing_is_told_about() -> None:
    begun("write", AREA).close()
    path = home.phone_folder(SERIAL) / "jobs" / "write-1.jsonl"
    whole = path.read_bytes()
    path.write_bytes(bytes(64) + whole[64:])
    (record,) = history.interrupted(SERIAL)
    with pytest.raises(DamagedJournalError, match=r"write-1\.jsonl is damaged"):
        record.require_readable()
    begun("write", AREA).close()
    assert names() == ["write-1", "write-2"]  # it is not thrown away
    path.write_bytes(whole[:64])  # cut short: the job had not begun
    assert [each.name for each in history.interrupted(SERIAL)] == ["write-2"]


def test_other_files_are_no_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun().close()
    folder = home.phone_folder(SERIAL) / "jobs"
    for name in ("x.jsonl", "write-1.txt", "write-x.jsonl", "../write-7.jsonl"):
        (folder / name).write_text("")
    assert names() == ["rawprogram-1"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "file"))
    assert (history.serials(), names()) == ([], [])


def test_a_place_for_data_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise DiskError("There is no place.")

    monkeypatch.setattr(history, "home", nowhere)
    assert history.serials() == []
