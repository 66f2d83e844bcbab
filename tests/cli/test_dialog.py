# SPDX-License-Identifier: BSD-3-Clause
"""Dialogs of commands with programs (--dialog): questions, answers, orders, progress."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from edl.cli import dialog, terminal
from edl.cli.app import App
from edl.cli.finding import Finder
from edl.cli.options import Settings
from edl.cli.progress import DialogDisplay
from edl.events import BytesMoved, Event, Notice, Stage, StepStarted
from edl.virtual.phone import Phone
from tests.cli.conftest import LOADER, Edl, Result
from tests.cli.test_boot import made, package
from tests.cli.test_provision import LUNS, sizes
from tests.unit.test_provision import lun, whole

YES, NO = {"answer": True}, {"answer": False}
END = b""


class Talk:
    """Somebody who answers, in this process. say: what comes back for each question, in turn.

    A reply is bytes, or an object, to which the question's id is added if it is an answer.
    """

    def __init__(self, edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
        self.say: list[Any] = []
        self.on_wait: Callable[[], None] | None = None
        self.on_step: Callable[[], None] | None = None
        self.asked: list[dict[str, Any]] = []
        self._edl = edl
        self._heard: queue.Queue[bytes] = queue.Queue()
        self._out = terminal.out
        self._patch = monkeypatch
        monkeypatch.setattr(dialog, "_stdin", lambda: self._heard.get)

    def run(self, *arguments: object) -> Result:
        with self._patch.context() as patch:
            patch.setattr(terminal, "out", self._seen)
            result = self._edl(*arguments, "--dialog")
        self._heard.put(END)
        self._heard = queue.Queue()
        assert result.err == ""
        assert result.lines
        assert not self.say
        return result

    def tell(self, reply: Any) -> None:  # noqa: ANN401
        self._heard.put(reply if isinstance(reply, bytes) else json.dumps(reply).encode() + b"\n")

    def _seen(self, lines: Any) -> None:  # noqa: ANN401
        lines = list(lines)
        self._out(lines)
        for line in map(json.loads, lines):
            if line["type"] == "question":
                self.asked.append(line)
                self._answer(self.say.pop(0), line["id"])
            waits = line.get("name") == "wait" or line.get("state") in {"done", "failed"}
            if waits and self.on_wait is not None:
                self.on_wait()
            if line.get("event") == "step" and self.on_step is not None:
                self.on_step()

    def _answer(self, reply: Any, number: int) -> None:  # noqa: ANN401
        for each in reply if isinstance(reply, list) else [reply]:
            answers = isinstance(each, dict) and "answer" in each
            self.tell({"id": number, **each} if answers else each)


@pytest.fixture
def talk(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> Talk:
    return Talk(edl, monkeypatch)


@pytest.fixture
def sound(edl: Edl, tmp_path: Path) -> Path:
    """Return a phone with a whole boot chain, in EDL mode."""
    return made(edl, tmp_path / "sound", "qcm2290,size=16MiB,starts=adb")


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """Return a phone with UFS that has LUNs."""
    Phone.create(f"qcm2290-ufs,{LUNS}", tmp_path / "ufs").close()
    return tmp_path / "ufs"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    path = tmp_path / "p.xml"
    path.write_bytes(whole(luns=(lun(4, size_in_kb=9000),)))
    return path


def notices(result: Result) -> list[str]:
    return [line["text"] for line in result.lines if line.get("event") == "notice"]


# -- questions ------------------------------------------------------------------------------------


def test_yes_and_no(talk: Talk, phone: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x" * 4096)
    line = ("--virtual", phone, "write", "0", image)
    for reply in (NO, {"stop": "gently"}, {"stop": "at once"}, END):
        talk.say = [reply]
        ended = talk.run(*line)
        assert (ended.status, ended.last["code"]) == (130, "cancelled")
    with Phone.open(phone) as there:
        assert there.storage.luns[0].read(0, 8) == bytes(4096)
    talk.say = [YES]
    done = talk.run(*line)
    assert (done.status, done.last["written_bytes"]) == (0, 4096)
    assert talk.asked[-1] == {
        "v": 1, "type": "question", "id": 1, "kind": "confirm", "word": None,
        "text": "This overwrites LUN 0 from the first sector on (4 KiB). Continue?",
    }  # fmt: skip


def test_what_is_no_answer_is_left_out(talk: Talk, phone: Path) -> None:
    talk.tell({"id": 1, "answer": True})  # before anything was asked
    wrong: list[Any] = [
        {"id": 2, "answer": True}, {"answer": "y"}, b"yes\n\0\xff\n", b"\n", b"x" * 20_000,
        b"x" * 90_000 + b"\n", b"[" * 8000 + b"\n", NO, NO,
    ]  # fmt: skip
    talk.say = [wrong]
    ended = talk.run("--virtual", phone, "erase", "0")
    assert ended.status == 130
    told = notices(ended)
    assert told[0] == "a line on stdin was left out: question 1 is not open"
    assert told[1:3] == [
        "a line on stdin was left out: question 2 is not open",
        "a line on stdin was left out: question 1 takes true or false",
    ]
    no_json = "a line on stdin was left out: it is no JSON object, or an ambiguous one"
    too_long = "a line on stdin was left out: it has more than 8192 bytes"
    assert told[3:7] == [no_json, no_json, too_long, no_json]


def test_a_word_must_come(talk: Talk, blank: Path, layout: Path) -> None:
    line = ("--virtual", blank, "provision", layout, "--no-backup", "--loader", LOADER)
    before = sizes(blank)
    for reply in ({"answer": "provision"}, NO):
        talk.say = [[YES, reply]]  # yes is no word
        assert talk.run(*line).status == 130
        assert sizes(blank) == before
    talk.say = [{"answer": "PROVISION"}]
    assert talk.run(*line).last["state"] == "done"
    question = talk.asked[-1]
    assert (question["kind"], question["word"]) == ("word", "PROVISION")
    told = question["text"].splitlines()
    assert told[0] == "Plan: provision p.xml"  # all that a terminal shows before
    assert "ALL DATA ON IT IS LOST, and nothing of it is saved." in told[-2]
    assert told[-1] == "Type PROVISION to go on, anything else to stop"


@pytest.mark.parametrize(("reply", "status"), [(YES, 0), (NO, 8), ({"stop": "gently"}, 8)])
def test_what_would_not_start(
    talk: Talk, sound: Path, tmp_path: Path, reply: object, status: int
) -> None:
    """All has been written when it is asked, and that is told whatever the answer is."""
    rom = package(tmp_path / "rom", sound, abl=b"\0" * 4096)
    talk.say = [reply]
    ended = talk.run("--virtual", sound, "rawprogram", rom)
    assert ended.status == status
    assert "  error: LUN 0: 'abl' is empty.\n    try: " in talk.asked[0]["text"]
    assert talk.asked[0]["text"].endswith("It is in EDL mode.\nRestart it all the same?")
    assert [line["type"] for line in ended.lines].count("result") == 1


def test_what_is_told_has_a_bound(capsys: pytest.CaptureFixture[str]) -> None:
    talks = dialog.Dialog(lambda: END)
    talks._listen()  # nobody is there any more
    for lines, last in ((1000, "left out here.)\nGo\\x1b on?"), (1, "xxx\nGo\\x1b on?")):
        for _ in range(lines):
            talks.tell("x" * 1000)
        with pytest.raises(click.Abort):
            talks.confirmed("Go\x1b on?")
        text = json.loads(capsys.readouterr().out)["text"]
        assert text.endswith(last)
        assert len(text) < 70_000


def test_the_guide_is_for_terminals(talk: Talk) -> None:
    assert talk.run("--virtual", "qcm2290", "rescue").last["code"] == "usage"


def test_scripts_are_asked_nothing(edl: Edl, phone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialog.Dialog, "start", None)
    assert edl("--virtual", phone, "erase", "0", "--json").last["code"] == "usage"


# -- orders and progress --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "words"),
    [(["gently"], "Stopped as you asked."), (["gently", "at once"], "Stopped at once")],
)
def test_orders_in_the_middle(
    talk: Talk, phone: Path, mini: Path, monkeypatch: pytest.MonkeyPatch,
    orders: list[str], words: str,
) -> None:  # fmt: skip
    """They interrupt a main thread that waits, and `resume` goes on."""
    heeded = threading.Lock()  # held until an order was
    stop = App._stop

    def counted(app: App, order: dialog.Stop | None) -> None:
        heeded.release()
        stop(app, order)

    def order() -> None:
        for each in orders:
            talk.tell({"stop": each})
            talk.tell({"stop": each})  # a second click
            assert heeded.acquire(timeout=20)

    heeded.acquire()
    monkeypatch.setattr(App, "_stop", counted)
    steps: list[int] = []

    def second() -> None:
        steps.append(1)
        if len(steps) == 2:
            order()

    talk.on_step = second
    line = ("--virtual", phone, "rawprogram", mini, "--no-reset", "--unchanged=write")
    ended = talk.run(*line)
    assert (ended.status, ended.last["code"]) == (10, "stopped-midway")
    assert words in ended.last["message"]
    assert ("stopping when this piece is done" in notices(ended)) == (orders[0] == "gently")
    talk.on_step = None
    done = talk.run("--virtual", phone, "resume")
    assert done.status == 0
    assert done.last["resumed_bytes"] > 0


def test_the_wait_for_a_phone_is_left(talk: Talk, phone: Path) -> None:
    line = ("--virtual", phone, "nop", "--wait", "100", "--serial", "7")
    talk.on_wait = lambda: talk.tell({"stop": "gently"})
    ended = talk.run(*line)
    assert (ended.status, ended.last["code"]) == (130, "cancelled")


def test_a_station_is_stopped(talk: Talk, mini: Path) -> None:
    """It would wait for more phones."""
    talk.on_wait = lambda: talk.tell({"stop": "gently"})
    ended = talk.run("--virtual", "qcm2290,size=8MiB", "station", mini, "--yes", "--no-boot-check")
    assert ended.status == 0
    assert (ended.last["done"], ended.last["stopped"]) == (1, 0)


def test_a_dialog_waits_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialog.Dialog, "start", lambda self: self)
    app = App(Settings(json=True, dialog=True))
    assert app.at_terminal
    assert Finder(app).patience_s == 60
    assert Finder(App(Settings(json=True))).patience_s == 0


def test_progress_ends_where_the_work_does(talk: Talk, phone: Path, sample: Path) -> None:
    done = talk.run("--virtual", phone, "rawprogram", sample, "--no-reset", "--unchanged=write")
    told = [line for line in done.lines if line.get("event") == "progress"]
    steps = sum(line["bytes"] for line in done.lines if line.get("event") == "step")
    assert {"v": 1, "type": "event", "event": "progress", "done_bytes": steps,
            "total_bytes": steps} in told  # fmt: skip
    assert all(0 <= line["done_bytes"] <= line["total_bytes"] for line in told)
    plain = talk._edl("--virtual", phone, "--json", "nop")
    assert not [line for line in plain.lines if line.get("event") == "progress"]


def shown(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, int]]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [
        (line["done_bytes"], line["total_bytes"]) for line in lines if line["event"] == "progress"
    ]


def test_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    display = DialogDisplay(lambda: now)
    display.begin(1000)
    steps: list[Event] = [StepStarted(1, 2, "a", 600), *([BytesMoved(1)] * 512)]
    for event in steps:
        display(event)
        now += 1 / 128
    told = shown(capsys)
    assert told[0] == (1, 1000)
    assert len(told) == 16  # in 4 s
    # what else moves bytes meanwhile counts for the step at most
    display(Stage("unpack", "to a folder"))
    display(BytesMoved(5000))
    display(StepStarted(2, 2, "b", 400))
    now += 1
    display(BytesMoved(100))
    assert shown(capsys)[-1] == (700, 1000)
    display(Stage("verify", "comparing", 1000))
    display(BytesMoved(400))
    display(BytesMoved(600))
    assert shown(capsys) == [(1000, 1000)]
    now += 1
    display(BytesMoved(1))
    display(Notice("odd"))
    assert shown(capsys) == []


def test_progress_without_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    display = DialogDisplay(lambda: now)
    display(Stage("index", "of unknown size"))
    display(BytesMoved(5))
    now += 1
    display(BytesMoved(5))
    display(StepStarted(1, 1, "memory", 64))
    display(BytesMoved(64))
    now += 1
    display.begin(100)  # without steps
    display(BytesMoved(50))
    display(BytesMoved(60))
    assert shown(capsys) == [(5, 0), (10, 0), (64, 64), (50, 100), (100, 100)]
