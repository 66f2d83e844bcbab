# SPDX-License-Identifier: BSD-3-Clause
"""Whole packages of every kind: what is opened, what it says, and the plan that it comes to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import brotli

from edl.errors import EdlError
from edl.package import Package
from edl.packages import builds
from edl.packages.door import open_any
from edl.packages.model import Choices
from edl.plan.build import Options, build
from edl.plan.check import checked
from edl.plan.model import Geometry, as_data
from tests import dumps, packs, payloads
from tests.fuzz.target import (
    MOST_READ_BYTES,
    Target,
    at_home,
    folder_of,
    look_at,
    path_of,
    require_printable,
)
from tests.packages import lgs, motos, opluses, test_installers, test_lenovo, test_nokia, test_sony
from tests.packages.making import noise, rawprogram, sparse
from tests.packages.test_fastboot import BOOTLDR
from tests.unit.test_archive import tar_of, zip_of

_MARK = re.compile(rb"\n={8}> ([\w./ -]{1,80})\n", re.ASCII)
_MOST_FILES = 30
_GEOMETRIES = (packs.EMMC, Geometry("ufs", 4096, {0: 20_000, 4: 20_000}))


def _joined(files: Mapping[str, bytes]) -> bytes:
    """Return files as one input: a line with the name before each."""
    return b"".join(b"\n========> %b\n%b" % (name.encode(), data) for name, data in files.items())


def _folder(data: bytes) -> Path:
    """Return a folder with the files that data consists of."""
    folder = folder_of("package")
    parts = _MARK.split(data)
    for name, content in list(zip(parts[1::2], parts[2::2], strict=True))[:_MOST_FILES]:
        place = PurePosixPath(name.decode())
        if place.is_absolute() or ".." in place.parts or not place.name:
            continue
        path = folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:  # it is a folder by now
            continue
    return folder


def _package(data: bytes) -> None:
    _opened(_folder(data))


def _file(data: bytes) -> None:
    _opened(path_of(data, "package.nb0"))


def _opened(path: Path) -> None:
    with at_home() as home:
        opluses.save_keys(home, opluses.KEYS + '[[lenovo]]\nword = "word"\n')
        package, told = open_any([str(path)], choices=Choices(options={"storage": "emmc"}))
        look_at(told)
        for each in (package, *package.variants.values()):
            _used(each)


def _used(package: Package) -> None:
    """Read what package holds, and make plans of it."""
    look_at(list(package.rows), package.warnings, package.left_out)
    for file in package.files[:_MOST_FILES]:
        require_printable(file.name)
        try:
            file.head(min(file.size_bytes, MOST_READ_BYTES))
        except EdlError:
            continue
    for each in builds.warnings(builds.of(package)):
        require_printable(each.message)
    for geometry in _GEOMETRIES:
        try:
            plan = checked(build(package, geometry, Options()))
        except EdlError:
            continue
        as_data(plan)


_BOOT = b"ANDROID!" + noise(600)
_LOADER = b"\x7fELF" + bytes(60)
_TABLE = dumps.table(100_000, {"boot": 64, "rest": 0}).images().primary
_GPT_BIN = motos.packed(
    '<flash partition="partition:0" filename="gpt_main0.bin"/>',
    {"gpt_main0.bin": motos.table()[: 34 * 512]},
)


def _flat() -> dict[str, bytes]:
    return {
        "rawprogram0.xml": packs.document(
            packs.program("boot.img"),
            packs.program("system.img", 200, 32, sparse="true"),
            packs.program("", 100, 0, "empty"),
        ).encode(),
        "patch0.xml": packs.document(
            packs.patch("NUM_DISK_SECTORS-1.", 16, 4, 0),
            packs.patch(2, 8, 8, "NUM_DISK_SECTORS-34."),
        ).encode(),
        "boot.img": _BOOT,
        "system.img": packs.sparse(4096, noise(4096), 3),
        "prog_emmc_firehose.mbn": _LOADER,
    }


def _updates() -> Iterator[dict[str, bytes]]:
    image = noise(4096) + bytes(4096)
    made = payloads.Manifest([payloads.partition("boot", image)], patch_level="2024-05-01")
    yield {
        "payload.bin": payloads.payload(made),
        "META-INF/com/android/metadata": payloads.METADATA.encode(),
        "payload_properties.txt": b"FILE_HASH=x\nFILE_SIZE=1\n",
    }
    yield {
        "system.new.dat.br": brotli.compress(image),
        "system.transfer.list": b"4\n2\n0\n0\nerase 2,0,4\nnew 2,0,2\nzero 2,2,4\n",
        "system.patch.dat": b"",
        "dynamic_partitions_op_list": b"add system main\nresize system 16384\n",
        "boot.img": _BOOT,
        "META-INF/com/android/metadata": b"ota-type=BLOCK\npre-device=x\n",
        "META-INF/com/google/android/updater-script": b"package_extract_file",
    }


def _folders() -> Iterator[dict[str, bytes]]:
    flat = _flat()
    yield flat
    yield {f"emmc/{name}": data for name, data in flat.items()} | {
        f"ufs/{name}": data.replace(b'BYTES="512"', b'BYTES="4096"') for name, data in flat.items()
    }
    yield {
        "flash_all.sh": b"fastboot $* getvar product 2>&1 | grep '^product: *zeus'\n"
        b"fastboot $* flash boot_ab `dirname $0`/images/boot.img\n"
        b"fastboot $* flash super `dirname $0`/images/super.img\n",
        "images/boot.img": _BOOT,
        "images/super.img": sparse((1, noise(4096)), (3, b"")),
        "images/crclist.txt": b"CRC-LIST\nboot 0x12345678\n",
        "images/anti_version.txt": b"3\n",
        "images/rawprogram0.xml": flat["rawprogram0.xml"],
    }
    yield {
        "boot.img": _BOOT, "system.img": b"system", "userdata.img": b"u",
        "bootloader-x.img": BOOTLDR,
        "android-info.txt": b"require board=sailfish|marlin\nrequire version-bootloader=1\n",
        "flash-all.sh": b"fastboot flash bootloader bootloader-x.img\nfastboot -w update x.zip\n",
        "super.img_sparsechunk.0": sparse((1, noise(4096)), (1, b"")),
        "super.img_sparsechunk.1": sparse((1, b""), (1, noise(4096))),
    }  # fmt: skip
    yield {
        "flashfile.xml": motos.document(
            motos.step("flash", "partition", "gpt.bin", _GPT_BIN),
            motos.step("flash", "boot", "boot.img", _BOOT),
            motos.step("erase", "modemst1"),
        ),
        "gpt.bin": _GPT_BIN, "boot.img": _BOOT,
    }  # fmt: skip
    yield {
        "rawprogram0.xml": rawprogram({"boot": "boot.img"}),
        "boot.img": b"ASUS MAGIC!".ljust(4096, b"\0") + _BOOT,
    }
    yield {
        "rawprogram0.x": test_lenovo.encrypted(rawprogram({"boot": "boot.img"}), "word"),
        "boot.img": _BOOT,
    }
    yield {
        "flashmap.json": test_installers.flashmap(test_installers.layout()),
        "prog.elf": _LOADER, "boot.img": _BOOT,
        "emmc/rawprogram0.xml": rawprogram({"boot": "boot.img"}),
    }  # fmt: skip
    yield {**test_installers.FILES, "BOOT/bin/prog.elf": _LOADER}
    yield {"boot_X-FLASH-ALL-2389.sin": test_sony.BOOT, "x.ta": b"01"}
    yield {
        "A1N-0-414B-rawprogram0.xml": rawprogram({"boot": "boot.img"}),
        "A1N-0-414B-boot.img": _BOOT,
    }
    yield from _updates()


def _ops() -> bytes:
    xml = (
        '<?xml version="1.0"?><Setting><BasicInfo Project="18801" Version="x"/>'
        '<SAHARA><File ID="13" Path="prog.elf" {prog.elf}/></SAHARA><Program0>'
        '<program label="boot" num_partition_sectors="8" start_sector="12"'
        ' SECTOR_SIZE_IN_BYTES="512"><Image filename="boot.img" sparse="false" {boot.img}'
        ' Sha256="0"/></program></Program0></Setting>'
    )
    files = {"prog.elf": (_LOADER, opluses.ops_cipher), "boot.img": (_BOOT, opluses.plain)}
    return opluses.container(files, xml, opluses.ops_cipher)


def _files() -> Iterator[bytes]:
    flat = _flat()
    yield zip_of(flat)
    yield tar_of(flat)
    inner = zip_of(flat, 0)
    yield zip_of({"in.zip": inner, "read me.txt": b"x"}, 0)
    for update in _updates():
        yield zip_of(update, 0)
    yield lgs.kdz(lgs.dz(lgs.Piece("boot", 100, noise(700)), lgs.Piece("PrimaryGPT", 0, _TABLE)))
    yield _ops()
    yield test_nokia.container(test_nokia.FLAT)
    yield zip_of({"boot_X-FLASH-ALL-2389.sin": test_sony.BOOT})


_WORDS = (
    b"\n========> ", b".img\n", b".xml\n", b"<program ", b'start_sector="', b'filename="../',
    b"PK\x03\x04", b'num_partition_sectors="', b"NUM_DISK_SECTORS", b'sparse="true"', b'label="',
)  # fmt: skip

_ROOMS = tuple(
    f"edl.packages.{name}"
    for name in (
        "asus", "builds", "door", "fastboot", "flat", "holdings", "installer", "lenovo",
        "metabuilds", "motorola", "nokia", "ota", "pieces", "sony", "tree", "xiaomi",
    )
)  # fmt: skip

TARGETS = (
    Target("package", ("edl.package", "edl.plan.build", "edl.plan.check", *_ROOMS), _package,
           lambda: map(_joined, _folders()), (EdlError,), _WORDS, most_bytes=100_000),
    Target("package-file",
           ("edl.packages.lg", "edl.packages.oplus", "edl.packages.oplusfiles",
            "edl.packages.oplusrows", "edl.packages.tars", "edl.packages.zips"),
           _file, _files, (EdlError,), _WORDS, most_bytes=100_000),
)  # fmt: skip
