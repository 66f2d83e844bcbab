# SPDX-License-Identifier: BSD-3-Clause
"""`edl image`: dumps, sparse, compressed and super images on the command line."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import random
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from edl.formats import gpt
from edl.formats.gpt import Partition
from edl.formats.manifest import (
    Compression,
    Extent,
    Form,
    Kind,
    LunRecord,
    Manifest,
    Owner,
    State,
    StorageRecord,
    Verified,
)
from edl.units import MIB
from tests import supers
from tests.cli.conftest import Edl, Result
from tests.cli.test_json import held
from tests.unit.test_contents import sparse_image

SYSTEM = random.Random(9).randbytes(1024 * 512)
SIZE = 9 * MIB


def write_disk(path: Path, *, unit: int = 512) -> Path:
    """Write a dump: 1 MiB boot_a, modemst1, 4 MiB super, 1 MiB blank userdata."""
    places = [("boot_a", 1, 1), ("modemst1", 2, 1), ("super", 3, 4), ("userdata", 7, 1)]
    rows = []
    for number, (name, at, size) in enumerate(places, 1):
        first, last = at * MIB // unit, (at + size) * MIB // unit - 1
        rows.append(Partition(number, name, first, last, UUID(int=9), UUID(int=number)))
    table = gpt.create(unit, SIZE // unit, UUID(int=7), rows).images()
    layout = supers.two_slots(2)
    layout.devices = [(2048, 4 * MIB, "super", 0)]
    image = supers.super_image(layout, layout, size=4 * MIB, data={2048: SYSTEM})
    with path.open("wb") as file:
        file.write(table.primary)
        for at, data in ((1, b"ANDROID!" + bytes(100)), (2, b"\x5a" * 4096), (3, image)):
            file.seek(at * MIB)
            file.write(data)
        file.truncate(SIZE)
        file.seek(table.backup_sector * unit)
        file.write(table.backup)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return write_disk(folder / "disk.img")


def packed(path: Path, pack: Callable[[bytes], bytes], suffix: str) -> Path:
    target = path.with_name(path.name + suffix)
    target.write_bytes(pack(path.read_bytes()))
    return target


def sparse(data: bytes) -> bytes:
    """Return data as a sparse image, its zeros as don't care."""
    chunks = []
    for at in range(0, len(data), MIB):
        piece = data[at : at + MIB]
        blank = not any(piece)
        chunks.append((0xCAC3, 256, b"") if blank else (0xCAC1, 256, piece))
    return sparse_image(*chunks)


def parts(result: Result) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in result.last["partitions"]}


@pytest.mark.parametrize("unit", [512, 4096])
def test_info_tells_what_a_dump_is(edl: Edl, tmp_path: Path, unit: int) -> None:
    path = write_disk(tmp_path / "d.img", unit=unit)
    told = edl("image", "info", path)
    assert told.status == 0
    assert f"9 MiB, disk with {unit}-byte sectors" in told.out
    assert "primary     sound" in told.out
    assert "unique      modemst1" in told.out
    assert "3 logical partitions, 2 slots" in told.out
    data = held(edl("image", "info", path, "--json"), "image info").last
    assert (data["kind"], data["bytes"], data["forms"]) == ("disk", SIZE, [])
    assert data["luns"][0]["sectors"] == data["luns"][0]["said_sectors"] == SIZE // unit
    assert data["super"]["slots"][0]["version"] == "10.2"


def test_ls_lists_partitions_and_logical_ones(edl: Edl, disk: Path) -> None:
    rows = parts(held(edl("image", "ls", disk, "--json"), "image ls"))
    assert list(rows) == [
        *("boot_a", "modemst1", "super", "userdata"),
        *("super/system_a", "super/vendor_a", "super/system_b"),
    ]
    assert rows["boot_a"]["holds"] == "boot"
    assert rows["modemst1"]["class"] == "must-never-clone"
    assert rows["super/system_a"]["slots"] == [0, 1]
    assert (rows["super/system_a"]["group"], rows["super/system_a"]["bytes"]) == ("main_a", MIB)
    shown = edl("image", "ls", disk).out
    assert "*radio-nv       modemst1" in shown
    assert "belongs to one phone alone" in shown
    assert "system_a" in shown


