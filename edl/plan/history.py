# SPDX-License-Identifier: BSD-3-Clause
"""The jobs of a phone: a journal for each that was interrupted, and for the last that ended.

Journals of jobs that have not ended lie in PHONE/jobs and are named after the job, with a number
that only grows: rawprogram-1. When a job ends, or another one has written all that it would have
written, its journal goes to PHONE/jobs/ended. Nothing goes on with one of those.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edl.errors import DamagedJournalError, DiskError, EdlError
from edl.firehose.commands import Area
from edl.plan.home import home, phone_folder
from edl.plan.journal import Journal, Kept, is_held, note, read
from edl.plan.model import Covered
from edl.units import format_size

MOST_ENDED = 20  # of a phone are kept
_MOST_STARTS = 100  # of processes that want the same number
_NAME = re.compile(r"([a-z][a-z-]*)-([0-9]{1,9})")
_SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Record:
    """The journal of a job that has not ended, as far as it is known. serial: of its phone."""

    serial: str
    path: Path
    kept: Kept

    @property
    def name(self) -> str:
        """What it is called, such as rawprogram-1."""
        return self.path.stem

    @property
    def number(self) -> int:
        """How many jobs this phone has had before, and one."""
        return _number(self.path)

    @property
    def title(self) -> str:
        """What was written, in words."""
        return str(self.kept.about.get("title", ""))

    @property
    def write_bytes(self) -> int:
        """How much it was to change in all."""
        return _size(self.areas)

    @property
    def done_bytes(self) -> int:
        """How much of that the phone has taken."""
        return _size(merged(self.kept.done))

    @property
    def progress(self) -> str:
        """How far it got, in words."""
        return f"{format_size(self.done_bytes)} of {format_size(self.write_bytes)} written"

    @property
    def areas(self) -> list[Area]:
        """All that it was to change; nothing if its journal does not tell."""
        try:
            return [Area(*map(int, row)) for row in self.kept.about["areas"]]
        except (KeyError, TypeError, ValueError, OverflowError):
            return []

    def require_readable(self) -> None:
        """Make sure that the journal tells which job it is of.

        Raises:
            DamagedJournalError: it does not.
        """
        if not self.kept.job:
            raise DamagedJournalError(
                f"The journal {self.path} is damaged: which job it is of cannot be told."
            )


def merged(areas: Iterable[Area]) -> list[Area]:
    """Return areas as runs that do not touch, by LUN and start."""
    by_size: dict[int, Covered] = {}
    for area in areas:
        by_size.setdefault(area.sector_bytes, Covered()).add(area)
    return [
        Area(lun, start, end - start, unit)
        for unit, covered in sorted(by_size.items())
        for lun, start, end in covered.runs()
    ]


def rows(areas: Iterable[Area]) -> list[list[int]]:
    """Return areas, merged, as a journal notes them."""
    return [
        [area.lun, area.start_sector, area.sectors, area.sector_bytes] for area in merged(areas)
    ]


def serials() -> list[str]:
    """Return the phones that have journals, by what their folders are called."""
    try:
        return sorted(path.parent.name for path in home().glob("phones/*/jobs"))
    except (OSError, EdlError):
        return []


def records(serial: str) -> list[Record]:
    """Return the journals of the jobs of that phone that have not ended, oldest first."""
    found = [Record(serial, path, read(path)) for path in _paths(_folder(serial))]
    return sorted((each for each in found if not each.kept.end), key=lambda each: each.number)


def interrupted(serial: str) -> list[Record]:
    """Return the jobs of that phone that were interrupted and may have changed it, oldest first.

    Those whose journal does not tell what they are of are among them.
    """
    return [
        each
        for each in records(serial)
        if (each.kept.interrupted or (each.kept.damaged and not each.kept.job))
        and not is_held(each.path)
    ]


def begin(
    serial: str, kind: str, job: str, about: Mapping[str, Any], session: Mapping[str, Any]
) -> Journal:
    """Return the journal of a new job on that phone, whose programmer listens.

    kind: of job. job, about, session: see Journal.

    Raises:
        DiskError: it cannot be written.
    """
    folder = _folder(serial)
    for each in records(serial):
        if is_held(each.path):
            continue
        with contextlib.suppress(OSError):
            if not each.kept.changed and not each.kept.damaged:
                each.path.unlink()
            elif each.kept.flight is not None:
                note(each.path, each.kept, {"settled": True})
    for _ in range(_MOST_STARTS):
        number = max(map(_number, [*_paths(folder), *_paths(folder / "ended")]), default=0) + 1
        path = folder / f"{re.sub(r'[^a-z]+', '-', kind)}-{number}{_SUFFIX}"
        with contextlib.suppress(FileExistsError):
            return Journal(path, job, resume=False, about=about, session=session)
    raise DiskError(f"No journal can be made in {folder}.")


def finish(journal: Journal, serial: str, areas: Iterable[Area]) -> list[Record]:
    """End the journal of a job that is done, and those of others that it has made up for.

    areas: all that it has changed. Returns the others.
    """
    journal.end("finished")
    journal.close()
    _put_away(journal.path)
    covered = Covered()
    for area in areas:
        covered.add(area)
    closed = []
    for each in interrupted(serial):
        theirs = each.areas
        if theirs and not any(covered.rest(area) for area in theirs):
            end(each, f"made up for by {journal.path.stem}")
            closed.append(each)
    return closed


def end(record: Record, how: str) -> None:
    """Note how the job of record ended: nothing goes on with it any more."""
    with contextlib.suppress(OSError):
        note(record.path, record.kept, {"end": how})
    _put_away(record.path)


def drop(journal: Journal) -> None:
    """Close and forget the journal of a job that has changed nothing."""
    journal.close()
    with contextlib.suppress(OSError):
        journal.path.unlink()


def _put_away(path: Path) -> None:
    """Move the journal at path to those of jobs that have ended, of which not too many are kept."""
    ended = path.parent / "ended"
    with contextlib.suppress(OSError):
        ended.mkdir(mode=0o700, exist_ok=True)
        path.replace(ended / path.name)
        for old in sorted(_paths(ended), key=_number)[:-MOST_ENDED]:
            old.unlink()


def _folder(serial: str) -> Path:
    return phone_folder(serial) / "jobs"


def _paths(folder: Path) -> list[Path]:
    """Return the journals in folder."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.suffix == _SUFFIX and _NAME.fullmatch(path.stem)]


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.stem)
    return int(match[2]) if match else 0


def _size(areas: Iterable[Area]) -> int:
    return sum(area.size_bytes for area in areas)
