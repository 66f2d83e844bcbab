# SPDX-License-Identifier: BSD-3-Clause
"""LG's packages, from the file to what is on a virtual phone."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from edl.errors import ImageError, PackageError
from edl.formats import gpt
from edl.package import Package
from edl.packages import whole
from edl.plan.job import Rules
from tests import dumps, phones
from tests.packages import lgs
from tests.packages.installing import held, install, opened, plan
from tests.packages.lgs import Piece
from tests.packages.making import noise, sparse
from tests.packs import EMMC

DISK = 20_000  # of the phone that the package was made for; virtual ones have 32768 sectors
BOOT, SYSTEM = noise(3000), noise(2048, 2)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the first sectors of a disk that sgdisk has partitioned."""
    disk = tmp_path_factory.mktemp("disk") / "disk"
    with disk.open("wb") as file:
        file.truncate(DISK * 512)
    numbered = enumerate(("modem", "boot", "persist", "system", "userdata", "grow"), 1)
    rows = [(n, name, 64 * n) for n, name in numbered]
    words = [f"--new={n}:{start}:{start + 63}" for n, _, start in rows[:-1]]
    words += ["--new=6:384:0", *(f"--change-name={n}:{name}" for n, name, _ in rows)]
    subprocess.run(["sgdisk", "-a", "1", *words, disk], check=True, capture_output=True)
    return disk.read_bytes()[: 34 * 512]


def pieces(table: bytes) -> list[Piece]:
    return [
        Piece("PrimaryGPT", 0, table),
        Piece("boot", 128, BOOT, trim=64),
        Piece("persist", 192, noise(512, 3)),
        Piece("system", 256, SYSTEM, trim=16),
        Piece("system", 272, SYSTEM[::-1], trim=2000),
        Piece("userdata", 320, noise(512, 4)),
        Piece("userdata", 340, noise(512, 5)),
        Piece("BackupGPT", DISK - 50, bytes(50 * 512)),
    ]


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_kdz_becomes_what_the_phone_holds(version: int, table: bytes, tmp_path: Path) -> None:
    package, told = opened(saved(tmp_path / "a.kdz", lgs.kdz(lgs.dz(*pieces(table)), version)))
    assert told.devices == ("LG-H901",)
    assert told.version == "H90120e_00_0316"
    assert dict(told.facts) | {"storage": "eMMC", "rollback": "3"} == dict(told.facts)
    with phones.plug("msm8953") as bench:
        flash = bench.flash.luns[0]
        flash.write(0, b"\xee" * flash.sectors * 512)
        outcome = install(bench, package, Rules(overwrite=("persist",)))
        assert outcome.plan.kept == ()
        # the last chunk of system claims more than its partition has
        system = SYSTEM.ljust(16 * 512, b"\0") + SYSTEM[::-1].ljust(48 * 512, b"\0")
        assert held(bench, 128, 64) == BOOT.ljust(64 * 512, b"\0")
        assert held(bench, 256, 64) == system
        assert held(bench, 320, 1) == b"\xee" * 512
        whole_disk = saved(tmp_path / "disk", held(bench, 0, flash.sectors))
    verdict = subprocess.run(
        ["sgdisk", "-v", whole_disk], capture_output=True, check=False, text=True
    )
    assert "No problems found" in verdict.stdout
    found = subprocess.run(
        ["sgdisk", "-i", "6", whole_disk], capture_output=True, check=True, text=True
    )
    assert f"Last sector: {flash.sectors - 34}" in found.stdout


def test_on_a_disk_of_the_packages_size_the_table_is_the_packages(
    table: bytes, tmp_path: Path
) -> None:
    package, _ = opened(saved(tmp_path / "a.dz", lgs.dz(*pieces(table))))
    with phones.plug(phones.spec("msm8953", sectors={0: DISK})) as bench:
        install(bench, package)
        assert held(bench, 0, 34) == table
        backup = gpt.parse(held(bench, DISK - 33, 33), 512, backup=True)
        assert (backup.header_crc_ok, backup.entries_crc_ok) == (True, True)
        assert backup.partitions == gpt.parse(table, 512).partitions


def test_luns_and_large_sectors(tmp_path: Path) -> None:
    layouts = {0: {"boot": 64, "grow": 0}, 1: {"xbl": 128, "abl": 0}}
    tables = {
        lun: dumps.table(2048, layout, unit=4096).images().primary
        for lun, layout in layouts.items()
    }
    dz = lgs.dz(
        *(Piece("PrimaryGPT", 0, data, lun=lun) for lun, data in tables.items()),
        Piece("boot", 12, BOOT, trim=16),
        Piece("xbl", 12, SYSTEM, lun=1),
        *(Piece("BackupGPT", 2043, bytes(5 * 4096), lun=lun) for lun in tables),
        ufs=True, compression=lgs.ZSTD, sealed=False,
    )  # fmt: skip
    package, told = opened(saved(tmp_path / "a.kdz", lgs.kdz(dz)))
    assert ("storage", "UFS") in told.facts
    assert package.sector_bytes == 4096
    with phones.plug(phones.spec("sdm660", storage="ufs")) as bench:
        install(bench, package)
        assert held(bench, 12, 16) == BOOT.ljust(16 * 4096, b"\0")
        assert held(bench, 12, 1, 1) == SYSTEM.ljust(4096, b"\0")
        for lun in tables:
            flash = bench.flash.luns[lun]
            backup = gpt.parse(held(bench, flash.sectors - 5, 5, lun), 4096, backup=True)
            assert backup.is_for(flash.sectors)
            assert backup.partitions[-1].last_sector == flash.sectors - 6
            assert (backup.header_crc_ok, backup.entries_crc_ok) == (True, True)


