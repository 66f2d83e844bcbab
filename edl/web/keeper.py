# SPDX-License-Identifier: BSD-3-Clause
"""All jobs: at most one a phone, those that have ended kept for a while, all told to the pages."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edl.errors import EdlError, UsageError, all_errors
from edl.web import orders
from edl.web.events import Events
from edl.web.jobs import Job, NotNowError, Start
from edl.web.lines import Line
from edl.web.orders import Order, Takes
from edl.web.phones import Phones, Place

_MOST_RUNNING = 72
_MOST_ENDED = 100
_MOST_ENDED_BYTES = 64 << 20
_IDENTIFIES = {"identify", "info"}
_CODES = frozenset(kind.code for kind in all_errors())


class NoSuchJobError(LookupError):
    """There is no job with that id, or not any more."""


@dataclass
class Tally:
    """What all jobs have come to that have ended, also those that are forgotten.

    done: by kind. failed: by kind and code of the error. seconds: that jobs took, by kind. written:
    bytes that phones have taken from jobs that told their result, by kind.
    """

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    written: Counter[str] = field(default_factory=Counter)

    def add(self, job: Job) -> None:
        """Count a job that has ended."""
        name = job.order.name
        self.seconds[name] = self.seconds.get(name, 0.0) + job.seconds
        size = (job.result or {}).get("written_bytes")
        if type(size) is int and size > 0:
            self.written[name] += size
        if job.status == 0:
            self.done[name] += 1
            return
        code = (job.error or {}).get("code")
        self.failed[name, code if isinstance(code, str) and code in _CODES else "other"] += 1

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.done.total() + self.failed.total()


class Keeper:
    """The jobs of a server."""

    def __init__(
        self,
        events: Events,
        phones: Phones,
        reports: Path,
        program: Sequence[str] | None = None,
    ) -> None:
        """Begin without any. reports: a folder for their pages. program: what edl is started as."""
        self._events = events
        self._phones = phones
        self._reports = reports
        self._program = list(program or orders.program())
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._uncounted: set[str] = set()  # those that are not in the tally yet
        self.tally = Tally()
        self.closing = False

    def all(self) -> list[Job]:
        """Return the jobs, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def job(self, number: str) -> Job:
        """Return the job with that id.

        Raises:
            NoSuchJobError: there is none.
        """
        with self._lock:
            try:
                return self._jobs[number]
            except KeyError:
                raise NoSuchJobError(number) from None

    def at(self, phone: str) -> Job | None:
        """Return the job that has that phone now."""
        for job in self.all():
            if job.runs and (job.phone == phone or job.order.kind.takes is Takes.ALL):
                return job
        return None

    def running(self) -> list[Job]:
        """Return the jobs that have not ended."""
        return [job for job in self.all() if job.runs]

    def start(self, order: Order) -> Job:
        """Start a job.

        Raises:
            UsageError: there is no such phone.
            NotNowError: another job has it.
            EdlError: the system starts no process.
        """
        place = None if order.phone is None else self._place(order)
        with self._lock:
            self._refuse(order)
            number = str(next(self._numbers))
            start = self._started(order, place, number)
            serial = place.serial if place is not None else ""
            self._uncounted.add(number)
            try:
                job = Job(number, order, start, serial, self._told)
            except OSError as error:
                self._uncounted.discard(number)
                raise EdlError(f"No process can be started: {error.strerror}.") from error
            self._jobs[number] = job
        self._events.tell("job", job.data)
        self._phones.tell()
        return job

    def _place(self, order: Order) -> Place:
        place = self._phones.place(str(order.phone))
        if place is None:
            raise UsageError("That phone is not there any more.")
        if order.kind.takes is Takes.VIRTUAL and not place.folder:
            raise UsageError("Only virtual phones can be plugged in from here.")
        return place

    def _refuse(self, order: Order) -> None:
        """Refuse what cannot be done beside the jobs that run."""
        running = self.running()
        if self.closing:
            raise NotNowError("The server is about to end: it starts no more jobs.")
        if len(running) >= _MOST_RUNNING:
            raise NotNowError(f"{len(running)} jobs are at work already.")
        takes = order.kind.takes
        for job in running:
            theirs = job.order.kind.takes
            if takes is Takes.NONE or theirs is Takes.NONE:
                continue
            if Takes.ALL in {takes, theirs} or job.phone == order.phone:
                whose = "that phone" if takes is not Takes.ALL else "a phone"
                raise NotNowError(f"Job {job.id} ({job.order.name}) is at work on {whose}.")

    def _started(self, order: Order, place: Place | None, number: str) -> Start:
        if order.kind.takes is Takes.ALL:
            chosen = self._phones.choose_all()
        else:
            chosen = [] if place is None else place.words()
        if order.kind.takes is Takes.VIRTUAL and place is not None:
            chosen, order = [], replace(order, behind=(place.folder,))
        report, more = None, []
        if order.kind.report:
            folder = order.kind.report == "--reports"
            report = self._reports / (number if folder else f"{number}.html")
            more = [f"{order.kind.report}={report}"]
        command = [*self._program, "--dialog", *order.line(chosen, more)]
        return Start(command, orders.as_typed(["edl", *order.line(chosen)]), report)

    # -- news -----------------------------------------------------------------------------------

    def _told(self, job: Job, number: int | None, line: Line | None) -> None:
        if number is not None:
            self._events.publish("line", {"job": job.id, "n": number, "line": line})
            return
        self._events.tell("job", job.data)
        if not job.runs:
            self._has_ended(job)

    def _has_ended(self, job: Job) -> None:
        with self._lock:
            if job.id not in self._uncounted:  # also an answer that comes too late tells of its end
                return
            self._uncounted.discard(job.id)
            self.tally.add(job)
            self._forget_old()
        if job.order.name in _IDENTIFIES and job.phone is not None and job.result is not None:
            self._phones.identified(job.phone, job.result)
        self._phones.look_again()
        self._phones.tell()

    def _forget_old(self) -> None:
        ended = [job for job in self._jobs.values() if not job.runs]
        size = sum(job.lines.size for job in ended)
        while len(ended) > _MOST_ENDED or (size > _MOST_ENDED_BYTES and len(ended) > 1):
            job = ended.pop(0)
            size -= job.lines.size
            del self._jobs[job.id]

    def forget(self, number: str) -> None:
        """Forget a job that has ended.

        Raises:
            NoSuchJobError: there is none. NotNowError: it is at work.
        """
        with self._lock:
            if self.job(number).runs:
                raise NotNowError("The job is at work.")
            del self._jobs[number]

    def stop_all(self, how: str) -> int:
        """Ask all jobs to stop, and start no more; return how many there are."""
        self.closing = True
        running = self.running()
        for job in running:
            job.stop(how)
        return len(running)
