# SPDX-License-Identifier: BSD-3-Clause
"""A record of `collect` as one HTML page, which needs nothing else and loads nothing.

Names come from packages and phones. The template engine escapes all of them; control characters,
which no browser shows, and what turns the direction of writing become visible before that.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2

from edl.formats.texts import escaped
from edl.plan.model import plural
from edl.report import fates
from edl.report.fates import Fate
from edl.report.outcome import NO_LUN, Outcome
from edl.report.storage import Box, Lun
from edl.units import format_size

Data = dict[str, Any]

_NAMED = 12.0  # percent of a LUN's width, from which a box has room for its name
_LONGEST = 2000  # characters of one text
_FINDING_HEADS = ("how bad", "what was found", "where", "what to do", "code")
_KINDS = {
    "plan": "Plan",
    "done": "Done",
    "failed": "Failed",
    "stopped": "Stopped",
    "different": "Different",
    "unready": "Done, not ready",
}
_AT_THE_END = {
    "reset": "At the end the phone restarts.",
    "off": "At the end the phone switches off.",
    "reset_to_edl": "At the end the phone restarts into EDL mode.",
}


@dataclass(frozen=True)
class Table:
    """A table. name: the column that names the row."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str | Fate]]
    name: int


def page(record: Data) -> str:
    """Return the page about record."""
    safe: Data = _cleaned(record)
    outcome = Outcome(safe)
    luns = outcome.luns
    used = {fate for lun in luns for box in lun.boxes for *_, fate in box.fills}
    used |= {box.fate for lun in luns for box in lun.boxes}
    parts = [part for part in _parts(outcome) if part[2] or part[3]]
    context = {
        "css": _resource("page.css"),
        "title": f"edl: {outcome.headline} {' '.join(safe['words'])}",
        "state": outcome.state,
        "kind": _kind(outcome),
        "headline": outcome.headline,
        "error": outcome.error,
        "facts": outcome.facts,
        "sections": [("storage", "Storage"), *((key, name) for key, name, *_ in parts),
                     ("log", "Device log")],
        "legend": [fate for fate in fates.FATES if fate.key in used],
        "any_unique": any(box.unique for lun in luns for box in lun.boxes),
        "named": _NAMED,
        "luns": [_lun(lun, listed=not outcome.compared) for lun in luns],
        "parts": parts,
        "log": _log(safe["device_log"]),
        "versions": list(safe["versions"].items()),
    }  # fmt: skip
    return _template().render(context)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.from_string(_resource("page.html"))


def _resource(name: str) -> str:
    return resources.files("edl.report").joinpath(name).read_text(encoding="utf-8")


def _cleaned(value: Any, *, lines: bool = False) -> Any:  # noqa: ANN401
    """Return value with all text in it safe to show. lines: it may have several."""
    match value:
        case str():
            if len(value) > _LONGEST:
                value = f"{value[:_LONGEST]}\u2026 ({len(value)} characters)"
            return "\n".join(map(escaped, value.splitlines())) if lines else escaped(value)
        case dict():
            return {_cleaned(key): _cleaned(each, lines=key == "message")
                    for key, each in value.items()}  # fmt: skip
        case list() | tuple():
            return [_cleaned(each) for each in value]
        case _:
            return value


def _kind(outcome: Outcome) -> str:
    rehearsal = " on a virtual phone" if outcome.record["virtual"] else ""
    about = outcome.plan.get("job") or outcome.record["command"]
    return f"{_KINDS[outcome.state]}: {about}{rehearsal}"


# -- the map --------------------------------------------------------------------------------------


def _lun(lun: Lun, *, listed: bool) -> Data:
    """Return a LUN for the template. listed: with a table; what is compared has its own."""
    placed = lun.lun != NO_LUN
    heads = ["what happens", "name", "from sector", "sectors", "size", "unique", "about"]
    rows: list[list[str | Fate]] = [
        [
            fates.BY_KEY[box.fate], box.name, str(box.start), str(box.sectors), box.size,
            "exists only once" if box.unique else "", _about(box),
        ]
        for box in lun.rows
    ]  # fmt: skip
    title = f"LUN {lun.lun}, {lun.size}" if placed else f"In no LUN, {lun.size}"
    return {
        "key": f"lun-{lun.lun}" if placed else "no-lun",
        "title": title,
        "desc": _described(lun),
        "boxes": [
            {
                "left": f"{box.left:.3f}",
                "width": round(box.width, 3),
                "named": box.named,
                "unique": box.unique,
                "name": box.name,
                "fate": fates.BY_KEY[box.fate],
                "told": f"{box.name}: {fates.BY_KEY[box.fate].words}, {box.size}",
                "fills": [(left, width, fates.BY_KEY[key]) for left, width, key in box.fills],
            }
            for box in lun.boxes
        ],
        "small": [{"name": box.name, "fate": fates.BY_KEY[box.fate]}
                  for box in lun.rows if box.width < _NAMED],
        "table": Table(f"All of {title}", heads, rows if listed else [], 1),
    }  # fmt: skip


def _about(box: Box) -> str:
    more = f" and {len(box.notes) - 3} more" if len(box.notes) > 3 else ""
    return ", ".join(box.notes[:3]) + more


