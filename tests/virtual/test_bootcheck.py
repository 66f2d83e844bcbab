# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.virtual.bootcheck import boot_check
from edl.virtual.storage import Extent, Faults, Lun, Storage, emmc, ufs
from loaders.images import plain_elf
from loaders.make_dummies import good_ones
from tests.conftest import REPO
from tests.virtual.disks import (
    BOOT_LOADER,
    Part,
    apply_build,
    make_bootable,
    write_gpt,
    write_table,
)

BUILDS = REPO / "tests" / "golden" / "builds"
LOADER = REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf"


@pytest.fixture
def phone() -> Storage:
    storage = emmc()
    make_bootable(storage)
    return storage


def findings(storage: Storage) -> list[str]:
    report = boot_check(storage)
    assert report.boots == (not report.findings)
    return list(report.findings)


PLACES = {
    "header_bytes": (12, "<I"),
    "own": (24, "<Q"),
    "other": (32, "<Q"),
    "last": (48, "<Q"),
    "guid": (56, "<Q"),
    "entries_sector": (72, "<Q"),
    "entries": (80, "<I"),
    "entry_bytes": (84, "<I"),
}


def change_header(lun: Lun, sector: int, changes: dict[str, int]) -> None:
    """Change fields of a header and give it the right checksum again."""
    data = bytearray(lun.read(sector, 1))
    for name, value in changes.items():
        offset, form = PLACES[name]
        struct.pack_into(form, data, offset, value)
    data[16:20] = bytes(4)
    struct.pack_into("<I", data, 16, zlib.crc32(data[:92]))
    lun.write(sector, data)


def test_a_good_disk_boots(phone: Storage) -> None:
    assert findings(phone) == []


def test_a_good_ufs_boots() -> None:
    storage = ufs()
    make_bootable(storage)
    assert findings(storage) == []


@pytest.mark.parametrize(
    ("build", "sectors"),
    [("apq8016-sbc-emmc", 16777216), ("qrb2210-rb1-emmc", 33554432)],
)
def test_builds_for_emmc_boot_once_they_are_patched(build: str, sectors: int) -> None:
    folder = BUILDS / build
    storage = emmc(sectors)
    apply_build(storage, folder, patch=False)
    assert any("does not fit this storage" in finding for finding in findings(storage))
    apply_build(storage, folder)
    assert findings(storage) == []


@pytest.mark.parametrize("build", ["sdm845-db845c-ufs", "qcs6490-rb3gen2-ufs"])
@pytest.mark.parametrize("bootable", [None, 1, 2])
def test_builds_for_ufs_boot_once_they_are_patched(build: str, bootable: int | None) -> None:
    folder = BUILDS / build
    storage = ufs((2097152, 16384, 16384, 131072, 1048576, 262144))
    storage.bootable = bootable
    apply_build(storage, folder)
    assert findings(storage) == []


def test_a_blank_disk_does_not_boot() -> None:
    assert findings(emmc()) == [
        "The partition table at the beginning of LUN 0 is missing.",
        "The partition table at the end of LUN 0 is missing.",
    ]


def test_every_lun_of_ufs_needs_a_table() -> None:
    storage = ufs()
    make_bootable(storage)
    storage.luns[4].erase(0, 6)
    assert findings(storage) == ["The partition table at the beginning of LUN 4 is missing."]


