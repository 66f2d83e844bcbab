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


@dataclass(frozen=True)
class Places:
    """Where things of ours are.

    own: the program that runs. home: the user's data. loaders: folders to search. find_loaders:
    finds those in one folder.
    """

    own: Path
    home: Path
    loaders: Sequence[Path]
    find_loaders: Callable[[Path], Sequence[Path]]


def examine(computer: Computer, places: Places, backend: Any = None) -> list[Check]:  # noqa: ANN401
    """Return all checks. backend: the bus with virtual phones, instead of the computer's own."""
    checks = [
        software.python(),
        software.packages(),
        software.other_edl(computer, places.own),
        software.loaders(places.loaders, places.find_loaders),
        software.room(places.home),
    ]
    if backend is not None:
        return [*checks, software.libusb(backend), *_phones(backend, None)]
    checks += system.machine(computer)
    try:
        backend = discovery.libusb()
        checks += [software.libusb(backend), *_phones(backend, computer)]
    except TransportError as error:
        checks.append(_failed(error))
        checks += _system(computer, needed=True)
    return checks


def healthy(checks: Sequence[Check]) -> bool:
    """Tell whether nothing is bad."""
    return all(check.verdict is not Verdict.BAD for check in checks)


def _phones(backend: Any, computer: Computer | None) -> list[Check]:  # noqa: ANN401
    """Look at what is on the bus. computer: whose bus it is, None for a virtual one."""
    found = discovery.find(backend)
    others = usbids.others(backend, {phone.location for phone in found})
    checks = phones_checks.seen(found, others)
    barred = not found
    for phone in found:
        state = _held(phone, computer)
        barred = barred or any(c.name == "access" and c.verdict is not Verdict.OK for c in state)
        checks += [*state, *phones_checks.cable(phone)]
    return checks if computer is None else [*checks, *_system(computer, needed=barred)]


def _held(phone: Found, computer: Computer | None) -> list[Check]:
    if computer is None or not computer.is_linux:  # elsewhere only opening tells
        return phones_checks.opening(phone)
    return [phones_checks.access(phone, computer), *phones_checks.drivers(phone, computer)]


def _system(computer: Computer, *, needed: bool) -> list[Check]:
    if not computer.is_linux:
        return phones_checks.ports(serial.find_ports())
    return [
        system.rule(computer, needed=needed),
        system.modem_manager(computer),
        system.qcserial(computer),
    ]


def _failed(error: TransportError) -> Check:
    command = next(iter(error.remedies), "")
    return Check("libusb", error.message.rstrip("."), Verdict.BAD, command)
