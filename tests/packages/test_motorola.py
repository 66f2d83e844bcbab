# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's packages, from the file to what is on a virtual phone."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.errors import ImageError, PackageError, UsageError
from edl.files import File
from edl.package import Package
from edl.packages import door, whole
from edl.packages.brought import brought
from edl.packages.digests import Overlay
from edl.packages.model import Choices, Description
from edl.plan.job import Rules
from edl.plan.model import Geometry
from tests import phones
from tests.conftest import REPO, shared
from tests.packages import motos
from tests.packages.installing import held, install, plan
from tests.packages.making import noise
from tests.packages.motos import IMAGES, PARTS
from tests.packs import EMMC

LOADER = (REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf").read_bytes()
POTTER = "corpus/msm8953-moto-potter"


def opened(source: Path, *, wipe: bool = False, **options: str) -> tuple[Package, Description]:
    """Return the package at source; options: as with --choose."""
    return door.open_any([str(source)], choices=Choices(wipe, options))


def reason(left_out: tuple[tuple[str, str], ...], name: str) -> str:
    """Return why name is left out."""
    return next(why for what, why in left_out if what == name)


def part(bench: phones.Bench, name: str, size: int) -> bytes:
    """Return the first size bytes of a partition of motos.PARTS."""
    return held(bench, PARTS[name][0], -(-size // 512))[:size]


def sgdisk(bench: phones.Bench, folder: Path) -> str:
    """Return what sgdisk says of the partition tables of the phone."""
    flash = bench.flash.luns[0]
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(flash.sectors * 512)
        file.write(flash.read(0, 34))
        file.seek((flash.sectors - 33) * 512)
        file.write(flash.read(flash.sectors - 33, 33))
    words = ["sgdisk", "--verify", "--print", str(disk)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def forms(folder: Path, form: str) -> Path:
    """Return the package in folder, packed as form says."""
    path = folder.with_name(f"package.{form}")
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(folder.iterdir()):
                archive.write(each, each.name)
    elif form == "tgz":
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder, "potter")
    return folder if form == "folder" else path


@pytest.mark.parametrize("form", ["folder", "zip", "tgz"])
def test_a_package_is_on_the_phone_as_its_boot_loader_would_have_put_it(
    tmp_path: Path, form: str
) -> None:
    source = forms(motos.package(tmp_path / "potter"), form)
    package, told = opened(source)
    assert (told.kind, told.devices, told.version) == (
        "Motorola fastboot package",
        ("potter",),
        "potter-user 8.1.0",
    )
    assert dict(told.facts)["steps"] == "servicefile.xml (keeps your data)"
    assert dict(told.facts)["chip"] == "MSM8953"
    assert dict(told.facts)["subsidy lock"] == "slcf_rev_d_default.nvm"
    kept = noise(32768, 30)
    with phones.plug("msm8953") as bench:
        disk = bench.flash.luns[0]
        for name in ("modemst1", "cache", "userdata"):
            disk.write(PARTS[name][0], kept[: 64 * 512])
        disk.write(PARTS["carrier"][0], kept)
        install(bench, package)
        for filename, name in (("NON-HLOS.bin", "modem"), ("boot.img", "boot")):
            assert part(bench, name, len(IMAGES[filename])) == IMAGES[filename]
        assert part(bench, "sbl1", len(motos.SBL1)) == motos.SBL1
        assert part(bench, "aboot", len(motos.ABOOT)) == motos.ABOOT
        system = part(bench, "system", 1024 * 512)
        for at, count, seed in ((0, 8, 14), (8, 4, 15), (100, 28, 16)):
            assert system[at * 4096 :][: count * 4096] == noise(count * 4096, seed)
        for name in ("modemst1", "cache", "userdata"):
            assert part(bench, name, 64 * 512) == kept
        assert part(bench, "carrier", 64 * 512) == bytes(64 * 512)
        said = sgdisk(bench, tmp_path)
    assert "No problems found" in said
    assert re.search(r"\b13 +2048 +32734 .* userdata", said)


def test_what_exists_only_once_is_not_erased(tmp_path: Path) -> None:
    package, _ = opened(motos.package(tmp_path / "potter"))
    for name in ("modemst1", "modemst2", "DDR"):
        assert reason(package.left_out, f"erase {name}").startswith("it stays: ")
    assert "marks it" in reason(package.left_out, "erase odd")
    commands = "getvar max-sparse-size, oem fb_mode_set, oem fb_mode_clear"
    assert "boot loader" in reason(package.left_out, commands)
    asked, _ = opened(tmp_path / "potter", erase="modemst1,ODD")
    assert {"erase modemst1", "erase odd"}.isdisjoint(dict(asked.left_out))
    assert "erase modemst2" in dict(asked.left_out)


def test_the_modems_own_store_is_kept_from_the_packages_copy(tmp_path: Path) -> None:
    package, _ = opened(motos.package(tmp_path / "potter"))
    with phones.plug("msm8953") as bench:
        disk = bench.flash.luns[0]
        disk.write(0, motos.table()[: 34 * 512])
        disk.write(PARTS["fsg"][0], noise(512, 31))
        install(bench, package)
        assert part(bench, "fsg", 512) == noise(512, 31)
        install_again = opened(tmp_path / "potter")[0]
        bench.enter_edl()
        install(bench, install_again, Rules(overwrite=("fsg",)))
        assert part(bench, "fsg", 700) == IMAGES["fsg.mbn"]


def test_with_wipe_the_users_data_goes(tmp_path: Path) -> None:
    folder = motos.package(tmp_path / "potter")
    package, told = opened(folder, wipe=True)
    assert dict(told.facts)["steps"] == "flashfile.xml (replaces your data)"
    with phones.plug(phones.spec("msm8953", sectors={0: 65536})) as bench:
        disk = bench.flash.luns[0]
        for name in ("cache", "userdata"):
            disk.write(PARTS[name][0], noise(64 * 512))
        install(bench, package)
        for name in ("cache", "userdata"):
            assert part(bench, name, 64 * 512) == bytes(64 * 512)


def test_a_flashfile_alone_keeps_the_users_data_too(tmp_path: Path) -> None:
    extra = (motos.step("flash", "userdata", "boot.img", IMAGES["boot.img"]),)
    folder = motos.package(tmp_path / "potter", *extra)
    (folder / "servicefile.xml").unlink()
    package, _ = opened(folder)
    for name in ("erase cache", "erase userdata", "boot.img"):
        assert "--wipe" in reason(package.left_out, name)
    wiped, _ = opened(folder, wipe=True)
    assert not [name for name, _ in wiped.left_out if name in {"boot.img", "erase cache"}]


def test_the_steps_can_be_chosen(tmp_path: Path) -> None:
    folder = motos.package(tmp_path / "potter")
    _, told = opened(folder, wipe=True, steps="servicefile")
    assert dict(told.facts)["steps"] == "servicefile.xml (keeps your data)"
    with pytest.raises(PackageError, match="no 'flash'"):
        opened(folder, steps="flash")


def test_the_phones_own_tables_can_stay(tmp_path: Path) -> None:
    folder = motos.package(tmp_path / "potter")
    package, _ = opened(folder, table="phone")
    assert not package.documents
    assert "stay" in reason(package.left_out, "partition tables")
    with phones.plug("msm8953") as bench:
        disk = bench.flash.luns[0]
        moved = {name: (at + 4096, size, bits) for name, (at, size, bits) in PARTS.items()}
        disk.write(0, motos.table(moved)[: 34 * 512])
        before = held(bench, 0, 34)
        install(bench, package)
        assert held(bench, 0, 34) == before
        assert held(bench, 512 + 4096, 8)[:4008] == IMAGES["boot.img"]


def test_without_gpt_bin_the_phones_tables_decide(tmp_path: Path) -> None:
    folder = tmp_path / "potter"
    folder.mkdir()
    (folder / "boot.img").write_bytes(IMAGES["boot.img"])
    steps = motos.step("flash", "boot", "boot.img", IMAGES["boot.img"])
    (folder / "flashfile.xml").write_bytes(motos.document(steps))
    package, _ = opened(folder)
    assert [image.partition for image in package.named] == ["boot"]


def slots() -> dict[str, tuple[int, int, int]]:
    """Return partitions in two slots, b active by its attributes (bit 50)."""
    found = {}
    for at, name in enumerate(("aboot", "sbl1", "modem", "boot", "system")):
        size = 1024 if name == "system" else 64
        for slot, bits in (("a", 0), ("b", 1 << 50)):
            found[f"{name}_{slot}"] = (128 + 2048 * at + 1024 * (slot == "b"), size, bits)
    return found | {"fsg": (20000, 64, 0), "carrier": (20064, 64, 0), "userdata": (20128, 1, 0)}


@pytest.mark.parametrize(("slot", "expected"), [("", "b"), ("a", "a"), ("both", "ab")])
def test_slots_are_those_of_the_packages_table(tmp_path: Path, slot: str, expected: str) -> None:
    folder = motos.package(tmp_path / "potter", gpt_bin=motos.gpt_bin(motos.table(slots())))
    package, _ = opened(folder, slot=slot or "active")
    made = plan(package, EMMC)
    assert made.errors == ()
    labels = {step.label for step in made.steps}
    assert {f"boot_{each}" in labels for each in expected} == {True}
    assert len([label for label in labels if label.startswith("boot_")]) == len(expected)


def test_a_slot_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="slot=boht"):
        opened(motos.package(tmp_path / "potter"), slot="boht")


# -- digests, and what is damaged ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_file_with_another_digest_is_told_before_anything_is_written(
    tmp_path: Path, form: str
) -> None:
    folder = motos.package(tmp_path / "potter")
    (folder / "boot.img").write_bytes(IMAGES["boot.img"][:-1] + b"!")
    source = forms(folder, form)
    package, _ = opened(source)
    with pytest.raises(ImageError, match=r"boot\.img is damaged: its MD5 .* servicefile\.xml:16"):
        whole.verify(package.files)
    package, _ = opened(source, digests="ignore")
    whole.verify(package.files)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_container_with_another_digest_is_not_opened(tmp_path: Path, form: str) -> None:
    folder = motos.package(tmp_path / "potter")
    path = folder / "bootloader.img"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ImageError, match=r"bootloader\.img is damaged: its MD5"):
        opened(forms(folder, form))


