# SPDX-License-Identifier: BSD-3-Clause
"""What a job is made of: steps on areas of the storage, and what was found about them."""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edl.chunks import Content
from edl.firehose.commands import Area, Power
from edl.formats.expressions import Crc32


class Severity(enum.StrEnum):
    """How bad a finding is: an error stops the job before anything is written."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What a check found. where: `rawprogram0.xml:57`, or empty. code: stable, kebab-case."""

    code: str
    severity: Severity
    message: str
    where: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """Program content to area. It is exactly as long as area: the last sector is padded.

    room: on NAND, the erase blocks that it may use, from the beginning of area on: they are erased
    before, and bad ones among them push the content on.
    """

    area: Area
    content: Content
    label: str
    file: str
    where: str
    room: Area | None = None


@dataclass(frozen=True, slots=True)
class Erase:
    """Make area read as nothing. Zeros are programmed where <erase> cannot be trusted."""

    area: Area
    label: str
    where: str


@dataclass(frozen=True)
class ReadOut:
    """Read area into a new file."""

    area: Area
    path: Path
    label: str
    where: str


@dataclass(frozen=True)
class Patch:
    """Put size_bytes of value, little-endian, at byte_offset of one sector of LUN lun."""

    lun: int
    sector: int
    sector_bytes: int
    byte_offset: int
    size_bytes: int
    value: int | Crc32
    what: str
    where: str


Step = Write | Erase | ReadOut


@dataclass(frozen=True)
class Geometry:
    """The storage that a plan is for.

    luns: number of sectors by LUN; a LUN that is missing does not exist. assumed: made up for a
    plan without a phone. pages_per_block: of NAND, whose sectors are pages: how many are erased
    together; None for other storage.
    """

    memory: str
    sector_bytes: int
    luns: dict[int, int]
    assumed: bool = False
    pages_per_block: int | None = None


