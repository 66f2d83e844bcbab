# SPDX-License-Identifier: BSD-3-Clause
"""What is told about a plan as a whole: overlaps, repeated rows, pokes, partition tables."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from edl.chunks import BytesContent, FileContent, FillContent
from edl.errors import ImageError
from edl.firehose.commands import Area
from edl.formats.gpt import create
from edl.package import open_package
from edl.plan.assumed import assumed_geometry
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.model import Erase, Geometry, Patch, Plan, ReadOut, Severity, Step, Write
from tests import builds, packs
from tests.conftest import shared
from tests.packs import document, erase, found, only, patch, plan, program, put

RAW = "rawprogram0.xml"
DISK = Geometry("emmc", 512, {0: 1000, 1: 1000})


def area(start: int, sectors: int, lun: int = 0) -> Area:
    return Area(lun, start, sectors, 512)


def write(start: int, sectors: int, name: str = "w", lun: int = 0, fill: bytes = b"w") -> Write:
    place = area(start, sectors, lun)
    return Write(place, FillContent(place.size_bytes, fill), name, name, f"{RAW}:{start}")


def wipe(start: int, sectors: int, lun: int = 0) -> Erase:
    return Erase(area(start, sectors, lun), "e", f"{RAW}:{start}")


def of(*steps: Step, geometry: Geometry = DISK) -> Plan:
    return checked(Plan("rawprogram", "test", geometry, steps))


# -- overlaps -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "sector"),
    [
        ((100, 10), 100),  # the same place
        ((95, 6), 100),  # into its beginning
        ((109, 5), 109),  # from its last sector on
        ((103, 2), 103),  # within
        ((90, 30), 100),  # all around
    ],
)
def test_writes_that_share_a_sector_are_an_error(second: tuple[int, int], sector: int) -> None:
    for swap in (False, True):
        steps = [write(100, 10, "one", fill=b"1"), write(*second, "two", fill=b"2")]
        made = of(*(reversed(steps) if swap else steps))
        later, earlier = ("one", "two") if swap else ("two", "one")
        finding = only(made)
        assert (finding.code, finding.severity) == ("overlap", Severity.ERROR)
        assert finding.message == (
            f"'{later}' overwrites a part of '{earlier}' (LUN 0, from sector {sector} on)."
        )
        assert finding.where == made.steps[1].where
        assert finding.remedy.startswith("The package was edited")


@pytest.mark.parametrize("other", [(90, 10, 0), (110, 10, 0), (100, 10, 1)])
def test_neighbours_and_other_luns_do_not_overlap(other: tuple[int, int, int]) -> None:
    start, sectors, lun = other
    assert of(write(100, 10), write(start, sectors, lun=lun)).findings == ()


def test_an_overlap_is_found_behind_a_short_neighbour() -> None:
    made = of(write(0, 100, "long"), write(200, 1, "far"), write(50, 20, "in"), write(80, 5, "in2"))
    assert [(f.code, f.where) for f in made.findings] == [
        ("overlap", f"{RAW}:50"),
        ("overlap", f"{RAW}:80"),
    ]


def test_many_overlaps_are_told_once_for_each_write() -> None:
    made = of(*(write(100, 10, fill=bytes([i])) for i in range(200)))
    assert len(made.findings) == 199


def test_a_step_without_a_label_is_named_by_its_row() -> None:
    made = of(write(100, 10, ""), write(100, 9, ""))
    assert f"'{RAW}:100' overwrites a part of '{RAW}:100'" in only(made).message


def test_rows_that_stand_there_twice_are_done_once(tmp_path: Path) -> None:
    rows = [program("a.img"), program("b.img", 200), program("a.img", label="again")]
    put(tmp_path, {RAW: document(*rows), "a.img": b"a", "b.img": b"b"})
    made = plan(tmp_path)
    assert [step.label for step in made.steps] == ["a", "b"]
    assert made.findings == ()


def test_two_files_for_one_place_are_an_error(tmp_path: Path) -> None:
    rows = [program("a.img", label="CDT"), program("b.img", label="CDT")]
    put(tmp_path, {RAW: document(*rows), "a.img": b"a", "b.img": b"b"})
    assert found(plan(tmp_path)) == [("overlap", f"{RAW}:4")]


def test_an_erase_before_a_write_is_as_meant() -> None:
    made = of(wipe(100, 10), write(100, 4))
    assert made.findings == ()
    assert [step.area for step in made.steps] == [area(104, 6), area(100, 4)]


@pytest.mark.parametrize("place", [(100, 4), (103, 1), (90, 11), (0, 1000)])
def test_an_erase_after_a_write_is_an_error(place: tuple[int, int]) -> None:
    made = of(write(100, 4, "boot"), write(200, 4), wipe(*place))
    finding = only(made)
    assert (finding.code, finding.where) == ("overlap", f"{RAW}:{place[0]}")
    assert finding.message.startswith("'e' erases a part of 'boot'")


def test_erases_may_overlap_each_other() -> None:
    made = of(wipe(100, 10), wipe(105, 10), wipe(105, 10), wipe(0, 5, lun=1))
    assert made.findings == ()
    places = [step.area for step in made.steps]
    assert not any(map(_touch, *zip(*itertools.combinations(places, 2), strict=True)))
    sectors = {(p.lun, p.start_sector + at) for p in places for at in range(p.sectors)}
    assert sectors == {(0, at) for at in range(100, 115)} | {(1, at) for at in range(5)}


def _touch(one: Area, two: Area) -> bool:
    return one.lun == two.lun and max(one.start_sector, two.start_sector) < min(
        one.start_sector + one.sectors, two.start_sector + two.sectors
    )


def test_reading_what_is_written_is_no_overlap(tmp_path: Path) -> None:
    steps = ReadOut(area(100, 10), tmp_path / "x", "r", ""), wipe(100, 10), write(102, 2)
    made = of(*steps)
    assert made.findings == ()
    assert made.steps[0] is steps[0]


# -- nothing to do ------------------------------------------------------------------------------


def test_a_package_that_only_describes_has_nothing_to_do(tmp_path: Path) -> None:
    made = plan(put(tmp_path, {RAW: document(program(""))}))
    finding = only(made)
    assert (finding.code, finding.severity) == ("nothing-to-do", Severity.ERROR)
    assert "--only, --skip and --lun" in finding.remedy


def test_a_read_or_a_patch_is_something_to_do(tmp_path: Path) -> None:
    assert of(ReadOut(area(0, 1), tmp_path / "x", "r", "")).findings == ()
    made = plan(put(tmp_path, {RAW: document(patch(1, 0, 4, 0))}))
    assert made.findings == ()


# -- pokes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["0", "33", "NUM_DISK_SECTORS-34.", "NUM_DISK_SECTORS-1."])
def test_patches_of_tables_are_ordinary(start: str, tmp_path: Path) -> None:
    assert plan(put(tmp_path, {RAW: document(patch(start, 0, 4, 0))})).findings == ()


def test_patches_of_what_is_written_are_ordinary(tmp_path: Path) -> None:
    put(tmp_path, {RAW: document(program("a.img"), patch(100, 0, 4, 0)), "a.img": b"a"})
    assert plan(tmp_path).findings == ()


def test_patches_elsewhere_are_told(tmp_path: Path) -> None:
    rows = [patch(34, 0, 4, 0), patch(34, 4, 4, 0), patch("NUM_DISK_SECTORS-35.", 0, 4, 0)]
    made = plan(put(tmp_path, {RAW: document(*rows)}))
    finding = only(made)
    assert (finding.code, finding.severity) == ("raw-poke", Severity.WARNING)
    assert finding.where == f"{RAW}:3"
    assert finding.message.startswith("3 patch rows change sectors outside of the partition tables")
    assert "first: LUN 0, sector 34" in finding.message
    assert finding.remedy


def test_a_script_of_pokes_is_told_from_patches_of_tables() -> None:
    path = shared("corpus/unknown-ceka22-ef1/2.xml")
    made = checked(build(open_package([str(path)]), Geometry("ufs", 4096, {5: 8192})))
    assert len(made.patches) == 410
    assert found(made) == [("raw-poke", "2.xml:3")]
    assert only(made).message.startswith("410 patch rows")


# -- partition tables ---------------------------------------------------------------------------

Golden = Callable[[str], builds.Build]


def without_patches(made: builds.Build, folder: Path) -> Path:
    """Return a copy of a build in which the patch files were forgotten."""
    shutil.copytree(made.folder, folder)
    for path in folder.glob("patch*.xml"):
        path.unlink()
    return folder


@pytest.mark.parametrize("name", builds.NAMES)
def test_a_forgotten_patch_file_is_told(name: str, golden: Golden, tmp_path: Path) -> None:
    made = golden(name)
    package = open_package([str(without_patches(made, tmp_path / "rom"))])
    on_disk = checked(build(package, Geometry("x", made.sector_bytes, made.disk_sectors)))
    luns = {write.area.lun for write in on_disk.writes if write.area.start_sector == 0}
    assert [finding.code for finding in on_disk.findings] == ["table-not-final"] * len(luns)
    assert [
        f"LUN {lun} " in f.message for lun, f in zip(sorted(luns), on_disk.findings, strict=True)
    ]
    for finding in on_disk.findings:
        assert finding.severity is Severity.WARNING
        assert finding.where.startswith("rawprogram")
        assert finding.remedy.startswith("Give the patch files")
    offline = checked(build(package, assumed_geometry(package)))
    assert "table-not-final" in [finding.code for finding in offline.findings]


@pytest.mark.parametrize("name", builds.NAMES)
def test_a_whole_package_is_whole_without_a_phone_too(name: str, golden: Golden) -> None:
    package = open_package([str(golden(name).folder)])
    assert checked(build(package, assumed_geometry(package))).findings == ()


def _table(sector_bytes: int, disk_sectors: int) -> bytes:
    return create(sector_bytes, disk_sectors, UUID(int=1), []).images().primary


def _at_zero(content: bytes, geometry: Geometry) -> Plan:
    unit = geometry.sector_bytes
    data = content.ljust(-(-len(content) // unit) * unit, b"\0")
    place = Area(0, 0, len(data) // unit, unit)
    return of(
        Write(place, BytesContent(data), "PrimaryGPT", "gpt.bin", f"{RAW}:3"), geometry=geometry
    )


def test_a_table_for_another_disk_is_told() -> None:
    assert _at_zero(_table(512, 1000), DISK).findings == ()
    made = _at_zero(_table(512, 2000), DISK)
    assert found(made) == [("table-not-final", f"{RAW}:3")]
    assert "said to be at sector 1999, the disk ends with 999." in only(made).message


def _with_backup(backup: bytes) -> Plan:
    primary, last = _table(512, 1000), len(backup) // 512
    steps = (
        Write(area(0, 34), BytesContent(primary), "PrimaryGPT", "gpt_main0.bin", f"{RAW}:3"),
        Write(area(1000 - last, last), BytesContent(backup), "BackupGPT", "b.bin", f"{RAW}:4"),
    )
    patches = (Patch(0, 999, 512, 511, 1, 0, "", ""),)
    return checked(Plan("rawprogram", "", DISK, steps, patches))


def test_the_backup_is_judged_where_it_is_written() -> None:
    whole = create(512, 1000, UUID(int=1), []).images().backup
    assert _with_backup(whole).findings == ()
    made = _with_backup(_table(512, 1000)[:-512])  # as Nokia's e2m: the primary in its place
    finding = only(made)
    assert (finding.code, finding.where) == ("table-not-final", f"{RAW}:3")
    assert "The backup: There is no partition table" in finding.message
    assert finding.remedy == "Use an unchanged package for this storage size."
    made = _with_backup(whole[:-424] + b"\1" + whole[-423:])
    assert "The backup: The checksum of the header is wrong." in only(made).message


def test_a_table_in_a_whole_image_is_seen() -> None:
    made = _at_zero(_table(4096, 2000).ljust(3 << 20, b"x"), Geometry("ufs", 4096, {0: 1000}))
    assert [finding.code for finding in made.findings] == ["table-not-final"]


@pytest.mark.parametrize(("made_for", "unit"), [(512, 4096), (4096, 512)])
def test_a_table_for_another_sector_size_is_an_error(made_for: int, unit: int) -> None:
    made = _at_zero(_table(made_for, 1000), Geometry("x", unit, {0: 1000}))
    finding = only(made)
    assert (finding.code, finding.where) == ("table-sector-size", f"{RAW}:3")
    assert finding.severity is Severity.ERROR
    assert f"for sectors of {made_for} bytes" in finding.message
    assert finding.remedy == "Use the package for the storage type of this phone."


@pytest.mark.parametrize("content", [b"boot", _table(512, 1000)[:512]])
def test_what_is_no_table_is_not_judged(content: bytes) -> None:
    assert _at_zero(content, DISK).findings == ()


def test_a_table_that_is_cut_off_is_told() -> None:
    made = _at_zero(_table(512, 1000)[:1024], DISK)
    finding = only(made)
    assert (finding.code, finding.severity) == ("table-not-final", Severity.WARNING)
    assert "cut off" in finding.message
    assert finding.where == f"{RAW}:3"
    assert finding.remedy


def test_a_file_that_goes_away_is_an_error(tmp_path: Path) -> None:
    content = FileContent(tmp_path / "gone", 0, 17_408, 17_408)
    step = Write(area(0, 34), content, "PrimaryGPT", "gone", f"{RAW}:3")
    patched = Plan("rawprogram", "", DISK, (step,), (Patch(0, 1, 512, 0, 4, 1, "", f"{RAW}:9"),))
    for made in (Plan("rawprogram", "", DISK, (step,)), patched):
        with pytest.raises(ImageError, match="No such file"):
            checked(made)


def test_tables_are_not_judged_where_the_plan_is_wrong_anyway(tmp_path: Path) -> None:
    rows = [program("gpt.bin", 0, 34), program("gone.img")]
    put(tmp_path, {RAW: document(*rows), "gpt.bin": _table(512, 1000)})
    assert found(plan(tmp_path)) == [("package", f"{RAW}:4")]


def test_an_erase_row_beside_each_program_row_is_fine(tmp_path: Path) -> None:
    """As ptool -e makes them: each program row has an erase row of its partition before it."""
    rows = [row for n in range(3) for row in (erase(n * 50, 40), program(f"{n}.img", n * 50, 40))]
    put(
        tmp_path,
        {
            RAW: document(*rows),
            "0.img": b"a",
            "1.img": packs.sparse(4096, 2, b"b" * 4096),
            "2.img": b"c" * 20_480,
        },
    )
    made = plan(tmp_path)
    assert made.errors == ()
    assert [(type(s).__name__, s.area.start_sector, s.area.sectors) for s in made.steps] == [
        ("Erase", 1, 39),
        ("Write", 0, 1),
        ("Erase", 50, 16),
        ("Erase", 74, 16),
        ("Write", 66, 8),
        ("Write", 100, 40),
    ]
