# SPDX-License-Identifier: BSD-3-Clause
"""`edl read --rescue`: images of flash that is dying, stopped and gone on with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edl.formats import rescuemap
from edl.formats.rescuemap import Block, Phase, RescueMap
from edl.virtual.phone import Phone
from tests import dumps
from tests.cli.conftest import Edl

SECTORS = 4096  # 2 MiB
LAYOUT = {"boot_a": 256, "modem": 512, "userdata": 0}  # KiB
BOOT_A = 2 + 32 + 6  # its first sector in tests.dumps


def made(folder: Path, *faults: str) -> Path:
    """Return a phone in which every sector of its partitions is another one."""
    with Phone.create(",".join(("qcm2290,size=2MiB", *faults)), folder) as phone:
        dumps.live(phone.storage, "mine", layout=LAYOUT, used_bytes=1 << 20)
        phone.save()
    return folder


def data_of(phone: Path) -> bytes:
    with Phone.open(phone) as opened:
        return opened.storage.luns[0].read(0, SECTORS)


def known(path: Path) -> RescueMap:
    return rescuemap.parse(path.read_bytes())


def bad_sectors(path: Path) -> list[int]:
    return [
        sector
        for run in known(path).runs(Block.BAD)
        for sector in range(run.start // 512, run.end // 512)
    ]


def without(data: bytes, *sectors: int) -> bytes:
    """Return data with zeros in these sectors."""
    blank = bytearray(data)
    for sector in sectors:
        blank[sector * 512 : (sector + 1) * 512] = bytes(512)
    return bytes(blank)


def test_sound_flash(edl: Edl, tmp_path: Path) -> None:
    phone, image = made(tmp_path / "phone"), tmp_path / "all.img"
    done = edl("--virtual", phone, "read", "0", image, "--rescue", "--json")
    assert done.status == 0, done.err
    assert image.read_bytes() == data_of(phone)
    assert done.last["lost"] == []
    assert done.last["saved_bytes"] == done.last["moved_bytes"] == SECTORS * 512
    assert known(tmp_path / "all.img.map").phase is Phase.FINISHED


def test_what_is_lost_is_told_by_name(edl: Edl, tmp_path: Path) -> None:
    phone = made(tmp_path / "phone", "unreadable=0/1000+3", "unreadable=0/2000+1")
    image, where = tmp_path / "all.img", tmp_path / "elsewhere"
    done = edl("--virtual", phone, "read", "0", image, "--rescue", "--map", where, "--json")
    assert done.status == 6
    assert done.last["code"] == "read-failed"
    assert "4 sectors of 'modem', 'userdata'" in done.last["message"]
    told = next(line for line in done.lines if line["type"] == "result")
    assert told["lost"] == [
        {"name": "modem", "first_sector": 1000, "sectors": 3},
        {"name": "userdata", "first_sector": 2000, "sectors": 1},
    ]
    assert (told["bad_bytes"], told["untried_bytes"]) == (4 * 512, 0)
    assert bad_sectors(where) == [1000, 1001, 1002, 2000]
    assert image.read_bytes() == without(data_of(phone), 1000, 1001, 1002, 2000)


def test_it_goes_on_from_the_map(edl: Edl, tmp_path: Path) -> None:
    """The bad sectors can be read the next day: only these are read."""
    phone = made(tmp_path / "phone", "unreadable=0/1000+3")
    image, cold = tmp_path / "all.img", made(tmp_path / "cold", "unreadable=0/1001+1")
    assert edl("--virtual", phone, "read", "0", image, "--rescue").status == 6
    again = edl("--virtual", cold, "read", "0", image, "--rescue", "--retries", 2, "--json")
    assert again.status == 6
    assert "1 sector of 'modem'" in again.last["message"]
    told = next(line for line in again.lines if line["type"] == "result")
    assert told["moved_bytes"] == 2 * 512
    assert image.read_bytes() == without(data_of(phone), 1001)


def test_a_programmer_that_dies(edl: Edl, tmp_path: Path) -> None:
    """The phone resets itself whenever that sector is read: it is waited for, and left for last."""
    phone = made(tmp_path / "phone", "deadly=0/2000+1")
    done = edl("--virtual", phone, "read", "0", tmp_path / "all.img", "--rescue")
    assert done.status == 6
    assert "1 sector of 'userdata' could not be read" in done.err
    assert done.err.count("the programmer died") == 2  # of a large read, and of the sector
    assert (tmp_path / "all.img").read_bytes() == without(data_of(phone), 2000)


def test_a_programmer_that_hangs(edl: Edl, tmp_path: Path) -> None:
    """Nobody holds the keys of a script: it ends, and each run gets on."""
    phone, image = made(tmp_path / "phone", "hanging=0/2000+1"), tmp_path / "all.img"
    runs = 0
    while (done := edl("--virtual", phone, "read", "0", image, "--rescue")).status != 6:
        assert done.status == 4
        assert "goes on, elsewhere first" in done.err
        assert edl("virtual", "edl", phone).status == 0
        runs += 1
        assert runs < 6
    assert runs > 1
    assert "1 sector of 'userdata' could not be read" in done.err
    assert image.read_bytes() == without(data_of(phone), 2000)


def test_a_map_of_ddrescue(edl: Edl, tmp_path: Path) -> None:
    """What ddrescue has saved is not read again, whatever it holds."""
    phone, image = made(tmp_path / "phone"), tmp_path / "boot.img"
    image.write_bytes(b"\xaa" * (256 << 10))
    (tmp_path / "map").write_text(
        "# Mapfile. Created by GNU ddrescue version 1.27\n"
        "0x00010000     *               1\n"
        "0x00000000  0x00010000  +\n0x00010000  0x00000200  *\n0x00010200  0x0003FE00  ?\n"
    )
    done = edl("--virtual", phone, "read", "boot_a", image, "--rescue", "--map", tmp_path / "map")
    assert done.status == 0, done.err
    start = data_of(phone)[BOOT_A * 512 :]
    assert image.read_bytes() == b"\xaa" * 65536 + start[65536 : 256 << 10]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["boot_a,modem", "a.img,b.img", "--rescue"], 2, "one TARGET into one FILE"),
        (["boot_a", "-d", ".", "--rescue"], 2, "one TARGET into one FILE"),
        (["boot_a", "a.img", "--retries", "3"], 2, "belong to --rescue"),
        (["boot_a", "there.img", "--rescue"], 2, "there is no map of it"),
        (["boot_a", "gone.img", "--rescue", "--map", "whole.map"], 2, "there is no gone.img"),
        (["boot_a", "there.img", "--rescue", "--map", "large.map"], 2, "of something larger"),
        (["boot_a", "there.img", "--rescue", "--map", "there.img"], 7, "no map file"),
        (["boot_a", "no/where.img", "--rescue"], 7, "cannot be written"),
        (["boot_a", "there.img", "--rescue", "--map", "."], 7, "cannot be read"),
    ],
)
def test_what_does_not_fit(
    edl: Edl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    phone = made(tmp_path / "phone")
    monkeypatch.chdir(tmp_path)
    Path("there.img").write_bytes(b"something else")
    Path("whole.map").write_text(RescueMap(256 << 10).text())
    Path("large.map").write_text(RescueMap(1 << 20, Block.SAVED).text())
    done = edl("--virtual", phone, "read", *arguments)
    assert done.status == status, done.err
    assert words in done.err
    assert Path("there.img").read_bytes() == b"something else"


def test_force_begins_anew(edl: Edl, tmp_path: Path) -> None:
    phone, image = made(tmp_path / "phone"), tmp_path / "boot.img"
    image.write_bytes(b"something else, and larger" * 20_000)
    (tmp_path / "boot.img.map").write_text(RescueMap(256 << 10, Block.SAVED).text())
    done = edl("--virtual", phone, "read", "boot_a", image, "--rescue", "--force")
    assert done.status == 0, done.err
    assert image.read_bytes() == data_of(phone)[BOOT_A * 512 :][: 256 << 10]


def test_a_full_disk_loses_nothing(edl: Edl, tmp_path: Path) -> None:
    phone, image = made(tmp_path / "phone"), tmp_path / "all.img"
    full = edl("--virtual", phone, "--fault", "disk-full@disk:700000",
               "read", "0", image, "--rescue")  # fmt: skip
    assert full.status == 7
    done = edl("--virtual", phone, "read", "0", image, "--rescue")
    assert done.status == 0, done.err
    assert image.read_bytes() == data_of(phone)


def test_ddrescue_goes_on_with_it(edl: Edl, tmp_path: Path) -> None:
    """The other way round: GNU ddrescue takes image and map over, and reads what was missing."""
    tool = shutil.which("ddrescue")
    if tool is None:
        pytest.skip("ddrescue (gddrescue) is not installed")
    phone, image = made(tmp_path / "phone", "unreadable=0/1000+3"), tmp_path / "all.img"
    assert edl("--virtual", phone, "read", "0", image, "--rescue", "--no-scrape").status == 6
    (tmp_path / "sound").write_bytes(data_of(phone))
    subprocess.run(
        [tool, "-b512", "-r1", tmp_path / "sound", image, tmp_path / "all.img.map"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert image.read_bytes() == data_of(phone)
    assert known(tmp_path / "all.img.map").total(Block.SAVED) == SECTORS * 512
