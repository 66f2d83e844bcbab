# SPDX-License-Identifier: BSD-3-Clause
"""Dividing UFS anew: what the virtual phone does, and what the session makes of its words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edl.device import provisioning, ufs
from edl.device.firehose import Programmer
from edl.device.phone import Phone, Wishes
from edl.device.storage import Storage
from edl.errors import (
    DeviceRefusedError,
    ImageError,
    TransportTimeoutError,
    UnprovisionedError,
    UsageError,
    WrongStorageError,
)
from edl.formats.provision import Layout, read_provision
from edl.plan import job
from edl.units import MIB
from edl.virtual.faults import parse_fault
from edl.virtual.layout import FILE_NAME
from edl.virtual.layout import Layout as Division
from edl.virtual.phone import Phone as VirtualPhone
from edl.virtual.profiles import parse_spec
from tests.phones import Bench, Script, plug
from tests.unit.test_provision import lun, whole

BLANK = "qcm2290-ufs,flash=blank"
UNTOUCHED = Wishes(untouched=True)
OTHERS = pytest.mark.parametrize("flash", ["blank", "unprovisioned"])


def layout(data: bytes = b"") -> Layout:
    return read_provision(data or whole(luns=(lun(4, size_in_kb=9000),)), "p.xml")


def firehose(phone: Phone) -> Programmer:
    assert isinstance(phone.programmer, Programmer)
    return phone.programmer


def divide(programmer: Programmer, wanted: Layout) -> bool:
    provisioning.collect(programmer, wanted)
    return provisioning.commit(programmer, wanted)


def sizes(bench: Bench) -> dict[int, int]:
    return {number: each.sectors * 4096 for number, each in bench.flash.luns.items()}


@OTHERS
def test_storage_without_luns_is_recognised_and_not_touched(flash: str) -> None:
    with plug(f"qcm2290-ufs,flash={flash}") as bench:
        phone = bench.connect()
        assert phone.unprovisioned
        assert bench.stages["storage"] == "UFS, VIRTUAL-UFS-00010100, no LUNs: unprovisioned"
        storage = Storage(phone)
        with pytest.raises(UnprovisionedError):
            list(storage.luns())
        with pytest.raises(UnprovisionedError):
            job.geometry(storage, {0})
        with pytest.raises(UnprovisionedError, match="has no LUNs"):
            storage.sectors(0)
        opened = [event[2] for event in bench.flash.events if event[0] == "ufs-open"]
        assert set(opened) == {ufs.DEVICE_LUN}
        # so that it can still be provisioned, in the same session
        assert divide(firehose(phone), layout())
        assert sizes(bench)[1] == 4 * MIB


def test_a_commit() -> None:
    with plug(BLANK) as bench:
        phone = bench.connect(UNTOUCHED)
        total = bench.flash.capacity_bytes
        before = bench.virtual_seconds
        provisioning.rehearse(firehose(phone), layout())
        assert bench.flash.layout is None
        assert divide(firehose(phone), layout())
        assert bench.virtual_seconds - before > 10  # nobody gave up early
        # 3 times 4 MiB and 12 MiB, in allocation units of 4 MiB; the rest is for LUN 0
        assert sizes(bench) == {0: total - 20 * MIB, 1: 4 * MIB, 2: 4 * MIB, 4: 12 * MIB}
        bench.enter_edl()
        phone = bench.connect(UNTOUCHED)
        assert phone.device is not None
        assert ufs.device_of(phone.device).luns == (0, 1, 2, 4)
        assert ufs.lun_of(phone.lun(2)) == ufs.UfsLun(4 * MIB, 2, 3, 0, 2)


def test_what_was_asked_for_a_lun_before_is_spoilt() -> None:
    """As a real phone was by a host that looked for the size of its sectors (qdl#297)."""
    with plug(BLANK) as bench:
        phone = bench.connect(UNTOUCHED)
        with pytest.raises(WrongStorageError):
            phone.programmer.storage_info(0)
        with pytest.raises(DeviceRefusedError, match="restart") as caught:
            divide(firehose(phone), layout())
        assert "ERROR: ufs_open(0, WLUN_DEV) failed for configure" in caught.value.device_log
        bench.hang_up()
        with pytest.raises(WrongStorageError, match="does not answer") as told:
            bench.connect(UNTOUCHED)
        assert "edl reset --mode edl" in told.value.remedies[0]
        bench.enter_edl()
        assert divide(firehose(bench.connect(UNTOUCHED)), layout())


@pytest.mark.parametrize(
    ("phone", "data"),
    [
        (f"{BLANK},layout=locked", whole()),
        (BLANK, whole(luns=(lun(3, size_in_kb=1 << 30),))),
        (BLANK, whole(luns=(lun(3, bMemoryType=6),))),
    ],
    ids=["locked", "too large", "no such memory"],
)
def test_what_the_device_does_not_take(phone: str, data: bytes) -> None:
    with plug(phone) as bench:
        programmer = firehose(bench.connect(UNTOUCHED))
        with pytest.raises(DeviceRefusedError, match="did not take this layout") as caught:
            divide(programmer, layout(data))
        assert caught.value.device_log[-3:] == (
            "ERROR: UFS Error -22 (3)",
            "ERROR: Configure Failed slot 0",
            "ERROR: Failed to configure device, type:UFS, slot:0",
        )
        assert bench.flash.layout is None


def test_a_layout_that_locks() -> None:
    with plug(BLANK) as bench:
        programmer = firehose(bench.connect(UNTOUCHED))
        assert divide(programmer, layout(whole({"bConfigDescrLock": 1})))
        with pytest.raises(DeviceRefusedError):
            divide(programmer, layout())


def test_a_phone_that_leaves_instead_of_an_answer() -> None:
    with plug(BLANK) as bench:
        programmer = firehose(bench.connect(UNTOUCHED))
        # six rows, of which each brings a log and an answer
        bench.virtual.injector.add([parse_fault("unplug@in-transfer:11")])
        assert not divide(programmer, layout())
        assert bench.flash.layout is not None


def test_a_phone_that_does_not_answer() -> None:
    programmer = Programmer(Script(*[b'<data><response value="ACK" rawmode="false" /></data>'] * 5))
    with pytest.raises(TransportTimeoutError):
        divide(programmer, layout())


def test_emmc_is_told_at_once() -> None:
    with plug("msm8916") as bench, pytest.raises(WrongStorageError, match="The phone has eMMC"):
        bench.connect(UNTOUCHED)


def test_generation_2_may_tell_nothing() -> None:
    with plug("sdm660") as bench:
        phone = bench.connect(UNTOUCHED)
        assert (phone.device, phone.luns, phone.unprovisioned) == (None, {}, False)


def test_emmc_behind_a_programmer_that_says_yes() -> None:
    with plug("qcm2290") as bench, pytest.raises(WrongStorageError, match="does not answer"):
        bench.connect(UNTOUCHED)


def test_the_layout_stays_with_the_phone(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    with VirtualPhone.create("qcm2290-ufs,luns=64MiB+8MiB+8MiB,flash=blank", folder) as phone:
        phone.storage.luns[0].write(0, b"x" * 4096)
        phone.storage.divide(Division({0: 60 * MIB, 3: 4 * MIB}, boot_ids={3: 1}))
        phone.storage.luns[3].write(5, b"y" * 4096)
    with VirtualPhone.open(folder) as phone:
        assert {number: lun.sectors for number, lun in phone.storage.luns.items()} == {
            0: 60 * MIB // 4096,
            3: 4 * MIB // 4096,
        }
        assert phone.storage.luns[0].read(0, 1) == bytes(4096)
        assert phone.storage.luns[3].read(5, 1) == b"y" * 4096
        assert set(phone.storage.opening) == {0, 3}


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"sizes": {}}', '{"sizes": {"0": 5}}', '{"sizes": {"9": 4096}}', '{"x": 1}'],
)
def test_a_damaged_layout_is_told(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "phone"
    VirtualPhone.create("qcm2290-ufs,luns=8MiB", folder).close()
    (folder / FILE_NAME).write_text(content)
    with pytest.raises(ImageError, match="describes no layout"):
        VirtualPhone.open(folder)


def test_only_ufs_has_a_layout() -> None:
    assert parse_spec("qcm2290-ufs,layout=open").profile.locked is False
    for text in ("qcm2290,layout=locked", "qcm2290-ufs,layout=x", "qcm2290,flash=blank"):
        with pytest.raises(UsageError):
            parse_spec(text)


def test_a_saved_layout_is_plain_json(tmp_path: Path) -> None:
    Division({0: 4096}, locked=1).write(tmp_path)
    assert json.loads((tmp_path / FILE_NAME).read_text())["locked"] == 1
    assert Division.read(tmp_path) == Division({0: 4096}, locked=1)
