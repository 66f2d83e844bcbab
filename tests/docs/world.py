# SPDX-License-Identifier: BSD-3-Clause
"""A folder with all that the documents speak of: a phone, its package, a backup, images."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from edl.virtual.phone import Phone
from tests import dumps, packs
from tests.cli.conftest import LOADER, Edl

LAYOUT = {  # KiB; the last one up to the end
    "xbl_a": 32, "xbl_b": 32, "abl_a": 32, "abl_b": 32, "vbmeta_a": 16, "vbmeta_b": 16,
    "boot_a": 128, "boot_b": 128, "modemst1": 32, "persist": 64, "cache": 64, "super": 256,
    "userdata": 0,
}  # fmt: skip
_WRITTEN = ("xbl_b", "abl_b", "boot_b", "xbl_a", "abl_a", "boot_a")
_SPEC = "qcm2290,size=4MiB"


def make(folder: Path, edl: Edl) -> Path:
    """Make everything in folder, which is the current one."""
    with Phone.create(_SPEC, folder / "my-phone") as phone:
        table = dumps.live(phone.storage, "mine", layout=LAYOUT, active="a")
        dumps.image(phone.storage, folder / "IMAGE")
        phone.save()
    package = folder / "ROM_FOLDER"
    parts = {each.name: each for each in table.partitions}
    rows = [packs.program(f"{name}.img", parts[name].first_sector, parts[name].sectors, name)
            for name in _WRITTEN]  # fmt: skip
    images = table.images()
    rows += [
        packs.program("gpt_main0.bin", 0, len(images.primary) // 512, "PrimaryGPT"),
        packs.program(
            "gpt_backup0.bin", images.backup_sector, len(images.backup) // 512, "BackupGPT"
        ),
    ]
    packs.put(package, {f"{name}.img": dumps.bytes_of("new", name, 9000) for name in _WRITTEN})
    packs.put(package, {"gpt_main0.bin": images.primary, "gpt_backup0.bin": images.backup})
    packs.put(package, {"rawprogram0.xml": packs.document(*rows), "patch0.xml": "<patches/>"})
    shutil.copy(LOADER, package / "prog_firehose_ddr.elf")
    for name in ("ROM", "package", "sample-package", "FOLDER"):
        shutil.copytree(package, folder / name)
    _pack(folder, sorted(package.iterdir()))
    for name in ("prog.elf", "FILE.elf"):
        shutil.copy(LOADER, folder / name)
    for path in package.glob("*"):
        shutil.copy(path, folder / path.name)
    shutil.copy(package / "boot_a.img", folder / "boot.img")
    shutil.copy(package / "boot_a.img", folder / "FILE")
    shutil.copy(package / "gpt_main0.bin", folder / "gpt.bin")
    shutil.copy(folder / "IMAGE", folder / "flash.bin")
    shutil.copytree(folder / "ROM_FOLDER", folder / "LOADERS")
    (folder / "LOGFILE").write_text("qdl: failed to initialize libusb: Permission denied\n")
    made = edl("--virtual", "my-phone", "backup", "DIR")
    assert made.status == 0, made.err
    assert edl("virtual", "edl", "my-phone").status == 0
    shutil.copytree(folder / "DIR", folder / "OLD")
    return folder


def _pack(folder: Path, files: Iterable[Path]) -> None:
    with (
        zipfile.ZipFile(folder / "ROM.zip", "w") as zipped,
        tarfile.open(folder / "ROM.tgz", "w:gz") as packed,
    ):
        for path in files:
            zipped.write(path, path.name)
            packed.add(path, path.name)
