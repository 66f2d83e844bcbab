# SPDX-License-Identifier: BSD-3-Clause
"""The USB bus as Linux shows it in /sys: enough to see, without libusb, that there is no phone.

libusb takes its list and the descriptors from there, too (linux_usbfs.c: SYSFS_DEVICE_PATH).
"""

from __future__ import annotations

import os

_DEVICES = "/sys/bus/usb/devices"
_NODES = "/dev/bus/usb"
_MAX_BYTES = 64 * 1024
_TABLE = f"{os.path.dirname(__file__)}/data/usb_ids.tsv"  # noqa: PTH120  # pathlib takes 8 ms
_PHONE = b"\xff\xff"  # class and subclass of all interfaces that `edl.transport.discovery` knows
_ANY = "*"
_QUALCOMM = b"05c6"


def is_bare(root: str = "") -> bool:
    """Tell whether surely nothing is plugged in that is a phone, or of which something is known.

    Whatever cannot be read, and whatever only resembles such a device, counts as one.

    root: the folder that holds sys and dev.
    """
    try:
        names = [name for name in os.listdir(root + _DEVICES) if ":" not in name]  # noqa: PTH208
    except FileNotFoundError:
        return _has_no_usb(root)
    except OSError:
        return False
    try:
        vendors, interfaces = _known()
        for name in names:
            with open(f"{root}{_DEVICES}/{name}/descriptors", "rb") as file:  # noqa: PTH123  # no pathlib
                descriptors = file.read(_MAX_BYTES)
            if descriptors[8:10] in vendors or any(each in descriptors for each in interfaces):
                return False
    except (OSError, ValueError):
        return False
    return True


def phones(root: str = "") -> list[str]:
    """Return where devices of Qualcomm are plugged in, as `Found.location` has it; for the Tab key.

    root: as for is_bare.
    """
    places = []
    try:
        for name in sorted(os.listdir(root + _DEVICES)):  # noqa: PTH208
            if "-" in name and ":" not in name:
                with open(f"{root}{_DEVICES}/{name}/idVendor", "rb") as file:  # noqa: PTH123  # no pathlib
                    if file.read(_MAX_BYTES).strip() == _QUALCOMM:
                        places.append(name)
    except OSError:  # the bus changes, or this is no Linux
        pass
    return places


def shape(root: str = "") -> tuple[str, ...] | None:
    """Return what changes whenever a device comes, goes, or comes back; None where nobody knows.

    A device that comes back at its port gets another number. root: see `is_bare`.
    """
    found = []
    try:
        for name in sorted(os.listdir(root + _DEVICES)):  # noqa: PTH208
            if ":" not in name:
                with open(f"{root}{_DEVICES}/{name}/devnum", "rb") as file:  # noqa: PTH123  # no pathlib
                    found.append(f"{name} {file.read(16)!r}")
    except OSError:  # also one that goes at this moment
        return None
    return tuple(found)


def _has_no_usb(root: str) -> bool:
    """Tell whether this kernel knows of no USB at all, as those of many containers."""
    try:
        buses = os.listdir(f"{root}/sys/bus")  # noqa: PTH208
    except OSError:
        return False
    return "usb" not in buses and not os.path.lexists(root + _NODES)


def _known() -> tuple[set[bytes], set[bytes]]:
    """Return what stands in descriptors of devices that are told of: vendors, and interfaces."""
    vendors, interfaces = {b""}, {_PHONE}
    with open(_TABLE, encoding="utf-8") as file:  # noqa: PTH123  # no pathlib
        for line in file:
            if not line.startswith("#"):
                vendor, _, interface, _ = line.split("\t", 3)
                if vendor != _ANY:
                    vendors.add(bytes.fromhex(vendor)[::-1])
                else:  # nothing at all is in every descriptor
                    interfaces.add(bytes.fromhex(interface.replace("/", "").replace(_ANY, "")))
    return vendors, interfaces
