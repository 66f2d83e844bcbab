# SPDX-License-Identifier: BSD-3-Clause
"""Which storage a phone has, how large it is, where its partitions lie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edl.device.phone import Wishes
from edl.device.storage import Storage, parse_targets
from edl.errors import (
    DeviceRefusedError,
    ReadFailedError,
    UsageError,
    WrongSectorSizeError,
    WrongStorageError,
)
from edl.firehose.commands import Area
from edl.plan import job
from edl.virtual import storage as flash
from edl.virtual.programmer.board import Quirks
from tests import phones
from tests.phones import plug, spec
from tests.virtual.disks import Part, write_gpt, write_table

ALL = pytest.mark.parametrize("profile", phones.ALL)
_SILENT = Quirks(missing=frozenset({"getstorageinfo"}))
_PARTS = (Part("xbl_a", 64, 127), Part("xbl_b", 128, 191), Part("persist", 192, 255))


def _configured(bench: phones.Bench) -> int:
    return bench.transports[0].commands.count("configure")


# -- which storage it is --------------------------------------------------------------------------


@pytest.mark.parametrize("programmer", ["msm8916", "msm8953", "sdm660", "qcm2290"])
@pytest.mark.parametrize("kind", ["emmc", "ufs"])
@pytest.mark.parametrize("hints", [(), ("emmc",), ("ufs",)])
def test_the_storage_is_found_whatever_was_thought(
    programmer: str, kind: str, hints: tuple[str, ...]
) -> None:
    with plug(spec(programmer, storage=kind)) as bench:
        phone = bench.connect(Wishes(hints=hints))
        assert phone.programmer.memory == kind
        assert phone.sector_bytes == (512 if kind == "emmc" else 4096)
        assert phone.luns[0].sectors == bench.flash.luns[0].sectors
        assert phone.lun_count == len(bench.flash.luns)
        # each type is tried once, and asked again once where the payload was too large
        assert _configured(bench) <= 4


@pytest.mark.parametrize("programmer", ["sdm660", "qcm2290"])
@pytest.mark.parametrize(("asked", "kind"), [("ufs", "emmc"), ("emmc", "ufs")])
def test_a_storage_type_that_is_not_there(programmer: str, asked: str, kind: str) -> None:
    with plug(spec(programmer, storage=kind)) as bench:
        with pytest.raises(WrongStorageError) as caught:
            bench.connect(Wishes(memory=asked))
        assert any("--memory" in remedy for remedy in caught.value.remedies)
        assert _configured(bench) <= 2


@pytest.mark.parametrize(("asked", "kind"), [("ufs", "emmc"), ("emmc", "ufs")])
def test_generation_1_says_itself_what_it_has(asked: str, kind: str) -> None:
    words = f"You asked for {asked}, but the phone has {kind}"
    with plug(spec("msm8916", storage=kind)) as bench, pytest.raises(UsageError, match=words):
        bench.connect(Wishes(memory=asked))


@pytest.mark.parametrize("programmer", ["sdm660", "qcm2290"])
def test_a_storage_type_that_nobody_knows(programmer: str) -> None:
    with plug(programmer) as bench, pytest.raises(WrongStorageError):
        bench.connect(Wishes(memory="tape"))


@ALL
def test_a_storage_type_that_the_user_names_rightly(profile: str) -> None:
    with plug(profile) as bench:
        phone = bench.connect(Wishes(memory=bench.flash.kind.upper()))
        assert phone.programmer.memory == bench.flash.kind


@pytest.mark.parametrize("programmer", ["msm8916", "sdm660", "qcm2290"])
@pytest.mark.parametrize("kind", ["emmc", "ufs"])
def test_a_programmer_that_does_not_tell_is_tried(programmer: str, kind: str) -> None:
    with plug(spec(programmer, storage=kind, quirks=_SILENT)) as bench:
        phone = bench.connect()
        assert phone.programmer.memory == kind
        assert phone.sector_bytes == (512 if kind == "emmc" else 4096)
        assert phone.lun_count is None
        assert phone.lun(0).sectors is None


def test_a_sector_that_cannot_be_read_proves_the_storage_all_the_same() -> None:
    broken = flash.Faults(unreadable=(flash.Extent(0, 0, 8),))
    with plug(spec("sdm660", quirks=_SILENT, broken=broken)) as bench:
        assert bench.connect().programmer.memory == "emmc"


def test_a_wrong_storage_type_shows_when_a_sector_is_read() -> None:
    phone = spec("qcm2290", storage="ufs", quirks=_SILENT)
    with plug(phone) as bench, pytest.raises((WrongStorageError, WrongSectorSizeError)):
        bench.connect(Wishes(memory="emmc"))


# -- configure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "size"),
    [("msm8916", 16384), ("msm8953", 1 << 20), ("sdm660", 32768), ("qcm2290", 16384)],
)
def test_the_counter_offer_is_taken_up(profile: str, size: int) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        assert phone.programmer.payload_bytes == size
        assert _configured(bench) == (1 if size == 1 << 20 else 2)


@ALL
@pytest.mark.parametrize("wish", [512, 4096, 5000, 8192])
def test_a_smaller_payload_is_granted(profile: str, wish: int) -> None:
    with plug(profile) as bench:
        phone = bench.connect(Wishes(payload_bytes=wish, hints=(bench.flash.kind,)))
        assert phone.programmer.payload_bytes == 1 << (wish.bit_length() - 1)
        assert _configured(bench) == 1
        unit = phone.sector_bytes
        data = bytes(range(256)) * 256
        phone.programmer.program(Area(0, 8, len(data) // unit, unit), [memoryview(data)])
        assert bench.flash.luns[0].read(8, len(data) // unit) == data


def test_generation_2_keeps_a_payload_that_has_shrunk() -> None:
    with plug("sdm660") as bench:
        bench.connect(Wishes(payload_bytes=4096))
        bench.hang_up()
        assert bench.connect().programmer.payload_bytes == 4096


@pytest.mark.parametrize("size", [24576, 999936, 1536])
@pytest.mark.parametrize("profile", ["msm8953", "sdm660"])
def test_a_payload_that_is_no_power_of_two(profile: str, size: int) -> None:
    """The programmer waits for exactly its size: no piece may be cut where it does not end."""
    with plug(f"{profile},payload={size}") as bench:
        phone = bench.connect()
        assert phone.programmer.payload_bytes == 1 << (size.bit_length() - 1)
        data = bytes(range(251)) * 12288
        data = data[: len(data) // 512 * 512]
        chunks = [memoryview(data)[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)]
        phone.programmer.program(Area(0, 0, len(data) // 512, 512), chunks)
        assert bench.flash.luns[0].read(0, len(data) // 512) == data


@pytest.mark.parametrize("profile", phones.ALL)
def test_a_late_no_of_an_earlier_command_is_not_taken_for_the_answer(profile: str) -> None:
    with plug(profile, running=True) as bench:
        transport = bench.open()
        transport.write(b"<?xml version='1.0' ?><data><rubbish /></data>", 1)
        phone = bench.connect(transport=transport)
        assert phone.programmer.payload_bytes >= 16384


# -- LUNs and tables ------------------------------------------------------------------------------


@ALL
def test_the_luns_of_a_phone(profile: str) -> None:
    with plug(profile) as bench:
        storage = bench.storage()
        assert list(storage.luns()) == sorted(bench.flash.luns)
        for number, lun in bench.flash.luns.items():
            assert storage.sectors(number) == lun.sectors


@ALL
def test_a_lun_that_does_not_exist(profile: str) -> None:
    with plug(profile) as bench, pytest.raises(WrongStorageError):
        bench.connect().lun(9)


@pytest.mark.parametrize(("kind", "count"), [("emmc", 1), ("ufs", 8)])
def test_luns_of_a_programmer_that_does_not_tell(kind: str, count: int) -> None:
    with plug(spec("qcm2290", storage=kind, quirks=_SILENT)) as bench:
        for lun in bench.flash.luns.values():
            write_gpt(lun, _PARTS)
        storage = bench.storage()
        assert len(list(storage.luns())) == count
        found = [(lun, part.name) for lun, part in storage.partitions()]
        luns = [0] if kind == "emmc" else list(bench.flash.luns)
        assert found == [(lun, part.name) for lun in luns for part in _PARTS]
        assert storage.sectors(0) is None
        with pytest.raises(UsageError, match="How large LUN 0 is"):
            storage.place(parse_targets(["0"])[0])
        with pytest.raises(UsageError, match="Name the length too"):
            storage.place(parse_targets(["0/5"])[0])
        assert storage.place(parse_targets(["0/5+2"])[0]).area.sectors == 2


def test_lun_counts_that_are_not_known_end_at_the_first_that_cannot_be_opened() -> None:
    with plug("qcm2290-ufs") as bench:
        storage = bench.storage()
        phone = storage.phone
        phone.luns = {0: replace(phone.luns[0], luns=None)}
        for number in list(bench.flash.luns):
            info = phone.programmer.storage_info(number)
            phone.luns[number] = replace(info, luns=None)
        assert list(storage.luns()) == sorted(bench.flash.luns)


def test_a_lun_that_cannot_be_opened_is_passed_over() -> None:
    with plug("qcm2290-ufs") as bench:
        storage = bench.storage()
        del bench.flash.luns[2]
        storage.phone.luns[0] = replace(storage.phone.luns[0], luns=6)
        assert list(storage.luns()) == [0, 1, 3, 4, 5]


def test_numbers_of_luns_may_have_gaps() -> None:
    with plug("qcm2290-ufs") as bench:
        bench.flash.luns.pop(3).close()
        write_gpt(bench.flash.luns[5], _PARTS)
        storage = bench.storage()
        assert storage.phone.lun_count == 5
        assert list(storage.luns()) == [0, 1, 2, 4, 5]
        assert {lun for lun, _ in storage.partitions()} == {5}
        assert job.geometry(storage, {0, 3, 5, 9}).luns == {0: 4096, 5: 2048}


@pytest.mark.parametrize(("start", "copy"), [(0, "backup"), (-40, "primary")])
def test_a_table_that_a_maker_forbids_to_read_leaves_the_other(start: int, copy: str) -> None:
    sectors = phones.EMMC_SECTORS[0]
    limit = flash.Extent(0, start % sectors, 34)
    with plug(spec("qcm2290", quirks=Quirks(restricted=(limit,)))) as bench:
        write_gpt(bench.flash.luns[0], _PARTS)
        storage = bench.storage()
        tables = storage.table(0)
        assert tables.best is not None
        assert tables.best is getattr(tables, copy)
        assert [part.name for _, part in storage.partitions()] == [part.name for part in _PARTS]


@ALL
def test_partition_tables_are_read_once(profile: str) -> None:
    with plug(profile) as bench:
        write_gpt(bench.flash.luns[0], _PARTS)
        storage = bench.storage()
        tables = storage.table(0)
        assert tables.primary is not None
        assert tables.backup is not None
        assert tables.best is tables.primary
        reads = len(bench.flash.operations)
        assert storage.table(0) is tables
        assert len(bench.flash.operations) == reads


def test_a_damaged_primary_table_and_a_good_backup() -> None:
    with plug("sdm660") as bench:
        lun = bench.flash.luns[0]
        write_gpt(lun, _PARTS)
        sector = bytearray(lun.read(1, 1))
        sector[72] ^= 1  # where the entries begin: the header's CRC no longer fits
        lun.write(1, sector)
        tables = bench.storage().table(0)
        assert tables.best is tables.backup


@pytest.mark.parametrize("damage", [(0, 64), (1, 1)])
def test_a_primary_table_that_is_gone(damage: tuple[int, int]) -> None:
    with plug("sdm660") as bench:
        lun = bench.flash.luns[0]
        write_gpt(lun, _PARTS)
        lun.write(damage[0], bytes(512 * damage[1]))
        tables = bench.storage().table(0)
        assert tables.primary is None
        assert tables.best is tables.backup
        assert [part.name for part in tables.backup.partitions] == [part.name for part in _PARTS]  # type: ignore[union-attr]


def test_no_table_at_all() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        assert storage.table(0).best is None
        assert list(storage.partitions()) == []
        with pytest.raises(UsageError, match="no readable partition table"):
            storage.place(parse_targets(["boot"])[0])


def test_a_table_with_more_entries_than_usual_is_read_whole() -> None:
    parts = [Part(f"part{number}", 200 + number, 200 + number) for number in range(160)]
    with plug("sdm660") as bench:
        lun = bench.flash.luns[0]
        array = b"".join(part.pack() for part in parts).ljust(128 * 256, b"\0")
        write_table(lun, array, 1, lun.sectors - 1, 2, (100, lun.sectors - 100))
        best = bench.storage().table(0).best
        assert best is not None
        assert len(best.partitions) == 160


def test_an_entry_without_sectors_is_no_partition() -> None:
    with plug("sdm660") as bench:
        write_gpt(bench.flash.luns[0], [Part("odd", 300, 299), *_PARTS])
        assert [part.name for _, part in bench.storage().partitions()] == [p.name for p in _PARTS]


def test_a_table_that_cannot_be_read_hides_no_other() -> None:
    broken = flash.Faults(unreadable=(flash.Extent(0, 0, 1),))
    with plug(spec("qcm2290-ufs", broken=broken)) as bench:
        write_gpt(bench.flash.luns[1], _PARTS)
        storage = bench.storage()
        assert {lun for lun, _ in storage.partitions()} == {1}
        with pytest.raises(ReadFailedError):
            storage.table(0)


# -- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "/", "0//5", "a/b", "1000/boot", "x" * 101])
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="names nothing"):
        parse_targets([text])


def test_targets_are_found_by_every_way_to_name_them() -> None:
    with plug("sdm660") as bench:
        write_gpt(bench.flash.luns[0], _PARTS)
        storage = bench.storage()

        def area(text: str) -> tuple[int, int, int]:
            place = storage.place(parse_targets([text])[0])
            return place.area.lun, place.area.start_sector, place.area.sectors

        total = bench.flash.luns[0].sectors
        assert area("persist") == area("0/persist") == area("PERSIST") == (0, 192, 64)
        assert area("0") == (0, 0, total)
        assert area("0/0x10") == (0, 16, total - 16)
        assert area("0/16+0x20") == (0, 16, 32)
        assert len(parse_targets(["xbl_a, xbl_b", "persist"])) == 3
        assert storage.place(parse_targets(["0"])[0]).whole_lun
        for wrong in (f"0/{total}", f"0/{total - 1}+2", "0/0+0"):
            with pytest.raises(UsageError, match="does not lie on it"):
                area(wrong)


def test_names_that_are_not_there() -> None:
    with plug("sdm660") as bench:
        write_gpt(bench.flash.luns[0], _PARTS)
        storage = bench.storage()

        def error(text: str) -> UsageError:
            with pytest.raises(UsageError) as caught:
                storage.place(parse_targets([text])[0])
            return caught.value

        assert error("xbl").message == "The phone has no 'xbl', but xbl_a and xbl_b."
        assert error("persists").remedies == ("Close to it: persist.",)
        assert "printgpt" in error("nothing").remedies[0]


def test_a_name_that_exists_twice() -> None:
    with plug("qcm2290-ufs") as bench:
        for lun in (1, 2):
            write_gpt(bench.flash.luns[lun], _PARTS)
        storage = bench.storage()
        with pytest.raises(UsageError, match="1/persist, 2/persist"):
            storage.place(parse_targets(["persist"])[0])
        assert storage.place(parse_targets(["2/persist"])[0]).area.lun == 2


def test_the_active_slot_is_named() -> None:
    with plug("sdm660") as bench:
        lun = bench.flash.luns[0]
        write_gpt(lun, _PARTS)
        entries = bytearray(lun.read(2, 32))
        entries[128 + 48 + 6] = 0b0111  # xbl_b: active, with priority (bits 48 to 50)
        lun.write(2, entries)
        lun.write(1, lun.read(1, 1))
        storage = bench.storage()
        storage._tables[0] = replace(storage.table(0), backup=None)
        with pytest.raises(UsageError) as caught:
            storage.place(parse_targets(["xbl"])[0])
        assert caught.value.message.endswith("xbl_a and xbl_b; active is b.")
        assert caught.value.remedies == ("Name the one you mean, for example xbl_b.",)


def test_a_restricted_range_is_refused_with_the_makers_words() -> None:
    quirks = Quirks(restricted=(flash.Extent(0, 64, 64),))
    with plug(spec("qcm2290", quirks=quirks)) as bench:
        storage = bench.storage()
        with pytest.raises(DeviceRefusedError, match=r"Motorola .* allows this prog") as caught:
            storage.read(Area(0, 100, 1, 512))
        assert any("range restricted" in line for line in caught.value.device_log)
        assert storage.read(Area(0, 128, 1, 512)) == bytes(512)


def test_storage_reads_what_is_there() -> None:
    with plug("msm8953") as bench:
        bench.flash.luns[0].write(7, b"seven" * 512)
        assert Storage(bench.connect()).read(Area(0, 7, 5, 512)) == b"seven" * 512
