# SPDX-License-Identifier: BSD-3-Clause
"""The one door: what is recognised, and what is told of what is not."""

from __future__ import annotations

import importlib.metadata
import io
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from edl.chunks import read_all
from edl.errors import EdlError, PackageError, UsageError
from edl.files import on_disk
from edl.package import Package
from edl.packages import door, tree
from edl.packages.model import Choices
from edl.packages.tree import of_folder
from edl.virtual.sample import make_sample
from tests.conftest import REPO
from tests.packages.making import noise, rawprogram

LOADER = REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf"
FLAT = {"rom/rawprogram0.xml": rawprogram({"boot": "boot.img"}), "rom/boot.img": noise(3000)}


def zipped(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def opened(path: Path, *more: str, **options: str) -> Package:
    return door.open_any([str(path), *more], choices=Choices(options=options))[0]


def image(package: Package, name: str = "boot.img") -> bytes:
    file = package.find(name, "rawprogram0.xml")
    return read_all(file.content, 0, file.size_bytes)


@pytest.mark.parametrize(
    "data",
    [
        zipped(FLAT),
        tarred(FLAT),
        tarred(FLAT, "w:gz"),
        zipped({"inner.zip": zipped(FLAT), "readme.txt": b"hello"}),
        zipped({"inner.zip": zipped(FLAT)}, zipfile.ZIP_STORED),
        zipped({"a/inner.tar": tarred(FLAT)}),
        zipped({"a/inner.tgz": tarred(FLAT, "w:gz")}),
        tarred({"inner.zip": zipped(FLAT)}, "w:xz"),
        zipped({"mid.zip": zipped({"inner.zip": zipped(FLAT)})}),
        zipped({**{f"rom/{n}.txt": b"" for n in range(20)}, **FLAT}),
        zipped({"rom/rawprogram0.xml": FLAT["rom/rawprogram0.xml"],
                "rom/boot.img.gz": zlib.compress(FLAT["rom/boot.img"], wbits=31)}),
    ],
    ids=["zip", "tar", "tgz", "zip in zip", "stored", "tar in zip", "tgz in zip", "zip in txz",
         "three deep", "many files", "image.gz"],
)  # fmt: skip
def test_a_flat_build_however_it_is_packed(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rom.bin"
    path.write_bytes(data)
    package, description = door.open_any([str(path)])
    assert description.kind == "flat build (rawprogram)"
    assert description.facts == (("storage", "eMMC"),)
    assert image(package) == FLAT["rom/boot.img"]


HEADS = {
    "a.rar": (b"Rar!\x1a\x07\x01\0" + bytes(600), "RAR archive"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(600), "7-Zip archive"),
    "a.img.lz4": (b"\x04\x22\x4d\x18" + bytes(600), "LZ4"),
    "setup.exe": (b"MZ" + bytes(600), "program for Windows"),
    "setup.msi": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "installer for Windows"),
    "a.pac": ("BP_R1.0.0".encode("utf-16-le") + bytes(600), "Unisoc"),
    "a.zip": (b"<!DOCTYPE html><html>404</html>", "a web page"),
    "b.zip": (b"\n<html>404</html>", "a web page"),
    "empty.zip": (b"", "an empty file"),
    "garbage": (noise(5000), "no package of a known kind"),
    "tiny": (b"MZ", "no package of a known kind"),
    "app.apk": (zipped({"AndroidManifest.xml": b"", "classes.dex": b""}), "an Android app"),
    "mtk.zip": (
        zipped({"MT6765_Android_scatter.txt": b"", "boot.img": b"", "system.img": b""}),
        "MediaTek",
    ),
    "mtk2.zip": (zipped({"preloader_x.bin": b"", "lk.img": b""}), "MediaTek"),
    "uni.zip": (zipped({"fw.pac": b"x"}), "Unisoc"),
    "odin.zip": (zipped({"AP_G960.tar.md5": b"x", "BL_G960.tar.md5": b"x"}), "Odin"),
    "docs.zip": (zipped({"readme.txt": b"x"}), "It holds: readme.txt."),
    "void.zip": (zipped({}), "no package of a known kind"),
    "nested.zip": (zipped({"in.zip": zipped({"readme.txt": b"x"})}), "readme.txt"),
}


@pytest.mark.parametrize("name", HEADS)
def test_what_is_no_package_is_told(name: str, tmp_path: Path) -> None:
    data, told = HEADS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PackageError) as caught:
        opened(tmp_path / name)
    assert told in caught.value.message
    assert caught.value.remedies


