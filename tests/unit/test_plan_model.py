# SPDX-License-Identifier: BSD-3-Clause
"""A plan as data: what it adds up to, what it looks like as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edl.chunks import FillContent
from edl.firehose.commands import Area, Power
from edl.formats.expressions import Crc32, Expression
from edl.plan.model import (
    Erase,
    Finding,
    Geometry,
    Patch,
    Plan,
    ReadOut,
    Severity,
    Step,
    Write,
    as_data,
    changed_once,
    overlaps,
    plural,
    rows,
)

GEOMETRY = Geometry("emmc", 512, {1: 10, 0: 1000})
CRC = Crc32("CRC32(1,92)", Expression("1", 1), 92)


def area(start: int, sectors: int, lun: int = 0) -> Area:
    return Area(lun, start, sectors, 512)


def write(start: int, sectors: int) -> Write:
    return Write(area(start, sectors), FillContent(sectors * 512), "boot", "boot.img", "r.xml:3")


def erase(start: int, sectors: int) -> Erase:
    return Erase(area(start, sectors), "misc", "r.xml:4")


def read(start: int, sectors: int) -> ReadOut:
    return ReadOut(area(start, sectors), Path("out.bin"), "gpt", "r.xml:5")


def patch(value: int | Crc32) -> Patch:
    return Patch(0, 1, 512, 16, 4, value, "header", "p.xml:3")


def of(*steps: Step, patches: tuple[Patch, ...] = ()) -> Plan:
    return Plan("rawprogram", "rom", GEOMETRY, steps, patches)


def test_a_plan_adds_up() -> None:
    plan = of(write(0, 2), erase(10, 5), write(20, 3), read(0, 9))
    assert plan.write_bytes == 5 * 512
    assert plan.writes == (plan.steps[0], plan.steps[2])
    findings = [Finding(severity, severity, "") for severity in Severity]
    assert Plan("", "", GEOMETRY, (), findings=tuple(findings)).errors == (findings[2],)


@pytest.mark.parametrize(
    ("plan", "changes"),
    [
        (of(), False),
        (of(read(0, 1)), False),
        (of(read(0, 1), write(0, 1)), True),
        (of(erase(0, 1)), True),
        (of(patches=(patch(0),)), True),
    ],
)
def test_a_plan_knows_whether_it_changes_the_phone(plan: Plan, changes: bool) -> None:
    assert plan.changes_phone is changes


def test_a_plan_as_json_has_what_the_documentation_says() -> None:
    """docs/json.md, 'plan'."""
    plan = Plan(
        "rawprogram", "rom", GEOMETRY, (write(0, 2), erase(10, 5), read(0, 9)),
        (patch(7), patch(CRC)), bootable=1, reset=Power.RESET,
        findings=(Finding("overlap", Severity.ERROR, "m", "r.xml:3", "do"),),
        left_out=(("x.xml", "it wipes"),), kept=("persist",),
    )  # fmt: skip
    row = {"lun": 0, "where": "p.xml:3", "do": "patch", "sector": 1, "byte_offset": 16}
    row |= {"size_bytes": 4, "what": "header"}
    assert json.loads(json.dumps(as_data(plan))) == {
        "job": "rawprogram",
        "title": "rom",
        "memory": "emmc",
        "sector_bytes": 512,
        "luns": {"0": 1000, "1": 10},
        "geometry_assumed": False,
        "steps": [
            {
                "do": "program", "label": "boot", "lun": 0, "start_sector": 0, "sectors": 2,
                "bytes": 1024, "where": "r.xml:3", "file": "boot.img",
            },
            {
                "do": "erase", "label": "misc", "lun": 0, "start_sector": 10, "sectors": 5,
                "bytes": 2560, "where": "r.xml:4",
            },
            {
                "do": "read", "label": "gpt", "lun": 0, "start_sector": 0, "sectors": 9,
                "bytes": 4608, "where": "r.xml:5", "file": "out.bin",
            },
        ],
        "patches": [row | {"value": 7}, row | {"value": "CRC32(1,92)"}],
        "set_bootable": 1,
        "reset": "reset",
        "write_bytes": 1024,
        "kept": ["persist"],
        "left_out": [{"what": "x.xml", "reason": "it wipes"}],
        "findings": [
            {
                "code": "overlap", "severity": "error", "message": "m", "where": "r.xml:3",
                "remedy": "do",
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (area(10, 5), True),
        (area(14, 5), True),
        (area(6, 5), True),
        (area(12, 1), True),
        (area(0, 100), True),
        (area(15, 5), False),
        (area(5, 5), False),
        (area(10, 5, lun=1), False),
    ],
)
def test_areas_overlap_where_they_share_a_sector(other: Area, shared: bool) -> None:
    assert overlaps(area(10, 5), other) is shared
    assert overlaps(other, area(10, 5)) is shared


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ([], [(10, 10)]),
        ([write(10, 10)], []),
        ([write(5, 20)], []),
        ([write(10, 3)], [(13, 7)]),
        ([write(17, 9)], [(10, 7)]),
        ([write(12, 2), write(16, 1)], [(10, 2), (14, 2), (17, 3)]),
        ([write(16, 1), read(10, 10), write(12, 2)], [(10, 2), (14, 2), (17, 3)]),
        ([erase(15, 1), write(0, 10)], [(10, 5), (16, 4)]),
    ],
)
def test_an_erase_keeps_to_what_no_later_step_changes(
    later: list[Step], left: list[tuple[int, int]]
) -> None:
    before = write(0, 30)
    steps = changed_once([before, erase(10, 10), *later])
    assert [(s.area.start_sector, s.area.sectors) for s in steps[1 : len(left) + 1]] == left
    assert all(isinstance(step, Erase) for step in steps[1 : len(left) + 1])
    assert (steps[0], *steps[len(left) + 1 :]) == (before, *later)


def test_steps_of_one_row_belong_together() -> None:
    steps: list[Step] = [write(0, 2), write(8, 2), write(6, 1), erase(10, 5), erase(20, 5)]
    nameless = (replace(write(at, 1), label="", where="") for at in (30, 40))
    elsewhere = replace(write(50, 1), area=area(60, 1, 1))
    steps += [read(0, 9), *nameless, write(50, 1), elsewhere]
    found = [[step.area.start_sector for step in row] for row in rows(steps)]
    assert found == [[0, 8], [6], [10, 20], [0], [30], [40], [50], [60]]
    assert list(rows([])) == []


def test_counts_are_words() -> None:
    assert [plural(count, "step") for count in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
