# SPDX-License-Identifier: BSD-3-Clause
"""A new layout beside the old one: sizes as JESD220 computes them, and all that speaks against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edl.device.ufs import UfsDevice, UfsLun, device_of, lun_of
from edl.firehose.answers import StorageInfo, parse_storage_info
from edl.formats.provision import read_provision
from edl.plan.provisioning import Provisioning, Storage, as_rows, differences, provisioning
from edl.units import GIB, MIB
from tests.conftest import shared
from tests.unit.test_provision import lun, whole

UNIT = 4 * MIB
# of 64 GiB; memory of type 3 (enhanced 1) costs three times its size
DEVICE = UfsDevice(
    64 * GIB, UNIT, 6, 0x3F, locked=False, boots=True, memory_types=0x801F,
    factors=(0x300, 0x100, None, None),
)  # fmt: skip


def made(
    data: bytes,
    device: UfsDevice = DEVICE,
    *,
    finalize: bool = False,
    **storage: Any,  # noqa: ANN401
) -> Provisioning:
    layout = read_provision(data, "p.xml")
    return provisioning(layout, Storage(device, **storage), finalize=finalize)


def codes(wanted: Provisioning) -> dict[str, str]:
    return {each.code: str(each.severity) for each in wanted.findings}


def as_asked(size: int = UNIT, boot: int = 0, memory: int = 0) -> UfsLun:
    return UfsLun(size, boot, memory, 0, 2)


def test_sizes() -> None:
    wanted = made(whole(luns=(lun(4, size_in_kb=10 * 1024),)))
    then = {each.lun: each.then_bytes for each in wanted.changes}
    # LUN 1 and 2 take 3 units each, LUN 4 is rounded to 3 units: 9 units are not for LUN 0
    assert then == {0: 64 * GIB - 9 * UNIT, 1: UNIT, 2: UNIT, 4: 3 * UNIT}
    assert codes(wanted) == {"rounded": "info"}


def test_what_grows_in_expensive_memory() -> None:
    data = whole(end={"LUNtoGrow": 1})
    then = {each.lun: each.then_bytes for each in made(data).changes}
    left = 64 * GIB // UNIT - 1 - 3
    assert then[1] == left * 256 // 0x300 * UNIT


def test_what_is_not_told_is_not_made_up() -> None:
    wanted = made(whole(), UfsDevice())
    assert [each.then_bytes for each in wanted.changes] == [None, 4096 * 1024, 4096 * 1024]
    assert codes(wanted) == {"not-told": "warning"}
    assert not wanted.errors
    assert wanted.loses
    assert not wanted.same


@pytest.mark.parametrize(
    ("device", "keywords", "code"),
    [
        ({"locked": True}, {}, "layout-locked"),
        ({"capacity_bytes": 7 * UNIT - 1}, {}, "too-large"),
        ({"memory_types": 0x8007}, {}, "no-such-memory"),
        ({}, {"generation": 1}, "pretends"),
        ({}, {"knows": False}, "no-ufs-command"),
        ({}, {"finalize": True}, "does-not-lock"),
    ],
)
def test_what_stops_it(device: dict[str, Any], keywords: dict[str, Any], code: str) -> None:
    wanted = made(whole(), replace(DEVICE, **device), **keywords)
    assert codes(wanted)[code] == "error"
    assert {each.code for each in wanted.errors} == {code}


def test_a_file_that_locks_must_be_asked_for() -> None:
    data = whole({"bConfigDescrLock": 1})
    assert codes(made(data))["locks"] == "error"
    assert not made(data, finalize=True).errors


def test_doubts_about_the_file_are_told() -> None:
    assert codes(made(whole({"bBootEnable": 0})))["provision-doubt"] == "warning"


def test_the_same_again() -> None:
    luns = {0: as_asked(64 * GIB - 6 * UNIT), 1: as_asked(UNIT, 1, 3),
            2: as_asked(UNIT, 2, 3)}  # fmt: skip
    assert made(whole(), luns=luns).same
    assert not made(whole(), luns={**luns, 3: as_asked()}).same
    other = made(whole(), luns={**luns, 2: as_asked(UNIT, 1, 0)})
    assert not other.same
    assert as_rows(other)[2]["odd"] == ["bBootLunID 1 -> 2", "bMemoryType 0 -> 3"]


def test_rows_for_programs() -> None:
    rows = as_rows(made(whole(), luns={3: UfsLun(None, None, None, None, None)}))
    assert rows[1] == {
        "lun": 1, "now_bytes": None, "bytes": UNIT, "grows": False, "boot": 1,
        "memory": "enhanced 1", "write_protect": "no", "about": "LU 0 - User LUN", "odd": [],
    }  # fmt: skip
    assert (rows[3]["bytes"], rows[3]["memory"]) == (0, None)


def test_what_it_became() -> None:
    right = {0: as_asked(60 * GIB), 1: as_asked(UNIT, 1, 3), 2: as_asked(UNIT, 2, 3)}
    wanted = made(whole(), luns={5: as_asked()})
    assert differences(wanted, right) == ()
    wrong = {0: as_asked(MIB), 1: as_asked(2 * UNIT, 1, 0), 5: as_asked()}
    assert differences(wanted, wrong) == (
        "LUN 0 has 1 MiB",
        "LUN 1 has 8 MiB",
        "LUN 1: bMemoryType 0 -> 3",
        "LUN 2 is not there",
        "LUN 5 is still there",
    )
    # where nobody tells the unit, nobody knows how sizes are rounded
    unknown = made(whole(), replace(DEVICE, unit_bytes=None))
    assert differences(unknown, {**right, 1: as_asked(2 * UNIT, 1, 3)}) == ()
    assert differences(unknown, {**right, 1: as_asked(MIB, 1, 3)}) == ("LUN 1 has 1 MiB",)


def test_a_real_phones_words() -> None:
    """The transcript of a phone with 6 LUNs; its capacity is 119 GiB, as its maker sells it."""
    text = shared("logs/EDLTests-readme-raw.txt").read_text()
    lines = [part.split('"')[0] for part in text.split('<log value="')[1:]]
    device = device_of(parse_storage_info(lines))
    assert (device.capacity_bytes, device.unit_bytes) == (0xEE64000 * 512, UNIT)
    assert (device.active, device.mask, device.luns) == (6, 0x3F, (0, 1, 2, 3, 4, 5))
    assert not device.unprovisioned


def test_devices_that_tell_little() -> None:
    silent = device_of(StorageInfo())
    assert silent == UfsDevice(factors=(None,) * 4)
    assert (silent.is_told, silent.unprovisioned, silent.luns) == (False, False, None)
    assert silent.has_memory(6)
    assert silent.takes(5, 9) == 5
    empty = device_of(StorageInfo(extra={"UFS Total Active LU": "0x0", "UFS bConfigDescrLock": "x",
                                         "UFS Boot Partition Enabled": "0x1"}))  # fmt: skip
    assert (empty.unprovisioned, empty.luns, empty.locked, empty.boots) == (True, (), None, True)
    assert UfsDevice(active=3).luns is None
    assert device_of(StorageInfo(extra={"UFS Total Active LU": "1" * 21})).active is None
    assert lun_of(StorageInfo(sectors=2, sector_bytes=4096)).size_bytes == 8192
    assert lun_of(StorageInfo()) == UfsLun(None, None, None, None, None)
