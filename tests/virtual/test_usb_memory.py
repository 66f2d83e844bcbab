# SPDX-License-Identifier: BSD-3-Clause
"""What is posted lies in memory that Linux lends to all programs together: 16 MiB.

Documentation/admin-guide/kernel-parameters.txt, usbcore.usbfs_memory_mb; drivers/usb/core/devio.c.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edl.errors import TransportError, TransportTimeoutError
from edl.transport import discovery, usb
from edl.transport.usb import UsbTransport
from edl.units import KIB, MIB
from edl.virtual.controller import Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.link import Firmware, Receive, Send
from edl.virtual.usb import VirtualBackend

DATA = bytes(range(256)) * 4 * KIB


class Bus:
    """Phones that keep what they hear, or say something first."""

    def __init__(self) -> None:
        self.backend = VirtualBackend()
        self.memory = self.backend._memory

    def phone(self, said: bytes = b"") -> tuple[UsbTransport, list[bytes]]:
        heard: list[bytes] = []

        def software() -> Firmware:
            if said:
                yield Send(said)
            while True:
                heard.append((yield Receive(MIB)))

        controller = Controller(software(), lambda _: None)
        self.backend.attach(UsbDevice(controller, self.backend.new_port(), product="QUSB_BULK"))
        transport = discovery.find(self.backend)[-1].open()
        assert isinstance(transport, UsbTransport)
        return transport, heard


@pytest.fixture
def bus() -> Iterator[Bus]:
    before = set(usb._listening)
    yield Bus()
    for transport in set(usb._listening) - before:
        transport.close()


@pytest.mark.parametrize("count", [1, 3, 8, 24])
def test_all_phones_are_served_at_once(bus: Bus, count: int) -> None:
    phones = [bus.phone() for _ in range(count)]
    for transport, _ in phones:
        transport.listen(0)
    for _ in range(3):
        for transport, _ in phones:
            transport.post(DATA, 1, zlp=True)
    for transport, heard in phones:
        transport.finish(1)
        assert b"".join(heard) == DATA * 3
        assert [each for each in heard if each not in {DATA, b""}] == []  # transfers stay whole
        transport.close()
    assert bus.memory._lent_bytes == 0


def test_one_phone_alone_may_have_two_transfers_under_way(bus: Bus) -> None:
    transport, heard = bus.phone()
    transport.post(DATA, 1)
    transport.post(DATA, 1)
    assert (transport.underway_bytes, heard) == (2 * MIB, [])


def test_a_transfer_comes_in_parts_where_there_are_many_phones(bus: Bus) -> None:
    with ExitStack() as opened:
        for _ in range(15):
            transport, _ = bus.phone()
            opened.callback(transport.close)
            transport.listen(MIB)
        speaker, _ = bus.phone(DATA)
        speaker.listen(MIB)
        parts: list[bytes] = []
        while sum(map(len, parts)) < MIB:
            parts.append(bytes(speaker.read(1)))
        assert b"".join(parts) == DATA
        assert {len(part) % (16 * KIB) for part in parts} == {0}


def test_what_others_give_back_is_waited_for(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    transport, heard = bus.phone()
    transport.listen(16 * KIB)
    others = 16 * MIB - bus.memory._lent_bytes
    bus.memory.lend(others)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            bus.memory.lend(-others)

    monkeypatch.setattr("edl.transport.usb.time.sleep", sleep)
    transport.post(DATA, 60)
    transport.finish(1)
    assert (heard, len(waits)) == ([DATA], 3)


def test_own_transfers_make_room_for_the_next(bus: Bus) -> None:
    transport, heard = bus.phone()
    bus.memory.lend(15 * MIB)
    transport.post(DATA, 1)
    transport.post(DATA, 1)
    assert transport.underway_bytes == MIB
    transport.finish(1)
    assert heard == [DATA, DATA]


def test_reads_are_fewer_or_none(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    transport, _ = bus.phone(b"said")
    bus.memory.lend(15 * MIB - 32 * KIB)
    transport.listen(MIB)
    assert len(transport._coming_in) == 1
    assert bytes(transport.read(1)) == b"said"
    second, _ = bus.phone()
    bus.memory.lend(16 * MIB - bus.memory._lent_bytes)
    monkeypatch.setattr(usb, "_PATIENCE_S", 0)
    with pytest.raises(TransportError, match="no memory left") as caught:
        second.listen(MIB)
    assert not isinstance(caught.value, TransportTimeoutError)
    assert "usbfs_memory_mb" in caught.value.remedies[-1]


@pytest.mark.parametrize("what", ["post", "next post", "listen"])
def test_other_errors_are_no_reason_to_wait(bus: Bus, what: str) -> None:
    transport, _ = bus.phone()
    if what == "next post":
        transport.post(DATA, 1)
    [device] = bus.backend.enumerate_devices()
    device.controller.unplug()
    with pytest.raises(TransportError, match="left the USB bus"):
        transport.listen(MIB) if what == "listen" else transport.post(DATA, 1)


def test_phones_that_are_closed_count_no_more(bus: Bus) -> None:
    before = usb._fair_bytes()
    transports = [bus.phone()[0] for _ in range(3)]
    for transport in transports:
        transport.listen(MIB)
    assert usb._fair_bytes() < before
    for transport in transports:
        transport.close()
    assert usb._fair_bytes() == before


def test_the_memory_is_counted_by_all_threads(bus: Bus) -> None:
    def work() -> None:
        for _ in range(200):
            bus.memory.lend(64)
            bus.memory.lend(-64)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bus.memory._lent_bytes == 0
