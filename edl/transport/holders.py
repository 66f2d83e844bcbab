# SPDX-License-Identifier: BSD-3-Clause
"""Who has a phone: drivers of the kernel and programs, as far as Linux shows them (/sys, /proc)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edl.errors import AccessError
from edl.transport.computer import Computer

MODEM_MANAGER = "ModemManager"
STOP_MODEM_MANAGER = "sudo systemctl stop ModemManager"

_USBFS = "usbfs"  # what the kernel calls a program that has claimed an interface
_COMMANDS = {MODEM_MANAGER: STOP_MODEM_MANAGER, "adb": "adb kill-server"}
_USB_PORT = re.compile(r"(tty|cdc-wdm)[A-Za-z]*\d+")


@dataclass(frozen=True)
class Holder:
    """A program that has a phone open. number: of its process."""

    number: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.number})"

    @property
    def command(self) -> str:
        """What ends it, as a line for a shell."""
        return _COMMANDS.get(self.name, f"kill {self.number}")


def node(bus: int, address: int) -> str:
    """Return the file through which Linux lets programs speak to a USB device."""
    return f"/dev/bus/usb/{bus:03d}/{address:03d}"


def interfaces(location: str, computer: Computer) -> list[Path]:
    """Return the folders of the interfaces of the device at location (`1-4.2`)."""
    return sorted(computer.path("/sys/bus/usb/devices").glob(f"{location}:*"))


def drivers(location: str, computer: Computer) -> dict[str, str]:
    """Return which driver has which interface of the device at location.

    `usbfs` stands for a program that has claimed it.
    """
    return {
        path.name: driver for path in interfaces(location, computer) if (driver := _driver(path))
    }


def places(location: str, bus: int, address: int, computer: Computer) -> list[str]:
    """Return the files that programs open to speak to the device: its own, and serial ports."""
    found = interfaces(location, computer)
    return [node(bus, address), *(f"/dev/{port}" for path in found for port in _ports(path))]


def holders(files: Sequence[str], computer: Computer) -> tuple[list[Holder], int]:
    """Return the programs that have one of files open, and how many programs cannot be seen."""
    wanted = set(files)
    held, hidden = [], 0
    for number, name in computer.processes():
        try:
            if _open_files(number, computer) & wanted:
                held.append(Holder(number, name))
        except OSError:
            hidden += 1
    return held, hidden


def explained(
    error: AccessError, files: Sequence[str], bound: dict[str, str], computer: Computer
) -> AccessError:
    """Return error with who is in the way, as far as that can be seen.

    files: see `places`; bound: see `drivers`.
    """
    held, hidden = holders(files, computer)
    message = error.message.rstrip(".")
    remedies: tuple[str, ...] = error.remedies
    kernel = {interface: name for interface, name in bound.items() if name != _USBFS}
    if not all(map(computer.may_open, map(computer.path, files[:1]))):
        message += f" ({files[0]})"
    elif held:
        message += f": {', '.join(map(str, held))}"
        remedies = (*(f"End it: {holder.command}" for holder in held[:2]), *remedies[:1])
    elif kernel:
        interface, name = next(iter(kernel.items()))
        message += f": the driver {name}"
        command = f"echo {interface} | sudo tee /sys/bus/usb/drivers/{name}/unbind"
        remedies = (f"Take it from its driver: {command}", *remedies[:1])
    elif hidden:
        message += "; which one, only root can see"
        remedies = (f"Look who it is: sudo fuser -v {' '.join(files)}", *remedies[:1])
    return AccessError(f"{message}.", remedies=remedies)


def _driver(interface: Path) -> str:
    try:
        return (interface / "driver").readlink().name
    except OSError:
        return ""


def _ports(interface: Path) -> list[str]:
    """Return the names of the serial ports that a driver has made of an interface."""
    return sorted({path.name for path in interface.rglob("*") if _USB_PORT.fullmatch(path.name)})


def _open_files(number: int, computer: Computer) -> set[str]:
    folder = computer.path(f"/proc/{number}/fd")
    files = set()
    for name in os.listdir(folder):  # noqa: PTH208  # names are enough
        try:
            files.add(str((folder / name).readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return files
