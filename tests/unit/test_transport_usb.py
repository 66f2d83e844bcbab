# SPDX-License-Identifier: BSD-3-Clause
"""Transfers through pyusb: what libusb does with them is told in the research, sahara.md 13.6."""

from __future__ import annotations

import array
import errno
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import usb.core
import usb.util

from edl.errors import (
    AccessError,
    DeviceGoneError,
    TransportError,
    TransportTimeoutError,
)
from edl.transport import discovery
from edl.transport.usb import READ_BYTES, UsbTransport, endpoints
from edl.virtual.controller import SUPER_SPEED_PACKET_BYTES, Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Injector, parse_fault
from edl.virtual.link import Exit, Firmware, Receive, Send, Sleep
from edl.virtual.usb import VirtualBackend


class Plugged:
    """Software on a device on a bus of its own, and a transport to it."""

    def __init__(
        self,
        software: Firmware,
        *faults: str,
        packet_bytes: int = 512,
        kernel_drivers: bool = True,
        **device: Any,  # noqa: ANN401
    ) -> None:
        injector = Injector(map(parse_fault, faults))
        self.left: list[str] = []
        self.controller = Controller(
            software, self.left.append, packet_bytes=packet_bytes, injector=injector
        )
        self.backend = VirtualBackend(kernel_drivers=kernel_drivers)
        self.device = UsbDevice(
            self.controller,
            self.backend.new_port(),
            product="QUSB_BULK",
            injector=injector,
            **device,
        )
        self.backend.attach(self.device)

    def open(self) -> UsbTransport:
        [found] = discovery.find(self.backend)
        return found.open()


def listener(heard: list[bytes], max_bytes: int = 1 << 22) -> Firmware:
    while True:
        heard.append((yield Receive(max_bytes)))