def test_damaged_checksums_are_found(phone: Storage) -> None:
    lun = phone.luns[0]
    data = bytearray(lun.read(1, 1))
    data[60] ^= 1
    lun.write(1, data)
    array = bytearray(lun.read(lun.sectors - 33, 1))
    array[200] ^= 1
    lun.write(lun.sectors - 33, array)
    assert findings(phone) == [
        "The partition table at the beginning of LUN 0 is damaged: "
        "the checksum of its header is wrong.",
        "The partition table at the end of LUN 0 is damaged: "
        "the checksum of its list of partitions is wrong.",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"own": 2}, "it claims to be in sector 2, but is in 1"),
        ({"other": 999}, "it has its copy in sector 999 instead of 65535"),
        ({"last": 65510}, "partitions may lie in sectors 34 to 65510"),
        ({"last": 0}, "partitions may lie in sectors 34 to 0"),
        ({"header_bytes": 8}, "its header has an impossible length"),
        ({"header_bytes": 513}, "its header has an impossible length"),
        ({"entries": 0}, "its list of partitions is impossible"),
        ({"entries": 0xFFFFFFFF}, "its list of partitions is impossible"),
        ({"entry_bytes": 100}, "its list of partitions is impossible"),
        ({"entry_bytes": 0x80000000}, "its list of partitions is impossible"),
        ({"entries_sector": 1 << 63}, "its list of partitions is impossible"),
        ({"guid": 1}, "describe different disks"),
    ],
)
def test_contradictions_in_the_header_are_found(
    phone: Storage, changes: dict[str, int], expected: str
) -> None:
    change_header(phone.luns[0], 1, changes)
    assert any(expected in finding for finding in findings(phone))


def test_a_table_made_for_a_larger_disk_is_found(phone: Storage) -> None:
    parts = [Part("xbl_a", 64, 1023, BOOT_LOADER), Part("userdata", 1024, 99000)]
    write_gpt(phone.luns[0], parts, disk_sectors=100000)
    phone.luns[0].erase(65535, 1)
    found = findings(phone)
    assert "has its copy in sector 99999 instead of 65535" in found[0]
    assert found[-1] == "The partition table at the end of LUN 0 is missing."


def test_copies_that_differ_are_found(phone: Storage) -> None:
    lun = phone.luns[0]
    array = Part("other", 64, 70).pack().ljust(128 * 128, b"\0")
    write_table(lun, array, 65535, 1, 65503, (34, 65502))
    assert findings(phone) == [
        "The two copies of the partition table of LUN 0 list different partitions."
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part("a", 2000, 1999), "Partition 'a' of LUN 0 has no size"),
        (Part("a", 65000, 65530), "Partition 'a' of LUN 0 lies in sectors 65000 to 65530"),
        (Part("a", 10, 40), "Partition 'a' of LUN 0 lies in sectors 10 to 40"),
        (Part("a", 1000, 3000), "Partition 'a' of LUN 0 overlaps partition 'xbl_a'"),
        (Part("a\n\x1b", 1000, 1001), "Partition 'a??' of LUN 0 overlaps"),
    ],
)
def test_impossible_partitions_are_found(phone: Storage, part: Part, expected: str) -> None:
    write_gpt(phone.luns[0], [Part("xbl_a", 64, 1023, BOOT_LOADER), part])
    (finding,) = findings(phone)
    assert finding.startswith(expected)


def test_an_unused_entry_with_a_name_is_no_partition(phone: Storage) -> None:
    lun = phone.luns[0]
    dummy = bytes(16) + Part("last_parti", 64, 900).pack()[16:]
    array = (Part("xbl_a", 64, 1023, BOOT_LOADER).pack() + dummy).ljust(128 * 128, b"\0")
    write_table(lun, array, 1, 65535, 2, (34, 65502))
    write_table(lun, array, 65535, 1, 65503, (34, 65502))
    assert findings(phone) == []


def test_the_boot_loader_is_found_by_type_before_name(phone: Storage) -> None:
    lun = phone.luns[0]
    parts = [Part("xbl_a", 64, 100), Part("xbl_b", 101, 200, BOOT_LOADER)]
    write_gpt(lun, parts)
    assert findings(phone) == [
        "The first boot loader in partition 'xbl_b' cannot start: The partition is blank."
    ]
    lun.write(101, b"\xff" * 4096)
    assert "The partition is blank." in findings(phone)[0]
    lun.write(101, b"program".ljust(512))
    assert findings(phone) == []


