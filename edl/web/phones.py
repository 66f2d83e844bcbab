# SPDX-License-Identifier: BSD-3-Clause
"""Which phones there are: on USB, on serial ports, or virtual ones in folders."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edl import sysfs
from edl.errors import EdlError, UsageError
from edl.transport import discovery, serial
from edl.virtual.saved import Saved, State
from edl.virtual.states import CRASHED

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
_MODES = {State.BOOT_ROM: "edl", State.PROGRAMMER: "edl"}


@dataclass(frozen=True)
class Place:
    """A phone, by where it is.

    id: the server's name for it. place: as people write it. mode: as `edl list` says it; of virtual
    phones also booted, off, hung and unplugged. problem: why it cannot be used. folder: of a
    virtual phone. port: whether it is a serial one.
    """

    id: str
    place: str
    serial: str = ""
    mode: str = "edl"
    chip: str = ""
    problem: str = ""
    folder: str = ""
    port: bool = False

    def words(self) -> list[str]:
        """Return the options that choose it."""
        if self.folder:
            return [f"--virtual={self.folder}"]
        if self.port:
            return [f"--port={self.place}"]
        known = [f"--serial={self.serial}"] if self.serial else []
        return [f"--usb-path={self.place}", *known]

    def data(self) -> dict[str, Any]:
        """Return what pages know of it."""
        return {
            "id": self.id,
            "place": self.place,
            "serial": self.serial,
            "mode": self.mode,
            "chip": self.chip,
            "problem": self.problem,
            "virtual": bool(self.folder),
        }


class Phones:
    """The phones, looked for about once a second.

    folders: of virtual phones; where there are any, no other phones are looked for.
    """

    def __init__(
        self,
        folders: Sequence[Path] | None = None,
        look: Callable[[], list[Place]] | None = None,
    ) -> None:
        self._folders = None if folders is None else tuple(folders)
        self._look = look or self._of_bus
        self._lock = threading.Lock()
        self._places: dict[str, Place] = {}
        self._identities: dict[str, tuple[str, dict[str, Any]]] = {}
        self._again = threading.Event()
        self._over = threading.Event()
        self._changed: Callable[[], None] = lambda: None
        self._busy: Callable[[str], str | None] = lambda _: None
        self._bus: tuple[str, ...] | None = None  # its shape, when it was looked at
        self._on_bus: list[Place] = []
        self.problem = ""  # why the bus cannot be looked at

    def connect(self, changed: Callable[[], None], busy: Callable[[str], str | None]) -> None:
        """Say whom to tell of changes, and who knows the job that has a phone."""
        self._changed, self._busy = changed, busy

    def data(self) -> list[dict[str, Any]]:
        """Return all phones, as pages know them."""
        with self._lock:
            places = list(self._places.values())
            known = dict(self._identities)
        rows = []
        for place in places:
            told = known.get(place.id, ("", None))[1]
            rows.append({**place.data(), "job": self._busy(place.id), "identity": told})
        return rows

    def place(self, phone: str) -> Place | None:
        """Return the phone with that id."""
        with self._lock:
            return self._places.get(phone)

    def choose_all(self) -> list[str]:
        """Return the options that choose all phones.

        Raises:
            UsageError: the name of a virtual phone's folder cannot stand among others.
        """
        if self._folders is None:
            return []
        texts = [str(folder) for folder in self._folders]
        if any(";" in text for text in texts):
            raise UsageError("A folder of virtual phones has a ';' in its name.")
        return [f"--virtual={';'.join(texts)}"]

    def identified(self, phone: str, identity: dict[str, Any]) -> None:
        """Keep what a job has learnt about a phone, as long as it is there."""
        with self._lock:
            place = self._places.get(phone)
            if place is not None:
                self._identities[phone] = (place.serial, identity)

    def tell(self) -> None:
        """Tell how the phones are."""
        self._changed()

    # -- looking --------------------------------------------------------------------------------

    def look(self) -> bool:
        """Look for phones once; tell whether anything is different."""
        try:
            found = self._look() if self._folders is None else _of_folders(self._folders)
            problem = ""
        except EdlError as error:
            found, problem = [], error.message
        except Exception as error:  # noqa: BLE001  # whatever a driver does: look again
            _log.exception("looking for phones")
            found, problem = [], f"Phones cannot be looked for: {error}"
        busy = {phone for phone in self._known() if self._busy(phone) is not None}
        with self._lock:
            # that our own job has a phone is no trouble
            places = {
                each.id: replace(self._places[each.id], mode=each.mode)
                if each.problem and each.id in busy
                else each
                for each in found
            }
            if places == self._places and problem == self.problem:
                return False
            self._places, self.problem = places, problem
            for phone, (number, _) in list(self._identities.items()):
                now = places[phone].serial if phone in places else None
                stays = phone in busy if now is None else not number or now in {"", number}
                if not stays:
                    del self._identities[phone]
        return True

    def _known(self) -> list[str]:
        with self._lock:
            return list(self._places)

    def look_again(self) -> None:
        """Look soon, as something may have changed."""
        self._again.set()

    def watch(self) -> None:
        """Look about once a second, until `close`."""
        while not self._over.is_set():
            if self.look():
                self._changed()
            self._again.wait(_LOOK_S)
            self._again.clear()

    def close(self) -> None:
        """Let `watch` end."""
        self._over.set()
        self._again.set()

    def _of_bus(self) -> list[Place]:
        problem: EdlError | None = None
        try:
            found = self._of_usb()
        except EdlError as error:  # a driver may show phones as ports
            found, problem = [], error
        ports = [
            Place(f"port {port.name}", port.name, port.serial or "", port=True)
            for port in serial.find_ports()
            if port.location not in {place.place for place in found if not place.problem}
        ]
        if problem is not None and not ports:
            raise problem
        return found + ports

    def _of_usb(self) -> list[Place]:
        """Return the phones on USB; where the bus has not changed, without asking them again."""
        bus = sysfs.shape()
        same = bus is not None and bus == self._bus
        if not same or any(place.problem for place in self._on_bus):
            self._bus = None  # if looking fails, it is looked again
            self._on_bus = [] if sysfs.is_bare() else [*map(_of_found, discovery.find())]
            self._bus = bus
        return list(self._on_bus)


def _of_found(found: discovery.Found) -> Place:
    return Place(
        f"usb {found.location}",
        found.location,
        found.serial or "",
        found.mode,
        found.chip or "",
        found.problem or "",
    )


def _of_folders(folders: Sequence[Path]) -> list[Place]:
    return [_of_folder(folder, number) for number, folder in enumerate(folders, 1)]


def _of_folder(folder: Path, number: int) -> Place:
    name = f"virtual {number}"
    try:
        saved = Saved.read(folder)
    except EdlError as error:
        return Place(name, name, mode="unknown", problem=error.message, folder=str(folder))
    profile = saved.spec.profile
    mode = _MODES.get(saved.state, str(saved.state))
    condition = profile.state if saved.condition is None else saved.condition
    if condition == CRASHED and mode == "edl":
        mode = "crash dump"
    serial_number = f"{profile.rom.fuses.serial:08x}" if mode == "edl" else ""
    return Place(name, name, serial_number, mode, folder=str(folder))
