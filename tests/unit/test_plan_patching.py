# SPDX-License-Identifier: BSD-3-Clause
"""Patches that are worked into writes: the same bytes as patching the storage, row by row."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edl.chunks import BytesContent, FillContent
from edl.errors import ReadFailedError
from edl.firehose.commands import Area
from edl.formats.expressions import Crc32, Expression
from edl.package import open_package
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.model import Erase, Geometry, Patch, Plan, ReadOut, Step, Write
from edl.plan.patching import Disk, Overlaid, folded
from tests import builds, packs
from tests.packs import data

JUNK = 0xE5  # what the storage held before


def area(start: int, sectors: int, lun: int = 0) -> Area:
    return Area(lun, start, sectors, 512)


def write(start: int, content: bytes, lun: int = 0) -> Write:
    return Write(area(start, len(content) // 512, lun), BytesContent(content), "w", "", "")


def patch(sector: int, offset: int, size: int, value: int | Crc32, lun: int = 0) -> Patch:
    return Patch(lun, sector, 512, offset, size, value, "", f"patch0.xml:{sector}")


def crc(sector: int, length: int) -> Crc32:
    return Crc32(f"CRC32({sector},{length})", Expression(str(sector), sector), length)


def of(steps: list[Step], *patches: Patch) -> Plan:
    return Plan("rawprogram", "", Geometry("emmc", 512, {0: 1000, 1: 1000}), tuple(steps), patches)


class Phone:
    """A storage full of junk that remembers what was read from it."""

    def __init__(self) -> None:
        self.asked: list[Area] = []

    def read(self, area: Area) -> bytes:
        self.asked.append(area)
        return bytes([JUNK]) * area.size_bytes


# -- folding ------------------------------------------------------------------------------------


def test_patches_go_into_the_write_that_covers_them() -> None:
    phone = Phone()
    plan = folded(
        of(
            [write(10, b"a" * 2048), write(20, b"b" * 512)],
            patch(12, 510, 2, 0x4241),
            patch(12, 0, 1, 0x43),
        ),
        phone.read,
    )
    assert plan.patches == ()
    assert [data(step) for step in plan.writes] == [
        b"a" * 1024 + b"C" + b"a" * 509 + b"AB" + b"a" * 512,
        b"b" * 512,
    ]
    assert phone.asked == []


@pytest.mark.parametrize("step", [1, 7, 512, 700, 4096])
def test_patched_content_can_be_read_anywhere(step: int) -> None:
    inner = bytes(range(256)) * 8
    content = Overlaid(BytesContent(inner), 512, ((1, b"x" * 512), (3, b"y" * 512)))
    whole = inner[:512] + b"x" * 512 + inner[1024:1536] + b"y" * 512
    assert content.size_bytes == 2048
    for offset in range(0, 2048, step):
        length = min(step, 2048 - offset)
        got = b"".join(map(bytes, content.chunks(offset, length)))
        assert got == whole[offset : offset + length]


def test_patches_see_what_patches_before_them_did() -> None:
    table = bytes(range(256)) * 4
    rows = [
        patch(11, 0, 4, crc(10, 512)),  # of the old sector 10
        patch(10, 0, 4, 0),
        patch(11, 4, 4, crc(10, 512)),  # of the new one
        patch(10, 0, 4, crc(10, 92)),
        patch(11, 8, 8, crc(10, 600)),  # over the border, its own sector included
    ]
    plan = folded(of([write(10, table)], *rows), Phone().read)
    disk = bytearray(table)
    disk[512:516] = zlib.crc32(disk[:512]).to_bytes(4, "little")
    disk[0:4] = bytes(4)
    disk[516:520] = zlib.crc32(disk[:512]).to_bytes(4, "little")
    disk[0:4] = zlib.crc32(disk[:92]).to_bytes(4, "little")
    disk[520:528] = zlib.crc32(disk[:600]).to_bytes(8, "little")
    assert data(plan.writes[0]) == disk


def test_what_no_step_writes_is_read_patched_and_written_at_the_end() -> None:
    phone = Phone()
    rows = [patch(50, 0, 1, 1), patch(49, 0, 1, 2), patch(51, 511, 1, 3), patch(51, 0, 1, 4, lun=1)]
    plan = folded(of([write(10, b"a" * 512)], *rows), phone.read)
    junk = bytes([JUNK])
    assert [(step.area, step.label, step.where) for step in plan.writes[1:]] == [
        (area(49, 3), "patched sectors", "patch0.xml:49"),
        (area(51, 1, lun=1), "patched sectors", "patch0.xml:51"),
    ]
    assert data(plan.writes[1]) == (b"\2" + junk * 511 + b"\1" + junk * 511 + junk * 511 + b"\3")
    assert data(plan.writes[2]) == b"\4" + junk * 511
    assert len(phone.asked) == 4


def test_a_checksum_reads_a_run_of_sectors_at_once() -> None:
    phone = Phone()
    plan = folded(of([write(12, b"a" * 512)], patch(1, 0, 4, crc(10, 512 * 5))), phone.read)
    want = zlib.crc32(bytes([JUNK]) * 1024 + b"a" * 512 + bytes([JUNK]) * 1024)
    assert data(plan.writes[1])[:4] == want.to_bytes(4, "little")
    assert phone.asked == [area(1, 1), area(10, 2), area(13, 2)]


def test_erased_sectors_count_as_zeros_and_are_not_erased_again() -> None:
    phone = Phone()
    plan = folded(of([Erase(area(0, 100), "e", "")], patch(40, 0, 1, 7)), phone.read)
    assert [step.area for step in plan.steps] == [area(0, 40), area(41, 59), area(40, 1)]
    assert data(plan.writes[0]) == b"\7" + bytes(511)
    assert phone.asked == []


def test_the_last_step_on_a_sector_counts() -> None:
    steps: list[Step] = [Erase(area(0, 10), "e", ""), write(2, b"a" * 1024), write(3, b"b" * 512)]
    disk = Disk(of(steps), Phone().read)
    assert disk.content(area(1, 4)) == bytes(512) + b"a" * 512 + b"b" * 512 + bytes(512)
    assert disk.content(area(9, 2)) == bytes(512) + bytes([JUNK]) * 512
    assert disk.content(area(3, 1, lun=1)) == bytes([JUNK]) * 512


def test_reads_stay_as_they_are(tmp_path: Path) -> None:
    step = ReadOut(area(0, 10), tmp_path / "x", "r", "")
    plan = folded(of([step], patch(3, 0, 1, 7)), Phone().read)
    assert plan.steps[0] is step
    assert plan.steps[1].area == area(3, 1)


def test_a_plan_without_patches_stays_as_it_is() -> None:
    plan = of([write(10, b"a" * 512), Erase(area(20, 5), "e", "")])
    assert folded(plan, Phone().read) == plan


def test_an_error_of_the_phone_goes_through() -> None:
    def refuse(area: Area) -> bytes:
        raise ReadFailedError(f"bad sector in {area}")

    with pytest.raises(ReadFailedError):
        folded(of([], patch(3, 0, 1, 7)), refuse)


def test_large_fills_are_not_made_in_memory() -> None:
    huge = Write(area(0, 900), FillContent(900 * 512), "w", "", "")
    plan = folded(of([huge], patch(3, 0, 1, 7), patch(800, 0, 1, 8)), Phone().read)
    content = plan.writes[0].content
    assert isinstance(content, Overlaid)
    assert content.content is huge.content


# -- golden builds ------------------------------------------------------------------------------

Attributes = dict[str, str]


def rows_of(path: Path, tag: str) -> list[Attributes]:
    """Return the attributes of rows; for ptool's plain files, without the project's own reader."""
    return [
        dict(re.findall(r'(\w+)="([^"]*)"', words))
        for words in re.findall(rf"<{tag} ([^>]*)/>", path.read_text())
    ]


def number(text: str, disk_sectors: int) -> int:
    first, _, rest = text.replace("NUM_DISK_SECTORS", str(disk_sectors)).partition("-")
    return int(first.rstrip(".")) - int(rest.rstrip(".") or 0)


class Reference:
    """The tables of one LUN, patched in place: the first and the last sectors of the disk."""

    def __init__(self, folder: Path, lun: int, unit: int, sectors: int) -> None:
        self.unit, self.sectors = unit, sectors
        self.head, self.tail = (bytearray([JUNK]) * (64 * unit) for _ in range(2))
        for row in rows_of(folder / f"rawprogram{lun}.xml", "program"):
            if row["filename"].startswith("gpt_"):
                content = (folder / row["filename"]).read_bytes()
                self.put(number(row["start_sector"], sectors), 0, content)
        for row in rows_of(folder / f"patch{lun}.xml", "patch"):
            if row["filename"] == "DISK":
                start, size = number(row["start_sector"], sectors), int(row["size_in_bytes"])
                value = self.value(row["value"]).to_bytes(size, "little")
                self.put(start, int(row["byte_offset"]), value)

    def place(self, sector: int) -> tuple[bytearray, int]:
        if sector < 64:
            return self.head, sector * self.unit
        return self.tail, (sector - self.sectors + 64) * self.unit

    def put(self, sector: int, offset: int, content: bytes) -> None:
        where, at = self.place(sector)
        where[at + offset : at + offset + len(content)] = content

    def value(self, text: str) -> int:
        if not text.startswith("CRC32"):
            return number(text, self.sectors)
        start, length = text[len("CRC32(") : -1].split(",")
        where, at = self.place(number(start, self.sectors))
        return zlib.crc32(where[at : at + int(length)])


@pytest.mark.parametrize("name", builds.NAMES)
@pytest.mark.parametrize("more", [0, 12_345])
def test_golden_tables_are_as_if_patched_in_place(
    name: str, more: int, golden: Callable[[str], builds.Build]
) -> None:
    made = golden(name)
    unit = made.sector_bytes
    luns = {lun: sectors + more for lun, sectors in made.disk_sectors.items()}
    plan = checked(build(open_package([str(made.folder)]), Geometry("x", unit, luns)))
    assert plan.findings == ()
    assert plan.patches
    disk = Disk(folded(plan, Phone().read), Phone().read)
    for lun, sectors in luns.items():
        reference = Reference(made.folder, lun, unit, sectors)
        tables = [w.area for w in plan.writes if w.file.startswith("gpt_") and w.area.lun == lun]
        assert len(tables) == 2
        for table in tables:
            where, at = reference.place(table.start_sector)
            assert disk.content(table) == where[at : at + table.size_bytes]
            assert b"EFI PART" in where


def test_the_reference_sees_all_rows(tmp_path: Path) -> None:
    for name in builds.NAMES:
        for path in (builds.SOURCES / name).glob("patch*.xml"):
            assert len(rows_of(path, "patch")) == path.read_text().count("<patch ") > 20
    packs.put(tmp_path, {"x.xml": packs.document(packs.patch(1, 2, 4, "CRC32(1,92)"))})
    assert rows_of(tmp_path / "x.xml", "patch")[0]["value"] == "CRC32(1,92)"
