# SPDX-License-Identifier: BSD-3-Clause
"""The whole way of a job that changes a phone: plan, check, save, write, verify.

The same way for a package, for one image and for an erase; commands differ only in how the plan
came to be.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import (
    DeviceRefusedError,
    EdlError,
    ImageError,
    SafetyError,
    WrongStorageError,
)
from edl.events import Emit, Notice, Stage, ignore
from edl.files import File
from edl.firehose.commands import Area, Power
from edl.formats.rawprogram import PatchRow, PowerRow
from edl.outfile import require_room
from edl.package import Package
from edl.plan import blind, history, layout, owed, unique
from edl.plan.compare import Verify
from edl.plan.execute import Executor
from edl.plan.history import Record
from edl.plan.journal import Journal, fingerprint, stamps
from edl.plan.model import Geometry, Plan, ReadOut
from edl.plan.patching import folded
from edl.plan.report import Report
from edl.plan.together import Readings
from edl.plan.unchanged import Unchanged
from edl.plan.unique import Found, Saved

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """An interrupted job. serial: of its phone. files: their stamps then. name: of its journal."""

    serial: str
    files: list[Any]
    name: str = ""


@dataclass(frozen=True)
class Rules:
    """How careful to be. overwrite: names that may be overwritten although they are unique.

    elsewhere: names that are written although the phone has such a partition at another place.
    only: go on with this interrupted job or not at all. about: how to repeat the job, JSON-able.
    journal: note what is done, as every job does whose phone outlives it.
    """

    overwrite: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    backup: bool = True
    verify: str = Verify.AUTO
    resume: bool = False
    unchanged: Unchanged = Unchanged.AUTO
    only: Job | None = None
    about: Mapping[str, Any] | None = None
    journal: bool = True


@dataclass
class Outcome:
    """What came of a job. closed: interrupted jobs that it has made up for."""

    plan: Plan
    report: Report
    saved: Saved | None = None
    closed: tuple[Record, ...] = ()


def geometry_for(package: Package, storage: Storage) -> Geometry:
    """Return the sizes of the LUNs that package is about, as the phone tells them.

    Raises:
        DeviceRefusedError: the phone does not tell how large a LUN is.
    """
    luns = {row.lun for row in package.rows if not isinstance(row, PowerRow)}
    luns -= {row.lun for row in package.rows if isinstance(row, PatchRow) and not row.on_disk} - {
        row.lun for row in package.rows if not isinstance(row, PatchRow) or row.on_disk
    }
    return geometry(storage, luns)


def geometry(storage: Storage, luns: Iterable[int]) -> Geometry:
    """Return the geometry of luns; those that the phone does not have are missing in it.

    Raises:
        UnprovisionedError: the phone has none at all.
    """
    sizes: dict[int, int] = {}
    for lun in sorted(luns):
        if lun not in storage.lun_numbers:
            continue
        try:
            sizes[lun] = storage.sectors(lun) or _by_table(storage, lun)
        except WrongStorageError as error:
            if storage.phone.unprovisioned:
                raise
            _log.info("LUN %d: %s", lun, error)
    info = storage.phone.luns.get(0)
    return Geometry(
        storage.phone.programmer.memory,
        storage.phone.sector_bytes,
        sizes,
        pages_per_block=info.pages_per_block if info else None,
    )


def _by_table(storage: Storage, lun: int) -> int:
    """Return the size of lun by its partition table, where the programmer does not tell."""
    reach = storage.phone.programmer.reach_sectors
    try:
        table = storage.table(lun).best
    except DeviceRefusedError:
        if reach is None:
            raise
        table = None
    if reach is not None and table is None:
        return reach  # `blind` stops what would need to know it
    if table is None or not table.header_crc_ok or not table.header.alternate_sector:
        raise DeviceRefusedError(
            f"How large LUN {lun} is, neither the programmer nor a partition table tells.",
            remedies=("Try another variant of the programmer (ddr instead of lite).",),
        )
    return table.header.alternate_sector + 1


def prepare(plan: Plan, storage: Storage, rules: Rules) -> tuple[Plan, Found]:
    """Return plan as it will be carried out: unique partitions kept, patches worked in.

    Only reads. The findings tell what was kept, and what stops the job.
    """
    if plan.errors:
        return plan, Found()
    doubts = blind.findings(
        plan,
        storage.phone.programmer,
        backup=rules.backup,
        verified=rules.verify != Verify.NONE,
    )
    plan = replace(plan, findings=(*plan.findings, *doubts))
    if plan.errors:
        return plan, Found()
    plan = folded(plan, storage.read)  # first, so that patches cannot change what is unique either
    if not plan.changes_phone:
        return plan, Found()
    if plan.job == "rawprogram":
        strays = layout.against_phone(plan, storage, rules.elsewhere)
        plan = replace(plan, findings=(*plan.findings, *strays))
        if plan.errors:
            return plan, Found()
    found = unique.look(plan, storage)
    plan = unique.protect(plan, found, rules.overwrite)
    if rules.backup:
        unique.require_readable(plan, found)
    return plan, found


def carry_out(
    plan: Plan,
    phone: Phone,
    found: Found,
    rules: Rules,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
    sources: Iterable[File] = (),
    before_reset: Callable[[], bool] | None = None,
    readings: Readings | None = None,
) -> Outcome:
    """Carry out a plan that `prepare` returned: save, write, verify, and reset at the end.

    before_reset: called when all is written and verified; tells whether to reset as planned. The
    plan of the outcome says what was done. readings: of all phones that get the same package at
    the same time.

    Raises:
        SafetyError: the plan has errors.
        ImageError: a file of sources has changed since it was checked.
        EdlError: as the steps do; `state` says what is on the phone.
    """
    if plan.errors:
        raise SafetyError(plan.errors[0].message)
    sources = tuple(sources)
    for file in sources:
        file.require_unchanged()
    _require_room(plan)
    storage = Storage(phone)
    saved = None
    if rules.backup and plan.changes_phone:
        saved = unique.save(plan, storage, found, emit)
    journal = _journal(plan, phone, rules, sources)
    executor = Executor(
        phone.programmer,
        plan,
        emit=emit,
        ledger=journal,
        cancel=cancel,
        verify=rules.verify,
        unchanged=rules.unchanged,
        sources=sources,
        readings=readings,
    )
    try:
        report = executor.run()
    except BaseException as error:
        refused = isinstance(error, DeviceRefusedError) and not executor.changed
        if journal is not None and (refused or not journal.changed):
            history.drop(journal)
        elif journal is not None:
            journal.close()
        raise
    closed: list[Record] = []
    if journal is not None:
        closed = history.finish(journal, phone.serial, _changed(plan))
    for record in closed:
        emit(Notice(f"this has made up for the interrupted job {record.name} ({record.title})"))
    plan = _reset_at_last(plan, phone, before_reset, emit)
    return Outcome(plan, report, saved, tuple(closed))


def _reset_at_last(
    plan: Plan, phone: Phone, before_reset: Callable[[], bool] | None, emit: Emit
) -> Plan:
    """Reset the phone after a job that has succeeded; it stays so whatever happens here.

    Returns plan, without its reset where before_reset did not agree to it.
    """
    try:
        if before_reset is not None and not before_reset():
            return replace(plan, reset=None)
        if plan.reset is not None:
            reset(phone, plan.reset, emit)
    except EdlError as error:
        emit(Notice(f"{error} Everything is on the phone: hold its power button to restart it."))
    except KeyboardInterrupt:
        emit(Notice("Everything is on the phone; it was not restarted, as you asked."))
    return plan


def reset(phone: Phone, action: Power, emit: Emit = ignore) -> None:
    """Restart the phone or switch it off."""
    words = {Power.RESET: "restarting the phone", Power.OFF: "switching the phone off"}
    emit(Stage("reset", words.get(action, "restarting the phone into EDL mode")))
    phone.programmer.power(action)


def _require_room(plan: Plan) -> None:
    needed: dict[Path, int] = {}
    for step in plan.steps:
        if isinstance(step, ReadOut):
            needed[step.path.parent] = needed.get(step.path.parent, 0) + step.area.size_bytes
    for folder, size in needed.items():
        require_room(folder, size)


def _journal(plan: Plan, phone: Phone, rules: Rules, sources: tuple[File, ...]) -> Journal | None:
    """Return the journal of this job; a job that changes nothing needs none."""
    if not (plan.changes_phone and rules.journal):
        return None
    if rules.only is not None:
        _require_same(rules.only, phone, sources)
    mark, session = fingerprint(plan, sources), owed.session(phone.place)
    old = [each for each in history.records(phone.serial) if each.kept.job] if rules.resume else []
    if rules.only is not None:
        old = [each for each in old if each.name == rules.only.name]
    try:
        for record in reversed(old):
            if record.kept.job == mark:
                return Journal(record.path, mark, resume=True, session=session)
        continued = old[0] if rules.only is not None and old else None
        areas = [*_changed(plan), *(continued.areas if continued else ())]
        about = {**(rules.about or {}), "title": plan.title, "job": plan.job,
                 "areas": history.rows(areas), "files": stamps(sources)}  # fmt: skip
        if continued is not None and continued.kept.changed:
            about["continues"] = continued.name
        journal = history.begin(phone.serial, plan.job, mark, about, session)
    except EdlError:
        if rules.resume:
            raise
        return None  # a full disk must not stop a rescue; it only cannot be resumed
    if continued is not None:
        history.end(continued, f"goes on as {journal.path.stem}")
    return journal


def _changed(plan: Plan) -> list[Area]:
    """Return all that plan changes."""
    return [step.area for step in plan.steps if not isinstance(step, ReadOut)]


def _require_same(meant: Job, phone: Phone, sources: tuple[File, ...]) -> None:
    """Make sure that the interrupted job is of this phone, and that its files are the same.

    Raises:
        SafetyError: it is of another phone.
        ImageError: files have changed.
    """
    if meant.serial not in {phone.serial, "unknown"}:  # of which nothing is counted on elsewhere
        if phone.serial == "unknown":
            raise SafetyError(
                f"The interrupted job is of the phone {meant.serial}; which one this is, its"
                " programmer does not tell.",
                remedies=("Enter EDL mode again, so that the phone tells it; then: edl resume",),
            )
        raise SafetyError(
            f"The interrupted job is of the phone {meant.serial}; this is {phone.serial}.",
            remedies=("Connect the phone of the interrupted job.",),
        )
    now = stamps(sources)
    if now != meant.files:
        changed = [row[0] for row in meant.files if row not in now] or [row[0] for row in now]
        raise ImageError(
            f"Files of the interrupted job have changed since: {', '.join(changed[:6])}.",
            remedies=("Bring back the files as they were, or begin anew without 'resume'.",),
        )