@dataclass(frozen=True)
class Plan:
    """A job as data.

    bootable: value for setbootablestoragedrive, or None to leave it. left_out: rows and files that
    the job does not use, with the reason. kept: labels that the job leaves alone although the
    package has data for them.
    """

    job: str
    title: str
    geometry: Geometry
    steps: tuple[Step, ...]
    patches: tuple[Patch, ...] = ()
    bootable: int | None = None
    reset: Power | None = None
    findings: tuple[Finding, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[Write, ...]:
        """The write steps."""
        return tuple(step for step in self.steps if isinstance(step, Write))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the job."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def write_bytes(self) -> int:
        """Bytes that write steps move."""
        return sum(step.area.size_bytes for step in self.writes)

    @property
    def changes_phone(self) -> bool:
        """Whether anything on the phone is changed."""
        return bool(self.patches) or any(not isinstance(step, ReadOut) for step in self.steps)


def touched(step: Step) -> Area:
    """Return the sectors that step may change: on NAND more than it has data for."""
    return step.room or step.area if isinstance(step, Write) else step.area


def overlaps(first: Area, second: Area) -> bool:
    """Tell whether two areas share a sector."""
    return (
        first.lun == second.lun
        and first.start_sector < second.start_sector + second.sectors
        and second.start_sector < first.start_sector + first.sectors
    )


def changed_once(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return steps with each erase reduced to what no later step changes.

    The result on the storage is the same, and what a step did can be verified when all is done.
    """
    result: list[Step] = []
    later = Covered()
    for step in reversed(steps):
        if isinstance(step, Erase):
            rests = [replace(step, area=rest) for rest in later.rest(step.area)]
            result += reversed(rests)
        else:
            result.append(step)
        if not isinstance(step, ReadOut):
            later.add(touched(step))
    return tuple(reversed(result))


def rows(steps: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """Yield steps that follow each other and do the same for one row, ever farther on a LUN.

    A sparse image with holes makes many of them: one for what lies between two holes.
    """
    same: list[Step] = []
    for step in steps:
        if same and not _goes_on(same[-1], step):
            yield tuple(same)
            same = []
        same.append(step)
    if same:
        yield tuple(same)


def _goes_on(last: Step, step: Step) -> bool:
    """Tell whether step does behind last what last does, for the same row."""
    behind = last.area.lun == step.area.lun and last.area.start_sector < step.area.start_sector
    told = (type(step), step.label, step.where)
    named = bool(step.label or step.where)
    return behind and named and (type(last), last.label, last.where) == told


class Covered:
    """Sectors that something is done to, by LUN: runs in order that do not touch."""

    def __init__(self) -> None:
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}

    def add(self, area: Area) -> None:
        """Take in the sectors of area."""
        starts, ends = self._starts.setdefault(area.lun, []), self._ends.setdefault(area.lun, [])
        start, end = area.start_sector, area.start_sector + area.sectors
        first, last = bisect_left(ends, start), bisect_right(starts, end)
        if first < last:
            start, end = min(start, starts[first]), max(end, ends[last - 1])
        starts[first:last], ends[first:last] = [start], [end]

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield LUN, first sector and end of each run, in order."""
        for lun in sorted(self._starts):
            for start, end in zip(self._starts[lun], self._ends[lun], strict=True):
                yield lun, start, end

    def rest(self, area: Area) -> list[Area]:
        """Return the parts of area that have not been taken in, in order."""
        starts, ends = self._starts.get(area.lun, []), self._ends.get(area.lun, [])
        start, end = area.start_sector, area.start_sector + area.sectors
        parts: list[Area] = []
        for index in range(bisect_right(ends, start), bisect_left(starts, end)):
            if start < starts[index]:
                parts.append(replace(area, start_sector=start, sectors=starts[index] - start))
            start = ends[index]
        if start < end:
            parts.append(replace(area, start_sector=start, sectors=end - start))
        return parts


def plural(count: int, word: str) -> str:
    """Return `1 image`, `2 images`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def as_data(plan: Plan) -> dict[str, object]:
    """Return plan as JSON-able data (docs/json.md)."""
    return {
        "job": plan.job,
        "title": plan.title,
        "memory": plan.geometry.memory,
        "sector_bytes": plan.geometry.sector_bytes,
        "luns": {str(lun): sectors for lun, sectors in sorted(plan.geometry.luns.items())},
        "geometry_assumed": plan.geometry.assumed,
        "steps": [_step_data(step) for step in plan.steps],
        "patches": [_patch_data(patch) for patch in plan.patches],
        "set_bootable": plan.bootable,
        "reset": plan.reset,
        "write_bytes": plan.write_bytes,
        "kept": list(plan.kept),
        "left_out": left_out_data(plan),
        "findings": findings_data(plan.findings),
    }


def left_out_data(plan: Plan) -> list[dict[str, str]]:
    """Return what plan does not use as JSON-able data."""
    return [{"what": what, "reason": reason} for what, reason in plan.left_out]


def findings_data(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Return findings as JSON-able data."""
    return [
        {
            "code": finding.code,
            "severity": finding.severity,
            "message": finding.message,
            "where": finding.where,
            "remedy": finding.remedy,
        }
        for finding in findings
    ]


def _step_data(step: Step) -> dict[str, object]:
    data: dict[str, object] = {
        "do": {Write: "program", Erase: "erase", ReadOut: "read"}[type(step)],
        "label": step.label,
        "lun": step.area.lun,
        "start_sector": step.area.start_sector,
        "sectors": step.area.sectors,
        "bytes": step.area.size_bytes,
        "where": step.where,
    }
    if isinstance(step, Write):
        data["file"] = step.file
    if isinstance(step, ReadOut):
        data["file"] = str(step.path)
    return data


def _patch_data(patch: Patch) -> dict[str, object]:
    return {
        "do": "patch",
        "lun": patch.lun,
        "sector": patch.sector,
        "byte_offset": patch.byte_offset,
        "size_bytes": patch.size_bytes,
        "value": patch.value if isinstance(patch.value, int) else patch.value.text,
        "what": patch.what,
        "where": patch.where,
    }
