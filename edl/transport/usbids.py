# SPDX-License-Identifier: BSD-3-Clause
"""What USB devices are that are no phone in EDL mode, and how to get from there to EDL mode.

The table names things for people and decides nothing. Its rows come from the research behind
`discovery` (sahara.md 13.1, 14.2) and from the tools that speak to the other modes: Android's
fastboot and adb are known by their interfaces (ff/42/03, ff/42/01) whatever the ids are.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import usb.core

from edl import data
from edl.transport import discovery

Interface = tuple[int, int, int]  # class, subclass, protocol

_ANY = "*"


@dataclass(frozen=True)
class Advice:
    """What a device is and what to do.

    name: its mode in a few words. kind: stable name of the row in `usb_kinds.tsv`. what: in a
    sentence without its dot. todo: sentences, most useful first, at least one.
    """

    name: str
    kind: str
    what: str
    todo: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@dataclass(frozen=True)
class Other:
    """A device on the bus that is no phone in EDL mode, but tells something."""

    vendor_id: int
    product_id: int
    location: str
    advice: Advice

    def __str__(self) -> str:
        ids = f"{self.vendor_id:04x}:{self.product_id:04x}"
        return f"USB {self.location} ({ids}) is {self.advice}"


def what_is(
    vendor_id: int,
    product_id: int,
    product: str | None = None,
    interfaces: Collection[Interface] = (),
) -> Advice | None:
    """Return what a device is that is not in EDL mode; None for EDL mode and the unknown.

    product: its product string, if it was read. interfaces: those of its configuration.
    """
    if (vendor_id, product_id) in discovery.EDL_IDS:
        return None
    shown = {f"{a:02x}/{b:02x}/{c:02x}" for a, b, c in interfaces}
    for vendor, number, interface, name, kind in _rows("usb_ids.tsv"):
        if (
            vendor in {_ANY, f"{vendor_id:04x}"}
            and number in {_ANY, f"{product_id:04x}"}
            and (interface == _ANY or interface in shown)
        ):
            what, todo = _kinds()[kind]
            return Advice(f"{name} '{product}'" if product else name, kind, what, todo)
    return None


def others(backend: Any = None, known: Collection[str] = ()) -> list[Other]:  # noqa: ANN401
    """Return the devices on the bus of which something can be said, in order of place.

    No device is opened. known: places (`1-4.2`) of which nothing more is to be said.

    Raises:
        TransportError: there is no libusb, or it cannot look at the bus.
    """
    found = []
    for device in discovery.devices(backend):
        ids = (device.idVendor, device.idProduct)
        advice = what_is(*ids, None, _interfaces(device))
        if advice is not None and (place := _location(device)) not in known:
            found.append(Other(*ids, place, advice))
    return sorted(found, key=lambda other: other.location)


def _location(device: Any) -> str:  # noqa: ANN401
    """Return where device is plugged in, as `discovery.Found` writes it."""
    ports = ".".join(map(str, device.port_numbers or ()))
    return f"{device.bus or 0}-{ports or device.address}"


def _interfaces(device: Any) -> set[Interface]:  # noqa: ANN401
    """Return the interfaces that the descriptors of device name, as far as they can be read."""
    found = set()
    with contextlib.suppress(usb.core.USBError, NotImplementedError, ValueError):
        for configuration in device:
            for i in configuration:
                found.add((i.bInterfaceClass, i.bInterfaceSubClass, i.bInterfaceProtocol))
    return found


@functools.cache
def _rows(name: str) -> tuple[tuple[str, ...], ...]:
    text = data.text(name)
    return tuple(tuple(row.split("\t")) for row in text.splitlines() if not row.startswith("#"))


@functools.cache
def _kinds() -> dict[str, tuple[str, tuple[str, ...]]]:
    return {kind: (what, tuple(todo.split("|"))) for kind, what, todo in _rows("usb_kinds.tsv")}
