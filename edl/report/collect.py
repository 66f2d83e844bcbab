# SPDX-License-Identifier: BSD-3-Clause
"""What a page needs to know, kept while a command runs: its JSON lines, with the time of each.

What the lines do not tell is kept beside them: who the phone is, what its partition tables say,
and what the tables will say that the job writes.
"""

from __future__ import annotations

import datetime as dt
import platform
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import edl
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, EdlError
from edl.events import BytesMoved, DeviceLog, Event, Notice, Stage, StepStarted
from edl.firehose.answers import StorageInfo
from edl.firehose.commands import Area
from edl.formats import gpt
from edl.formats.gpt import Gpt
from edl.formats.manifest import Manifest
from edl.plan.model import Plan, Write
from edl.plan.order import ordered
from edl.plan.patching import Disk
from edl.units import MIB

Data = dict[str, Any]

FIRST_LOG_LINES = 100  # of the device log; what a programmer says when it begins
LAST_LOG_LINES = 900  # and when it ends
_MOST_LINES = 20_000
_MOST_TABLE_BYTES = MIB


class Recorder:
    """Keeps what one run of a command does. command: its name.

    The device log is bounded: of what is longer, the middle is left out.
    """

    def __init__(self, command: str = "") -> None:
        self._command = command
        self._zero = time.monotonic()
        self._begun = dt.datetime.now(dt.UTC)
        self._lines: list[Data] = []
        self._log: list[str] = []
        self._last_log: deque[str] = deque(maxlen=LAST_LOG_LINES)
        self._log_count = 0
        self._step: Data | None = None
        self._phone: Data | None = None
        self._storage: Data | None = None
        self._planned: Data | None = None
        self._manifest: Data | None = None

    def event(self, event: Event) -> None:
        """Keep an event of a running job."""
        match event:
            case BytesMoved(done_bytes):
                if self._step is not None:
                    self._step["moved_bytes"] += done_bytes
                    self._step["ended_s"] = self._now()
            case StepStarted(index, count, title, total_bytes):
                self._end_step()
                self._step = self._add(
                    "event", {"event": "step", "index": index, "count": count, "title": title,
                              "bytes": total_bytes, "moved_bytes": 0, "ended_s": self._now()},
                )  # fmt: skip
            case Stage(name, text):
                self._end_step()
                self._add("event", {"event": "stage", "name": name, "text": text})
            case Notice(text):
                self._add("event", {"event": "notice", "text": text})
            case DeviceLog(text):
                self._log_count += 1
                if len(self._log) < FIRST_LOG_LINES:
                    self._log.append(text)
                else:
                    self._last_log.append(text)

    def line(self, kind: str, data: Mapping[str, Any]) -> None:
        """Keep a JSON line of that kind: plan, finding, result, error."""
        self._end_step()
        self._add(kind, data)

    def _add(self, kind: str, data: Mapping[str, Any]) -> Data:
        line = {"type": kind, "at_s": self._now(), **data}
        if len(self._lines) < _MOST_LINES or kind != "event":
            self._lines.append(line)
        return line

    def _end_step(self) -> None:
        if self._step is not None:
            self._step["ended_s"] = self._now()
            self._step = None

    def _now(self) -> float:
        return round(time.monotonic() - self._zero, 3)

    def phone(self, phone: Phone) -> None:
        """Keep who phone is, and what its partition tables say. Only reads.

        Raises:
            TransportError: the phone is gone.
        """
        identity, programmer = phone.identity, phone.programmer
        info = phone.luns.get(0) or StorageInfo()
        self._phone = {
            "serial": phone.serial,
            "chip": identity.chip,
            "makers": list(identity.makers),
            "hwid": None if identity.hwid is None else f"{identity.hwid:#018x}",
            "pk_hash": None if identity.pk_hash is None else identity.pk_hash.hex(),
            "place": phone.place,
            "memory": programmer.memory,
            "product": info.product,
            "firmware": info.firmware,
            "generation": programmer.generation,
            "programmer_built": programmer.greeting.build_date or None,
        }
        self._storage = _storage(phone)

    def plan(self, plan: Plan) -> None:
        """Keep what the JSON of plan does not tell: in which order, and which tables it brings."""
        numbers = {id(step): number for number, step in enumerate(plan.steps)}
        self._planned = {
            "order": [numbers[id(step)] for _, step in ordered(plan.steps, plan.geometry)],
            "tables": {} if plan.errors else dict(_tables(plan)),
        }

    def manifest(self, manifest: Manifest) -> None:
        """Keep what of a phone is saved: each extent, and what became of it."""
        self._manifest = {
            "sector_bytes": manifest.storage.sector_bytes,
            "luns": [
                {
                    "lun": lun.lun,
                    "sectors": lun.sectors,
                    "extents": [
                        {
                            "name": extent.name,
                            "kind": str(extent.kind),
                            "start_sector": extent.start_sector,
                            "sectors": extent.sectors,
                            "state": str(extent.state),
                            "file": extent.file,
                            "bad_sectors": sum(count for _, count in extent.bad),
                        }
                        for extent in lun.extents
                    ],
                }
                for lun in manifest.luns
            ],
        }

    def data(self, words: Iterable[str], status: int, *, virtual: str | None) -> Data:
        """Return all of it as JSON-able data.

        words: of the command line. status: with which it exits. virtual: which virtual phone it
        was, if it was one.
        """
        self._end_step()
        left = max(0, self._log_count - FIRST_LOG_LINES - len(self._last_log))
        return {
            "command": self._command,
            "words": list(words),
            "status": status,
            "virtual": virtual,
            "begun": self._begun.isoformat(timespec="seconds"),
            "seconds": self._now(),
            "lines": self._lines,
            "device_log": {"lines": [*self._log, *self._last_log], "left_out": left,
                           "left_out_at": len(self._log)},
            "phone": self._phone,
            "storage": self._storage,
            "planned": self._planned,
            "manifest": self._manifest,
            "versions": {
                "edl": edl.__version__,
                "Python": platform.python_version(),
                "system": platform.platform(),
            },
        }  # fmt: skip


