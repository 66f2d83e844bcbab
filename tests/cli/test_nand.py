# SPDX-License-Identifier: BSD-3-Clause
"""Modems with NAND: from the package to the chip and back, around its bad blocks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edl.virtual.bootcheck import boot_check
from edl.virtual.nand import NandLun
from edl.virtual.phone import Phone
from tests import nands
from tests.cli.conftest import Edl

BAD = "2+9+21+22"  # in SBL, EFS2 and modem
PAGE = 4096
BLOCK = nands.PAGES * PAGE
EFS2 = nands.image("efs2", 2 * BLOCK + 3 * PAGE)


def make(edl: Edl, folder: Path, options: str = f"bad={BAD}") -> Path:
    """Return a modem of 64 erase blocks in folder."""
    spec = f"nand-modem,size=16MiB,{options}"
    assert edl("virtual", "new", folder, spec).status == 0
    return folder


def chip(folder: Path, start: int, blocks: int) -> bytes:
    """Return what the good blocks among these hold, one behind the other."""
    with Phone.open(folder) as phone:
        nand = phone.storage.luns[0]
        assert isinstance(nand, NandLun)
        pages = nand.chip.pages_per_block
        good = [at for at in range(start, start + blocks) if at not in nand.chip.bad]
        return b"".join(nand.read(at * pages, pages) for at in good)


@pytest.mark.parametrize("reads", ["filler", "skip", "fail"])
def test_a_package_goes_around_bad_blocks(edl: Edl, tmp_path: Path, reads: str) -> None:
    rom = nands.rom(tmp_path / "rom")
    modem = make(edl, tmp_path / "modem", f"bad={BAD},bad-reads={reads}")
    done = edl("--virtual", modem, "rawprogram", rom, "--no-reset")
    assert done.status == 0, done.err
    for label, block, count in nands.LAYOUT:
        if file := nands.IMAGES.get(label):
            data = (rom / file).read_bytes()
            padded = data.ljust(-(-len(data) // PAGE) * PAGE, b"\0")
            held = chip(modem, block, count)
            assert held[: len(padded)] == padded
            assert not held[len(padded) :].strip(b"\xff")
    with Phone.open(modem) as phone:
        assert boot_check(phone.storage).boots
    shown = edl("--virtual", modem, "printgpt", "--json").last
    assert shown["luns"][0]["mibib"] == {"version": 4, "age": 1, "checksum_ok": True}
    names = [each["name"] for each in shown["luns"][0]["partitions"]]
    assert names == ["SBL", "MIBIB", "EFS2", "TZ", "modem", "system"]


def test_pages_of_2048_bytes_and_text(edl: Edl, tmp_path: Path) -> None:
    rom = nands.rom(tmp_path / "rom", 2048)
    modem = make(edl, tmp_path / "modem", "page=2048,bad=")
    told = edl("check", rom)
    assert told.status == 0, told.err
    assert "NAND with pages of 2048 bytes" in told.out + told.err
    assert edl("rehearse", rom).status == 0
    assert edl("--virtual", modem, "rawprogram", rom, "--no-reset").status == 0
    told = edl("--virtual", modem, "printgpt")
    assert "pages of 2048 bytes, 64 in an erase block (128 KiB)" in told.out
    assert "MIBIB: sound (version 4, age 1)" in told.out


def test_a_chip_without_a_table(edl: Edl, tmp_path: Path) -> None:
    told = edl("--virtual", make(edl, tmp_path / "modem"), "printgpt")
    assert told.status != 0
    assert "MIBIB: not found" in told.out


def test_too_many_bad_blocks(edl: Edl, tmp_path: Path) -> None:
    rom = nands.rom(tmp_path / "rom", images={"tz.mbn": nands.image("tz", 3 * BLOCK)})
    modem = make(edl, tmp_path / "modem", "bad=16+17")
    done = edl("--virtual", modem, "rawprogram", rom)
    assert done.status != 0
    assert "out of good blocks" in done.err


def test_an_interrupted_job_goes_on(edl: Edl, tmp_path: Path) -> None:
    rom = nands.rom(tmp_path / "rom")
    modem = make(edl, tmp_path / "modem", f"bad={BAD},fault=unplug@out:1000000")
    assert edl("--virtual", modem, "rawprogram", rom).status != 0
    assert edl("virtual", "edl", modem).status == 0
    done = edl("--virtual", modem, "rawprogram", rom, "--resume", "--json")
    assert done.status == 0, done.err
    data = (rom / "NON-HLOS.ubi").read_bytes()
    assert chip(modem, 20, 12)[: len(data)] == data


@pytest.fixture(scope="session")
def living(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a modem that has its package and its calibration."""
    folder = tmp_path_factory.mktemp("living")
    rom = nands.rom(folder / "rom")
    spec = f"nand-modem,size=16MiB,bad={BAD}"
    with Phone.create(spec, folder / "modem") as phone:
        nand = phone.storage.luns[0]
        assert isinstance(nand, NandLun)
        held = {nands.IMAGES[name]: at for name, at, _ in nands.LAYOUT if name in nands.IMAGES}
        data = {at: (rom / file).read_bytes() for file, at in held.items()}
        for at, image in (data | {4: nands.mibib(PAGE), 8: EFS2}).items():
            pages = iter(page for page in range(at * nands.PAGES, 64 * 64) if not nand.is_bad(page))
            for offset in range(0, len(image), PAGE):
                nand.write(next(pages), image[offset : offset + PAGE].ljust(PAGE, b"\0"))
        phone.save()
    return folder


@pytest.fixture
def modem(living: Path, tmp_path: Path) -> Path:
    """Return a living modem of the test's own."""
    return Path(shutil.copytree(living / "modem", tmp_path / "modem"))


