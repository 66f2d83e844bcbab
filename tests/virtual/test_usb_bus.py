# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
import usb.control
import usb.core
import usb.util

from edl.virtual.controller import SUPER_SPEED_PACKET_BYTES, Controller
from edl.virtual.descriptors import BOOT_ROM_PROTOCOL, UsbDevice
from edl.virtual.faults import Injector, parse_fault
from edl.virtual.link import Exit, Firmware, Receive, Send
from edl.virtual.usb import VirtualBackend

IN, OUT = 0x81, 0x01
PRODUCT = "QUSB_BULK_CID:0412_SN:1A2B3C4D"


def hello() -> Firmware:
    yield Send(b"hello")
    yield Receive(4096)
    yield Exit("off")


def ignore(reason: str) -> None:
    del reason


def plug(
    backend: VirtualBackend,
    software: Firmware | None = None,
    packet_bytes: int = 512,
    **options: Any,  # noqa: ANN401
) -> UsbDevice:
    controller = Controller(software or hello(), ignore, packet_bytes=packet_bytes)
    device = UsbDevice(controller, backend.new_port(), **{"product": PRODUCT, **options})
    backend.attach(device)
    return device


def one(**options: Any) -> Any:  # noqa: ANN401
    backend = VirtualBackend()
    plug(backend, **options)
    return usb.core.find(backend=backend)


def code(call: Callable[[], object]) -> tuple[int | None, int | None]:
    with pytest.raises(usb.core.USBError) as caught:
        call()
    return caught.value.errno, caught.value.backend_error_code


def test_a_phone_is_found_by_its_ids() -> None:
    backend = VirtualBackend()
    plug(backend)
    dev = usb.core.find(idVendor=0x05C6, idProduct=0x9008, backend=backend)
    assert dev is not None
    assert (dev.bus, dev.address, dev.port_numbers) == (1, 2, (1,))
    assert dev.parent is None
    assert usb.core.find(idVendor=0x1234, backend=backend) is None


def test_its_descriptors_are_those_of_a_phone_in_edl_mode() -> None:
    dev = one(protocol=BOOT_ROM_PROTOCOL)
    assert (dev.bcdUSB, dev.bDeviceClass, dev.iSerialNumber, dev.speed) == (0x200, 0, 0, 3)
    configuration = dev.get_active_configuration()
    assert configuration.bMaxPower * 2 == 2
    (interface,) = configuration
    kind = (interface.bInterfaceClass, interface.bInterfaceSubClass, interface.bInterfaceProtocol)
    assert kind == (0xFF, 0xFF, 0x11)
    assert [
        (endpoint.bEndpointAddress, endpoint.bmAttributes, endpoint.wMaxPacketSize)
        for endpoint in interface
    ] == [(IN, 2, 512), (OUT, 2, 512)]


def test_superspeed_shows_in_the_descriptors() -> None:
    dev = one(packet_bytes=SUPER_SPEED_PACKET_BYTES)
    assert (dev.bcdUSB, dev.speed) == (0x300, usb.util.SPEED_SUPER)
    assert [endpoint.wMaxPacketSize for endpoint in dev[0][0, 0]] == [1024, 1024]


def test_raw_descriptors_say_the_same() -> None:
    dev = one()
    device = bytes(usb.control.get_descriptor(dev, 18, usb.util.DESC_TYPE_DEVICE, 0))
    assert device.hex() == "1201000200000040c6050890000001020001"
    configuration = bytes(usb.control.get_descriptor(dev, 255, usb.util.DESC_TYPE_CONFIG, 0))
    assert configuration.hex() == (
        "0902200001010080010904000002ffffff000705810200020007050102000200"
    )
    assert code(lambda: usb.control.get_descriptor(dev, 9, usb.util.DESC_TYPE_CONFIG, 1)) == (
        errno.EPIPE,
        -9,
    )


def test_strings() -> None:
    dev = one()
    assert dev.manufacturer == "Qualcomm CDMA Technologies MSM"
    assert dev.product == PRODUCT
    assert dev.serial_number is None
    assert code(lambda: usb.util.get_string(dev, 7)) == (errno.EPIPE, -9)
    assert code(lambda: usb.util.get_string(dev, 2, 0x0407)) == (errno.EPIPE, -9)