@pytest.mark.parametrize("name", ["MT6765_scatter.txt", "AP.tar.md5"])
def test_folders_of_other_chips(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "boot.img").write_bytes(b"x")
    with pytest.raises(PackageError, match=r"MediaTek|Odin"):
        opened(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(PackageError, match="No rawprogram file"):
        opened(tmp_path / "x")


def test_a_folder_with_an_archive_in_it(tmp_path: Path) -> None:
    (tmp_path / "rom").mkdir()
    (tmp_path / "rom" / "rom.zip").write_bytes(zipped(FLAT))
    (tmp_path / "rom" / "boot.img.gz").write_bytes(zlib.compress(b"other", wbits=31))
    assert image(opened(tmp_path / "rom")) == FLAT["rom/boot.img"]


def test_too_large_a_folder_may_hold_xml_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_MAX_FILES", 1)
    for name, data in FLAT.items():
        (tmp_path / "rom").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert image(opened(tmp_path)) == FLAT["rom/boot.img"]
    (tmp_path / "rom" / "rawprogram0.xml").unlink()
    (tmp_path / "rom" / "x").write_bytes(b"")
    with pytest.raises(PackageError, match="No rawprogram file"):
        opened(tmp_path)


def test_links_do_not_lead_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "rom"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "boot.img").write_bytes(b"x")
    (folder / "system.img").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    assert list(of_folder(folder).files) == ["deep/er/boot.img"]


def test_a_loader_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "rom.zip").write_bytes(zipped(FLAT))
    package = opened(tmp_path / "rom.zip", str(LOADER))
    assert (package.loaders, package.loader_named) == ((LOADER,), True)


def test_loaders_in_an_archive_are_put_on_the_disk(tmp_path: Path) -> None:
    data = LOADER.read_bytes()
    (tmp_path / "rom.zip").write_bytes(zipped({**FLAT, "rom/prog.elf": data}))
    loaders = opened(tmp_path / "rom.zip").loaders
    assert [path.name for path in loaders] == ["prog.elf"]
    assert loaders[0].read_bytes() == data
    assert opened(tmp_path / "rom.zip").loaders == loaders


