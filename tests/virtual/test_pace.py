# SPDX-License-Identifier: BSD-3-Clause
"""The modelled link and flash: how long transfers take, and what queueing them changes.

Expected times follow by hand from the rate, the packet size and the gap of 125 us.
"""

from __future__ import annotations

import time

import pytest
import usb.core

from edl.errors import UsageError
from edl.transport import discovery
from edl.transport.usb import UsbTransport
from edl.units import KIB, MIB
from edl.virtual.controller import Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.link import Firmware, Receive, Send
from edl.virtual.pace import GAP_US, Clock, Link, Pace, seconds
from edl.virtual.phone import Phone
from edl.virtual.profiles import parse_spec
from edl.virtual.usb import VirtualBackend
from tests.virtual.handmade import Client

PACKET_US = 12.8  # 512 bytes at 40 MB/s
PAYLOAD_US = 32 * PACKET_US


class Wired:
    """Software behind a modelled link of 40 MB/s."""

    def __init__(self, software: Firmware) -> None:
        self.clock, self.wire = Clock(), Link(40e6)
        controller = Controller(software, lambda _: None, clock=self.clock, wire=self.wire)
        self.backend = VirtualBackend()
        device = UsbDevice(controller, self.backend.new_port(), product="QUSB_BULK")
        self.backend.attach(device)

    def open(self) -> UsbTransport:
        transport = discovery.find(self.backend)[0].open()
        assert isinstance(transport, UsbTransport)
        return transport


def payloads(heard: list[bytes | None]) -> Firmware:
    while True:
        heard.append((yield Receive(16 * KIB)))


def speaker(count: int) -> Firmware:
    for number in range(count):
        yield Send(bytes([number]) * 16 * KIB)
    yield Receive(1)


def test_a_transfer_takes_its_packets_and_the_gap_before_it() -> None:
    heard: list[bytes | None] = []
    wired = Wired(payloads(heard))
    transport = wired.open()
    for _ in range(3):
        transport.write(bytes(16 * KIB), 1, zlp=True)
    assert wired.clock.now_us == pytest.approx(3 * (PAYLOAD_US + PACKET_US + 2 * GAP_US))
    assert wired.wire.data_bytes == 48 * KIB


def test_queued_transfers_follow_one_another() -> None:
    heard: list[bytes | None] = []
    wired = Wired(payloads(heard))
    transport = wired.open()
    for number in range(64):
        transport.post(bytes([number]) * 16 * KIB, 1, zlp=True)
        assert transport.underway_bytes <= 256 * KIB
    transport.finish(1)
    assert transport.underway_bytes == 0
    assert wired.clock.now_us == pytest.approx(GAP_US + 64 * (PAYLOAD_US + PACKET_US))
    assert wired.wire.busy_us == pytest.approx(64 * PAYLOAD_US)
    assert heard == [data for number in range(64) for data in (bytes([number]) * 16 * KIB, b"")]


def test_posted_reads_follow_one_another() -> None:
    wired = Wired(speaker(40))
    transport = wired.open()
    transport.listen(16 * KIB)
    heard = [bytes(transport.read(1)) for _ in range(40)]
    assert heard == [bytes([number]) * 16 * KIB for number in range(40)]
    assert wired.clock.now_us == pytest.approx(GAP_US + 40 * (PAYLOAD_US + PACKET_US))


def test_a_phone_that_speaks_first_finds_a_posted_read() -> None:
    heard: list[bytes | None] = []

    def late_log() -> Firmware:
        yield Send(b"logbuf")
        heard.append((yield Receive(64)))

    wired = Wired(late_log())
    transport = wired.open()
    transport.listen(16 * KIB)
    transport.write(b"command", 1)
    assert heard == [b"command"]
    assert bytes(transport.read(1)) == b"logbuf"
    assert wired.clock.now_us < 1000


def test_the_hosts_own_time_counts_where_it_is_measured() -> None:
    wired = Wired(payloads([]))
    ticks = iter(range(0, 10**9, 1_000_000))
    device = usb.core.find(backend=wired.backend)
    wired.clock.host = lambda: next(ticks)
    device.write(1, b"x")
    device.write(1, b"x")
    assert wired.clock.now_us == pytest.approx(1000 + 2 * (GAP_US + PACKET_US))


def test_a_clock_that_follows_the_computers(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 5_000_000
    slept: list[float] = []
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now_ns)
    monkeypatch.setattr(time, "sleep", slept.append)
    clock = Clock()
    clock.advance_to(1000)
    assert slept == []
    clock.follow()
    now_ns += 2_000_000  # somebody computes
    clock.enter()
    assert clock.now_us == 3000
    clock.advance_to(7000)
    now_ns += 9_000_000  # the sleep, and what else took the processor
    clock.advance_to(11_000)  # which the link did meanwhile
    assert slept == [pytest.approx(0.004), 0]
    clock.enter()
    assert clock.now_us == 12_000


def test_flash_takes_its_time() -> None:
    def took(options: str, command: str, answers: int) -> float:
        with Phone.create(f"qcm2290,size=64MiB{options}") as phone:
            client = Client(phone)
            client.start_programmer()
            client.configure()
            client.logs()
            before = phone.clock.now_us
            client.write(command.encode())
            for _ in range(answers):
                client.read()
            return phone.clock.now_us - before

    digest = (
        '<?xml version="1.0" ?><data><getsha256digest SECTOR_SIZE_IN_BYTES="512"'
        ' physical_partition_number="0" start_sector="0" num_partition_sectors="64000" /></data>'
    )
    size = 64000 * 512
    assert took("", digest, 3) == 0
    read = took(",flash-read=50MB/s", digest, 3)
    assert read == pytest.approx(size / 50, rel=0.001)
    assert took(",flash-hash=100MB/s", digest, 3) == pytest.approx(size / 100, rel=0.001)


def test_rates_and_payloads_are_read_from_the_command_line() -> None:
    spec = parse_spec("msm8953,link=40MB/s,flash-read=90MB/s,flash-write=9MB/s,flash-hash=400MB/s")
    assert spec.profile.pace == Pace(40e6, 90e6, 9e6, 400e6)
    assert parse_spec("msm8953,payload=16KiB").profile.payload_bytes == 16 * KIB
    assert seconds(MIB, None) == 0


@pytest.mark.parametrize(
    "option", ["link=40", "link=0MB/s", "flash-read=fast", "payload=1000", "payload=2MiB"]
)
def test_what_is_no_rate_or_payload(option: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(f"msm8953,{option}")
