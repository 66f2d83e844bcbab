# SPDX-License-Identifier: BSD-3-Clause
"""A connected phone for programs: what `edl.connect` returns. See `edl.api`."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from edl.device.phone import Phone as Connected
from edl.device.sectorstream import SectorStream
from edl.device.storage import Storage, parse_targets
from edl.errors import SafetyError, UsageError
from edl.events import Emit, ignore
from edl.files import File
from edl.firehose.commands import Power
from edl.formats.gpt import Partition
from edl.package import Package
from edl.packages import whole
from edl.plan import byname, history
from edl.plan import job as jobs
from edl.plan.build import USER_DATA, Options, build
from edl.plan.check import checked
from edl.plan.job import Outcome, Rules
from edl.plan.model import Finding, Plan, Severity
from edl.plan.unique import Found as Unique
from edl.transport import Transport
from edl.units import MIB

_RESETS = {"system": Power.RESET, "off": Power.OFF, "edl": Power.EDL, None: None}
_BUFFER_BYTES = 1 * MIB


@dataclass(frozen=True)
class Job:
    """A plan for one phone, and what it needs to be carried out. See `Phone.plan`.

    plan: what will be done, as data. sources: the files that it takes.
    """

    plan: Plan
    sources: tuple[File, ...]
    _unique: Unique
    _rules: Rules

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that the checks found; those of severity error stop the job."""
        return self.plan.findings

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the job."""
        return self.plan.errors


class Phone:
    """A phone with a running programmer, as `connect` returns it.

    Attributes:
        identity: who it is, as far as it told.
    """

    def __init__(self, device: Connected, held: list[Transport]) -> None:
        self.identity = device.identity
        self._device = device
        self._held = held
        self._storage = Storage(device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the phone. Its programmer goes on running, and may be connected to again."""
        while self._held:
            self._held.pop().close()

    @property
    def serial(self) -> str:
        """Serial number as 8 hex digits, or "unknown"."""
        return self._device.serial

    @property
    def memory(self) -> str:
        """Type of the storage: "emmc" or "ufs"."""
        return self._device.programmer.memory

    @property
    def sector_bytes(self) -> int:
        """Size of a sector: 512 or 4096 bytes."""
        return self._device.sector_bytes

    @property
    def interrupted(self) -> tuple[str, ...]:
        """Titles of this phone's jobs that were begun here and not ended, oldest first."""
        return tuple(record.title for record in history.interrupted(self.serial))

    def luns(self) -> dict[int, int | None]:
        """Return the number of sectors of each LUN; None where the programmer does not tell."""
        return {lun: self._storage.sectors(lun) for lun in self._storage.luns()}

    def partitions(self) -> list[tuple[int, Partition]]:
        """Return all partitions that its tables tell, each with its LUN."""
        return list(self._storage.partitions())

    def open(self, target: str) -> io.BufferedReader:
        """Return a part of the storage as a binary stream, to read and to seek in.

        target: `NAME`, `LUN/NAME`, `LUN`, `LUN/START` or `LUN/START+SECTORS`. The stream reads the
        phone as it is asked, and is valid until the phone is closed. Reading raises ReadFailedError
        where the flash is defective: then no byte of that piece is given.

        Raises:
            UsageError: the phone has no such thing, or several.
            DeviceRefusedError: the programmer does not let it be read.
        """
        targets = parse_targets([target])
        if len(targets) != 1:
            raise UsageError(f"'{target}' names several things; a stream is of one.")
        place = self._storage.place(targets[0])
        return io.BufferedReader(SectorStream(self._storage, place), _BUFFER_BYTES)

    def plan(
        self,
        package: Package,
        *,
        only: Iterable[str] = (),
        skip: Iterable[str] = (),
        wipe: bool = False,
        slot: str = "active",
        overwrite: Iterable[str] = (),
        any_chip: bool = False,
        verify: str = "auto",
        reset: str | None = "system",
        resume: bool = False,
    ) -> Job:
        """Return what writing package to this phone means. Only reads the phone.

        only, skip: names of partitions. wipe: replace the user's data as well. slot: `a`, `b`,
        `both` or `active`, for images that name no slot. overwrite: partitions that may be
        overwritten although they exist only once. any_chip: a package for another chip is only
        warned of. verify: `auto`, `sha256`, `readback` or `none`. reset: `system`, `off`, `edl`, or
        None to leave the phone as it is. resume: go on with exactly this job, if it was
        interrupted.

        What speaks against the job is in the findings of the result, and not raised.

        Raises:
            UsageError: reset is none of these.
            EdlError: the package or the phone cannot be read.
        """
        if reset not in _RESETS:
            raise UsageError(f"A phone can be reset to system, off or edl, not to '{reset}'.")
        rules = Rules(overwrite=_names(overwrite), verify=verify, resume=resume)
        options = Options(
            only=frozenset(_names(only)),
            skip=frozenset(_names(skip)),
            keep=frozenset() if wipe else USER_DATA,
            reset=_RESETS[reset],
        )
        fitted = byname.on_phone(package, self._storage, slot)
        plan = checked(build(fitted, jobs.geometry_for(fitted, self._storage), options))
        if wrong := package.other_chip(self.identity):
            severity = Severity.WARNING if any_chip else Severity.ERROR
            finding = Finding("other-chip", severity, wrong, remedy="Use the package of the model.")
            plan = replace(plan, findings=(finding, *plan.findings))
        plan, unique = jobs.prepare(plan, self._storage, rules)
        return Job(plan, fitted.files, unique, rules)

    def run(
        self,
        job: Job,
        *,
        on_event: Emit = ignore,
        cancel: threading.Event | None = None,
    ) -> Outcome:
        """Carry out job: save what exists only once, write, verify, reset. Return what was done.

        on_event: called with each event, in this thread; what it raises ends the job. cancel: set
        it, from any thread, to stop between two pieces; plan with resume=True then goes on.

        Raises:
            SafetyError: the job has errors; nothing was written.
            CancelledError, StoppedMidwayError: cancel was set, before or after the first write.
            EdlError: something failed; `state` says what is on the phone.
        """
        if job.errors:
            raise SafetyError(job.errors[0].message)
        whole.verify(job.sources, on_event)
        return jobs.carry_out(
            job.plan,
            self._device,
            job._unique,
            job._rules,
            emit=on_event,
            cancel=cancel,
            sources=job.sources,
        )

    def reset(self, to: str = "system") -> None:
        """Restart the phone (`system`), switch it off (`off`), or restart it into `edl` mode.

        Raises:
            UsageError: to is none of these.
            EdlError: the phone does not do it.
        """
        action = _RESETS.get(to)
        if action is None:
            raise UsageError(f"A phone can be reset to system, off or edl, not to '{to}'.")
        jobs.reset(self._device, action)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else names
    return tuple(sorted({name.lower() for name in names}))
