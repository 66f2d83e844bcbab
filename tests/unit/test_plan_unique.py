# SPDX-License-Identifier: BSD-3-Clause
"""What exists only once on a phone: found, saved, kept.

The founding story: somebody flashes another phone's dump, and the calibration is gone for good.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.device.storage import Storage
from edl.errors import EdlError, SafetyError
from edl.events import Stage, StepStarted
from edl.firehose.commands import Area
from edl.plan import home, unique
from edl.plan.job import Rules, prepare
from edl.plan.model import Erase, Patch, Plan, ReadOut, Severity, Step, Write
from edl.virtual.programmer.board import Quirks
from edl.virtual.storage import Extent, Faults
from tests import phones
from tests.phones import EMMC_SECTORS, Bench, carry_out, plan_of, plug, spec
from tests.virtual.disks import Part, write_gpt, write_table

ALL = pytest.mark.parametrize("profile", phones.ALL)
PARTS = (
    Part("modemst1", 64, 79),
    Part("fsg", 80, 95),
    Part("persist", 96, 127),
    Part("keystore", 128, 135),  # worth saving, but not unique
    Part("boot_a", 136, 199),
    Part("userdata", 200, 399),
)
MINE = b"what exists only once on this phone. "
THEIRS = b"what another phone holds at this place"


def fill(bench: Bench, part: Part, text: bytes) -> bytes:
    size = (part.last - part.first + 1) * bench.flash.sector_bytes
    data = (text * (size // len(text) + 1))[:size]
    bench.flash.luns[0].write(part.first, data)
    return data


def by_name(name: str) -> Part:
    return next(part for part in PARTS if part.name == name)


def lived_in(bench: Bench) -> dict[str, bytes]:
    """Give the phone partitions with a life of their own; return what they hold."""
    write_gpt(bench.flash.luns[0], PARTS)
    return {part.name: fill(bench, part, MINE + part.name.encode()) for part in PARTS}


def held(bench: Bench, name: str) -> bytes:
    part = by_name(name)
    return bench.flash.luns[0].read(part.first, part.last - part.first + 1)


def write(bench: Bench, name: str, data: bytes | None = None) -> Write:
    """Return the step that another phone's dump has for a partition."""
    part, unit = by_name(name), bench.flash.sector_bytes
    size = (part.last - part.first + 1) * unit
    data = (THEIRS * (size // len(THEIRS) + 1))[:size] if data is None else data
    area = Area(0, part.first, len(data) // unit, unit)
    return Write(area, BytesContent(data), name, f"{name}.bin", "rawprogram0.xml:1")


def over(bench: Bench, first: int, sectors: int, label: str) -> Write:
    unit = bench.flash.sector_bytes
    content = BytesContent((THEIRS * sectors * unit)[: sectors * unit])
    return Write(Area(0, first, sectors, unit), content, label, "x.bin", "rawprogram0.xml:2")


def planned(storage: Storage, *steps: Step, rules: Rules | None = None) -> Plan:
    return prepare(plan_of(storage, *steps), storage, rules or Rules())[0]


# -- the founding story ---------------------------------------------------------------------------


@ALL
def test_another_phones_dump_does_not_overwrite_what_exists_only_once(profile: str) -> None:
    with plug(profile) as bench:
        before = lived_in(bench)
        storage = bench.storage()
        steps = [write(bench, name) for name in ("modemst1", "fsg", "persist", "boot_a")]
        outcome = carry_out(bench, plan_of(storage, *steps), storage)
        for name in ("modemst1", "fsg", "persist", "keystore", "userdata"):
            assert held(bench, name) == before[name]
        assert held(bench, "boot_a").startswith(THEIRS)
        assert outcome.plan.kept == ("modemst1", "fsg", "persist")
        kept = [finding for finding in outcome.plan.findings if finding.code == "unique-kept"]
        assert len(kept) == 3
        assert kept[0].severity is Severity.WARNING
        assert kept[0].remedy.endswith("--overwrite modemst1")


@ALL
def test_what_the_user_insists_on_is_saved_and_overwritten(profile: str) -> None:
    with plug(profile) as bench:
        before = lived_in(bench)
        storage = bench.storage()
        steps = write(bench, "modemst1"), write(bench, "fsg")
        outcome = carry_out(bench, plan_of(storage, *steps), storage, Rules(overwrite=("MODEM*",)))
        assert held(bench, "modemst1").startswith(THEIRS)
        assert held(bench, "fsg") == before["fsg"]
        assert outcome.plan.kept == ("fsg",)
        assert [finding.code for finding in outcome.plan.findings] == [
            "unique-overwritten",
            "unique-kept",
        ]
        saved = outcome.saved
        assert saved is not None
        assert (saved.folder / "lun0-modemst1.bin").read_bytes() == before["modemst1"]


# -- what may be written --------------------------------------------------------------------------


@pytest.mark.parametrize("blank", [b"\x00", b"\xff"])
def test_a_blank_partition_is_written(blank: bytes) -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        fill(bench, by_name("modemst1"), blank)
        storage = bench.storage()
        plan = planned(storage, write(bench, "modemst1"))
        assert plan.kept == ()
        assert plan.findings == ()


def test_what_is_there_already_may_be_written() -> None:
    """An interrupted first installation goes on: it finds its own data."""
    with plug("sdm660") as bench:
        before = lived_in(bench)
        storage = bench.storage()
        half = before["modemst1"]
        fill(bench, by_name("modemst1"), b"\0")
        bench.flash.luns[0].write(64, half[:2048])
        assert planned(storage, write(bench, "modemst1", half)).kept == ()
        bench.flash.luns[0].write(70, b"x" * 512)
        assert planned(storage, write(bench, "modemst1", half)).kept == ("modemst1",)


def test_only_the_sectors_that_are_written_count() -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        bench.flash.luns[0].write(64, bytes(4 * 512))
        storage = bench.storage()
        assert planned(storage, write(bench, "modemst1", b"y" * 2048)).kept == ()
        assert planned(storage, write(bench, "modemst1", b"y" * 2560)).kept == ("modemst1",)


def test_an_erase_is_no_better_than_a_write() -> None:
    with plug("sdm660") as bench:
        before = lived_in(bench)
        storage = bench.storage()
        step = Erase(write(bench, "persist").area, "persist", "")
        outcome = carry_out(bench, plan_of(storage, step), storage)
        assert outcome.plan.kept == ("persist",)
        assert held(bench, "persist") == before["persist"]
        fill(bench, by_name("persist"), b"\0")
        assert planned(storage, step).kept == ()


def test_reading_is_always_allowed(tmp_path: Path) -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        step = ReadOut(write(bench, "persist").area, tmp_path / "p.bin", "persist", "")
        plan, found = prepare(plan_of(storage, step), storage, Rules())
        assert plan.steps == (step,)
        assert found.places == []
        assert unique.protect(plan_of(storage, step), unique.look(plan, storage)).findings == ()


def test_patches_cannot_change_what_exists_only_once() -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        unit = bench.flash.sector_bytes
        patches = tuple(
            Patch(0, sector, unit, 8, 4, 0xDEAD, "", f"patch0.xml:{sector}") for sector in (70, 140)
        )
        plan = Plan(
            "test", "test", plan_of(storage, over(bench, 140, 1, "x")).geometry, (), patches
        )
        plan, _ = prepare(plan, storage, Rules())
        assert [step.area.start_sector for step in plan.steps] == [140]
        assert plan.kept == ("modemst1",)


# -- steps that cover more ------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "sectors"), [(40, 30), (64, 32), (60, 100), (0, 400)], ids=str)
def test_a_step_that_covers_more_is_an_error(first: int, sectors: int) -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        plan = planned(storage, over(bench, first, sectors, "image"))
        assert [finding.code for finding in plan.errors] == ["unique-covered"]
        assert "modemst1" in plan.errors[0].message
        with pytest.raises(SafetyError, match="would overwrite what exists only once"):
            carry_out(bench, plan_of(storage, over(bench, first, sectors, "image")), storage)
        assert bench.changes == []


@ALL
def test_an_image_of_a_whole_lun(profile: str) -> None:
    with plug(spec(profile, sectors={0: 1024})) as bench:
        lived_in(bench)
        storage = bench.storage()
        data = (THEIRS * 1024 * 4096)[: 1024 * bench.flash.sector_bytes]
        area = Area(0, 0, 1024, bench.flash.sector_bytes)
        step = Write(area, BytesContent(data), "LUN 0", "dump.bin", "")
        assert "modemst1, fsg, persist" in planned(storage, step).errors[0].message
        rules = Rules(overwrite=("modemst1", "fsg", "persist"))
        outcome = carry_out(bench, plan_of(storage, step), storage, rules)
        assert bench.flash.luns[0].read(0, 1024) == data
        assert outcome.saved is not None
        assert set(outcome.saved.names) >= {"lun0-modemst1.bin", "lun0-gpt-primary.bin"}


# -- where it lies --------------------------------------------------------------------------------


def test_without_a_table_the_labels_tell() -> None:
    with plug("sdm660") as bench:
        before = lived_in(bench)
        lun = bench.flash.luns[0]
        lun.write(0, bytes(34 * 512))
        lun.write(lun.sectors - 33, bytes(33 * 512))
        storage = bench.storage()
        steps = [write(bench, name) for name in ("modemst1", "boot_a")]
        outcome = carry_out(bench, plan_of(storage, *steps), storage)
        assert outcome.plan.kept == ("modemst1",)
        assert held(bench, "modemst1") == before["modemst1"]
        assert outcome.saved is not None
        assert outcome.saved.names == ("lun0-modemst1.bin",)


def test_a_table_that_names_nothing_unique_leaves_it_to_the_labels() -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        write_gpt(bench.flash.luns[0], [Part("system", 64, 300)])
        assert planned(bench.storage(), write(bench, "modemst1")).kept == ("modemst1",)


def test_a_damaged_primary_table_and_a_good_backup() -> None:
    with plug("sdm660") as bench:
        before = lived_in(bench)
        bench.flash.luns[0].write(1, b"\x55" * 512)
        storage = bench.storage()
        outcome = carry_out(bench, plan_of(storage, over(bench, 64, 4, "anything")), storage)
        assert outcome.plan.kept == ("modemst1",)
        assert held(bench, "modemst1") == before["modemst1"]


def test_a_table_that_cannot_be_read_leaves_it_to_the_labels() -> None:
    heads = Extent(0, 1), Extent(0, EMMC_SECTORS[0] - 1)
    with plug(spec("sdm660", broken=Faults(unreadable=heads))) as bench:
        lived_in(bench)
        storage = bench.storage()
        steps = write(bench, "modemst1"), write(bench, "boot_a")
        outcome = carry_out(bench, plan_of(storage, *steps), storage)
        assert outcome.plan.kept == ("modemst1",)
        assert outcome.saved is not None
        assert outcome.saved.names == ("lun0-modemst1.bin",)


def test_a_table_that_cannot_be_read_leaves_it_to_the_other_copy() -> None:
    with plug(spec("sdm660", broken=Faults(unreadable=(Extent(0, 1),)))) as bench:
        lived_in(bench)
        storage = bench.storage()
        steps = write(bench, "modemst1"), write(bench, "boot_a")
        outcome = carry_out(bench, plan_of(storage, *steps), storage)
        assert outcome.plan.kept == ("modemst1",)
        assert outcome.saved is not None
        assert set(outcome.saved.names) >= {"lun0-gpt-backup.bin", "lun0-modemst1.bin"}


def test_an_entry_that_leaves_the_disk_is_no_place() -> None:
    with plug("sdm660") as bench:
        lun = bench.flash.luns[0]
        parts = [Part("modemst1", lun.sectors - 4, lun.sectors + 4), Part("fsg", 90, 80)]
        array = b"".join(part.pack() for part in parts).ljust(128 * 128, b"\0")
        write_table(lun, array, 1, lun.sectors - 1, 2, (34, lun.sectors - 34))
        storage = bench.storage()
        found = unique.look(plan_of(storage, over(bench, 64, 4, "x")), storage)
        assert found.places == []


def test_what_is_worth_saving_is_saved_when_it_is_changed() -> None:
    with plug("sdm660") as bench:
        before = lived_in(bench)
        storage = bench.storage()
        outcome = carry_out(bench, plan_of(storage, write(bench, "keystore")), storage)
        assert outcome.saved is not None
        saved = (outcome.saved.folder / "lun0-keystore.bin").read_bytes()
        assert saved == before["keystore"]
        assert held(bench, "keystore").startswith(THEIRS)
        outcome = carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage)
        assert outcome.saved is not None
        assert "lun0-keystore.bin" not in outcome.saved.names


# -- what cannot be read --------------------------------------------------------------------------


def test_what_cannot_be_saved_is_not_overwritten() -> None:
    with plug(spec("sdm660", broken=Faults(unreadable=(Extent(0, 70),)))) as bench:
        lived_in(bench)
        storage = bench.storage()
        step = write(bench, "modemst1")
        assert planned(storage, step).kept == ("modemst1",)
        rules = Rules(overwrite=("modemst1",))
        with pytest.raises(SafetyError, match="'modemst1' exists only once and cannot be saved"):
            planned(storage, step, rules=rules)
        forced = Rules(overwrite=("modemst1",), backup=False)
        assert planned(storage, step, rules=forced).kept == ()


def test_what_a_maker_forbids_to_read_is_not_overwritten() -> None:
    with plug(spec("qcm2290", quirks=Quirks(restricted=(Extent(0, 64, 16),)))) as bench:
        lived_in(bench)
        storage = bench.storage()
        steps = write(bench, "modemst1"), write(bench, "boot_a")
        outcome = carry_out(bench, plan_of(storage, *steps), storage)
        assert outcome.plan.kept == ("modemst1",)
        assert outcome.saved is not None
        assert "lun0-fsg.bin" in outcome.saved.names
        assert "lun0-modemst1.bin" not in outcome.saved.names


def test_what_is_too_large_to_be_saved_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unique, "MAX_SAVED_BYTES", 4096)
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        with pytest.raises(SafetyError, match="larger than 4 KiB"):
            planned(storage, write(bench, "modemst1"), rules=Rules(overwrite=("*",)))


# -- saving ---------------------------------------------------------------------------------------


@ALL
def test_it_is_saved_before_the_first_write_and_only_once(profile: str) -> None:
    with plug(profile) as bench:
        before = lived_in(bench)
        storage = bench.storage()
        first = carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage).saved
        assert first is not None
        assert first.new
        kinds = [type(event) for event in bench.events]
        saving = bench.events.index(Stage("save", bench.stages["save"]))
        assert saving < kinds.index(StepStarted)
        unit = bench.flash.sector_bytes
        span = 34 if unit == 512 else 6
        lun = bench.flash.luns[0]
        files = {path.name: path.read_bytes() for path in first.folder.iterdir()}
        manifest = json.loads(files.pop("manifest.json"))
        assert files == {
            "lun0-gpt-primary.bin": lun.read(0, span),
            "lun0-gpt-backup.bin": lun.read(lun.sectors - span + 1, span - 1),
            **{f"lun0-{name}.bin": before[name] for name in ("modemst1", "fsg", "persist")},
        }
        assert manifest["serial"] == "1a2b3c4d"
        assert manifest["files"]["lun0-fsg.bin"]["bytes"] == len(before["fsg"])
        assert first.size_bytes == sum(map(len, files.values()))
        assert first.folder.parent == home.phone_folder("1a2b3c4d")
        assert first.folder.stat().st_mode & 0o077 == 0

        second = carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage).saved
        assert second is not None
        assert not second.new
        assert second.folder == first.folder

        fill(bench, by_name("persist"), b"calibrated anew")
        third = carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage).saved
        assert third is not None
        assert third.new
        assert third.folder != first.folder


