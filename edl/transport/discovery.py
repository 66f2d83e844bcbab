# SPDX-License-Identifier: BSD-3-Clause
"""Which phones are plugged in: matched by what their interface looks like, not by a list of ids.

Interface protocols (qcom-memory-dump-collector, qdpublic.h): 0x10 Sahara, 0x11 boot ROM in EDL
mode, 0x12 flash-less boot, 0x13 crash dump, 0x20 Firehose; 0xff on everything older.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import logging
import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import usb.backend
import usb.backend.libusb1
import usb.core
import usb.util

from edl.errors import AccessError, NoDeviceError, TransportError, UsageError
from edl.transport import holders
from edl.transport.computer import Computer
from edl.transport.usb import UsbTransport, endpoints

_log = logging.getLogger(__name__)

VENDOR_CLASS = 0xFF
QUALCOMM = 0x05C6
PROTOCOLS = {0xFF, 0x10, 0x11, 0x12, 0x13, 0x20}
CRASH_DUMP_PROTOCOL = 0x13
CRASH_DUMP_IDS = {(QUALCOMM, 0x900E), (QUALCOMM, 0x9006), (QUALCOMM, 0x9091), (0x1004, 0x61A1)}
EDL_IDS = {
    (QUALCOMM, 0x9008),
    (QUALCOMM, 0x90E2),
    (0x0FCE, 0x9DDE),  # Sony
    (0x0FCE, 0xADE3),
    (0x0FCE, 0xADE5),
    (0x0FCE, 0xADED),
}
_PRODUCT = re.compile(r"QUSB|QHSUSB|_CID:|_SN:|EDL|QDLoader", re.IGNORECASE)
_SERIAL = re.compile(r"_SN:([0-9A-Fa-f]{1,16})")
_CHIP = re.compile(r"_CID:([0-9A-Fa-f]{1,8})")
# libusb wants the devices of a context gone before it: so each outlives the next one's birth
_contexts: deque[Any] = deque(maxlen=2)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Found:
    """A phone on the bus, opened or not.

    mode: "edl" or "crash dump", as far as descriptors tell. problem: why it cannot be opened.
    """

    vendor_id: int
    product_id: int
    bus: int
    address: int
    ports: tuple[int, ...]
    product: str | None
    mode: str
    problem: str | None
    device: Any
    interface: Any

    @property
    def serial(self) -> str | None:
        """Serial number in the product string, 8 hex digits in lower case, if there is one."""
        match = _SERIAL.search(self.product or "")
        return match[1].lower().zfill(8) if match else None

    @property
    def chip(self) -> str | None:
        """Chip id (CID) in the product string, if there is one."""
        match = _CHIP.search(self.product or "")
        return match[1].lower() if match else None

    @property
    def location(self) -> str:
        """Where it is plugged in, as Linux writes it: `1-4.2`."""
        return f"{self.bus}-{'.'.join(map(str, self.ports)) or self.address}"

    def open(self) -> UsbTransport:
        """Claim it for us.

        Raises:
            AccessError: that is not possible; the message says who is in the way, where Linux
                shows it.
            TransportError: the phone cannot be used.
        """
        try:
            return UsbTransport(self.device, self.interface, f"The phone at USB {self.location}")
        except AccessError as error:
            raise self._explained(error, Computer()) from error

    def _explained(self, error: AccessError, computer: Computer) -> AccessError:
        if type(self.device.backend).__module__ != usb.backend.libusb1.__name__:
            return error  # a virtual phone is in no /sys
        if not computer.is_linux:
            return error
        files = holders.places(self.location, self.bus, self.address, computer)
        bound = holders.drivers(self.location, computer)
        return holders.explained(error, files, bound, computer)


def devices(backend: Any = None) -> list[Any]:  # noqa: ANN401
    """Return all devices on the bus, as pyusb has them; none is opened.

    Raises:
        TransportError: there is no libusb, or it cannot look at the bus.
    """
    try:
        return list(usb.core.find(find_all=True, backend=backend or libusb()))
    except usb.core.USBError as error:
        raise TransportError(f"The USB bus cannot be looked at: {error}.") from error


def find(
    backend: Any = None,  # noqa: ANN401
    *,
    vendor_id: int | None = None,
    product_id: int | None = None,
) -> list[Found]:
    """Return the phones on the bus that are in EDL or crash-dump mode, also inaccessible ones.

    Raises:
        TransportError: there is no libusb, or it cannot look at the bus.
    """
    by_id = vendor_id is not None or product_id is not None
    phones = []
    for device in devices(backend):
        if vendor_id not in {None, device.idVendor} or product_id not in {None, device.idProduct}:
            continue
        found = _look(device, by_id=by_id)
        if found is not None:
            phones.append(found)
    return phones


def choose(phones: list[Found], serial: str | None, place: str | None = None) -> Found:
    """Return the one phone that is meant. place: where it is plugged in, as `Found.location`.

    Raises:
        NoDeviceError: there is none, or none with that serial number, or none at that place.
        UsageError: there are several and neither serial nor place chooses.
    """
    where = ""
    if place is not None:
        where = f" at USB {place}"
        phones = [phone for phone in phones if phone.location == place]
        if not phones:
            raise NoDeviceError(f"No phone in EDL mode is{where}.")
    if serial is not None:
        wanted = serial.lower().removeprefix("0x").zfill(8)
        phones = [phone for phone in phones if phone.serial == wanted]
        if not phones:
            raise NoDeviceError(f"No phone with serial number {serial} is in EDL mode{where}.")
    if not phones:
        raise NoDeviceError("No phone in EDL mode is connected.")
    if len(phones) > 1:
        names = ", ".join(f"{phone.serial or '?'} at USB {phone.location}" for phone in phones)
        raise UsageError(
            f"{len(phones)} phones are connected: {names}.",
            remedies=("Name one with --serial SERIAL, or with --usb-path PATH.",),
        )
    return phones[0]


def _look(device: Any, *, by_id: bool) -> Found | None:  # noqa: ANN401
    """Return what device is to us, or None if it is nothing that we speak to."""
    ids = (device.idVendor, device.idProduct)
    interface = _interface(device)
    if interface is None:
        return None
    product, problem = _product(device)
    crash = ids in CRASH_DUMP_IDS or interface.bInterfaceProtocol == CRASH_DUMP_PROTOCOL
    named = product is not None and _PRODUCT.search(product) is not None
    own_protocol = interface.bInterfaceProtocol != VENDOR_CLASS
    if not (by_id or crash or named or ids in EDL_IDS or (own_protocol and ids[0] == QUALCOMM)):
        return None
    return Found(
        *ids,
        bus=device.bus or 0,
        address=device.address or 0,
        ports=tuple(device.port_numbers or ()),
        product=product,
        mode="crash dump" if crash else "edl",
        problem=problem,
        device=device,
        interface=interface,
    )


def _interface(device: Any) -> Any:  # noqa: ANN401
    """Return the first vendor-specific interface with a bulk endpoint in each direction."""
    with contextlib.suppress(usb.core.USBError, NotImplementedError, ValueError):
        for configuration in device:
            for interface in configuration:
                if (
                    interface.bInterfaceClass == VENDOR_CLASS
                    and interface.bInterfaceSubClass == VENDOR_CLASS
                    and interface.bInterfaceProtocol in PROTOCOLS
                ):
                    with contextlib.suppress(TransportError):
                        endpoints(interface)
                        return interface
    return None


def _product(device: Any) -> tuple[str | None, str | None]:  # noqa: ANN401
    """Return the product string and why it cannot be read; some phones have none (MSM8937).

    The device is closed again: it may be somebody else's.
    """
    try:
        text = device.product
    except ValueError:  # no language ids: no permission, or a phone without strings
        return None, "its strings cannot be read: perhaps permission is missing"
    except (usb.core.USBError, NotImplementedError) as error:
        return None, str(error)
    finally:
        usb.util.dispose_resources(device)
    return (_UNPRINTABLE.sub("?", text) if text else None), None


def libusb() -> Any:  # noqa: ANN401
    """Return pyusb's backend over the system's libusb, else over the bundled one.

    On Linux the system's own comes first: it knows the system's udev. Elsewhere the bundled one is
    tried first, because a stray DLL on the path is seldom the right one.

    Each call looks at the bus anew. pyusb would keep one libusb context, whose list of devices
    only udevd's news changes: without udevd, as in containers, a phone that left and came back
    would never be seen.

    Raises:
        TransportError: there is none.
    """
    ways = (_system_libusb, _bundled_libusb)
    for way in ways if sys.platform == "linux" else reversed(ways):
        for path in way():
            usb.backend.libusb1._lib_object = None  # pyusb has no other way to a new context
            backend = usb.backend.libusb1.get_backend(find_library=lambda _, path=path: path)
            if backend is not None:
                _log.debug("libusb: %s", path)
                _contexts.append(backend)
                return backend
    raise TransportError(
        "libusb was not found.",
        remedies=("Install it (Debian: apt install libusb-1.0-0; macOS: brew install libusb).",),
    )


def _system_libusb() -> Iterator[str]:
    names = ["libusb-1.0.so.0", "libusb-1.0.so"] if sys.platform == "linux" else []
    for name in [*names, ctypes.util.find_library("usb-1.0")]:
        with contextlib.suppress(OSError):
            if name:
                ctypes.CDLL(name)
                yield name


def _bundled_libusb() -> Iterator[str]:
    with contextlib.suppress(ImportError):
        import libusb_package  # noqa: PLC0415  # needed only where the system has none

        if path := libusb_package.get_library_path():
            yield str(path)
