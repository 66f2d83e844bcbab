# SPDX-License-Identifier: BSD-3-Clause
"""The phone and the cable: what is plugged in, whether it may be opened, and who has it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

import usb.core
import usb.util

from edl.doctor import udev
from edl.doctor.model import Check, Verdict
from edl.errors import NoDeviceError
from edl.transport import holders, serial
from edl.transport.computer import Computer
from edl.transport.discovery import Found
from edl.transport.holders import Holder
from edl.transport.serial import FoundPort
from edl.transport.usbids import Other, what_is

# sahara.md 13.2: boot ROMs run at high speed on nearly everything
_SPEEDS = {
    usb.util.SPEED_LOW: "low speed, 1.5 Mbit/s",
    usb.util.SPEED_FULL: "full speed, 12 Mbit/s",
    usb.util.SPEED_HIGH: "high speed, 480 Mbit/s",
    usb.util.SPEED_SUPER: "SuperSpeed, 5 Gbit/s",
    5: "SuperSpeed+, 10 Gbit/s",
}
_ENTER = "Hold both volume keys while plugging the phone in (often), or: adb reboot edl"
_AGAIN = "Plug the phone in again."
_DRIVER = (
    "Give the phone Qualcomm's driver QDLoader, whose COM port edl takes by itself or with --port,"
    " or WinUSB with Zadig."
)


def seen(
    phones: Sequence[Found], others: Sequence[Other], found_ports: Sequence[FoundPort] = ()
) -> list[Check]:
    """Tell what is on the bus. found_ports: serial ports that are phones."""
    checks = [_seen(phone) for phone in phones]
    checks += [Check("other-device", str(o), Verdict.WARN, o.advice.todo[0]) for o in others]
    if not phones and not found_ports:
        checks.insert(0, Check("phone", "no phone in EDL mode is seen", Verdict.WARN, _ENTER))
    return checks


def _seen(phone: Found) -> Check:
    who = f"phone {phone.serial}" if phone.serial else f"phone {_ids(phone)}"
    if phone.mode == "edl":
        return Check("phone", f"{who} is in EDL mode at USB {phone.location}", Verdict.OK)
    # an interface of 0x13 tells a crash dump where the ids do not
    advice = what_is(phone.vendor_id, phone.product_id, None, [(0xFF, 0xFF, 0x13)])
    command = advice.todo[0] if advice else ""
    fact = f"{who} at USB {phone.location} has crashed ({phone.mode}) and takes no programmer"
    return Check("phone", fact, Verdict.BAD, command)


def cable(phone: Found) -> list[Check]:
    """Look at the way from the computer to the phone."""
    return [_speed(phone), _hubs(phone)]


def _speed(phone: Found) -> Check:
    name, speed = "usb-speed", phone.device.speed
    if speed not in _SPEEDS:
        fact = f"how fast USB {phone.location} runs is not told"
        return Check(name, fact, Verdict.UNKNOWN)
    fact = f"USB {phone.location} runs at {_SPEEDS[speed]}"
    if speed in {usb.util.SPEED_LOW, usb.util.SPEED_FULL}:
        return Check(name, fact, Verdict.WARN, "Take another cable and another USB port.")
    return Check(name, fact, Verdict.OK)


def _hubs(phone: Found) -> Check:
    name, hubs = "hub", len(phone.ports) - 1
    if not phone.ports:
        fact = f"whether there is a hub on the way to USB {phone.location} is not told"
        return Check(name, fact, Verdict.UNKNOWN)
    if not hubs:
        return Check(name, f"no hub is on the way to USB {phone.location}", Verdict.OK)
    fact = f"{hubs} hub{'s are' if hubs > 1 else ' is'} on the way to USB {phone.location}"
    command = "If transfers fail, plug the phone into a port of the computer itself."
    return Check(name, fact, Verdict.WARN, command)


def opening(phone: Found, found_ports: Sequence[FoundPort] = ()) -> list[Check]:
    """Try to open the phone, where there is no other way to know whether that works.

    found_ports: serial ports that are phones, through which there is another way.
    """
    attempt = phone.device.get_active_configuration
    try:
        return [_open_check(phone, attempt, found_ports), _driver_check(phone)]
    finally:
        usb.util.dispose_resources(phone.device)


def _open_check(
    phone: Found, attempt: Callable[[], Any], found_ports: Sequence[FoundPort]
) -> Check:
    name, where = "access", f"the phone at USB {phone.location}"
    try:
        attempt()
    except NotImplementedError:
        fact = f"the driver that has {where} does not let programs in"
        if found_ports:
            names = ", ".join(port.name for port in found_ports)
            return Check(name, f"{fact} but through its serial port ({names})", Verdict.OK)
        return Check(name, fact, Verdict.BAD, _DRIVER)
    except usb.core.USBError as error:
        if error.errno in {errno.EACCES, errno.EPERM}:
            fact = f"{where} may not be opened: permission is missing"
            return Check(
                name, fact, Verdict.BAD, "Run edl as administrator, or see: edl explain access"
            )
        return Check(name, f"{where} cannot be opened: {error}", Verdict.BAD, _AGAIN)
    return Check(name, f"{where} can be opened", Verdict.OK)


def _driver_check(phone: Found) -> Check:
    name = "driver"
    try:
        taken = phone.device.is_kernel_driver_active(phone.interface.bInterfaceNumber)
    except (NotImplementedError, usb.core.USBError):
        fact = f"this system does not tell which driver has the phone at USB {phone.location}"
        return Check(name, fact, Verdict.UNKNOWN)
    if taken:
        fact = f"a driver of the system has the phone at USB {phone.location}; edl takes it away"
        return Check(name, fact, Verdict.OK)
    return Check(name, f"no driver has the phone at USB {phone.location}", Verdict.OK)


def ports(found: Sequence[FoundPort]) -> list[Check]:
    """Tell which serial ports are phones: there a driver such as QDLoader has them (Windows)."""
    fact = "{} is a phone in EDL mode; edl takes it as it is, or with --port {}"
    return [Check("serial-port", fact.format(port.name, port.name), Verdict.OK) for port in found]


def named_port(name: str, computer: Computer) -> Check:
    """Look at the serial port that the user has named."""
    try:
        serial.named(name)
    except NoDeviceError as error:
        return Check("serial-port", error.message.rstrip("."), Verdict.BAD, _AGAIN)
    if not computer.is_linux:  # elsewhere only opening tells
        return Check("serial-port", f"there is a serial port {name}", Verdict.OK)
    if computer.may_open(computer.path(name)):
        return Check("serial-port", f"you may open the serial port {name}", Verdict.OK)
    fact = f"you may not open the serial port {name}"
    return Check("serial-port", fact, Verdict.BAD, f"{udev.INSTALL}; then plug the phone in again")


def access(phone: Found, computer: Computer) -> Check:
    """Look at the permissions of the phone's file (Linux)."""
    name, place = "access", holders.node(phone.bus, phone.address)
    if not computer.exists(place):
        fact = f"{place} is not there, although the phone is seen"
        return Check(name, fact, Verdict.UNKNOWN, _AGAIN)
    if computer.may_open(computer.path(place)):
        return Check(name, f"you may open the phone ({place})", Verdict.OK)
    fact = f"you may not open the phone ({place})"
    if not udev.read_rules(computer).granting:
        return Check(name, fact, Verdict.BAD, f"{udev.INSTALL}; then plug the phone in again")
    if computer.environment.get("SSH_CONNECTION"):
        fact += ": the udev rule is for who sits at the computer, and you came by SSH"
        return Check(name, fact, Verdict.BAD, f'sudo setfacl -m "u:$USER:rw" {place}')
    return Check(name, f"{fact}, though a udev rule is there", Verdict.BAD, _AGAIN)


