# SPDX-License-Identifier: BSD-3-Clause
"""Dumps, written back to the phone that they are of, and to others."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edl.backup.folder import open_backup
from edl.device.phone import Wishes
from edl.device.storage import Storage
from edl.errors import (
    CancelledError,
    EdlError,
    ImageError,
    SafetyError,
    StoppedMidwayError,
    TransportError,
    UsageError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.events import Event, StepStarted
from edl.formats.gpt import Partition
from edl.formats.manifest import Kind, Owner
from edl.home import home
from edl.images.disk import open_image
from edl.plan import dump as dumps_module
from edl.plan import foreign, job, own, restore
from edl.plan.dump import Dump, of_backup, of_image
from edl.plan.foreign import Whose
from edl.plan.job import Outcome, Rules
from edl.plan.model import Plan, Severity
from edl.plan.restore import Restoration, Wish
from edl.plan.unchanged import Unchanged
from edl.virtual import storage as flash
from edl.virtual.bootcheck import boot_check
from edl.virtual.profiles import PhoneSpec
from edl.virtual.storage import EmmcProduct, Extent
from tests import dumps, phones
from tests.dumps import COMMON, LAYOUT, UNIQUE, bytes_of, held, live, whole

ALICE, BOB = 0x1111AAAA, 0x2222BBBB
SECTORS = 2560  # 1.25 MiB of eMMC
WHOLE = Wish()
FOREIGN = Wish(from_other=True)
UFS = {0: 256, 1: 64, 2: 64, 3: 64, 4: 128, 5: 64}
UFS_LAYOUTS: dict[int, dict[str, int]] = {
    0: {"persist": 64, "misc": 16, "system_a": 128, "system_b": 128, "userdata": 0},
    1: {"xbl_a": 64, "last_a": 0},
    2: {"xbl_b": 64, "last_b": 0},
    3: {"cdt": 32, "ddr": 0},
    4: {"abl_a": 64, "abl_b": 64, "boot_a": 64, "boot_b": 64, "devinfo": 32, "grow": 0},
    5: {"modemst1": 32, "modemst2": 32, "fsg": 32, "fsc": 0},
}


def emmc(serial: int, sectors: int = SECTORS, profile: str = "qcm2290", **more: Any) -> PhoneSpec:  # noqa: ANN401
    return phones.spec(f"{profile},serial={serial:#x}", sectors={0: sectors}, **more)


@contextlib.contextmanager
def ufs_phone(serial: int) -> Iterator[phones.Bench]:
    """Plug in a UFS phone that has lived."""
    with phones.plug(phones.spec(f"qcm2290-ufs,serial={serial:#x}", sectors=UFS)) as bench:
        for lun, layout in UFS_LAYOUTS.items():
            live(bench.flash, f"{serial:x}", lun=lun, layout=layout, used_bytes=4096)
        yield bench


def owner(serial: int) -> Owner:
    return Owner(f"{serial:08x}")


def read(folder: Path) -> Dump:
    backup = open_backup(folder)
    files = sorted({folder / str(extent.file) for _, extent in backup.extents()})
    return of_backup(backup.manifest, backup.content, folder.name, files)


def bare(path: Path, lun: int = 0) -> Dump:
    with open_image(path) as image:
        return of_image(image.luns[0], path.name, path, lun)


def planned(storage: Storage, dump: Dump, wish: Wish = WHOLE) -> tuple[Restoration, Plan]:
    """Return what restoring dump comes to, and its plan as it would be carried out."""
    restoration = restore.build(dump, storage, wish)
    plan, _ = job.prepare(restoration.plan, storage, Rules(overwrite=restoration.overwrite))
    return restoration, restore.told(plan, own=restoration.own)


def put_back(
    bench: phones.Bench,
    dump: Dump,
    wish: Wish = WHOLE,
    *,
    resume: bool = False,
    cancel: threading.Event | None = None,
) -> Outcome:
    """Do what `edl restore` does."""
    storage = bench.storage(Wishes(hints=(bench.flash.kind,)))
    restoration = restore.build(dump, storage, wish)
    dumps_module.check(restoration.parts, dump.storage.block_bytes)
    rules = Rules(restoration.overwrite, resume=resume, unchanged=Unchanged.SKIP)
    return phones.carry_out(
        bench, restoration.plan, storage, rules, cancel=cancel, sources=dump.files
    )


def codes(plan: Plan) -> set[str]:
    return {finding.code for finding in plan.findings}


def errors(plan: Plan) -> str:
    return " ".join(finding.message for finding in plan.errors)


@pytest.fixture(scope="module")
def alices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a backup of Alice's phone, with newer firmware, and its dd image."""
    folder = tmp_path_factory.mktemp("alice")
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice", firmware="v2")
        dumps.backup(bench.flash, folder / "backup", owner(ALICE))
        dumps.image(bench.flash, folder / "image")
    return folder


# -- the founding stories -----------------------------------------------------------------------


@pytest.mark.parametrize("profile", phones.ALL[:4])
def test_another_phones_dump_leaves_what_belongs_to_the_phone(profile: str, alices: Path) -> None:
    with phones.plug(emmc(BOB, profile=profile)) as bench:
        live(bench.flash, "bob")
        before = {name: held(bench.flash, name) for name in dumps.KEPT}
        table = bench.flash.luns[0].read(0, 34)
        outcome = put_back(bench, read(alices / "backup"), FOREIGN)
        assert {name: held(bench.flash, name) for name in dumps.KEPT} == before
        for name in COMMON:
            assert held(bench.flash, name) == bytes_of("v2", name, LAYOUT[name] * 1024)
        assert bench.flash.luns[0].read(0, 34) == table
        assert boot_check(bench.flash).boots
        assert set(outcome.plan.kept) == set(dumps.KEPT)