@pytest.mark.parametrize("name", ["xbl", "sbl1", "sbl1_a", "aboot"])
def test_the_boot_loader_is_found_by_name(phone: Storage, name: str) -> None:
    write_gpt(phone.luns[0], [Part("modem", 40, 50), Part(name, 64, 100)])
    assert findings(phone) == []


def test_a_disk_without_boot_loader_does_not_boot(phone: Storage) -> None:
    write_gpt(phone.luns[0], [Part("modem", 64, 100)])
    assert findings(phone) == ["LUN 0 has no partition for the first boot loader (xbl or sbl1)."]


def test_a_boot_loader_outside_of_the_disk_is_found(phone: Storage) -> None:
    write_gpt(phone.luns[0], [Part("xbl", 64, 1 << 40, BOOT_LOADER)])
    assert "The first boot loader cannot be read" in findings(phone)[1]


def test_ufs_boots_from_the_chosen_lun() -> None:
    storage = ufs()
    make_bootable(storage)
    storage.bootable = 2
    assert findings(storage) == ["LUN 2 has no partition for the first boot loader (xbl or sbl1)."]


@pytest.mark.parametrize(
    "name",
    [
        "prog_emmc_firehose_8916_test.mbn",
        "prog_emmc_ufs_firehose_sdm660_test.elf",
        "prog_firehose_ddr_qcm2290_test.elf",
    ],
)
def test_the_hashes_of_a_signed_image_are_checked(name: str) -> None:
    image = bytearray((REPO / "loaders" / name).read_bytes())
    storage = emmc()
    make_bootable(storage, bytes(image))
    assert findings(storage) == []
    image[-2000] ^= 1
    make_bootable(storage, bytes(image))
    (finding,) = findings(storage)
    assert finding.startswith("The first boot loader in partition 'xbl_a' cannot start: Segment ")


def test_version_7_images_are_understood() -> None:
    storage = emmc()
    make_bootable(storage, good_ones()["v7_single.elf"])
    assert findings(storage) == []


def test_an_image_without_hashes_is_taken_as_it_is() -> None:
    storage = emmc()
    make_bootable(storage, plain_elf(b"program" * 100, bits=64))
    assert findings(storage) == []


def test_an_image_larger_than_its_partition_is_found() -> None:
    storage = emmc()
    make_bootable(storage, LOADER.read_bytes())
    write_gpt(storage.luns[0], [Part("xbl_a", 64, 64 + 20, BOOT_LOADER)])
    assert findings(storage)[0].endswith("It is larger than its partition.")


@pytest.mark.parametrize(
    ("offset", "data"), [(0x1014, b"\xf1"), (4, b"\x07"), (56, b"\xff\xff"), (32, b"\xff" * 8)]
)
def test_an_image_with_damaged_headers_is_found(offset: int, data: bytes) -> None:
    image = bytearray(LOADER.read_bytes())
    image[offset : offset + len(data)] = data
    storage = emmc()
    make_bootable(storage, bytes(image))
    assert "cannot start" in findings(storage)[0]


def test_defective_flash_is_found(phone: Storage) -> None:
    phone.faults = Faults(unreadable=(Extent(0, 1), Extent(0, 64)))
    assert findings(phone) == [
        "LUN 0 has a defect: sectors 1 to 1 cannot be read.",
        "The first boot loader in partition 'xbl_a' cannot start: "
        "LUN 0 has a defect: sectors 64 to 71 cannot be read.",
    ]


def test_the_check_is_not_recorded(phone: Storage) -> None:
    phone.record = True
    boot_check(phone)
    assert phone.record
    assert phone.operations == []


@given(data=st.binary(max_size=600), sector=st.sampled_from([1, 2, 64, 65535, 65503]))
def test_junk_never_crashes_the_check(data: bytes, sector: int) -> None:
    storage = emmc()
    make_bootable(storage, LOADER.read_bytes())
    lun = storage.luns[0]
    lun.write(sector, data[:512] + lun.read(sector, 1)[len(data[:512]) :])
    assert all(finding.endswith(".") for finding in findings(storage))