def test_the_users_data_only_if_asked(table: bytes, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.dz", lgs.dz(*pieces(table)))
    left_out = [name for name, _ in opened(path)[0].left_out]
    assert left_out == ["userdata", "BackupGPT"]
    with phones.plug("msm8953") as bench:
        install(bench, opened(path, wipe="yes")[0])
        assert held(bench, 320, 1) == noise(512, 4)


def test_a_sparse_chunk_is_unpacked(tmp_path: Path) -> None:
    image = sparse((1, noise(4096)), (1, b""), (1, noise(4096, 2)))
    path = saved(tmp_path / "a.dz", lgs.dz(Piece("system", 80, image, trim=24)))
    with phones.plug("msm8953") as bench:
        install(bench, opened(path)[0])
        assert held(bench, 80, 24) == noise(4096) + bytes(4096) + noise(4096, 2)


def test_without_a_table_only_gaps_inside_a_partition_are_blanked(tmp_path: Path) -> None:
    chunks = (
        Piece("boot", 80, BOOT, trim=100),
        Piece("boot", 100, BOOT, trim=100),
        Piece("tz", 150, BOOT, trim=100),
    )
    made = plan(opened(saved(tmp_path / "a.dz", lgs.dz(*chunks, sealed=False)))[0], EMMC)
    assert made.errors == ()
    assert [(step.area.start_sector, step.area.sectors) for step in made.steps] == [
        (86, 14), (80, 6), (100, 6), (150, 6),
    ]  # fmt: skip


def test_inside_a_zip_file(table: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("H901/readme.txt", "flash me")
        archive.writestr("H901/a.kdz", lgs.kdz(lgs.dz(*pieces(table))))
    assert opened(tmp_path / "a.zip")[1].kind == "LG package (kdz)"


def test_damage_within_a_chunk_is_found_before_the_first_write(
    table: bytes, tmp_path: Path
) -> None:
    data = bytearray(lgs.dz(*pieces(table)))
    package, _ = opened(saved(tmp_path / "a.dz", bytes(data)))
    assert whole.verify(package.files) == 4  # the table has been read already
    data[data.index(b"boot_128.bin") + 1000] ^= 1
    package = opened(saved(tmp_path / "a.dz", bytes(data)))[0]
    with pytest.raises(ImageError, match=r"a\.dz/2-boot_128\.bin is damaged"):
        whole.verify(package.files)


def test_a_wrong_crc_counts_though_the_md5_is_right(tmp_path: Path) -> None:
    package = opened(saved(tmp_path / "a.dz", lgs.dz(Piece("boot", 80, BOOT, crc=1))))[0]
    with pytest.raises(ImageError, match=r"its checksum \(CRC-32\) is wrong"):
        whole.verify(package.files)
    package = opened(saved(tmp_path / "a.dz", lgs.dz(Piece("boot", 80, BOOT, crc=0))))[0]
    assert whole.verify(package.files) == 1


def test_a_package_for_the_other_storage(tmp_path: Path) -> None:
    package = opened(saved(tmp_path / "a.dz", lgs.dz(Piece("boot", 80, BOOT), ufs=True)))[0]
    assert [found.code for found in plan(package, EMMC).findings] == ["wrong-sector-size"]


def refused(path: Path, data: bytes) -> str:
    with pytest.raises(PackageError) as caught:
        opened(saved(path, data))
    return caught.value.message


def test_what_is_no_good(table: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.dz"
    other = dumps.table(2048, {"boot": 64}, unit=4096).images().primary
    two = lgs.dz(Piece("PrimaryGPT", 0, table), Piece("PrimaryGPT", 0, other, lun=1))
    assert "sectors of different sizes" in refused(path, two)
    assert "partition table" in refused(path, lgs.dz(Piece("PrimaryGPT", 0, bytes(34 * 512))))
    assert "cut off" in refused(path, lgs.kdz(lgs.dz(*pieces(table)))[:-1])


def test_a_table_that_was_never_fitted_to_a_disk(tmp_path: Path) -> None:
    shaped = dumps.table(2048, {"boot": 64, "grow": 0})
    grow = replace(shaped.partitions[1], last_sector=shaped.partitions[1].first_sector - 1)
    header = replace(shaped.header, alternate_sector=0, last_usable_sector=0)
    raw = replace(shaped.replace(grow), header=header)
    entries = b"".join(entry.pack() for entry in raw.entries)
    data = bytes(512) + header.pack().ljust(512, b"\0") + entries
    package = opened(saved(tmp_path / "a.dz", lgs.dz(Piece("PrimaryGPT", 0, data))))[0]
    with phones.plug("msm8953") as bench:
        install(bench, package)
        sectors = bench.flash.luns[0].sectors
        for found in (
            gpt.parse(held(bench, 0, 34), 512),
            gpt.parse(held(bench, sectors - 33, 33), 512, backup=True),
        ):
            assert (found.header_crc_ok, found.entries_crc_ok) == (True, True)
            assert found.is_for(sectors)
            assert found.partitions[1].last_sector == sectors - 34


def test_a_table_without_partitions(tmp_path: Path) -> None:
    data = dumps.table(2048, {}).images().primary
    package: Package = opened(saved(tmp_path / "a.dz", lgs.dz(Piece("PrimaryGPT", 0, data))))[0]
    with phones.plug("msm8953") as bench:
        install(bench, package)
        assert gpt.parse(held(bench, 0, 34), 512).is_for(bench.flash.luns[0].sectors)