@pytest.mark.parametrize(
    ("pack", "form"),
    [
        (gzip.compress, "gzip"),
        (bz2.compress, "bzip2"),
        (lzma.compress, "xz"),
        (zstd.compress, "zstd"),
        (sparse, "sparse"),
        (lambda data: gzip.compress(sparse(data)), "gzip, sparse"),
    ],
)
def test_wrapped_dumps_are_the_same(
    edl: Edl, disk: Path, pack: Callable[[bytes], bytes], form: str
) -> None:
    path = packed(disk, pack, ".packed")
    told = edl("image", "info", path)
    assert f"({form}: a file of " in told.out
    assert edl("image", "diff", disk, path).status == 0
    assert edl("image", "verify", path, "--json").last["sound"] is True
    assert sorted(each.name for each in disk.parent.iterdir()) == ["disk.img", "disk.img.packed"]


def test_extract_takes_out_what_was_asked_for(edl: Edl, disk: Path, tmp_path: Path) -> None:
    out = tmp_path / "boot.img"
    done = held(edl("image", "extract", disk, "boot_a", out, "--json"), "image extract").last
    assert done["files"] == [{"label": "boot_a", "bytes": MIB, "file": str(out)}]
    assert out.read_bytes() == disk.read_bytes()[MIB : 2 * MIB]
    folder = tmp_path / "parts"
    folder.mkdir()
    assert edl("image", "extract", disk, "system_a", "super/vendor_a", "-d", folder).status == 0
    system = (folder / "system_a.img").read_bytes()
    assert system == SYSTEM + bytes(1024 * 512)
    assert (folder / "vendor_a.img").stat().st_size == (512 + 64) * 512
    assert edl("image", "extract", disk, "--all", "-d", folder, "--force").status == 0
    names = {"boot_a", "modemst1", "super", "userdata", "system_a", "vendor_a"}
    assert {path.stem for path in folder.iterdir()} == names
    assert (folder / "userdata.img").stat().st_blocks == 0
    assert (
        edl("image", "extract", disk, "boot_a,modemst1", f"{tmp_path}/1,{tmp_path}/2").status == 0
    )
    assert (tmp_path / "2").read_bytes()[:4096] == b"\x5a" * 4096
    assert edl("image", "extract", disk, "modemst1", folder, "--force").status == 0


def test_extract_makes_raw_images_of_wrapped_ones(edl: Edl, disk: Path, tmp_path: Path) -> None:
    path = packed(disk, lambda data: lzma.compress(sparse(data)), ".simg.xz")
    assert edl("image", "extract", path, "--whole", tmp_path / "raw").status == 0
    assert (tmp_path / "raw").read_bytes() == disk.read_bytes()


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        (("boot_a",), 2, "Name the partition and the file"),
        (("--all", "out"), 2, "Name the partition and the file"),
        (("--whole", "out", "boot_a"), 2, "--whole takes the whole image"),
        (("-d", "."), 2, "Name the partitions, or say --all"),
        (("boot_a", "--all", "-d", "."), 2, "Name the partitions, or say --all"),
        (("boot_a", "disk.img", "--force"), 2, "is the image itself"),
        (("boot_a", "there"), 2, "exists already"),
        (("boot_a", "/dev/null", "--force"), 2, "cannot be replaced"),
        (("boot_a,modemst1", "same,same"), 2, "the same file"),
        (("boot_a,modemst1", "one"), 2, "as many files"),
        (("boot_a", "gone/out"), 7, "cannot be used"),
        (("boot_b", "out"), 7, "no partition 'boot_b'"),
        (("system", "out"), 7, "Close to it: super/system_a, super/system_b"),
        (("xyz", "out"), 7, "See all: edl image ls FILE"),
    ],
)
def test_extract_refuses_before_it_writes(
    edl: Edl, disk: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], status: int,
    words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(disk.parent)
    Path("there").write_bytes(b"mine")
    result = edl("image", "extract", "disk.img", *line)
    assert result.status == status
    assert words in result.err
    assert Path("there").read_bytes() == b"mine"
    assert sorted(map(str, Path().iterdir())) == ["disk.img", "there"]


def test_names_on_several_places_get_names_of_their_own(edl: Edl, tmp_path: Path) -> None:
    one, other = supers.two_slots(), supers.two_slots()
    other.partitions[0] = ("system_a", 1, 1, [(8, 0, 9000, 0)])
    path = tmp_path / "super.img"
    path.write_bytes(supers.super_image(one, other))
    result = edl("image", "extract", path, "system_a", tmp_path / "out")
    assert result.status == 7
    assert "Choose the slot: --slot 0" in result.err
    assert edl("image", "extract", path, "system_a", tmp_path / "out", "--slot", 1).status == 0
    assert (tmp_path / "out").stat().st_size == 4096
    folder = tmp_path / "all"
    folder.mkdir()
    assert edl("image", "extract", path, "--all", "-d", folder).status == 0
    assert sorted(each.name for each in folder.iterdir()) == [
        "super_slot0_system_a.img", "super_slot1_system_a.img", "vendor_a.img",
    ]  # fmt: skip
    assert edl("image", "extract", path, "vendor_a", tmp_path / "v", "--slot", 5).status == 7


