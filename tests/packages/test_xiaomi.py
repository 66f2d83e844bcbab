# SPDX-License-Identifier: BSD-3-Clause
"""Xiaomi's packages, from the file to what is on a virtual phone.

The scripts have the lines of public ones (Mi 6, Mi 9T Pro, Xiaomi 12 Pro, ...), with our images.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from edl.errors import DocumentError, ImageError, PackageError
from edl.package import Package
from edl.packages import door, whole
from edl.packages.model import Choices, Description
from edl.plan import byname
from edl.plan.model import Geometry, Severity, Write
from edl.virtual.storage import Lun
from tests import phones
from tests.conftest import shared
from tests.packages.installing import held, install, plan
from tests.packages.making import noise, rawprogram, sparse
from tests.packs import EMMC
from tests.virtual.disks import Part, write_gpt

NAME = "zeus_images_V13.0.5.0.SLBCNXM_20220301.0000.00_12.0_cn"
IMAGES = {
    "abl.elf": noise(3000, 1),
    "boot.img": b"ANDROID!" + noise(4000, 2),
    "NON-HLOS.bin": noise(5000, 3),
    "super.img": sparse((4, noise(4 * 4096, 4)), (4, b"")),
    "metadata.img": noise(512, 5),
    "userdata.img": noise(700, 6),
    "cust.img": noise(800, 7),
}
PARTS = (
    *("abl_a", "abl_b", "boot_a", "boot_b", "modem_a", "modem_b", "opcust", "modemst1"),
    *("super", "metadata", "userdata", "cust", "misc"),
)
START = {name: 64 * at for at, name in enumerate(PARTS, 1)}
FLASH = (
    *(("abl_ab", "abl.elf"), ("modem_ab", "NON-HLOS.bin"), ("super", "super.img")),
    *(("metadata", "metadata.img"), ("userdata", "userdata.img"), ("cust", "cust.img")),
    ("boot_ab", "boot.img"),
)


def opened(source: Path, *, wipe: bool = False, **options: str) -> tuple[Package, Description]:
    """Return the package at source; options: as with --choose."""
    return door.open_any([str(source)], choices=Choices(wipe, options))


def shell(flashed: tuple[tuple[str, str], ...] = FLASH, *more: str) -> str:
    """Return a script for sh."""
    lines = [
        'fastboot $* getvar product 2>&1 | grep -E  "^product: *zeus"',
        'if [ $? -ne 0  ] ; then echo "Missmatching image and device"; exit 1; fi',
        "#check anti_version",
        "if [ -e $(dirname $0)/images/anti_version.txt ]; then",
        "CURRENT_ANTI_VER=`cat $(dirname $0)/images/anti_version.txt`",
        "fi",
        'if [ -z "$CURRENT_ANTI_VER" ]; then CURRENT_ANTI_VER=0; fi',
        'ver=`fastboot $* getvar anti 2>&1 | grep -oP "anti: \\K[0-9]+"`',
        'fastboot $* getvar crc 2>&1 | grep "^crc: 1"',
        "fastboot $* flash crclist       `dirname $0`/images/crclist.txt",
        "fastboot $* flash sparsecrclist `dirname $0`/images/sparsecrclist.txt",
        "fastboot $* erase boot_ab",
        'if [ $? -ne 0 ] ; then echo "Erase boot error"; exit 1; fi',
        "#fastboot $* flash modemfirmware_ab `dirname $0`/images/MODEM-FW.bin",
        *(f"fastboot $* flash {name} `dirname $0`/images/{file}" for name, file in flashed),
        "fastboot $* erase opcust",
        "fastboot $* erase modemst1",
        "fastboot $* set_active a",
        "fastboot $* reboot",
        *more,
    ]
    return "\n".join(lines) + "\n"


def batch(flashed: tuple[tuple[str, str], ...] = FLASH) -> str:
    """Return a script for Windows."""
    found = 'findstr /r /c:"^product: *zeus"'
    lines = [
        f"fastboot %* getvar product 2>&1 | {found} || echo Missmatching image and device",
        "::check anti_version",
        "set CURRENT_ANTI_VER=2",
        'for /f "tokens=2 delims=: " %%i in (\'fastboot %* getvar anti 2^>^&1 ^| findstr /r'
        ' /c:"anti:"\') do (set version=%%i)',
        'fastboot %* flash crclist %~dp0images\\crclist.txt || @echo "error" && exit /B 1',
        *(
            f'fastboot %* flash {name} %~dp0images\\{file} || @echo "Flash {name} error" && exit 1'
            for name, file in flashed
        ),
        '::fastboot %* flash hidden %~dp0images\\hidden.img || @echo "error" && exit 1',
        'fastboot %* set_active a || @echo "Set active a error" && exit 1',
    ]
    return "\r\n".join(lines) + "\r\n"


KEEP = tuple(row for row in FLASH if row[0] not in {"userdata", "cust"})


def made(folder: Path, *, windows: bool = False, **changed: bytes | None) -> Path:
    """Write a package without rawprogram files; changed: other files, with `_` for `.`."""
    ending, write = ("bat", batch) if windows else ("sh", shell)
    lock = write().replace("reboot", "oem lock")
    crcs = "".join(
        f"{name.removesuffix('_ab')} {zlib.crc32(IMAGES[file]):#x}\n" for name, file in FLASH
    )
    files: dict[str, bytes | None] = {
        f"flash_all.{ending}": write().encode(),
        f"flash_all_except_storage.{ending}": write(KEEP).encode(),
        f"flash_all_lock.{ending}": lock.encode(),
        **{f"images/{name}": data for name, data in IMAGES.items()},
        "images/crclist.txt": f"CRC-LIST\n{crcs}".encode(),
        "images/sparsecrclist.txt": b"SPARSECRC-LIST\nsuper 1 0x0\n",
        "images/anti_version.txt": b"3\n",
    }
    names = {re.sub(r"[./-]", "_", name): name for name in files}
    files |= {names[name]: data for name, data in changed.items()}
    for name, data in files.items():
        if data is not None:
            path = folder / NAME / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder / NAME


def parted(disk: Lun) -> None:
    """Give a phone the partitions, with something in each of them."""
    write_gpt(disk, [Part(name, at, at + 63) for name, at in START.items()])
    for at in START.values():
        disk.write(at, noise(64 * 512, at))


def names(told: Description) -> tuple[str, tuple[str, ...], str]:
    return told.kind, told.devices, told.version


@pytest.mark.parametrize("form", ["folder", "above", "zip", "tgz"])
@pytest.mark.parametrize("wipe", [False, True])
def test_a_package_is_on_the_phone_as_its_script_says(
    tmp_path: Path, form: str, wipe: bool
) -> None:
    source = made(tmp_path / "in")
    if form == "zip":
        path = tmp_path / "rom.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(source.rglob("*")):
                archive.write(each, each.relative_to(source.parent))
        source = path
    elif form == "tgz":
        path = tmp_path / f"{NAME}.tgz"
        with tarfile.open(path, "w:gz") as tar:
            tar.add(source, NAME)
        source = path
    elif form == "above":
        source = source.parent
    package, told = opened(source, wipe=wipe)
    assert names(told) == ("Xiaomi fastboot package", ("zeus",), "V13.0.5.0.SLBCNXM")
    assert dict(told.facts)["anti-rollback"] == "3"
    with phones.plug("sdm660") as bench:
        disk = bench.flash.luns[0]
        parted(disk)
        before = {name: held(bench, at, 64) for name, at in START.items()}
        install(bench, package)
        after = {name: held(bench, at, 64) for name, at in START.items()}
    for name, file in (("abl", "abl.elf"), ("boot", "boot.img"), ("modem", "NON-HLOS.bin")):
        for slot in "ab":
            assert after[f"{name}_{slot}"].startswith(IMAGES[file])
    assert after["super"][: 4 * 4096] == noise(4 * 4096, 4)
    assert after["super"][4 * 4096 :] == before["super"][4 * 4096 :]
    assert not any(after["opcust"])
    for name in ("metadata", "userdata", "cust"):
        expected = IMAGES[f"{name}.img"] if wipe else before[name]
        assert after[name].startswith(expected)
    assert after["misc"] == before["misc"]
    assert after["modemst1"] == before["modemst1"]


def test_what_is_not_done_is_told(tmp_path: Path) -> None:
    package, _ = opened(made(tmp_path))
    left_out = dict(package.left_out)
    assert "locked phone" in left_out["flash_all_lock.sh"]
    assert "edl slot" in left_out["set_active a"]
    assert "stays" in left_out["erase modemst1"]
    assert "--wipe" in left_out["userdata"]
    assert "--wipe" in left_out["metadata"]
    assert "leaves it alone" in left_out["cust"]
    geometry, tables = byname.made_up(package, EMMC)
    made_plan = plan(byname.placed(package, tables, 512), geometry)
    (warning,) = [found for found in made_plan.findings if found.severity is Severity.WARNING]
    assert warning.where == "flash_all_except_storage.sh"
    assert "anti-rollback number is 3" in warning.message
    wiped, _ = opened(tmp_path / NAME, wipe=True)
    assert {"userdata", "metadata", "cust"}.isdisjoint(dict(wiped.left_out))


def test_scripts_for_windows_say_the_same(tmp_path: Path) -> None:
    unix, told = opened(made(tmp_path / "unix"))
    windows, said = opened(made(tmp_path / "windows", windows=True))
    shown = [(image.partition, image.filename) for image in unix.named if image.filename]
    assert [(image.partition, image.filename) for image in windows.named] == shown
    assert told == said


def test_without_a_script_that_keeps_data_they_are_kept_all_the_same(tmp_path: Path) -> None:
    package, _ = opened(made(tmp_path, flash_all_except_storage_sh=None))
    assert {"cust", "abl_ab"} < {image.partition for image in package.named}
    assert {"userdata", "metadata"} < dict(package.left_out).keys()
    (tmp_path / NAME / "flash_all.sh").rename(tmp_path / NAME / "flash_all_except_data.sh")
    package, _ = opened(tmp_path / NAME, wipe=True)
    assert "userdata" in {image.partition for image in package.named}
    assert any("flash_all, the script" in warning for warning in package.warnings)


def test_scripts_that_lock_alone_are_not_followed(tmp_path: Path) -> None:
    folder = made(tmp_path, flash_all_except_storage_sh=None, flash_all_sh=None)
    with pytest.raises(PackageError, match=r"only scripts that lock the phone: flash_all_lock\.sh"):
        opened(folder)


# -- flat builds with scripts ----------------------------------------------------------------------


def flat(folder: Path) -> Path:
    """Write a package with rawprogram files."""
    made(folder)
    rows = {"abl_a": "abl.elf", "boot_a": "boot.img", "userdata": "userdata.img",
            "cust": "cust.img", "persist": ""}  # fmt: skip
    (folder / NAME / "images" / "rawprogram0.xml").write_bytes(rawprogram(rows))
    return folder / NAME


@pytest.mark.parametrize("wipe", [False, True])
def test_rawprogram_files_say_where_and_scripts_say_what(tmp_path: Path, wipe: bool) -> None:
    package, told = opened(flat(tmp_path), wipe=wipe)
    assert told.kind == "Xiaomi fastboot package"
    assert not package.named
    labels = [step.label for step in plan(package, EMMC).steps if isinstance(step, Write)]
    assert labels == ["abl_a", "boot_a", *(["userdata", "cust"] if wipe else [])]


def test_a_real_table_with_its_checksums(tmp_path: Path) -> None:
    source = shared("corpus/sdm660-xiaomi-jasmine")
    folder = made(tmp_path)
    images = folder / "images"
    text = (source / "rawprogram0.xml").read_text()
    images.joinpath("rawprogram0.xml").write_text(text)
    named = sorted(set(re.findall(r'filename="([^"]+)"', text)))
    for seed, name in enumerate(named):
        images.joinpath(name).write_bytes(noise(600, seed))
    images.joinpath("crclist.txt").write_bytes((source / "crclist.txt").read_bytes())
    package, _ = opened(folder)
    made_plan = plan(package, Geometry("emmc", 512, {0: 0x3A3E000}))
    labels = {step.label for step in made_plan.steps}
    assert {"xbl_a", "xbl_b", "system_a", "boot_b"} < labels
    assert "userdata" not in labels
    with pytest.raises(ImageError, match=r"abl.elf is damaged: its CRC-32 .* crclist\.txt"):
        whole.verify(package.files)


# -- checksums -------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [made, flat])
def test_images_that_crclist_does_not_know_are_told(tmp_path: Path, build: object) -> None:
    folder = (flat if build is flat else made)(tmp_path)
    whole.verify(opened(folder)[0].files)
    (folder / "images" / "abl.elf").write_bytes(noise(3000, 99))
    package, _ = opened(folder)
    with pytest.raises(ImageError, match=r"abl\.elf is damaged: its CRC-32 .* crclist\.txt"):
        whole.verify(package.files)
    whole.verify(opened(folder, digests="ignore")[0].files)


def test_sparse_images_are_not_compared(tmp_path: Path) -> None:
    wrong = b"CRC-LIST\nsuper 0x1\nboot_a 0x1\n"
    package, _ = opened(made(tmp_path, images_crclist_txt=wrong))
    with pytest.raises(ImageError) as caught:
        whole.verify(package.files)
    assert "boot.img" in str(caught.value)
    assert "super" not in str(caught.value)


def test_a_damaged_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"crclist\.txt:2"):
        opened(made(tmp_path, images_crclist_txt=b"CRC-LIST\nboot\n"))


def test_without_lists_nothing_is_compared(tmp_path: Path) -> None:
    folder = made(tmp_path, images_crclist_txt=None, images_anti_version_txt=None)
    package, told = opened(folder)
    whole.verify(package.files)
    assert "anti-rollback" not in dict(told.facts)
    assert package.warnings == ()


# -- others ----------------------------------------------------------------------------------------


def test_packages_for_mediatek_are_refused(tmp_path: Path) -> None:
    script = shell((("preloader", "preloader.img"), *FLASH)).encode()
    with pytest.raises(PackageError, match="MediaTek"):
        opened(made(tmp_path, flash_all_sh=script))


def test_scripts_that_flash_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="flashes nothing"):
        opened(made(tmp_path, flash_all_sh=shell(()).encode()))


def test_files_that_lead_out_are_refused(tmp_path: Path) -> None:
    script = shell((("boot_ab", "../../../secret"),)).encode()
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(PackageError, match="outside the package"):
        opened(made(tmp_path, flash_all_sh=script))
    package, _ = opened(
        made(tmp_path, flash_all_sh=script, images_crclist_txt=None), digests="ignore"
    )
    geometry, tables = byname.made_up(package, EMMC)
    errors = plan(byname.placed(package, tables, 512), geometry).errors
    told = "'images/../../../secret' lies outside the package."
    assert {error.message for error in errors} == {told}


def test_scripts_cannot_drive_a_terminal(tmp_path: Path) -> None:
    script = shell().replace("set_active a", "set_active \x1b[2J").encode()
    package, told = opened(made(tmp_path, flash_all_sh=script))
    assert "\x1b" not in f"{package.left_out} {package.warnings} {told}"
    assert not [name for name, _ in package.left_out if name.startswith("set_active")]


def test_a_missing_image_is_an_error_of_the_plan(tmp_path: Path) -> None:
    package, _ = opened(made(tmp_path, images_boot_img=None))
    geometry, tables = byname.made_up(package, EMMC)
    errors = plan(byname.placed(package, tables, 512), geometry).errors
    assert {error.message for error in errors} == {"'images/boot.img' is missing."}


def test_another_phones_package_finds_no_partitions(tmp_path: Path) -> None:
    package, _ = opened(made(tmp_path))
    with phones.plug("sdm660") as bench:
        write_gpt(bench.flash.luns[0], [Part("other", 64, 127)])
        with pytest.raises(PackageError, match="none of the partitions"):
            install(bench, package)


def test_other_scripts_of_that_name_are_not_xiaomis(tmp_path: Path) -> None:
    script = b"fastboot flash boot images/boot.img\n"
    folder = made(
        tmp_path, flash_all_sh=script, flash_all_except_storage_sh=None, flash_all_lock_sh=None
    )
    _, told = opened(folder / "images")
    assert told.kind != "Xiaomi fastboot package"
    _, told = opened(folder)
    assert told.kind != "Xiaomi fastboot package"