def test_what_exists_only_once_is_kept(edl: Edl, modem: Path, living: Path) -> None:
    before = chip(modem, 8, 8)
    assert before.startswith(EFS2)
    for command in ("erase EFS2 --yes", f"write EFS2 {living / 'rom' / 'tz.mbn'}"):
        done = edl("--virtual", modem, *command.split())
        assert done.status != 0
        assert "--overwrite EFS2" in done.err
    assert chip(modem, 8, 8) == before
    assert edl("--virtual", modem, "erase", "0:EFS2", "--overwrite", "EFS2", "--yes").status == 0
    assert not chip(modem, 8, 8).strip(b"\xff")


@pytest.mark.parametrize("form", ["images", "partitions"])
def test_a_backup_puts_each_block_back(edl: Edl, modem: Path, tmp_path: Path, form: str) -> None:
    all_of_it = chip(modem, 0, 64)
    saved = edl("--virtual", modem, "backup", tmp_path / "saved", "--form", form)
    assert saved.status == 0, saved.err
    assert "lie in bad blocks, which is normal" in saved.out
    manifest = json.loads((tmp_path / "saved" / "manifest.json").read_text())
    bad = [run for each in manifest["luns"][0]["extents"] for run in each["bad"]]
    assert bad == [[2 * 64, 64], [9 * 64, 64], [21 * 64, 128]]
    assert not list((tmp_path / "saved").glob("*.xml"))
    done = edl("--virtual", modem, "erase", "EFS2,modem", "--overwrite", "EFS2", "--yes")
    assert done.status == 0, done.err
    assert chip(modem, 0, 64) != all_of_it
    done = edl("--virtual", modem, "restore", tmp_path / "saved", "EFS2", "modem")
    assert done.status == 0, done.err
    assert chip(modem, 0, 64) == all_of_it
    done = edl("--virtual", modem, "restore", tmp_path / "saved", "--yes")
    assert done.status == 0, done.err
    assert chip(modem, 0, 64) == all_of_it


def test_a_backup_of_a_part_and_a_modem_with_another_layout(
    edl: Edl, modem: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    assert edl("--virtual", modem, "backup", saved, "--only", "TZ,system").status == 0
    done = edl("--virtual", modem, "restore", saved, "--dry-run")
    assert done.status == 0, done.err
    assert "nobody asked for it" in done.out + done.err
    other = tuple((name, at, 3 if name == "0:TZ" else size) for name, at, size in nands.LAYOUT)
    (tmp_path / "mibib").write_bytes(nands.mibib(PAGE, other, age=2))
    assert edl("--virtual", modem, "write", "MIBIB", tmp_path / "mibib").status == 0
    done = edl("--virtual", modem, "restore", saved)
    assert done.status != 0
    assert "'TZ' lies elsewhere" in done.err


def test_blocks_that_do_not_read_are_told(edl: Edl, tmp_path: Path) -> None:
    modem = make(edl, tmp_path / "modem", "bad=9,bad-reads=fail")
    saved = edl("--virtual", modem, "backup", tmp_path / "saved")
    assert saved.status != 0
    assert "64 sectors from 576 on could not be read" in saved.out


def test_filler_is_no_data(edl: Edl, modem: Path, living: Path, tmp_path: Path) -> None:
    told = edl("--virtual", modem, "read", "modem", tmp_path / "modem.img")
    assert told.status == 0
    assert "2 erase blocks" in told.err
    done = edl("--virtual", modem, "write", "modem", tmp_path / "modem.img")
    assert done.status != 0
    assert "bytes 0xEE" in done.err
    assert chip(modem, 20, 12).startswith((living / "rom" / "NON-HLOS.ubi").read_bytes())


def test_only_its_own_backup_goes_back(edl: Edl, modem: Path, tmp_path: Path) -> None:
    assert edl("--virtual", modem, "backup", tmp_path / "saved").status == 0
    other = make(edl, tmp_path / "other", "serial=0x77,bad=")
    for more in ([], ["--from-other-device"], ["EFS2", "--from-other-device"]):
        done = edl("--virtual", other, "restore", tmp_path / "saved", *more)
        assert done.status != 0
        assert "this very modem" in done.err
    assert not chip(other, 0, 64).strip(b"\xff")


def test_sectors_are_whole_blocks(edl: Edl, modem: Path, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x12" * BLOCK)
    done = edl("--virtual", modem, "write", f"0/{40 * 64}+64", tmp_path / "one")
    assert done.status == 0, done.err
    assert chip(modem, 40, 1) == b"\x12" * BLOCK
    for command in (["write", f"0/{40 * 64 + 1}+64", tmp_path / "one"], ["erase", "0/3000+10"]):
        done = edl("--virtual", modem, *command, "--yes")
        assert done.status != 0
        assert "no whole erase blocks" in done.err


def test_packages_for_other_storage_are_refused(edl: Edl, sample: Path, tmp_path: Path) -> None:
    done = edl("--virtual", make(edl, tmp_path / "modem"), "rawprogram", sample)
    assert done.status != 0
    rom = nands.rom(tmp_path / "rom")
    done = edl("--virtual", "qcm2290-ufs,luns=1MiB", "rawprogram", rom)
    assert done.status != 0
    assert "NAND" in done.err
    for path in rom.glob("*.xml"):
        path.write_text(path.read_text().replace('BLOCK="64"', 'BLOCK="128"'))
    done = edl("--virtual", "nand-modem,size=16MiB", "rawprogram", rom)
    assert done.status != 0
    assert "128 pages in an erase block" in done.err