def test_one_package_at_a_time(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes(zipped(FLAT))
    with pytest.raises(UsageError, match="a package by itself"):
        opened(tmp_path / "a.zip", str(tmp_path / "b.zip"))
    (tmp_path / "rawprogram0.xml").write_bytes(FLAT["rom/rawprogram0.xml"])
    with pytest.raises(UsageError, match="a package by itself"):
        opened(tmp_path / "a.zip", str(tmp_path / "rawprogram0.xml"))
    with pytest.raises(UsageError):
        opened(tmp_path / "nothing")


def test_notes_of_an_archive_are_told(tmp_path: Path) -> None:
    (tmp_path / "rom.zip").write_bytes(zipped({**FLAT, "../out": b"x"}))
    assert opened(tmp_path / "rom.zip").warnings == ("../out: its name leads out of the archive",)


# -- sets ----------------------------------------------------------------------------------------


def sets(first: int, second: int) -> dict[str, bytes]:
    return {
        "emmc/rawprogram0.xml": rawprogram({"boot": "boot.img"}, first),
        "emmc/boot.img": b"emmc" * 200,
        "ufs/rawprogram0.xml": rawprogram({"boot": "boot.img"}, second),
        "ufs/boot.img": b"ufs!" * 2000,
    }


@pytest.mark.parametrize("packed", [True, False])
def test_a_set_for_each_storage(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "rom"
    if packed:
        path.write_bytes(zipped(sets(512, 4096)))
    else:
        for name, data in sets(512, 4096).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    package, description = door.open_any([str(path)])
    assert description.facts == (("storage", "eMMC or UFS"),)
    assert image(package.for_sectors(4096)) == b"ufs!" * 2000
    assert image(package.for_sectors(512)) == b"emmc" * 200
    assert image(opened(path, storage="ufs")) == b"ufs!" * 2000
    assert image(opened(path, set="emmc")) == b"emmc" * 200
    assert [text.partition(":")[0] for text in package.warnings] == ["sets"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "several sets of rawprogram files: emmc, ufs"),
        ({"set": "nand"}, "has no set 'nand'"),
        ({"storage": "ufs"}, "no set for the storage 'ufs'"),
        ({"storage": "floppy"}, "no set for the storage 'floppy'"),
    ],
)
def test_sets_that_nothing_tells_apart(options: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(sets(512, 512)))
    with pytest.raises(PackageError, match=told):
        opened(tmp_path / "a.zip", **options)


def test_the_set_for_upgrades_is_taken_by_wish(tmp_path: Path) -> None:
    files = {
        "rawprogram0.xml": rawprogram({"boot": "boot.img", "userdata": "u.img"}),
        "rawprogram_upgrade0.xml": rawprogram({"boot": "boot.img"}),
        "rawprogram0_WIPE_PARTITIONS.xml": rawprogram({"boot": "zero.bin"}),
        "boot.img": b"x",
    }
    (tmp_path / "a.zip").write_bytes(zipped(files))
    normal, upgrade = opened(tmp_path / "a.zip"), opened(tmp_path / "a.zip", upgrade="yes")
    assert (len(list(normal.rows)), len(list(upgrade.rows))) == (2, 1)
    assert "rawprogram0_WIPE_PARTITIONS.xml" in dict(normal.left_out)


def test_damaged_documents_are_all_told(tmp_path: Path) -> None:
    files = {"rawprogram0.xml": b"<data>", "patch0.xml": b"<patches>"}
    (tmp_path / "a.zip").write_bytes(zipped(files))
    with pytest.raises(EdlError) as caught:
        opened(tmp_path / "a.zip")
    assert "rawprogram0.xml" in caught.value.message
    assert "patch0.xml" in caught.value.message


# -- plug-ins ------------------------------------------------------------------------------------


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def plug(value: str) -> None:
        points = EntryPoints([EntryPoint("example", value, door.GROUP)])
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: points)

    return plug


