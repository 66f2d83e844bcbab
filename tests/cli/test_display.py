# SPDX-License-Identifier: BSD-3-Clause
"""What people see of a running job, and that nothing harms their terminal."""

from __future__ import annotations

import io
import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from edl.cli import terminal
from edl.cli.app import App
from edl.cli.bars import Bars
from edl.cli.options import Settings
from edl.cli.progress import JsonDisplay, Lines, Quiet, display
from edl.errors import DiskError, VerifyError
from edl.events import Busy, BytesMoved, DeviceLog, Event, Notice, Stage, StepStarted
from edl.home import home
from edl.plan.model import Geometry, Plan
from tests.cli.conftest import Edl
from tests.cli.test_options import code

EVENTS: list[Event] = [
    Stage("found", "phone\x1b[2J"),
    StepStarted(1, 2, "boot\x1b[2J_a", 1 << 20),
    BytesMoved(1 << 19),
    DeviceLog("INFO: ok"),
    Busy("writing", 2, 118),
    Notice("odd\x1b[2J"),
    StepStarted(2, 2, "misc", 1 << 10),
    BytesMoved(1 << 10),
    Stage("verify", "comparing", 1 << 20),
    BytesMoved(1 << 19),
    StepStarted(3, 3, "boot_b", 1 << 10),
    Stage("reset", "restarting"),
]


class Tty(io.StringIO):
    """A terminal that keeps what it is shown."""

    def isatty(self) -> bool:
        return True


# -- the ways to show -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "lively", "kind"),
    [
        (Settings(), True, Bars),
        (Settings(), False, Lines),
        (Settings(no_progress=True), True, Lines),
        (Settings(verbose=1), True, Lines),
        (Settings(quiet=True), True, Quiet),
        (Settings(json=True), True, JsonDisplay),
        (Settings(json=True, quiet=True), False, JsonDisplay),
    ],
)
def test_who_shows(
    settings: Settings, lively: bool, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_lively", lambda _: lively)
    assert type(display(settings)) is kind


def test_bars_show_steps_and_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", tty := Tty())
    with Bars(Settings(color="always")) as bars:
        bars.begin((1 << 20) + (1 << 10))
        for event in EVENTS:
            bars(event)
            bars._live.refresh()
        bars.pause()
        bars(Stage("reset", "restarting the phone"))
    shown = tty.getvalue()
    assert "\x1b[2J" not in shown
    for text in (
        r"  found    phone\x1b[2J",
        r"[1/2] boot\x1b[2J_a",
        "━━━━━───── 512 KiB of 1 MiB",
        "the phone is writing: 2 s so far, which is normal",
        r"  note     odd\x1b[2J",
        "comparing                    ━━━━━───── 512 KiB of 1 MiB",
        "[3/3] boot_b                 ────────── 0 bytes of 1 KiB",
        "all                          ━━━━━───── 513 KiB of 1.0 MiB",
        "  reset    restarting the phone",
        "restarting 0 s",
    ):
        assert text in shown, text
    assert shown.rindex("\x1b[?25h") > shown.rindex("restarting")


def test_bars_survive_a_terminal_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Tty):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stderr", Gone())
    with Bars(Settings()) as bars:
        for event in EVENTS:
            bars(event)


def test_lines_of_pieces_of_one_image_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for index in range(1, 12):
        lines(StepStarted(index, 12, "system", 512))
    lines(StepStarted(12, 12, "boot", 512))
    shown = capsys.readouterr().err.splitlines()
    assert [line[:9] for line in shown] == [f"  [ {n}/12]" for n in (1, 2, 3)] + [
        " " * 9,
        "  [12/12]",
    ]
    assert "and so on" in shown[3]


def test_lines_tell_every_tenth_of_a_long_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 5))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    lines = Lines()
    lines.begin(2 << 20)
    lines(StepStarted(3, 12, "system_a", 1 << 20))
    for _ in range(8):
        lines(BytesMoved(1 << 17))
    lines(Stage("verify", "comparing 1 MiB with what was sent", 1 << 20))
    lines(BytesMoved(1 << 19))
    lines(DeviceLog("INFO: not for people"))
    assert capsys.readouterr().err.splitlines() == [
        "  [ 3/12] system_a                    1 MiB",
        *(f"           {tenth}% of 1 MiB" for tenth in (10, 20, 30, 50, 60, 70, 80)),
        "  verify   comparing 1 MiB with what was sent",
        "           50% of 1 MiB",
    ]


