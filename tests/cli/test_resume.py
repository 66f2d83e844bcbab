# SPDX-License-Identifier: BSD-3-Clause
"""`edl resume`: which job goes on, on which phone, and what stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edl.cli.reaching import place_of
from edl.firehose.commands import Area
from edl.plan import home, owed
from edl.plan.journal import Journal, read
from edl.transport import discovery
from edl.virtual.phone import Phone
from tests.cli.conftest import LOADER, Edl, write_rows
from tests.conftest import REPO
from tests.virtual.test_serve_cli import _serving

SERIAL = "1a2b3c4d"


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    """Return a package of two images, the second one larger."""
    folder = tmp_path / "rom"
    folder.mkdir()
    (folder / "a.img").write_bytes(b"a" * 100_000)
    (folder / "b.img").write_bytes(os.urandom(6_000_000))
    (folder / "prog.elf").write_bytes(LOADER.read_bytes())
    write_rows(folder, ("a.img", 2048, 400, "first"), ("b.img", 4096, 20_000, "system"))
    return folder


@pytest.fixture
def broken(edl: Edl, rom: Path, tmp_path: Path) -> Path:
    """Return a phone that was unplugged in the middle of that package, in EDL mode again."""
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,fault=unplug@out:3000000").status == 0
    assert edl("--virtual", phone, "rawprogram", rom, "--no-reset").status == 4
    assert edl("virtual", "edl", phone).status == 0
    return phone


def test_the_interrupted_job_goes_on(edl: Edl, broken: Path, rom: Path) -> None:
    result = edl("--virtual", broken, "resume")
    assert result.status == 0
    assert f"  resume   edl rawprogram {rom}, begun 20" in result.err
    assert f", phone {SERIAL}\n" in result.err
    assert "were there from the interrupted run)" in result.out
    assert edl("--virtual", broken, "verify", rom).status == 0
    again = edl("--virtual", broken, "resume")
    assert again.status == 2
    assert f"No interrupted job of the phone {SERIAL} is known here." in again.err


def test_from_another_folder_and_as_json(
    edl: Edl, rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rom)
    line = ("virtual", "new", "../phone", "qcm2290,fault=unplug@out:3000000")
    assert edl(*line).status == 0
    failed = edl("--virtual", "../phone", "rawprogram", ".", "--skip", "first", "--no-reset")
    assert failed.status == 4
    monkeypatch.chdir(tmp_path)
    assert edl("virtual", "edl", "phone").status == 0
    done = edl("resume", "--virtual", "phone", "--json")
    assert done.status == 0
    assert done.last["job"] == "rawprogram"
    plan = next(line["plan"] for line in done.lines if line["type"] == "plan")
    assert [step["label"] for step in plan["steps"]] == ["system"]
    assert done.last["reset"] is None
    assert Path.cwd() == tmp_path


def test_files_that_have_changed_stop_it(edl: Edl, broken: Path, rom: Path) -> None:
    (rom / "b.img").write_bytes(b"other")
    result = edl("--virtual", broken, "resume")
    assert result.status == 7
    assert "Files of the interrupted job have changed since: b.img." in result.err


def test_a_folder_that_is_gone(
    edl: Edl, rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,fault=unplug@out:3000000").status == 0
    with monkeypatch.context() as there:
        there.chdir(folder)
        assert edl("--virtual", phone, "rawprogram", rom).status == 4
    folder.rmdir()
    assert edl("virtual", "edl", phone).status == 0
    result = edl("--virtual", phone, "resume")
    assert result.status == 2
    assert "The folder of the interrupted job cannot be entered" in result.err


def test_jobs_without_a_resume_of_their_own(edl: Edl, rom: Path, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,fault=unplug@out:3000000").status == 0
    assert edl("--virtual", phone, "write", "0/4096", rom / "b.img").status == 4
    assert edl("virtual", "edl", phone).status == 0
    done = edl("--virtual", phone, "--loader", LOADER, "resume", "--json").last
    assert (done["type"], done["job"]) == ("result", "write")
    assert done["verified_bytes"] > 6_000_000


def test_another_command_name_in_the_journal(edl: Edl, broken: Path) -> None:
    path = home.phone_folder(SERIAL) / owed.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[0])
    for words, status in ((["no", "such"], 2), (7, 2)):
        head["about"]["how"]["words"] = words
        path.write_bytes(json.dumps(head).encode() + b"\n" + b"".join(lines[1:]))
        result = edl("--virtual", broken, "resume")
        assert result.status == status
        assert ("There is no command" if words != 7 else "No interrupted job") in result.err


# -- killed inside <program> ----------------------------------------------------------------------


def test_a_killed_host_owes_bytes(edl: Edl, rom: Path, tmp_path: Path) -> None:
    """kill -9 inside <program>, at a serial port; all generations: tests/faults/test_owed.py."""
    phone, port = tmp_path / "phone", tmp_path / "port"
    options = ("--loader", REPO / "loaders", "--port", port)
    assert edl("virtual", "new", phone, "sdm660").status == 0
    with _serving(str(phone), "--pty", "--link", str(port)):
        command = [*map(str, options), "rawprogram", str(rom), "--no-reset", "--no-backup"]
        with subprocess.Popen(
            [sys.executable, "-m", "edl", *command, "--max-payload", "64KiB"],
            stderr=subprocess.DEVNULL, cwd=REPO,
        ) as process:  # fmt: skip
            journal = home.phone_folder(SERIAL) / owed.NAME
            for _ in range(1000):
                flight = read(journal).flight
                if flight is not None and flight.sent_bytes and flight.label == "system":
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        done = edl(*options, "resume")
        assert done.status == 0
        assert "  owed     the programmer still waits for data: at least " in done.err
        assert "  verified   " in done.out


def test_a_stuck_phone_is_told_what_it_waits_for(edl: Edl, rom: Path) -> None:
    stuck = ("--virtual", "sdm660,state=stuck-write")
    assert "Go on with its interrupted job" not in edl(*stuck, "nop").err
    with Phone.named(stuck[1]) as phone:
        place = place_of(discovery.find(phone.backend)[0])
    journal = Journal(
        home.phone_folder(SERIAL) / owed.NAME, "job", resume=False, session=owed.session(place),
        about={"how": {"words": ["nop"], "parameters": {}, "settings": {}, "folder": str(rom),
                       "begun": "2026-11-22T08:17+00:00"}},
    )  # fmt: skip
    journal.begin(Area(0, 0, 256, 512), "gpt", 1048576)
    journal.close(finished=False)
    told = edl(*stuck, "nop")
    assert told.status == 4
    assert "  try: Go on with its interrupted job: edl resume (nothing needs" in told.err
    done = edl(*stuck, "resume")
    assert done.status == 0
    assert "The programmer answers." in done.out


def test_jobs_of_several_phones(edl: Edl, rom: Path, tmp_path: Path) -> None:
    about = {"how": {"words": ["nop"], "parameters": {}, "settings": {}, "folder": str(rom),
                     "begun": "2026-11-22T08:17+00:00"}}  # fmt: skip
    port = tmp_path / "port"
    port.write_text("")
    for serial in ("00000001", "00000002"):
        path = home.phone_folder(serial) / owed.NAME
        Journal(path, "job", resume=False, about=about).close(finished=False)
    result = edl("--port", port, "resume")
    assert result.status == 2
    assert "Jobs of 2 phones were interrupted (00000001, 00000002)" in result.err
