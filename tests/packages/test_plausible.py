# SPDX-License-Identifier: BSD-3-Clause
"""Images in the wrong row, and boot chains of which one copy is missing."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

import pytest

from edl.chunks import BytesContent
from edl.errors import EdlError
from edl.files import File
from edl.formats.gpt import Partition
from edl.formats.rawprogram import read_rawprogram
from edl.package import Package
from edl.packages.door import open_any
from edl.partitions import Severity as Worth
from edl.plan import plausible
from edl.plan.build import Options, build
from edl.plan.model import Geometry, Plan
from edl.plan.unique import _kind
from tests.conftest import shared
from tests.packages.making import BLOCK, noise, rawprogram, sparse

# as AOSP bootimg.h, dt_table.h, avb_vbmeta_image.h, ELF, ext4 and FAT begin
BOOT = b"ANDROID!" + bytes(100)
VENDOR_BOOT = b"VNDRBOOT" + bytes(100)
DTBO = b"\xd7\xb7\xab\x1e" + bytes(100)
VBMETA = b"AVB0" + bytes(100)
ELF = b"\x7fELF\x02\x01\x01" + bytes(100)
EXT4 = bytes(0x438) + b"\x53\xef" + bytes(0x22) + struct.pack("<II", 0x4, 0x40) + bytes(2000)
FAT = b"\xeb\x3c\x90" + bytes(51) + b"FAT16   " + bytes(448) + b"\x55\xaa" + bytes(100)


@pytest.mark.parametrize(
    ("label", "image"),
    [
        ("boot", BOOT), ("boot_a", BOOT), ("recovery", BOOT), ("boot", ELF), ("boot", noise(600)),
        ("vendor_boot_b", VENDOR_BOOT), ("dtbo_a", DTBO), ("vbmeta", VBMETA),
        ("vbmeta_system_a", VBMETA), ("system", EXT4), ("xbl_a", ELF), ("tzbak", ELF),
        ("modem_a", FAT), ("modem", EXT4), ("userdata", bytes(100)), ("splash", BOOT),
        ("whatever", VBMETA), ("", ELF), ("boot", b""),
    ],
)  # fmt: skip
def test_images_where_they_belong(label: str, image: bytes) -> None:
    assert plausible.misplaced(label, image) is None


@pytest.mark.parametrize(
    ("label", "image", "code"),
    [
        ("boot_a", DTBO, "dtbo"), ("boot", EXT4, "ext4"), ("recovery", VENDOR_BOOT, "vendor_boot"),
        ("dtbo", BOOT, "boot"), ("vbmeta_b", BOOT, "boot"), ("vendor_boot", BOOT, "boot"),
        ("super", EXT4, "ext4"), ("system_a", BOOT, "boot"), ("XBL", BOOT, "boot"),
        ("abl_a", EXT4, "ext4"), ("rpmbak", FAT, "fat"), ("modem", BOOT, "boot"),
    ],
)  # fmt: skip
def test_images_that_belong_elsewhere(label: str, image: bytes, code: str) -> None:
    kind = plausible.misplaced(label, image)
    assert kind is not None
    assert kind.code == code


def plan_of(files: dict[str, bytes], rows: dict[str, str], options: Options | None = None) -> Plan:
    members = {name: File(name, BytesContent(data)) for name, data in files.items()}
    package = Package(
        "rom", (), (read_rawprogram(rawprogram(rows), "rawprogram0.xml"),), {}, members=members
    )
    return build(package, Geometry("emmc", 512, {0: 1 << 16}), options)


@pytest.mark.parametrize(
    "image", [EXT4, sparse((1, EXT4.ljust(BLOCK, b"\0")), (2, b""))], ids=["raw", "sparse"]
)
def test_one_row_in_the_wrong_place_stops_the_plan(image: bytes) -> None:
    plan = plan_of({"system.img": image}, {"misc": "system.img", "boot": "system.img"})
    (finding,) = plan.errors
    assert (finding.code, finding.where) == ("wrong-image", "rawprogram0.xml:1")
    assert "ext4" in finding.message
    assert "--skip boot" in finding.remedy
    assert plan_of(
        {"system.img": image}, {"misc": "system.img", "boot": "system.img"},
        Options(skip=frozenset({"boot"})),
    ).errors == ()  # fmt: skip


def test_a_damaged_sparse_image_is_told_once() -> None:
    broken = sparse((1, EXT4.ljust(BLOCK, b"\0")))[:-5]
    assert [e.code for e in plan_of({"s": broken}, {"boot": "s"}).errors] == ["image"]


@pytest.mark.parametrize(
    ("rows", "pairs"),
    [
        ({"tz": "x", "tzbak": ""}, "tz but not tzbak"),
        ({"tz_a": "x", "tz_b": "", "rpm": "x"}, "tz_a but not tz_b"),
        ({"tz_a": "x", "abl_a": "x", "abl_b": "x"}, "tz_a but not tz_b"),
        ({"tz_a": "x", "abl_a": "x"}, ""),  # a package for one slot
        ({"tz": "x", "tzbak": "x", "boot": "x", "bootbak": ""}, ""),
        ({"tz": "x"}, ""),
    ],
)
def test_copies_that_a_package_leaves_out(rows: dict[str, str], pairs: str) -> None:
    findings = [f for f in plan_of({"x": b"x"}, rows).findings if f.code == "twin-missing"]
    assert [pairs in finding.message for finding in findings] == ([True] if pairs else [])


def test_who_chose_partitions_knows() -> None:
    options = Options(only=frozenset({"tz"}))
    assert plan_of({"x": b"x"}, {"tz": "x", "tzbak": ""}, options).findings == ()


def test_real_packages_have_their_images_where_they_belong() -> None:
    found = 0
    for folder in sorted(path for path in shared("corpus").iterdir() if path.is_dir()):
        for path in folder.glob("*.xml"):
            if path.name.startswith("rawprogram") and "_" not in path.stem:
                found += _check(path)
    assert found > 20


def _check(path: Path) -> int:
    try:
        package, _ = open_any([str(path)])
    except EdlError:  # some are encrypted, or invented
        return 0
    geometry = Geometry("emmc", package.sector_bytes or 512, dict.fromkeys(range(8), 1 << 40))
    plan = build(package, geometry, Options(allow_missing=True))
    assert [f for f in plan.errors if f.code == "wrong-image"] == []
    return 1


@pytest.mark.parametrize(
    ("name", "guid", "unique"),
    [
        ("nv1", "ebbeadaf-22c9-e33b-8f5d-0e81686a68cb", True),  # modemst1 under another name
        ("nv1", "0fc63daf-8483-4772-8e79-3d69d8477de4", False),
        ("boot", "ebbeadaf-22c9-e33b-8f5d-0e81686a68cb", False),  # the name is known: it decides
        ("modemst1", "0fc63daf-8483-4772-8e79-3d69d8477de4", True),
    ],
)
def test_a_type_tells_what_an_unknown_name_holds(name: str, guid: str, unique: bool) -> None:
    partition = Partition(1, name, 64, 71, UUID(guid), UUID(int=1))
    assert (_kind(partition).severity is Worth.MUST_NEVER_CLONE) is unique