@pytest.mark.parametrize("source", ["backup", "image"])
def test_another_phones_dump_is_refused_until_the_user_says_that_it_is_one(
    source: str, alices: Path
) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        dump = read(alices / source) if source == "backup" else bare(alices / source)
        storage = bench.storage()
        with pytest.raises(SafetyError, match=r"destroy this phone's IMEI") as caught:
            restore.build(dump, storage, Wish())
        assert "--from-other-device" in caught.value.remedies[0]
        assert "leave alone DDR, modemst1" in caught.value.remedies[0]
        with pytest.raises(SafetyError, match="Nothing was written") as caught:
            restore.build(dump, storage, Wish(names=("boot",)))
        assert "It would write 1 part" in caught.value.remedies[0]
        assert not bench.changes


def test_an_image_that_nobody_owns_is_taken_for_another_phones(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        before = {name: held(bench.flash, name) for name in dumps.KEPT}
        put_back(bench, bare(alices / "image"), FOREIGN)
        assert {name: held(bench.flash, name) for name in dumps.KEPT} == before
        assert held(bench.flash, "system") == bytes_of("v2", "system", 128 * 1024)


@pytest.mark.parametrize("profile", phones.ALL[:4])
def test_an_old_backup_saves_its_own_phone(profile: str, alices: Path) -> None:
    with phones.plug(emmc(ALICE, profile=profile)) as bench:
        live(bench.flash, "alice", firmware="v2")
        wanted = whole(bench.flash)
        bench.flash.luns[0].write(0, bytes_of("an accident", "disk", SECTORS * 512))
        put_back(bench, read(alices / "backup"))
        assert whole(bench.flash) == wanted
        bench.enter_edl()
        again = put_back(bench, read(alices / "backup"))
        assert whole(bench.flash) == wanted
        if profile == "qcm2290":
            assert again.report.written_bytes == 0


def test_what_the_phone_has_now_is_saved_before_its_backup_is_written(alices: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "somebody else")
        outcome = put_back(bench, read(alices / "backup"))
        assert held(bench.flash, "persist") == bytes_of("alice", "persist", 64 * 1024)
        assert outcome.saved is not None
        saved = outcome.saved.folder / "lun0-persist.bin"
        assert saved.read_bytes() == bytes_of("somebody else", "persist", 64 * 1024)


def test_an_own_restore_is_told_in_one_finding(alices: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "somebody else")
        restoration, plan = planned(bench.storage(), read(alices / "backup"))
        assert restoration.own
        assert codes(plan) == {"unique-restored"}
        assert not plan.kept


# -- whose it is --------------------------------------------------------------------------------


def test_an_image_with_the_phones_own_radio_store_is_its_own(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "alice", firmware="v1")
        verdict = foreign.judge(bare(alices / "image"), bench.storage())
        assert verdict.whose is Whose.THIS
        assert "modemst1" in verdict.reason


def test_an_image_with_what_was_saved_of_the_phone_is_its_own(alices: Path, tmp_path: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        put_back(bench, read(alices / "backup"), replace(FOREIGN, names=("boot",)))
        image = bare(dumps.image(bench.flash, tmp_path / "image"))
        bench.enter_edl()
        bench.flash.luns[0].erase(0, SECTORS)
        verdict = foreign.judge(image, bench.storage())
        assert verdict.whose is Whose.THIS
        assert "saved" in verdict.reason
        live(bench.flash, "a dump that was written whole")
        bench.enter_edl()
        assert foreign.judge(image, bench.storage()).whose is Whose.UNKNOWN


def test_a_dump_that_has_destroyed_the_phone_once_does_not_become_its_own(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        table = live(bench.flash, "alice", firmware="v2")  # dd, phone to phone
        place = table.find("fsg")
        assert place is not None
        bench.flash.luns[0].write(place.first_sector, bytes_of("bob", "fsg", 32768))
        verdict = foreign.judge(bare(alices / "image"), bench.storage())
        assert verdict.whose is Whose.UNKNOWN
        bench.flash.luns[0].erase(place.first_sector, place.sectors)
        bench.enter_edl()
        assert foreign.judge(bare(alices / "image"), bench.storage()).whose is Whose.THIS


def test_records_of_what_was_saved_may_be_damaged(alices: Path) -> None:
    folder = home() / "phones" / f"{BOB:08x}" / "saved-1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"files": {"lun0-persist.bin": 5}}')
    (folder.parent / "saved-2").mkdir()
    (folder.parent / "saved-2" / "manifest.json").write_text("[" * 100_000)
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        verdict = foreign.judge(bare(alices / "image"), bench.storage())
        assert verdict.whose is Whose.UNKNOWN


def test_equal_guids_and_empty_partitions_prove_nothing(tmp_path: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        table = live(bench.flash, "bob")
        for name in ("modemst1", "modemst2", "persist"):
            place = table.find(name)
            assert place is not None
            bench.flash.luns[0].erase(place.first_sector, place.sectors)
        image = bare(dumps.image(bench.flash, tmp_path / "image"))
        assert foreign.judge(image, bench.storage()).whose is Whose.UNKNOWN


def test_a_phone_with_other_partitions_gives_no_evidence(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "alice", layout={"modemst1": 128, "system": 0})
        assert foreign.judge(bare(alices / "image"), bench.storage()).whose is Whose.UNKNOWN
        bench.flash.faults = replace(bench.flash.faults, unreadable=(Extent(0, 0, SECTORS),))
        bench.enter_edl()
        assert foreign.judge(bare(alices / "image"), bench.storage()).whose is Whose.UNKNOWN


@pytest.mark.parametrize(
    ("serial", "maker", "whose"),
    [
        (0xDEADBEEF, 0x15, Whose.THIS),
        (0xDEADBEEF, 0x11, Whose.OTHER),
        (0xDEADBEE0, 0x15, Whose.OTHER),
        (0, 0x15, Whose.UNKNOWN),
        (None, 0x15, Whose.UNKNOWN),
    ],
)
def test_an_emmc_has_a_serial_number_too(
    serial: int | None, maker: int, whose: Whose, alices: Path
) -> None:
    dump = read(alices / "backup")
    record = replace(dump.storage, serial=serial, manufacturer_id=maker)
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        assert isinstance(bench.flash.product, EmmcProduct)
        silent = replace(dump, owner=Owner("00000000"), storage=record)
        assert foreign.judge(silent, bench.storage()).whose is whose


def test_a_phone_that_does_not_tell_its_number_is_not_taken_for_the_one(alices: Path) -> None:
    with phones.plug(emmc(0, profile="msm8953")) as bench:
        live(bench.flash, "bob")
        verdict = foreign.judge(read(alices / "backup"), bench.storage())
        assert verdict.whose is Whose.UNKNOWN
        assert "this phone does not tell" in verdict.reason


def test_what_a_ufs_calls_its_serial_number_is_none(tmp_path: Path) -> None:
    with ufs_phone(BOB) as bench:
        folder = dumps.backup(bench.flash, tmp_path / "backup")
        record = replace(read(folder).storage, serial=0x434F5250, manufacturer_id=0x1CE)
        bench.flash.luns[5].erase(0, UFS[5])
        bench.flash.luns[0].erase(0, UFS[0])
        dump = replace(read(folder), storage=record)
        assert foreign.judge(dump, bench.storage()).whose is Whose.UNKNOWN


# -- disks of other sizes -----------------------------------------------------------------------


def test_a_larger_storage_and_back_again(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as small, phones.plug(emmc(ALICE, 3 * SECTORS)) as large:
        live(small.flash, "alice")
        first = dumps.backup(small.flash, tmp_path / "small", owner(ALICE))
        outcome = put_back(large, read(first))
        assert "'userdata' grows to " in str(outcome.plan.findings)
        assert boot_check(large.flash).boots
        for name in LAYOUT:
            assert held(large.flash, name).startswith(held(small.flash, name).rstrip(b"\0"))
        added = len(held(large.flash, "userdata")) - len(held(small.flash, "userdata"))
        assert added == 2 * SECTORS * 512
        gap = small.flash.luns[0].read(34, 6)
        assert large.flash.luns[0].read(34, 6) == gap
        second = dumps.backup(large.flash, tmp_path / "large", owner(ALICE))
        before = whole(small.flash)
        small.flash.luns[0].erase(0, SECTORS)
        outcome = put_back(small, read(second))
        assert "shrinks" in str(outcome.plan.findings)
        assert boot_check(small.flash).boots
        assert whole(small.flash) == before


def test_data_that_does_not_fit_is_not_cut_off(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as small, phones.plug(emmc(ALICE, 2 * SECTORS)) as large:
        live(large.flash, "alice", used_bytes=1 << 20)
        live(small.flash, "alice", firmware="old")
        dump = read(dumps.backup(large.flash, tmp_path / "large", owner(ALICE)))
        storage = small.storage()
        _, plan = planned(storage, dump)
        assert codes(plan) >= {"does-not-fit"}
        assert "'userdata', needs 2048 sectors" in errors(plan)
        _, plan = planned(storage, dump, Wish(names=("userdata",)))
        assert "'userdata' holds 1 MiB, the phone has" in errors(plan)
        small.enter_edl()
        outcome = put_back(small, dump, Wish(skip=("userdata",)))
        assert boot_check(small.flash).boots
        assert held(small.flash, "userdata").startswith(bytes_of("alice", "userdata", 32768))
        assert ("userdata", "--skip") in outcome.plan.left_out


def test_a_partition_that_is_left_out_may_shrink_below_its_data(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as small, phones.plug(emmc(ALICE, 2 * SECTORS)) as large:
        live(large.flash, "alice", used_bytes=1 << 20)
        dump = read(dumps.backup(large.flash, tmp_path / "large", owner(ALICE)))
        outcome = put_back(small, dump, Wish(skip=("userdata",)))
        assert "'userdata' shrinks to " in str(outcome.plan.findings)
        assert boot_check(small.flash).boots
        assert held(small.flash, "userdata").strip(b"\0") == b""


def test_another_phone_keeps_its_table_whatever_the_sizes(alices: Path) -> None:
    with phones.plug(emmc(BOB, 2 * SECTORS)) as bench:
        live(bench.flash, "bob")
        table = bench.flash.luns[0].read(0, 34)
        outcome = put_back(bench, read(alices / "backup"), FOREIGN)
        assert bench.flash.luns[0].read(0, 34) == table
        assert not codes(outcome.plan) & {"other-size", "foreign-table"}
        assert boot_check(bench.flash).boots


# -- a phone without a table --------------------------------------------------------------------


def test_another_phone_without_a_table_gets_the_dumps(alices: Path) -> None:
    with phones.plug(emmc(BOB, 2 * SECTORS)) as bench:
        live(bench.flash, "bob")
        places = {name: held(bench.flash, name) for name in UNIQUE}
        bench.flash.luns[0].erase(0, 34)
        bench.flash.luns[0].erase(2 * SECTORS - 33, 33)
        outcome = put_back(bench, read(alices / "backup"), FOREIGN)
        assert codes(outcome.plan) >= {"foreign-table", "other-size"}
        assert {name: held(bench.flash, name) for name in UNIQUE} == places
        assert boot_check(bench.flash).boots


def test_a_damaged_table_that_has_unique_partitions_elsewhere_stops_it(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob", layout={"sbl1": 64, "persist": 128, "userdata": 0})
        lun = bench.flash.luns[0]
        for sector in (1, SECTORS - 1):
            header = bytearray(lun.read(sector, 1))
            header[16] ^= 1
            lun.write(sector, header)
        _, plan = planned(bench.storage(), read(alices / "backup"), FOREIGN)
        assert "persist at other places" in errors(plan)


def test_without_any_table_nobody_knows_what_is_where(tmp_path: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE), tables=False)
        bench.flash.luns[0].erase(0, SECTORS)
        storage = bench.storage()
        _, plan = planned(storage, read(folder), FOREIGN)
        assert "Neither the phone nor the dump" in errors(plan)
        _, plan = planned(storage, read(folder), replace(FOREIGN, names=("boot",)))
        assert "no whole partition table to find it by" in errors(plan)


def test_a_lun_without_partitions_is_the_phones_own(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        bench.flash.luns[1].write(0, bytes_of("alice", "boot0", 4096))
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE), luns=(0, 1))
        wanted = whole(bench.flash, 1)
        _, plan = planned(bench.storage(), read(folder))
        assert ("raw", "already on the phone as it is in the backup") in plan.left_out
        bench.flash.faults = replace(bench.flash.faults, unreadable=(Extent(1, 5),))
        bench.enter_edl()
        _, plan = planned(bench.storage(), read(folder))
        assert "raw" in {step.label for step in plan.steps}
        bench.flash.faults = flash.Faults()
        bench.flash.luns[1].erase(0, 64)
        bench.enter_edl()
        put_back(bench, read(folder))
        assert whole(bench.flash, 1) == wanted
        without = dumps.backup(
            bench.flash, tmp_path / "without", owner(ALICE), luns=(0, 1), skip=["raw"]
        )
        bench.enter_edl()
        _, plan = planned(bench.storage(), read(without))
        assert ("raw", "nobody asked for it when the backup was made") in plan.left_out
        bench.flash.luns[1].erase(0, 64)
        bench.enter_edl()
        outcome = put_back(bench, read(folder), FOREIGN)
        assert not any(whole(bench.flash, 1))
        assert ("LUN 1 (raw)", "it has no partitions to tell apart") in outcome.plan.left_out
        lun = read(folder).luns[1]
        cut = replace(read(folder), luns=(replace(lun, sectors=lun.sectors - 8),))
        bench.enter_edl()
        _, plan = planned(bench.storage(), cut)
        assert codes(plan) == {"no-table"}


def test_a_dump_with_one_good_copy_of_its_table(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        wanted = whole(bench.flash)
        image = dumps.image(bench.flash, tmp_path / "image")
        data = bytearray(image.read_bytes())
        data[0:1536] = bytes(1536)
        image.write_bytes(data)
        put_back(bench, bare(image))
        assert whole(bench.flash)[512:] == wanted[512:]
        assert boot_check(bench.flash).boots


def test_an_image_that_was_cut_off(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        wanted = whole(bench.flash)
        image = dumps.image(bench.flash, tmp_path / "image")
        image.write_bytes(image.read_bytes()[: 1 << 20])
        bench.flash.luns[0].erase(40, 512)
        outcome = put_back(bench, bare(image))
        assert whole(bench.flash) == wanted
        assert ("userdata", "the image ends before it") in outcome.plan.left_out
        bench.flash.luns[0].erase(0, 34)  # the backup's place must not stay without one
        bench.flash.luns[0].erase(SECTORS - 33, 33)
        bench.enter_edl()
        put_back(bench, bare(image))  # known by what the first run has saved
        assert whole(bench.flash)[: 1 << 20] == wanted[: 1 << 20]
        assert boot_check(bench.flash).boots


def test_what_is_no_image_of_a_storage(tmp_path: Path) -> None:
    (tmp_path / "boot.img").write_bytes(bytes_of("v1", "boot", 65536))
    with pytest.raises(ImageError, match="no whole partition table"):
        bare(tmp_path / "boot.img")


# -- UFS ----------------------------------------------------------------------------------------


def test_a_ufs_phone_with_six_luns(tmp_path: Path) -> None:
    with ufs_phone(ALICE) as bench:
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE))
        wanted = {lun: whole(bench.flash, lun) for lun in UFS}
        for lun, sectors in UFS.items():
            bench.flash.luns[lun].write(0, bytes_of("an accident", str(lun), 4096 * sectors))
        put_back(bench, read(folder))
        assert {lun: whole(bench.flash, lun) for lun in UFS} == wanted
    with ufs_phone(BOB) as bench:
        before = {lun: whole(bench.flash, lun) for lun in (1, 2, 3, 5)}
        outcome = put_back(bench, read(folder), FOREIGN)
        assert whole(bench.flash, 5) == before[5]
        assert whole(bench.flash, 3) == before[3]
        assert "modemst1" in outcome.plan.kept
        assert held(bench.flash, "persist") == bytes_of(f"{BOB:x}", "persist", 65536)


@pytest.mark.parametrize(("slot", "lun"), [("a", 1), ("b", 2)])
def test_a_ufs_phone_boots_from_the_lun_of_its_active_slot(
    slot: str, lun: int, tmp_path: Path
) -> None:
    with phones.plug(phones.spec(f"qcm2290-ufs,serial={ALICE:#x}", sectors=UFS)) as bench:
        for number, layout in UFS_LAYOUTS.items():
            live(bench.flash, "alice", lun=number, layout=layout, used_bytes=4096, active=slot)
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE))
        put_back(bench, read(folder))
        assert bench.flash.bootable == lun


def test_one_lun_of_several(tmp_path: Path) -> None:
    with ufs_phone(ALICE) as bench:
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE))
        image = dumps.image(bench.flash, tmp_path / "image", 4)
        storage = bench.storage()
        _, plan = planned(storage, read(folder), Wish(luns=frozenset({4})))
        assert {step.area.lun for step in plan.steps} == {4}
        with pytest.raises(UsageError, match="no LUN 7"):
            restore.build(read(folder), storage, Wish(luns=frozenset({7})))
        _, plan = planned(storage, bare(image, 4), FOREIGN)
        assert {step.label for step in plan.steps} == {"abl_a", "abl_b", "boot_a", "boot_b", "grow"}
        _, plan = planned(storage, bare(image, 7), FOREIGN)
        assert codes(plan) == {"no-such-lun"}
        _, plan = planned(storage, bare(image, 7), replace(FOREIGN, names=("boot_a",)))
        assert "no whole partition table to find it by" in errors(plan)


# -- other models -------------------------------------------------------------------------------


def test_another_model_is_refused(alices: Path) -> None:
    dump = read(alices / "backup")
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        storage = bench.storage()
        identity = storage.phone.identity

        def wrong(**changes: Any) -> Dump:  # noqa: ANN401
            return replace(dump, owner=replace(dump.owner, **changes))

        assert identity.hwid is not None
        assert identity.pk_hash is not None
        with pytest.raises(SafetyError, match=r"another chip \(MSM8916, MSM_ID 0x007050e1\)"):
            restore.build(wrong(hwid=0x007050E100000000), storage, FOREIGN)
        with pytest.raises(SafetyError, match=r"another chip .unknown"):
            restore.build(wrong(hwid=0x0FFFF0E100000000), storage, FOREIGN)
        with pytest.raises(SafetyError, match="another maker's key"):
            restore.build(wrong(pk_hash=b"\1" * 48), storage, FOREIGN)
        same = wrong(hwid=identity.hwid ^ 0x3000000000000000, pk_hash=bytes(48))
        assert restore.build(same, storage, Wish()).own
        assert restore.build(wrong(pk_hash=b"\1" * 32), storage, Wish()).own
        record = replace(dump.storage, type="ufs")
        with pytest.raises(WrongStorageError, match="of a phone with ufs"):
            restore.build(replace(dump, storage=record), storage, Wish())
        record = replace(dump.storage, sector_bytes=4096)
        with pytest.raises(WrongSectorSizeError, match="sectors of 4096 bytes") as caught:
            restore.build(replace(dump, storage=record), storage, Wish())
        assert "edl image info" in caught.value.remedies[0]
        assert not bench.changes


# -- backups that lie, or are damaged -----------------------------------------------------------


def test_a_manifest_that_contradicts_its_table(alices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    text = (alices / "backup" / "manifest.json").read_text()
    lying = text.replace('"name": "modemst1"', '"name": "cache2"')
    assert lying != text
    (folder / "manifest.json").write_text(lying)
    (folder / "lun0.img").write_bytes((alices / "backup" / "lun0.img").read_bytes())
    with pytest.raises(ImageError, match="contradict each other"):
        read(folder)


def test_classes_are_decided_here_not_by_the_manifest(alices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    data = json.loads((alices / "backup" / "manifest.json").read_text())
    for extent in data["luns"][0]["extents"]:
        extent["class"] = "safe"
    (folder / "manifest.json").write_text(json.dumps(data))
    (folder / "lun0.img").write_bytes((alices / "backup" / "lun0.img").read_bytes())
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        restoration, _ = planned(bench.storage(), read(folder), FOREIGN)
        assert set(restoration.plan.kept) == set(dumps.KEPT)


def test_a_file_that_was_changed_is_not_written(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        place = live(bench.flash, "alice").find("recovery")
        assert place is not None
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE))
        dump = read(folder)
        with (folder / "lun0.img").open("r+b") as file:
            file.seek(place.first_sector * 512 + 100)
            file.write(b"x")
        with pytest.raises(ImageError, match="'recovery' in the backup is not what was saved"):
            put_back(bench, dump)
        bench.enter_edl()
        with pytest.raises(ImageError, match="has changed since"):  # what the check has not seen
            put_back(bench, dump, Wish(names=("boot",)))
        assert not bench.changes


def test_a_check_can_be_stopped(alices: Path) -> None:
    dump = read(alices / "backup")
    stop = threading.Event()
    seen: list[Event] = []

    def emit(event: Event) -> None:
        seen.append(event)
        if isinstance(event, StepStarted):
            stop.set()

    with pytest.raises(CancelledError):
        dumps_module.check(dump.parts(), dump.storage.block_bytes, emit, stop)
    assert dumps_module.check((), 512) == 0


def test_a_backup_that_was_never_finished(alices: Path) -> None:
    dump = replace(read(alices / "backup"), complete=False)
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        storage = bench.storage()
        with pytest.raises(SafetyError, match="never finished"):
            restore.build(dump, storage, Wish())
        _, plan = planned(storage, dump, Wish(names=("boot",)))
        assert [step.label for step in plan.steps] == ["boot"]


def test_sectors_that_are_not_known_stay_as_they_are(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        table = live(bench.flash, "alice")
        wanted = whole(bench.flash)
        folder = dumps.backup(
            bench.flash,
            tmp_path / "backup",
            owner(ALICE),
            bad={"system": (10, 4), "boot": (0, 2), "tz": (56, 8)},
        )
        outcome = put_back(bench, read(folder))
        assert whole(bench.flash) == wanted
        system = table.find("system")
        assert isinstance(system, Partition)
        bad = [f.message for f in outcome.plan.findings if f.code == "not-in-dump"]
        first = system.first_sector + 10
        assert any("4 sectors of 'system' could not" in text and str(first) in text for text in bad)
        assert len(bad) == 3
        bench.flash.luns[0].erase(system.first_sector, system.sectors)
        bench.enter_edl()
        put_back(bench, read(folder), Wish(names=("system",)))
        blank = held(bench.flash, "system")[10 * 512 : 14 * 512]
        assert not any(blank)


def test_a_backup_without_user_data(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        folder = dumps.backup(bench.flash, tmp_path / "b", owner(ALICE), skip=["userdata"])
        reason = "nobody asked for it when the backup was made"
        live(bench.flash, "alice", firmware="other", used_bytes=9216)
        later = held(bench.flash, "userdata")
        outcome = put_back(bench, read(folder))
        assert ("userdata", reason) in outcome.plan.left_out
        assert held(bench.flash, "userdata") == later
        assert held(bench.flash, "system") == bytes_of("v1", "system", 128 * 1024)
        bench.enter_edl()
        _, plan = planned(bench.storage(), read(folder), Wish(names=("userdata",)))
        assert f"'userdata' is not in the dump: {reason}" in errors(plan)


def test_a_partial_backup_does_not_tear_a_new_layout_apart(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "alice")
        folder = dumps.backup(bench.flash, tmp_path / "b", owner(ALICE), skip=["userdata"])
        layout = {name: LAYOUT[name] for name in reversed(LAYOUT) if LAYOUT[name]} | {"userdata": 0}
        live(bench.flash, "alice", firmware="other", layout=layout)
        table = bench.flash.luns[0].read(0, 34)
        outcome = put_back(bench, read(folder))
        assert bench.flash.luns[0].read(0, 34) == table
        assert held(bench.flash, "system") == bytes_of("v1", "system", 128 * 1024)
        assert "the partition table of LUN 0" in str(outcome.plan.left_out)
        assert boot_check(bench.flash).boots


# -- layouts that differ ------------------------------------------------------------------------


def test_a_phone_of_another_layout_is_not_written_in_part(alices: Path) -> None:
    layout = {name: size for name, size in LAYOUT.items() if name != "boot"} | {"system": 64}
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob", layout=layout)
        storage = bench.storage()
        _, plan = planned(storage, read(alices / "backup"), FOREIGN)
        assert "the phone has no partition 'boot'" in errors(plan)
        assert "'system' holds 128 KiB, the phone has 64 KiB" in errors(plan)
        skip = replace(FOREIGN, skip=("boot", "sys*"))
        _, plan = planned(storage, read(alices / "backup"), skip)
        assert not plan.errors
        assert ("boot, system", "--skip") in plan.left_out
        named = replace(FOREIGN, names=("boot",))
        _, plan = planned(storage, read(alices / "backup"), named)
        assert "LUN 0 of the phone has no partition 'boot'" in errors(plan)


def test_many_differences_are_counted(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob", layout={"sbl1": 64, "userdata": 0})
        _, plan = planned(bench.storage(), read(alices / "backup"), FOREIGN)
        assert "and 3 more" in errors(plan)


def test_names_that_a_phone_has_twice(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        table = live(bench.flash, "bob")
        place = table.find("cache")
        assert place is not None
        images = table.replace(replace(place, name="boot")).images()
        bench.flash.luns[0].write(0, images.primary)
        storage = bench.storage()
        _, plan = planned(storage, read(alices / "backup"), FOREIGN)
        assert "the phone has several partitions 'boot'" in errors(plan)
        _, plan = planned(storage, read(alices / "backup"), replace(FOREIGN, names=("boot",)))
        assert "has several partitions 'boot'" in errors(plan)


def test_zeros_at_the_end_need_no_room(tmp_path: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        table = live(bench.flash, "alice", firmware="v2")
        system = table.find("system")
        assert system is not None
        bench.flash.luns[0].erase(system.first_sector + 100, system.sectors - 100)
        folder = dumps.backup(bench.flash, tmp_path / "b", owner(ALICE))
        live(bench.flash, "bob", layout={**LAYOUT, "system": 64})
        put_back(bench, read(folder), replace(FOREIGN, names=("system",)))
        assert held(bench.flash, "system")[: 100 * 512] == bytes_of("v2", "system", 100 * 512)
        assert boot_check(bench.flash).boots


# -- single partitions --------------------------------------------------------------------------


def test_single_partitions(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        dump, storage = read(alices / "backup"), bench.storage()

        def labels(*names: str, **more: Any) -> list[str]:  # noqa: ANN401
            _, plan = planned(storage, dump, replace(FOREIGN, names=names, **more))
            assert not plan.errors
            return [step.label for step in plan.steps]

        assert labels("Boot", "0/system", "boot") == ["boot", "system"]
        assert labels("s*") == ["system", "sbl1bak", "sbl1"]
        assert labels("misc") == ["misc"]  # named, and not unique
        assert labels("odd_vendor") == ["odd_vendor"]
        assert labels("mod*") == ["modem"]
        assert labels("system", "boot", skip=("boot",)) == ["system"]
        assert labels("modemst1", insisted=frozenset({"modemst1"})) == ["modemst1"]
        with pytest.raises(UsageError, match="no partition 'nothing'"):
            planned(storage, dump, replace(FOREIGN, names=("nothing",)))


def test_a_unique_partition_of_another_phone_needs_more_than_its_name(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        dump, storage = read(alices / "backup"), bench.storage()
        wish = replace(FOREIGN, names=("modemst1", "persist"))
        restoration, plan = planned(storage, dump, wish)
        assert restoration.asks == ("modemst1", "persist")
        assert codes(plan) == {"unique-covered"}
        wish = replace(wish, insisted=frozenset({"modem*", "persist"}))
        restoration, _ = planned(storage, dump, wish)
        assert restoration.asks == ("modemst1",)
        bench.enter_edl()
        insisted = frozenset({"modemst1", "persist"})
        outcome = put_back(bench, dump, replace(wish, insisted=insisted))
        assert held(bench.flash, "persist") == bytes_of("alice", "persist", 64 * 1024)
        assert {f.severity for f in outcome.plan.findings} == {Severity.WARNING}
        assert outcome.saved is not None


def test_another_phones_user_data_is_refused_by_name_too(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        wish = replace(FOREIGN, names=("userdata",), insisted=frozenset({"userdata"}))
        _, plan = planned(bench.storage(), read(alices / "backup"), wish)
        assert "could never read it" in errors(plan)


def test_user_data_of_an_image_that_may_be_the_phones_own_is_asked_for(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        storage, wish = bench.storage(), replace(FOREIGN, names=("userdata",))
        restoration, plan = planned(storage, bare(alices / "image"), wish)
        assert restoration.asks == ("userdata",)
        assert codes(plan) == {"unique-covered"}
        insisted = replace(wish, insisted=frozenset({"userdata"}))
        _, plan = planned(storage, bare(alices / "image"), insisted)
        assert [step.label for step in plan.steps] == ["userdata"]


def test_own_single_partitions(alices: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "somebody else")
        before = held(bench.flash, "fsg")
        put_back(bench, read(alices / "backup"), Wish(names=("modemst*", "userdata")))
        assert held(bench.flash, "modemst2") == bytes_of("alice", "modemst2", 32768)
        assert held(bench.flash, "userdata").startswith(bytes_of("alice", "userdata", 32768))
        assert held(bench.flash, "fsg") == before


# -- what exists only once ----------------------------------------------------------------------


def test_only_what_exists_only_once(alices: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        live(bench.flash, "somebody else", firmware="v9")
        wish = Wish(unique_only=True)
        put_back(bench, read(alices / "backup"), wish)
        for name in UNIQUE:
            assert held(bench.flash, name) == bytes_of("alice", name, LAYOUT[name] * 1024)
        assert held(bench.flash, "system") == bytes_of("v9", "system", 128 * 1024)
        assert held(bench.flash, "misc") == bytes_of("somebody else", "misc", 16 * 1024)
        bench.enter_edl()
        named = replace(wish, names=("fs?", "system"))
        _, plan = planned(bench.storage(), read(alices / "backup"), named)
        assert [step.label for step in plan.steps] == ["fsc", "fsg"]


def test_another_phones_unique_partitions_are_asked_for_one_by_one(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        wish = replace(FOREIGN, unique_only=True, insisted=frozenset({"persist"}))
        restoration, plan = planned(bench.storage(), read(alices / "backup"), wish)
        assert set(restoration.asks) == set(UNIQUE) - {"persist"}
        assert codes(plan) == {"unique-covered", "foreign-unique"}


def test_what_was_saved_before_a_write_can_be_put_back(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        boot = replace(FOREIGN, names=("boot",))
        saved = put_back(bench, read(alices / "backup"), boot).saved
        assert saved is not None
        assert own.is_saved(saved.folder)
        assert not own.is_saved(alices / "backup")
        live(bench.flash, "an accident")
        bench.enter_edl()
        dump = own.saved_dump(saved.folder)
        assert dump.owner.serial == f"{BOB:08x}"
        put_back(bench, dump, Wish(unique_only=True))
        for name in UNIQUE:
            assert held(bench.flash, name) == bytes_of("bob", name, LAYOUT[name] * 1024)
        bench.enter_edl()
        storage = bench.storage()
        found = own.versions([dump, own.saved_dump(saved.folder), read(alices / "backup")])
        assert [len(own.differing(version, storage)) for version in found] == [0, len(UNIQUE)]
        assert found[0].others == 1


def test_a_smaller_state_is_part_of_a_larger_one(alices: Path) -> None:
    dump = read(alices / "backup")
    [lun] = dump.luns
    some = [part for part in lun.parts if part.name in {"fsg", "persist"}]
    part_of_it = replace(dump, luns=(replace(lun, parts=tuple(some)),), made="2027")
    nothing = replace(dump, luns=())
    for order in ([dump, part_of_it, nothing], [part_of_it, dump], [nothing, part_of_it, dump]):
        [version] = own.versions(order)
        assert len(version.holds) == len(UNIQUE)
        assert version.others == 1


def _with(dump: Dump, number: int, *names: str) -> Dump:
    """Return what a job saved that changed LUN number only: of it no more than names."""
    [lun] = dump.luns
    parts = tuple(p if p.name in names else replace(p, content=None) for p in lun.parts)
    return replace(dump, luns=(replace(lun, lun=number, parts=parts),), title=str(number))


def test_saves_of_different_parts_are_one_state(alices: Path) -> None:
    dump = read(alices / "backup")
    radio, other = ("modemst1", "modemst2", "fsg", "fsc"), ("persist", "devinfo")
    saves = [_with(dump, 5, *radio), _with(dump, 0, "persist"), _with(dump, 0, "devinfo")]
    found = own.versions(saves)
    assert len(found) == 3
    one = own.merged(found)
    assert one is not None
    held = [(lun.lun, p.name) for lun in one.luns for p in lun.parts if p.content is not None]
    assert sorted(held) == [
        *((0, name) for name in sorted(other)),
        *((5, n) for n in sorted(radio)),
    ]
    assert len(one.files) == sum(len(each.files) for each in saves)


def test_saves_that_contradict_each_other_are_not(alices: Path) -> None:
    dump = read(alices / "backup")
    [lun] = dump.luns
    persist, radio = _with(dump, 0, "persist"), _with(dump, 5, "modemst1", "fsc")
    fsg = next(part for part in lun.parts if part.name == "fsg")
    swapped = tuple(
        replace(p, content=fsg.content) if p.name == "modemst1" else p for p in radio.luns[0].parts
    )
    moved = tuple(replace(p, start_sector=p.start_sector + 1) for p in lun.parts)
    contradictory = {
        "another state": replace(radio, luns=(replace(radio.luns[0], parts=swapped),)),
        "half of a store": _with(dump, 5, "modemst2"),
        "elsewhere": replace(_with(dump, 5), luns=(
            replace(_with(dump, 5, "persist").luns[0], parts=tuple(
                p if p.name == "devinfo" else replace(p, content=None) for p in moved)),)),
        "other blocks": replace(persist, storage=replace(persist.storage, block_bytes=512)),
    }  # fmt: skip
    for why, other in contradictory.items():
        found = own.versions([radio, other])
        assert len(found) == 2, why
        assert own.merged(found) is None, why


def _naming(name: str) -> str:
    """Return the record of a saved file of that name."""
    return json.dumps({
        "files": {name: {"sha256": "00"}}, "hwid": None, "pk_hash": None, "serial": "unknown",
        "sector_bytes": 512, "made": "", "memory": "",
    })  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"files": {"x": {"sha256": "zz"}}, "hwid": null}', '{"files": 1}',
     '{"files": {}, "hwid": null, "pk_hash": null, "serial": "x", "sector_bytes": 512}',
     '{"files": {}, "hwid": null, "pk_hash": null, "serial": "unknown", "sector_bytes": 7}',
     "[" * 100_000, *map(_naming, ("../secret", "/etc/passwd", "a\0b", "..", ""))],
)  # fmt: skip
def test_records_that_cannot_be_understood(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ImageError, match="cannot be understood"):
        own.saved_dump(tmp_path)
    assert not own.is_saved(tmp_path / "nowhere")


def test_saved_tables_that_are_damaged_or_gone(tmp_path: Path) -> None:
    record = {
        "files": {f"lun{lun}-gpt-primary.bin": {"sha256": "00"} for lun in (0, 1)},
        "hwid": "0x1", "pk_hash": "00", "serial": "1a", "sector_bytes": 512, "made": "2026",
        "memory": "emmc",
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    (tmp_path / "lun0-gpt-primary.bin").write_bytes(bytes(1024))
    with pytest.raises(ImageError, match=r"lun1-gpt-primary.bin cannot be read"):
        own.saved_dump(tmp_path)
    (tmp_path / "lun1-gpt-primary.bin").write_bytes(bytes(1024))
    assert own.saved_dump(tmp_path).luns == ()


# -- order and interruptions --------------------------------------------------------------------


def test_bulk_first_tables_last(alices: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        restoration = restore.build(read(alices / "backup"), bench.storage(), Wish())
        labels = [step.label for step in restoration.plan.steps]
        assert labels[-2:] == ["backup gpt", "gpt"]
        assert labels[-4:-2] == ["tz", "sbl1"]
        assert labels.index("aboot") > labels.index("sbl1bak")
        assert labels.index("system") < labels.index("persist") < labels.index("aboot")


@pytest.mark.parametrize("foreign_dump", [False, True])
@pytest.mark.parametrize("at", [1, 7, 12])
def test_an_interrupted_job_goes_on(foreign_dump: bool, at: int, alices: Path) -> None:
    wish, serial = (FOREIGN, BOB) if foreign_dump else (Wish(), ALICE)
    dump = read(alices / "backup")
    with phones.plug(emmc(serial)) as bench:
        bench.flash.luns[0].write(0, bytes_of("noise", "all", SECTORS * 512))
        cancel = threading.Event()
        events = bench.events

        def stop(event: Event, index: int = at) -> None:
            if isinstance(event, StepStarted) and event.index == index:
                cancel.set()

        bench.events = _Listening(stop)
        with pytest.raises((StoppedMidwayError, CancelledError)) as caught:
            put_back(bench, dump, wish, cancel=cancel)
        bench.events = events
        if isinstance(caught.value, StoppedMidwayError):
            assert "--resume" in " ".join(caught.value.remedies)
        bench.enter_edl()
        outcome = put_back(bench, dump, wish, resume=True)
        assert at == 1 or outcome.report.resumed_bytes + outcome.report.unchanged_bytes > 0
        assert held(bench.flash, "system") == bytes_of("v2", "system", 128 * 1024)
        assert boot_check(bench.flash).boots
        if not foreign_dump:
            assert whole(bench.flash) == (alices / "image").read_bytes()


class _Listening(list[Event]):
    def __init__(self, listener: Callable[[Event], None]) -> None:
        super().__init__()
        self.listener = listener

    def append(self, event: Event) -> None:
        self.listener(event)


@pytest.mark.parametrize(
    "fault", ["unplug@out:300000", "unplug@out:1100000", "stall@in-transfer:90"]
)
def test_a_pulled_cable(fault: str, alices: Path) -> None:
    dump = read(alices / "backup")
    with phones.plug(emmc(ALICE, faults=(fault,))) as bench:
        bench.flash.luns[0].write(0, bytes_of("noise", "all", SECTORS * 512))
        with contextlib.suppress(TransportError, EdlError):
            put_back(bench, dump)
        bench.enter_edl()
        put_back(bench, dump, resume=True)
        assert whole(bench.flash) == (alices / "image").read_bytes()


def test_tables_that_overlap_or_cannot_be_read_are_not_gone_by(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        table = live(bench.flash, "alice")
        place = table.find("cache")
        assert place is not None
        twisted = table.replace(replace(place, first_sector=place.first_sector - 8)).images()
        bench.flash.luns[0].write(0, twisted.primary)
        bench.flash.luns[0].write(twisted.backup_sector, twisted.backup)
        image = dumps.image(bench.flash, tmp_path / "image")
        with pytest.raises(ImageError, match="no whole partition table"):
            bare(image)
        live(bench.flash, "alice")
        bench.flash.luns[0].erase(SECTORS - 1, 1)
        folder = dumps.backup(bench.flash, tmp_path / "backup", owner(ALICE), bad={"gpt": (3, 1)})
        assert read(folder).luns[0].table is None


def test_tables_without_room_for_a_backup_or_with_too_much(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as bench:
        table = live(bench.flash, "alice")
        last = table.find("userdata")
        assert last is not None
        images = table.replace(replace(last, last_sector=SECTORS - 1)).images()
        bench.flash.luns[0].write(0, images.primary)
        [lun] = bare(dumps.image(bench.flash, tmp_path / "one")).luns
        assert lun.parts[-1].name == "userdata"
        live(bench.flash, "alice", layout={"modemst1": 32})
        [lun] = bare(dumps.image(bench.flash, tmp_path / "two")).luns
        assert [part.kind for part in lun.parts[-2:]] == [Kind.GAP, Kind.GPT_BACKUP]
        assert lun.parts[-1].end_sector == SECTORS


def test_a_blank_partition_can_be_cut_to_nothing(tmp_path: Path) -> None:
    with phones.plug(emmc(ALICE)) as small, phones.plug(emmc(ALICE, 2 * SECTORS)) as large:
        live(large.flash, "alice", used_bytes=0)
        dump = read(dumps.backup(large.flash, tmp_path / "large", owner(ALICE)))
        put_back(small, dump)
        assert boot_check(small.flash).boots
        assert not any(held(small.flash, "userdata"))


def test_nothing_of_what_was_named_may_be_written(alices: Path) -> None:
    with phones.plug(emmc(BOB)) as bench:
        live(bench.flash, "bob")
        wish = replace(FOREIGN, names=("modemst?",))
        _, plan = planned(bench.storage(), read(alices / "backup"), wish)
        assert [finding.code for finding in plan.errors] == ["nothing-to-do"]


def test_kinds_of_an_image_cover_it(alices: Path) -> None:
    [lun] = bare(alices / "image").luns
    assert lun.parts[0].kind is Kind.GPT_PRIMARY
    assert lun.parts[-1].kind is Kind.GPT_BACKUP
    assert [part.start_sector for part in lun.parts[1:]] == [
        part.end_sector for part in lun.parts[:-1]
    ]
    assert lun.parts[-1].end_sector == SECTORS
