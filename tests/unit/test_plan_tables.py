# SPDX-License-Identifier: BSD-3-Clause
"""Jobs on partition tables: what is gone by, what is written and in which order, and going on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import pytest

from edl.device.phone import Wishes
from edl.device.storage import Storage, Tables
from edl.errors import (
    DocumentError,
    EdlError,
    ImageError,
    PackageError,
    SafetyError,
    UsageError,
    WrongSectorSizeError,
)
from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.gptcheck import problems, sound
from edl.formats.gptedit import refit
from edl.formats.slots import INACTIVE_TYPE, Slot, activate, active_of
from edl.package import open_package
from edl.plan import job, tables
from edl.plan.job import Rules
from edl.plan.model import Plan, Severity
from edl.plan.slots import phone_slots, slot_plan
from edl.virtual.storage import Extent, Faults, Lun
from tests import builds, phones
from tests.phones import Bench, carry_out, plug, spec

ALL = pytest.mark.parametrize("profile", phones.ALL)
EMMC, UFS = "sdm660", "qcm2290-ufs"
DISK = UUID("98101b32-bbe2-4bf2-a06e-2bb33d000c20")
BOOT = UUID("20117f86-e985-4357-b9ee-374bc1d8487d")
BOOT_AT = 100


def part(number: int, name: str, first: int, last: int, state: int = 0) -> Partition:
    kind = INACTIVE_TYPE if name.endswith("_b") else UUID(int=number)
    return Partition(number, name, first, last, kind, UUID(int=number), state << 48)


def layout(disk_sectors: int, *, persist: int = 60) -> list[Partition]:
    """Return an A/B phone's partitions on one disk. persist: where that begins."""
    return [
        part(1, "persist", persist, 79),
        part(2, "boot_a", BOOT_AT, 119, 0x77),
        part(3, "boot_b", 120, 139, 0x71),
        part(4, "userdata", 200, disk_sectors - 34),
    ]


def put(lun: Lun, table: Gpt, *, primary: bool = True, backup: bool = True) -> None:
    images = table.images()
    if primary:
        lun.write(0, images.primary)
    if backup:
        lun.write(images.backup_sector, images.backup)


def made(lun: Lun, rows: list[Partition] | None = None) -> Gpt:
    rows = layout(lun.sectors) if rows is None else rows
    return create(lun.sector_bytes, lun.sectors, DISK, rows)


def copies(lun: Lun) -> tuple[Gpt, Gpt]:
    data = lun.read(0, lun.sectors)
    return parse(data, lun.sector_bytes), parse(data, lun.sector_bytes, backup=True)


def repair(
    storage: Storage, sources: Mapping[int, Gpt], *insisted: str, grow: bool = False
) -> Plan:
    geometry = job.geometry(storage, sources)
    return tables.repair_plan(storage, sources, geometry, insisted=insisted, grow=grow)


def labels(plan: Plan) -> list[tuple[int, str]]:
    return [(step.area.lun, step.label) for step in plan.steps]


# -- which copy ---------------------------------------------------------------------------------


def both(rows: list[Partition]) -> tuple[Gpt, Gpt]:
    images = create(512, 1000, DISK, rows).images()
    return parse(images.primary, 512), parse(images.backup, 512, backup=True)


def test_the_sound_copy_is_gone_by() -> None:
    primary, backup = both(layout(1000))
    bad = dataclasses.replace(primary, header_crc_ok=False)
    assert tables.own_table(Tables(4, primary, backup)) is primary
    assert tables.own_table(Tables(4, bad, backup)) is backup
    assert tables.own_table(Tables(4, primary, None)) is primary
    assert tables.own_table(Tables(4, bad, backup), "primary") is bad
    assert tables.own_table(Tables(4, primary, backup), "backup") is backup


def test_nobody_guesses() -> None:
    primary, _ = both(layout(1000))
    _, other = both(layout(1000, persist=61))
    with pytest.raises(SafetyError, match="of LUN 4 contradict each other") as told:
        tables.own_table(Tables(4, primary, other))
    assert told.value.remedies[1].startswith("Then choose: edl gpt repair --lun 4 --from primary")
    with pytest.raises(SafetyError, match="LUN 4 has no partition table") as told:
        tables.own_table(Tables(4, None, None))
    assert told.value.remedies[0].endswith("edl gpt repair --lun 4 --from ROM_FOLDER")
    with pytest.raises(SafetyError, match="no sound partition table"):
        tables.own_table(Tables(4, dataclasses.replace(primary, entries_crc_ok=False), None))
    with pytest.raises(SafetyError, match="LUN 4 has no backup table"):
        tables.own_table(Tables(4, primary, None), "backup")


