# SPDX-License-Identifier: BSD-3-Clause
"""What a station knows of each phone, and the summary of them all."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edl.events import BytesMoved, Event, Notice, Stage, StepStarted

COLUMNS = (
    "place", "serial", "chip", "state", "code", "status", "written_bytes", "unchanged_bytes",
    "verified_bytes", "verified_how", "seconds", "message", "report",
)  # fmt: skip


class State(StrEnum):
    """What a phone is at. The last four are ends."""

    CONNECTING = "connecting"
    CHECKING = "checking"
    WRITING = "writing"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LEFT_ALONE = "left alone"


ENDS = frozenset({State.DONE, State.FAILED, State.STOPPED, State.LEFT_ALONE})
_STATES = {"verify": State.VERIFYING, "check": State.CHECKING, "checked": State.CHECKING}


@dataclass
class Row:
    """One phone at one place, from when it appeared until its job has ended.

    place: where it is plugged in. step: what is being written. job_bytes: what the steps move
    together; done_bytes: of them. data: the result, or the error, as its JSON line has it.
    """

    place: str
    serial: str = ""
    chip: str = ""
    state: State = State.CONNECTING
    step: str = ""
    job_bytes: int = 0
    done_bytes: int = 0
    status: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    report: str = ""
    begun: float = field(default_factory=time.monotonic)
    writing_since: float = 0.0
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether its job has ended, however."""
        return self.state in ENDS

    @property
    def share(self) -> float:
        """How much of the writing is done, 0 to 1."""
        if self.state is State.DONE:
            return 1.0
        return min(1.0, self.done_bytes / self.job_bytes) if self.job_bytes else 0.0

    @property
    def quarters(self) -> int:
        """How many quarters of the writing are done."""
        return int(4 * self.share)

    @property
    def bytes_per_s(self) -> float:
        """How fast the writing went so far."""
        if not self.writing_since:
            return 0.0
        return self.done_bytes / max(time.monotonic() - self.writing_since, 1e-3)

    def note(self, event: Event) -> bool:
        """Take note of an event; tell whether it is news for people."""
        before = self.state, self.quarters
        match event:
            case StepStarted(title=title):
                self.state, self.step = State.WRITING, title
                self.writing_since = self.writing_since or time.monotonic()
            case BytesMoved(done_bytes):
                if self.state is State.WRITING:
                    self.done_bytes += done_bytes
            case Stage(name=name):
                if not (name == "verify" and self.quarters < 4):  # between two parts of the writing
                    self.state = _STATES.get(name, self.state)
            case Notice(text):
                self.notes.append(text)
                return True
        return (self.state, self.quarters) != before

    def end(self, state: State, data: dict[str, Any], status: int = 0) -> None:
        """Take note of how its job has ended."""
        self.seconds = time.monotonic() - self.begun
        self.state, self.data, self.status, self.step = state, data, status, ""

    def as_data(self) -> dict[str, Any]:
        """Return it JSON-able, with COLUMNS as keys."""
        told = {
            "place": self.place,
            "serial": self.serial,
            "chip": self.chip,
            "state": str(self.state),
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "report": self.report,
        }
        wanted = ("code", "message", "written_bytes", "unchanged_bytes", "verified_bytes",
                  "verified_how")  # fmt: skip
        return {name: told.get(name, self.data.get(name)) for name in COLUMNS} | {
            name: self.data.get(name) for name in wanted
        }


def summary(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the result of a station, JSON-able."""
    rows = list(rows)
    counts = {str(state): sum(row.state is state for row in rows) for state in ENDS}
    return {
        "job": "station",
        "phones": [row.as_data() for row in rows],
        "done": counts["done"],
        "failed": counts["failed"],
        "stopped": counts["stopped"],
        "left_alone": counts["left alone"],
        "written_bytes": sum(row.data.get("written_bytes") or 0 for row in rows),
    }


def as_csv(rows: Sequence[Row]) -> str:
    """Return the summary as a table for spreadsheets: a line a phone."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _cell(value) for name, value in row.as_data().items()})
    return text.getvalue()


def as_json(rows: Sequence[Row]) -> str:
    """Return the summary as one JSON document."""
    return json.dumps({"v": 1, **summary(rows)}, indent=1) + "\n"


def _cell(value: object) -> object:
    """Return value so that no spreadsheet takes it for a formula: phones and files name things."""
    text = "" if value is None else str(value).replace("\n", " ")
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