def test_diff_says_which_partitions_differ_and_where(edl: Edl, disk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    shutil.copy(disk, other)
    with other.open("r+b") as file:
        file.seek(2 * MIB + 77)
        file.write(b"!")
        file.seek(600 * 512)
        file.write(b"!")
    result = edl("image", "diff", disk, other)
    assert result.status == 8
    assert "DIFFERENT *0/modemst1                 1 of 1 MiB differ, from byte 77 on" in result.out
    assert "same       0/boot_a" in result.out
    assert "DIFFERENT  0/outside partitions" in result.out
    lines = held(edl("image", "diff", disk, other, "--json"), "image diff").lines
    (data,) = [line for line in lines if line["type"] == "result"]
    states = {row["label"]: (row["state"], row["first_byte"]) for row in data["parts"]}
    assert states["modemst1"] == ("different", 77)
    assert states["super/system_a"] == ("same", None)
    assert data["equal"] is False
    assert lines[-1]["code"] == "verify"


def test_diff_of_other_layouts_and_of_images_without_a_table(edl: Edl, tmp_path: Path) -> None:
    one = write_disk(tmp_path / "one")
    other = write_disk(tmp_path / "other", unit=4096)
    with other.open("r+b") as file:
        file.seek(2 * 4096 + 56)
        file.write("x".encode("utf-16-le"))  # boot_a is xoot_a now, and the checksum is wrong
        file.seek(SIZE - 4096)
        file.write(bytes(4096))
    result = edl("image", "diff", one, other)
    assert result.status == 8
    assert "ONLY 1ST   0/boot_a" in result.out
    assert "ONLY 2ND   0/xoot_a" in result.out
    assert "outside" not in result.out
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abcd")
    assert edl("image", "diff", tmp_path / "a", tmp_path / "a").out.endswith("same: 1 part.\n")
    sizes = edl("image", "diff", tmp_path / "a", tmp_path / "b")
    assert sizes.status == 8
    assert "the sizes differ: 3 bytes and 4 bytes" in sizes.out
    mixed = edl("image", "diff", one, tmp_path / "a")
    assert mixed.status == 7
    assert "cannot be compared" in mixed.err


def test_a_dump_that_was_cut_off_says_so(edl: Edl, disk: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.img"
    cut.write_bytes(disk.read_bytes()[: 15 * MIB // 2])
    info = edl("image", "info", cut)
    assert "its partition table is for 9 MiB: it was cut off" in info.out
    assert "; the last 512 KiB are missing" in edl("image", "ls", cut).out
    result = edl("image", "verify", cut)
    assert result.status == 8
    assert "BAD      LUN 0: The image was cut off: 1.5 MiB are missing." in result.out
    assert "BAD      LUN 0: The backup partition table is missing." in result.out
    lost = edl("image", "extract", cut, "userdata", tmp_path / "out")
    assert lost.status == 7
    assert "is not whole: the last 512 KiB" in lost.err
    rest = edl("image", "extract", cut, "--all", "-d", tmp_path)
    assert rest.status == 0
    assert "userdata is left out: it is not whole" in rest.err
    assert not (tmp_path / "userdata.img").exists()
    assert (tmp_path / "boot_a.img").exists()
    more = edl("image", "diff", disk, cut)
    assert more.status == 8
    assert "UNKNOWN    0/userdata" in more.out
    long = tmp_path / "long.img"
    long.write_bytes(disk.read_bytes() + bytes(MIB))
    assert "there is more behind that" in edl("image", "info", long).out
    assert "goes on for 1 MiB behind" in edl("image", "verify", long).out


def test_verify_finds_damage(edl: Edl, disk: Path) -> None:
    assert "Everything that can be checked is right." in edl("image", "verify", disk).out
    with disk.open("r+b") as file:
        file.seek(3 * MIB + 12288 + 300)
        file.write(b"!")
        file.seek(1024 + 60)
        file.write(b"!")
    result = edl("image", "verify", disk)
    assert result.status == 8
    assert "The primary metadata of slot 0: the checksum of its tables is wrong." in result.out
    assert "The primary partition table: The checksum of the entries is wrong." in result.out
    assert "The two partition tables differ." in result.out
    data = held(edl("image", "verify", disk, "--json"), "image verify").lines[-2]
    assert {row["verdict"] for row in data["checks"]} == {"ok", "bad"}


def test_a_super_that_cannot_be_understood(edl: Edl, disk: Path) -> None:
    with disk.open("r+b") as file:
        for at in (4096, 8192):
            file.seek(3 * MIB + at + 44)
            file.write(b"!")
    assert "cannot be understood" in edl("image", "info", disk).out
    assert "cannot be understood" in edl("image", "ls", disk).err
    result = edl("image", "verify", disk)
    assert result.status == 8
    assert "BAD      super:" in result.out


def test_a_layout_without_data_is_listed(edl: Edl, tmp_path: Path) -> None:
    path = tmp_path / "super_empty.img"
    path.write_bytes(supers.empty_image(supers.two_slots()))
    assert "layout only, 1 slot" in edl("image", "info", path).out
    assert "system_a" in edl("image", "ls", path).out
    assert edl("image", "verify", path).status == 0
    assert edl("image", "extract", path, "system_a", tmp_path / "out").status == 7
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("command", ["info", "ls", "verify"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "neither an image nor a backup"),
        ("gone", "There is no file"),
        ("/dev/zero", "no size"),
        ("empty", "is empty"),
        ("a" * 300, "cannot be read"),
        ("zip", "archive of files"),
        ("cut.gz", "cut off"),
        ("nothing.gz", "unpacks to nothing"),
    ],
)
def test_what_is_no_image(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    Path("zip").write_bytes(b"PK\x03\x04" + bytes(100))
    Path("cut.gz").write_bytes(gzip.compress(random.Random(1).randbytes(5000))[:3000])
    Path("nothing.gz").write_bytes(gzip.compress(b""))
    result = edl("image", command, name)
    assert result.status == 7
    assert words in result.err


def test_anything_else_is_told_and_has_no_partitions(edl: Edl, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"hello")
    assert "5 bytes, unknown data" in edl("image", "info", path).out
    assert "has no partitions: it is unknown data" in edl("image", "ls", path).err
    assert "Nothing in it can be checked" in edl("image", "verify", path).out
    assert edl("image", "extract", path, "boot", tmp_path / "y").status == 7


def test_names_that_could_harm_a_terminal_or_a_folder(edl: Edl, tmp_path: Path) -> None:
    layout = supers.Layout([("../\x1b[31mx", 1, 0, [(8, 0, 4096, 0)])])
    path, folder = tmp_path / "super.img", tmp_path / "parts"
    path.write_bytes(supers.super_image(layout))
    folder.mkdir()
    assert "\x1b" not in edl("image", "ls", path).out
    assert edl("image", "extract", path, "--all", "-d", folder).status == 0
    assert [each.name for each in folder.iterdir()] == ["___31mx.img"]


def test_a_build_is_named_by_its_fingerprint(edl: Edl, disk: Path) -> None:
    key, value = b"com.android.build.boot.fingerprint", b"maker/product/device:12/X/1:user/k"
    body = struct.pack(">QQ", len(key), len(value)) + key + b"\0" + value + b"\0"
    body += bytes(-len(body) % 8)
    descriptor = struct.pack(">QQ", 0, len(body)) + body
    head = struct.pack(">4sIIQQI8Q2QQI", b"AVB0", 1, 0, 0, len(descriptor), 0, *[0] * 8, 0,
                       len(descriptor), 0, 0).ljust(256, b"\0")  # fmt: skip
    blob = head + descriptor
    with disk.open("r+b") as file:
        file.seek(MIB + 8192)
        file.write(blob)
        file.seek(2 * MIB - 64)
        file.write(struct.pack(">4sIIQQQ28x", b"AVBf", 1, 0, 8192, 8192, len(blob)))
    assert "build         maker/product/device:12/X/1:user/k" in edl("image", "info", disk).out
    assert json.loads(edl("image", "info", disk, "--json").out)["fingerprint"] == value.decode()


def write_backup(folder: Path, disk: Path) -> Path:
    """Write a backup of the dump in disk: modemst1 skipped, LUN 1 without a table."""
    folder.mkdir()
    data = disk.read_bytes()
    (folder / "lun0.img").write_bytes(data)
    (folder / "lun1.img").write_bytes(bytes(MIB))
    spans = [
        (Kind.GPT_PRIMARY, "gpt", 0, 34), (Kind.GAP, "gap", 34, 2014),
        (Kind.PARTITION, "boot_a", 2048, 2048), (Kind.PARTITION, "modemst1", 4096, 2048),
        (Kind.PARTITION, "super", 6144, 8192), (Kind.PARTITION, "userdata", 14336, 2048),
        (Kind.GAP, "gap", 16384, 2015), (Kind.GPT_BACKUP, "gpt", 18399, 33),
    ]  # fmt: skip
    extents = []
    for kind, name, start, sectors in spans:
        raw = data[start * 512 : (start + sectors) * 512]
        extent = Extent(kind, name, start, sectors, State.SKIPPED)
        if name != "modemst1":
            extent = Extent(
                kind, name, start, sectors, State.SAVED, file="lun0.img",
                file_offset_bytes=start * 512, sha256=(hashlib.sha256(raw).digest(),),
            )  # fmt: skip
        extents.append(extent)
    blank = Extent(
        Kind.GAP, "gap", 0, 2048, State.SAVED, file="lun1.img",
        sha256=(hashlib.sha256(bytes(MIB)).digest(),),
    )  # fmt: skip
    luns = (
        LunRecord(0, SIZE // 512, UUID(int=7), None, tuple(extents)),
        LunRecord(1, 2048, None, None, (blank,)),
    )
    document = Manifest(
        "2026-01-02T03:04:05Z", "edl 0.1.0", True, Owner("1a2b3c4d"), StorageRecord("emmc", 512),
        Form.IMAGES, Compression.NONE, Verified.DIGEST, luns,
    )  # fmt: skip
    (folder / "manifest.json").write_text(document.text())
    return folder


def test_a_backup_is_an_image_of_all_its_luns(edl: Edl, disk: Path, tmp_path: Path) -> None:
    folder = write_backup(tmp_path / "backup", disk)
    info = edl("image", "info", folder)
    assert "backup of a phone" in info.out
    assert "1a2b3c4d, saved 2026-01-02T03:04:05Z" in info.out
    assert "LUN 1         1 MiB" in info.out
    assert held(edl("image", "info", folder / "manifest.json", "--json"), "image info").status == 0
    rows = parts(edl("image", "ls", folder, "--json"))
    assert rows["modemst1"]["holds"] == "missing"
    assert rows["super/system_a"]["bytes"] == MIB
    good = edl("image", "verify", folder)
    assert good.status == 0
    assert "as the manifest says" in good.out
    assert edl("image", "extract", folder, "boot_a", tmp_path / "boot").status == 0
    assert (tmp_path / "boot").read_bytes() == disk.read_bytes()[MIB : 2 * MIB]
    lost = edl("image", "extract", folder, "modemst1", tmp_path / "out")
    assert (lost.status, "nobody asked for it" in lost.err) == (7, True)
    whole = edl("image", "extract", folder, "--whole", tmp_path / "out")
    assert (whole.status, "has 2 LUNs" in whole.err) == (7, True)
    other = edl("image", "diff", folder, disk)
    assert other.status == 8
    assert "same       0/userdata" in other.out
    assert "ONLY 1ST   1/outside partitions" in other.out
    assert "UNKNOWN   *0/modemst1" in other.out
    with (folder / "lun0.img").open("r+b") as file:
        file.seek(MIB + 5)
        file.write(b"?")
    bad = edl("image", "verify", folder)
    assert bad.status == 8
    assert "BAD      boot_a: sectors 2048 to 4095" in bad.out


def test_a_backup_without_any_table_has_luns_all_the_same(edl: Edl, tmp_path: Path) -> None:
    disk = tmp_path / "blank.img"
    disk.write_bytes(bytes(SIZE))
    folder = write_backup(tmp_path / "backup", disk)
    assert "backup of a phone" in edl("image", "info", folder).out
    assert "has no partitions" in edl("image", "ls", folder).err
    assert edl("image", "diff", folder, folder).status == 8  # modemst1 is not there


def test_sectors_that_a_backup_lacks_are_told(edl: Edl, tmp_path: Path) -> None:
    phone = "qcm2290,size=2MiB,unreadable=0/100+3"
    assert edl("--virtual", phone, "backup", tmp_path / "b").status == 6
    told = edl("image", "verify", tmp_path / "b")
    assert told.status == 0
    assert "3 sectors could not be read from the phone: zeros here." in told.out
