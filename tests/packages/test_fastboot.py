# SPDX-License-Identifier: BSD-3-Clause
"""Images for fastboot: by their names, by scripts, and Google's zip in a zip."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from edl.chunks import read_all
from edl.errors import DocumentError, PackageError
from edl.formats.bootldr import Part, is_bootldr, read_bootldr
from edl.package import Package
from edl.packages.door import open_any
from edl.packages.model import Choices, Description
from tests.packages.test_door import zipped

IMAGES = {"boot.img": b"ANDROID!boot", "system.img": b"system", "userdata.img": b"user"}

# as AOSP's releasetools.py of hammerhead writes it, and meta_image of angler
BOOTLDR = (
    b"BOOTLDR!" + struct.pack("<III", 2, 160, 9)
    + b"sbl1".ljust(64, b"\0") + struct.pack("<I", 4)
    + b"tz".ljust(64, b"\0") + struct.pack("<I", 5)
    + bytes(4) + b"SBL1" + b"TZ..."
)  # fmt: skip
META = (
    b"\x3c\xd6\x1a\xce" + struct.pack("<HH64sHH", 1, 0, b"angler", 76, 160)
    + struct.pack("<72sII", b"sbl1", 236, 4) + bytes(80) + b"SBL1"
)  # fmt: skip
SCRIPT = b"""#!/bin/sh
# comment: fastboot flash evil evil.img
fastboot flash bootloader bootloader-sailfish-8996.img
fastboot reboot-bootloader
fastboot flash radio radio-sailfish.img
fastboot -w update image-sailfish.zip
"""


def opened(path: Path, *, wipe: bool = False) -> tuple[Package, Description]:
    return open_any([str(path)], choices=Choices(wipe=wipe))


def named(package: Package) -> dict[str, bytes]:
    found = {}
    for image in package.named:
        file = package.find(image.filename, image.document)
        found[image.partition] = read_all(file.content, 0, file.size_bytes)
    return found


def test_containers() -> None:
    assert read_bootldr(BOOTLDR, len(BOOTLDR), "b") == (Part("sbl1", 160, 4), Part("tz", 164, 5))
    assert read_bootldr(META, len(META), "b") == (Part("sbl1", 236, 4),)
    assert is_bootldr(BOOTLDR)
    assert is_bootldr(META)
    assert not is_bootldr(b"ANDROID!")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"ANDROID!".ljust(100), "no boot loader of several images"),
        (BOOTLDR[:30], "cut off"),
        (META[:100], "cut off"),
        (BOOTLDR[:-1], "lies outside"),
        (BOOTLDR.replace(b"tz\0", b"\0\0\0"), "lies outside"),
        (b"BOOTLDR!" + bytes(20), "empty one"),
    ],
)
def test_damaged_containers(data: bytes, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        read_bootldr(data, len(data), "b")


@pytest.mark.parametrize("wipe", [False, True])
def test_by_the_names_of_files(wipe: bool, tmp_path: Path) -> None:
    for name, data in {**IMAGES, "notes.txt": b"x", "abl.elf": b"abl", "weird.bin": b"?"}.items():
        (tmp_path / name).write_bytes(data)
    package, description = opened(tmp_path, wipe=wipe)
    expected = {"abl": b"abl", "boot": b"ANDROID!boot", "system": b"system"}
    assert named(package) == (expected | {"userdata": b"user"} if wipe else expected)
    assert [name for name, _ in package.left_out] == ([] if wipe else ["userdata.img"])
    assert description.devices == ()


@pytest.mark.parametrize("names", [["boot.img"], ["cat.img", "dog.img"], ["boot.txt", "a.txt"]])
def test_some_images_are_no_package(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(PackageError):
        opened(tmp_path)


def google(bootloader: bytes = BOOTLDR) -> dict[str, bytes]:
    info = b"require board=sailfish|marlin\nrequire version-bootloader=8996-01\n\nnonsense\n"
    return {
        "sailfish-x/flash-all.sh": SCRIPT,
        "sailfish-x/flash-all.bat": b"fastboot flash bootloader bootloader-sailfish-8996.img\r\n",
        "sailfish-x/bootloader-sailfish-8996.img": bootloader,
        "sailfish-x/radio-sailfish.img": b"radio",
        "sailfish-x/image-sailfish.zip": zipped({**IMAGES, "android-info.txt": info}),
    }


def test_googles_factory_packages(tmp_path: Path) -> None:
    (tmp_path / "sailfish.zip").write_bytes(zipped(google()))
    package, description = opened(tmp_path / "sailfish.zip")
    assert named(package) == {
        "sbl1": b"SBL1", "tz": b"TZ...", "radio": b"radio",
        "boot": b"ANDROID!boot", "system": b"system",
    }  # fmt: skip
    assert description.devices == ("sailfish", "marlin")
    assert dict(description.facts) == {
        "bootloader": "8996-01", "script": "flash-all.sh, read and not run",
    }  # fmt: skip
    where = {image.partition: image.where for image in package.named}
    assert where["radio"] == "flash-all.sh:5"
    assert len(package.members) == len(list(package.members))


def test_a_damaged_boot_loader(tmp_path: Path) -> None:
    (tmp_path / "sailfish.zip").write_bytes(zipped(google(BOOTLDR[:-1])))
    with pytest.raises(PackageError, match="lies outside"):
        opened(tmp_path / "sailfish.zip")


def test_scripts_say_where_names_differ(tmp_path: Path) -> None:
    script = (
        "fastboot flash modem_a images/NON-HLOS.bin || exit 1\n"
        "fastboot flash userdata images/userdata.img\n"
        "fastboot flash boot_a images/kernel.img\n"
        "fastboot flash gone images/gone.img\n"
    )
    (tmp_path / "images").mkdir()
    for name in ("NON-HLOS.bin", "kernel.img", "boot.img", "system.img", "userdata.img"):
        (tmp_path / "images" / name).write_bytes(name.encode())
    (tmp_path / "flash_all.sh").write_text(script)
    (tmp_path / "flash_all_binary.sh").write_bytes(b"\0")
    package, _ = opened(tmp_path)
    found = named(package)
    assert found["modem_a"] == b"NON-HLOS.bin"
    assert found["boot_a"] == b"kernel.img"
    assert "userdata" not in found
    assert "gone" not in found


def test_scripts_that_are_too_large_are_passed_over(tmp_path: Path) -> None:
    for name, data in IMAGES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "flash_all.sh").write_bytes(b"fastboot flash x boot.img\n" + b"#" * (1 << 20))
    assert "x" not in named(opened(tmp_path)[0])