def test_the_product_may_be_missing_or_unreadable() -> None:
    assert one(product=None).product is None
    with pytest.raises(ValueError, match="langid"):
        _ = one(strings_readable=False).product


def test_a_very_long_product_is_cut() -> None:
    assert one(product="x" * 300).product == "x" * 126


def test_other_control_requests_stall() -> None:
    dev = one()
    assert code(lambda: dev.ctrl_transfer(0xC0, 1, 0, 0, 8)) == (errno.EPIPE, -9)


def test_several_phones_on_one_bus() -> None:
    backend = VirtualBackend()
    plug(backend, product="QUSB_BULK_CID:0412_SN:00000001")
    plug(backend, product="QUSB_BULK_CID:0412_SN:00000002")
    found: Any = list(usb.core.find(find_all=True, backend=backend))
    assert [dev.product[-1] for dev in found] == ["1", "2"]
    assert [(dev.address, dev.port_number) for dev in found] == [(2, 1), (3, 2)]
    assert bytes(found[1].read(IN, 512)) == b"hello"
    assert bytes(found[0].read(IN, 512)) == b"hello"


def test_addresses_start_over_after_the_last() -> None:
    backend = VirtualBackend()
    for _ in range(127):
        plug(backend).controller.unplug()
    assert plug(backend).address == 2


def test_a_phone_that_left_gives_enodev_everywhere() -> None:
    backend = VirtualBackend()
    device = plug(backend)
    dev: Any = usb.core.find(backend=backend)
    dev.read(IN, 512)
    device.controller.unplug()
    gone = (errno.ENODEV, -4)
    assert code(lambda: dev.read(IN, 512)) == gone
    assert code(lambda: dev.write(OUT, b"x")) == gone
    assert code(lambda: dev.clear_halt(IN)) == gone
    assert code(lambda: dev.ctrl_transfer(0x80, 6, 0x0100, 0, 18)) == gone
    assert code(lambda: dev.is_kernel_driver_active(0)) == gone
    usb.util.dispose_resources(dev)
    assert code(lambda: dev.read(IN, 512)) == gone
    assert usb.core.find(backend=backend) is None


def test_a_phone_that_leaves_during_a_transfer_gives_enodev() -> None:
    def leaves() -> Firmware:
        yield Receive(512)
        yield Exit("off")

    backend = VirtualBackend()
    device = plug(backend, leaves())
    device.controller._on_exit = lambda _: device.controller.unplug()
    dev: Any = usb.core.find(backend=backend)
    assert code(lambda: dev.write(OUT, bytes(4096))) == (errno.ENODEV, -4)


def test_a_phone_that_comes_back_has_a_new_address_and_the_old_port() -> None:
    backend = VirtualBackend()
    device = plug(backend)
    old: Any = usb.core.find(backend=backend)
    device.controller.unplug()
    backend.attach(UsbDevice(Controller(hello(), ignore), device.port))
    new: Any = usb.core.find(backend=backend)
    assert (new.address, new.port_number) == (old.address + 1, old.port_number)
    assert old != new


def test_a_kernel_driver_must_be_detached_first() -> None:
    dev = one(kernel_driver="qcserial")
    assert dev.is_kernel_driver_active(0)
    assert code(lambda: dev.read(IN, 512)) == (errno.EBUSY, -6)
    assert code(dev.set_configuration) == (errno.EBUSY, -6)
    dev.detach_kernel_driver(0)
    assert not dev.is_kernel_driver_active(0)
    assert code(lambda: dev.detach_kernel_driver(0)) == (errno.ENOENT, -5)
    assert bytes(dev.read(IN, 512)) == b"hello"
    assert code(lambda: dev.attach_kernel_driver(0)) == (errno.EBUSY, -6)
    usb.util.release_interface(dev, 0)
    dev.attach_kernel_driver(0)
    assert dev.is_kernel_driver_active(0)


