# SPDX-License-Identifier: BSD-3-Clause
"""Where files of rows are found: the same in a folder and in an archive of it."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from edl.chunks import read_all
from edl.errors import PackageError, UsageError
from edl.package import Package
from edl.packages import door
from edl.plan.build import build
from edl.plan.model import Geometry, Plan
from tests.packages.making import noise, rawprogram

BOOT = noise(3000)
GEOMETRY = Geometry("emmc", 512, {0: 1 << 15})


def folder_of(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def archive_of(files: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def both(files: dict[str, bytes], tmp_path: Path) -> list[Path]:
    return [folder_of(files, tmp_path / "rom"), archive_of(files, tmp_path / "rom.zip")]


def opened(path: Path, *include: Path) -> Package:
    return door.open_any([str(path)], [str(folder) for folder in include])[0]


def written(plan: Plan) -> list[tuple[str, bytes]]:
    return [
        (write.label, read_all(write.content, 0, write.content.size_bytes)) for write in plan.writes
    ]


@pytest.mark.parametrize(
    ("document", "image", "named"),
    [
        ("rawprogram0.xml", "images/boot.img", "boot.img"),
        ("rawprogram0.xml", "images/boot.img", "images\\boot.img"),
        ("rawprogram0.xml", "images/Boot.IMG", "boot.img"),
        ("rawprogram0.xml", "images/boot.img.gz", "boot.img"),
        ("xml/rawprogram0.xml", "images/boot.img", "boot.img"),
        ("xml/rawprogram0.xml", "images/boot.img", "..\\images\\boot.img"),
        ("xml/rawprogram0.xml", "boot.img", "../boot.img"),
    ],
)
def test_folder_and_archive_agree(document: str, image: str, named: str, tmp_path: Path) -> None:
    data = gzip.compress(BOOT) if image.endswith(".gz") else BOOT
    files = {document: rawprogram({"boot": named}), image: data}
    plans = [build(opened(path), GEOMETRY) for path in both(files, tmp_path)]
    for plan in plans:
        assert plan.errors == ()
        assert written(plan) == [("boot", BOOT.ljust(3072, b"\0"))]
    assert [step.area for step in plans[0].writes] == [step.area for step in plans[1].writes]


@pytest.mark.parametrize("named", ["../boot.img", "a/../../boot.img", "/boot.img", "C:\\boot.img"])
def test_neither_leads_out(named: str, tmp_path: Path) -> None:
    files = {"rawprogram0.xml": rawprogram({"boot": named}), "sub/boot.img": BOOT}
    (tmp_path / "boot.img").write_bytes(b"of somebody else")
    told = []
    for path in both(files, tmp_path):
        with pytest.raises(PackageError) as caught:
            opened(path).find(named, "rawprogram0.xml")
        told.append(caught.value.message)
    assert told[0] == told[1]


def test_of_several_files_neither_takes_one(tmp_path: Path) -> None:
    files = {"rawprogram0.xml": rawprogram({"boot": "boot.img"}), "a/boot.img": b"a",
             "b/boot.img": b"b"}  # fmt: skip
    for path in both(files, tmp_path):
        with pytest.raises(PackageError, match=r"'boot\.img' could be a/boot\.img or b/boot\.img"):
            opened(path).find("boot.img", "rawprogram0.xml")


def test_what_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    files = {"rawprogram0.xml": rawprogram({"boot": "boot.img"})}
    remedies = []
    for path in both(files, tmp_path):
        with pytest.raises(PackageError, match=r"'boot\.img' is missing") as caught:
            opened(path).find("boot.img", "rawprogram0.xml")
        remedies.append(caught.value.remedies[0])
    assert remedies == ["Unpack the whole package again.", "Download the package again."]


def test_what_is_damaged_in_an_archive_was_not_unpacked_by_anybody(tmp_path: Path) -> None:
    files = {"rawprogram0.xml": rawprogram({"boot": "boot.img"}), "boot.img": b""}
    told = [build(opened(path), GEOMETRY).errors[0].remedy for path in both(files, tmp_path)]
    assert told[0].startswith("Unpack the whole package again")
    assert told[1] == "Download the package again: the file in it is damaged."


def test_more_folders_can_be_named_beside_an_archive(tmp_path: Path) -> None:
    files = {"emmc/rawprogram0.xml": rawprogram({"boot": "boot.img"}),
             "ufs/rawprogram0.xml": rawprogram({"boot": "boot.img"}, 4096)}  # fmt: skip
    folder_of({"boot.img": BOOT}, tmp_path / "more")
    package = opened(archive_of(files, tmp_path / "rom.zip"), tmp_path / "more")
    for each in (package, package.for_sectors(512), package.for_sectors(4096)):
        assert each.find("boot.img", "rawprogram0.xml").size_bytes == 3000
    with pytest.raises(UsageError, match="--include"):
        opened(tmp_path / "rom.zip", tmp_path / "nothing")