def _storage(phone: Phone) -> Data:
    storage, luns = Storage(phone), []
    for lun in storage.luns():
        row: Data = {"lun": lun, "sectors": storage.sectors(lun), "partitions": None}
        luns.append(row)
        try:
            best = storage.table(lun).best
        except DeviceRefusedError:
            continue
        row["partitions"] = [] if best is None else _rows(best, row["sectors"])
        if best is not None and not row["sectors"]:
            row["sectors"] = best.header.alternate_sector + 1
    return {"sector_bytes": phone.sector_bytes, "luns": luns}


def _tables(plan: Plan) -> Iterable[tuple[str, list[Data]]]:
    """Yield LUN and partitions of each table that plan writes, after all its patches."""
    disk = Disk(plan, lambda area: bytes(area.size_bytes))
    try:
        disk.apply_patches()
    except EdlError:  # then nobody knows what they will say
        return
    for step in plan.steps:
        area = step.area
        if not isinstance(step, Write) or area.start_sector:
            continue
        span = min(area.sectors, _MOST_TABLE_BYTES // area.sector_bytes)
        try:
            data = disk.content(Area(area.lun, 0, span, area.sector_bytes))
            table = gpt.parse(data, area.sector_bytes)
        except EdlError:  # it is no table
            continue
        yield str(area.lun), _rows(table, plan.geometry.luns.get(area.lun))


def _rows(table: Gpt, sectors: int | None) -> list[Data]:
    """Return the partitions of table; one that is still to grow takes what is left."""
    rows = []
    for each in table.partitions:
        count = each.sectors or max(0, (sectors or 0) - each.first_sector)
        rows.append({"name": each.name, "start_sector": each.first_sector, "sectors": count})
    return rows
