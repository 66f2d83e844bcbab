# SPDX-License-Identifier: BSD-3-Clause
"""The folder that umockdev shows to a program as /sys and /dev: a USB host with phones on it.

umockdev's preloaded library turns paths in /sys and /dev into paths in $UMOCKDEV_DIR, ioctls of a
device node into messages to the socket `ioctl/NODE`, and a netlink socket for events of udev into a
socket `eventFD`, all below that folder (umockdev 0.17, src/libumockdev-preload.c).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import tempfile
import time
from collections import deque
from pathlib import Path

from edl.virtual.descriptors import UsbDevice
from edl.virtual.faults import Kind

_HUB = Path("devices/pci0000:00/0000:00:14.0/usb1")
_HUB_DESCRIPTORS = bytes.fromhex(
    "12010002090001406b1d020015060302010109021900010100e0000904000001090000000705810304000c"
)
_USB_MAJOR = 189

# A udev event: libudev's header, then NAME=VALUE strings (systemd, sd-device/device-monitor.c).
# The subscriber's filter compares the two hashes (MurmurHash2 of `usb` and `usb_device`).
_UDEV_MAGIC = 0xFEEDCAFE
_USB_HASH, _USB_DEVICE_HASH = 0x0577C5E5, 0x27F8F50C
_UDEV_PREFIX = b"libudev\0"
_UDEV_HEADER_BYTES = 40

# It opens for reading only, for root as well (kernel, fs/proc/proc_sysctl.c: test_perm).
_FORBIDDEN = Path("/proc/sys/kernel/version")


class Testbed:
    """The folder; delete it with close().

    Attributes:
        root: the folder, for $UMOCKDEV_DIR. Its path is short: it is a part of names of sockets.
        udev_delay_s: how long udev takes to tell programs what has come or gone.
    """

    __test__ = False  # pytest: this is none

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="edl-usb-"))
        self._sys = self.root / "sys"
        self.udev_delay_s = 0.0
        self._events = 0
        self._untold: deque[tuple[float, bytes]] = deque()
        for folder in ("sys/bus/usb/devices", "sys/class", "dev/bus/usb/001"):
            (self.root / folder).mkdir(parents=True)
        self._add(_HUB, 1, "480", _HUB_DESCRIPTORS)

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root)

    def add(self, device: UsbDevice, node: str) -> socket.socket:
        """Let device appear.

        node: path of what programs shall open as its device node.

        Returns:
            The socket at which they then ask for ioctls.
        """
        listener = socket.socket(socket.AF_UNIX)
        path = self.root / f"ioctl/{_node(device.address)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of an earlier bus
        listener.bind(str(path))
        listener.listen()
        denied = any(fault.kind is Kind.DENIED for fault in device.injector.pending)
        (self.root / _node(device.address)).symlink_to(_FORBIDDEN if denied else node)
        self._add(_place(device), device.address, _speed(device), _descriptors(device))
        self.show_configuration(device)
        self._announce("add", _place(device), device.address)
        return listener

    def show_configuration(self, device: UsbDevice) -> None:
        """Show which configuration device has."""
        text = f"{device.configuration}\n" if device.configuration else ""
        (self._sys / _place(device) / "bConfigurationValue").write_text(text)

    def remove(self, device: UsbDevice) -> None:
        """Let device disappear."""
        place = _place(device)
        shutil.rmtree(self._sys / place)
        (self._sys / "bus/usb/devices" / place.name).unlink()
        (self.root / _node(device.address)).unlink()
        self._announce("remove", place, device.address)

    def _add(self, place: Path, address: int, speed: str, descriptors: bytes) -> None:
        folder = self._sys / place
        folder.mkdir(parents=True)
        vendor, product = struct.unpack_from("<HH", descriptors, 8)
        files = {
            "busnum": "1",
            "devnum": str(address),
            "speed": speed,
            "idVendor": f"{vendor:04x}",
            "idProduct": f"{product:04x}",
            "bConfigurationValue": "1",
            "uevent": "\n".join(_properties(address)),
        }
        for name, text in files.items():
            (folder / name).write_text(f"{text}\n")
        (folder / "descriptors").write_bytes(descriptors)
        (folder / "subsystem").symlink_to(os.path.relpath(self._sys / "bus/usb", folder))
        devices = self._sys / "bus/usb/devices"
        (devices / place.name).symlink_to(os.path.relpath(folder, devices))

    def _announce(self, action: str, place: Path, address: int) -> None:
        """Have udev tell all who listen."""
        self._events += 1
        properties = [
            f"ACTION={action}",
            f"DEVPATH=/{place}",
            "SUBSYSTEM=usb",
            f"SEQNUM={self._events}",
            *_properties(address),
        ]
        body = b"".join(text.encode() + b"\0" for text in properties)
        message = (
            _UDEV_PREFIX
            + struct.pack(">I", _UDEV_MAGIC)
            + struct.pack("=III", _UDEV_HEADER_BYTES, _UDEV_HEADER_BYTES, len(body))
            + struct.pack(">IIII", _USB_HASH, _USB_DEVICE_HASH, 0, 0)
            + body
        )
        self._untold.append((time.monotonic() + self.udev_delay_s, message))
        self.tell()

    def tell(self, *, early: bool = False) -> None:
        """Send the events of udev that are due, or all."""
        while self._untold and (early or self._untold[0][0] <= time.monotonic()):
            _, message = self._untold.popleft()
            for path in self.root.glob("event*"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.setblocking(False)
                    with contextlib.suppress(ConnectionRefusedError):  # nobody listens any more
                        sender.sendto(message, str(path))


def _node(address: int) -> str:
    return f"dev/bus/usb/001/{address:03}"


def _place(device: UsbDevice) -> Path:
    return _HUB / f"1-{device.port}"


def _speed(device: UsbDevice) -> str:
    return "5000" if device.super_speed else "480"


def _descriptors(device: UsbDevice) -> bytes:
    return b"".join(device.raw_descriptor(kind, 0, language=0) or b"" for kind in (1, 2))


def _properties(address: int) -> list[str]:
    return [
        f"MAJOR={_USB_MAJOR}",
        f"MINOR={address - 1}",
        f"DEVNAME={_node(address).removeprefix('dev/')}",
        "DEVTYPE=usb_device",
        "BUSNUM=001",
        f"DEVNUM={address:03}",
    ]
