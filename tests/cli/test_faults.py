# SPDX-License-Identifier: BSD-3-Clause
"""Faults as a user meets them: what is said, and with which exit status."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edl.virtual.faultkinds import TABLE, Kind
from edl.virtual.phone import Phone
from tests.cli.conftest import Edl, write_rows
from tests.cli.test_json import held
from tests.conftest import REPO

PROFILE = "qcm2290,size=64MiB"


def test_the_faults_are_listed(edl: Edl) -> None:
    listed = edl("virtual", "faults")
    assert all(row.example in listed.out for row in TABLE.values())
    rows = held(edl("virtual", "faults", "--json"), "virtual faults").last["faults"]
    assert [row["kind"] for row in rows] == [*Kind]


def test_the_documentation_has_each_kind_and_example() -> None:
    text = (REPO / "docs" / "virtual-phones.md").read_text(encoding="utf-8")
    for kind, row in TABLE.items():
        assert f"| `{kind}` | {row.title} |" in text
        assert f"| `{row.example}` |" in text


def test_faults_are_for_virtual_phones(edl: Edl) -> None:
    refused = edl("--fault", "unplug@in:0", "info")
    assert refused.status == 2
    assert "--fault is for virtual phones." in refused.err
    refused = edl("--virtual", PROFILE, "--fault", "explode", "info")
    assert refused.status == 2
    assert "edl virtual faults" in refused.err


NOTHING_WRONG = "verified   "
# What a user is told of each kind in the main job: fault, exit status, words.
MET = [
    ("unplug@program:1", 4, "error[device-gone]"),
    ("reset@program:1", 4, "error[device-gone]"),
    ("reset@program:1:system", 4, "error[device-gone]"),
    ("reset@program:1:crash", 4, "error[device-gone]"),
    ("reset@program:1:off", 4, "error[device-gone]"),
    ("stall@in-transfer:1", 4, "error[transport]: Could not read from"),
    ("freeze@out:30000", 4, "takes no data"),
    ("timeout@in-transfer:3", 0, NOTHING_WRONG),
    ("short@out-transfer:7:512", 0, NOTHING_WRONG),
    ("overflow@in:3000", 4, "sent more than a packet: data was lost"),
    ("swallow@in-transfer:0", 0, NOTHING_WRONG),
    ("zlp-lost@out-transfer:30", 4, "error[timeout]"),
    ("zlp-extra@in-transfer:9", 0, NOTHING_WRONG),
    ("corrupt@out:20000:01", 6, "error[programmer-refused]"),
    ("garbage@in-transfer:30", 0, NOTHING_WRONG),
    ("busy", 4, "error[access]"),
    ("denied", 4, "error[access]"),
    ("nak@configure:0", 6, "The programmer refused <configure>."),
    ("nak@program:0", 6, "The programmer refused <program>."),
    ("nak@power:0", 0, "refused <power>. Everything is on the phone"),
    ("late-nak@program:0", 6, "The programmer failed at <program>"),
    ("mute@program:0", 4, "The programmer did not answer <program>."),
    ("late@program:0:60", 4, "The programmer did not answer <program>."),
    ("early@program:0", 0, NOTHING_WRONG),
    ("glued@program:0", 0, NOTHING_WRONG),
    ("split@program:0", 0, NOTHING_WRONG),
    ("malformed@program:0", 5, "The programmer's answer to <program> is garbled"),
    ("flood@program:0:300", 0, NOTHING_WRONG),
    ("digest@getsha256digest:0", 0, NOTHING_WRONG),
    ("sector-size@getstorageinfo:0", 6, "error[wrong-sector-size]"),
    ("sectors@getstorageinfo:0:1000", 7, "do not fit: LUN 0 has 1000"),
    ("forget@program:0", 0, "differs from what was sent: writing it again"),
    ("unreadable@getsha256digest:0", 0, NOTHING_WRONG),
    ("slow@program:0:600", 4, "The programmer did not answer <program>."),
    ("source-changed@source:100", 7, "boot.img has changed since it was checked."),
    ("source-cut@source:100", 7, "boot.img has become shorter while it was being used."),
]


@pytest.mark.parametrize(("fault", "status", "words"), MET)
def test_what_a_user_is_told(edl: Edl, mini: Path, fault: str, status: int, words: str) -> None:
    ended = edl(
        "--virtual", PROFILE, "--fault", fault, "rawprogram", mini, "--yes", "--no-boot-check"
    )
    assert words in ended.out + ended.err
    assert ended.status == status


def test_logs_without_end(edl: Edl, mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.device.dialogue._MAX_LOGS", 500)
    line = (
        "--virtual",
        PROFILE,
        "--fault",
        "flood@program:0:0",
        "rawprogram",
        mini,
        "--yes",
        "--no-boot-check",
    )
    ended = edl(*line)
    assert ended.status == 5
    assert "The phone logs without end" in ended.err


def test_more_sectors_than_were_asked_for(edl: Edl, tmp_path: Path) -> None:
    line = ("--virtual", PROFILE, "--fault", "overflow@read:0", "read", "0/0+8", tmp_path / "x")
    assert edl(*line).status == 0
    assert (tmp_path / "x").read_bytes() == bytes(8 * 512)


def test_sectors_that_cannot_be_read(edl: Edl, tmp_path: Path) -> None:
    line = ("--virtual", PROFILE, "--fault", "unreadable@read:0", "read", "0/0+8", tmp_path / "x")
    ended = edl(*line)
    assert ended.status == 6
    assert "error[read-failed]" in ended.err
    assert not (tmp_path / "x").exists()


def test_a_file_that_changes_while_it_is_written(edl: Edl, mini: Path) -> None:
    line = ("--virtual", PROFILE, "--fault", "source-changed@source:100", "write", "0/2048+16")
    ended = edl(*line, mini / "boot.img", "--yes")
    assert ended.status == 7
    assert "boot.img has changed since it was checked." in ended.err


def test_a_full_disk(edl: Edl, tmp_path: Path, whole: Path) -> None:
    line = ("--virtual", whole, "--fault", "disk-full@disk:5000", "backup", tmp_path / "saved")
    ended = edl(*line)
    assert ended.status == 7
    assert "error[disk]" in ended.err
    assert "No space left on device" in ended.err


def test_faults_of_one_run_are_gone_in_the_next(edl: Edl, phone: Path, mini: Path) -> None:
    faults = ("--fault", "nak@program:0", "--fault", "unplug@out:900000000")
    assert (
        edl("--virtual", phone, *faults, "rawprogram", mini, "--yes", "--no-boot-check").status == 6
    )
    assert edl("--virtual", phone, "rawprogram", mini, "--yes", "--no-boot-check").status == 0


@pytest.mark.parametrize("profile", ["msm8953", "qcm2290"])
def test_edl_is_killed_and_the_phone_lives_on(edl: Edl, tmp_path: Path, profile: str) -> None:
    phone, package = tmp_path / "phone", tmp_path / "package"
    assert edl("virtual", "new", phone, f"{profile},size=16MiB").status == 0
    package.mkdir()
    image = bytes(range(256)) * 1200
    (package / "boot.img").write_bytes(image)
    write_rows(package, ("boot.img", 2048, 600, "boot"))
    program = shutil.which("edl", path=str(Path(sys.executable).parent))
    assert program is not None
    faulty = (program, "--virtual", phone, "--fault", "kill@out:200000")
    line = (*faulty, "rawprogram", package, "-y", "--no-boot-check")
    killed = subprocess.run([*map(str, line)], capture_output=True, text=True, check=False)
    assert killed.returncode == -9
    with Phone.open(phone) as left:
        assert left.storage.luns[0].read(2048, 600) != image
    # it takes everything for data, also a question: only the journal knows how much it waits for
    again = edl("--virtual", phone, "resume")
    assert again.status == 0
    assert "still waits for data" in again.err
    assert "verified " in again.out
    with Phone.open(phone) as left:
        assert left.storage.luns[0].read(2048, 600) == image
