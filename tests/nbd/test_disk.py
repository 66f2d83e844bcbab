# SPDX-License-Identifier: BSD-3-Clause
"""What clients get from a phone, and what becomes of what they write; without nbdkit."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from edl.device.phone import Phone
from edl.device.storage import Storage, parse_targets
from edl.errors import DeviceGoneError, EdlError
from edl.nbd.disk import Disk
from edl.nbd.relay import Request
from edl.plan import history
from edl.plan.job import Rules
from edl.virtual.faults import parse_fault
from edl.virtual.storage import Extent, Faults
from tests import dumps, phones

LAYOUT = {"boot_a": 256, "modemst1": 64, "userdata": 0}  # KiB
MODEMST1 = (40 + 512) * 512  # where that begins


@pytest.fixture
def bench() -> Iterator[phones.Bench]:
    with phones.plug(phones.spec("qcm2290", sectors={0: 4096})) as made:
        dumps.live(made.flash, "mine", layout=LAYOUT, used_bytes=1 << 20)
        yield made


def disk_of(bench: phones.Bench, target: str = "0", rules: Rules | None = None) -> Disk:
    phone = bench.connect()

    def again(_: EdlError) -> Phone:
        bench.hang_up()
        return bench.connect()

    place = Storage(phone).place(parse_targets([target])[0])
    return Disk(phone, place, rules=rules, again=again, emit=bench.events.append)


def data_of(bench: phones.Bench) -> bytes:
    return bench.flash.luns[0].read(0, 4096)


def read(disk: Disk, offset: int, size: int) -> tuple[int, bytes]:
    error, data = disk.carry_out(Request("r", offset, size))
    return error, bytes(data)


def write(disk: Disk, offset: int, data: bytes) -> int:
    return disk.carry_out(Request("w", offset, len(data), data))[0]


def flush(disk: Disk) -> int:
    return disk.carry_out(Request("f", 0, 0))[0]


def test_any_bytes_of_a_partition(bench: phones.Bench) -> None:
    disk, start = disk_of(bench, "userdata"), MODEMST1 + 65536
    whole = data_of(bench)[start : start + disk.area.size_bytes]
    for offset, size in ((0, 1), (511, 3), (100_000, 70_001), (disk.area.size_bytes - 9, 9)):
        assert read(disk, offset, size) == (0, whole[offset : offset + size])
    assert disk.read_bytes == 1 + 3 + 70_001 + 9


def test_bad_sectors_are_eio(bench: phones.Bench) -> None:
    bench.flash.faults = Faults(unreadable=(Extent(0, 1000, 2),))
    disk = disk_of(bench)
    assert read(disk, 999 * 512, 1024) == (errno.EIO, b"")
    assert read(disk, 999 * 512, 512) == (0, data_of(bench)[999 * 512 : 1000 * 512])


def test_a_phone_that_resets_comes_back(bench: phones.Bench) -> None:
    bench.flash.faults = Faults(deadly=(Extent(0, 3000, 1),))
    disk = disk_of(bench)
    assert read(disk, 3000 * 512, 512) == (errno.EIO, b"")
    assert read(disk, 0, 512) == (0, data_of(bench)[:512])
    assert "going on" in bench.stages["serve"]


def test_one_that_stays_away_ends_it(bench: phones.Bench) -> None:
    phone = bench.connect()
    place = Storage(phone).place(parse_targets(["0"])[0])

    def again(error: EdlError) -> Phone:
        raise error

    disk = Disk(phone, place, rules=None, again=again, emit=bench.events.append)
    bench.virtual.unplug()
    assert read(disk, 0, 512) == (errno.EIO, b"")
    with pytest.raises(DeviceGoneError):
        read(disk, 0, 512)


def test_writes_are_there_at_once_and_on_the_phone_when_flushed(bench: phones.Bench) -> None:
    disk = disk_of(bench, "userdata", Rules())
    before = data_of(bench)
    assert write(disk, 1000, b"x" * 2000) == 0  # parts of sectors
    assert read(disk, 990, 20)[1] == before[MODEMST1 + 65536 + 990 :][:10] + b"x" * 10
    assert data_of(bench) == before
    assert flush(disk) == 0
    at = MODEMST1 + 65536 + 1000
    assert data_of(bench) == before[:at] + b"x" * 2000 + before[at + 2000 :]
    assert read(disk, 1000, 2000) == (0, b"x" * 2000)
    assert (disk.waiting_bytes, disk.written_bytes) == (0, 5 * 512)
    assert flush(disk) == 0
    assert history.records(disk._phone.serial) == []  # its journals have ended


def test_what_exists_only_once_is_not_overwritten(bench: phones.Bench) -> None:
    disk, before = disk_of(bench, "0", Rules()), data_of(bench)
    assert write(disk, MODEMST1 + 512, b"y" * 512) == errno.EPERM
    assert write(disk, MODEMST1 - 1024, b"y" * 2048) == errno.EPERM
    assert "--overwrite modemst1" in bench.notices[0]
    assert write(disk, MODEMST1 - 1024, b"z" * 1024) == 0
    assert flush(disk) == 0
    assert data_of(bench) == before[: MODEMST1 - 1024] + b"z" * 1024 + before[MODEMST1:]


def test_what_could_not_be_saved_first_is_not_overwritten(bench: phones.Bench) -> None:
    bench.flash.faults = Faults(unreadable=(Extent(0, MODEMST1 // 512, 1),))
    disk = disk_of(bench, "0", Rules(overwrite=("modemst1",)))
    before = data_of(bench)
    assert write(disk, MODEMST1 + 512, b"y" * 512) == 0
    assert flush(disk) == errno.EIO
    assert "cannot be saved first" in bench.notices[-1]
    assert data_of(bench) == before


def test_but_where_the_user_insists(bench: phones.Bench) -> None:
    disk = disk_of(bench, "0", Rules(overwrite=("modemst1",)))
    assert write(disk, MODEMST1 + 512, b"y" * 512) == 0
    assert flush(disk) == 0
    assert data_of(bench)[MODEMST1 + 512 :][:512] == b"y" * 512


def test_flash_that_keeps_nothing_is_eio(bench: phones.Bench) -> None:
    """What the phone does not hold is not called written, and waits for another try."""
    disk = disk_of(bench, "boot_a", Rules())
    bench.flash.faults = Faults(forgotten=(Extent(0, 0, 4096),))
    assert write(disk, 0, b"n" * 512) == 0
    assert flush(disk) == errno.EIO
    assert disk.waiting_bytes == 512
    bench.flash.faults = Faults()
    assert flush(disk) == 0
    assert read(disk, 0, 512) == (0, b"n" * 512)


def test_the_cable_comes_out_while_it_writes(bench: phones.Bench) -> None:
    disk = disk_of(bench, "boot_a", Rules())
    assert write(disk, 0, b"n" * 65536) == 0
    with bench.virtual.suffering([parse_fault("reset@program:0")]):
        assert flush(disk) == errno.EIO
    assert flush(disk) == 0
    assert data_of(bench)[40 * 512 :][:65536] == b"n" * 65536


def test_what_waits_is_bounded(bench: phones.Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edl.nbd.disk._MOST_WAITING_BYTES", 4096)
    disk = disk_of(bench, "boot_a", Rules())
    for at in range(0, 16384, 1024):
        assert write(disk, at, b"w" * 1024) == 0
        assert disk.waiting_bytes < 4096
    assert disk.written_bytes == 16384
