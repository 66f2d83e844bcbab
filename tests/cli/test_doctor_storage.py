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
    assert "\nThe storage is sound: " in result.out
    assert "Whether it keeps what is written was not tried" in result.out


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
    assert edl(*LOOK).status == 0  # reading alone cannot tell


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
