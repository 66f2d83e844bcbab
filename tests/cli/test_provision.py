# SPDX-License-Identifier: BSD-3-Clause
"""`edl provision`: what it shows, what it refuses, and that nothing happens unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.cli import severe
from edl.units import MIB
from edl.virtual.phone import Phone
from tests.cli.conftest import LOADER, Edl
from tests.dumps import live
from tests.unit.test_provision import lun, whole

LUNS = "luns=64MiB+8MiB+8MiB+4MiB+4MiB+8MiB"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.xml"
    path.write_bytes(whole(luns=(lun(4, size_in_kb=9000),)))
    return path


@pytest.fixture
def ufs(tmp_path: Path) -> Path:
    """Return a phone with UFS that has partitions."""
    folder = tmp_path / "ufs"
    with Phone.create(f"qcm2290-ufs,{LUNS}", folder) as phone:
        live(
            phone.storage, "mine", layout={"modemst1": 64, "persist": 64, "userdata": 0}, active="a"
        )
    return folder


def sizes(folder: Path) -> dict[int, int]:
    with Phone.open(folder) as phone:
        return {number: each.sectors * 4096 for number, each in phone.storage.luns.items()}


def code_of(edl: Edl, *arguments: object) -> str:
    result = edl(*arguments, "-n", "--json")
    assert (result.status, result.last["state"]) == (0, "planned")
    code: str = result.last["code"]
    return code


def test_the_plan_to_scale(edl: Edl, ufs: Path, file: Path) -> None:
    before = sizes(ufs)
    shown = edl("--virtual", ufs, "provision", file, "--dry-run", "--loader", LOADER)
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[1] == "  storage: UFS, 96 MiB, 6 LUNs now"
    assert lines[3].split()[:4] == ["0", "64", "MiB", "76"]
    assert "takes the rest" in lines[3]
    assert lines[6].split()[1:4] == ["4", "MiB", "gone"]
    assert lines[3].count("#") == round(30 * 76 / 96)
    assert sizes(ufs) == before


def test_it_is_done_saved_and_verified(edl: Edl, ufs: Path, file: Path, tmp_path: Path) -> None:
    line = ("--virtual", ufs, "provision", file)
    code = code_of(edl, *line, "--loader", LOADER)
    result = edl(*line, "--allow", code.upper(), "--backup", tmp_path / "saved", "--loader",
                 LOADER, "--json")  # fmt: skip
    assert result.status == 0
    last = result.last
    assert (last["state"], last["answered"], last["verified"]) == ("done", True, True)
    assert last["backup"] == str(tmp_path / "saved")
    assert sizes(ufs) == {0: 76 * MIB, 1: 4 * MIB, 2: 4 * MIB, 4: 12 * MIB}
    assert "persist" in edl("image", "ls", tmp_path / "saved").out
    again = edl(*line, "--allow", code)
    assert (again.status, again.out.splitlines()[-1]) == (
        0, "The storage is divided so already. Nothing was done.",
    )  # fmt: skip


def test_a_new_chip(edl: Edl, tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "blank"
    Phone.create(f"qcm2290-ufs,{LUNS},flash=blank", folder).close()
    told = edl("--virtual", folder, "info", "--loader", LOADER)
    assert told.status == 0
    assert "none: unprovisioned" in told.out
    refused = edl("--virtual", folder, "read", "0/0+8", tmp_path / "x", "--json")
    assert (refused.status, refused.last["code"]) == (6, "unprovisioned")
    line = ("--virtual", folder, "provision", file)
    done = edl(*line, "--allow", code_of(edl, *line), "--loader", LOADER)
    assert done.status == 0
    assert "verified after a restart" in done.out
    assert "4 LUNs" in edl("--virtual", folder, "info").out


def test_by_default_userdata_is_not_saved(edl: Edl, ufs: Path, file: Path) -> None:
    line = ("--virtual", ufs, "provision", file, "--loader", LOADER)
    done = edl(*line, "--allow", code_of(edl, *line), "--json")
    listed = edl("image", "ls", done.last["backup"]).out
    assert "persist" in listed
    assert "userdata" not in [line.split()[1] for line in listed.splitlines() if "MiB" in line]


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ((), 9, "safety"),
        (("--allow", "12345678"), 9, "safety"),
        (("--yes",), 2, "usage"),
        (("--finalize",), 2, "usage"),
        (("--finalize-provisioning",), 2, "usage"),
        (("--backup", "x", "--no-backup"), 2, "usage"),
    ],
)
def test_nothing_happens_unasked(
    edl: Edl, ufs: Path, file: Path, options: tuple[str, ...], status: int, code: str
) -> None:
    before = sizes(ufs)
    result = edl("--virtual", ufs, "provision", file, *options, "--loader", LOADER, "--json")
    assert (result.status, result.last["code"]) == (status, code)
    assert sizes(ufs) == before


def test_a_final_layout_needs_more(edl: Edl, ufs: Path, file: Path) -> None:
    file.write_bytes(whole({"bConfigDescrLock": 1}))
    line = ("--virtual", ufs, "provision", file, "--loader", LOADER)
    refused = edl(*line, "-n", "--json")
    assert (refused.status, refused.last["code"]) == (9, "safety")
    open_code = severe.code("provision", "x")
    assert edl(*line, "--finalize", "--allow", open_code).status == 9
    code = code_of(edl, *line, "--finalize")
    done = edl(*line, "--finalize", "--no-backup", "--allow", code)
    assert done.status == 0
    assert "can never be changed again" in done.out
    locked = edl("--virtual", ufs, "provision", file, "--finalize", "--json")
    assert (locked.status, locked.last["code"]) == (9, "layout-locked")


def test_a_word_is_typed(edl: Edl, ufs: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sizes(ufs)
    monkeypatch.setattr("edl.cli.app.App.at_terminal", True)
    typed: list[str] = []

    def prompt(text: str, **_: object) -> str:
        typed.append(text)
        return "provision" if len(typed) == 1 else "PROVISION"

    monkeypatch.setattr("click.prompt", prompt)
    line = ("--virtual", ufs, "provision", file, "--no-backup", "--loader", LOADER)
    assert edl(*line).status == 130
    assert sizes(ufs) == before
    done = edl(*line)
    assert done.status == 0
    assert "ALL DATA ON IT IS LOST, and nothing of it is saved" in done.err
    assert "Type PROVISION to go on" in typed[0]


def test_what_cannot_be_read_stops_it(edl: Edl, file: Path) -> None:
    phone = f"qcm2290-ufs,{LUNS},unreadable=5/8+8"
    line = ("--virtual", phone, "provision", file, "--loader", LOADER)
    result = edl(*line, "--allow", code_of(edl, *line), "--json")
    assert (result.status, result.last["code"]) == (9, "safety")
    assert "--no-backup" in result.last["remedies"][0]


def test_other_storage_and_other_files(edl: Edl, tmp_path: Path, file: Path) -> None:
    emmc = edl("--virtual", "msm8916,size=8MiB", "provision", file, "-n", "--json", "--loader",
               "loaders/prog_emmc_firehose_8916_test.mbn")  # fmt: skip
    assert (emmc.status, emmc.last["code"]) == (6, "wrong-storage")
    assert edl("provision", tmp_path / "none.xml", "--json").last["code"] == "image"
    file.write_bytes(b"<data/>")
    assert edl("provision", file, "--json").last["code"] == "document"


# what it is told: configure twice, about itself and six LUNs, the rehearsal of six rows, five rows
COMMIT = 2 + 7 + 6 + 5


@pytest.mark.parametrize(
    ("fault", "status", "code", "state"),
    [
        (f"mute@command:{COMMIT}", 4, "timeout", "nobody knows how its storage is divided now"),
        (f"mute@command:{COMMIT - 1}", 4, "timeout", ""),  # a row: nothing has changed
        (f"nak@command:{COMMIT}", 6, "refused", "the storage is divided as it was"),
    ],
)
def test_what_is_on_the_phone_after_a_failure(
    edl: Edl, ufs: Path, file: Path, fault: str, status: int, code: str, state: str
) -> None:
    words = ("--virtual", ufs, "provision", file, "--loader", LOADER, "--no-backup")
    allow = code_of(edl, *words)
    assert edl("virtual", "edl", ufs).status == 0
    result = edl(*words, "--allow", allow, "--fault", fault, "--json")
    assert (result.status, result.last["code"]) == (status, code)
    assert result.last["state"].startswith(state)
    assert bool(result.last["state"]) == bool(state)


def test_a_phone_that_leaves_instead_of_an_answer_is_looked_at(
    edl: Edl, ufs: Path, file: Path
) -> None:
    words = ("--virtual", ufs, "provision", file, "--loader", LOADER, "--no-backup")
    allow = code_of(edl, *words)
    assert edl("virtual", "edl", ufs).status == 0
    before = sizes(ufs)
    result = edl(*words, "--allow", allow, "--fault", f"reset@command:{COMMIT}", "--json")
    assert (result.status, result.last["code"]) == (8, "verify")  # it had not done it yet
    assert "left without an answer" in result.last["message"]
    assert sizes(ufs) == before
