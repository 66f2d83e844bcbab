# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edl.virtual.phone import Phone
from edl.virtual.storage import Extent
from tests.cli.conftest import Edl
from tests.cli.test_safety import bench

__all__ = ["bench"]

LOOK = ("--virtual", "any", "doctor", "--storage")
WRITE = (*LOOK, "--allow-write", "--yes")


@pytest.fixture(autouse=True)
def few_spots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.doctor.surface.SPOTS", 4)


def everything(bench: Phone, lun: int = 0) -> Extent:
    return Extent(lun, 0, bench.storage.luns[lun].sectors)


@pytest.mark.usefixtures("bench")
def test_sound_storage(edl: Edl) -> None:
    result = edl(*LOOK)
    assert result.status == 0
    assert "\nThe storage reads well: " in result.out
    assert "Whether it keeps what is written was not tried" in result.out
    assert "not the flash" not in result.out  # reading alone cannot tell


def test_storage_that_keeps_what_is_written(edl: Edl, bench: Phone) -> None:
    lun = bench.storage.luns[0]
    tables = lun.read(0, 34)
    result = edl(*WRITE, "--json")
    assert result.status == 0
    assert (result.last["condition"], result.last["written"]) == ("sound", "kept")
    [first, last] = map(int, re.findall(r"\b\d{4,}\b", result.last["write_words"]))
    assert last - first == 7
    assert not any(lun.read(first, 8))  # blank again
    assert lun.read(0, 34) == tables


def test_storage_that_forgets(edl: Edl, bench: Phone) -> None:
    bench.storage.faults = replace(bench.storage.faults, forgotten=(everything(bench),))
    result = edl(*WRITE)
    assert result.status == 1
    assert "says yes to writes and keeps nothing" in result.out
    assert "write test: acknowledged, but not kept" in result.out
    assert "edl backup DIR" in result.out


def test_storage_that_takes_no_writes(edl: Edl, bench: Phone) -> None:
    bench.storage.faults = replace(bench.storage.faults, read_only=True)
    result = edl(*WRITE)
    assert result.status == 1
    assert "but refuses to write: read-only" in result.out
    looked = edl(*LOOK, "--json")  # reading alone cannot tell, and does not claim to
    assert (looked.status, looked.last["condition"]) == (0, "readable")


def test_sectors_that_cannot_be_read(edl: Edl, bench: Phone, tmp_path: Path) -> None:
    bench.storage.faults = replace(bench.storage.faults, unreadable=(Extent(0, 0, 8),))
    drawn = tmp_path / "flash.svg"
    result = edl(*LOOK, "--picture", drawn)
    assert result.status == 1
    assert "worn: 1 spot cannot be read reliably (LUN 0 sectors 0 to 2047)" in result.out
    assert 'class="unreadable"' in drawn.read_text()
    row = edl(*LOOK, "--json").last["luns"][0]["odd"][0]
    assert (row["state"], row["start_sector"]) == ("unreadable", 0)


def test_zeros_that_are_none(edl: Edl, bench: Phone) -> None:
    bench.storage.faults = replace(bench.storage.faults, zeros=(everything(bench),))
    result = edl(*LOOK, "--json")
    states = {row["state"] for row in result.last["luns"][0]["odd"]}
    assert states <= {"withheld"}


@pytest.mark.usefixtures("bench")
def test_nothing_is_written_without_leave(edl: Edl) -> None:
    assert edl(*LOOK, "--allow-write").status == 2
    assert edl("doctor", "--full").status == 2
    assert edl(*LOOK, "--picture", "x.png").status == 2


@pytest.mark.parametrize(
    ("phone", "status", "condition", "words"),
    [
        ("msm8916", 0, "readable", "The storage reads well"),
        ("sdm660,flash=worn", 1, "worn", "2 spots cannot be read reliably"),
        ("msm8953,flash=dead", 1, "dead", "does not answer the programmer"),
        ("sdm660,flash=dead", 1, "dead", "does not answer the programmer"),
        ("qcm2290,flash=dead", 1, "dead", "does not answer the programmer"),
        ("qcm2290-ufs,flash=dead", 1, "dead", "does not answer the programmer"),
        ("qcm2290-ufs,flash=unprovisioned", 1, "unprovisioned", "has no LUNs"),
        ("qcm2290-ufs,flash=blank", 1, "unprovisioned", "has no LUNs"),
        ("qcm2290,life=0x0B/0x0B", 1, "worn", "worn by its own account"),
        ("qcm2290,unreadable=0/0+8", 1, "worn", "LUN 0 sectors 0 to 2047"),
    ],
)
def test_conditions_by_name(
    edl: Edl, tmp_path: Path, phone: str, status: int, condition: str, words: str
) -> None:
    drawn = tmp_path / "flash.html"
    sizes = "luns=8MiB+1MiB" if "ufs" in phone else "size=8MiB"
    look = ("--virtual", f"{phone},{sizes}", "doctor", "--storage", "--picture", drawn)
    result = edl(*look, "--json")
    assert (result.status, result.last["condition"]) == (status, condition)
    assert words in result.last["sentence"]
    assert "storage" in drawn.read_text().lower()


def test_a_slow_stretch_is_named(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.virtual.wear._SLOW_S", 0.3)
    monkeypatch.setattr("edl.doctor.surface.SPOTS", 8)
    result = edl("--virtual", "qcm2290,size=8MiB,flash=slow", "doctor", "--storage")
    assert result.status == 0
    assert "1 spot took far longer than the others (LUN 0 sectors" in result.out


@pytest.mark.parametrize(("wear", "written"), [("read-only", "refused"), ("forgets", "forgotten")])
def test_flash_that_ages(edl: Edl, whole: Path, wear: str, written: str) -> None:
    saved = whole / "phone.json"
    saved.write_text(saved.read_text().replace("qcm2290", f"qcm2290,flash={wear}"))
    look = ("--virtual", whole, "doctor", "--storage", "--allow-write", "--yes", "--json")
    result = edl(*look)
    assert (result.status, result.last["condition"]) == (1, "read-only")
    assert result.last["written"] == written
