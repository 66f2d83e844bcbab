# SPDX-License-Identifier: BSD-3-Clause
"""`edl resume`: which job goes on, on which phone, and what stops it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edl.cli.reaching import place_of
from edl.firehose.commands import Area
from edl.plan import history, home, owed
from edl.plan.journal import read
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


def how(folder: Path, *words: str) -> dict[str, object]:
    """Return how a journal tells to repeat a command."""
    return {"words": words or ["nop"], "parameters": {}, "settings": {}, "folder": str(folder),
            "begun": "2026-11-22T08:17+00:00"}  # fmt: skip


def interrupted(serial: str, about: dict[str, object], place: str = "") -> str:
    """Leave the journal of a job that was interrupted in its first sectors; return its name."""
    about = {"title": "rom", "areas": [[0, 0, 256, 512]], **about}
    journal = history.begin(serial, "rawprogram", "job", about, owed.session(place))
    journal.begin(Area(0, 0, 256, 512), "gpt", 1048576)
    journal.close()
    return journal.path.stem


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
    (record,) = history.interrupted(SERIAL)
    how = record.kept.about["how"]
    for number, (words, told) in enumerate([(["no", "such"], "no command"), (7, "was not noted")]):
        left = interrupted(SERIAL, {"how": {**how, "words": words}})
        assert left == f"rawprogram-{number + 2}"
        result = edl("--virtual", broken, "resume", left)
        assert result.status == 2
        assert told in result.err


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
            for _ in range(1000):
                flight = next((each.kept.flight for each in history.records(SERIAL)), None)
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
    interrupted(SERIAL, {"how": how(rom)}, place)
    told = edl(*stuck, "nop")
    assert told.status == 4
    assert "  try: Go on with its interrupted job: edl resume (nothing needs" in told.err
    done = edl(*stuck, "resume")
    assert done.status == 0
    assert "The programmer answers." in done.out


def test_jobs_of_several_phones(edl: Edl, rom: Path, tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.write_text("")
    for serial in ("00000001", "00000002"):
        interrupted(serial, {"how": how(rom)})
    result = edl("--port", port, "resume")
    assert result.status == 2
    assert "Jobs of 2 phones were interrupted (00000001, 00000002)" in result.err


# -- several jobs of a phone ----------------------------------------------------------------------


def test_another_job_says_that_one_was_interrupted(edl: Edl, broken: Path, mini: Path) -> None:
    line = ("--virtual", broken, "write", "0/64+16", mini / "misc.img")
    refused = edl(*line)
    assert refused.status == 9
    assert "error[unfinished-job]: The phone is incomplete, interrupted was: " in refused.err
    assert "rawprogram-1 (edl rawprogram " in refused.err
    assert re.search(r"; \S+ \S+ of 5\.8 MiB written\)\.$", refused.err, re.MULTILINE)
    assert "  try: Finish it first: edl resume\n" in refused.err
    done = edl(*line, "--yes")
    assert done.status == 0
    assert "  note     The phone is incomplete, interrupted was: rawprogram-1 (" in done.err
    assert edl("--virtual", broken, "resume").status == 0
    assert edl(*line).err.count("interrupted") == 0


def test_the_same_command_begins_anew_and_makes_up_for_it(
    edl: Edl, broken: Path, rom: Path
) -> None:
    done = edl("--virtual", broken, "rawprogram", rom, "--no-reset")
    assert done.status == 0
    assert "  note     an interrupted run of this job is begun anew: rawprogram-1 (" in done.err
    assert "this has made up for the interrupted job rawprogram-1" in done.err
    assert edl("resume", "--list").out == "No job was interrupted.\n"


def test_a_job_over_the_same_areas_needs_no_question(edl: Edl, broken: Path, rom: Path) -> None:
    (rom / "c.img").write_bytes(os.urandom(6_000_000))
    other = rom.parent / "other"
    other.mkdir()
    (other / "c.img").write_bytes(bytes(11_000_000))
    write_rows(other, ("c.img", 2048, 22_048, "all"))
    done = edl("--virtual", broken, "--loader", LOADER, "rawprogram", other, "--no-reset")
    assert done.status == 0
    assert "  note     this makes up for an interrupted job: rawprogram-1 (" in done.err


def test_jobs_are_listed_named_and_forgotten(edl: Edl, broken: Path, rom: Path) -> None:
    line = ("--virtual", broken, "write", "0/40000", rom / "b.img", "--yes")
    phone = json.loads((broken / "phone.json").read_text())
    count = phone["counts"]["out"] + 2_000_000
    (broken / "phone.json").write_text(json.dumps({**phone, "faults": [f"unplug@out:{count}"]}))
    assert edl(*line).status == 4
    assert edl("virtual", "edl", broken).status == 0
    listed = edl("resume", "--list", "--json")
    assert [job["name"] for job in listed.last["jobs"]] == ["rawprogram-1", "write-2"]
    assert listed.last["jobs"][1] | {"begun": ""} == {
        "name": "write-2", "serial": SERIAL, "command": "write", "title": "LUN 0 sector 40000",
        "begun": "", "done_bytes": 0, "change_bytes": 6_000_128, "damaged": False,
    }  # fmt: skip
    assert edl("resume", "--list", "--serial", "ffffffff").out == "No job was interrupted.\n"
    assert "There are: rawprogram-1, write-2." in edl("--virtual", broken, "resume", "x-9").err
    first = edl("--virtual", broken, "resume")
    assert first.status == 0
    assert "  resume   edl write LUN 0 sector 40000, begun " in first.err
    assert "  note     also interrupted: rawprogram-1 (edl rawprogram " in first.err
    forgotten = edl("resume", "--forget", "rawprogram-1", "--json")
    assert forgotten.last["forgotten"]["name"] == "rawprogram-1"
    assert edl("resume", "--list", "--json").last == {"v": 1, "type": "result", "jobs": []}


def test_what_does_not_fit_together(edl: Edl, rom: Path) -> None:
    for serial in ("00000001", "00000002"):
        interrupted(serial, {"how": how(rom)})
    for line, told in (
        (("--list", "x-1"), "--list goes with no NAME"),
        (("--list", "--forget"), "--list goes with no NAME"),
        (("--forget",), "Name it: edl resume --forget NAME"),
        (("--forget", "x-1"), "No job called 'x-1' was interrupted."),
        (("--forget", "rawprogram-1"), "Several phones have an interrupted job 'rawprogram-1'."),
    ):
        result = edl("resume", *line)
        assert result.status == 2
        assert told in result.err
    done = edl("resume", "--forget", "rawprogram-1", "--serial", "00000002")
    assert done.out.startswith("Closed: rawprogram-1 (edl nop rom, begun ")


def test_a_damaged_journal_is_told(edl: Edl, broken: Path, rom: Path) -> None:
    (record,) = history.interrupted(SERIAL)
    whole = record.path.read_bytes()
    record.path.write_bytes(bytes(100) + whole[100:])
    result = edl("--virtual", broken, "resume")
    assert result.status == 7
    assert "error[damaged-journal]: The journal " in result.err
    assert edl("--virtual", broken, "rawprogram", rom, "--no-reset").status == 9
    done = edl("--virtual", broken, "rawprogram", rom, "--no-reset", "--yes")
    assert done.status == 0
    assert edl("resume", "--forget", "rawprogram-1").status == 0


def test_a_job_of_which_nothing_is_left_is_closed(edl: Edl, broken: Path, rom: Path) -> None:
    """It was killed when it was done, before it could say so; its command finds nothing to do."""
    edl("resume", "--forget", "rawprogram-1")
    left = interrupted(SERIAL, {"how": how(rom)})
    assert edl("--virtual", broken, "--loader", LOADER, "resume").status == 0
    ended = home.phone_folder(SERIAL) / "jobs" / "ended" / f"{left}.jsonl"
    assert read(ended).end == "repeated"


def test_what_was_asked_before_is_not_asked_again(edl: Edl, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    assert edl("virtual", "new", phone, "qcm2290,size=32MiB,fault=unplug@out:3000000").status == 0
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(32 << 20))
    line = ("--virtual", phone, "--loader", LOADER, "write", "0", image)
    assert "This overwrites LUN 0 from the first sector on" in edl(*line).err
    assert edl(*line, "--yes", "--no-backup").status == 4
    (record,) = history.interrupted(SERIAL)
    assert record.kept.about["how"]["parameters"]["yes"] is True
    assert edl("virtual", "edl", phone).status == 0
    assert edl("--virtual", phone, "resume").status == 0


def test_a_rehearsal_ends_no_job_of_a_phone(edl: Edl, broken: Path, rom: Path) -> None:
    """Virtual phones share a serial number; what one of them still lacks, no rehearsal writes."""
    assert edl("rehearse", rom).status == 0
    assert [record.serial for record in history.interrupted(SERIAL)] == [SERIAL]
    assert edl("--virtual", broken, "resume").status == 0
