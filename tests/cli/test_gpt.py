# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables as users see, mend and compare them; slots as they show and choose them."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edl.cli.main import run
from edl.formats.gpt import Gpt, parse
from edl.virtual.phone import Phone
from edl.virtual.programmer.board import Quirks
from edl.virtual.storage import Extent
from tests import builds
from tests.cli.conftest import Edl
from tests.cli.test_json import held
from tests.cli.test_options import code
from tests.cli.test_safety import _Kept as Kept
from tests.packages import motos
from tests.phones import lay_out, plug, spec

TAIL = 33


@pytest.fixture
def blank(phone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    """Return the phone that --virtual reaches, whatever it names; its flash is blank."""
    with Phone.open(phone) as opened:
        monkeypatch.setattr(Phone, "named", classmethod(lambda *_, **__: Kept(opened)))
        yield opened


@pytest.fixture
def tables(blank: Phone, board: Path) -> Phone:
    """Return that phone with the partition tables of a board."""
    whole = blank.storage.luns[0]
    table = parse((board / "gpt_main0.bin").read_bytes(), 512)
    images = table.fit(whole.sectors, grow=True).images()
    whole.write(0, images.primary)
    whole.write(images.backup_sector, images.backup)
    return blank


def copies(phone: Phone, lun: int = 0) -> Iterator[Gpt]:
    whole = phone.storage.luns[lun]
    unit = whole.sector_bytes
    head = whole.read(0, 34)
    tail = whole.read(whole.sectors - TAIL, TAIL)
    yield parse(head, unit)
    yield parse(tail, unit, backup=True)


def damage(phone: Phone, sector: int, lun: int = 0) -> None:
    whole = phone.storage.luns[lun]
    sector = sector if sector >= 0 else whole.sectors + sector
    data = bytearray(whole.read(sector, 1))
    data[58] ^= 0xFF  # in entries a letter of the first name, in headers the GUID of the disk
    whole.write(sector, bytes(data))


# -- repair -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sector", "label", "words"),
    [
        (1, "PrimaryGPT", "  primary table: The checksum of the header is wrong.\n"),
        (-TAIL, "BackupGPT", "  backup table: The checksum of the entries is wrong.\n"),
    ],
)
def test_a_damaged_copy_is_told_and_mended(
    edl: Edl, tables: Phone, sector: int, label: str, words: str
) -> None:
    before = tables.storage.luns[0].read(0, 34)
    damage(tables, sector)
    shown = edl("--virtual", "any", "printgpt", "--lun", "0").out
    assert words in shown
    assert "  the copies differ (primary -> backup):\n" in shown
    assert "\n  to mend that: edl gpt repair --lun 0\n" in shown
    dry = edl("--virtual", "any", "gpt", "repair", "-n")
    assert f"  1. write {label} " in dry.out
    assert "Dry run: 1 step" in dry.out
    unasked = edl("--virtual", "any", "gpt", "repair")
    assert (unasked.status, code(unasked.err)) == (2, "usage")
    assert "This writes the partition tables of LUN 0. There is no terminal" in unasked.err
    done = edl("--virtual", "any", "gpt", "repair", "--yes")
    assert done.status == 0
    assert words in done.out
    assert "to mend that" not in done.out
    assert "  saved      partition tables and what exists only once: " in done.out
    assert tables.storage.luns[0].read(0, 34) == before
    again = edl("--virtual", "any", "gpt", "repair")
    assert again.out.endswith("Nothing to mend: both copies are as they should be (LUN 0).\n")
    assert "note     LUN 1, 2: no partition table, nothing to mend from" in again.err


def test_repair_as_json(edl: Edl, tables: Phone) -> None:
    phone = ("--virtual", "any", "--json")
    assert held(edl(*phone, "gpt", "repair"), "gpt repair").last["mended"] == []
    damage(tables, 2)
    told = held(edl(*phone, "printgpt"), "printgpt").last["luns"][0]
    assert [change["kinds"] for change in told["differences"]] == [["renamed"]]
    assert told["header_differences"] == []
    unique = {each["name"] for each in told["partitions"] if each["unique"]}
    assert {"modemst1", "modemst2"} <= unique
    assert not unique & {"aboot", "boot", "system", "userdata"}
    held(edl(*phone, "gpt", "repair", "--dry-run"), "a dry run of gpt repair")
    done = held(edl(*phone, "gpt", "repair", "-y"), "gpt repair")
    assert (done.last["mended"], done.last["written_bytes"]) == ([0], 34 * 512)


