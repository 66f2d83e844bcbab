# SPDX-License-Identifier: BSD-3-Clause
"""Jobs: child processes that may print, die and hang as they like, and who has which phone."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edl.errors import EdlError
from edl.web import jobs, keeper, orders
from edl.web.jobs import Job
from tests.web.conftest import ONE, TWO, Make, World

LAST_S = 20


def ended(job: Job) -> dict[str, object]:
    """Return the data of job once it has ended."""
    assert job.ended.wait(LAST_S)
    return job.data()


def events(world: World) -> list[tuple[str, dict[str, object]]]:
    """Return all that was told so far: names and data."""
    found = []
    for event in world.site.events.after(0) or []:
        rows = dict(row.split(": ", 1) for row in event.text.decode().splitlines() if row)
        found.append((rows["event"], json.loads(rows["data"])))
    return found


def wait(there: Callable[[], bool]) -> None:
    """Wait until something is there."""
    deadline = time.monotonic() + LAST_S
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_question_is_answered(make: Make) -> None:
    world = make("asks")
    ask = world.browser.ask
    job = world.start("rawprogram", package="/a b", wipe=True)
    wait(lambda: job.data()["state"] == "asking")
    assert job.data()["question"] == {"v": 1, "type": "question", "id": 1, "kind": "confirm",
                                  "text": "Really? Continue?", "word": None}  # fmt: skip
    where = f"/api/jobs/{job.id}/answer"
    assert ask("POST", where, {"id": 1, "answer": "yes"}).status == 400
    assert ask("POST", where, {"id": 1, "answer": None}).status == 400
    assert ask("POST", where, {"id": 2, "answer": True}).status == 409
    assert ask("POST", where, {"id": True, "answer": True}).status == 409
    assert ask("POST", where, {"id": 1, "answer": True, "more": 1}).status == 400
    assert ask("POST", where, {"id": 1, "answer": True}).status == 204
    assert ask("POST", where, {"id": 1, "answer": True}).status == 409
    wait(lambda: job.data()["state"] == "asking")
    assert ask("POST", where, {"id": 2, "answer": True}).status == 400
    assert ask("POST", where, {"id": 2, "answer": "x" * 300}).status == 400
    assert ask("POST", where, {"id": 2, "answer": "write\nblindly"}).status == 204
    data = ended(job)
    assert (data["state"], data["status"], data["question"]) == ("done", 0, None)
    report = Path(str(job.report))
    assert job.result == {
        "answers": [{"id": 1, "answer": True}, {"id": 2, "answer": "write\nblindly"}],
        "words": ["--dialog", "--usb-path=1-4", "--serial=1a2b3c4d", "rawprogram", "--wipe",
                  f"--report={report}", "--", "/a b"],
    }  # fmt: skip
    assert data["command"] == (
        "edl --usb-path=1-4 --serial=1a2b3c4d rawprogram --wipe -- '/a b'"
        if os.name == "posix"
        else data["command"]
    )
    assert data["options"] == {"package": "/a b", "wipe": True}
    assert ask("POST", where, {"id": 2, "answer": "x"}).status == 409


def test_garbage_becomes_notices(make: Make) -> None:
    world = make("garbage")
    job = world.start()
    data = ended(job)
    assert (data["state"], data["result"], data["progress"]) == ("done", {"ok": True}, None)
    lines = [row["line"] for row in job.since(0)]
    notices = [line["text"] for line in lines if line.get("event") == "notice"]
    assert len(notices) == 10
    answer = world.browser.ask("GET", f"/api/jobs/{job.id}").json
    assert answer["lines"] == job.since(0)
    assert any(line["type"] == "\ud800" for line in lines)  # half a letter
    assert any("a line of 1048" in text for text in notices)
    assert all(len(text) < 300 for text in notices)
    assert job.lines.size < 10_000
    assert data["question"] is None


def test_no_end_of_output(make: Make) -> None:
    job = make("floods").start()
    assert ended(job)["state"] == "done"
    lines = [row["line"] for row in job.since(0)]
    logs = [line["text"] for line in lines if line.get("event") == "device_log"]
    assert logs == [str(number) for number in range(28_000, 30_000)]
    assert sum(line.get("event") == "notice" for line in lines) == 20
    assert [row["n"] for row in job.since(30_199)] == [30_199, *range(30_200, 30_221)]


@pytest.mark.parametrize(
    ("manner", "status", "words"),
    [("dies", 3, "so long"), ("says nothing", 1, "without a word, with exit status 0")],
)
def test_an_end_without_a_word(make: Make, manner: str, status: int, words: str) -> None:
    job = make(manner).start()
    data = ended(job)
    assert (data["state"], data["status"]) == ("failed", status)
    assert job.error is not None
    assert words in job.error["message"]


def test_one_that_heeds_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make("ignores")
    job = world.start()
    wait(lambda: bool(job.since(0)))
    where = f"/api/jobs/{job.id}/stop"
    for how in ("gently", "gently", "at once", "gently", "at once"):
        assert world.browser.ask("POST", where, {"how": how}).status == 204
    assert job.data()["state"] == "stopping"
    assert job.runs  # nothing is ended by force before it had its time
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.0)
    assert world.browser.ask("POST", where, {"how": "gently"}).status == 204
    assert job.runs
    assert world.browser.ask("POST", where, {"how": "at once"}).status == 204
    data = ended(job)
    assert (data["state"], data["status"]) == ("failed", 137 if os.name == "posix" else 1)
    assert world.browser.ask("POST", where, {"how": "at once"}).status == 204


def test_one_that_stops(make: Make) -> None:
    world = make("stops")
    job = world.start()
    where = f"/api/jobs/{job.id}/stop"
    assert world.browser.ask("POST", where, {"how": "now"}).status == 400
    assert world.browser.ask("POST", where, {"how": ["gently"]}).status == 400
    assert world.browser.ask("POST", where, {"how": "gently"}).status == 204
    assert world.browser.ask("POST", where, {"how": "at once"}).status == 204
    assert ended(job)["status"] == 130
    assert job.error is not None
    assert job.error["message"] == "[{'stop': 'gently'}, {'stop': 'at once'}]"


def test_progress_and_title_are_no_lines(make: Make) -> None:
    world = make("moves")
    job = world.start()
    wait(lambda: job.data()["progress"] is not None)
    assert job.done_bytes == 2
    assert (
        b'edl_web_job_moved_bytes{job="1",kind="info"} 2'
        in world.browser.ask("GET", "/metrics").body
    )
    job.stop("gently")
    data = ended(job)
    assert data["title"] == "boot"
    assert data["progress"] == {"done_bytes": 2, "total_bytes": 4}
    assert data["result"] is None  # too long for every event, but among the lines
    assert [row["line"]["type"] for row in job.since(0)] == ["event", "event", "result"]
    told = events(world)
    assert [data["n"] for name, data in told if name == "line"] == [0, 1, 2]
    assert [data["title"] for name, data in told if name == "job"][:3] == ["", "begins", "boot"]


def test_one_job_a_phone(make: Make) -> None:
    world = make("stops")
    ask = world.browser.ask
    first = world.start()
    busy = ask("POST", "/api/jobs", {"kind": "info", "phone": ONE.id})
    assert busy.status == 409
    assert "Job 1 (info) is at work on that phone." in busy.json["error"]["message"]
    assert ask("POST", "/api/jobs", {"kind": "station", "package": "/rom"}).status == 409
    other = world.start(phone=TWO.id)
    free = world.start("backups", None)
    rows = {row["id"]: row for row in ask("GET", "/api/state").json["phones"]}
    assert (rows[ONE.id]["job"], rows[TWO.id]["job"]) == (first.id, other.id)
    for job in (first, other, free):
        job.stop("gently")
        job.stop("at once")
        ended(job)
    station = world.start("station", None, package="/rom")
    assert ask("POST", "/api/jobs", {"kind": "info", "phone": TWO.id}).status == 409
    assert ask("GET", "/api/state").json["phones"][1]["job"] == station.id
    assert ask("POST", "/api/jobs", {"kind": "backups"}).status == 201
    assert world.site.keeper.stop_all("gently") == 2
    assert ask("POST", "/api/jobs", {"kind": "backups"}).status == 409
    assert ask("GET", "/health").body.startswith(b"ending: phones 2, jobs at work 2, ended 3")
    assert world.site.keeper.stop_all("at once") == 2


def test_phones_that_cannot_be_had(make: Make) -> None:
    world = make()
    for body in ({"kind": "info", "phone": "usb 9-9"}, {"kind": "plug", "phone": ONE.id}):
        assert world.browser.ask("POST", "/api/jobs", body).status == 400


def test_identity_stays_with_its_phone(make: Make) -> None:
    places = [ONE, TWO]
    world = make("asks", places)
    world.site.keeper._program = [sys.executable, "-c",
                                  'print(\'{"type":"result","chip":"QCM2290"}\')']  # fmt: skip
    ended(world.start("identify"))

    def identity() -> object:
        world.site.phones.look()
        rows = world.browser.ask("GET", "/api/state").json["phones"]
        return rows[0]["identity"] if rows else None

    wait(lambda: identity() is not None)  # the job has ended a moment before that is known
    assert identity() == {"chip": "QCM2290"}
    del places[0]
    assert identity() is None  # another phone is first now
    places.insert(0, ONE)
    assert identity() is None


def test_ended_jobs_are_kept_for_a_while(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_MOST_ENDED", 2)
    world = make()
    begun: list[Job] = []
    for _ in range(4):
        begun.append(world.start())
        ended(begun[-1])
        wait(lambda: world.site.keeper.tally.ended == len(begun))
    assert [job.id for job in world.site.keeper.all()] == ["3", "4"]
    ask = world.browser.ask
    assert ask("GET", "/api/jobs/1").status == 404
    assert ask("POST", "/api/jobs/3/forget", {}).status == 204
    assert ask("POST", "/api/jobs/3/forget", {}).status == 404
    assert ask("POST", "/api/jobs/4/forget", {"x": 1}).status == 400
    assert [job.id for job in world.site.keeper.all()] == ["4"]
    assert events(world)[-1] == ("forgotten", {"id": "3"})
    metrics = ask("GET", "/metrics").body.decode()
    assert 'edl_web_failures_total{kind="info",code="error"} 4' in metrics


def test_short_jobs_are_counted_once_and_told_in_order(make: Make) -> None:
    world = make(program=[shutil.which("true") or sys.executable])
    begun = [world.start("backups", None) for _ in range(15)]
    for job in begun:
        ended(job)
        job.stop("gently")
    wait(lambda: world.site.keeper.tally.ended == 15)
    last = {str(data["id"]): data["state"] for name, data in events(world) if name == "job"}
    assert last == {job.id: "failed" for job in begun}


def test_one_at_work_is_not_forgotten(make: Make) -> None:
    world = make("ignores")
    job = world.start()
    assert world.browser.ask("POST", f"/api/jobs/{job.id}/forget", {}).status == 409


def test_too_many(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_MOST_RUNNING", 1)
    world = make("ignores")
    world.start()
    assert world.browser.ask("POST", "/api/jobs", {"kind": "backups"}).status == 409


def test_no_process(make: Make) -> None:
    world = make(program=["/nowhere/edl"])
    with pytest.raises(EdlError, match="No process"):
        world.site.keeper.start(orders.read({"kind": "backups"}))
    assert world.browser.ask("POST", "/api/jobs", {"kind": "backups"}).status == 400
    assert world.site.keeper.all() == []


def test_what_chose_a_phone_here_does_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDL_SERIAL", "1a2b3c4d")
    monkeypatch.setenv("EDL_LOADER", "/loaders")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    found = jobs._environment()
    assert "EDL_SERIAL" not in found
    assert found["EDL_LOADER"] == "/loaders"
    assert found["PYTHONPATH"].split(os.pathsep)[1:] == ["/mine"]
    assert (Path(found["PYTHONPATH"].split(os.pathsep)[0]) / "edl" / "__main__.py").exists()
    monkeypatch.setattr("edl.__file__", "/usr/lib/python3/site-packages/edl/__init__.py")
    assert jobs._environment()["PYTHONPATH"] == "/mine"
