# SPDX-License-Identifier: BSD-3-Clause
"""What only a process of its own can show: signals, streams, terminals, and what is imported."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LOADER, write_rows
from tests.conftest import REPO

EDL = [sys.executable, "-m", "edl"]
BIG = 256 << 20  # four pieces: long enough to be interrupted
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("EDL_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS"):
        keep.pop(name, None)
    return keep | {"EDL_HOME": str(tmp_path / "home"), "TERM": "xterm"}


def run(
    environment: dict[str, str], *arguments: object, **keywords: object
) -> subprocess.CompletedProcess[str]:
    result: subprocess.CompletedProcess[str] = subprocess.run(
        [*EDL, *map(str, arguments)], cwd=REPO, env=environment, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, **keywords,  # type: ignore[call-overload]
    )  # fmt: skip
    assert "Traceback" not in result.stdout + result.stderr
    return result


def shell(environment: dict[str, str], line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `edl` is the command, with `pipefail` as scripts have it."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    return subprocess.run(
        [bash, "-c", f'set -o pipefail; edl() {{ "{sys.executable}" -m edl "$@"; }}; {line}'],
        cwd=REPO, env=environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


# -- streams --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ("edl explain | true", 141, ""),
        ("edl --help | true", 141, ""),
        ("edl explain --json | true", 141, ""),
        ("edl nonsense --json | true", 141, ""),
        ("edl --virtual qcm2290 nop --json | true", 141, ""),
        ("edl explain > /dev/full", 7, "The output cannot be written: No space left on device."),
        ("edl --help > /dev/full", 7, "cannot be written: No space left on device."),
        ("edl nonsense 2> /dev/full", 2, ""),
        ("edl explain >&-", 0, ""),
        ("edl nonsense 2>&-", 2, ""),
        ("edl --virtual qcm2290 nop <&- >&- 2>&-", 0, ""),
        ("edl --virtual qcm2290 erase 1 <&-", 2, "There is no terminal to ask on."),
        ("edl --virtual qcm2290 nop 2> /dev/null", 0, ""),
        ("edl --virtual qcm2290 nop --dialog < /dev/null", 0, ""),
        ("edl --virtual qcm2290 erase 0 --dialog <&-", 130, ""),
    ],
)
def test_streams_that_are_not_there(
    line: str, status: int, told: str, environment: dict[str, str]
) -> None:
    result = shell(environment, line)
    assert result.returncode == status
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_a_reader_that_goes_does_not_stop_a_job(
    environment: dict[str, str], mini: Path, tmp_path: Path
) -> None:
    """Whoever reads the events may go; the phone gets its package all the same."""
    phone = tmp_path / "phone"
    assert run(environment, "virtual", "new", phone, "qcm2290").returncode == 0
    process = subprocess.Popen(
        [*EDL, "--virtual", str(phone), "rawprogram", str(mini), "--json", "--no-reset"],
        cwd=REPO, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("event") == "step":
            break
    process.stdout.close()
    assert process.wait(30) in {0, 141}
    assert run(environment, "--virtual", phone, "verify", mini).returncode == 0


def test_other_locales(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "Grüße"
    folder.mkdir()
    for locale in ("C", "de_DE.ISO-8859-1"):
        changes = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        result = run(environment | changes, "check", folder)
        assert result.returncode == 7
        assert "error[package]" in result.stderr


# -- interruptions --------------------------------------------------------------------------------


class Job:
    """edl at work on a large package, watched through its steps."""

    def __init__(self, environment: dict[str, str], *arguments: object) -> None:
        self.process = subprocess.Popen(
            [*EDL, *map(str, arguments)], cwd=REPO, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.told = ""

    def until(self, text: str) -> None:
        """Read until a line with text has come."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told += line
            if text in line:
                return
        pytest.fail(f"it never said {text!r}: {self.told}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self) -> int:
        out, err = self.process.communicate(timeout=50)
        self.told += err
        assert "Traceback" not in out + self.told
        return self.process.returncode


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Return a package with one large image between two small ones."""
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "a.img").write_bytes(b"a" * 600)
    with (folder / "b.img").open("wb") as file:
        file.truncate(BIG)
    rows = [("a.img", 2048, 8, "first"), ("b.img", 4096, BIG >> 9, "large")]
    write_rows(folder, *rows, ("a.img", 2 << 20, 8, "last"))
    (folder / "prog.elf").write_bytes(LOADER.read_bytes())
    return folder


@pytest.fixture
def job(environment: dict[str, str], big: Path, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    phone = tmp_path / "phone"
    assert run(environment, "virtual", "new", phone, "qcm2290").returncode == 0
    jobs: list[Job] = []

    def start(*options: str) -> Job:
        line = ("--virtual", phone, "rawprogram", big, "--no-reset", *options)
        jobs.append(Job(environment, *line))
        return jobs[-1]

    yield start
    for one in jobs:
        one.process.kill()
        one.process.communicate()


def test_the_first_ctrl_c_stops_between_pieces(job: Callable[..., Job]) -> None:
    first = job()
    first.until("[2/3] large")
    first.send(signal.SIGINT)
    assert first.finish() == 10
    assert "note     stopping when this piece is done; Ctrl-C again: at once\n" in first.told
    assert "error[stopped-midway]: Stopped as you asked.\n" in first.told
    assert "on the phone: 1 of 3 steps are done; 'large' is incomplete" in first.told
    assert "try: Finish the job: edl resume, or the same command with --resume.\n" in first.told
    again = job("--resume", "--verify", "none", "--json")
    out, _ = again.process.communicate(timeout=50)
    done = json.loads(out.splitlines()[-1])
    assert done["resumed_bytes"] > 0
    assert done["written_bytes"] + done["resumed_bytes"] == BIG + 2 * 1024


def test_the_second_stops_at_once(job: Callable[..., Job]) -> None:
    first = job()
    first.until("[2/3] large")
    first.send(signal.SIGINT)
    first.until("stopping when this piece is done")
    first.send(signal.SIGINT)  # on a busy computer the piece may be done by now
    assert first.finish() == 10
    assert re.search(r"error\[stopped-midway\]: Stopped (at once, )?as you asked\.\n", first.told)
    assert re.search(r"on the phone: [12] of 3 steps are done", first.told)


@pytest.mark.usefixtures("job")  # makes the phone
def test_orders_come_through_where_ctrl_c_is_ignored(
    environment: dict[str, str], big: Path, tmp_path: Path
) -> None:
    """A dialog's stdin may be full of rubbish, and end; SIGINT is ignored in background jobs."""
    line = ["--virtual", str(tmp_path / "phone"), "rawprogram", str(big), "--no-reset", "--dialog"]
    ignoring = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{ignoring} os.execv(sys.argv[1], sys.argv[1:])", *EDL, *line],
        cwd=REPO, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\0\xff" * (5 << 20) + b"\n" + b"[" * 8000 + b"\nno\n" * 50)
    process.stdin.flush()
    told = []
    for text in process.stdout:
        told.append(json.loads(text))
        if told[-1].get("event") == "step" and told[-1]["index"] == 2:
            process.send_signal(signal.SIGINT)
            process.stdin.write(b'{"stop": "gently"}\n')
            process.stdin.close()
    assert process.wait(50) == 10
    process.stdout.close()
    assert told[-1]["message"] == "Stopped as you asked."
    left_out = [row for row in told if "a line on stdin was left out" in row.get("text", "")]
    assert len(left_out) == 20
    assert left_out[-1]["text"].endswith("; no more is told of such lines")


def test_a_wait_is_left_at_once(environment: dict[str, str]) -> None:
    waiting = Job(environment, "nop", "--wait", "100", "--serial", "ffffffffffffffff")
    waiting.until("wait     for a phone in EDL mode (100 s)")
    waiting.send(signal.SIGINT)
    assert waiting.finish() == 130
    assert "error[cancelled]: Stopped, as you asked; nothing was written.\n" in waiting.told


# -- terminals ------------------------------------------------------------------------------------


def at_terminal(
    environment: dict[str, str], *arguments: object, typed: str = ""
) -> tuple[int, str]:
    """Run edl with a terminal on all three streams; return its status and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*EDL, *map(str, arguments)], cwd=REPO, env=environment, stdin=theirs, stdout=theirs,
        stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        shown += data
        if typed and b"[y/N]" in shown:
            os.write(ours, typed.encode())
            typed = ""
    os.close(ours)
    return process.wait(30), shown.decode().replace("\r\n", "\n")


def test_bars_on_a_terminal(environment: dict[str, str], mini: Path) -> None:
    line = ("--virtual", "qcm2290", "rawprogram", mini, "--no-reset")
    for changes in ({}, {"COLUMNS": "20"}):
        status, shown = at_terminal(environment | changes, *line)
        assert status == 0
        assert "\x1b[?25h" in shown  # the cursor is back
        assert "  checked  2 steps, 9.5 KiB to write" in ESCAPE.sub("", shown)
        assert "  verified   9.5 KiB, all equal to what was sent" in shown


def test_plain_lines_on_a_dumb_terminal(environment: dict[str, str], mini: Path) -> None:
    line = ("--virtual", "qcm2290", "rawprogram", mini, "--no-reset")
    status, shown = at_terminal(environment | {"TERM": "dumb"}, *line)
    assert status == 0
    assert "\x1b" not in shown
    assert "[1/2] boot" in shown


def test_colours_on_a_terminal(environment: dict[str, str]) -> None:
    red = "\x1b[1;31merror[usage]:\x1b[0m There is no command"
    assert red in at_terminal(environment, "nonsense")[1]
    assert "\x1b" not in at_terminal(environment | {"NO_COLOR": "1"}, "nonsense")[1]
    assert red in run(environment | {"FORCE_COLOR": "1"}, "nonsense").stderr


def test_a_question_on_a_terminal(environment: dict[str, str]) -> None:
    line = ("--virtual", "qcm2290", "erase", "1")
    status, shown = at_terminal(environment, *line, typed="n\n")
    assert status == 130
    assert (
        "This erases LUN 1 (4 MiB, partition tables included). Continue? [y/N]: n\n"
        in ESCAPE.sub("", shown)
    )
    status, shown = at_terminal(environment, *line, typed="y\n")
    assert status == 0
    assert "  erased     4 MiB, and reads as blank now\n" in shown


# -- startup --------------------------------------------------------------------------------------


def imported(environment: dict[str, str], *arguments: str) -> set[str]:
    """Return the modules that a command line imports."""
    code = (
        "import json, sys\n"
        "from edl.cli.main import run\n"
        f"run({list(arguments)!r})\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, env=environment, capture_output=True, text=True,
        check=True,
    ).stderr  # fmt: skip
    return set(json.loads(shown.splitlines()[-1]))


@pytest.mark.parametrize("line", [("--help",), ("--version",), ("help",), ("help", "aliases")])
def test_help_imports_click_and_little_else(
    line: tuple[str, ...], environment: dict[str, str]
) -> None:
    modules = imported(environment, *line)
    heavy = {"rich", "lxml", "usb", "serial", "Crypto", "asyncio", "platformdirs", "logging"}
    assert modules & heavy == set()
    ours = {name for name in modules if name.startswith("edl.")}
    assert ours <= {"edl.errors", "edl.units", "edl.cli", "edl.places"} | {
        f"edl.cli.{name}"
        for name in (
            "main",
            "names",
            "options",
            "terminal",
            "commands",
            "commands.aliases",
            "defaults",
            "keys",
        )
    }


def test_help_of_a_command_draws_nothing(environment: dict[str, str]) -> None:
    assert imported(environment, "rawprogram", "--help") & {"rich", "asyncio"} == set()


def test_a_folder_that_is_gone(environment: dict[str, str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"rmdir {gone} && exec {sys.executable} -m edl --virtual qcm2290 nop"
    done = subprocess.run(
        ["sh", "-c", script], cwd=gone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "The folder that you are in does not exist any more." in done.stderr