# -- repair -------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("lost", ["primary", "backup"])
def test_a_lost_copy_comes_back(profile: str, lost: str) -> None:
    with plug(profile) as bench:
        lun = bench.flash.luns[0]
        put(lun, made(lun), primary=lost != "primary", backup=lost != "backup")
        storage = bench.storage()
        plan = repair(storage, {0: tables.own_table(storage.table(0))})
        # sector 0 is a part of the primary
        assert labels(plan) == [(0, {"primary": tables.PRIMARY, "backup": tables.BACKUP}[lost])]
        carry_out(bench, plan, storage)
        for table in copies(lun):
            assert problems(table, lun.sectors) == ()
            assert table.partitions == made(lun).partitions
        assert repair(Storage(storage.phone), {0: made(lun)}).steps == ()


def test_the_copy_that_is_gone_by_is_written_last() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        smaller = create(512, lun.sectors - 1000, DISK, layout(lun.sectors - 1000))
        put(lun, smaller)
        storage = bench.storage()
        plan = repair(storage, {0: tables.own_table(storage.table(0))})
        assert labels(plan) == [(0, tables.BACKUP), (0, tables.PRIMARY)]
        assert plan.findings == ()
        carry_out(bench, plan, storage)
        assert [table.partitions for table in copies(lun)] == [smaller.partitions] * 2
        lun.write(1, bytes(512))
        grown = repair(Storage(storage.phone), {0: refit(smaller, lun.sectors)})
        assert labels(grown) == [(0, tables.PRIMARY), (0, tables.BACKUP)]


def test_a_table_from_elsewhere_fills_the_disk() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        storage = bench.storage()
        plan = repair(storage, {0: create(512, 5000, DISK, layout(5000))}, grow=True)
        carry_out(bench, plan, storage)
        assert copies(lun)[0].partitions[-1].last_sector == lun.sectors - 34


def test_what_is_wrong_with_a_table_and_stays_so_is_told() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        overlap = made(lun, [part(1, "x", 100, 110), part(2, "y", 110, 120)])
        plan = repair(bench.storage(), {0: dataclasses.replace(overlap, entries_crc_ok=False)})
        assert [finding.code for finding in plan.findings] == ["table-checksum", "table-problem"]
        assert plan.findings[1].message == "The table for LUN 0: Partition 'y' overlaps 'x'."
        assert plan.errors == ()


def test_what_exists_only_once_must_not_move() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        put(lun, made(lun))
        storage = bench.storage()
        other = made(lun, [*layout(lun.sectors, persist=70), part(5, "misc", 150, 160)][0:4])
        plan = repair(storage, {0: other})
        (finding,) = plan.errors
        assert (finding.code, finding.remedy[-19:]) == ("unique-moved", "--overwrite persist")
        assert "'persist' on LUN 0 moves or becomes smaller" in finding.message
        (meant,) = repair(storage, {0: other}, "PERS*").findings
        assert (meant.severity, meant.remedy) == (Severity.WARNING, "")
        (gone, rest) = repair(storage, {0: made(lun, layout(lun.sectors)[3:])}).findings
        assert "has no place in this table" in gone.message
        assert (rest.code, rest.severity) == ("partitions-moved", Severity.WARNING)
        assert "2 partitions on LUN 0 move, become smaller or go: boot_a, boot_b." in rest.message


def test_many_names_are_not_all_told() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        put(lun, made(lun, [part(n, f"p{n}", 40 + n, 40 + n) for n in range(1, 12)]))
        (finding,) = repair(bench.storage(), {0: made(lun, [])}).findings
        assert finding.message.endswith("p7, p8, .... What they hold has to be written again.")


def test_a_copy_that_cannot_be_read_is_written() -> None:
    with plug(spec(EMMC, broken=Faults(unreadable=(Extent(0, 0, 2),)))) as bench:
        lun = bench.flash.luns[0]
        put(lun, made(lun))
        storage = bench.storage()
        assert tables.first_sector(storage, 0) == b""
        assert labels(repair_source(storage, made(lun))) == [(0, tables.PRIMARY)]


def repair_source(storage: Storage, table: Gpt) -> Plan:
    """Return the plan for a phone whose tables cannot all be read."""
    storage._tables[0] = Tables(0, None, None)
    return repair(storage, {0: table})


# -- tables from elsewhere ----------------------------------------------------------------------


