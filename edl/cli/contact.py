# SPDX-License-Identifier: BSD-3-Clause
"""First contact: what `edl` alone says. What is plugged in, what is unfinished, what to do next.

Looks and tells; waits for nothing, and asks no phone anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import edl
from edl.backup.find import Known, find
from edl.cli.app import App
from edl.cli.finding import Seen, describe
from edl.cli.options import Settings
from edl.errors import TransportError
from edl.plan import history
from edl.plan.history import Record
from edl.plan.model import plural
from edl.transport import usbids
from edl.transport.discovery import Found
from edl.transport.serial import FoundPort
from edl.transport.usbids import Other

_MOST_PLUGGED = 3
_COLUMN = 11

RESCUE = ("edl rescue", "leads you through it, step by step")
RESUME = ("edl resume", "goes on with the unfinished job")
INFO = ("edl info", "tells what phone it is, and how its storage is")
DOCTOR = ("edl doctor", "looks at this computer and the cable")
HELP = ("edl --help", "shows all commands")


@dataclass(frozen=True)
class Contact:
    """What is there.

    Attributes:
        phones: in EDL mode, over USB. ports: serial ports with a phone in EDL mode behind them.
        others: devices in another mode, of which something can be said.
        jobs: interrupted ones, of the phones that are there, or of all if none is.
        backups: of these phones, newest first, likewise.
        problem: why the bus could not be looked at, or "".
    """

    phones: tuple[Found, ...] = ()
    ports: tuple[FoundPort, ...] = ()
    others: tuple[Other, ...] = ()
    jobs: tuple[Record, ...] = ()
    backups: tuple[Known, ...] = ()
    problem: str = ""

    @property
    def next(self) -> list[tuple[str, str]]:
        """What can be done now: commands, and what they do."""
        here = bool(self.phones or self.ports)
        commands = [RESUME] if self.jobs else []
        commands.append(RESCUE)
        if here and not any(phone.problem for phone in self.phones):
            commands.append(INFO)
        else:
            commands.append(DOCTOR)
        return [*commands, HELP]


def run(settings: Settings) -> None:
    """Look, and tell."""
    app = App(settings)
    with app.running(), app.plugged():
        contact = look(app)
    app.result(_data(contact) if settings.json else {}, _text(contact))


def look(app: App) -> Contact:
    """Return what is there."""
    ports = app.ports()
    problem = ""
    phones: list[Found] = []
    others: list[Other] = []
    try:
        phones = [found for found in app.find() if found.mode == "edl"]
        backend = app.virtual.backend if app.virtual is not None else None
        others = usbids.others(backend, {found.location for found in phones})
        others = [other for other in others if app.means(other.location)]
    except TransportError as error:
        problem = error.message
    ports = [port for port in ports if port.location not in {each.location for each in phones}]
    seen: list[Seen] = [*phones, *ports]
    serials = [each.serial or _told_before(each) for each in seen]
    known = [each for each in serials if each is not None]
    whose = known if serials and len(known) == len(serials) else history.serials()
    jobs = [job for each in dict.fromkeys(whose) for job in history.interrupted(each)]
    backups = find()
    if serials and len(known) == len(serials):
        backups = tuple(each for each in backups if each.serial in known)
    return Contact(tuple(phones), tuple(ports), tuple(others), tuple(jobs), backups, problem)


def _told_before(seen: Seen) -> str | None:
    """Return the serial number that a phone told an earlier job, if it has stayed where it was."""
    from edl.cli.reaching import place_of  # noqa: PLC0415  # takes all that speaks to phones along
    from edl.plan import owed  # noqa: PLC0415

    return owed.who(place_of(seen))


def _data(contact: Contact) -> dict[str, Any]:
    from edl.cli.commands.backups import backup_data  # noqa: PLC0415  # for programs only
    from edl.cli.commands.list import rows_of  # noqa: PLC0415
    from edl.cli.commands.resume import job_data  # noqa: PLC0415

    return {
        "phones": rows_of(list(contact.phones), list(contact.ports)),
        "others": [
            {
                "location": other.location,
                "id": f"{other.vendor_id:04x}:{other.product_id:04x}",
                "mode": other.advice.kind,
                "what": str(other.advice),
                "todo": list(other.advice.todo),
            }
            for other in contact.others
        ],
        "jobs": [job_data(record) for record in contact.jobs],
        "backups": [backup_data(known) for known in contact.backups],
        "problem": contact.problem or None,
        "next": [command for command, _ in contact.next],
    }


def _text(contact: Contact) -> Iterator[str]:
    """Yield ten lines at most."""
    yield f"edl {edl.__version__} brings Qualcomm phones back to life that show a black screen."
    plugged = list(plugged_in(contact))
    more = len(plugged) - _MOST_PLUGGED
    if more > 0:
        plugged[_MOST_PLUGGED - 1 :] = [f"and {more + 1} more: see 'edl list'"]
    yield from _rows("plugged in", plugged)
    yield from _rows("unfinished", _unfinished(contact.jobs))
    yield from _rows("saved", _saved(contact.backups))
    width = max(len(command) for command, _ in contact.next)
    yield from _rows("next", [f"{command:<{width}}  {what}" for command, what in contact.next])


def plugged_in(contact: Contact) -> Iterator[str]:
    """Yield what is plugged in, a line each; that nothing is, too."""
    seen: list[Seen] = [*contact.phones, *contact.ports]
    for found in seen:
        problem = found.problem if isinstance(found, Found) else None
        yield describe(found) + (f", but {problem}" if problem else "")
    for other in contact.others:
        yield f"{other}. {other.advice.todo[0]}"
    if contact.problem:
        yield contact.problem
    elif not contact.phones and not contact.ports and not contact.others:
        yield "no phone: none in EDL mode (9008), fastboot, recovery or Android is seen"


def _unfinished(jobs: tuple[Record, ...]) -> Iterator[str]:
    if jobs:
        last = jobs[-1]
        more = f", and {plural(len(jobs) - 1, 'other job')}" if len(jobs) > 1 else ""
        yield f"{last.name} of the phone {last.serial}, {last.progress}{more}"


def _saved(backups: tuple[Known, ...]) -> Iterator[str]:
    if backups:
        newest = backups[0]
        state = "" if newest.state == "complete" else f", {newest.state}"
        yield (
            f"{plural(len(backups), 'backup')}, the newest of {newest.made[:10]}: {newest.path}"
            f"{state} (all: 'edl backups')"
        )


def _rows(label: str, lines: Iterator[str] | list[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {label:<{_COLUMN}} {line}"
        label = ""