def drivers(phone: Found, computer: Computer) -> list[Check]:
    """Look which drivers of the kernel and which programs have the phone (Linux)."""
    if not computer.path("/sys/bus/usb/devices").is_dir():
        fact = "the kernel does not show here which drivers have the phone"
        return [Check("driver", fact, Verdict.UNKNOWN)]
    bound = holders.drivers(phone.location, computer)
    checks = [_bound(interface, driver) for interface, driver in bound.items() if driver != "usbfs"]
    if not checks:
        fact = f"no driver of the kernel has the phone at USB {phone.location}"
        checks = [Check("driver", fact, Verdict.OK)]
    places = holders.places(phone.location, phone.bus, phone.address, computer)
    return [*checks, *_holders(places, computer, claimed="usbfs" in bound.values())]


def _bound(interface: str, driver: str) -> Check:
    if driver == "qcserial":
        fact = f"the driver qcserial has the phone ({interface}); edl takes it away when it starts"
        return Check("driver", fact, Verdict.OK)
    fact = f"the driver {driver} has the phone ({interface})"
    command = f"echo {interface} | sudo tee /sys/bus/usb/drivers/{driver}/unbind"
    return Check("driver", fact, Verdict.WARN, command)


def _holders(places: Sequence[str], computer: Computer, *, claimed: bool) -> list[Check]:
    """Look for the programs that have one of places open."""
    held, hidden = holders.holders(places, computer)
    if held:
        return [_holder(holder, claimed=claimed) for holder in held]
    if claimed:
        fact = "another program uses the phone; which one, only root can see"
        return [Check("holder", fact, Verdict.BAD, f"sudo fuser -v {places[0]}")]
    if hidden:
        fact = "no program of yours has the phone open; those of other users cannot be seen"
        return [Check("holder", fact, Verdict.UNKNOWN, f"sudo fuser -v {' '.join(places)}")]
    return [Check("holder", "no other program has the phone open", Verdict.OK)]


def _holder(holder: Holder, *, claimed: bool) -> Check:
    verdict = Verdict.BAD if claimed or holder.name == holders.MODEM_MANAGER else Verdict.WARN
    return Check("holder", f"{holder} has the phone open", verdict, holder.command)


def _ids(phone: Found) -> str:
    return f"{phone.vendor_id:04x}:{phone.product_id:04x}"