def _described(lun: Lun) -> str:
    """Return in words what the strip shows."""
    counts: dict[str, list[int]] = {}
    for box in lun.rows:
        counts.setdefault(box.fate, []).append(1)
    words = [f"{len(counts[fate.key])} {fate.words}" for fate in fates.FATES if fate.key in counts]
    wider = f" What is smaller than {lun.wider} is drawn wider than it is." if lun.wider else ""
    return (
        f"{plural(len(lun.rows), 'part')}: {'; '.join(words)}.{wider}"
        if words
        else "There is no partition table."
    )


# -- the rest -------------------------------------------------------------------------------------

Part = tuple[str, str, list[Table], list[str]]


def _parts(outcome: Outcome) -> list[Part]:
    return [
        ("steps", "Steps", _steps(outcome), _after(outcome)),
        ("compared", "Compared", _compared(outcome), []),
        ("findings", "Findings", _findings(outcome), []),
        ("verification", "Verification", [], outcome.verification),
        ("boot", "Would the phone start?", _boot_tables(outcome), _boot(outcome)),
        ("timings", "Timings", _timings(outcome), []),
        ("notices", "Notices", [], [line["text"] for line in outcome.events("notice")]),
    ]


def _steps(outcome: Outcome) -> list[Table]:
    heads = ["what happens", "step", "name", "sectors", "size", "from", "row", "took"]
    rows: list[list[str | Fate]] = [
        [fates.BY_KEY[row.fate], f"{row.number} {row.verb}", row.name, row.place, row.size,
         row.file, row.where, row.took]
        for row in outcome.rows
    ]  # fmt: skip
    caption = "In the order of the package; what the phone starts from is written last"
    return [Table(caption, heads, rows, 2)] if rows else []


def _after(outcome: Outcome) -> list[str]:
    plan, told = outcome.plan, []
    if plan.get("patches"):
        told.append(f"{plural(len(plan['patches']), 'patch row')} are worked in.")
    if plan.get("set_bootable") is not None:
        told.append(f"Then LUN {plan['set_bootable']} is made the one that the phone boots from.")
    if plan.get("reset"):
        told.append(_AT_THE_END.get(plan["reset"], f"At the end: {plan['reset']}."))
    told += [f"Kept as it is: {name}." for name in plan.get("kept", ())]
    told += [f"Left out: {row['what']} ({row['reason']})." for row in plan.get("left_out", ())]
    return told


def _compared(outcome: Outcome) -> list[Table]:
    rows = [
        [
            fates.BY_KEY[row["fate"]], row["label"],
            "" if row["lun"] is None else f"LUN {row['lun']}",
            _size(row["first_bytes"]), _size(row["second_bytes"]),
            f"{row['different_blocks']} of {row['blocks']} MiB" if row["different_blocks"] else "",
            "exists only once" if row["unique"] else "", row["problem"] or "",
        ]
        for row in outcome.compared
    ]  # fmt: skip
    heads = ["how", "name", "where", "size in A", "size in B", "differ", "unique", "about"]
    return [Table("A and B, part by part", heads, rows, 1)] if rows else []


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else format_size(size_bytes)


def _findings(outcome: Outcome) -> list[Table]:
    lines = [line for line in outcome.lines if line["type"] == "finding"]
    lines += outcome.result.get("findings", [])
    rows = _finding_rows(lines)
    return [Table("What the checks found", _FINDING_HEADS, rows, 1)] if rows else []


def _finding_rows(lines: Iterable[Data]) -> list[list[str]]:
    return [
        [line["severity"], line["message"], line["where"], line["remedy"], line["code"]]
        for line in lines
    ]


def _boot(outcome: Outcome) -> list[str]:
    boot, back = outcome.boot, outcome.result.get("came_back")
    told = [f"The boot chain: {boot['verdict']}."] if boot else []
    told += [f"Expect: {row['text']}" for row in boot.get("expect", ())]
    told += [f"Not looked at: {what}" for what in boot.get("unread", ())]
    if back:
        told.append(" ".join(filter(None, (f"It came back: {back['text']}", back["todo"]))))
    return told


def _boot_tables(outcome: Outcome) -> list[Table]:
    boot = outcome.boot
    images = [
        [row["name"], f"LUN {row['lun']}", row["role"], row["state"], row["reason"]]
        for row in boot.get("images", ())
    ]
    tables = [
        Table("The images of the boot chain", ("name", "where", "role", "state", "why"), images, 0),
        Table("What was found there", _FINDING_HEADS, _finding_rows(boot.get("findings", ())), 1),
    ]
    return [table for table in tables if table.rows]


def _timings(outcome: Outcome) -> list[Table]:
    rows = outcome.timings
    heads = ["after", "took", "stage", "what"]
    return [Table("What went on, and when", heads, rows, 2)] if rows else []


def _log(log: Data) -> list[str]:
    lines: list[str] = log["lines"]
    if not log["left_out"]:
        return lines
    at = log["left_out_at"]
    return [*lines[:at], f"[{plural(log['left_out'], 'line')} left out]", *lines[at:]]
