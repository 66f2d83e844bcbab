# SPDX-License-Identifier: BSD-3-Clause
"""LG's tot files, from the file to what is on a virtual phone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edl.errors import PackageError
from edl.plan.job import Rules
from tests import phones
from tests.packages import lgs
from tests.packages.installing import held, install, opened
from tests.packages.making import noise
from tests.packages.test_lg import saved, table

__all__ = ["table"]

BOOT, ONE, TWO = noise(3000), noise(1024, 2), noise(512, 3)


def pieces(table: bytes) -> list[tuple[str, int, bytes]]:
    return [
        ("PrimaryGPT", 0, table),
        ("boot", 128, BOOT),
        ("persist", 192, noise(512, 5)),
        ("system", 256, ONE),
        ("system", 270, TWO),
        ("userdata", 320, noise(512, 4)),
        ("BackupGPT", 19_000, bytes(33 * 512)),
    ]


@pytest.mark.parametrize("names_at", [lgs.OLD_NAMES, lgs.NEW_NAMES])
def test_a_tot_becomes_what_the_phone_holds(names_at: int, table: bytes, tmp_path: Path) -> None:
    path = saved(tmp_path / "LGLS970.tot", lgs.tot(*pieces(table), names_at=names_at))
    package, told = opened(path)
    assert told.kind == "LG package (tot)"
    assert dict(package.left_out)["userdata"].startswith("it replaces your data")
    with phones.plug("msm8953") as bench:
        flash = bench.flash.luns[0]
        flash.write(0, b"\xee" * flash.sectors * 512)
        install(bench, package, Rules(overwrite=("persist",)))
        assert held(bench, 128, 6) == BOOT.ljust(6 * 512, b"\0")
        assert held(bench, 256, 2) == ONE
        assert held(bench, 258, 1) == b"\xee" * 512  # between the pieces
        assert held(bench, 270, 1) == TWO
        assert held(bench, 320, 1) == b"\xee" * 512
        whole = saved(tmp_path / "disk", held(bench, 0, flash.sectors))
    verdict = subprocess.run(["sgdisk", "-v", whole], capture_output=True, check=False, text=True)
    assert "No problems found" in verdict.stdout
    assert len(list(opened(path, wipe="yes")[0].rows)) == len(list(package.rows)) + 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"boot": ("boot", 129, noise(64 * 512))}, "'boot' is said to lie at sector 129"),
        ({"boot": ("tz", 128, BOOT)}, "'tz' is said to lie at sector 128"),
        ({"PrimaryGPT": ("PrimaryGPT", 5, b"x")}, "It has no partition table"),
        ({"PrimaryGPT": ("PrimaryGPT", 0, noise(34 * 512))}, "'EFI PART' is not where it belongs"),
    ],
)
def test_a_tot_that_contradicts_itself(
    change: dict[str, tuple[str, int, bytes]], told: str, table: bytes, tmp_path: Path
) -> None:
    changed = [change.get(piece[0], piece) for piece in pieces(table)]
    with pytest.raises(PackageError, match=told) as caught:
        opened(saved(tmp_path / "a.tot", lgs.tot(*changed)))
    assert "Download it again" in caught.value.remedies[0]


def test_a_damaged_table(table: bytes, tmp_path: Path) -> None:
    damaged = bytearray(table)
    damaged[1100] ^= 1
    with pytest.raises(PackageError, match="checksums of its partition table are wrong"):
        opened(saved(tmp_path / "a.tot", lgs.tot(*pieces(bytes(damaged)))))


@pytest.mark.parametrize(
    ("name", "data", "told", "remedy"),
    [
        ("a.tot", bytes(9000), "By its name it is a package of LG", "Download it again"),
        (
            "a.bin",
            b"\x44\xec\x55\xaa" + bytes(99),
            "a bin file of LG from before 2012",
            "download mode",
        ),
        ("a.qsb", bytes(9000), "By its name it is a package of Lenovo", "LenovoWinTools"),
        ("a.up", bytes(9000), "By its name it is an update of ZTE", "the folder for EDL mode"),
        ("a.raw", bytes(9000), "By its name it may be a package of ASUS", "ASUS Flash Tool"),
        ("a.img", b"ASUS MAGIC!\n" + bytes(9000), "one image of ASUS", "Name the folder"),
    ],
)
def test_what_nobody_has_described_is_named(
    name: str, data: bytes, told: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(PackageError, match=told) as caught:
        opened(saved(tmp_path / name, data))
    assert remedy in " ".join(caught.value.remedies)