@pytest.mark.parametrize("name", ["gpt.bin", "bootloader.img"])
def test_containers_must_be_there(tmp_path: Path, name: str) -> None:
    folder = motos.package(tmp_path / "potter")
    (folder / name).unlink()
    with pytest.raises(PackageError, match=f"'{name}' is missing"):
        opened(folder)


def test_a_missing_image_is_an_error_of_the_plan(tmp_path: Path) -> None:
    folder = motos.package(tmp_path / "potter")
    (folder / "boot.img").unlink()
    package, _ = opened(folder)
    (error,) = plan(package, EMMC).errors
    assert (error.message, error.where) == ("'boot.img' is missing.", "servicefile.xml:16")


def broken_table(**header: int) -> bytes:
    """Return a table whose header is not right: entries or sector of its own."""
    data = bytearray(motos.table())
    for name, value in header.items():
        at = {"my": 512 + 24, "entries": 512 + 72, "crc": 512 + 16}[name]
        data[at : at + 4] = value.to_bytes(4, "little")
    if "crc" not in header:
        data[528:532] = bytes(4)
        data[528:532] = struct.pack("<I", zlib.crc32(data[512:604]))
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (broken_table(crc=1), "its checksums are wrong"),
        (broken_table(my=2), "laid out in a way"),
        (broken_table(entries=3), "laid out in a way|checksums"),
        (motos.table()[:1500], "cut off"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    folder = motos.package(tmp_path / "potter", gpt_bin=motos.gpt_bin(data))
    with pytest.raises(PackageError, match=why):
        opened(folder)


def test_a_table_that_is_none_is_left_out(tmp_path: Path) -> None:
    folder = motos.package(tmp_path / "potter", gpt_bin=b"old table" * 100)
    package, _ = opened(folder)
    assert "no partition table" in reason(package.left_out, "gpt.bin")
    folder = motos.package(tmp_path / "other", gpt_bin=motos.table())
    package, _ = opened(folder)
    assert package.documents


def test_boot_loaders_in_a_form_that_is_not_known_stay_out(tmp_path: Path) -> None:
    folder = motos.package(tmp_path / "potter", bootloader_img=b"\x06\0\0\0tz" + noise(999))
    package, _ = opened(folder)
    assert "does not open" in reason(package.left_out, "bootloader.img")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (motos.container({}), "no recipe"),
        (motos.container({"index.xml": b"<index/>"}), "offers no package"),
        (
            motos.container({"index.xml": b"<index><package filename='p'/></index>"}),
            "'p' is missing",
        ),
        (motos.container({"default.xml": b"<recipe><flash partition='a'/></recipe>"}), "without"),
        (motos.packed('<flash partition="tz" filename="tz.mbn"/>', {}), "'tz.mbn' is missing"),
        (motos.container({"default.xml": b" " * (1 << 20) + b" "}), "too large"),
        (motos.bootloader()[:-300], "cut off"),
    ],
)
def test_damaged_containers_are_refused(tmp_path: Path, data: bytes, why: str) -> None:
    folder = motos.package(tmp_path / "potter", bootloader_img=data)
    with pytest.raises(PackageError, match=why):
        opened(folder)


