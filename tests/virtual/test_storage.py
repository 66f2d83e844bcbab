# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edl.units import GIB, MIB
from edl.virtual.lun import Lun
from edl.virtual.storage import (
    EMMC_FAILED,
    UFS_FAILED,
    UFS_INVALID,
    Extent,
    Faults,
    Storage,
    StorageError,
    emmc,
    ufs,
)

MakeLun = Callable[[int, int], Lun]


@pytest.fixture(params=["memory", "file", "file without holes"])
def make_lun(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeLun]:
    made: list[Lun] = []
    if request.param == "file without holes":
        monkeypatch.delattr(os, "SEEK_DATA")

    def make(sectors: int, sector_bytes: int) -> Lun:
        path = None if request.param == "memory" else tmp_path / f"{len(made)}.img"
        made.append(Lun(sectors, sector_bytes, path))
        return made[-1]

    yield make
    for lun in made:
        lun.close()


def test_lun_is_blank_at_first(make_lun: MakeLun) -> None:
    assert make_lun(100, 512).read(0, 100) == bytes(51200)


def test_lun_keeps_what_is_written_across_its_pieces(make_lun: MakeLun) -> None:
    lun = make_lun(6144, 512)  # 3 MiB
    data = bytes(range(256)) * 4096 * 2  # 2 MiB, from half a MiB on: three pieces are touched
    lun.write(1024, data)
    lun.flush()
    assert lun.read(0, 6144) == bytes(MIB // 2) + data + bytes(MIB // 2)


def test_digest_is_sha256_of_the_sectors(make_lun: MakeLun) -> None:
    lun = make_lun(6144, 512)
    lun.write(2047, b"\xa5" * 1024)
    content = bytes(2047 * 512) + b"\xa5" * 1024 + bytes(1000 * 512)
    assert lun.digest(0, 3049) == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("start", "count"), [(0, 6144), (2048, 2048), (10, 5), (1000, 4000), (6000, 144), (5, 0)]
)
def test_erase_zeroes_exactly_its_sectors(make_lun: MakeLun, start: int, count: int) -> None:
    lun = make_lun(6144, 512)
    lun.write(0, b"\xff" * 6144 * 512)
    lun.erase(start, count)
    left = (6144 - start - count) * 512
    assert lun.read(0, 6144) == b"\xff" * start * 512 + bytes(count * 512) + b"\xff" * left


def test_erase_of_a_part_leaves_holes_alone(make_lun: MakeLun) -> None:
    lun = make_lun(64 * 2048, 512)
    lun.write(2048, b"\x01" * 512)
    lun.erase(100, 50 * 2048)
    assert lun.read(0, 64 * 2048) == bytes(64 * MIB)


def test_a_lun_has_an_end(make_lun: MakeLun) -> None:
    lun = make_lun(10, 512)
    with pytest.raises(ValueError, match="3 sectors from 8 on"):
        lun.read(8, 3)
    with pytest.raises(ValueError, match="-1 sectors"):
        lun.erase(3, -1)
    with pytest.raises(ValueError, match="1 sectors from -1 on"):
        lun.write(-1, bytes(512))
    with pytest.raises(ValueError, match="513 bytes are not whole sectors"):
        lun.write(0, bytes(513))


def test_a_big_file_takes_no_space(tmp_path: Path) -> None:
    path = tmp_path / "big.img"
    lun = Lun(256 * GIB // 4096, 4096, path)
    lun.write(lun.sectors - 1, b"x" * 4096)
    assert lun.read(lun.sectors - 2, 2) == bytes(4096) + b"x" * 4096
    lun.erase(0, lun.sectors)
    assert lun.read(lun.sectors - 1, 1) == bytes(4096)
    lun.close()
    assert path.stat().st_blocks * 512 < MIB


def test_a_file_keeps_its_content(tmp_path: Path) -> None:
    with emmc(64, boot_sectors=8, folder=tmp_path) as first:
        first.write(0, 3, b"a" * 512)
        first.flush()
    with emmc(64, boot_sectors=8, folder=tmp_path) as again:
        assert again.read(0, 3, 1) == b"a" * 512
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "boot0.img",
        "boot1.img",
        "user.img",
    ]


