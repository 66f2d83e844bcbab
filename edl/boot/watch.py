# SPDX-License-Identifier: BSD-3-Clause
"""What a phone comes back as after its restart, as far as the bus shows it.

    before = watch.sights(backend)           # before the restart
    came = watch.watch(lambda: watch.sights(backend), before, place, seconds=30)

A phone is known again by the socket that it is plugged into; where that is not known, by being new.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from edl.errors import EdlError
from edl.transport import discovery, usbids

_POLL_S = 0.5
_EDL = "edl"


class Came(enum.StrEnum):
    """What a phone came back as."""

    SYSTEM = "system"
    FASTBOOT = "fastboot"
    EDL = "edl"
    CRASH = "crash"
    OTHER = "other"
    GONE = "gone"
    STAYED = "stayed"
    UNSEEN = "unseen"


_KINDS = {
    "adb": Came.SYSTEM,
    "android": Came.SYSTEM,
    "diag": Came.SYSTEM,
    "fastboot": Came.FASTBOOT,
    "crash": Came.CRASH,
    "old-crash": Came.CRASH,
    _EDL: Came.EDL,
}
FAILED = frozenset({Came.EDL, Came.CRASH})  # it did not start


@dataclass(frozen=True)
class Sight:
    """A device on the bus.

    kind: of usb_kinds.tsv, or `edl`. place: the socket, such as `1-4.2`. mark: changes when it
    leaves and comes back, where that can be seen. todo: what to do with it.
    """

    kind: str
    name: str
    place: str
    mark: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Return:
    """What the phone came back as. text: in a sentence. seconds: after how long."""

    came: Came
    text: str
    seconds: float
    todo: str = ""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON-able data (docs/json.md)."""
        return {
            "as": self.came,
            "text": self.text,
            "seconds": round(self.seconds, 1),
            "todo": self.todo,
        }


def sights(backend: Any = None, ids: tuple[int | None, int | None] = (None, None)) -> list[Sight]:  # noqa: ANN401
    """Return what is on the bus that a phone may be. ids: unusual ones of the phone in EDL mode.

    Raises:
        TransportError: the bus cannot be looked at.
    """
    phones = discovery.find(backend, vendor_id=ids[0], product_id=ids[1])
    found = [
        Sight(_EDL, "Qualcomm 9008", each.location, f"{each.bus} {each.address}")
        for each in phones
        if each.mode == "edl"
    ]
    here = {sight.place for sight in found}
    others = usbids.others(backend, here)
    return [
        *found,
        *(
            Sight(other.advice.kind, other.advice.name, other.location, todo=other.advice.todo[0])
            for other in others
        ),
    ]


def place_of(phone_place: str) -> str:
    """Return the socket in the place of a phone (`Phone.place`), empty if it is not known."""
    words = phone_place.split()
    return words[1] if len(words) > 1 and words[0] == "usb" else ""


def watch(
    look: Callable[[], Collection[Sight]],
    before: Collection[Sight],
    place: str,
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Return:
    """Return what the phone at place is seen as within seconds. before: what was on the bus."""
    begin = clock()
    last: Sight | None = None
    while True:
        try:
            new = _new(look(), before, place)
        except EdlError as error:
            return Return(Came.UNSEEN, f"The bus cannot be looked at: {error}", clock() - begin)
        last = next(iter(new), None)
        waited = clock() - begin
        final = last is not None and last.kind in _KINDS and last not in before
        if final or waited >= seconds:
            return _told(last, before, waited)
        sleep(_POLL_S)


def _new(now: Iterable[Sight], before: Collection[Sight], place: str) -> list[Sight]:
    """Return what may be the phone: what is at its socket; else what was not there before."""
    if place:
        return [sight for sight in now if sight.place == place]
    return [sight for sight in now if sight not in before]


def _told(sight: Sight | None, before: Collection[Sight], waited: float) -> Return:
    if sight is None:
        so_long = f" for {waited:.0f} s" if waited >= 1 else ""
        text = (
            f"It has left EDL mode and was not seen on USB{so_long}: so does a phone that starts,"
            " until its system runs."
        )
        return Return(Came.GONE, text, waited)
    if sight in before:
        text = f"It has not left EDL mode within {waited:.0f} s."
        todo = "Hold its power button (with volume down) for 15 seconds."
        return Return(Came.STAYED, text, waited, todo)
    came = _KINDS.get(sight.kind, Came.OTHER)
    text = {
        Came.SYSTEM: f"Its system runs: it came back as {sight.name}.",
        Came.FASTBOOT: "It came back in fastboot: its boot loader works, and starts no system.",
        Came.EDL: "It came back in EDL mode (9008): it did not start.",
        Came.CRASH: f"It came back as {sight.name}: its software crashed while it started.",
        Came.OTHER: f"It came back as {sight.name}.",
    }[came]
    todo = {Came.EDL: "See why: edl boot-check", Came.SYSTEM: ""}.get(came, sight.todo)
    return Return(came, text, waited, todo)
