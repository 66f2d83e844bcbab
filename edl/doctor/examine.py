# SPDX-License-Identifier: BSD-3-Clause
"""All checks, in the order in which a rescue needs what they look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.doctor import phone as phones_checks
from edl.doctor import software, system
from edl.doctor.model import Check, Verdict
from edl.errors import TransportError
from edl.transport import discovery, serial, usbids
from edl.transport.computer import Computer
from edl.transport.discovery import Found
from edl.transport.serial import FoundPort


@dataclass(frozen=True)
class Places:
    """Where things of ours are.

    own: the program that runs. home: the user's data. loaders: folders to search. test_loaders:
    those of them for virtual phones only. find_loaders: finds those in one folder.
    """

    own: Path
    home: Path
    loaders: Sequence[Path]
    test_loaders: Sequence[Path]
    find_loaders: Callable[[Path], Sequence[Path]]


@dataclass(frozen=True)
class Meant:
    """Which phone the user has named, if any. ids: vendor and product, None for any known one.

    port: its serial port.
    """

    ids: tuple[int | None, int | None] = (None, None)
    port: str | None = None


def examine(
    computer: Computer,
    places: Places,
    backend: Any = None,  # noqa: ANN401
    meant: Meant = Meant(),
) -> list[Check]:
    """Return all checks. backend: the bus with virtual phones, instead of the computer's own."""
    checks = [
        software.python(),
        software.packages(),
        software.other_edl(computer, places.own),
        software.loaders(places.loaders, places.test_loaders, places.find_loaders),
        software.room(places.home),
    ]
    if backend is not None:
        return [*checks, software.libusb(backend), *_phones(backend, None, meant)]
    checks += system.machine(computer)
    if meant.port is not None:
        checks.append(phones_checks.named_port(meant.port, computer))
    try:
        backend = discovery.libusb()
        checks += [software.libusb(backend), *_phones(backend, computer, meant)]
    except TransportError as error:
        ports = _ports(computer)
        checks += [_failed(error, ports), *_system(computer, ports, needed=True)]
    return checks


def healthy(checks: Sequence[Check]) -> bool:
    """Tell whether nothing is bad."""
    return all(check.verdict is not Verdict.BAD for check in checks)


def _phones(
    backend: Any,  # noqa: ANN401
    computer: Computer | None,
    meant: Meant,
) -> list[Check]:
    """Look at what is on the bus. computer: whose bus it is, None for a virtual one."""
    found = discovery.find(backend, vendor_id=meant.ids[0], product_id=meant.ids[1])
    others = usbids.others(backend, {phone.location for phone in found})
    ports = _ports(computer)
    checks = phones_checks.seen(found, others, ports)
    barred = not found and meant.port is None
    for phone in found:
        state = _held(phone, computer, ports)
        barred = barred or any(c.name == "access" and c.verdict is not Verdict.OK for c in state)
        checks += [*state, *phones_checks.cable(phone)]
    return checks if computer is None else [*checks, *_system(computer, ports, needed=barred)]


def _ports(computer: Computer | None) -> list[FoundPort]:
    """Return the serial ports that are phones; on Linux libusb sees those phones as well."""
    return [] if computer is None or computer.is_linux else serial.find_ports()


def _held(phone: Found, computer: Computer | None, ports: Sequence[FoundPort]) -> list[Check]:
    if computer is None or not computer.is_linux:  # elsewhere only opening tells
        return phones_checks.opening(phone, ports)
    return [phones_checks.access(phone, computer), *phones_checks.drivers(phone, computer)]


def _system(computer: Computer, ports: Sequence[FoundPort], *, needed: bool) -> list[Check]:
    if not computer.is_linux:
        return phones_checks.ports(ports)
    return [
        system.rule(computer, needed=needed),
        system.modem_manager(computer),
        system.qcserial(computer),
    ]


def _failed(error: TransportError, ports: Sequence[FoundPort]) -> Check:
    command = next(iter(error.remedies), "")
    verdict = Verdict.WARN if ports else Verdict.BAD  # a serial port needs no libusb
    return Check("libusb", error.message.rstrip("."), verdict, command)
