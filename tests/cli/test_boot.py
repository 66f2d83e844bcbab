# SPDX-License-Identifier: BSD-3-Clause
"""The look at a phone before its restart, and at what it comes back as, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from edl.boot import remembered
from edl.boot.model import Earlier
from edl.cli.app import App
from edl.errors import TransportError
from edl.home import home
from edl.plan.home import make_folder, phone_folder
from edl.virtual.phone import Phone
from loaders.signing import OTHER
from tests.boot import chains
from tests.cli.conftest import Edl, write_rows

LINE = ("rawprogram", "--json")


@pytest.fixture
def sound(edl: Edl, tmp_path: Path) -> Path:
    """Return a phone with a whole boot chain, in EDL mode, that comes back as Android."""
    return made(edl, tmp_path / "sound", "qcm2290,size=16MiB,starts=adb")


def made(edl: Edl, folder: Path, spec: str) -> Path:
    assert edl("virtual", "new", folder, spec).status == 0
    with Phone.open(folder) as phone:
        chains.emmc(phone.storage)
    return folder


def package(folder: Path, phone: Path, **images: bytes) -> Path:
    """Return a package that writes these images to where the phone has them."""
    folder.mkdir()
    with Phone.open(phone) as opened:
        places = {name: chains.place(opened.storage, name)[1] for name in images}
    for name, data in images.items():
        (folder / f"{name}.img").write_bytes(data)
    rows = [(f"{name}.img", places[name], chains.SIZE // 512, name) for name in images]
    write_rows(folder, *rows)
    return folder


def test_a_good_job_restarts_and_is_watched(edl: Edl, sound: Path, tmp_path: Path) -> None:
    rom = package(tmp_path / "rom", sound, tz=chains.image("new tz", rollback=2))
    told = edl("--virtual", sound, "rawprogram", rom, "--watch", "5")
    assert told.status == 0
    assert "  start      ready to start; 6 boot images are signed with its key\n" in told.out
    assert "  expect     The first start takes up to 5 minutes.\n" in told.out
    assert "  came back  Its system runs: it came back as Android with USB debugging.\n" in told.out


def test_the_result_has_it_all(edl: Edl, sound: Path, tmp_path: Path) -> None:
    rom = package(tmp_path / "rom", sound, tz=chains.image("new tz", rollback=2))
    result = edl("--virtual", sound, *LINE, rom).last
    assert result["boot"]["verdict"] == "ready"
    assert result["came_back"] is None  # nobody watches without a terminal
    assert result["reset"] == "reset"
    assert edl("virtual", "edl", sound).status == 0
    left_out = edl("--virtual", sound, *LINE, rom, "--no-boot-check", "--watch", "1").last
    assert left_out["boot"] is None
    assert left_out["came_back"]["as"] == "system"


def test_a_phone_that_would_not_start_stays_in_edl_mode(
    edl: Edl, sound: Path, tmp_path: Path
) -> None:
    rom = package(tmp_path / "rom", sound, xbl=chains.image("x", vendor=OTHER, version=5))
    ended = edl("--virtual", sound, *LINE, rom, "--yes", "--watch", "5")
    result, error = ended.lines[-2:]
    assert (result["reset"], result["boot"]["verdict"]) == (None, "not ready")
    assert result["verified_bytes"] == result["written_bytes"] or result["unchanged_bytes"]
    assert (ended.status, error["code"]) == (8, "not-ready")
    assert "signed with test keys" in error["message"]
    assert [each["code"] for each in result["boot"]["expect"]] == ["edl"]
    assert edl("--virtual", sound, "nop").status == 0  # it is still there

    told = edl("--virtual", sound, "rawprogram", rom)
    assert told.status == 8
    assert "  next       edl reset (the phone is still in EDL mode)\n" in told.out
    assert "  start      would not start" in told.out
    assert "  error: LUN 0: 'xbl' (first boot loader) is signed with test keys" in told.err
    assert edl("resume", "--list", "--json").last["jobs"] == []  # the job itself is done


@pytest.mark.parametrize("option", ["--no-reset", "--reset=edl", "--no-boot-check"])
def test_what_was_asked_for_is_done(edl: Edl, sound: Path, tmp_path: Path, option: str) -> None:
    rom = package(tmp_path / "rom", sound, tz=b"\0" * 4096)
    ended = edl("--virtual", sound, *LINE, rom, option)
    assert ended.status == 0
    assert (ended.last["boot"] is None) == (option == "--no-boot-check")


@pytest.mark.parametrize("insists", [True, False])
def test_somebody_at_a_terminal_is_asked(
    edl: Edl, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, insists: bool
) -> None:
    rom = package(tmp_path / "rom", sound, abl=b"\0" * 4096)
    monkeypatch.setattr(App, "at_terminal", True)
    asked: list[str] = []

    def prompt(text: str, *, value_proc: Callable[[str], bool], **_: object) -> bool:
        asked.append(text)
        return value_proc("y" if insists else "q")

    monkeypatch.setattr(click, "prompt", prompt)
    assert edl("--virtual", sound, "rawprogram", rom).status == (0 if insists else 8)
    assert asked == ["Restart it all the same? [y/N]"]


def test_older_images_than_before(edl: Edl, sound: Path, tmp_path: Path) -> None:
    with Phone.open(sound) as phone:
        chains.fill(phone.storage, "tz", chains.image("tz", rollback=7))
    rom = package(tmp_path / "rom", sound, tz=chains.image("tz", rollback=6))
    ended = edl("--virtual", sound, *LINE, rom)
    assert ended.status == 8
    assert next(f["code"] for f in ended.lines[-2]["boot"]["findings"]) == "rollback-lower"


def codes(boot: dict[str, Any]) -> set[str]:
    """Return the codes of what a look at a phone found."""
    return {finding["code"] for finding in boot["findings"]}


def test_what_was_there_before_outlives_the_job_that_replaced_it(
    edl: Edl, sound: Path, tmp_path: Path
) -> None:
    with Phone.open(sound) as phone:
        chains.fill(phone.storage, "tz", chains.image("tz", rollback=7))
        chains.fill(phone.storage, "vbmeta", chains.vbmeta({}, rollback_index=3))
    tz, vbmeta = chains.image("tz", rollback=6), chains.vbmeta({}, rollback_index=2)
    rom = package(tmp_path / "rom", sound, tz=tz, vbmeta=vbmeta)
    assert edl("--virtual", sound, "--fault", "unplug@program:1", *LINE, rom).status == 4
    assert edl("virtual", "edl", sound).status == 0
    resumed = edl("--virtual", sound, "--json", "resume")
    assert resumed.status == 8
    lower = {"rollback-lower", "rollback-index-lower"}
    assert lower < codes(resumed.lines[-2]["boot"])
    looked = edl("--virtual", sound, "--json", "boot-check")
    assert lower < codes(looked.lines[-2])

    # it runs: whatever was there before, it takes what is there now
    assert edl("--virtual", sound, "reset").status == 0
    assert edl("virtual", "edl", sound).status == 0
    newer = package(tmp_path / "newer", sound, tz=tz)
    again = edl("--virtual", sound, *LINE, newer, "--yes", "--no-reset").last
    assert lower < codes(again["boot"])
    kept = home() / "phones" / "1a2b3c4d" / "rollback.json"
    assert json.loads(kept.read_text())["rollback"]["tz"] == 7
    remembered.forget("1a2b3c4d")
    remembered.forget("1a2b3c4d")
    assert edl("--virtual", sound, "--json", "boot-check").last["verdict"] == "ready"


def test_a_phone_whose_system_runs_has_taken_what_it_has(
    edl: Edl, sound: Path, tmp_path: Path
) -> None:
    rom = package(tmp_path / "rom", sound, tz=chains.image("tz", rollback=2))
    kept = home() / "phones" / "1a2b3c4d" / "rollback.json"
    assert edl("--virtual", sound, *LINE, rom, "--no-reset").status == 0
    assert json.loads(kept.read_text())["rollback"]["tz"] == 1
    assert edl("--virtual", sound, *LINE, rom, "--watch", "1").last["came_back"]["as"] == "system"
    assert not kept.exists()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"rollback": 5, "verified": {}}', '{"rollback": {}}', "[" * 9999, "\xff"],
)
def test_what_is_kept_is_not_trusted(text: str) -> None:
    folder = make_folder(phone_folder("0badcafe"))
    (folder / "rollback.json").write_text(text, encoding="latin-1")
    assert remembered.recall("0badcafe") == Earlier()
    some = '{"rollback": {"tz": 3, "abl": "x", "xbl": -1, "hyp": true}, "verified": {}}'
    (folder / "rollback.json").write_text(some)
    assert remembered.recall("0badcafe") == Earlier({"tz": 3})


def test_one_image_of_the_boot_chain_is_looked_at_after_it_was_written(
    edl: Edl, sound: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tz.img"
    file.write_bytes(chains.image("tz", vendor=OTHER, version=5).ljust(chains.SIZE, b"\0"))
    wrong = edl("--virtual", sound, "write", "tz", file)
    assert wrong.status == 0  # other images may follow
    assert "  error: LUN 0: 'tz' (TrustZone) is signed with test keys" in wrong.err
    assert "  start      would not start; 5 boot images are signed with its key\n" in wrong.out
    assert wrong.out.endswith("  why        edl boot-check\n")
    left_out = edl("--virtual", sound, "--json", "write", "tz", file, "--no-boot-check").last
    assert left_out["boot"] is None
    other = edl("--virtual", sound, "--json", "write", "misc", file).last
    assert "boot" not in other
    erased = edl("--virtual", sound, "--json", "erase", "tz", "--yes").last
    assert erased["boot"]["verdict"] == "not ready"


def test_a_phone_that_does_not_start_is_told(edl: Edl, sound: Path, tmp_path: Path) -> None:
    rom = package(tmp_path / "rom", sound, xbl=b"\0" * 4096)
    ended = edl("--virtual", sound, *LINE, rom, "--no-boot-check", "--watch", "9")
    result, error = ended.lines[-2:]
    assert result["came_back"]["as"] == "edl"
    assert not result["virtual_boot"]["boots"]
    assert (ended.status, error["code"]) == (8, "not-ready")
    assert error["remedies"] == ["See why: edl boot-check"]


def test_what_cannot_be_read_does_not_fail_the_job(edl: Edl, tmp_path: Path) -> None:
    phone = made(edl, tmp_path / "phone", "qcm2290,size=16MiB,unreadable=0/1088+8")  # in tz
    with Phone.open(phone) as opened:
        assert chains.place(opened.storage, "tz") == (0, 1088)
    rom = package(tmp_path / "rom", phone, hyp=chains.image("hyp", rollback=3))
    ended = edl("--virtual", phone, "rawprogram", rom)
    assert ended.status == 0
    assert "  note     not looked at: 'tz' could not be looked at: " in ended.err
    assert "  start      may start; see the warnings" in ended.out


def test_a_bus_that_cannot_be_watched(
    edl: Edl, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sights(*_: object) -> None:
        raise TransportError("no libusb")

    monkeypatch.setattr("edl.boot.watch.sights", sights)
    rom = package(tmp_path / "rom", sound, hyp=chains.image("hyp", rollback=3))
    ended = edl("--virtual", sound, "rawprogram", rom, "--watch", "5")
    assert ended.status == 0
    assert "What it comes back as cannot be watched: no libusb" in ended.err


def test_ctrl_c_ends_the_watch_and_not_the_job(
    edl: Edl, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watched(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edl.boot.watch.watch", watched)
    rom = package(tmp_path / "rom", sound, hyp=chains.image("hyp", rollback=3))
    ended = edl("--virtual", sound, "rawprogram", rom, "--watch", "5")
    assert ended.status == 0
    assert "No longer watched" in ended.err


def test_a_restore_is_looked_at_as_well(edl: Edl, sound: Path, tmp_path: Path) -> None:
    assert edl("--virtual", sound, "backup", tmp_path / "backup").status == 0
    with Phone.open(sound) as phone:
        chains.fill(phone.storage, "xbl", b"")
    line = ("--virtual", sound, "restore", tmp_path / "backup", "tz", "--unchanged", "write")
    ended = edl(*line, "--yes", "--reset", "system", "--json")
    assert (ended.status, ended.lines[-2]["boot"]["verdict"]) == (8, "not ready")
    ended = edl("--virtual", sound, "restore", tmp_path / "backup", "--yes", "--reset", "system",
                "--json")  # fmt: skip
    assert (ended.status, ended.last["boot"]["verdict"]) == (0, "ready")


def test_boot_check(edl: Edl, sound: Path) -> None:
    told = edl("--virtual", sound, "boot-check")
    assert told.status == 0
    assert told.out.startswith("Boot chain (no slots):\n")
    tz = "  tz               signed with this phone's key, a test key; rollback version 1\n"
    assert tz in told.out
    with Phone.open(sound) as phone:
        chains.fill(phone.storage, "abl", b"")
    ended = edl("--virtual", sound, "boot-check", "--json")
    assert [line["type"] for line in ended.lines[-2:]] == ["result", "error"]
    assert (ended.status, ended.lines[-2]["verdict"]) == (8, "not ready")
    told = edl("--virtual", sound, "boot-check")
    assert "error[not-ready]: The phone would not start: 'abl' is empty." in told.err
    assert "  abl              EMPTY\n" in told.out


def test_boot_check_of_ufs(edl: Edl, tmp_path: Path) -> None:
    spec = "qcm2290-ufs,luns=16MiB+8MiB+8MiB+8MiB+16MiB+8MiB"
    assert edl("virtual", "new", tmp_path / "phone", spec).status == 0
    with Phone.open(tmp_path / "phone") as phone:
        chains.ufs(phone.storage, "b")
    told = edl("--virtual", tmp_path / "phone", "boot-check")
    assert told.status == 0
    assert told.out.startswith("Boot chain (slot b, LUN 2):\n")
    assert "info: Slot b boots from LUN 2; which LUN is set, no programmer tells." in told.err
    wrong = edl("--virtual", tmp_path / "phone", "boot-check", "--boot-lun", "1")
    assert wrong.status == 8
    assert "its boot loader starts slot b from LUN 2 only" in wrong.err