def test_nobody_guesses_between_two_sound_copies(edl: Edl, tables: Phone) -> None:
    primary, _ = copies(tables)
    found = primary.find("aboot")
    assert found is not None
    other = primary.replace(dataclasses.replace(found, last_sector=found.last_sector - 1))
    whole = tables.storage.luns[0]
    whole.write(whole.sectors - TAIL, other.images().backup)
    shown = edl("--virtual", "any", "printgpt", "--lun", "0").out
    assert "    aboot: 2048 sectors -> 2047\n" in shown
    assert "  to mend that: edl gpt repair --lun 0 --from primary (or backup)\n" in shown
    refused = edl("--virtual", "any", "gpt", "repair", "-y")
    assert (refused.status, code(refused.err)) == (9, "safety")
    assert "of LUN 0 contradict each other" in refused.err
    done = edl("--virtual", "any", "gpt", "repair", "-y", "--from", "backup")
    assert done.status == 0
    assert "1 partition on LUN 0 move, become smaller or go: aboot." in done.err
    assert [table.find("aboot").sectors for table in copies(tables)] == [2047, 2047]  # type: ignore[union-attr]


def test_what_exists_only_once_must_not_move(edl: Edl, tables: Phone, tmp_path: Path) -> None:
    primary, _ = copies(tables)
    found = primary.find("modemst1")
    assert found is not None
    moved = primary.replace(dataclasses.replace(found, first_sector=found.first_sector + 1))
    file = tmp_path / "gpt_main0.bin"
    file.write_bytes(moved.images().primary)
    line = ("--virtual", "any", "gpt", "repair", "--from", file, "-y")
    refused = edl(*line)
    assert (refused.status, code(refused.err)) == (9, "safety")
    assert "'modemst1' on LUN 0 moves or becomes smaller" in refused.err
    assert edl(*line, "--overwrite", "modemst1").status == 0
    assert next(copies(tables)).find("modemst1") == moved.find("modemst1")


def test_a_fault_in_both_copies_needs_another_table(
    edl: Edl, tables: Phone, board: Path, tmp_path: Path
) -> None:
    primary, _ = copies(tables)
    found = primary.find("aboot")
    assert found is not None
    overlap = primary.replace(dataclasses.replace(found, last_sector=found.last_sector + 1))
    file = tmp_path / "dump.img"
    file.write_bytes(overlap.images().primary)
    done = edl("--virtual", "any", "gpt", "repair", "--from", file, "-y")
    assert "  warning: The table for LUN 0: Partition 'boot' overlaps 'aboot'.\n" in done.err
    shown = edl("--virtual", "any", "printgpt", "--lun", "0").out
    assert "  to mend that: edl gpt repair --lun 0 --from ROM_FOLDER\n" in shown
    assert "Nothing was mended" in edl("--virtual", "any", "gpt", "repair").out
    assert edl("--virtual", "any", "gpt", "repair", "--from", board, "-y").status == 0
    assert edl("--virtual", "any", "gpt", "diff", board).status == 0


@pytest.mark.usefixtures("tables")
def test_wrong_sources(edl: Edl, board: Path, golden: Callable[[str], builds.Build]) -> None:
    text = Path(__file__)
    for line, status, words in (
        (("--lun", 7), 2, "The phone has no LUN 7."),
        (("--lun", 1), 9, "LUN 1 has no partition table."),
        (("--from", "/no/such"), 2, "'/no/such' is no file"),
        (("--from", text), 7, "test_gpt.py: There is no partition table"),
        (("--from", text, "--lun", 0, "--lun", 1), 2, "the table of one LUN"),
        (("--from", board, "--lun", 1), 2, "The package has no table for LUN 1."),
        (("--from", golden("sdm845-db845c-ufs").folder), 6, "counts sectors of 4096 bytes"),
    ):
        result = edl("--virtual", "any", "gpt", "repair", *line)
        assert (result.status, words in result.err) == (status, True)


