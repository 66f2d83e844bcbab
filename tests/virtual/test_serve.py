# SPDX-License-Identifier: BSD-3-Clause
"""One suite for every way to a phone: the bus in this process, a serial port, USB/IP."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator

import pytest

from edl.device.phone import Wishes
from edl.errors import DeviceGoneError, ReadFailedError, WriteFailedError
from edl.firehose.commands import Area, Power
from edl.transport.serial import SerialTransport
from edl.virtual import storage as flash
from edl.virtual.profiles import PhoneSpec
from edl.virtual.saved import State
from tests import builds, phones
from tests.virtual.serving import Served, UsbIpTransport, on_pty, over_usbip

WAYS = ("usb", "pty", "pty without ends", "usbip")
_PROFILES = ("msm8916", "sdm660", "qcm2290-ufs")


@contextlib.contextmanager
def plug(way: str, spec: PhoneSpec, *, running: bool = False) -> Iterator[phones.Bench]:
    """Plug a phone in, for a host that reaches it on that way."""
    with phones.plug(spec, running=running) as bench:
        if way == "usb":
            yield bench
            return
        served = Served(bench.virtual)
        with contextlib.ExitStack() as stack:
            stack.callback(served.hang_up)
            if way.startswith("pty"):
                zlp = way == "pty"  # like QDLoader; else like qcserial
                next_name, served.join = stack.enter_context(on_pty(bench.virtual, zlp=zlp))
                served.opener = lambda: SerialTransport(next_name(), sends_zlp=zlp)
            else:
                address, served.join = stack.enter_context(over_usbip(bench.virtual))
                served.opener = lambda: UsbIpTransport(address)
            yield served


def _end(bench: phones.Bench) -> None:
    """Wait until the phone may be looked at again."""
    bench.hang_up()
    if isinstance(bench, Served):
        bench.end()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("profile", _PROFILES)
def test_a_phone_is_identified_written_and_read(way: str, profile: str) -> None:
    with plug(way, phones.spec(profile)) as bench:
        phone = bench.connect()
        fuses = bench.virtual.profile.rom.fuses
        assert phone.identity.serial == fuses.serial
        assert phone.identity.hwid == fuses.hwid
        assert phone.sector_bytes == bench.virtual.profile.sector_bytes
        assert phone.luns[0].sectors == bench.virtual.profile.lun_sectors[0]

        unit = phone.sector_bytes
        data = hashlib.shake_256(b"content").digest(1024 * 1024 + 3 * unit)
        area = Area(0, 64, len(data) // unit, unit)
        moved: list[int] = []
        phone.programmer.program(area, [memoryview(data)], moved=moved.append)
        assert sum(moved) == len(data)
        got = bytearray()
        phone.programmer.read(area, got.extend)
        assert bytes(got) == data
        if phone.programmer.generation > 1:
            assert phone.programmer.sha256(area) == hashlib.sha256(data).digest()

        phone.programmer.power(Power.OFF)
        _end(bench)
        assert bench.virtual.state is State.OFF
        assert bench.flash.luns[0].digest(64, area.sectors) == hashlib.sha256(data).digest()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("profile", ["msm8953", "qcm2290-ufs"])
def test_a_package_brings_a_phone_back(
    way: str, profile: str, golden: Callable[[str], builds.Build]
) -> None:
    made = golden("sdm845-db845c-ufs" if profile.endswith("ufs") else "qrb2210-rb1-emmc")
    with plug(way, phones.spec(profile, sectors=made.disk_sectors)) as bench:
        outcome = phones.write_package(bench, made.folder)
        report = outcome.report
        assert report.verified_bytes == report.written_bytes + report.unchanged_bytes
        assert report.written_bytes > 0
        _end(bench)
        assert bench.virtual.state is State.BOOTED
        assert bench.virtual.exits == ["start", "reset"]
        for row in made.expected["extents"]:
            there = bench.flash.luns[row["lun"]].digest(row["start_sector"], row["sectors"])
            assert there.hex() == row["sha256"]


@pytest.mark.parametrize("way", WAYS)
def test_a_running_programmer_is_taken_over(way: str) -> None:
    with plug(way, phones.spec("sdm660"), running=True) as bench:
        phone = bench.connect()
        assert phone.attached
        assert phone.luns[0].sectors == bench.virtual.profile.lun_sectors[0]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_phone_cannot_do_is_told(way: str) -> None:
    broken = flash.Faults(unreadable=(flash.Extent(0, 100, 1),), read_only=True)
    with plug(way, phones.spec("sdm660", broken=broken)) as bench:
        programmer = bench.connect().programmer
        with pytest.raises(ReadFailedError):
            programmer.read(Area(0, 64, 128, 512), lambda _: None)
        with pytest.raises(WriteFailedError):
            programmer.program(Area(0, 64, 128, 512), [memoryview(bytes(128 * 512))])


@pytest.mark.parametrize("way", WAYS)
def test_a_phone_that_leaves_is_gone(way: str) -> None:
    with plug(way, phones.spec("qcm2290", faults=("unplug@out:2000000",))) as bench:
        programmer = bench.connect(Wishes(identify=False)).programmer
        area = Area(0, 0, 8192, 512)
        with pytest.raises(DeviceGoneError):
            programmer.program(area, [memoryview(bytes(area.size_bytes))])
        _end(bench)
        assert bench.virtual.state is State.UNPLUGGED


@pytest.mark.parametrize("way", WAYS)
def test_a_boot_rom_whose_greeting_another_program_took(way: str) -> None:
    with plug(way, phones.spec("sdm660", rom={"hello_eaten": True})) as bench:
        assert bench.connect().programmer.memory == "emmc"
        assert len(bench.loaders_asked) == 1
