# SPDX-License-Identifier: BSD-3-Clause
"""What `edl write` and `edl erase` take for a mistake, and what a summary tells of a package."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import packs
from tests.cli.conftest import Edl


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "one.img", tmp_path / "two.img"
    one.write_bytes(b"1" * 5000)
    two.write_bytes(b"2" * 5000)
    return one, two


@pytest.mark.parametrize("targets", ["0/50000+10,0/50000+10", "0/50000,0/50009"])
def test_two_files_for_one_place_are_an_error(
    edl: Edl, phone: Path, files: tuple[Path, Path], targets: str
) -> None:
    result = edl("--virtual", phone, "write", targets, ",".join(map(str, files)), "--yes")
    assert result.status == 7
    assert "overwrites a part of" in result.err
    assert "Name each place once" in result.err
    assert "Nothing was written" in result.err


def test_one_file_named_twice_is_written_once(
    edl: Edl, phone: Path, files: tuple[Path, Path]
) -> None:
    plan = edl(
        *("--virtual", phone, "write", "0/64,0/64", f"{files[0]},{files[0]}", "-n", "--json")
    )
    assert plan.status == 0
    assert plan.last["steps"] == 1


def test_a_table_that_does_not_fit_is_told(edl: Edl, phone: Path, board: Path) -> None:
    result = edl("--virtual", phone, "write", "0/0", board / "gpt_main0.bin", "--dry-run")
    assert result.status == 0
    assert "does not fit this disk" in result.err
    assert "edl gpt repair" in result.err


def test_a_sparse_image_is_one_line_of_a_plan(edl: Edl, phone: Path, tmp_path: Path) -> None:
    image = tmp_path / "holes.img"
    image.write_bytes(
        packs.sparse(1024, b"n" * 1024, 2, (2, b"fill"), b"n" * 1024, 3, (1, b"ab12"))
    )
    result = edl("--virtual", phone, "write", "0/100", image, "--dry-run")
    assert result.status == 0
    [line] = [line for line in result.out.splitlines() if "holes.img" in line and ". write" in line]
    assert "  5 KiB  LUN 0 sector 100+20 in 3 pieces, 5 KiB between them" in line
    assert "5 KiB of" in result.out


def test_an_erase_without_an_end_is_refused(edl: Edl, phone: Path) -> None:
    result = edl("--virtual", phone, "erase", "0/100", "--yes")
    assert result.status == 2
    assert "0/100+SECTORS" in result.err


def test_an_erase_of_one_place_twice_is_one(edl: Edl, phone: Path) -> None:
    plan = edl("--virtual", phone, "erase", "0/64+8,0/64+8", "--dry-run", "--json")
    assert (plan.status, plan.last["steps"]) == (0, 1)


def test_a_summary_tells_what_was_left_out(
    edl: Edl, phone: Path, sample: Path, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    shutil.copytree(sample, package)
    shutil.copy(package / "rawprogram0.xml", package / "rawprogram0_WIPE_PARTITIONS.xml")
    told = edl("--virtual", phone, "rawprogram", package, "--reset", "edl")
    assert told.status == 0
    lines = [line.split(maxsplit=2) for line in told.out.splitlines()]
    out = [line[2] for line in lines if line[:2] == ["left", "out"]]
    assert len(out) == 2
    assert any("rawprogram0_WIPE_PARTITIONS.xml" in line for line in out)
    data = edl("--virtual", phone, "rawprogram", package, "--json").last
    assert [f"{row['what']} ({row['reason']})" for row in data["left_out"]] == out


def test_the_holes_of_a_sparse_image_stay_unless_zeros_are_asked_for(
    edl: Edl, phone: Path, tmp_path: Path
) -> None:
    old, new, back = tmp_path / "old", tmp_path / "new", tmp_path / "back"
    old.write_bytes(b"o" * 4096)
    new.write_bytes(packs.sparse(1024, 1, b"n" * 1024, 2))
    for option, hole in (("leave", b"o"), ("zero", b"\0")):
        assert edl("--virtual", phone, "write", "0/64+8", old, "--yes").status == 0
        result = edl("--virtual", phone, "write", "0/64+8", new, "--yes", "--holes", option)
        assert result.status == 0
        assert ("left out" in result.out) is (option == "leave")
        assert edl("--virtual", phone, "read", "0/64+8", back, "--force").status == 0
        assert back.read_bytes() == hole * 1024 + b"n" * 1024 + hole * 2048


def test_a_sparse_image_without_data_is_told_as_such(edl: Edl, phone: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.img"
    empty.write_bytes(packs.sparse(1024, 4))
    result = edl("--virtual", phone, "write", "0/64+8", empty, "--yes")
    assert result.status == 7
    assert "the image is sparse and holds no data" in result.err


def test_a_file_for_another_partition_is_stopped(edl: Edl, whole: Path, tmp_path: Path) -> None:
    """The magics are those of AOSP's bootimg.h, and of ELF."""
    image = tmp_path / "boot.img"
    image.write_bytes(b"ANDROID!" + bytes(4088))
    stopped = edl("--virtual", whole, "write", "aboot", image, "-y")
    assert stopped.status == 7
    assert "is of another kind than partition aboot holds: Android boot image" in stopped.err
    image.write_bytes(b"\x7fELF" + bytes(4092))
    fitting = edl("--virtual", whole, "write", "aboot", image, "-y")
    assert (fitting.status, "warning" in fitting.err) == (0, False)


def test_a_file_that_is_nothing_known_is_doubted(edl: Edl, whole: Path, tmp_path: Path) -> None:
    image = tmp_path / "holiday.jpg"
    image.write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(1, 255)) * 16)
    doubted = edl("--virtual", whole, "write", "aboot", image, "-y")
    assert doubted.status == 0
    assert "is of no known kind, and the phone starts from aboot." in doubted.err
    assert "write the right one: edl write aboot FILE" in doubted.err