@pytest.mark.usefixtures("blank")
def test_a_phone_without_any_table(edl: Edl, board: Path) -> None:
    result = edl("--virtual", "any", "gpt", "repair")
    assert (result.status, code(result.err)) == (9, "safety")
    assert "try: Take them from the phone's package: edl gpt repair --from" in result.err
    dry = edl("--virtual", "any", "gpt", "repair", "--from", board, "-n")
    assert "Dry run: 2 steps, 33.5 KiB to write, no errors, no warnings.\n" in dry.out
    told = edl("--virtual", "any", "printgpt")
    assert (told.status, code(told.err)) == (8, "verify")
    assert "try: Or only its tables: edl gpt repair --from FOLDER." in told.err


def test_luns_that_cannot_be_read(edl: Edl, tables: Phone) -> None:
    broken = dataclasses.replace(tables.storage.faults, unreadable=(Extent(1, 0, 8192),))
    tables.storage.faults = broken
    result = edl("--virtual", "any", "gpt", "repair")
    assert result.status == 0
    assert "  note     LUN 1: " in result.err
    assert edl("--virtual", "any", "gpt", "repair", "--lun", "1").status == 6


def packages_of(folder: Path, form: str) -> Path:
    """Return a package of Motorola's in one of the forms in which people have it."""
    rom = motos.package(folder / "rom")
    if form == "folder":
        return rom
    if form == "container":
        return rom / "gpt.bin"
    return Path(shutil.make_archive(str(folder / "rom"), form, rom))


@pytest.mark.parametrize("form", ["folder", "zip", "gztar", "container"])
def test_tables_of_a_package_of_any_kind(edl: Edl, blank: Phone, tmp_path: Path, form: str) -> None:
    source = packages_of(tmp_path, form)
    missing = edl("--virtual", "any", "gpt", "diff", source)
    assert (missing.status, "LUN 0: the phone has no partition table" in missing.out) == (8, True)
    told = edl("--virtual", "any", "gpt", "repair", "--from", source, "--yes")
    assert told.status == 0, told.err
    lun = blank.storage.luns[0]
    with (tmp_path / "disk").open("wb") as disk:
        disk.write(lun.read(0, 64))
        disk.seek((lun.sectors - 64) * 512)
        disk.write(lun.read(lun.sectors - 64, 64))
    verdict = subprocess.run(
        ["sgdisk", "-v", "-p", tmp_path / "disk"], capture_output=True, text=True, check=False
    ).stdout
    assert "No problems found" in verdict
    assert all(name in verdict for name in motos.PARTS)
    same = edl("--virtual", "any", "gpt", "diff", source)
    assert (same.status, same.out) == (0, "LUN 0: the same\nThe partition tables are the same.\n")


