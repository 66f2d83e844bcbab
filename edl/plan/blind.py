# SPDX-License-Identifier: BSD-3-Clause
"""Jobs on phones whose flash cannot be read, or whose size nobody tells: Streaming Download.

Nothing can be saved before such a job, and nothing of it be verified. That is no reason to leave a
dead phone dead, but whoever wants it has to say so: with both options, and at a terminal by typing.
"""

from __future__ import annotations

from collections.abc import Iterator

from edl.device.programmer import Programmer
from edl.plan.model import Finding, Plan, ReadOut, Severity

CODE = "blind-write"
OPTIONS = "--no-backup --verify none"
_TAIL_SECTORS = 1 << 16  # no storage ends so near to the last address that there can be


def findings(
    plan: Plan, programmer: Programmer, *, backup: bool, verified: bool
) -> Iterator[Finding]:
    """Yield what speaks against plan on a phone whose flash cannot be read, or is of no known size.

    backup, verified: what exists only once shall be saved first; what was written be compared.
    """
    if programmer.reach_sectors is None or not plan.changes_phone:
        return
    yield from _behind_the_end(plan, programmer.reach_sectors)
    if programmer.supports("read") is not False:
        return
    text = (
        "This programmer does not let the flash be read. What is on the phone now cannot be saved"
        " first, its calibration and identity included, and nobody can tell afterwards whether the"
        " right thing was written."
    )
    insist = f"If you accept that: {OPTIONS}. Better: a Firehose programmer for this model."
    severity = Severity.ERROR if backup or verified else Severity.WARNING
    yield Finding(CODE, severity, text, "", insist if severity is Severity.ERROR else "")


def _behind_the_end(plan: Plan, reach: int) -> Iterator[Finding]:
    """Yield the first step or patch that is counted from the end of a storage of unknown size."""
    unknown = {lun for lun, sectors in plan.geometry.luns.items() if sectors == reach}
    rows = [
        (step.area.lun, step.area.start_sector, step.label, step.where)
        for step in plan.steps
        if not isinstance(step, ReadOut)
    ]
    for patch in plan.patches:  # in the value too: where the second table is
        place = max(patch.sector, patch.value if isinstance(patch.value, int) else 0)
        rows.append((patch.lun, place, patch.what, patch.where))
    for lun, sector, what, where in rows:
        if lun in unknown and reach - _TAIL_SECTORS <= sector <= reach:
            yield Finding(
                "size-not-told",
                Severity.ERROR,
                f"'{what}' is counted from the end of the storage, and this programmer does not"
                " tell how large that is.",
                where,
                "Leave the tables out: --skip PrimaryGPT,BackupGPT. Or find a Firehose programmer.",
            )
            return
