# SPDX-License-Identifier: BSD-3-Clause
"""A command as a process, and a folder as one file: what labgrid has no part in."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edl.lab.job import JobError, Line, phone_options, run
from edl.lab.pack import packed
from edl.transport.discovery import EDL_IDS
from edl.virtual.saved import State
from tests import packs
from tests.conftest import REPO


def edl(*words: object, heard: list[Line] | None = None) -> Line:
    """Run edl as a driver does."""
    command = [sys.executable, "-m", "edl", "--json", *map(str, words)]
    return run(command, (heard if heard is not None else []).append)


def saying(*lines: str, status: int = 0) -> list[str]:
    """Return a command that prints lines and ends with status."""
    return [sys.executable, "-c", f"print(*{lines!r}, sep=chr(10)); raise SystemExit({status})"]


def test_a_result_comes_with_what_was_said_before() -> None:
    heard: list[Line] = []
    result = edl("--virtual", "qcm2290", "info", "--no-loader", heard=heard)
    assert result["type"] == "result"
    assert result["serial"] == "1a2b3c4d"
    assert next(line["name"] for line in heard if line.get("event") == "stage") == "found"
    assert all(line["type"] not in {"result", "error"} for line in heard)


def test_an_error_is_told_whole() -> None:
    with pytest.raises(JobError) as caught:
        edl("check", "nowhere")
    error = caught.value
    assert (error.code, error.status, error.result) == ("usage", 2, None)
    assert "nowhere" in error.message
    assert error.remedies
    assert str(error).startswith(f"error[usage]: {error.message}\ntry: {error.remedies[0]}")


def test_what_failed_may_have_told_a_result_and_the_state_of_the_phone() -> None:
    end: Line = {
        "type": "error",
        "code": "not-ready",
        "status": 8,
        "message": "It would not start.",
        "state": "half",
        "remedies": [],
        "device_log": ["ERROR: no"],
    }
    lines = ['{"type": "result", "verdict": "not ready"}', json.dumps(end)]
    with pytest.raises(JobError) as caught:
        run(saying(*lines, status=8), lambda _: None)
    assert caught.value.result == {"type": "result", "verdict": "not ready"}
    assert str(caught.value).splitlines()[1:] == ["on the phone: half", "phone: ERROR: no"]


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["/nowhere/edl"], 127, "No such file"),
        (saying("bash: edl: not found", "[]", status=127), 127, "it said nothing"),
        (saying('{"type": "result"}', status=1), 1, "no result"),
        (saying("{}", "welcome"), 0, "no result"),
    ],
)
def test_what_is_no_edl_is_not_taken_for_it(command: list[str], status: int, words: str) -> None:
    heard: list[Line] = []
    with pytest.raises(JobError) as caught:
        run(command, heard.append)
    assert (caught.value.code, caught.value.status) == ("no-result", status)
    assert words in caught.value.message
    assert heard == []


def test_what_is_said_on_stderr_is_told() -> None:
    code = "import sys; print('ssh: no', 'route', sep=chr(10), file=sys.stderr); sys.exit(3)"
    with pytest.raises(JobError, match="status 3 and no result: ssh: no route"):
        run([sys.executable, "-c", code], lambda _: None)


def test_whoever_listens_can_end_it() -> None:
    endless = 'import time; print(\'{"type": "event"}\', flush=True); time.sleep(60)'

    def stop(_: Line) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", endless], stop)


def test_phones_are_named_by_all_that_is_known() -> None:
    assert phone_options("1-4.2", "1a2b3c4d") == ["--usb-path", "1-4.2", "--serial", "1a2b3c4d"]
    assert phone_options(virtual="/phones/1") == ["--virtual", "/phones/1"]
    assert phone_options() == []


def test_a_folder_becomes_the_same_file_again(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "rawprogram0.xml": "<data/>",
        "images/boot.img": bytes(3 << 20),
    }
    first, second, out = tmp_path / "1/rom", tmp_path / "2/rom", tmp_path / "out"
    made: list[Any] = []
    for number, folder in enumerate((first, second)):
        packs.put(folder, files)
        (folder / "link.img").symlink_to(folder / "images" / "boot.img")
        (folder / "elsewhere").symlink_to(folder / "images")
        (out / str(number)).mkdir(parents=True)
        path = packed(folder, out / str(number))
        made.append((path.name, path.read_bytes(), path.stat().st_mtime))
    assert made[0] == made[1]
    with zipfile.ZipFile(out / "0" / "rom.zip") as archive:
        assert archive.namelist() == ["images/boot.img", "rawprogram0.xml"]
        assert archive.read("images/boot.img") == bytes(3 << 20)
        assert archive.testzip() is None


def test_what_labgrid_is_told_is_what_edl_knows() -> None:
    """Its part cannot be imported here, so that what it repeats is compared by its text."""
    ids = (REPO / "edl" / "lab" / "resources.py").read_text()
    for vendor, product in EDL_IDS:
        assert f'("{vendor:04x}", "{product:04x}")' in ids
    states = (REPO / "edl" / "lab" / "virtual.py").read_text()
    there = ", ".join(f'"{each}"' for each in (State.BOOT_ROM, State.PROGRAMMER, State.HUNG))
    assert f"_ON_THE_BUS = {{{there}}}" in states
