# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import errno
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import usb.core

from edl.virtual.descriptors import FIREHOSE_PROTOCOL
from edl.virtual.phone import Phone
from edl.virtual.profiles import PROFILES, PhoneSpec
from edl.virtual.saved import State
from edl.virtual.usb import VirtualBackend
from tests import phones
from tests.conftest import REPO
from tests.virtual.disks import make_bootable
from tests.virtual.handmade import HELLO, IN, LOADERS, RESET, Client, find

ALL = pytest.mark.parametrize("profile", phones.ALL)


@ALL
def test_a_rescue_by_hand(profile: str) -> None:
    with Phone.create(profile) as phone:
        client = Client(phone)
        client.start_programmer()
        assert 'value="ACK"' in client.configure()
        data = random.Random(profile).randbytes(40 * phone.profile.sector_bytes)
        assert 'value="ACK" rawmode="false"' in client.program(64, data)
        assert client.read_back(64, 40) == data
        assert phone.storage.luns[0].read(64, 40) == data
        make_bootable(phone.storage)
        client.power("reset")
        assert find(phone) is None
        assert phone.exits == ["start", "reset"]
        assert phone.state is State.BOOTED
        assert phone.report is not None
        assert phone.report.boots


@ALL
def test_a_programmer_greets_as_its_generation_does(profile: str) -> None:
    with Phone.create(profile) as phone:
        logs = Client(phone).start_programmer()
        assert phone.state is State.PROGRAMMER
        match phone.profile.programmer:
            case "sdm660":
                assert logs[1] == "Chip serial num: 439041101 (0x1a2b3c4d)"
            case "qcm2290":
                assert logs[2] == "INFO: Chip serial num: 439041101 (0x1a2b3c4d)"
            case _:
                assert logs == []


def test_a_loader_of_another_chip_is_refused_and_a_reset_starts_over() -> None:
    with Phone.create("sdm660") as phone:
        client = Client(phone)
        refusal = client.upload((REPO / "loaders" / LOADERS["qcm2290"]).read_bytes())
        assert refusal[:12] == bytes.fromhex("04000000 10000000 0d000000")
        assert refusal[12:] != bytes(4)
        client.write(RESET)
        assert client.read() == bytes.fromhex("08000000 08000000")
        address = client.device.address
        client = Client(phone)
        assert client.device.address == address + 1
        assert client.read() == HELLO
        assert phone.state is State.BOOT_ROM


def test_a_reset_with_a_blank_disk_comes_back_in_edl_mode() -> None:
    with Phone.create("qcm2290") as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        client.power("reset")
        with pytest.raises(usb.core.USBError) as caught:
            client.device.read(IN, 512)
        assert caught.value.errno == errno.ENODEV
        assert phone.report is not None
        assert "The partition table at the beginning of LUN 0 is missing." in phone.report.findings
        assert Client(phone).read() == HELLO


@pytest.mark.parametrize("profile", ["sdm660", "qcm2290"])
def test_a_reset_to_edl_comes_back_even_if_the_phone_could_start(profile: str) -> None:
    with Phone.create(profile) as phone:
        make_bootable(phone.storage)
        client = Client(phone)
        client.start_programmer()
        client.configure()
        client.power("reset_to_edl")
        assert Client(phone).read() == HELLO
        assert phone.exits == ["start", "reset_to_edl"]
        assert phone.report is None


def test_a_phone_that_was_switched_off_stays_away() -> None:
    with Phone.create("sdm660") as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        client.power("off")
        assert find(phone) is None
        assert phone.state is State.OFF
        phone.enter_edl()
        assert Client(phone).read() == HELLO


def test_a_phone_can_be_unplugged_and_brought_back() -> None:
    with Phone.create("sdm660") as phone:
        old = find(phone)
        phone.unplug()
        assert phone.state is State.UNPLUGGED
        assert find(phone) is None
        phone.enter_edl()
        phone.enter_edl()
        new = find(phone)
        assert new.port_number == old.port_number
        assert new.address == old.address + 2


def test_software_that_hangs_stays_on_the_bus_and_is_mute() -> None:
    with Phone.create("sdm660") as phone:
        client = Client(phone)
        phone._exit("hang")
        assert phone.state is State.HUNG
        assert find(phone) is not None
        assert client.read() == HELLO  # was under way
        with pytest.raises(ValueError, match="reason"):
            phone._exit("boredom")


def test_a_programmer_can_come_back_at_superspeed() -> None:
    with Phone.create("qcm2290,usb3=yes") as phone:
        client = Client(phone)
        address = client.device.address
        logs = client.start_programmer()
        assert "INFO: End of supported functions 15" in logs
        assert client.device.address == address + 1
        assert client.packet_bytes == 1024
        assert client.device[0][0, 0].bInterfaceProtocol == FIREHOSE_PROTOCOL
        client.configure()
        data = random.Random(5).randbytes(1 << 20)
        assert 'value="ACK" rawmode="false"' in client.program(100, data)
        assert client.read_back(100, 2048) == data


def test_two_phones_on_one_bus() -> None:
    backend = VirtualBackend()
    with (
        Phone.create("sdm660,serial=1", backend=backend) as first,
        Phone.create("msm8916,serial=2", backend=backend) as second,
    ):
        found: list[Any] = list(usb.core.find(find_all=True, backend=backend))
        assert [device.product[-1] for device in found] == ["1", "2"]
        clients = [Client(first), Client(second)]
        clients[1].device = found[1]
        clients[1].start_programmer()
        clients[0].start_programmer()
        assert first.exits == second.exits == ["start"]


def test_a_maker_may_have_its_own_ids() -> None:
    with Phone.create("sdm660,ids=0fce:9dde") as phone:
        assert find(phone) is None
        device: Any = usb.core.find(idVendor=0x0FCE, idProduct=0x9DDE, backend=phone.backend)
        assert bytes(device.read(IN, 512)) == HELLO


def test_a_phone_that_no_profile_describes(tmp_path: Path) -> None:
    profile = PROFILES["sdm660"]
    rom = replace(profile.rom, version=3, short_hello=False)
    spec = PhoneSpec(replace(profile, rom=rom))
    with Phone.create(spec) as phone:
        assert Client(phone).read() == HELLO[:8] + b"\x03" + HELLO[9:]
    with pytest.raises(ValueError, match="text form"):
        Phone.create(spec, tmp_path)


def test_a_locked_programmer_refuses() -> None:
    with Phone.create("sdm660,lock=xiaomi") as phone:
        client = Client(phone)
        client.start_programmer()
        assert 'value="NAK"' in client.command("read", **client.extent(0, 1))


def test_read_only_flash_refuses() -> None:
    with Phone.create("sdm660,flash=read-only") as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        assert 'value="NAK"' in client.program(64, bytes(512))


def test_a_fault_of_the_specification_strikes() -> None:
    with Phone.create("sdm660,fault=unplug@out:70000") as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        with pytest.raises(usb.core.USBError) as caught:
            client.program(64, bytes(32768))
        assert caught.value.errno == errno.ENODEV
        assert phone.state is State.UNPLUGGED
        assert phone.exits == ["start", "unplug"]


def test_dozens_of_megabytes_reach_the_flash_and_come_back() -> None:
    data = random.Random(6).randbytes(1 << 20) * 24
    with Phone.create("msm8953") as phone:
        client = Client(phone)
        client.start_programmer()
        client.configure()
        assert 'value="ACK"' in client.program(1024, data)
        assert client.read_back(1024, len(data) // 512) == data