def test_nothing_is_saved_against_the_users_wish() -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        plan = plan_of(storage, write(bench, "boot_a"))
        assert carry_out(bench, plan, storage, Rules(backup=False)).saved is None
        assert not home.home().joinpath("phones", "1a2b3c4d").is_dir() or not list(
            home.phone_folder("1a2b3c4d").glob("saved-*")
        )


def test_an_empty_phone_has_nothing_to_save() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        assert carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage).saved is None


def test_a_tiny_lun_has_no_tables_to_save() -> None:
    with plug(spec("qcm2290-ufs", sectors={0: 1024, 1: 8})) as bench:
        bench.flash.luns[1].write(0, b"x" * 4096)
        storage = bench.storage()
        step = Write(Area(1, 0, 1, 4096), BytesContent(bytes(4096)), "x", "", "")
        assert carry_out(bench, plan_of(storage, step), storage).saved is None


def test_parts_of_one_name_are_all_saved() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        parts = [over(bench, first, 4, "persist") for first in (100, 200, 300)]
        for step in parts:
            bench.flash.luns[0].write(
                step.area.start_sector, MINE.ljust(2048, b"%d" % step.area.sectors)
            )
        plan, found = prepare(plan_of(storage, *parts), storage, Rules(overwrite=("persist",)))
        saved = unique.save(plan, storage, found)
        assert saved is not None
        assert saved.names == ("lun0-persist.bin", "lun0-persist-200.bin", "lun0-persist-300.bin")


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{}", '{"files": 5}', '{"files": {"a": {}}}', '{"files": {"a": 1}}']
)
def test_a_damaged_manifest_counts_for_nothing(manifest: str) -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        old = home.phone_folder("1a2b3c4d") / "saved-20200101T000000.000000Z"
        old.mkdir(parents=True)
        if manifest:
            (old / "manifest.json").write_text(manifest)
        saved = carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage).saved
        assert saved is not None
        assert saved.new


def test_a_full_disk_stops_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SafetyError, match="No space left") as caught:
            carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage)
        assert "EDL_HOME" in caught.value.remedies[0]
        assert bench.changes == []
        assert list(home.phone_folder("1a2b3c4d").iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EDL_HOME", str(tmp_path / "file"))
    with plug("sdm660") as bench:
        lived_in(bench)
        storage = bench.storage()
        with pytest.raises(EdlError, match="cannot be made"):
            carry_out(bench, plan_of(storage, write(bench, "boot_a")), storage)
        assert bench.changes == []