def test_lines_tell_waits_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines = Lines()
    for now[0], event in (
        (2.0, Busy("writing", 2, 118)),
        (6.0, Busy("writing", 2, 118)),  # of the next piece
        (36.0, Busy("", 32, 88)),
        (96.0, Busy("erasing", 62)),
    ):
        lines(event)
    assert capsys.readouterr().err.splitlines() == [
        "  wait     the phone is writing: 2 s so far, which is normal; at most 1 min 58 s more",
        "  wait     the phone is busy or silent: 32 s so far; at most 1 min 28 s more",
        "  wait     the phone is erasing: 1 min 2 s so far, which is normal",
    ]


def test_quiet_shows_what_is_odd(capsys: pytest.CaptureFixture[str]) -> None:
    with Quiet() as quiet:
        quiet.begin(1)
        for event in EVENTS:
            quiet(event)
        quiet.pause()
    assert capsys.readouterr().err == "  note     odd\\x1b[2J\n"


def test_json_shows_events(capsys: pytest.CaptureFixture[str]) -> None:
    for event in EVENTS:
        JsonDisplay()(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [
        "stage", "step", "device_log", "busy", "notice", "step", "stage", "step", "stage",
    ]  # fmt: skip
    assert lines[3] == {
        "v": 1, "type": "event", "event": "busy", "doing": "writing", "waited_s": 2, "left_s": 118,
    }  # fmt: skip


# -- the terminal ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "choice", "lively", "coloured"),
    [
        ({}, "auto", True, True),
        ({}, "auto", False, False),
        ({"NO_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": ""}, "auto", True, True),
        ({"FORCE_COLOR": "1"}, "auto", False, True),
        ({"CLICOLOR_FORCE": "1"}, "auto", False, True),
        ({"CLICOLOR_FORCE": "0"}, "auto", False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": "1"}, "always", False, True),
        ({"FORCE_COLOR": "1"}, "never", True, False),
    ],
)
def test_colours(
    variables: dict[str, str],
    choice: str,
    lively: bool,
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.colours(choice, Tty() if lively else io.StringIO()) == coloured


def test_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Tty()
    closed.close()
    assert [terminal.is_terminal(stream) for stream in (Tty(), io.StringIO(), None)] == [
        True, False, False,
    ]  # fmt: skip
    assert terminal.is_terminal(io.StringIO()) is False
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.is_lively(Tty())
    monkeypatch.delenv("TERM")
    assert terminal.is_lively(Tty())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 你好", "Grüße 你好"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\x00b\x9bc\x7f", r"a\x00b\x9bc\x7f"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_lines_are_cleaned(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.clean(text) == shown
    terminal.err(text)
    terminal.out([text])
    captured = capsys.readouterr()
    assert captured.err == captured.out == f"{shown}\n"


def test_streams_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Full())
    with pytest.raises(DiskError, match="The output cannot be written: No space left on device"):
        terminal.out(["x"])
    monkeypatch.setattr("sys.stdout", Broken())
    with pytest.raises(BrokenPipeError):
        terminal.out(["x"])
    monkeypatch.setattr("sys.stdout", None)
    terminal.out(["x"])
    for stream in (Full(), Broken(), None):
        monkeypatch.setattr("sys.stderr", stream)
        terminal.err("x")
    terminal.prepare()


# -- a job whose readers go -----------------------------------------------------------------------


def test_events_that_nobody_reads_do_not_stop_a_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Quiet):
        def __call__(self, event: Event) -> None:
            raise BrokenPipeError

    plan = Plan("write", "", Geometry("emmc", 512, {}), (), bootable=0)
    app = App(Settings(json=True))
    monkeypatch.setattr(app, "_display", Broken())
    with pytest.raises(BrokenPipeError):
        app.emit(Stage("found", ""))
    monkeypatch.setattr(Plan, "changes_phone", True)
    changing = []
    with app.gentle(plan):
        app.emit(StepStarted(1, 1, "boot", 1))
        app.emit(BytesMoved(1))
        changing.append(app.settings.changing)
    assert [*changing, app.settings.changing] == [True, False]
    with pytest.raises(BrokenPipeError):
        app.result({}, [])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_signals_stop_between_pieces(
    name: str,
    options: tuple[str, ...],
    edl: Edl,
    mini: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    kind: type[Quiet] = JsonDisplay if options else Lines
    show = kind.__call__

    def interrupt(self: Quiet, event: Event) -> None:
        show(self, event)
        if isinstance(event, StepStarted) and event.index == 1:
            signal.raise_signal(signal.Signals[name])

    monkeypatch.setattr(kind, "__call__", interrupt)
    result = edl("--virtual", "qcm2290", "rawprogram", mini, "--no-boot-check", *options)
    if options:
        assert (result.status, result.last["code"]) == (130, "cancelled")
    else:
        assert (result.status, code(result.err)) == (130, "cancelled")
        assert "note     stopping when this piece is done; Ctrl-C again: at once" in result.err
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_stops_at_once(
    edl: Edl, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = Lines.__call__
    steps: list[int] = []

    def interrupt(self: Lines, event: Event) -> None:
        show(self, event)
        if isinstance(event, StepStarted):
            steps.append(event.index)
        if isinstance(event, BytesMoved) and steps == [1, 2]:
            steps.clear()
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Lines, "__call__", interrupt)
    result = edl("--virtual", "qcm2290", "rawprogram", mini, "--no-boot-check")
    assert (result.status, code(result.err)) == (10, "stopped-midway")
    assert "error[stopped-midway]: Stopped at once, as you asked.\n" in result.err
    assert "on the phone: 1 of 2 steps are done; 'misc' is incomplete" in result.err
    assert "hold the power button for 15 seconds" in result.err
    assert "or the same command with --resume.\n" in result.err


def test_a_signal_that_comes_when_the_job_is_ending(
    edl: Edl, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def fail(*_: object) -> None:
        raise VerifyError("boot: it is worn out.")

    monkeypatch.setattr("edl.plan.execute.Executor._verify_all", fail)
    monkeypatch.setattr("edl.plan.execute.Executor._tell_state", stop)
    result = edl("--virtual", "qcm2290", "rawprogram", mini, "--no-boot-check")
    assert (result.status, code(result.err)) == (8, "verify")


def test_an_ignored_signal_stays_ignored(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen = []
    show = Lines.__call__

    def look(self: Lines, event: Event) -> None:
        seen.append(signal.getsignal(signal.SIGHUP))
        show(self, event)

    monkeypatch.setattr(Lines, "__call__", look)
    try:
        assert edl("--virtual", "qcm2290", "nop").status == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert set(seen) == {signal.SIG_IGN}


def test_reading_and_comparing_can_be_stopped(
    edl: Edl, whole: Path, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = Lines.__call__

    def interrupt(self: Lines, event: Event) -> None:
        show(self, event)
        if isinstance(event, StepStarted) and event.index == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Lines, "__call__", interrupt)
    monkeypatch.setattr("edl.device.firehose.Programmer.sha256", lambda *_: None)
    for line in (
        ("read", "aboot,hyp", "-d", tmp_path),
        ("sha256", "aboot", "hyp"),
        ("verify", board),
    ):
        result = edl("--virtual", whole, *line)
        assert (result.status, code(result.err)) == (130, "cancelled")
    assert list(tmp_path.glob("*.bin*")) == []


def test_digests_by_reading(edl: Edl, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = edl("--virtual", whole, "sha256", "aboot", "--json").last["digests"][0]
    monkeypatch.setattr("edl.device.firehose.Programmer.sha256", lambda *_: None)
    read = edl("--virtual", whole, "sha256", "aboot", "--json").last["digests"][0]
    assert (told["computed_by"], read["computed_by"]) == ("phone", "read")
    assert told["sha256"] == read["sha256"]


# -- logs -----------------------------------------------------------------------------------------


def test_the_log_is_kept(edl: Edl, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert edl("--virtual", "qcm2290", "nop", "--log-file", log).status == 0
    text = log.read_text()
    assert "<configure " in text
    assert "<configure " in (home() / "log" / "edl.log").read_text()
    assert edl("--virtual", "qcm2290", "nop", "-vv").err.count("<configure ") >= 1


def test_the_log_that_is_always_kept_has_a_bounded_size(
    edl: Edl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edl.cli.logs.LOG_BYTES", 2000)
    for _ in range(3):
        assert edl("--virtual", "qcm2290", "nop").status == 0
    names = ("edl.log", "edl.log.1", "edl.log.2")
    assert sorted(path.name for path in (home() / "log").iterdir()) == [*names]
    assert all((home() / "log" / name).stat().st_size < 6000 for name in names)
    assert all((home() / "log" / name).stat().st_mode & 0o77 == 0 for name in names)


def test_a_log_that_cannot_be_written_does_not_matter(edl: Edl) -> None:
    assert edl("--virtual", "qcm2290", "nop", "--log-file", "/dev/full").status == 0
    shutil.rmtree(home())
    (home()).write_text("in the way")
    assert edl("--virtual", "qcm2290", "nop").status == 0