def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    extra = motos.step("flash", "boot", "../secret", b"secret")
    folder = motos.package(tmp_path / "potter", extra)
    with pytest.raises(PackageError, match="outside the package"):
        opened(folder)


def test_tables_are_looked_at_once_more() -> None:
    with pytest.raises(PackageError, match="there is none in it"):
        brought({0: File("x", BytesContent(bytes(9000)))}, "gpt.bin")


def test_files_of_two_mappings_are_one() -> None:
    one, two = (File(name, BytesContent(b"")) for name in "ab")
    both = Overlay({"a": one, "c": one}, {"a": two, "b": two})
    assert (dict(both), len(both)) == ({"a": one, "c": one, "b": two}, 3)


# -- other chips -----------------------------------------------------------------------------------


def test_packages_for_other_chips_are_refused(tmp_path: Path) -> None:
    for partition, chip in (("preloader", "MediaTek"), ("splloader_a", "Unisoc")):
        folder = tmp_path / chip
        folder.mkdir()
        (folder / "flashfile.xml").write_bytes(
            motos.document(motos.step("flash", partition, "a.img", b""))
        )
        with pytest.raises(PackageError, match=f"a phone with a {chip}"):
            opened(folder)


def test_a_real_mediatek_package_is_refused() -> None:
    with pytest.raises(PackageError, match="MediaTek chip: it has images for lk, md1img"):
        opened(shared("corpus/mtk-moto-milan"))