def speaker(*sendings: bytes) -> Firmware:
    for data in sendings:
        yield Send(data)
    yield Receive(1)


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Return the types of what reaches pyusb from now on."""
    seen: list[type] = []
    write, read = usb.core.Device.write, usb.core.Device.read

    def watched_write(self: Any, endpoint: int, data: Any, timeout: int) -> int:  # noqa: ANN401
        seen.append(type(data))
        count: int = write(self, endpoint, data, timeout)
        return count

    def watched_read(self: Any, endpoint: int, buffer: Any, timeout: int) -> int:  # noqa: ANN401
        seen.append(type(buffer))
        count: int = read(self, endpoint, buffer, timeout)
        return count

    monkeypatch.setattr(usb.core.Device, "write", watched_write)
    monkeypatch.setattr(usb.core.Device, "read", watched_read)
    return seen


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_only_arrays_reach_pyusb(kind: type, types: list[type]) -> None:
    """It takes a memoryview too, byte by byte, at 16 MiB a second."""
    heard: list[bytes] = []

    def software() -> Firmware:
        heard.append((yield Receive(4096)))
        yield Send(b"answer")
        yield Receive(1)

    transport = Plugged(software()).open()
    transport.write(kind(b"command"), 1)
    assert bytes(transport.read(1)) == b"answer"
    transport.close()
    assert heard == [b"command"]
    assert types == [array.array, array.array]


# -- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet_bytes", [512, SUPER_SPEED_PACKET_BYTES])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 1024, 1536, 16384, 16385])
@pytest.mark.parametrize("zlp", [False, True])
def test_a_zero_length_packet_only_behind_full_packets_and_when_asked(
    size: int, zlp: bool, packet_bytes: int, types: list[type]
) -> None:
    heard: list[bytes] = []
    transport = Plugged(listener(heard), packet_bytes=packet_bytes).open()
    data = random.Random(size).randbytes(size)
    transport.write(data, 1, zlp=zlp)
    closed = zlp and size % packet_bytes == 0
    assert len(types) == (size > 0) + closed
    if closed or size % packet_bytes:
        assert heard == [data]
    else:
        assert heard == []  # the transfer is open
    transport.close()


def test_a_large_transfer_is_one_transfer() -> None:
    heard: list[bytes] = []
    transport = Plugged(listener(heard)).open()
    data = random.Random(0).randbytes(3 << 20)
    transport.write(data, 1, zlp=True)
    assert heard == [data]
    transport.close()


def test_a_phone_that_takes_a_part_is_given_the_rest() -> None:
    heard: list[bytes] = []

    def software() -> Firmware:
        heard.append((yield Receive(4096)))
        yield Sleep(1.5)  # longer than one transfer may take
        heard.append((yield Receive(8192)))

    transport = Plugged(software()).open()
    data = random.Random(0).randbytes(4096 + 8192)
    transport.write(data, 1)
    assert b"".join(heard) == data
    transport.close()


def test_a_phone_that_stops_taking_is_told_with_what_it_took() -> None:
    def software() -> Firmware:
        yield Receive(4096)
        yield Sleep(1000)

    transport = Plugged(software()).open()
    with pytest.raises(TransportTimeoutError) as caught:
        transport.write(bytes(10000), 1, zlp=True)
    assert caught.value.done_bytes == 4096
    with pytest.raises(TransportTimeoutError) as caught:
        transport.write(bytes(10), 1)
    assert caught.value.done_bytes == 0
    transport.close()


def test_a_phone_that_takes_all_but_the_end_of_the_transfer() -> None:
    def software() -> Firmware:
        yield Receive(1024)
        yield Sleep(1000)

    transport = Plugged(software()).open()
    with pytest.raises(TransportTimeoutError) as caught:
        transport.write(bytes(1024), 1, zlp=True)
    assert caught.value.done_bytes == 1024
    transport.close()


def test_time_that_runs_out_with_a_part_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def software() -> Firmware:
        yield Receive(512)
        yield Sleep(1000)

    transport = Plugged(software()).open()
    clock = iter(range(100))
    monkeypatch.setattr("edl.transport.usb.time.monotonic", lambda: next(clock))
    with pytest.raises(TransportTimeoutError, match="after 512 bytes") as caught:
        transport.write(bytes(1000), 2)
    assert caught.value.done_bytes == 512
    transport.close()


# -- reading --------------------------------------------------------------------------------------


def test_one_read_is_one_transfer() -> None:
    sendings = [b"a", b"b" * 512, b"c" * 16384, b"d" * (1 << 20), b"e" * 100]
    transport = Plugged(speaker(*sendings)).open()
    for sent in sendings:
        assert bytes(transport.read(1)) == sent
    with pytest.raises(TransportTimeoutError):
        transport.read(1)
    transport.close()


@pytest.mark.parametrize("packet_bytes", [512, SUPER_SPEED_PACKET_BYTES])
def test_the_buffer_is_whole_packets_so_that_nothing_overflows(packet_bytes: int) -> None:
    data = random.Random(1).randbytes(READ_BYTES + 12345)
    transport = Plugged(speaker(data), packet_bytes=packet_bytes).open()
    first = bytes(transport.read(1))
    assert len(first) == READ_BYTES
    assert first + bytes(transport.read(1)) == data
    transport.close()


def test_zero_length_packets_are_passed_over() -> None:
    transport = Plugged(speaker(b"", b"", b"data")).open()
    assert bytes(transport.read(1)) == b"data"
    transport.close()


def test_zero_length_packets_without_end_are_no_answer() -> None:
    transport = Plugged(speaker(*[b""] * 100)).open()
    with pytest.raises(TransportTimeoutError, match="nothing but empty packets"):
        transport.read(1)
    transport.close()


def test_a_timeout_may_carry_data() -> None:
    """A transfer that is not closed is read when the time is over: libusb keeps what has come."""

    def software() -> Firmware:
        yield Send(b"x" * 1024, zlp=False)
        yield Receive(1)

    transport = Plugged(software()).open()
    assert bytes(transport.read(1)) == b"x" * 1024
    transport.close()


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_cable_that_comes_out_while_reading() -> None:
    transport = Plugged(speaker(b"data"), "unplug@in:0").open()
    with pytest.raises(DeviceGoneError, match="left the USB bus"):
        transport.read(1)
    transport.close()


def test_a_cable_that_comes_out_while_writing() -> None:
    transport = Plugged(listener([]), "unplug@out:600").open()
    with pytest.raises(DeviceGoneError):
        transport.write(bytes(5000), 1)
    transport.close()
    transport.close()


def test_a_stall_is_cleared_for_the_next_one() -> None:
    transport = Plugged(speaker(b"data"), "stall@in-transfer:0").open()
    with pytest.raises(TransportError, match="Pipe") as caught:
        transport.read(1)
    assert type(caught.value) is TransportError
    assert bytes(transport.read(1)) == b"data"
    transport.close()


def test_a_stall_of_a_phone_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = Plugged(speaker(b"data"), "stall@in-transfer:0")
    transport = plugged.open()
    monkeypatch.setattr(plugged.backend, "clear_halt", _refuse)
    with pytest.raises(TransportError, match="Pipe"):
        transport.read(1)
    transport.close()


def _refuse(*_: object) -> None:
    raise usb.core.USBError("No such device", -4, errno.ENODEV)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENODEV, DeviceGoneError),
        (errno.ESHUTDOWN, DeviceGoneError),
        (errno.EPROTO, DeviceGoneError),
        (errno.EACCES, AccessError),
        (errno.EPERM, AccessError),
        (errno.EBUSY, AccessError),
        (errno.EIO, TransportError),
        (errno.EOVERFLOW, TransportError),
        (errno.ENOMEM, TransportError),
        (None, TransportError),
    ],
)
def test_every_error_of_libusb_has_a_meaning(
    number: int | None, kind: type[TransportError]
) -> None:
    plugged = Plugged(listener([]))
    transport = plugged.open()

    def fail(*_: object) -> None:
        raise usb.core.USBError("told by libusb", -1, number)

    plugged.backend.bulk_read = plugged.backend.bulk_write = fail  # type: ignore[method-assign,assignment]
    for use in (lambda: transport.read(1), lambda: transport.write(b"x", 1)):
        with pytest.raises(TransportError) as caught:
            use()
        assert type(caught.value) is kind
        assert caught.value.remedies
    transport.close()


def test_a_platform_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """libusb's NOT_SUPPORTED is pyusb's NotImplementedError: the wrong driver on Windows."""
    plugged = Plugged(listener([]))

    def fail(*_: object) -> None:
        raise NotImplementedError("Operation not supported")

    monkeypatch.setattr(plugged.backend, "claim_interface", fail)
    with pytest.raises(TransportError):
        plugged.open()


# -- opening and closing --------------------------------------------------------------------------


def _closed(transport_or_found: Any) -> bool:  # noqa: ANN401
    device = getattr(transport_or_found, "device", None) or transport_or_found._device
    return device._ctx.handle is None


def test_a_closed_transport_gives_the_phone_back() -> None:
    plugged = Plugged(listener([]))
    transport = plugged.open()
    assert plugged.device.holder is not None
    transport.close()
    transport.close()
    assert plugged.device.holder is None
    assert _closed(transport)
    plugged.open().close()


@pytest.mark.parametrize(
    ("fault", "words"), [("busy", "held by another program or driver"), ("denied", "permission")]
)
def test_a_phone_that_cannot_be_opened_is_left_alone(fault: str, words: str) -> None:
    plugged = Plugged(listener([]), fault)
    [found] = discovery.find(plugged.backend)
    with pytest.raises(AccessError, match=words):
        found.open()
    assert plugged.device.holder is None
    assert _closed(found)


def test_a_kernel_driver_is_detached_and_nothing_is_configured_anew() -> None:
    """Configuring loses the HELLO that waits: sahara.md 13.6."""
    plugged = Plugged(speaker(b"HELLO"), kernel_driver="qcserial")
    transport = plugged.open()
    assert bytes(transport.read(1)) == b"HELLO"
    transport.close()


def test_a_system_without_kernel_drivers() -> None:
    transport = Plugged(speaker(b"HELLO"), kernel_drivers=False).open()
    assert bytes(transport.read(1)) == b"HELLO"
    transport.close()


def test_a_driver_that_cannot_be_sent_away() -> None:
    plugged = Plugged(listener([]), kernel_driver="usbser", kernel_drivers=False)
    [found] = discovery.find(plugged.backend)
    with pytest.raises(TransportError):
        found.open()
    assert _closed(found)


def test_closing_survives_a_backend_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = Plugged(listener([]))
    transport = plugged.open()
    with monkeypatch.context() as failing:
        failing.setattr(plugged.backend, "close_device", _refuse)
        transport.close()
    transport.close()


def test_an_interface_without_an_endpoint_is_none_of_ours() -> None:
    plugged = Plugged(listener([]))
    [found] = discovery.find(plugged.backend)
    with pytest.raises(TransportError, match="lacks a bulk endpoint"):
        endpoints([next(iter(found.interface))])


def test_other_endpoints_are_passed_over() -> None:
    interrupt = SimpleNamespace(bmAttributes=3, bEndpointAddress=0x82)
    into = SimpleNamespace(bmAttributes=2, bEndpointAddress=0x81)
    out = SimpleNamespace(bmAttributes=2, bEndpointAddress=0x01)
    assert endpoints([interrupt, out, into]) == (into, out)


def test_leaving_software_is_a_phone_that_is_gone() -> None:
    def software() -> Iterator[Any]:
        yield Send(b"bye")
        yield Exit("reset")

    plugged = Plugged(software())  # type: ignore[arg-type]
    transport = plugged.open()
    assert bytes(transport.read(1)) == b"bye"
    assert plugged.left == ["reset"]
    plugged.controller.unplug()
    with pytest.raises(DeviceGoneError):
        transport.read(1)
    transport.close()