def test_without_kernel_driver_calls_a_driver_keeps_the_phone() -> None:
    backend = VirtualBackend(kernel_drivers=False)
    plug(backend)
    dev: Any = usb.core.find(backend=backend)
    for call in (dev.is_kernel_driver_active, dev.detach_kernel_driver, dev.attach_kernel_driver):
        with pytest.raises(NotImplementedError):
            call(0)
    assert bytes(dev.read(IN, 512)) == b"hello"

    backend = VirtualBackend(kernel_drivers=False)
    plug(backend, kernel_driver="QDLoader")
    dev = usb.core.find(backend=backend)
    with pytest.raises(NotImplementedError):
        dev.read(IN, 512)


def test_two_programs_cannot_have_the_interface() -> None:
    backend = VirtualBackend()
    device = plug(backend)
    first, second = (usb.core.find(backend=backend) for _ in range(2))
    assert first is not None
    assert second is not None
    usb.util.claim_interface(first, 0)
    assert code(lambda: usb.util.claim_interface(second, 0)) == (errno.EBUSY, -6)
    handle = backend.open_device(device)
    assert code(lambda: backend.release_interface(handle, 0)) == (errno.ENOENT, -5)
    usb.util.dispose_resources(first)
    usb.util.claim_interface(second, 0)


def test_a_transfer_claims_for_a_program_that_has_not() -> None:
    backend = VirtualBackend()
    device = plug(backend)
    handle, other = backend.open_device(device), backend.open_device(device)
    buffer = usb.util.create_buffer(512)
    assert backend.bulk_read(handle, IN, 0, buffer, 100) == 5
    assert code(lambda: backend.claim_interface(other, 0)) == (errno.EBUSY, -6)
    assert code(lambda: backend.bulk_read(other, IN, 0, buffer, 100)) == (errno.EIO, -1)
    backend.close_device(handle)
    backend.claim_interface(other, 0)


def test_what_does_not_exist_is_not_found() -> None:
    backend = VirtualBackend()
    device = plug(backend)
    handle = backend.open_device(device)
    backend.claim_interface(handle, 0)
    missing = (errno.ENOENT, -5)
    buffer = usb.util.create_buffer(1)
    assert code(lambda: backend.bulk_read(handle, 0x82, 0, buffer, 1)) == (errno.EIO, -1)
    assert code(lambda: backend.clear_halt(handle, 0x82)) == missing
    assert code(lambda: backend.claim_interface(handle, 1)) == missing
    assert code(lambda: backend.set_configuration(handle, 2)) == (errno.EBUSY, -6)
    assert code(lambda: backend.set_interface_altsetting(handle, 0, 1)) == missing
    backend.release_interface(handle, 0)
    assert code(lambda: backend.set_configuration(handle, 2)) == missing
    assert code(lambda: backend.get_configuration_descriptor(device, 1)) == missing
    with pytest.raises(IndexError):
        backend.get_interface_descriptor(device, 1, 0, 0)
    with pytest.raises(IndexError):
        backend.get_endpoint_descriptor(device, 2, 0, 0, 0)


def test_configuring_anew_loses_what_waits_for_the_host() -> None:
    dev = one()
    dev.set_configuration()
    with pytest.raises(usb.core.USBTimeoutError):
        dev.read(IN, 512)


def test_choosing_the_setting_anew_loses_what_waits_for_the_host() -> None:
    dev = one()
    dev.set_interface_altsetting()
    with pytest.raises(usb.core.USBTimeoutError):
        dev.read(IN, 512)


def test_a_device_without_configuration_cannot_be_used() -> None:
    dev = one()
    dev.set_configuration(0)
    usb.util.dispose_resources(dev)
    with pytest.raises(usb.core.USBError, match="not set"):
        dev.read(IN, 512)


def test_a_port_reset_ends_stalls() -> None:
    backend = VirtualBackend()
    injector = Injector([parse_fault("stall@in:0")])
    backend.attach(UsbDevice(Controller(hello(), ignore, injector=injector), 1))
    dev: Any = usb.core.find(backend=backend)
    assert code(lambda: dev.read(IN, 512)) == (errno.EPIPE, -9)
    dev.reset()
    assert bytes(dev.read(IN, 512)) == b"hello"