@pytest.mark.usefixtures("tables")
def test_packages_without_tables_and_with_choices(edl: Edl, tmp_path: Path, board: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fastboot.zip", "w") as archive:
        archive.writestr("boot.img", b"ANDROID!" + bytes(4096))
        archive.writestr("system.img", b"x" * 4096)
        archive.writestr("vendor.img", b"x" * 4096)
    result = edl("--virtual", "any", "gpt", "diff", tmp_path / "fastboot.zip")
    assert (result.status, "The package has no partition table" in result.err) == (7, True)
    for name in ("a", "b"):
        shutil.copytree(board, tmp_path / "two" / name)
    command = ("--virtual", "any", "gpt", "diff", shutil.make_archive(
        str(tmp_path / "two"), "zip", tmp_path / "two"
    ))  # fmt: skip
    assert "Choose the one that is meant: --choose set=NAME" in edl(*command).err
    assert edl(*command, "--choose", "set=a").status == 0
    repair = ("--virtual", "any", "gpt", "repair", "--from", command[-1], "--choose", "set=b")
    assert "Nothing to mend" in edl(*repair).out


# -- diff ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tables")
def test_the_same_tables(edl: Edl, board: Path) -> None:
    result = edl("--virtual", "any", "gpt", "diff", board)
    assert result.status == 0
    assert result.out == "LUN 0: the same\nThe partition tables are the same.\n"
    data = held(edl("--virtual", "any", "gpt", "diff", board, "--json"), "gpt diff").last
    assert (data["equal"], data["lost"]) == (True, [])


@pytest.mark.usefixtures("tables")
def test_another_phones_tables(edl: Edl, golden: Callable[[str], builds.Build]) -> None:
    other = golden("qrb2210-rb1-emmc").folder
    result = edl("--virtual", "any", "gpt", "diff", other)
    assert (result.status, code(result.err)) == (8, "verify")
    assert "  aboot: missing, sector 148528, 2048 sectors\n" in result.out
    assert "  modemst1: sector 136232 -> 1245056, number 7 -> 60, another guid (exists only" in (
        result.out
    )
    assert "would lose what exists only once on this phone: cdt (LUN 0), sec" in result.out
    data = held(edl("--virtual", "any", "gpt", "diff", other, "--json"), "gpt diff").lines[-2]
    assert "modemst1" in data["lost"]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("aboot", {"attributes": 5}, "Writing those tables would move nothing."),
        ("aboot", {"last_sector": 150000}, "would move 1 partition, but nothing that exists"),
    ],
)
def test_small_differences(
    edl: Edl, tables: Phone, tmp_path: Path, name: str, change: dict[str, int], words: str
) -> None:
    primary, _ = copies(tables)
    found = primary.find(name)
    assert found is not None
    file = tmp_path / "table"
    file.write_bytes(primary.replace(dataclasses.replace(found, **change)).images().primary)  # type: ignore[arg-type]
    result = edl("--virtual", "any", "gpt", "diff", file)
    assert result.status == 8
    assert "LUN 0: 1 difference (phone -> there)\n" in result.out
    assert words in result.out


@pytest.mark.usefixtures("blank")
def test_a_phone_without_a_table_differs(edl: Edl, board: Path) -> None:
    result = edl("--virtual", "any", "gpt", "diff", board)
    assert result.status == 8
    assert "LUN 0: the phone has no partition table\n" in result.out


# -- slots --------------------------------------------------------------------------------------


@pytest.fixture
def ufs(monkeypatch: pytest.MonkeyPatch, golden: Callable[[str], builds.Build]) -> Iterator[Phone]:
    """Return an A/B phone with UFS, plugged in, whose slots are empty."""
    with Phone.named("qcm2290-ufs") as opened:
        lay_out(opened, golden("sdm845-db845c-ufs").folder)
        monkeypatch.setattr(Phone, "named", classmethod(lambda *_, **__: Kept(opened)))
        yield opened


def test_a_slot_is_shown_and_chosen(edl: Edl, ufs: Phone, tmp_path: Path) -> None:
    phone = ("--virtual", "any")
    shown = edl(*phone, "slot")
    assert shown.out.startswith("now: slot a is active\n  slot  active  priority  tries")
    assert "nothing was ever marked: the boot loader takes a then" in shown.out
    refused = edl(*phone, "slot", "b", "--yes")
    assert (refused.status, code(refused.err)) == (9, "safety")
    assert "'boot_b' is empty: with slot b active the phone would not start." in refused.err
    dry = edl(*phone, "slot", "b", "--empty", "--dry-run")
    assert "then LUN 2 is made the one that the phone boots from" in dry.out
    done = edl(*phone, "set_active", "b", "--empty", "--yes")
    assert "before: slot a is active\n" in done.out
    assert "after: slot b is active\n" in done.out
    assert "  b     yes     3         7      no          no\n" in done.out
    assert "  slot       b is active\n" in done.out
    assert ufs.storage.bootable == 2
    data = held(edl(*phone, "getactiveslot", "--json"), "slot").last
    assert (data["active"], data["boot_lun"]) == ("b", 2)
    asked = edl(*phone, "read", "abl", tmp_path / "x")
    assert "The phone has no 'abl', but abl_a and abl_b; active is b." in asked.err
    assert "for example abl_b." in asked.err