def test_ufs_files_are_named_by_lun(tmp_path: Path) -> None:
    with ufs((16, 8), folder=tmp_path) as storage:
        assert storage.sector_bytes == 4096
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {
        "lun0.img": 65536,
        "lun1.img": 32768,
    }


def test_files_that_cannot_be_made_leave_none_open(tmp_path: Path) -> None:
    (tmp_path / "lun1.img").mkdir()
    with pytest.raises(IsADirectoryError):
        ufs((16, 8), folder=tmp_path)


@pytest.mark.parametrize(("make", "errno"), [(emmc, EMMC_FAILED), (ufs, UFS_FAILED)])
def test_requests_past_the_end_are_refused_and_recorded(
    make: Callable[..., Storage], errno: int
) -> None:
    storage = make(record=True)
    requests: list[Callable[[], object]] = [
        lambda: storage.read(0, 65535, 2),
        lambda: storage.write(0, 65536, bytes(storage.sector_bytes)),
        lambda: storage.erase(9, 0, 1),
    ]
    for request in requests:
        with pytest.raises(StorageError) as caught:
            request()
        assert (caught.value.errno, caught.value.result) == (errno, 3)
    assert storage.operations == [("read", 0, 65535, 2), ("write", 0, 65536, 1), ("erase", 9, 0, 1)]


def test_nothing_is_recorded_unless_asked_for() -> None:
    storage = ufs()
    storage.read(0, 0, 1)
    storage.set_bootable(1)
    assert (storage.operations, storage.events, storage.bootable) == ([], [], 1)


def test_faults() -> None:
    storage = emmc(
        1000,
        faults=Faults(
            unreadable=(Extent(0, 10),),
            unwritable=(Extent(0, 20, 2),),
            zeros=(Extent(0, 31, 2),),
            slow=((Extent(0, 40), 1.5), (Extent(0, 41), 2.0)),
        ),
    )
    with pytest.raises(StorageError):
        storage.read(0, 8, 3)
    assert storage.read(0, 11, 1) == bytes(512)
    assert storage.read(1, 10, 1) == bytes(512)  # another LUN
    with pytest.raises(StorageError):
        storage.write(0, 19, b"n" * 1024)
    assert storage.read(0, 19, 2) == bytes(1024)
    with pytest.raises(StorageError):
        storage.erase(0, 0, 1000)
    storage.write(0, 30, b"z" * 2048)
    assert storage.read(0, 30, 4) == b"z" * 512 + bytes(1024) + b"z" * 512
    assert storage.seconds(0, 40, 2) == 3.5
    assert storage.seconds(0, 42, 2) == 0


@pytest.mark.parametrize(
    ("forgotten", "kept"),
    [
        ((Extent(0, 5),), b"11111.11"),
        ((Extent(0, 0, 2), Extent(0, 6, 100)), b"..1111.."),
        ((Extent(0, 4, 2), Extent(0, 3, 2)), b"111...11"),
        ((Extent(0, 0, 99),), b"........"),
    ],
)
def test_forgotten_sectors_are_acknowledged_and_not_kept(
    forgotten: tuple[Extent, ...], kept: bytes
) -> None:
    storage = emmc(100, faults=Faults(forgotten=forgotten))
    storage.luns[0].write(0, b"." * 512 * 8)
    storage.write(0, 0, b"1" * 512 * 8)
    assert storage.read(0, 0, 8)[::512] == kept
    storage.erase(0, 0, 8)
    assert storage.read(0, 0, 8)[::512] == kept


def test_read_only_storage_refuses_changes() -> None:
    storage = emmc(100, faults=Faults(read_only=True))
    with pytest.raises(StorageError):
        storage.write(0, 0, bytes(512))
    with pytest.raises(StorageError):
        storage.erase(0, 0, 1)
    assert storage.read(0, 0, 1) == bytes(512)


def test_ufs_boots_from_three_luns_only() -> None:
    # real-programmer-ufs.md: "set_boot_lun accepts 0, 1, 2 only (else -22)"
    storage = ufs(record=True)
    storage.set_bootable(2)
    with pytest.raises(StorageError) as caught:
        storage.set_bootable(3)
    assert caught.value.errno == UFS_INVALID
    assert (storage.bootable, storage.events) == (2, [("ufs-boot", 2, 2)])


def test_emmc_takes_any_boot_partition() -> None:
    storage = emmc()
    storage.set_bootable(7)
    assert storage.bootable == 7
