# SPDX-License-Identifier: BSD-3-Clause
"""Packages unpacked: the same bytes as other tools make of them, and XML that says the same."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edl.cli.main import run
from edl.errors import DiskError
from edl.package import NamedImage, Package, open_package
from edl.packages import door, holdings, unpacking
from edl.plan.assumed import assumed_geometry
from edl.plan.build import build
from edl.plan.model import Plan, Write
from edl.units import MIB
from tests import builds, packs
from tests.cli.conftest import Edl
from tests.cli.test_image import SYSTEM, write_disk
from tests.conftest import REPO
from tests.packages import lgs, motos, test_ota
from tests.packages.making import noise

BOOT = noise(20_000)
IMAGES = ("boot", "system", "super", "cache", "BackupGPT")
RAW = noise(300_000) + bytes(2 * MIB - 300_000) + b"\xaa\xbb\xcc\xdd" * 4096 + bytes(MIB - 16384)


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    """Return a build with slots, a sparse image, patches and an erase."""
    folder = tmp_path / "rom"
    part = packs.sparse(4096, noise(8192, 2), 30, noise(4096, 3), 9)
    document = packs.document(
        packs.program("boot.img", 2048, 64, "boot_a"),
        packs.program("boot.img", 2148, 64, "boot_b"),
        packs.program("system.img", 4096, 32768, "system", sparse="true"),
        packs.program("super.1.img", 40960, 4096, "super", sparse="true"),
        packs.program("super.2.img", 40960, 4096, "super", sparse="true"),
        packs.program("cache.img", 51200, 512, "cache", sparse="true"),
        packs.program("gpt.bin", "NUM_DISK_SECTORS-33.", 33, "BackupGPT"),
        packs.erase(60000, 8, "misc"),
    )
    patches = packs.document(
        packs.patch(1, 72, 8, "NUM_DISK_SECTORS-6."),
        packs.patch(2, 8, 4, "7", "gpt.bin"),
        packs.patch("NUM_DISK_SECTORS-1.", 16, 4, "CRC32(NUM_DISK_SECTORS-33.,4096)"),
    )
    packs.put(
        folder,
        {
            "boot.img": BOOT,
            "super.1.img": packs.sparse(4096, noise(8192, 4), 40),
            "super.2.img": packs.sparse(4096, 10, noise(4096, 5), (3, b"abcd"), 28),
            "cache.img": part,
            "gpt.bin": noise(33 * 512, 6),
            "prog_firehose_x.elf": b"",
            "rawprogram0.xml": document,
            "patch0.xml": patches,
        },
    )
    (tmp_path / "system.raw").write_bytes(RAW)
    subprocess.run(["img2simg", tmp_path / "system.raw", folder / "system.img"], check=True)
    return folder


def zipped(folder: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"deep/{file.name}")
    return path


def planned(folder: Path) -> Plan:
    package = open_package([str(folder)])
    return build(package, assumed_geometry(package))


def storage(plan: Plan) -> dict[tuple[int, int], bytes]:
    """Return what the steps of plan put into which sectors, by LUN and sector."""
    found: dict[tuple[int, int], bytes] = {}
    for step in plan.steps:
        lun, start, unit = step.area.lun, step.area.start_sector, step.area.sector_bytes
        data = packs.data(step) if isinstance(step, Write) else b""
        for at in range(step.area.sectors):
            found[(lun, start + at)] = data[at * unit :][:unit]
    return found


def patched(plan: Plan) -> list[tuple[object, ...]]:
    """Return what the patches of plan put where; sums are compared by their sectors."""
    return sorted(
        (p.lun, p.sector, p.byte_offset, p.size_bytes, str(getattr(p.value, "start", p.value)))
        for p in plan.patches
    )


@pytest.mark.parametrize("form", ["folder", "stored", "deflated", "tgz"])
def test_images_are_those_that_simg2img_makes(
    form: str, rom: Path, tmp_path: Path, edl: Edl
) -> None:
    source = rom
    if form in {"stored", "deflated"}:
        stored = form == "stored"
        source = zipped(rom, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    elif form == "tgz":
        source = tmp_path / "rom.tgz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(rom, "deep")
    out = tmp_path / "out"
    result = edl("unpack", source, out, "--json")
    assert result.status == 0
    data = result.last
    assert {row["file"]: row["partitions"] for row in data["files"]} == {
        f"{out}/boot.img": ["boot_a", "boot_b"],
        f"{out}/system.img": ["system"],
        f"{out}/super.img": ["super"],
        f"{out}/cache.img": ["cache"],
        f"{out}/BackupGPT.img": ["BackupGPT"],
    }
    assert (out / "boot.img").read_bytes() == BOOT
    assert (out / "system.img").read_bytes() == RAW
    for names, made in ((("super.1.img", "super.2.img"), "super"), (("cache.img",), "cache")):
        expected = tmp_path / "expected"
        parts = [rom / name for name in names]
        subprocess.run(["simg2img", *parts, expected], check=True)
        assert (out / f"{made}.img").read_bytes() == expected.read_bytes()
    files = {path.name for path in out.iterdir()}
    assert files == {*(f"{n}.img" for n in IMAGES), "rawprogram0.xml", "patch0.xml"}


def test_the_folder_writes_the_same(rom: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "out"
    assert edl("unpack", zipped(rom), out).status == 0
    before, after = planned(rom), planned(out)
    assert not after.errors
    first, second = storage(before), storage(after)
    # a file that ends with what is left open: its last sector is written, as zeros
    ends = {(0, at + 42 * 8 - 1): bytes(512) for at in (40960, 51200)}
    assert second == first | ends
    assert patched(after) == patched(before)


def test_the_sample_still_brings_a_phone_back(sample: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "out"
    assert edl("unpack", sample, out).status == 0
    assert list(out.glob("prog_firehose*.elf"))
    result = edl("rehearse", out, "--json")
    assert result.status == 0
    assert result.last["virtual_boot"]["boots"]


@pytest.mark.parametrize("name", ["apq8016-sbc-emmc", "sdm845-db845c-ufs"])
def test_real_layouts_come_out_as_they_were(
    name: str, golden: Callable[[str], builds.Build], tmp_path: Path, edl: Edl
) -> None:
    folder, out = golden(name).folder, tmp_path / "out"
    assert edl("unpack", folder, out).status == 0
    before, after = planned(folder), planned(out)
    assert not before.errors
    assert not after.errors
    assert storage(after) == storage(before)
    assert patched(after) == patched(before)


def test_files_as_they_are(rom: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "out"
    assert edl("unpack", zipped(rom), out, "--as-is").status == 0
    for path in rom.iterdir():
        if path.stat().st_size:
            assert (out / path.name).read_bytes() == path.read_bytes()
    again = tmp_path / "again"
    assert edl("unpack", rom, again, "--as-is").status == 0
    assert {p.name for p in again.iterdir()} == {p.name for p in out.iterdir()}


def test_only_some(rom: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "out"
    assert edl("unpack", rom, out, "BOOT*", "cache").status == 0
    assert sorted(path.name for path in out.iterdir()) == ["boot.img", "cache.img"]
    told = edl("unpack", rom, out, "modem")
    assert told.status == 2
    assert "nothing for 'modem'" in told.err
    assert "boot_a" in told.err


def test_nothing_is_replaced_without_force(rom: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "cache.img").write_bytes(b"mine")
    told = edl("unpack", rom, out)
    assert told.status == 2
    assert "cache.img exists already" in told.err
    assert [path.name for path in out.iterdir()] == ["cache.img"]
    assert edl("unpack", rom, out, "--force").status == 0
    assert (out / "cache.img").stat().st_size == 42 * 4096
    (out / "odd").mkdir()
    (out / "boot.img").unlink()
    (out / "boot.img").symlink_to(out / "odd")
    assert "no ordinary file" in edl("unpack", rom, out, "--force").err
    assert "is no folder" in edl("unpack", rom, out / "cache.img", "--force").err
    assert "is what is to be unpacked" in edl("unpack", rom, rom, "--force").err


def test_a_damaged_archive_leaves_no_half_file(rom: Path, tmp_path: Path, edl: Edl) -> None:
    path = zipped(rom, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(BOOT[9000:9020])] ^= 1
    path.write_bytes(data)
    out = tmp_path / "out"
    told = edl("unpack", path, out, "boot*")
    assert told.status == 7
    assert "CRC-32" in told.err
    assert list(out.iterdir()) == []


def test_what_is_missing_or_cut_off_does_not_stop_the_others(
    rom: Path, tmp_path: Path, edl: Edl
) -> None:
    (rom / "boot.img").unlink()
    system = (rom / "system.img").read_bytes()
    (rom / "system.img").write_bytes(system[:-100])
    out = tmp_path / "out"
    told = edl("unpack", rom, out, "--json")
    assert told.status != 0
    data = told.lines[-2]
    assert {row["name"] for row in data["problems"]} == {"boot_a", "boot_b", "system"}
    assert (out / "super.img").exists()
    assert not (out / "system.img").exists()


def test_names_that_lead_out_stay_inside(tmp_path: Path, edl: Edl) -> None:
    rows = packs.document(
        packs.program("a.img", 100, 8, "../../evil"),
        packs.program("b.img", 200, 8, "Same"),
        packs.program("c.img", 300, 8, "same").replace('number="0"', 'number="1"'),
        packs.program("d.img", 400, 8, "\u202econ"),
    )  # fmt: skip
    files = {f"{name}.img": name.encode() * 512 for name in "abcd"}
    folder = packs.put(tmp_path / "rom", files | {"rawprogram0.xml": rows})
    out = tmp_path / "x" / "y" / "out"
    assert edl("unpack", folder, out).status == 0
    names = sorted(path.name for path in out.glob("*.img"))
    assert names == ["Same.img", "_.._evil.img", "_con.img", "lun1_same.img"]
    assert sorted(path.name for path in tmp_path.rglob("*evil*")) == ["_.._evil.img"]
    assert sorted(path.name for path in out.glob("*.xml")) == [
        *("patch0.xml", "patch1.xml", "rawprogram0.xml", "rawprogram1.xml"),
    ]


def test_pieces_that_lie_on_each_other_are_told(tmp_path: Path, edl: Edl) -> None:
    rows = packs.document(
        packs.program("a.img", 100, 64, "system", sparse="true"),
        packs.program("b.img", 100, 64, "system", sparse="true"),
    )
    files = {"a.img": packs.sparse(4096, noise(4096), 3), "b.img": packs.sparse(4096, noise(8192))}
    folder = packs.put(tmp_path / "rom", files | {"rawprogram0.xml": rows})
    told = edl("unpack", folder, tmp_path / "out")
    assert told.status == 7
    assert "holds no images that can be had: 'system' has pieces that lie on" in told.err
    held = holdings.of_package(open_package([str(folder)]))
    assert held.problems == (("system", "'system' has pieces that lie on each other."),)


def test_named_images_and_those_that_nothing_names(tmp_path: Path, edl: Edl) -> None:
    files = {
        "boot.img": BOOT,
        "vbmeta.img": b"AVB0" + bytes(4092),
        "system.img": packs.sparse(4096, noise(4096), 3),
    }
    folder = packs.put(tmp_path / "rom", files)
    out = tmp_path / "out"
    result = edl("unpack", zipped(folder), out, "--json")
    assert result.status == 0
    assert result.last["documents"] == []
    assert (out / "system.img").read_bytes() == noise(4096) + bytes(3 * 4096)
    assert (out / "boot.img").read_bytes() == BOOT


def test_members_that_no_row_names_are_taken_too(rom: Path) -> None:
    package = open_package([str(rom)])
    files = {file.name: file for file in package.files}
    members = {
        "boot.img": files["boot.img"],
        "odd.img": files["gpt.bin"],
        "notes.txt": files["gpt.bin"],
    }
    named = Package("t", (), (), {}, members=members, named=(NamedImage("boot", "boot.img", "x"),))
    held = holdings.of_package(named)
    assert [(each.name, each.lun, each.named) for each in held.holdings] == [
        ("boot", None, True), ("odd", None, True),
    ]  # fmt: skip


def test_a_dump_and_a_super(tmp_path: Path, edl: Edl) -> None:
    disk = write_disk(tmp_path / "disk.img")
    out = tmp_path / "out"
    assert edl("unpack", disk, out).status == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["boot_a.img", "modemst1.img", "super.img", "userdata.img"]
    data = disk.read_bytes()
    assert (out / "super.img").read_bytes() == data[3 * MIB : 7 * MIB]
    logical = tmp_path / "logical"
    assert edl("unpack", out / "super.img", logical, "system_a").status == 0
    assert (logical / "system_a.img").read_bytes()[: len(SYSTEM)] == SYSTEM
    assert edl("unpack", disk, logical, "super/vendor_a").status == 0
    assert "no files in it" in edl("unpack", disk, tmp_path / "no", "--as-is").err
    own = disk.rename(tmp_path / "boot_a.img")
    assert "is what is to be unpacked" in edl("unpack", own, tmp_path, "boot_a", "--force").err


def test_single_images_are_for_convert(tmp_path: Path, edl: Edl) -> None:
    path = tmp_path / "a.simg"
    path.write_bytes(packs.sparse(4096, noise(4096), 3))
    told = edl("unpack", path, tmp_path / "out")
    assert told.status == 7
    assert "edl convert" in told.err
    (tmp_path / "nothing").write_bytes(b"hello")
    assert edl("unpack", tmp_path / "nothing", tmp_path / "out").status == 7
    assert edl("unpack", tmp_path / "absent", tmp_path / "out").status == 2


def test_odd_members_and_rows(tmp_path: Path) -> None:
    loader = (REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf").read_bytes()
    folder = packs.put(
        tmp_path / "rom",
        {
            "large.img": noise(5000),
            "bad.img": packs.sparse(4096, noise(8192))[:100],
            "modem": b"m",
            "loader.elf": loader,
            "broken.elf": loader[:200],
            "empty.img": b"",
            "large/large.bin": b"2",
            "rawprogram0.xml": packs.document(packs.program("large.img", 100, 2, "large")),
        },
    )
    package, _ = door.open_any([str(zipped_deep(folder))])
    held = holdings.of_package(package)
    assert {each.name for each in held.holdings} == {"modem", "broken", "large"}
    assert [name for name, _ in held.problems] == ["large", "deep/bad.img"]
    again = [each for each in held.holdings for _ in range(4)]
    targets = unpacking.raw_targets([replace(h, files=()) for h in again], tmp_path)
    assert len({target.path.name for target in targets}) == 12
    assert "modem_3.img" in {target.path.name for target in targets}


def zipped_deep(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in [*sorted(folder.rglob("*.*")), folder / "modem"]:
            if file.is_file():
                archive.write(file, f"deep/{file.relative_to(folder)}")
    return path


def test_a_full_disk_is_told_before(
    rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = holdings.of_package(open_package([str(rom)]))
    targets = unpacking.raw_targets(held.holdings, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DiskError, match="1000 bytes free"):
        unpacking.require_possible(targets, tmp_path / "out", force=False)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="cannot be used"):
        unpacking.require_possible(targets, tmp_path / "file" / "out", force=False)


def test_the_entry_point(rom: Path, tmp_path: Path) -> None:
    assert run(["unpack", str(rom), str(tmp_path / "out"), "-q"]) == 0


def test_an_update(tmp_path: Path, edl: Edl) -> None:
    path = test_ota.update(tmp_path)
    out = tmp_path / "out"
    result = edl("unpack", path, out, "--json")
    assert result.status == 0
    assert result.last["documents"] == []
    assert {p.stem: p.read_bytes() for p in out.iterdir()} == test_ota.IMAGES


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_in_an_update(compression: int, tmp_path: Path, edl: Edl) -> None:
    raw = bytearray(test_ota.payload())
    raw[-len(test_ota.VENDOR) // 2] ^= 1
    path = tmp_path / "ota.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("payload.bin", bytes(raw))
    told = edl("unpack", path, tmp_path / "out")
    assert told.status == 7
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert "vendor.img" not in names
    assert not {name for name in names if name.endswith(".partial")}


def test_parts_of_sparse_images_that_go_by_name(tmp_path: Path, edl: Edl) -> None:
    folder = motos.package(tmp_path / "rom")
    out = tmp_path / "out"
    assert edl("unpack", folder, out).status == 0
    parts = sorted(folder.glob("system.img_sparsechunk.*"))
    subprocess.run(["simg2img", *parts, tmp_path / "expected"], check=True)
    assert (out / "system.img").read_bytes() == (tmp_path / "expected").read_bytes()
    assert (out / "modem.img").read_bytes() == motos.IMAGES["NON-HLOS.bin"]
    assert (out / "sbl1.img").read_bytes().startswith(motos.SBL1)


def test_what_is_erased_first_and_written_then(tmp_path: Path, edl: Edl) -> None:
    pieces = [
        lgs.Piece("boot", 128, noise(3072), trim=64),
        lgs.Piece("system", 256, noise(2048, 2), trim=16),
        lgs.Piece("system", 272, noise(1024, 3), trim=2000),
    ]
    path = tmp_path / "rom.kdz"
    path.write_bytes(lgs.kdz(lgs.dz(*pieces)))
    out = tmp_path / "out"
    assert edl("unpack", path, out).status == 0
    assert (out / "system.img").read_bytes() == noise(2048, 2) + bytes(12 * 512) + noise(1024, 3)
    package, _ = door.open_any([str(path)])
    before = storage(build(package, assumed_geometry(package)))
    assert storage(planned(out)) == before
