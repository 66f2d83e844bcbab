# SPDX-License-Identifier: BSD-3-Clause
"""Which devices on the bus are phones in EDL mode, and which of them is meant."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from typing import Any

import pytest
import usb.backend.libusb1
import usb.core

from edl.errors import NoDeviceError, TransportError, UsageError
from edl.transport import discovery
from edl.transport.discovery import choose, find
from edl.virtual.controller import Controller
from edl.virtual.descriptors import UsbDevice
from edl.virtual.link import Firmware, Receive
from edl.virtual.usb import VirtualBackend

QUALCOMM = 0x05C6


def idle() -> Firmware:
    while True:
        yield Receive(1)


def bus(*devices: dict[str, Any]) -> VirtualBackend:
    """Return a bus with these devices."""
    backend = VirtualBackend()
    for fields in devices:
        controller = Controller(idle(), lambda _: None)
        backend.attach(UsbDevice(controller, backend.new_port(), **fields))
    return backend


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, "edl"),
        ({"product": "QUSB_BULK_CID:042F_SN:DD9EC526"}, "edl"),
        ({"product": "QHSUSB__BULK"}, "edl"),
        ({"strings_readable": False, "product": "x"}, "edl"),
        ({"ids": (0x0FCE, 0xADE5)}, "edl"),
        ({"ids": (0x2717, 0x1234), "product": "QUSB__BULK"}, "edl"),
        ({"ids": (QUALCOMM, 0x901D), "protocol": 0x11}, "edl"),
        ({"ids": (QUALCOMM, 0x1234), "protocol": 0x20}, "edl"),
        ({"ids": (QUALCOMM, 0x900E)}, "crash dump"),
        ({"ids": (0x1004, 0x61A1)}, "crash dump"),
        ({"protocol": 0x13}, "crash dump"),
        ({"ids": (QUALCOMM, 0x9025)}, None),
        ({"ids": (0x18D1, 0x4EE7), "product": "Pixel"}, None),
        ({"ids": (0x18D1, 0x4EE7), "protocol": 0x11}, None),
        ({"protocol": 0x30}, None),
    ],
)
def test_what_a_device_is(fields: dict[str, Any], mode: str | None) -> None:
    found = find(bus(fields))
    assert [phone.mode for phone in found] == ([mode] if mode else [])


def test_a_device_that_the_user_names_by_its_ids() -> None:
    modem = {"ids": (0x2C7C, 0x0801), "product": "EM05"}
    backend = bus({}, modem, {"ids": (0x2C7C, 0x0900)})
    assert len(find(backend)) == 1
    [found] = find(backend, vendor_id=0x2C7C, product_id=0x0801)
    assert (found.vendor_id, found.product_id, found.product) == (0x2C7C, 0x0801, "EM05")
    assert len(find(backend, vendor_id=0x2C7C)) == 2
    assert len(find(backend, product_id=0x9008)) == 1


def test_what_the_product_string_tells() -> None:
    [found] = find(bus({"product": "QUSB_BULK_CID:042F_SN:D9EC526"}))
    assert found.serial == "0d9ec526"
    assert found.chip == "042f"
    assert found.location == "1-1"
    assert found.problem is None


@pytest.mark.parametrize("product", ["QUSB_BULK_CID:0455", "QHSUSB_DLOAD", None])
def test_a_serial_number_is_not_always_there(product: str | None) -> None:
    [found] = find(bus({"product": product}))
    assert found.serial is None
    assert found.product == product


def test_a_phone_whose_strings_cannot_be_read() -> None:
    [found] = find(bus({"product": "QUSB", "strings_readable": False}))
    assert (found.product, found.serial, found.chip) == (None, None, None)
    assert found.problem is not None


def test_a_product_string_is_no_terminal_escape() -> None:
    [found] = find(bus({"product": "QUSB\x1b[31m_SN:12"}))
    assert found.product == "QUSB?[31m_SN:12"


def test_looking_opens_nothing() -> None:
    [found] = find(bus({"product": "QUSB_BULK"}))
    assert found.device._ctx.handle is None


def test_a_device_that_cannot_be_looked_at_is_passed_over() -> None:
    backend = bus({}, {"ids": (QUALCOMM, 0x900E)})

    def fail(*_: object) -> None:
        raise usb.core.USBError("no descriptor", -1, 5)

    backend.get_interface_descriptor = fail  # type: ignore[method-assign,assignment]
    assert find(backend) == []


def test_strings_that_fail_are_no_reason_to_fail() -> None:
    backend = bus({"product": "QUSB"})

    def fail(*_: object) -> None:
        raise NotImplementedError("not on this platform")

    backend.open_device = fail  # type: ignore[method-assign,assignment]
    [found] = find(backend)
    assert found.problem == "not on this platform"


def test_a_bus_that_cannot_be_looked_at() -> None:
    backend = bus({})

    def fail() -> None:
        raise usb.core.USBError("Insufficient memory", -11, 12)

    backend.enumerate_devices = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(TransportError, match="Insufficient memory"):
        find(backend)


# -- which one is meant ---------------------------------------------------------------------------


def test_one_phone_is_the_one() -> None:
    found = find(bus({"product": "QUSB_BULK_SN:0A"}))
    assert choose(found, None) is found[0]
    assert choose(found, "0xA") is found[0]
    assert choose(found, "0000000a") is found[0]


def test_none() -> None:
    with pytest.raises(NoDeviceError, match="No phone in EDL mode"):
        choose([], None)
    with pytest.raises(NoDeviceError, match="serial number 7"):
        choose(find(bus({"product": "QUSB_BULK_SN:0A"})), "7")


def test_several() -> None:
    found = find(bus({"product": "QUSB_BULK_SN:0A"}, {"product": "QUSB_BULK_SN:0B"}, {}))
    with pytest.raises(UsageError, match="3 phones are connected: 0000000a at USB 1-1") as caught:
        choose(found, None)
    assert "--serial" in caught.value.remedies[0]
    assert choose(found, "b") is found[1]


# -- libusb ---------------------------------------------------------------------------------------


def _backends(monkeypatch: pytest.MonkeyPatch, *works: str) -> list[str]:
    """Let only these libraries work, and return which ones are tried."""
    tried: list[str] = []

    def get_backend(find_library: Any) -> object | None:  # noqa: ANN401
        tried.append(find_library("usb"))
        return object() if tried[-1] in works else None

    monkeypatch.setattr(usb.backend.libusb1, "get_backend", get_backend)
    monkeypatch.setattr(discovery, "_system_libusb", lambda: iter(["system"]))
    monkeypatch.setattr(discovery, "_bundled_libusb", lambda: iter(["bundled"]))
    return tried


@pytest.mark.parametrize(
    ("platform", "order"), [("linux", ["system", "bundled"]), ("win32", ["bundled", "system"])]
)
def test_which_libusb_is_taken(
    platform: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    tried = _backends(monkeypatch, "system", "bundled")
    discovery.libusb()
    assert tried == order[:1]
    tried = _backends(monkeypatch, order[1])
    discovery.libusb()
    assert tried == order


def test_no_libusb_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _backends(monkeypatch)
    with pytest.raises(TransportError, match="libusb was not found"):
        discovery.libusb()


@pytest.mark.parametrize("found", ["found", None])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_libraries_that_load_are_named(
    platform: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(name: str) -> None:
        if name == "libusb-1.0.so":
            raise OSError("wrong kind")
        loaded.append(name)

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: found)
    assert list(discovery._system_libusb()) == loaded
    assert loaded == ["libusb-1.0.so.0"] * (platform == "linux") + ["found"] * bool(found)


def test_the_bundled_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        path: str | None = "/bundled/libusb.so"

        @classmethod
        def get_library_path(cls) -> str | None:
            return cls.path

    monkeypatch.setitem(sys.modules, "libusb_package", Package)
    assert list(discovery._bundled_libusb()) == ["/bundled/libusb.so"]
    Package.path = None
    assert list(discovery._bundled_libusb()) == []
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    assert list(discovery._bundled_libusb()) == []


def test_the_computer_itself_can_be_looked_at() -> None:
    try:
        backend = discovery.libusb()
    except TransportError:
        pytest.skip("this computer has no libusb")
    for phone in find(backend):
        assert phone.mode in {"edl", "crash dump"}


def test_each_look_at_the_bus_is_a_new_one() -> None:
    """A libusb context hears of changes only from udevd, which containers lack."""
    try:
        looks = [discovery.libusb() for _ in range(4)]
    except TransportError:
        pytest.skip("this computer has no libusb")
    assert len(set(map(id, looks))) == 4
    for look in looks:
        find(look)
