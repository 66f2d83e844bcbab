# SPDX-License-Identifier: BSD-3-Clause
"""Records for pages, as `edl.report.collect` makes them, without a phone."""

from __future__ import annotations

from typing import Any

from edl.report.collect import Recorder

Data = dict[str, Any]

UNIT = 4096
SECTORS = 262_144  # 1 GiB
NAMES = ("xbl_a", "boot_a", "modemst1", "persist", "super", "misc", "userdata")
STARTS = (6, 900, 20_000, 20_512, 30_000, 90_000, 100_000)
SIZES = (894, 19_100, 512, 8192, 50_000, 256, 162_139)
# what a name can be: markup, attributes, a template, what a terminal obeys, other directions
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='x",
    "</style></svg><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[2J\u202egpj.exe\x00\ufffe\ud800",
    "&lt;b&gt;&amp;",
    "javascript:alert(1)",
    "]]><!--",
    "n" * 5000,
)


def table(names: tuple[str, ...] = NAMES) -> list[Data]:
    """Return the partitions of a LUN of 1 GiB."""
    return [
        {"name": name, "start_sector": start, "sectors": sectors}
        for name, start, sectors in zip(names, STARTS, SIZES, strict=False)
    ]


def step(do: str, label: str, start: int, sectors: int, file: str = "x.img") -> Data:
    """Return a step as a plan has it."""
    return {"do": do, "label": label, "lun": 0, "start_sector": start, "sectors": sectors,
            "bytes": sectors * UNIT, "where": "rawprogram0.xml:5", "file": file}  # fmt: skip


STEPS = (
    step("program", "xbl_a", 6, 800),
    step("program", "boot_a", 900, 19_100, "boot.img"),
    step("program", "super", 30_000, 10_000, "super_1.img"),
    step("program", "super", 60_000, 5_000, "super_2.img"),
    step("erase", "misc", 90_000, 256, ""),
)


def plan(steps: tuple[Data, ...] = STEPS, **changes: Any) -> Data:  # noqa: ANN401
    """Return a plan as JSON has it."""
    return {
        "job": "rawprogram", "title": "ROM", "memory": "ufs", "sector_bytes": UNIT,
        "luns": {"0": SECTORS}, "geometry_assumed": False, "steps": list(steps), "patches": [],
        "set_bootable": 1, "reset": "reset", "write_bytes": 34_900 * UNIT, "kept": ["persist"],
        "left_out": [{"what": "userdata", "reason": "it is the user's"}], "findings": [], **changes,
    }  # fmt: skip


def record(*lines: tuple[str, Data], status: int = 0, **changes: Any) -> Data:  # noqa: ANN401
    """Return a record of a phone with one LUN, with these lines. changes: other fields."""
    recorder = Recorder("rawprogram")
    for kind, data in lines:
        recorder.line(kind, data)
    made = recorder.data(["rawprogram", "ROM"], status, virtual=None)
    made["storage"] = {"sector_bytes": UNIT, "luns": [
        {"lun": 0, "sectors": SECTORS, "partitions": table()}]}  # fmt: skip
    made["planned"] = {"order": list(range(len(STEPS))), "tables": {}}
    return made | changes


def parts(*states: str) -> list[Data]:
    """Return what became of STEPS, as a result or an error has it."""
    return [{"part": each["label"], "state": state, "bytes": each["bytes"]}
            for each, state in zip(STEPS, states, strict=True)]  # fmt: skip


DONE = {
    "job": "rawprogram", "written_bytes": 34_900 * UNIT, "resumed_bytes": 0, "unchanged_bytes": 0,
    "erased_bytes": UNIT, "verified_bytes": 34_900 * UNIT, "verified_how": "SHA-256",
    "rewritten": ["xbl_a"], "kept": ["persist"], "files": [], "saved": None, "reset": "reset",
    "seconds": 3.5, "parts": parts("written", "unchanged", "written", "resumed", "erased"),
}  # fmt: skip
ERROR = {
    "code": "device-gone", "status": 4, "message": "The phone left the bus.\nIn the middle.",
    "state": "2 of 5 steps are done; 'super' is incomplete.", "remedies": ["Take another cable."],
    "device_log": ["ERROR: no"],
    "parts": parts("written", "sent", "incomplete", "not done", "not done"),
}  # fmt: skip
