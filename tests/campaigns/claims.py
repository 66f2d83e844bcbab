# SPDX-License-Identifier: BSD-3-Clause
"""What a run of edl says, held against what the phone's flash holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from edl.errors import EdlError
from tests.campaigns.bench import Disks
from tests.campaigns.inside import LONGEST_RUN_S, LONGEST_STEP_S, Ran

_KNOWN_STATUSES = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10}
_TRUE_STATES = {"written", "unchanged", "erased"}  # docs/json.md: what has been compared


def codes(kind: type[EdlError] = EdlError) -> set[str]:
    """Return the codes of all errors but that of a bug."""
    found = {kind.code} if kind is not EdlError else set()
    return found.union(*(codes(sub) for sub in kind.__subclasses__()))


def odd(ran: Ran) -> Iterator[str]:
    """Yield what no run may do, whatever goes wrong."""
    if ran.killed:
        return
    if ran.status is None:
        yield "it hangs"
        return
    if "Traceback" in ran.out + ran.err or ran.status == 1 or "This is a bug" in ran.out:
        yield f"a bug was reported: {ran.out.splitlines()[-1:]} {ran.err[-300:]}"
        return
    if ran.status not in _KNOWN_STATUSES:
        yield f"exit status {ran.status}"
    if ran.step_s > LONGEST_STEP_S or ran.seconds > LONGEST_RUN_S:
        yield f"silent for {ran.step_s:.0f} s of {ran.seconds:.0f} s"
    if ran.err:
        yield f"stderr beside JSON: {ran.err[:200]}"
    try:
        lines = ran.lines
    except ValueError:
        yield f"no JSON: {ran.out[:200]}"
        return
    yield from _last(ran.status, lines[-1] if lines else {})


def _last(status: int, last: dict[str, Any]) -> Iterator[str]:
    if status == 0:
        if last.get("type") != "result":
            yield f"status 0, but the last line is {last}"
        return
    if last.get("type") != "error" or last["status"] != status:
        yield f"status {status}, but the last line is {last}"
    elif last["code"] not in codes() or not last["message"] or not last["remedies"]:
        yield f"no code, message or remedy: {last}"


def false(ran: Ran, now: Disks, after: Disks, unit: int) -> Iterator[str]:
    """Yield what it called written though it is not there. after: what the job brings about."""
    plan = next((line["plan"] for line in ran.lines if line["type"] == "plan"), None)
    if plan is None:
        return
    last = ran.lines[-1]
    if (
        last["type"] == "error"
        and not last["state"]
        and any(part["state"] in {"written", "erased"} for part in last.get("parts", ()))
    ):
        yield "parts are done, and nothing is on the phone"
    claimed: dict[str, int] = defaultdict(int)
    for part in last.get("parts", ()):
        claimed[part["part"]] += part["state"] in _TRUE_STATES
    held: dict[str, int] = defaultdict(int)
    for step in plan["steps"]:
        lun, start = step["lun"], step["start_sector"] * unit
        end = start + step["sectors"] * unit
        held[step["label"]] += now[lun][start:end] == after[lun][start:end]
    for name, count in claimed.items():
        if count > held[name]:
            yield f"'{name}' is called written"
