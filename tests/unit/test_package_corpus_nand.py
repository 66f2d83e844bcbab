# SPDX-License-Identifier: BSD-3-Clause
"""Real packages for NAND, SPI-NOR and NVMe: plans against the XML, read in another way."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edl.chunks import read_all
from edl.formats import gpt
from edl.packages import door
from edl.packages.model import Choices
from edl.plan.assumed import assumed_geometry
from edl.plan.build import Options, build
from edl.plan.check import checked
from edl.plan.model import Geometry, Plan, touched
from tests import nands, phones
from tests.conftest import shared
from tests.packages.making import noise

_ROW = re.compile(r"<(program|erase|patch)\s([^>]*?)/>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_NAND = "mdm9607-quectel-eg25"
_XML = "rawprogram_nand_p2K_b128K_update.xml"


def rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
    for match in _ROW.finditer(text):
        yield match[1], dict(_ATTRIBUTE.findall(match[2]))


def quectel(folder: Path) -> Path:
    """Return the package of the EG25, with files for its rows."""
    for path in shared(f"corpus/{_NAND}").iterdir():
        if path.name != "SOURCES.tsv":
            place = folder / path.name.replace("__", "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    for kind, row in rows(folder / "update" / "firehose" / _XML):
        if kind == "program":
            name = row["filename"].replace("..\\", "../")
            size = min(int(row["num_partition_sectors"]) * 2048, 300_000) - 7
            (folder / "update" / "firehose" / name).write_bytes(noise(size))
    names = [f"0:{number}" for number in range(17)]
    layout = tuple((name, number * 9, 9) for number, name in enumerate(names))
    table = nands.mibib(2048, layout)
    (folder / "update/firehose/partition_complete_p2K_b128K.mbn").write_bytes(table)
    return folder


def test_a_modem_gets_what_its_rows_say(tmp_path: Path) -> None:
    folder = quectel(tmp_path / "eg25")
    package, description = door.open_any([str(folder)])
    assert ("storage", "NAND with pages of 2048 bytes") in description.facts
    assert package.memory == "nand"
    assert assumed_geometry(package).pages_per_block == 64
    geometry = Geometry("nand", 2048, {0: 2048 * 64}, pages_per_block=64)
    plan = checked(build(package, geometry, Options()))
    assert plan.errors == ()
    expected = {}
    for kind, row in rows(folder / "update" / "firehose" / _XML):
        start, count = int(row["start_sector"]), int(row["num_partition_sectors"])
        if kind == "program":
            name = row["filename"].replace("..\\", "../")
            data = (folder / "update" / "firehose" / name).read_bytes()
            expected[start] = (count, data)
    assert len(expected) == 11
    assert {w.area.start_sector for w in plan.writes} == set(expected)
    assert len(plan.steps) == 11  # every erase row is about a place that is programmed
    for write in plan.writes:
        count, data = expected[write.area.start_sector]
        assert touched(write).sectors == count
        held = read_all(write.content, 0, write.area.size_bytes)
        if len(data) != 4 * 2048:
            assert held == data.ljust(len(held), b"\0")
            continue
        patched = bytearray(data)  # patch_p2K_b128K.xml, by hand
        patched[2048 + 484 : 2048 + 488] = struct.pack("<I", 2048 - 1458)
        patched[3 * 2048 + 12 : 3 * 2048 + 16] = struct.pack("<I", zlib.crc32(patched[:4096]))
        assert held == patched


def plan_of_board(name: str, folder: Path) -> tuple[Plan, Path]:
    """Return the plan for a board of qcom-ptool, with files for its rows."""
    source = shared(f"corpus/{name}")
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix in {".xml", ".bin"} and path.name != "contents.xml":
            (folder / path.name).write_bytes(path.read_bytes())
    for _, row in rows(folder / "rawprogram0.xml"):
        path = folder / row["filename"]
        if row["filename"] and not path.exists():
            room = int(row["num_partition_sectors"]) * int(row["SECTOR_SIZE_IN_BYTES"])
            path.write_bytes(noise(min(room, 10_000) or 10_000))
    package, _ = door.open_any([str(folder)], choices=Choices(False, {}))
    unit = package.sector_bytes or 0
    sizes = {512: 64 << 21, 4096: 16384}
    memory = "nvme" if unit == 512 else "spinor"
    return checked(build(package, Geometry(memory, unit, {0: sizes[unit]}), Options())), folder


@pytest.mark.parametrize("name", ["gen-ptool-glymur-crd-nvme", "gen-ptool-glymur-crd-spinor"])
def test_boards_get_what_their_rows_say(tmp_path: Path, name: str) -> None:
    plan, folder = plan_of_board(name, tmp_path / "board")
    assert plan.errors == ()
    total = plan.geometry.luns[0]
    expected = set()
    for kind, row in rows(folder / "rawprogram0.xml"):
        if kind == "program" and row["filename"]:
            back = re.fullmatch(r"NUM_DISK_SECTORS-(\d+)\.", row["start_sector"])
            start = total - int(back[1]) if back else int(row["start_sector"])
            size = (folder / row["filename"]).stat().st_size
            expected.add((start, -(-size // plan.geometry.sector_bytes), row["filename"]))
    assert {(w.area.start_sector, w.area.sectors, w.file) for w in plan.writes} == expected


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("gen-ptool-glymur-crd-nvme", "nvme"),
        ("gen-ptool-glymur-crd-spinor", "spinor"),
    ],
)
def test_boards_are_written_found_and_verified(
    tmp_path: Path, name: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "home"))
    _, folder = plan_of_board(name, tmp_path / "board")
    size = {"nvme": 64 << 21, "spinor": 16384}[profile]
    with phones.plug(phones.spec(profile, sectors={0: size})) as bench:
        report = phones.write_package(bench, folder).report
        assert report.verified_bytes == report.written_bytes > 0
        table = bench.flash.luns[0].read(0, 34)
        assert gpt.parse(table, bench.flash.sector_bytes).header_crc_ok
        if profile == "spinor":  # minutes of silence, which are waited for
            assert bench.virtual_seconds > report.written_bytes / 300_000
