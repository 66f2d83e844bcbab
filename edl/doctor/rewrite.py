# SPDX-License-Identifier: BSD-3-Clause
"""Whether the storage keeps what is written: tried on sectors that nothing uses.

Flash at the end of its life goes read-only, and some says yes to writes that it does not keep. To
write what is there already would not show the second, so a pattern is written, read back, and then
what was there before. Only blank sectors outside all partitions are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edl.chunks import BytesContent
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.doctor.verdict import Kept
from edl.errors import DeviceRefusedError, VerifyError, WriteFailedError
from edl.events import Emit, ignore
from edl.firehose.commands import Area
from edl.formats.gpt import Gpt
from edl.formats.gptcheck import problems
from edl.plan import history, job
from edl.plan.compare import Verify
from edl.plan.job import Rules
from edl.plan.model import Plan, Write

TRY_BYTES = 4096
_MARGIN_BYTES = 16 * 1024  # makers hide small things right behind a table
_GAPS_TRIED = 8
_JOB = "doctor"


def find_unused(storage: Storage, lun: int) -> Area | None:
    """Return blank sectors of lun that belong to no partition, or None.

    Without a sound table nobody knows what is unused.
    """
    total = storage.sectors(lun)
    try:
        table = storage.table(lun).best
    except DeviceRefusedError:
        return None
    if table is None or total is None or problems(table, total):
        return None
    unit = storage.phone.sector_bytes
    count = -(-TRY_BYTES // unit)
    for number, start in enumerate(_gaps(table, count, _MARGIN_BYTES // unit)):
        if number == _GAPS_TRIED:
            break
        area = Area(lun, start, count, unit)
        try:
            data = storage.read(area)
        except DeviceRefusedError:
            continue
        if data.count(0) == len(data) or data.count(0xFF) == len(data):
            return area
    return None


def _gaps(table: Gpt, count: int, margin: int) -> Iterator[int]:
    """Yield the last place of count sectors in each gap between partitions, the last gap first.

    The sectors beside a partition are left alone where the gap allows.
    """
    used = sorted(
        (p.first_sector, p.last_sector) for p in table.partitions if p.last_sector >= p.first_sector
    )
    first = table.header.first_usable_sector
    gaps = []
    for start, last in [*used, (table.header.last_usable_sector + 1, 0)]:
        if start - first >= count + 2 * margin:
            gaps.append(start - margin - count)
        first = max(first, last + 1)
    yield from reversed(gaps)


def plan_for(storage: Storage, area: Area, data: bytes, label: str) -> Plan:
    """Return the plan that puts data at area."""
    step = Write(area, BytesContent(data), label, "", "")
    return Plan(
        job=_JOB,
        title="does the storage keep what is written?",
        geometry=job.geometry(storage, {area.lun}),
        steps=(step,),
    )


def try_writing(
    phone: Phone, area: Area, emit: Emit = ignore, rules: Rules | None = None
) -> tuple[Kept, str]:
    """Write a pattern to area, read it back, and put back what was there.

    rules: those of the jobs that do so; how they verify is always reading back.

    Returns what came of it, and what the phone said.

    Raises:
        EdlError: the connection failed; `state` says whether the pattern may still be there.
    """
    storage = Storage(phone)
    before = storage.read(area)
    pattern = bytes((index * 7 + 0x5A) & 0xFF for index in range(len(before)))
    try:
        _write(phone, plan_for(storage, area, pattern, "test pattern"), rules, emit)
    except WriteFailedError as error:
        result = Kept.REFUSED, error.device_log[-1] if error.device_log else error.message
    except VerifyError as error:
        result = Kept.FORGOTTEN, error.message
    else:
        result = Kept.KEPT, ""
    if storage.read(area) != before:
        _write(phone, plan_for(storage, area, before, "what was there before"), rules, emit)
    for record in history.interrupted(phone.serial):
        if record.kept.about.get("job") == _JOB:  # which failed: that is what was to be found out
            history.end(record, "judged")
    return result


def _write(phone: Phone, plan: Plan, rules: Rules | None, emit: Emit) -> None:
    rules = replace(rules or Rules(), verify=Verify.READBACK)
    plan, found = job.prepare(plan, Storage(phone), rules)
    job.carry_out(plan, phone, found, rules, emit=emit)