def test_files_with_tables(tmp_path: Path) -> None:
    images = create(512, 1000, DISK, layout(1000)).images()
    file = tmp_path / "gpt_main0.bin"
    for data in (images.primary, images.backup, images.primary + bytes(2 << 20) + images.backup):
        file.write_bytes(data)
        assert tables.file_table(file, 512).partitions[0].name == "persist"
    file.write_bytes(images.primary)
    with pytest.raises(WrongSectorSizeError, match="sectors of 512 bytes, the phone has sectors"):
        tables.file_table(file, 4096)
    file.write_bytes(b"no table")
    with pytest.raises(ImageError, match=r"gpt_main0.bin: There is no partition table"):
        tables.file_table(file, 512)
    with pytest.raises(ImageError, match=r"none.bin cannot be read: No such file"):
        tables.file_table(tmp_path / "none.bin", 512)


def test_the_tables_of_a_package_are_those_after_its_patches(
    golden: Callable[[str], builds.Build],
) -> None:
    build = golden("sdm845-db845c-ufs")
    package = open_package([str(build.folder)])
    with plug(UFS) as bench:
        storage = bench.storage(Wishes(hints=("ufs",)))
        geometry = job.geometry_for(package, storage)
        found = tables.package_tables(package, geometry)
        assert sorted(found) == [0, 1, 2, 3, 4, 5]
        for lun, table in found.items():
            assert sound(table)
            assert table.is_for(geometry.luns[lun])
            assert problems(table, geometry.luns[lun]) == () or lun in {0, 4}
        with pytest.raises(WrongSectorSizeError, match="counts sectors of 4096 bytes"):
            tables.package_tables(package, dataclasses.replace(geometry, sector_bytes=512))


ROW = (
    '<data><program SECTOR_SIZE_IN_BYTES="512" filename="x.bin" label="PrimaryGPT"'
    ' num_partition_sectors="34" physical_partition_number="0" start_sector="0"/></data>'
)


def test_a_package_without_tables(tmp_path: Path) -> None:
    (tmp_path / "rawprogram0.xml").write_text(ROW)
    with plug(EMMC) as bench:
        storage = bench.storage()
        package = open_package([str(tmp_path)])
        geometry = job.geometry_for(package, storage)
        with pytest.raises(PackageError, match="no row writes sector 0, or the file"):
            tables.package_tables(package, geometry)
        (tmp_path / "x.bin").write_bytes(bytes(34 * 512))
        with pytest.raises(PackageError, match="'EFI PART' is not where it belongs"):
            tables.package_tables(open_package([str(tmp_path)]), geometry)


# -- slots --------------------------------------------------------------------------------------


def ufs_phone(bench: Bench) -> dict[int, Gpt]:
    """Give the phone the tables of an A/B phone with UFS; return them by LUN."""
    luns = bench.flash.luns
    rows = {
        0: [part(1, "system_a", 100, 199), part(2, "system_b", 200, 299)],
        1: [part(1, "xbl_a", 10, 99)],
        2: [part(1, "xbl_b", 10, 99)],
        4: [
            part(1, "boot_a", BOOT_AT, 119, 0x77),
            part(2, "boot_b", 120, 139, 0x71),
            part(3, "persist", 140, 150),
        ],
    }
    found = {lun: made(luns[lun], parts) for lun, parts in rows.items()}
    for lun, table in found.items():
        put(luns[lun], table)
    for lun, at in ((1, 10), (2, 10), (4, BOOT_AT), (4, 120)):
        luns[lun].write(at, b"a program".ljust(4096, b"."))
    return found


def switch(bench: Bench, slot: Slot, **keywords: bool) -> Plan:
    bench.hang_up()
    storage = bench.storage(Wishes(hints=(bench.flash.kind,)))
    plan = slot_plan(storage, slot, phone_slots(storage), **keywords)
    carry_out(bench, plan, storage)
    return plan


def emmc_phone(bench: Bench) -> Gpt:
    lun = bench.flash.luns[0]
    put(lun, made(lun))
    for at in (BOOT_AT, 120):
        lun.write(at, b"a kernel".ljust(512, b"."))
    return made(lun)


def test_the_slot_of_an_emmc_phone() -> None:
    with plug(EMMC) as bench:
        table = emmc_phone(bench)
        plan = switch(bench, "b")
        assert labels(plan) == [(0, tables.BACKUP), (0, tables.PRIMARY)]
        assert (plan.bootable, bench.flash.bootable, plan.findings) == (None, None, ())
        for copy in copies(bench.flash.luns[0]):
            assert problems(copy, bench.flash.luns[0].sectors) == ()
            assert copy.partitions == activate({0: table}, "b", ufs=False)[0].partitions
        assert switch(bench, "b").steps == ()


