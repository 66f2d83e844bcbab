# SPDX-License-Identifier: BSD-3-Clause
"""One phone of a station: its own run of the job, which shares nothing with the others' runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from edl.cli import failures, logs, reporting
from edl.cli.app import App
from edl.cli.commands import rawprogram
from edl.cli.options import Settings
from edl.cli.progress import Quiet
from edl.cli.station.rows import Row, State
from edl.device.phone import Phone
from edl.errors import AccessError, CancelledError, EdlError, SafetyError, StoppedMidwayError
from edl.events import Event
from edl.home import open_private
from edl.locks import Taken, lock
from edl.plan import home
from edl.plan.model import Finding
from edl.report.collect import Recorder
from edl.transport import discovery
from edl.transport.discovery import Found
from edl.virtual.phone import Phone as VirtualPhone

_LEFT_ALONE = (SafetyError, CancelledError)


@dataclass(frozen=True)
class Order:
    """What is done to each phone. settings: of the phone, as the command line has them.

    checks: the options of the boot check. reports: a folder for a page a phone, or None. yes:
    the user has agreed to what the package asks.
    """

    request: rawprogram.Request
    settings: Settings
    yes: bool
    checks: Mapping[str, Any]
    reports: Path | None = None


Tell = Callable[[Row], None]  # that there is news of it


class PhoneApp(App):
    """The run of one phone: it sees no other phone, asks nobody, and its words go to the row."""

    def __init__(self, order: Order, row: Row, tell: Tell, backend: Any, phone: Any) -> None:  # noqa: ANN401
        settings = replace(
            order.settings, serial=None, port=None, virtual=None, wait=0.0, quiet=True, json=False,
            given={}, faults=(), report=None, recorder=None, dialog=False, talk=None,
        )  # fmt: skip
        if order.reports is not None:
            settings.recorder = Recorder("rawprogram")
        super().__init__(settings)
        self.virtual: VirtualPhone | None = phone
        self._backend = backend
        self._row = row
        self._tell = tell
        self._display = _ToRow(row, tell, self)
        self._given = {"yes": order.yes}
        self.at_once = False

    @property
    def at_terminal(self) -> bool:
        """Nobody can be asked about one of many phones."""
        return False

    @property
    def given(self) -> Mapping[str, Any]:
        """What the station was given."""
        return self._given

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Nothing is set up: the station has its log and its signals for all of them."""
        yield

    @contextlib.contextmanager
    def plugged(self) -> Iterator[None]:
        """Nothing is plugged in: the station has done so."""
        yield

    def find(self) -> list[Found]:
        """Return the phone at this place, if it is there."""
        vendor_id, product_id = self.ids
        found = discovery.find(self._backend, vendor_id=vendor_id, product_id=product_id)
        return [each for each in found if each.location == self._row.place]

    def result(self, data: dict[str, Any], lines: Iterable[str]) -> None:
        """Keep the result."""
        del lines
        if self.recorder is not None:
            self.recorder.line("result", data)
        self._row.data = data

    def show(self, lines: Iterable[str]) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def json_line(self, kind: str, data: Mapping[str, Any]) -> None:
        """Keep a line of the plan, or a finding, for the page."""
        if self.recorder is not None:
            self.recorder.line(kind, data)

    def show_finding(self, finding: Finding) -> None:
        """Tell it with the row."""
        self._row.notes.append(finding.message)
        self._tell(self._row)


class _ToRow(Quiet):
    """Shows events in a row."""

    def __init__(self, row: Row, tell: Tell, app: PhoneApp) -> None:
        self._row = row
        self._tell = tell
        self._app = app

    def begin(self, total_bytes: int) -> None:
        """See Display."""
        self._row.job_bytes = total_bytes

    def __call__(self, event: Event) -> None:
        """See Display. Ends a run that shall stop at once."""
        if self._app.at_once:
            raise KeyboardInterrupt
        if self._row.note(event):
            self._tell(self._row)


class Worker(threading.Thread):
    """Carries the order out on the phone at one place."""

    def __init__(
        self, order: Order, found: Found, row: Row, tell: Tell, phone: VirtualPhone | None = None
    ) -> None:
        super().__init__(name=f"phone {found.location}", daemon=True)
        self._order = order
        self._tell = tell
        self.row = row
        self.app = PhoneApp(order, row, tell, phone.backend if phone is not None else None, phone)

    def stop(self, *, at_once: bool) -> None:
        """Let it stop when its piece is done, or with the next event."""
        self.app.cancel.set()
        self.app.at_once = at_once

    def run(self) -> None:
        """See threading.Thread. Whatever happens ends in the row."""
        try:
            with logs.about(self.row.place, self.row.serial):
                self._carry_out()
            self.row.end(State.DONE, self.row.data)
        except BaseException as error:  # noqa: BLE001  # one phone's end is nobody else's
            self._failed(error)
        self._report()
        self._tell(self.row)

    def _carry_out(self) -> None:
        app, order = self.app, self._order
        with app.phone(order.request.package, resume=True) as phone:
            self.row.serial = phone.serial
            self.row.chip = phone.identity.chip or ""
            with _alone(phone, self.row.place):
                rawprogram.agree(app, order.request, phone, yes=order.yes)
                ready = rawprogram.carry_out(
                    app, order.request, phone, yes=order.yes, checks=order.checks
                )
        ready.conclude()

    def _failed(self, error: BaseException) -> None:
        failure = failures.as_edl_error(error, self.app.settings)
        data = failures.as_data(failure)
        if isinstance(failure, StoppedMidwayError):
            state = State.STOPPED
        elif isinstance(failure, _LEFT_ALONE):
            state = State.LEFT_ALONE
        else:
            state = State.FAILED
        reporting.failed(self.app.settings, data)
        self.row.end(state, data, failure.status)

    def _report(self) -> None:
        """Write the page of this phone."""
        folder, recorder = self._order.reports, self.app.recorder
        if folder is None or recorder is None:
            return
        stem = f"{self.row.place}-{self.row.serial or 'unknown'}"
        path = _free(folder, stem)
        self.app.settings.report = str(path)
        try:
            reporting.write(self.app.settings, ["rawprogram"], self.row.status)
            self.row.report = str(path)
        except EdlError as error:
            self.row.notes.append(f"its report is missing: {error.message}")


def _free(folder: Path, stem: str) -> Path:
    """Return the name of a page that is not there yet: a place may see several phones."""
    path, number = folder / f"{stem}.html", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.html"
    return path


@contextlib.contextmanager
def _alone(phone: Phone, place: str) -> Iterator[None]:
    """Keep other runs of edl from this phone, wherever it may turn up, as long as this lasts.

    Raises:
        AccessError: another run has it.
    """
    with contextlib.ExitStack() as held:
        try:
            if phone.serial != "unknown":
                folder = home.make_folder(home.phone_folder(phone.serial))
                file: IO[Any] = held.enter_context(open_private(folder / "station.lock", "wb"))
                lock(file)
        except Taken as error:
            raise AccessError(
                f"Another run of edl works on a phone {phone.serial} already (this one is at"
                f" USB {place}).",
                remedies=("Wait until that has ended.",),
            ) from error
        except (OSError, EdlError):  # a disk without room, or without locks, stops no rescue
            pass
        yield
