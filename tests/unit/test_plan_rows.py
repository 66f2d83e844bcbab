# SPDX-License-Identifier: BSD-3-Clause
"""From rows to steps: where things go, and what is wrong with rows, told with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edl.firehose.commands import Area, Power
from edl.package import open_package
from edl.plan.assumed import assumed_geometry
from edl.plan.build import USER_DATA
from edl.plan.model import Erase, Geometry, ReadOut, Severity, Write
from tests import packs
from tests.packs import EMMC, document, erase, found, only, patch, plan, program, put, read

UFS = Geometry("ufs", 4096, {0: 50_000, 1: 2048, 4: 2048})
RAW = "rawprogram0.xml"


def rom(folder: Path, *rows: str, **files: bytes | str) -> Path:
    """Make a package of rows in folder; files are named without their .img."""
    images = {f"{name}.img": content for name, content in files.items()}
    return put(folder, {RAW: document(*rows), **images})


def at(start: int, sectors: int, lun: int = 0, unit: int = 512) -> Area:
    return Area(lun, start, sectors, unit)


# -- program rows -------------------------------------------------------------------------------


def test_rows_become_steps_in_their_order(tmp_path: Path) -> None:
    rows = [
        program("b.img", 200, 8, "boot"), program("", 300, 8, "persist"), erase(400, 16),
        read("old.bin", 0, 4), program("a.img", 100, 8, "aboot"), program("", 500, 0, "userdata"),
    ]  # fmt: skip
    made = plan(rom(tmp_path, *rows, a=b"A" * 512, b=b"B" * 1000), read_folder=tmp_path / "out")
    assert [(type(step), step.area, step.label, step.where) for step in made.steps] == [
        (Write, at(200, 2), "boot", f"{RAW}:3"),
        (Erase, at(400, 16), "erased", f"{RAW}:5"),
        (ReadOut, at(0, 4), "read", f"{RAW}:6"),
        (Write, at(100, 1), "aboot", f"{RAW}:7"),
    ]
    assert [packs.data(write) for write in made.writes] == [
        (b"B" * 1000).ljust(1024, b"\0"),
        b"A" * 512,
    ]
    assert made.findings == ()
    assert made.write_bytes == 1536
    assert ("2 rows", "they name no file: they only describe the layout") in made.left_out
    assert (made.job, made.title, made.reset) == ("rawprogram", str(tmp_path), Power.RESET)


@pytest.mark.parametrize(
    ("start", "first"),
    [("100", 100), ("0x64", 100), ("NUM_DISK_SECTORS-33.", 99_967), ("-33", 99_967)],
)
def test_starts_are_worked_out_for_the_disk(start: str, first: int, tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("a.img", start), a=b"a"))
    assert made.steps[0].area == at(first, 1)
    assert made.errors == ()


def test_each_row_goes_to_its_own_lun(tmp_path: Path) -> None:
    rows = [program("a.img", 6, 8).replace('"512"', '"4096"')]
    rows += [rows[0].replace('number="0"', f'number="{lun}"') for lun in (1, 4)]
    made = plan(rom(tmp_path, *rows, a=b"a" * 5000), UFS)
    assert [write.area for write in made.writes] == [at(6, 2, lun, 4096) for lun in (0, 1, 4)]
    only_four = plan(tmp_path, UFS, luns=frozenset({4}))
    assert [write.area.lun for write in only_four.writes] == [4]


def test_a_lun_that_the_phone_lacks_is_told_once(tmp_path: Path) -> None:
    row = program("a.img").replace('number="0"', 'number="5"')
    made = plan(rom(tmp_path, row, row, patch(1, 0, 4, 0, lun=5), a=b"a"))
    finding = only(made)
    assert (finding.code, finding.where, finding.severity) == ("no-such-lun", f"{RAW}:3", "error")
    assert finding.message == "The package has rows for LUN 5, which this phone does not have."
    assert finding.remedy == "Use the package for the storage type of this phone."
    assert made.steps == ()


def test_rows_for_another_sector_size_are_told_once(tmp_path: Path) -> None:
    row = program("a.img").replace('"512"', '"4096"')
    made = plan(rom(tmp_path, row, row, patch(1, 0, 4, 0, unit=4096), a=b"a"))
    finding = only(made)
    assert (finding.code, finding.where) == ("wrong-sector-size", f"{RAW}:3")
    assert finding.message == (
        "The package counts sectors of 4096 bytes (UFS), the storage has sectors of 512 bytes"
        " (eMMC)."
    )
    assert finding.remedy == "Use the package for the eMMC variant of the phone."
    assert made.steps == ()


def test_rows_of_other_luns_may_count_otherwise(tmp_path: Path) -> None:
    row = program("a.img").replace('"512"', '"4096"').replace('number="0"', 'number="1"')
    made = plan(rom(tmp_path, program("a.img"), row, a=b"a"), luns=frozenset({0}))
    assert made.findings == ()


def test_sector_sizes_without_a_name_are_told_by_their_number(tmp_path: Path) -> None:
    row = program("a.img").replace('"512"', '"2048"')
    made = plan(rom(tmp_path, row, a=b"a"), Geometry("nvme", 1024, {0: 1000}))
    assert "2048 bytes (another storage)" in only(made).message
    assert "1024 bytes (nvme)" in only(made).message
    assert only(made).remedy == "Use the package for the other variant of the phone."


def test_rows_that_say_no_sector_size_count_as_the_phone_does(tmp_path: Path) -> None:
    row = program("a.img", 6, 8).replace('SECTOR_SIZE_IN_BYTES="512" ', "")
    made = plan(rom(tmp_path, row, a=b"a" * 5000), UFS)
    assert made.steps[0].area == at(6, 2, unit=4096)


@pytest.mark.parametrize(
    ("start", "first"), [("99_999", None), ("99993", 99_993), ("200000", 200_000)]
)
def test_what_ends_behind_the_disk_is_an_error(
    start: str, first: int | None, tmp_path: Path
) -> None:
    if first is None:
        start, first = "NUM_DISK_SECTORS-1.", 99_999
    made = plan(rom(tmp_path, program("a.img", start, 8), a=b"a" * 4096))
    finding = only(made)
    assert (finding.code, finding.where) == ("past-the-end", f"{RAW}:3")
    assert finding.message == f"Sectors {first} to {first + 7} do not fit: LUN 0 has 100000."
    assert finding.remedy == "Use the package for this storage size."


def test_the_last_sector_is_still_on_the_disk(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("a.img", 99_992, 8), a=b"a" * 4096))
    assert made.steps[0].area == at(99_992, 8)


@pytest.mark.parametrize("start", ["NUM_DISK_SECTORS-200000.", "NUM_DISK_BLOCKS-1."])
def test_a_start_that_is_no_place_is_an_error(start: str, tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("a.img", start), a=b"a"))
    assert found(made) == [("bad-expression", f"{RAW}:3")]
    assert start in only(made).message


def test_a_missing_file_is_told_for_each_row(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("a.img", 100), program("b.img", 200), b=b"b"))
    assert found(made) == [("package", f"{RAW}:3")]
    assert only(made).message == "'a.img' is missing."
    assert only(made).remedy == "Unpack the whole package again."
    assert [write.label for write in made.writes] == ["b"]


def test_missing_files_may_be_left_out_by_wish(tmp_path: Path) -> None:
    rows = [program(name, start) for name, start in (("a.img", 0), ("b.img", 50), ("a.img", 90))]
    made = plan(rom(tmp_path, *rows, b=b"b"), allow_missing=True)
    assert made.findings == ()
    assert ("a.img", "missing, and --allow-missing") in made.left_out


def test_files_outside_are_an_error_even_if_missing_ones_are_allowed(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("../is missing")), allow_missing=True)
    assert found(made) == [("package", f"{RAW}:3")]
    assert "lies outside the package" in only(made).message


def test_odd_figures_are_warned_of(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("a.img", 100, 8, size_in_KB="5.0"), a=b"a"))
    assert found(made) == [("odd-row", f"{RAW}:3")]
    assert only(made).severity is Severity.WARNING
    assert only(made).message == "size_in_KB='5.0' does not fit 8 sectors."


def test_what_drives_terminals_does_not_get_through(tmp_path: Path) -> None:
    made = plan(
        rom(
            tmp_path, program("\x9b2J.img", label="x\x9b31m"), program("a.img", 1, 1, "\x9b"), a="a"
        )
    )
    assert only(made).message == "'?2J.img' is missing."
    assert made.steps[0].label == "?"


def test_rows_for_nand_are_refused_on_other_storage(tmp_path: Path) -> None:
    nand: dict[str, Any] = {"PAGES_PER_BLOCK": 64, "last_sector": 107}
    made = plan(rom(tmp_path, erase(100, 8, **nand), program("a.img", 100, 8, **nand), a=b"a"))
    assert found(made) == [("nand", f"{RAW}:3"), ("nand", f"{RAW}:4")]
    assert made.findings[0].remedy


def test_power_rows_are_left_to_the_user(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, program("a.img"), packs.row("power", value="reset"), a=b"a"))
    assert (f"{RAW}:4", "--reset decides, not a row") in made.left_out
    assert made.findings == ()


# -- erase and read rows ------------------------------------------------------------------------


def test_an_erase_of_a_whole_lun_is_refused(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, packs.row("erase", storagedrive=0)))
    finding = only(made)
    assert (finding.code, finding.where) == ("whole-lun-erase", f"{RAW}:3")
    assert finding.remedy == "Leave the file out; or insist with --erase-lun 0."


def test_an_erase_of_a_whole_lun_that_is_insisted_on(tmp_path: Path) -> None:
    row = packs.row("erase", storagedrive=0, label="everything")
    made = plan(rom(tmp_path, row), erase_luns=frozenset({0}))
    assert found(made) == []
    [step] = made.steps
    assert (step.area.lun, step.area.start_sector, step.area.sectors) == (0, 0, EMMC.luns[0])
    other = plan(tmp_path, erase_luns=frozenset({1}))
    assert only(other).code == "whole-lun-erase"


def test_an_erase_behind_the_disk_is_refused(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, erase(99_999, 2)))
    assert found(made) == [("past-the-end", f"{RAW}:3")]


def test_what_is_written_later_is_not_erased_before(tmp_path: Path) -> None:
    rows = [erase(100, 100), program("a.img", 120, 8), program("b.img", 190, 20), erase(50, 60)]
    made = plan(rom(tmp_path, *rows, a=b"a" * 4096, b=b"b" * 10_240))
    assert made.errors == ()
    assert [(type(step), step.area) for step in made.steps] == [
        (Erase, at(110, 10)),
        (Erase, at(128, 62)),
        (Write, at(120, 8)),
        (Write, at(190, 20)),
        (Erase, at(50, 60)),
    ]


def test_reads_go_into_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    rows = [read("..\\..\\etc/gpt.bin", 0, 6), read("", 0, 6)]
    made = plan(rom(tmp_path / "rom", *rows), read_folder=tmp_path)
    (step,) = made.steps
    assert isinstance(step, ReadOut)
    assert step.path == tmp_path / "gpt.bin"
    assert not made.changes_phone
    assert made.findings == ()


@pytest.mark.parametrize(
    "row", [read("..", 0, 6), read("x/", 0, 6), read("a\\.", 0), read("a", 0, 0)]
)
def test_reads_of_nothing_or_into_nothing_are_errors(row: str, tmp_path: Path) -> None:
    assert found(plan(rom(tmp_path, row))) == [("bad-read", f"{RAW}:3")]


def test_reads_behind_the_disk_are_errors(tmp_path: Path) -> None:
    assert found(plan(rom(tmp_path, read("x", 99_999, 2)))) == [("past-the-end", f"{RAW}:3")]


def test_reads_overwrite_nothing(tmp_path: Path) -> None:
    put(tmp_path, {"there.bin": b"precious"})
    rows = [read("there.bin"), read("new.bin", 0, 8), read("sub/NEW.bin", 8, 8)]
    made = plan(rom(tmp_path, *rows), read_folder=tmp_path)
    assert found(made) == [("would-overwrite", f"{RAW}:3"), ("would-overwrite", f"{RAW}:5")]
    assert made.findings[0].remedy == "Move that file away, or choose another folder with --dir."
    assert len(made.steps) == 1


def test_a_folder_that_cannot_be_read_into_is_an_error(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, read("x.bin")), read_folder=tmp_path / ("x" * 300))
    assert found(made) == [("image", f"{RAW}:3")]
    assert "File name too long" in only(made).message
    assert only(made).remedy == "Choose another folder."


def test_a_name_that_is_too_long_to_read_into_is_an_error(tmp_path: Path) -> None:
    made = plan(rom(tmp_path, read("x" * 300)), read_folder=tmp_path)
    assert found(made) == [("bad-read", f"{RAW}:3")]


# -- what the user restricts --------------------------------------------------------------------


def test_only_and_skip_go_by_names_in_any_capitals(tmp_path: Path) -> None:
    rows = [program("a.img", i * 10, 8, label) for i, label in enumerate(("boot", "Modem", "tz"))]
    rom(tmp_path, *rows, erase(500, 1, "tz"), a=b"a")
    made = plan(tmp_path, only=frozenset({"modem", "boot"}))
    assert [step.label for step in made.steps] == ["boot", "Modem"]
    made = plan(tmp_path, skip=frozenset({"modem", "tz"}))
    assert [step.label for step in made.steps] == ["boot"]
    made = plan(tmp_path, only=frozenset({"modem", "tz"}), skip=frozenset({"tz"}))
    assert [step.label for step in made.steps] == ["Modem"]
    assert made.findings == ()


def test_the_users_data_are_kept_unless_they_are_named(tmp_path: Path) -> None:
    rows = [
        program("a.img", 100, 8, "boot"), program("a.img", 200, 8, "UserData"),
        program("a.img", 210, 8, "UserData"), program("", 300, 8, "metadata"),
        erase(400, 8, "cache"), read("x.bin", 500, 8).replace('label="read"', 'label="cache"'),
    ]  # fmt: skip
    rom(tmp_path, *rows, a=b"a")
    made = plan(tmp_path, keep=USER_DATA, read_folder=tmp_path / "out")
    assert [(step.label, type(step)) for step in made.steps] == [
        ("boot", Write),
        ("cache", ReadOut),
    ]
    told = "it replaces your data; --wipe takes it as well"
    assert made.left_out == (("UserData", told), ("cache", told))
    named = plan(tmp_path, keep=USER_DATA, only=frozenset({"userdata", "cache"}))
    assert [step.label for step in named.steps] == ["UserData", "UserData", "cache", "cache"]
    assert len(plan(tmp_path).steps) == 5


def test_a_name_that_no_row_has_is_told(tmp_path: Path) -> None:
    rom(tmp_path, program("a.img", label="persist"), program("a.img", 200, label="boot_a"), a=b"a")
    made = plan(tmp_path, only=frozenset({"boot"}))
    assert found(made) == [("no-such-name", "")]
    assert only(made).severity is Severity.ERROR
    assert only(made).message == "No row of the package is named 'boot'."
    assert only(made).remedy == "Did you mean boot_a?"
    made = plan(tmp_path, skip=frozenset({"persit", "zzz"}))
    assert [finding.severity for finding in made.findings] == [Severity.WARNING] * 2
    assert made.findings[0].remedy == "Did you mean persist?"
    assert made.findings[1].remedy == "See the names with: edl check PACKAGE."
    assert len(made.steps) == 2


# -- boot drive ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "label", "drive"),
    [("emmc", "sbl1", 0), ("ufs", "XBL_A", 4), ("ufs", "xbl", 4), ("ufs", "xbl_b", None)],
)
def test_the_boot_drive_is_where_the_first_boot_loader_is(
    memory: str, label: str, drive: int | None, tmp_path: Path
) -> None:
    row = program("a.img", 6, 8, label).replace('number="0"', 'number="4"')
    geometry = Geometry(memory, 512, {4: 1000})
    rom(tmp_path, row, a=b"a")
    assert plan(tmp_path, geometry).bootable == drive
    assert plan(tmp_path, geometry, set_bootable=False).bootable is None


# -- patches ------------------------------------------------------------------------------------


def test_patches_are_worked_out_for_the_disk(tmp_path: Path) -> None:
    rows = [
        patch("NUM_DISK_SECTORS-1.", 24, 8, "NUM_DISK_SECTORS-1.", what="where\x9b"),
        patch(1, 16, 4, "CRC32(NUM_DISK_SECTORS-33.,4096)"),
    ]
    made = plan(rom(tmp_path, *rows))
    first, second = made.patches
    assert (first.lun, first.sector, first.byte_offset, first.size_bytes) == (0, 99_999, 24, 8)
    assert (first.value, first.what, first.where) == (99_999, "where?", f"{RAW}:3")
    assert not isinstance(second.value, int)
    assert (second.value.start.number, second.value.length_bytes) == (99_967, 4096)
    assert made.changes_phone
    assert made.errors == ()


@pytest.mark.parametrize(
    ("row", "code", "message"),
    [
        (patch(1, 0, 1, 256), "bad-patch", "256 does not fit into 1 bytes."),
        (patch(1, 0, 4, 1 << 32), "bad-patch", "4294967296 does not fit into 4 bytes."),
        (patch(1, 0, 2, "CRC32(1,92)"), "bad-patch", "A CRC-32 does not fit into 2 bytes."),
        (patch(1, 0, 4, "CRC32(99999,513)"), "bad-patch", "'CRC32(99999,513)' leaves LUN 0."),
        (patch(1, 0, 8, "NUM_DISK_BLOCKS-1."), "bad-patch", "'NUM_DISK_BLOCKS-1.' counts erase"),
        (patch("NUM_DISK_SECTORS-100001", 0, 8, 0), "bad-patch", "lies before the start"),
        (patch(100_000, 0, 8, 0), "past-the-end", "Sectors 100000 to 100000 do not fit"),
        (
            patch(1, 509, 4, 0).replace('SECTOR_SIZE_IN_BYTES="512" ', ""),
            "bad-patch",
            "The patch at byte 509 leaves the sector.",
        ),
    ],
)
def test_patches_that_cannot_be(row: str, code: str, message: str, tmp_path: Path) -> None:
    made = plan(rom(tmp_path, row))
    assert found(made) == [(code, f"{RAW}:3")]
    assert message in only(made).message
    assert made.patches == ()


def test_values_that_just_fit(tmp_path: Path) -> None:
    rows = [
        patch(1, 511, 1, 255),
        patch(2, 504, 8, (1 << 64) - 1),
        patch(3, 0, 4, "CRC32(99999,512)"),
    ]
    made = plan(rom(tmp_path, *rows))
    assert made.errors == ()
    assert [patch.value for patch in made.patches[:2]] == [255, (1 << 64) - 1]


def _tabled(folder: Path) -> Path:
    """Make a package with a table at 0, a partition, and patches for the table."""
    rows = [
        patch(1, 0, 4, 1), patch(1, 4, 4, 2), patch("NUM_DISK_SECTORS-1", 0, 4, 3),
        program("t.img", 0, 34, "PrimaryGPT"),
        program("t.img", "NUM_DISK_SECTORS-33.", 33, "BackupGPT"),
        program("a.img", 100, 8, "boot"),
    ]  # fmt: skip
    return rom(folder, *rows, t=b"t" * 16_896, a=b"a")


def test_patches_go_with_the_rows_that_write_their_sectors(tmp_path: Path) -> None:
    _tabled(tmp_path)
    assert len(plan(tmp_path).patches) == 3
    assert len(plan(tmp_path, only=frozenset({"primarygpt"})).patches) == 2
    assert len(plan(tmp_path, skip=frozenset({"primarygpt"})).patches) == 1
    assert len(plan(tmp_path, skip=frozenset({"boot"})).patches) == 3


@pytest.mark.parametrize(
    "restricted", [{"only": frozenset({"boot"})}, {"skip": frozenset({"primarygpt", "backupgpt"})}]
)
def test_patches_never_change_a_table_that_is_left_alone(
    restricted: dict[str, frozenset[str]], tmp_path: Path
) -> None:
    made = plan(_tabled(tmp_path), EMMC, **restricted)
    assert made.patches == ()
    assert ("3 patch rows", "they change what is left out") in made.left_out


def test_patches_of_a_table_that_is_missing_are_left_out(tmp_path: Path) -> None:
    (_tabled(tmp_path) / "t.img").unlink()
    made = plan(tmp_path, allow_missing=True)
    assert [step.label for step in made.steps] == ["boot"]
    assert made.patches == ()


def test_skipped_rows_on_unknown_places_spare_nothing(tmp_path: Path) -> None:
    rows = [
        program("a.img", "NUM_DISK_BLOCKS", 8, "skipped"), program("a.img", 1, 8, "skipped", x=1),
        patch(50, 0, 4, 1),
    ]  # fmt: skip
    rows[1] = rows[1].replace('number="0"', 'number="9"')
    made = plan(rom(tmp_path, *rows), skip=frozenset({"skipped"}))
    assert len(made.patches) == 1


# -- without a phone ----------------------------------------------------------------------------


def test_an_assumed_storage_has_room_for_everything(tmp_path: Path) -> None:
    rows = [
        program("a.img", 3_000_000, 8), program("a.img", "NUM_DISK_SECTORS-33.", 33, "tail"),
        read("x.bin", 5_000_000, 10), erase(6_000_000, 10), patch(7_000_000, 0, 4, 1),
        patch("NUM_DISK_SECTORS-1", 0, 4, 1), packs.row("erase", physical_partition_number=3),
    ]  # fmt: skip
    rom(tmp_path, *rows, a=b"a" * 512)
    geometry = assumed_geometry(open_package([str(tmp_path)]))
    assert (geometry.memory, geometry.sector_bytes, geometry.assumed) == ("emmc", 512, True)
    assert geometry.luns[0] > 7_000_033
    assert set(geometry.luns) == {0}
    made = plan(tmp_path, geometry, read_folder=tmp_path)
    assert [finding.code for finding in made.errors] == ["whole-lun-erase"]


def test_an_assumed_storage_has_at_least_a_gibibyte(tmp_path: Path) -> None:
    row = program("a.img", 6, 8).replace('"512"', '"4096"')
    rom(tmp_path, row, program("", "NUM_DISK_SECTORS-5.", 5).replace('"512"', '"4096"'))
    geometry = assumed_geometry(open_package([str(tmp_path)]))
    assert geometry == Geometry("ufs", 4096, {0: 262_144}, assumed=True)


@pytest.mark.parametrize("packed", [False, True])
def test_an_assumed_storage_has_room_for_a_growing_partition(packed: bool, tmp_path: Path) -> None:
    size = 3 << 30
    path = rom(tmp_path, program("big.img", 6, 0, "rootfs"), big=b"") / "big.img"
    if packed:
        path.write_bytes(packs.sparse(4096, size // 4096 - 1, (1, b"abcd")))
    else:
        with path.open("wb") as file:
            file.truncate(size)
    geometry = assumed_geometry(open_package([str(tmp_path)]))
    made = plan(tmp_path, geometry)
    assert made.errors == ()
    end = made.steps[-1].area.start_sector + made.steps[-1].area.sectors
    assert end == 6 + size // 512


def test_an_assumed_storage_for_files_that_are_not_there_or_not_whole(tmp_path: Path) -> None:
    rows = [program("gone.img", 6, 0), program("cut.img", 8, 0), program("../x", 9, 0)]
    rom(tmp_path, *rows, cut=packs.sparse(4096, 5)[:30])
    assert assumed_geometry(open_package([str(tmp_path)])).luns == {0: (1 << 30) // 512}
