# SPDX-License-Identifier: BSD-3-Clause
"""Packages of the corpus with made-up images: which bytes come to lie in which sectors.

The oracle reads rows and patches by itself, by the rules of qdl and ptool: rows in order, then
patches in order, CRC-32 of what lies on the disk by then; a file is cut off where its row
ends.
"""

from __future__ import annotations

import binascii
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.chunks import read_all
from edl.errors import PackageError
from edl.firehose.commands import Area
from edl.formats.selection import Kind, classify_name
from edl.packages import door
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.model import Geometry
from edl.plan.patching import folded
from tests.conftest import shared
from tests.packages.making import noise, sparse
from tests.unit.test_package_corpus import WITH_A_SET, WITH_XML_ONLY

_ROW = re.compile(r"<(program|patch)\s([^>]*?)/?>", re.DOTALL)
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")
_BLOCK = noise(4096)
_HOLED = sparse((1, _BLOCK), (1, b""), (1, _BLOCK))
_MAKING = {"gen-ptool-glymur-crd-spinor"}  # its contents.xml says that it is for no phone
Disk = dict[tuple[int, int], bytes]  # by LUN and sector


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "home"))


def rows(path: Path, kind: str) -> Iterator[dict[str, str]]:
    text = re.sub(r"<!--.*?-->", "", path.read_text("utf-8", "replace"), flags=re.DOTALL)
    for match in _ROW.finditer(text):
        if match[1] == kind:
            yield dict(_ATTRIBUTE.findall(match[2]))


def number(text: str, sectors: int) -> int:
    match = re.fullmatch(r"NUM_DISK_SECTORS-(\d+)\.?", text.strip())
    return sectors - int(match[1]) if match else int(text)


def make(path: Path, folder: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Make the images of a rawprogram file; return what they put where, by their names."""
    found = {}
    for row in rows(path, "program"):
        name, room = row["filename"], int(row["num_partition_sectors"])
        if not name or (folder / name).exists() or "/" in name:
            continue
        unit = int(row["SECTOR_SIZE_IN_BYTES"])
        real = path.parent / name
        if row.get("sparse") == "true" and room * unit >= 3 * len(_BLOCK):
            data, parts = _HOLED, [(0, _BLOCK), (2 * len(_BLOCK), _BLOCK)]
        else:
            size = room * unit if "gpt" in name else min(room * unit or 900, 900)
            data = real.read_bytes() if real.exists() else noise(size)
            parts = [(0, data)]
        (folder / name).write_bytes(data)
        found[name] = parts
    return found


def put(disk: Disk, lun: int, unit: int, at: int, data: bytes) -> None:
    first, skipped = divmod(at, unit)
    count = -(-(skipped + len(data)) // unit)
    old = b"".join(disk.get((lun, first + n), bytes(unit)) for n in range(count))
    new = old[:skipped] + data + old[skipped + len(data) :]
    for n in range(count):
        disk[lun, first + n] = new[n * unit : (n + 1) * unit]


def expected(
    documents: list[Path], images: dict[str, list[tuple[int, bytes]]], sectors: int
) -> Disk:
    disk: Disk = {}
    for row in (row for path in documents for row in rows(path, "program")):
        unit, lun = int(row["SECTOR_SIZE_IN_BYTES"]), int(row["physical_partition_number"])
        start = number(row["start_sector"], sectors) * unit if row["filename"] else 0
        for at, data in images.get(row["filename"], []):
            room = int(row["num_partition_sectors"]) * unit
            whole = data + bytes(-len(data) % unit)
            put(disk, lun, unit, start + at, whole[: room - at] if room else whole)
    for row in (row for path in documents for row in rows(path, "patch")):
        if row["filename"] != "DISK":
            continue
        unit, lun = int(row["SECTOR_SIZE_IN_BYTES"]), int(row["physical_partition_number"])
        if crc := re.fullmatch(r"CRC32\((.*),(\d+)\)", row["value"]):
            first, length = number(crc[1], sectors), int(crc[2])
            read = [disk.get((lun, first + n), bytes(unit)) for n in range(-(-length // unit))]
            value = binascii.crc32(b"".join(read)[:length])
        else:
            value = number(row["value"], sectors)
        at = number(row["start_sector"], sectors) * unit + int(row["byte_offset"])
        put(disk, lun, unit, at, value.to_bytes(int(row["size_in_bytes"]), "little"))
    return disk


@pytest.mark.parametrize("name", sorted({*WITH_A_SET, *WITH_XML_ONLY} - _MAKING))
def test_the_sectors_of_a_package_in_a_zip_file(name: str, tmp_path: Path) -> None:
    real = shared(f"corpus/{name}")
    kinds = {path: classify_name(path.name).kind for path in sorted(real.glob("*.xml"))}
    documents = [path for path, kind in kinds.items() if kind in {Kind.NORMAL, Kind.UNSPARSE}]
    patches = [path for path, kind in kinds.items() if kind is Kind.PATCH]
    (tmp_path / "rom").mkdir()
    images = {k: v for path in documents for k, v in make(path, tmp_path / "rom").items()}
    with zipfile.ZipFile(tmp_path / "rom.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in [*kinds, *(tmp_path / "rom").iterdir()]:
            archive.write(path, f"rom/{path.name}")
    package, _ = door.open_any([str(tmp_path / "rom.zip")])
    unit = package.sector_bytes or 512
    sectors = (256 << 30) // unit
    geometry = Geometry("emmc" if unit == 512 else "ufs", unit, dict.fromkeys(range(8), sectors))
    plan = checked(build(package, geometry))
    assert plan.errors == ()
    disk: Disk = {}

    def now(area: Area) -> bytes:
        return b"".join(
            disk.get((area.lun, area.start_sector + n), bytes(unit)) for n in range(area.sectors)
        )

    for step in folded(plan, now).writes:
        data = read_all(step.content, 0, step.area.size_bytes)
        put(disk, step.area.lun, unit, step.area.start_sector * unit, data)
    assert disk == expected([*documents, *patches], images, sectors)
    assert len(disk) > 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mdm-huawei-nand", "a NAND partition layout"),
        ("qcm6490-particle-tachyon", "a UFS provisioning file"),
        ("msm8937-pine", "a partition layout for ptool"),
        ("unknown-ceka22-ef1", "Not named like a complete set: 2.xml, "),
        ("mtk-moto-milan", "a phone with a MediaTek chip"),
        ("gen-ptool-glymur-crd-spinor", "The package has the flavors default, qcom_server"),
    ],
)
def test_what_is_no_package_for_a_phone(name: str, told: str) -> None:
    with pytest.raises(PackageError, match=re.escape(told)):
        door.open_any([str(shared(f"corpus/{name}"))])
