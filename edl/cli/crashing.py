# SPDX-License-Identifier: BSD-3-Clause
"""Phones that have crashed (900E): found, opened, and what they offered an earlier run.

A crashed phone greets once, and then awaits reads of its memory for as long as it is left alone.
So what it offered is kept, by the place on the bus that it loses when it leaves: after `edl ramdump
--list`, or an interruption, nobody else could tell where its table lies.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edl.cli.app import App
from edl.cli.finding import Finder, Seen
from edl.cli.reaching import place_of
from edl.device.crashdump import CrashedPhone, Dump
from edl.errors import EdlError, NoDeviceError, TransportError, UsageError
from edl.events import Stage
from edl.home import open_private
from edl.identity import PhoneIdentity
from edl.plan import home
from edl.ramdump.record import Owner
from edl.sahara.host import MemoryOffered
from edl.transport import discovery
from edl.transport.discovery import Found

_FILE = "crash-dumps.json"
_MOST_KEPT = 32
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Crashed:
    """A crashed phone that was opened."""

    phone: CrashedPhone
    dump: Dump
    owner: Owner


@contextlib.contextmanager
def opened(app: App) -> Iterator[Crashed]:
    """Find the crashed phone, and read the table of its memory. It stays in that mode afterwards.

    Raises:
        NoDeviceError: there is none, or the phone has not crashed.
        EdlError: see `CrashedPhone.open` and `Finder.wait`.
    """
    with app.running(), app.plugged(), contextlib.ExitStack() as held:
        found = Finder(app).wait()
        _require_crashed(app, found)
        app.seen = True
        who = f"phone {found.serial}" if found.serial else "a phone"
        app.emit(Stage("found", f"{who} in crash-dump mode at {_where(found)}"))
        transport = Finder(app).open(found)
        held.callback(transport.close)
        phone = CrashedPhone(transport, app.emit)
        key = f"{place_of(found)} {found.serial}"
        dump = phone.open(_recall(key))
        _remember(key, dump.offer)
        yield Crashed(phone, dump, _owner(found))


def restart(app: App) -> bool:
    """Restart the phone that is plugged in, if it has crashed. Returns whether it had.

    Raises:
        TransportError: it does not obey.
    """
    with app.running(), app.plugged(), contextlib.ExitStack() as held:
        found = _only_crashed(app)
        if found is None:
            return False
        transport = Finder(app).open(found)
        held.callback(transport.close)
        if not CrashedPhone(transport, app.emit).restart():
            raise TransportError(
                "The crashed phone does not answer to the reset.",
                remedies=("Hold the power button for 15 seconds until the phone leaves USB.",),
            )
    return True


def _only_crashed(app: App) -> Found | None:
    """Return the phone that is meant, if it shows on USB that it has crashed."""
    with contextlib.suppress(NoDeviceError, TransportError, UsageError):
        found = discovery.choose(app.find(), app.settings.serial, app.settings.usb_path)
        if found.mode == "crash dump":
            return found
    return None


def _require_crashed(app: App, found: Seen) -> None:
    """Make sure that the phone has crashed, as far as its descriptors tell.

    Who names a port or USB ids knows better than the table of ids.
    """
    by_id = app.settings.vid is not None or app.settings.pid is not None
    if isinstance(found, Found) and found.mode != "crash dump" and not by_id:
        raise NoDeviceError(
            f"The phone at USB {found.location} is in EDL mode: it has not crashed, and offers no"
            " crash dump.",
            remedies=("To save what is on its storage: edl backup DIR",),
        )


def _where(found: Seen) -> str:
    return f"USB {found.location}" if isinstance(found, Found) else found.name


def _owner(found: Seen) -> Owner:
    """Return whose memory it is: what its descriptors tell, and what it told in EDL mode once.

    Asking the crashed phone itself could cost its memory.
    """
    known = home.recall(found.serial) if found.serial else None
    identity = known or PhoneIdentity()
    return Owner(found.serial, identity.hwid, identity.chip)


def _recall(key: str) -> MemoryOffered | None:
    try:
        address, size, wide = _kept()[key]
    except (KeyError, ValueError, TypeError):
        return None
    possible = all(type(number) is int and 0 <= number < 1 << 64 for number in (address, size))
    return MemoryOffered(address, size, wide is True) if possible else None


def _remember(key: str, offer: MemoryOffered) -> None:
    with contextlib.suppress(OSError, EdlError):  # only needed if this run ends early
        kept = {name: value for name, value in _kept().items() if name != key}
        kept[key] = [offer.table_address, offer.table_bytes, offer.wide]
        newest = dict(list(kept.items())[-_MOST_KEPT:])
        folder = home.make_folder(home.home())
        with open_private(folder / _FILE, "wb") as file:
            file.write(json.dumps(newest).encode() + b"\n")


def _kept() -> dict[str, Any]:
    try:
        with (home.home() / _FILE).open("rb") as file:
            kept = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}