def test_a_broken_plug_in_stops_nothing(
    plugged: Callable[[str], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "rom.zip").write_bytes(zipped(FLAT))
    plugged("nowhere:Nothing")
    assert image(opened(tmp_path / "rom.zip")) == FLAT["rom/boot.img"]
    assert "the format example cannot be used" in caplog.text


def test_the_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As somebody else would install it: nothing but files that pip puts beside others."""
    page = (REPO / "docs" / "packages.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    block = page.partition("```toml\n[project.")[2].partition("```")[0]
    points = tomllib.loads(f"[project.{block}")["project"]["entry-points"]
    assert set(points) == {door.GROUP}
    site = tmp_path / "site-packages"
    info = site / "example_format-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "example_format.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example-format\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points[door.GROUP].items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{door.GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(str(site))
    files = {
        "layout.csv": b"boot,kernel.bin\ndtbo,trees.bin",
        "kernel.bin": b"k",
        "trees.bin": b"t",
    }
    (tmp_path / "rom.zip").write_bytes(zipped(files))
    package, description = door.open_any([str(tmp_path / "rom.zip")])
    assert description.kind == "example package"
    assert [(image.partition, image.where) for image in package.named] == [
        ("boot", "layout.csv:1"), ("dtbo", "layout.csv:2"),
    ]  # fmt: skip
    assert [file.name for file in package.files] == ["rom.zip/kernel.bin", "rom.zip/trees.bin"]


def test_the_sample_is_the_same_packed(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    make_sample(folder, LOADER)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "rom.zip").write_bytes(zipped(files))
    packed, plain = opened(tmp_path / "rom.zip"), opened(folder)
    assert list(packed.rows) == list(plain.rows)
    assert [f.size_bytes for f in packed.files] == [f.size_bytes for f in plain.files]


def test_without_a_package_its_xml_files_are_explained(tmp_path: Path) -> None:
    files = {
        "a/provision.xml": b"<data><ufs LUNum='0'/></data>",
        "a/two.xml": rawprogram({"boot": "boot.img"}),
        "a/large.xml": bytes(2 << 20),
    }
    (tmp_path / "a.zip").write_bytes(zipped(files))
    (tmp_path / "a").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for path, inside in ((tmp_path / "a.zip", "a/two.xml"), (tmp_path / "a", "two.xml")):
        with pytest.raises(PackageError) as caught:
            opened(path)
        assert "provision.xml: this is a UFS provisioning file" in caught.value.message
        assert caught.value.message.endswith(f"Not named like a complete set: {inside}.")
        assert "XML files" in caught.value.remedies[-1]


def test_files_that_wipe_are_explained_once(tmp_path: Path) -> None:
    (tmp_path / "rawprogram0_WIPE_PARTITIONS.xml").write_bytes(rawprogram({"boot": "boot.img"}))
    with pytest.raises(PackageError, match=r"No rawprogram file was found in [^ ]*\.$") as caught:
        opened(tmp_path)
    assert "it overwrites every partition" in caught.value.remedies[-1]


def test_what_a_tree_has_looked_up_is_not_passed_on() -> None:
    first = tree.Tree("a", "zip", {"x/A.img": on_disk(LOADER)})
    assert (first.get("x/a.img") is not None, list(first.below("x"))) == (True, ["A.img"])
    second = replace(first, files={"y/b.img": on_disk(LOADER)})
    assert (second.get("x/a.img"), second.below("x"), list(second.below("y"))) == (
        None, {}, ["b.img"],
    )  # fmt: skip


def test_files_of_an_archive_fit_also_in_other_capitals(tmp_path: Path) -> None:
    rows = rawprogram({"boot": "Boot[1].IMG", "tz": "tz.mbn"})
    files = {"a/rawprogram0.xml": rows, "a/images/boot[1].img": b"boot", "a/b/tz.mbn": b"right",
             "a/c/TZ.mbn": b"wrong"}  # fmt: skip
    (tmp_path / "a.zip").write_bytes(zipped(files))
    package = opened(tmp_path / "a.zip")
    assert (image(package, "Boot[1].IMG"), image(package, "tz.mbn")) == (b"boot", b"right")


@pytest.mark.parametrize(
    ("content", "told", "remedy"),
    [
        (b"ANDROID!" + bytes(4088), "is one image (Android boot image", "edl write NAME"),
        (b"AVB0" + bytes(4092), "verified boot metadata (vbmeta)", "edl write NAME"),
        (bytes(512) + b"EFI PART" + bytes(9000), "disk with 512-byte sectors", "edl restore"),
    ],
)
def test_a_single_image_is_called_what_it_is(
    tmp_path: Path, content: bytes, told: str, remedy: str
) -> None:
    file = tmp_path / "x.img"
    file.write_bytes(content)
    with pytest.raises(PackageError) as caught:
        door.open_any([str(file)])
    assert told in caught.value.message
    assert any(remedy in text for text in caught.value.remedies)
