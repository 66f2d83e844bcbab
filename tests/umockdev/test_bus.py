# SPDX-License-Identifier: BSD-3-Clause
"""What is on the bus, and who may use it, is the same on the virtual backend and on libusb."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from edl.virtual.controller import SUPER_SPEED_PACKET_BYTES
from edl.virtual.descriptors import BOOT_ROM_PROTOCOL
from edl.virtual.link import Firmware, Receive, Send
from tests.umockdev.host import PRODUCT, Host, not_on
from tests.umockdev.session import Failure, Session

IN, OUT = 0x81, 0x01
INPUT_OUTPUT = Failure("USBError", errno.EIO, -1)
DENIED = Failure("USBError", errno.EACCES, -3)
GONE = Failure("USBError", errno.ENODEV, -4)
NOT_FOUND = Failure("USBError", errno.ENOENT, -5)
BUSY = Failure("USBError", errno.EBUSY, -6)
OTHER = Failure("USBError", None, -99)
TIMEOUT = Failure("USBTimeoutError", errno.ETIMEDOUT, -7)
STALL = Failure("USBError", errno.EPIPE, -9)

SOON_MS, LATE_MS = 30, 10_000


def hello() -> Firmware:
    yield Send(b"hello")
    while True:
        yield Receive(4096)


def read(session: Session, timeout_ms: int = LATE_MS) -> Any:  # noqa: ANN401
    return session.call("read", IN, 512, timeout_ms)


# --- Who is there


def test_our_discovery_finds_the_phone(host: Host) -> None:
    host.plug(hello())
    assert host.session().found() == [("1-1", 2, "edl", PRODUCT, "1a2b3c4d", True)]


def test_where_it_is(host: Host) -> None:
    session = host.phone(hello())
    facts = ("bus", "address", "port_number", "port_numbers", "speed", "idVendor", "idProduct")
    assert [session.get(name) for name in facts] == [1, 2, 1, (1,), 3, 0x05C6, 0x9008]


def test_what_it_is(host: Host) -> None:
    session = host.phone(hello(), protocol=BOOT_ROM_PROTOCOL)
    facts = ("bcdUSB", "bDeviceClass", "bMaxPacketSize0", "iSerialNumber", "bNumConfigurations")
    assert [session.get(name) for name in facts] == [0x200, 0, 64, 0, 1]
    assert session.endpoints() == [(0xFF, 0xFF, 0x11), (IN, 2, 512), (OUT, 2, 512)]


def test_superspeed_shows_in_the_descriptors(host: Host) -> None:
    session = host.phone(hello(), packet_bytes=SUPER_SPEED_PACKET_BYTES)
    assert [session.get("bcdUSB"), session.get("speed")] == [0x300, 4]
    assert session.endpoints() == [(0xFF, 0xFF, 0xFF), (IN, 2, 1024), (OUT, 2, 1024)]


def test_raw_descriptors(host: Host) -> None:
    session = host.phone(hello())
    assert session.call("ctrl_transfer", 0x80, 6, 0x0100, 0, 18) == bytes.fromhex(
        "1201000200000040c6050890000001020001"
    )
    assert session.call("ctrl_transfer", 0x80, 6, 0x0200, 0, 255) == bytes.fromhex(
        "0902200001010080010904000002ffffff000705810200020007050102000200"
    )
    assert session.call("ctrl_transfer", 0x80, 6, 0x0200, 0, 9) == bytes.fromhex(
        "090220000101008001"
    )
    assert session.call("ctrl_transfer", 0x80, 6, 0x0201, 0, 9) == STALL


def test_other_control_requests_stall(host: Host) -> None:
    session = host.phone(hello())
    assert session.call("ctrl_transfer", 0xC0, 1, 0, 0, 8) == STALL
    assert session.call("ctrl_transfer", 0x40, 1, 0, 0, b"data") == STALL
    assert session.call("ctrl_transfer", 0x40, 1, 0, 0) == STALL


def test_strings(host: Host) -> None:
    session = host.phone(hello())
    assert session.get("manufacturer") == "Qualcomm CDMA Technologies MSM"
    assert session.get("product") == PRODUCT
    assert session.get("serial_number") is None
    assert session.string(7) == STALL
    assert session.string(2, 0x0407) == STALL


@pytest.mark.parametrize(
    ("options", "product"),
    [
        ({"product": None}, None),
        ({"product": "x" * 300}, "x" * 126),
        ({"strings_readable": False}, Failure("ValueError")),
    ],
)
def test_the_product_may_be_odd(
    host: Host, options: dict[str, Any], product: str | Failure | None
) -> None:
    assert host.phone(hello(), **options).get("product") == product


def test_several_phones(host: Host) -> None:
    for serial in ("00000001", "00000002"):
        host.plug(hello(), product=f"QUSB_BULK_CID:0412_SN:{serial}")
    first, second = host.session(), host.session()
    assert [(phone[0], phone[1], phone[4]) for phone in first.found()] == [
        ("1-1", 2, "00000001"),
        ("1-2", 3, "00000002"),
    ]
    first.open(0)
    second.open(1)
    assert (read(second), read(first)) == (b"hello", b"hello")


# --- Coming and going


def test_a_phone_that_left_is_not_found(host: Host) -> None:
    device = host.plug(hello())
    device.controller.unplug()
    assert host.session().found() == []


def test_a_phone_that_left_gives_enodev_everywhere(host: Host) -> None:
    device = host.plug(hello())
    session = host.session()
    session.open()
    assert read(session) == b"hello"
    device.controller.unplug()
    calls: list[tuple[Any, ...]] = [
        ("read", IN, 512, LATE_MS),
        ("write", OUT, b"x", LATE_MS),
        ("clear_halt", IN),
        ("ctrl_transfer", 0x80, 6, 0x0100, 0, 18),
        ("is_kernel_driver_active", 0),
        ("detach_kernel_driver", 0),
        ("attach_kernel_driver", 0),
        ("set_configuration", 1),
    ]
    answers = {name: session.call(name, *args) for name, *args in calls}
    assert answers == dict.fromkeys(answers, GONE)
    # libusb says either, before and after it has heard from udev that the phone is gone.
    assert session.call("reset") in {GONE, NOT_FOUND}
    assert read(session) == GONE


def test_a_phone_that_left_cannot_be_opened(host: Host) -> None:
    device = host.plug(hello())
    session = host.session()
    session.open()
    device.controller.unplug()
    assert read(session) == GONE


def test_a_phone_that_comes_back_has_a_new_address_and_the_old_port(host: Host) -> None:
    device = host.plug(hello())
    session = host.session()
    session.open()
    assert read(session) == b"hello"
    device.controller.unplug()
    assert read(session) == GONE
    host.plug(hello(), port=device.port)
    again = host.session()
    again.open()
    assert [again.get("address"), again.get("port_numbers")] == [3, (1,)]
    assert read(again) == b"hello"


@not_on("libusb-bundled")  # umockdev plays udev's events, but not the kernel's
def test_a_program_that_runs_sees_phones_come_and_go(host: Host) -> None:
    session = host.session()
    assert session.found() == []
    device = host.plug(hello())
    assert [phone[0] for phone in session.found()] == ["1-1"]
    device.controller.unplug()
    assert session.found() == []
    host.plug(hello(), port=device.port)
    assert [phone[:2] for phone in session.found()] == [("1-1", 3)]


# --- Who may use it


def test_a_kernel_driver_must_be_detached_first(host: Host) -> None:
    session = host.phone(hello(), kernel_driver="qcserial")
    assert session.call("is_kernel_driver_active", 0) is True
    assert read(session) == BUSY
    assert session.claim() == BUSY
    assert session.call("set_configuration", 1) == BUSY
    assert session.call("detach_kernel_driver", 0) is None
    assert session.call("is_kernel_driver_active", 0) is False
    assert session.call("detach_kernel_driver", 0) == NOT_FOUND
    assert read(session) == b"hello"
    assert session.call("attach_kernel_driver", 0) == BUSY
    assert session.call("detach_kernel_driver", 0) == NOT_FOUND
    assert session.release() is None
    assert session.call("attach_kernel_driver", 0) is None
    assert session.call("is_kernel_driver_active", 0) is True


def test_two_programs_cannot_have_the_interface(host: Host) -> None:
    host.plug(hello())
    first, second = host.session(), host.session()
    first.open()
    second.open()
    assert first.claim() is None
    assert second.claim() == BUSY
    assert read(second) == BUSY
    assert second.call("set_configuration", 1) == BUSY
    assert second.call("attach_kernel_driver", 0) == BUSY
    assert first.close() is None
    assert second.claim() is None
    assert read(second) == b"hello"


def test_a_busy_phone_can_be_claimed_later(host: Host) -> None:
    session = host.phone(hello(), "busy:2")
    assert [session.claim(), session.claim(), session.claim()] == [BUSY, BUSY, None]
    assert read(session) == b"hello"


def test_a_forbidden_phone_is_found_and_cannot_be_opened(host: Host) -> None:
    host.plug(hello(), "denied")
    session = host.session()
    assert session.found() == [("1-1", 2, "edl", None, None, False)]
    session.open()
    assert read(session) == DENIED


def test_what_does_not_exist_is_not_found(host: Host) -> None:
    session = host.phone(hello())
    assert session.claim(1) == NOT_FOUND
    assert session.claim() is None
    assert session.call("clear_halt", 0x82) == NOT_FOUND
    assert session.backend("set_interface_altsetting", 0, 1) == NOT_FOUND
    assert session.backend("set_interface_altsetting", 1, 0) == NOT_FOUND
    assert session.backend("release_interface", 1) == NOT_FOUND
    assert session.release() is None
    assert session.backend("set_configuration", 2) == NOT_FOUND
    assert session.backend("release_interface", 0) == NOT_FOUND


def test_configuring_anew_loses_what_waits_for_the_host(host: Host) -> None:
    session = host.phone(hello())
    assert session.call("set_configuration") is None
    assert read(session, SOON_MS) == TIMEOUT


def test_choosing_the_setting_anew_loses_what_waits_for_the_host(host: Host) -> None:
    session = host.phone(hello())
    assert session.call("set_interface_altsetting") is None
    assert read(session, SOON_MS) == TIMEOUT


def test_a_device_without_configuration_cannot_be_used(host: Host) -> None:
    session = host.phone(hello())
    assert session.backend("get_configuration") == 1
    assert session.call("set_configuration", 0) is None
    assert session.backend("get_configuration") == 0
    assert session.backend("claim_interface", 0) == NOT_FOUND
    session.close()
    assert read(session) == Failure("USBError")
    assert session.call("set_configuration", 1) is None
    assert read(session, SOON_MS) == TIMEOUT


# --- What pyusb prevents, but not its backends


def test_a_transfer_to_a_missing_endpoint(host: Host) -> None:
    session = host.phone(hello())
    assert session.claim() is None
    assert session.backend_read(0x82) == INPUT_OUTPUT


def test_a_transfer_without_configuration(host: Host) -> None:
    session = host.phone(hello())
    assert session.call("set_configuration", 0) is None
    assert session.backend_read(IN) == INPUT_OUTPUT
    assert session.call("clear_halt", IN) == OTHER


def test_a_claimed_phone_cannot_be_configured(host: Host) -> None:
    session = host.phone(hello())
    assert session.claim() is None
    assert session.backend("set_configuration", 1) == BUSY
    assert session.backend("set_configuration", 2) == BUSY


def test_a_transfer_claims_for_a_program_that_has_not(host: Host) -> None:
    host.plug(hello())
    first, second = host.session(), host.session()
    first.open()
    second.open()
    assert first.backend_read(IN) == 5
    assert second.claim() == BUSY
    assert second.backend_read(IN) == INPUT_OUTPUT
    assert second.call("clear_halt", IN) == OTHER
    assert first.backend("release_interface", 0) == NOT_FOUND
    assert first.backend("set_interface_altsetting", 0, 0) == NOT_FOUND
    assert first.claim() is None
    assert first.release() is None
    assert second.call("clear_halt", IN) is None
    assert first.claim() == BUSY


def test_the_endpoint_gives_the_direction(host: Host) -> None:
    session = host.phone(hello())
    assert session.call("write", IN, bytes(512), LATE_MS) == len(b"hello")
    assert session.call("read", OUT, 100, LATE_MS) == bytes(100)