# -- blankflashes ----------------------------------------------------------------------------------

RECIPE = """<configure MemoryName="emmc" SkipStorageInit="1"/>
<ufs bNumberLU="6"/><ufs LUNum="0"/>
<setbootablestoragedrive value="1"/>
<print what="Flashing GPT..."/>
<flash partition="partition" filename="gpt.bin" verbose="true"/>
<storage operation="reinit"/>
<backup partition="persist"/>
<flash partition="sbl1" filename="sbl1.mbn"/>
<erase partition="modemst1"/>"""


def blankflash(path: Path) -> Path:
    inner = {"programmer.elf": LOADER, "sbl1.mbn": motos.SBL1, "gpt.bin": motos.gpt_bin()}
    single = motos.packed(RECIPE, inner, protocol="qboot", programmer="programmer.elf")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("singleimage.bin", single)
        archive.writestr("qboot.exe", b"MZ" + bytes(100))
        archive.writestr("blank-flash.bat", "qboot.exe blank-flash")
    return path


def test_a_blankflash_brings_its_loader_its_tables_and_its_boot_chain(tmp_path: Path) -> None:
    package, told = opened(blankflash(tmp_path / "blankflash.zip"))
    assert (told.kind, told.facts) == ("Motorola blankflash", (("chip", "MSM8953"),))
    (loader,) = package.loaders
    assert loader.read_bytes() == LOADER
    assert "anew" in reason(package.left_out, "<ufs> (provisioning)")
    assert "does not know" in reason(package.left_out, "<backup>")
    assert "<storage>" not in dict(package.left_out)
    assert "stays" in reason(package.left_out, "erase modemst1")
    with phones.plug("msm8953") as bench:
        install(bench, package)
        assert part(bench, "sbl1", len(motos.SBL1)) == motos.SBL1
        assert "No problems found" in sgdisk(bench, tmp_path)


def test_several_blankflashes_are_not_mixed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "singleimage.bin").write_bytes(motos.gpt_bin())
    with pytest.raises(PackageError, match="several blankflashes"):
        opened(tmp_path)


def test_tables_of_different_sectors_are_not_mixed(tmp_path: Path) -> None:
    recipe = "".join(
        f'<flash partition="partition:{lun}" filename="gpt_main{lun}.bin"/>' for lun in (0, 1)
    )
    data = {"gpt_main0.bin": motos.table(), "gpt_main1.bin": motos.table(unit=4096)}
    path = tmp_path / "gpt.bin"
    path.write_bytes(motos.packed(recipe, data))
    with pytest.raises(PackageError, match="different kinds"):
        opened(path)


