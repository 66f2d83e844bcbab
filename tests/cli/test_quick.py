# SPDX-License-Identifier: BSD-3-Clause
"""`edl list` where nothing is plugged in: the quick way says what the ordinary one does."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from edl import sysfs
from edl.__main__ import main
from edl.cli import quick
from edl.home import home
from edl.transport import discovery, serial
from tests.cli.conftest import Edl
from tests.conftest import REPO
from tests.unit.test_transport_discovery import bus

_DATE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")
_NAME = re.compile(r" edl\.cli\.\w+: ")


@pytest.fixture(autouse=True)
def _nothing_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysfs, "is_bare", lambda: True)
    monkeypatch.setattr(discovery, "libusb", bus)
    monkeypatch.setattr(serial, "find_ports", list)
    monkeypatch.setattr(sys, "argv", ["edl", "list"])


def log() -> list[str]:
    """Return the lines of the log, and make sure that each has a date."""
    lines = (home() / "log/edl.log").read_text().splitlines()
    assert all(map(_DATE.match, lines))
    return [_NAME.sub(" ", _DATE.sub("", line)) for line in lines if " INFO " in line]


def test_the_same_words(edl: Edl, capsys: pytest.CaptureFixture[str]) -> None:
    assert quick.list_nothing() is None  # the ordinary way makes the folder and its log
    ordinary = edl("list")
    assert quick.list_nothing() == ordinary.status == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (ordinary.out, ordinary.err)
    assert "No phone in EDL mode is connected." in captured.err
    first, second = log()
    assert first == second


@pytest.mark.parametrize("name", ["EDL_VIRTUAL", "EDL_JSON", "EDL_CONFIG", "EDL_QUIET"])
def test_defaults_go_the_ordinary_way(name: str, edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    edl("list")
    monkeypatch.setenv(name, "1")
    assert quick.list_nothing() is None


def test_what_else_goes_the_ordinary_way(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    edl("list")
    with monkeypatch.context() as patch:
        patch.setattr(sysfs, "is_bare", lambda: False)
        assert quick.list_nothing() is None
    with monkeypatch.context() as patch:
        patch.setattr(quick, "LOG_BYTES", 1)  # time to begin another one
        assert quick.list_nothing() is None
    (home() / "config.toml").write_text("quiet = true\n")
    assert quick.list_nothing() is None
    (home() / "config.toml").unlink()
    (home() / "log/edl.log").unlink()
    (home() / "log/edl.log").symlink_to("/dev/full")
    assert quick.list_nothing() is None


def test_the_program_takes_it(
    edl: Edl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(sys, "platform", "linux")
    edl("list")
    with pytest.raises(SystemExit):  # of the ordinary way, as this process goes on
        main()
    assert ended == [3]
    assert capsys.readouterr().err.count("No phone in EDL mode is connected.") == 2
    monkeypatch.setattr(sys, "argv", ["edl", "list", "--json"])
    with pytest.raises(SystemExit):
        main()
    assert ended == [3]


def test_it_imports_next_to_nothing() -> None:
    code = "import sys, edl.cli.quick; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-S", "-c", code], env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert not {"typing", "re", "contextlib", "pathlib", "click", "usb"} & set(shown)