@pytest.mark.usefixtures("ufs")
def test_a_slot_as_json(edl: Edl) -> None:
    line = ("--virtual", "any", "--json", "slot", "_B", "--empty", "-y")
    data = held(edl(*line), "slot SLOT").last
    assert [data[when]["active"] for when in ("before", "after")] == ["a", "b"]
    assert [row["starts"] for row in data["after"]["slots"]] == [False, True]
    assert held(edl(*line), "slot SLOT").last["written_bytes"] == 0
    dry = held(edl(*line[:-1], "--dry-run"), "a dry run of slot").last
    assert [dry[when]["active"] for when in ("before", "after")] == ["b", "b"]
    assert dry["slot"] == "b"


@pytest.mark.usefixtures("tables")
def test_slots_that_there_are_not(edl: Edl) -> None:
    result = edl("--virtual", "any", "slot")
    assert (result.status, code(result.err)) == (2, "usage")
    assert "This phone has no slots" in result.err
    assert "'c' is no slot: there are a and b." in edl("--virtual", "any", "slot", "c").err


def test_a_slot_that_cannot_start(edl: Edl, tables: Phone) -> None:
    primary, _ = copies(tables)
    for old, new, byte in (("aboot", "boot_a", 0x07), ("hyp", "boot_b", 0x03)):
        found = primary.find(old)
        assert found is not None
        primary = primary.replace(dataclasses.replace(found, name=new, attributes=byte << 48))
    whole = tables.storage.luns[0]
    whole.write(0, primary.images().primary)
    whole.write(whole.sectors - TAIL, primary.images().backup)
    shown = edl("--virtual", "any", "slot").out
    assert "  slot a cannot start: it has no try left, or failed\n" in shown
    found = primary.find("boot_a")
    assert found is not None
    nothing = primary.replace(dataclasses.replace(found, attributes=0x80 << 48))
    whole.write(0, nothing.images().primary)
    assert "now: no slot is active\n" in edl("--virtual", "any", "slot").out


@pytest.mark.usefixtures("tables")
def test_the_group_alone_shows_the_tables(edl: Edl) -> None:
    assert edl("--virtual", "any", "gpt", "--lun", "0").out.startswith("LUN 0: ")
    assert run(["gpt", "--help"]) == 0
    assert "Nothing to mend" in edl("--virtual", "any", "repair-gpt").out


@pytest.mark.usefixtures("ufs")
def test_a_table_of_a_ufs_phone_is_for_the_lun_that_is_named(
    edl: Edl, golden: Callable[[str], builds.Build], tmp_path: Path
) -> None:
    file = golden("sdm845-db845c-ufs").folder / "gpt_main4.bin"
    for line in ((file,), (file, "--lun", "4")):
        result = edl("--virtual", "any", "gpt", "diff", *line)
        assert (result.status, result.out) == (
            0,
            "LUN 4: the same\nThe partition tables are the same.\n",
        )
    nameless = tmp_path / "table.bin"
    nameless.write_bytes(file.read_bytes())
    result = edl("--virtual", "any", "gpt", "diff", nameless)
    assert (result.status, code(result.err)) == (2, "usage")
    assert "try: Say so: --lun LUN." in result.err


def test_a_programmer_that_does_not_tell_how_large_a_lun_is(
    edl: Edl, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Quirks(missing=frozenset({"getstorageinfo"}))
    with plug(spec("qcm2290", quirks=silent)) as bench:
        bench.flash.luns[0].write(0, (board / "gpt_main0.bin").read_bytes())
        monkeypatch.setattr(Phone, "named", classmethod(lambda *_, **__: Kept(bench.virtual)))
        shown = edl("--virtual", "any", "printgpt", "--lun", "0").out
    assert shown.startswith("LUN 0: unknown size, 512-byte sectors\n  primary table: ")
    assert "  backup table: not looked for: the programmer does not tell how large" in shown
