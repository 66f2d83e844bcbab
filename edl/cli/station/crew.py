# SPDX-License-Identifier: BSD-3-Clause
"""The bus, watched: each phone that appears gets a worker, and none waits for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edl.cli import reaching
from edl.cli.station.rows import Row, State
from edl.cli.station.worker import Order, Tell, Worker
from edl.errors import EdlError, NoDeviceError
from edl.plan import owed
from edl.transport import discovery
from edl.transport.discovery import Found
from edl.virtual.phone import Phone as VirtualPhone

_log = logging.getLogger(__name__)

_POLL_S = 0.3


@dataclass
class Wanted:
    """Which phones the station is for, and when it has done its work.

    serials: none but these; empty: any. count: so many phones, then it ends; None: it goes on. now:
    none but those that are there at the beginning. again: also those that have been written.
    wait_s: how long serials are waited for; None: for ever.
    """

    serials: frozenset[str] = frozenset()
    count: int | None = None
    now: bool = False
    again: bool = False
    wait_s: float | None = None


@dataclass
class _Bus:
    """Where phones are. phones: the virtual ones by location, if they are."""

    backend: Any = None
    phones: Mapping[str, VirtualPhone] = field(default_factory=dict)
    vendor_id: int | None = None
    product_id: int | None = None

    def look(self) -> list[Found]:
        """Return what is there now; a bus that cannot be looked at for a moment is empty."""
        try:
            return discovery.find(
                self.backend, vendor_id=self.vendor_id, product_id=self.product_id
            )
        except EdlError as error:
            _log.warning("the bus cannot be looked at: %s", error)
            return []


class Crew:
    """Gives each phone its worker.

    Attributes:
        rows: all phones so far, in the order in which they appeared.
    """

    def __init__(
        self,
        order: Order,
        wanted: Wanted,
        tell: Tell,
        *,
        backend: Any = None,  # noqa: ANN401
        phones: Mapping[str, VirtualPhone] | None = None,
        ids: tuple[int | None, int | None] = (None, None),
        rows: list[Row] | None = None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        """Make it ready. rows: is filled, for those who look on. looked: called in each round."""
        self._looked = looked
        self._order = order
        self._wanted = wanted
        self._tell = tell
        self._bus = _Bus(backend, phones or {}, *ids)
        self._workers: dict[str, Worker] = {}  # by place
        self._met: dict[str, tuple[int, int]] = {}  # bus and address of the last phone of a place
        self._written: set[str] = set()  # serial numbers
        self._crashed: set[str] = set()
        self._first = True
        self._end = None if wanted.wait_s is None else time.monotonic() + wanted.wait_s
        self.rows: list[Row] = rows if rows is not None else []
        self.stopping = threading.Event()

    # -- one round ------------------------------------------------------------------------------

    def step(self) -> bool:
        """Look at the bus once; tell whether there is anything left to do."""
        found = self._bus.look()
        self._settle(found)
        if not self.stopping.is_set():
            for each in found:
                self._meet(each)
            self._first = False
        self._looked()
        return self._goes_on()

    def run(self) -> None:
        """Look at the bus until there is nothing left to do, or `stop` was called."""
        while self.step():
            self.stopping.wait(_POLL_S) if not self.stopping.is_set() else self._join()

    def stop(self, *, at_once: bool = False) -> None:
        """Begin with no more phones; those that are at work end their piece, or at once."""
        self.stopping.set()
        for worker in self._workers.values():
            worker.stop(at_once=at_once)

    def close(self) -> None:
        """Wait until every worker has ended, and tell who has not come."""
        for worker in self._workers.values():
            worker.join()
        for serial in sorted(self._missing):
            row = Row("-", serial)
            error = NoDeviceError(f"No phone with serial number {serial} is in EDL mode.")
            row.end(State.FAILED, {"code": error.code, "message": error.message}, error.status)
            self.rows.append(row)

    @property
    def _missing(self) -> frozenset[str]:
        return self._wanted.serials - {row.serial for row in self.rows}

    def _join(self) -> None:
        for worker in self._workers.values():
            worker.join(_POLL_S)

    # -- phones ---------------------------------------------------------------------------------

    def _settle(self, found: list[Found]) -> None:
        """Take leave of phones whose job has ended, and of those that have left."""
        there = {each.location: (each.bus, each.address) for each in found}
        for place, worker in list(self._workers.items()):
            if not worker.is_alive():
                del self._workers[place]
                row = worker.row
                if row.state is State.DONE and row.serial not in {"", "unknown"}:
                    self._written.add(row.serial)
                if place in there:
                    self._met[place] = there[place]
        for place in [place for place in self._met if place not in there]:
            del self._met[place]

    def _meet(self, found: Found) -> None:
        """Give a phone that has appeared its worker."""
        place = found.location
        here = (found.bus, found.address)
        if place in self._workers or self._met.get(place) == here or not self._is_wanted(found):
            return
        self._met[place] = here
        row = Row(place, _serial(found), found.chip or "")
        self.rows.append(row)
        worker = Worker(self._order, found, row, self._tell, self._bus.phones.get(place))
        self._workers[place] = worker
        worker.start()

    def _is_wanted(self, found: Found) -> bool:
        wanted = self._wanted
        if wanted.now and not self._first:
            return False
        if wanted.count is not None and len(self.rows) >= wanted.count:
            return False
        if wanted.serials and _serial(found) not in wanted.serials:
            return False
        if found.mode != "edl":
            if found.location not in self._crashed:
                self._crashed.add(found.location)
                row = Row(found.location, found.serial or "")
                row.notes.append("it has crashed, and is in crash-dump mode: not touched")
                self._tell(row)
            return False
        return wanted.again or _serial(found) not in self._written

    def _goes_on(self) -> bool:
        if self._workers:
            return True
        if self.stopping.is_set() or self._wanted.now:
            return False
        if self._wanted.serials:
            late = self._end is not None and time.monotonic() >= self._end
            return bool(self._missing) and not late
        return self._wanted.count is None or len(self.rows) < self._wanted.count


def _serial(found: Found) -> str:
    """Return the serial number of a phone, which a running programmer may hide."""
    return found.serial or owed.who(reaching.place_of(found)) or ""