def test_the_slot_of_a_ufs_phone_is_on_all_luns() -> None:
    with plug(UFS) as bench:
        before = ufs_phone(bench)
        plan = switch(bench, "b")
        assert labels(plan) == [
            (0, tables.BACKUP), (0, tables.PRIMARY), (4, tables.BACKUP), (4, tables.PRIMARY),
        ]  # fmt: skip
        assert bench.flash.bootable == 2
        after = activate(before, "b", ufs=True)
        for lun in (0, 1, 2, 4):
            for copy in copies(bench.flash.luns[lun]):
                assert copy.partitions == after[lun].partitions
        switch(bench, "a")
        assert bench.flash.bootable == 1
        found = [(4, p) for p in copies(bench.flash.luns[4])[0].partitions]
        assert active_of(found) == "a"


def test_a_boot_lun_without_its_boot_loader_is_left() -> None:
    with plug(UFS) as bench:
        ufs_phone(bench)
        put(bench.flash.luns[2], made(bench.flash.luns[2], []))
        plan = switch(bench, "b")
        assert (plan.bootable, bench.flash.bootable) == (None, None)
        (finding,) = plan.findings
        assert (finding.code, finding.remedy[-18:]) == ("boot-lun-left", "edl set-bootable 2")


def test_an_empty_slot_is_not_started() -> None:
    with plug(EMMC) as bench:
        emmc_phone(bench)
        bench.flash.luns[0].write(120, b"\xff" * 512 * 20)
        with pytest.raises(SafetyError, match="'boot_b' is empty: with slot b active"):
            switch(bench, "b")
        assert switch(bench, "b", empty=True).errors == ()


def test_a_slot_that_cannot_be_read_is_not_called_empty() -> None:
    with plug(spec(EMMC, broken=Faults(unreadable=(Extent(0, 120, 20),)))) as bench:
        emmc_phone(bench)
        assert switch(bench, "b").errors == ()


def test_luns_that_cannot_be_read_are_told() -> None:
    with plug(spec(UFS, broken=Faults(unreadable=(Extent(3, 0, 2048),)))) as bench:
        ufs_phone(bench)
        (finding,) = switch(bench, "b").findings
        assert finding.code == "lun-unreadable"
        assert finding.message.startswith("LUN 3 cannot be read: ")


def test_phones_without_slots() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        storage = bench.storage()
        with pytest.raises(UsageError, match="no readable partition table"):
            phone_slots(storage)
        put(lun, made(lun, [part(1, "boot", 100, 110)]))
        with pytest.raises(UsageError, match="This phone has no slots"):
            phone_slots(Storage(storage.phone))


def test_damaged_tables_are_mended_before_a_slot_is_chosen() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        emmc_phone(bench)
        put(lun, made(lun, layout(lun.sectors, persist=61)), primary=False)
        with pytest.raises(SafetyError, match="LUN 0 are damaged or contradict") as told:
            switch(bench, "b")
        assert told.value.remedies == ("Mend them first: edl gpt repair --lun 0",)
        for at in (2, lun.sectors - 33):
            lun.write(at, lun.read(at, 1)[:-1] + b"!")
        with pytest.raises(SafetyError, match="are damaged"):
            switch(bench, "b")


def test_an_entry_without_size_is_not_looked_into() -> None:
    with plug(EMMC) as bench:
        lun = bench.flash.luns[0]
        rows = [part(1, "boot_a", 100, 99), part(2, "boot_b", 120, 119), part(3, "data", 200, 300)]
        put(lun, made(lun, rows))
        assert switch(bench, "b").errors == ()


def test_a_table_that_does_not_fit_is_told() -> None:
    huge = create(512, 2**40, DISK, [part(1, "x", 2**39, 2**39)])
    with plug(EMMC) as bench, pytest.raises(DocumentError, match="'x' needs sectors"):
        repair(bench.storage(), {0: huge})


# -- interruption -------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [1, 2, 3, 5, 7, 8])
def test_an_interrupted_change_leaves_a_sound_table_and_goes_on(moment: int) -> None:
    with plug(UFS) as bench:
        before = ufs_phone(bench)
        storage = bench.storage(Wishes(hints=("ufs",)))
        plan = slot_plan(storage, "b", phone_slots(storage))
        plan, found = job.prepare(plan, storage, Rules())
        left = [moment]

        def unplug() -> None:
            left[0] -= bench.transports[-1].commands[-1:] == ["program"]
            if left[0] < 0:
                raise KeyboardInterrupt

        bench.transports[-1].before_write = unplug
        with pytest.raises((EdlError, KeyboardInterrupt)):
            job.carry_out(plan, storage.phone, found, Rules())
        bench.enter_edl()
        for lun in before:
            assert any(map(sound, copies(bench.flash.luns[lun])))
        switch(bench, "b")
        assert bench.flash.bootable == 2
        after = activate(before, "b", ufs=True)
        for lun in before:
            for copy in copies(bench.flash.luns[lun]):
                assert problems(copy, bench.flash.luns[lun].sectors) == ()
                assert copy.partitions == after[lun].partitions