def test_tables_of_several_luns_are_fitted_each(tmp_path: Path) -> None:
    recipe = "".join(
        f'<flash partition="partition:{lun}" filename="gpt_main{lun}.bin"/>' for lun in (0, 4)
    )
    fixed = {"xbl_a": (64, 16, 0)}
    data = {
        "gpt_main0.bin": motos.table({"userdata": (64, 1, 0)}, 4096),
        "gpt_main4.bin": motos.table(fixed, 4096),
    }
    path = tmp_path / "gpt.bin"
    path.write_bytes(motos.packed(recipe, data))
    package, told = opened(path)
    assert told.kind == "Motorola container"
    with phones.plug("qcm2290-ufs") as bench:
        install(bench, package)
        for lun, name, last in ((0, "userdata", 4096 - 6), (4, "xbl_a", 79)):
            disk = bench.flash.luns[lun]
            entry = disk.read(2, 1)[:128]
            assert entry[56:].decode("utf-16-le").rstrip("\0") == name
            assert int.from_bytes(entry[40:48], "little") == last
            assert int.from_bytes(disk.read(1, 1)[32:40], "little") == disk.sectors - 1
            assert disk.read(disk.sectors - 1, 1).startswith(b"EFI PART")


# -- the real thing --------------------------------------------------------------------------------


def real(folder: Path) -> dict[str, bytes]:
    """Make the real documents and table of a Moto G5 Plus whole with images of our own."""
    source = shared(POTTER)
    folder.mkdir()
    shutil.copy(source / "gpt.bin", folder)
    names = ("sbl1", "rpm", "tz", "devcfg", "aboot", "cmnlib", "cmnlib64", "keymaster", "prov")
    recipe = "".join(f'<flash partition="{name}" filename="{name}.mbn"/>' for name in names)
    parts = {f"{name}.mbn": noise(9000, seed) for seed, name in enumerate(names, 50)}
    made = {"bootloader.img": motos.packed(recipe, parts)}
    for document in ("flashfile.xml", "servicefile.xml"):
        text = (source / document).read_text()
        for seed, name in enumerate(re.findall(r'filename="([^"]+)"', text)):
            if name != "gpt.bin" and name not in made:
                made[name] = noise(5000, 100 + seed)
        for name, data in made.items():
            md5 = motos.md5(data)
            text = re.sub(rf'MD5="\w+" (filename="{re.escape(name)}")', rf'MD5="{md5}" \1', text)
        (folder / document).write_text(text)
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return made | parts


def test_the_documents_and_the_table_of_a_real_package(tmp_path: Path) -> None:
    made = real(tmp_path / "potter")
    # the pieces of system are no sparse images here, and overlap: only the last one may stay
    for name in list(made):
        if "sparsechunk" in name and not name.endswith(".0"):
            text = (tmp_path / "potter" / "servicefile.xml").read_text()
            text = re.sub(rf'.*filename="{re.escape(name)}".*\n', "", text)
            (tmp_path / "potter" / "servicefile.xml").write_text(text)
    package, told = opened(tmp_path / "potter")
    assert told.devices == ("potter",)
    disk = 0x1D5A000  # sectors of the 16 GB variant
    with phones.plug(phones.spec("msm8953", sectors={0: disk})) as bench:
        install(bench, package)
        # research: sbl1 at 256, aboot at 6912, boot at 438272, system at 2424832
        for sector, name in (
            (256, "sbl1.mbn"),
            (6912, "aboot.mbn"),
            (438272, "boot.img"),
            (2424832, "system.img_sparsechunk.0"),
        ):
            assert held(bench, sector, 24)[: len(made[name])] == made[name]
        said = sgdisk(bench, tmp_path)
    assert "No problems found" in said
    assert re.search(rf"\b54 +9502720 +{disk - 34} .* userdata", said)


@pytest.mark.parametrize(
    "name", ["msm8917-moto-perry", "msm8953-moto-ali", "msm8953-moto-potter", "sdm632-moto-channel"]
)
def test_real_tables_fit_disks_of_any_size(tmp_path: Path, name: str) -> None:
    package, told = opened(shared(f"corpus/{name}/gpt.bin"))
    assert dict(told.facts)["chip"] in {"MSM8917", "MSM8953"}
    made = plan(package, Geometry("emmc", 512, {0: 0x3A3E000}))
    assert made.errors == ()
    assert not made.findings
    assert [step.label for step in made.steps] == ["PrimaryGPT", "BackupGPT"]
    del tmp_path


@pytest.mark.parametrize("name", ["msm8610-moto-condor", "moto-unbrick-tool"])
def test_real_documents_of_other_years_are_read(tmp_path: Path, name: str) -> None:
    for path in shared(f"corpus/{name}").glob("flashfile.xml*"):
        shutil.copy(path, tmp_path / "flashfile.xml")
    with pytest.raises(PackageError, match=r"'gpt\.bin' is missing"):
        opened(tmp_path)
