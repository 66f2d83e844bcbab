# SPDX-License-Identifier: BSD-3-Clause
"""Plans and outcomes, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edl.events import Stage
from edl.firehose.commands import Power
from edl.packages.model import Description
from edl.plan.job import Outcome
from edl.plan.model import Erase, Plan, ReadOut, Severity, Step, Write, as_data, plural, rows
from edl.plan.order import ordered
from edl.units import format_duration, format_size

if TYPE_CHECKING:
    from edl.virtual.bootcheck import BootReport

_RESTART = {
    Power.RESET: "the phone starts now; the first start can take some minutes",
    Power.OFF: "the phone switches off",
    Power.EDL: "the phone comes back in EDL mode",
}
_AT_THE_END = {
    Power.RESET: "the phone restarts",
    Power.OFF: "the phone switches off",
    Power.EDL: "the phone restarts into EDL mode",
}
_MEMORY = {"emmc": "eMMC", "ufs": "UFS"}


def description_line(description: Description) -> str:
    """Return what a package says about itself, in a line."""
    devices = f" for {', '.join(description.devices[:6])}" if description.devices else ""
    version = f", version {description.version}" if description.version else ""
    facts = "".join(f", {name}: {value}" for name, value in description.facts)
    return f"{description.kind}{devices}{version}{facts}"


def description_text(description: Description) -> list[str]:
    """Return what a package says about itself, for people."""
    rows = [("package", description.kind), ("for", ", ".join(description.devices))]
    rows += [("version", description.version), *description.facts]
    return [f"  {name:<8} {value}" for name, value in rows if value]


def description_data(description: Description) -> dict[str, Any]:
    """Return what a package says about itself as JSON-able data."""
    return {
        "kind": description.kind,
        "devices": list(description.devices),
        "version": description.version,
        "facts": [{"name": name, "value": value} for name, value in description.facts],
    }


def in_order(plan: Plan) -> Plan:
    """Return plan with its steps in the order in which they are carried out."""
    return replace(plan, steps=tuple(step for _, step in ordered(plan.steps, plan.geometry)))


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return plan as JSON-able data, in the order in which it is carried out."""
    return {"plan": as_data(in_order(plan))}


def plan_text(plan: Plan) -> list[str]:
    """Return plan for people: what is done, in order, and what is left alone."""
    lines = [f"Plan: {plan.job} {plan.title}", f"  storage: {_storage(plan)}"]
    width = len(str(len(plan.steps)))
    at = 1
    for steps in rows(in_order(plan).steps):
        lines.append(f"  {at:>{width}}. {_row(steps)}")
        at += len(steps)
    if plan.patches:
        lines.append(f"  then {plural(len(plan.patches), 'patch row')} are worked in")
    if plan.bootable is not None:
        lines.append(f"  then LUN {plan.bootable} is made the one that the phone boots from")
    if plan.reset is not None:
        lines.append(f"  then {_AT_THE_END[plan.reset]}")
    lines += [f"  kept as it is: {', '.join(plan.kept)}"] if plan.kept else []
    lines += [f"  left out: {what} ({reason})" for what, reason in plan.left_out]
    return [*lines, f"  in all: {_amount(plan)}. Nothing has been written."]


def _storage(plan: Plan) -> str:
    geometry = plan.geometry
    kind = _MEMORY.get(geometry.memory, geometry.memory)
    sizes = [
        f"LUN {lun} {format_size(count * geometry.sector_bytes)}"
        for lun, count in sorted(geometry.luns.items())
    ]
    text = ", ".join([kind, f"{geometry.sector_bytes}-byte sectors", *sizes])
    return f"{text} (assumed: no phone was asked)" if geometry.assumed else text


def _amount(plan: Plan) -> str:
    """Return what a plan moves in all: `21.7 MiB to write, 1 MiB to erase`."""
    words = []
    for kind, verb in ((Write, "write"), (Erase, "erase"), (ReadOut, "read")):
        size = sum(step.area.size_bytes for step in plan.steps if isinstance(step, kind))
        if size:
            words.append(f"{format_size(size)} to {verb}")
    return ", ".join(words) or "nothing to write"


def _row(steps: Sequence[Step]) -> str:
    """Return the line of steps, which do the same for one row."""
    step, area = steps[0], steps[0].area
    verb = {Erase: "erase", ReadOut: "read"}.get(type(step), "write")
    source = getattr(step, "file", "") or str(getattr(step, "path", ""))
    span = steps[-1].area.start_sector + steps[-1].area.sectors - area.start_sector
    size = sum(step.area.size_bytes for step in steps)
    place = f"LUN {area.lun} sector {area.start_sector}+{span}"
    if len(steps) > 1:
        gaps = format_size(span * area.sector_bytes - size)
        place += f" in {len(steps):,} pieces, {gaps} between them"
    text = f"{verb:<5} {step.label:<22} {format_size(size):>10}  {place}  {source}"
    return text.rstrip()


def verdict(plan: Plan) -> str:
    """Return the outcome of the checks in a sentence: `31 steps, ..., no errors, no warnings`."""
    warnings = sum(finding.severity is Severity.WARNING for finding in plan.findings)
    told = plural(warnings, "warning") if warnings else "no warnings"
    return f"{plural(len(plan.steps), 'step')}, {_amount(plan)}, no errors, {told}"


def dry_run_data(plan: Plan) -> dict[str, Any]:
    """Return the result of a dry run; the plan itself went before."""
    return {
        "job": plan.job,
        "dry_run": True,
        "steps": len(plan.steps),
        "write_bytes": plan.write_bytes,
        "warnings": sum(finding.severity is Severity.WARNING for finding in plan.findings),
    }


def checked(plan: Plan) -> Stage:
    """Return the event that tells that all checks are through."""
    return Stage("checked", verdict(plan))


def outcome_data(outcome: Outcome, boot: BootReport | None = None) -> dict[str, Any]:
    """Return outcome as JSON-able data."""
    report = outcome.report
    data: dict[str, Any] = {
        "job": outcome.plan.job,
        "written_bytes": report.written_bytes,
        "resumed_bytes": report.resumed_bytes,
        "unchanged_bytes": report.unchanged_bytes,
        "erased_bytes": report.erased_bytes,
        "verified_bytes": report.verified_bytes,
        "verified_how": report.how,
        "rewritten": report.rewritten,
        "kept": list(outcome.plan.kept),
        "files": report.files,
        "parts": [part.as_data() for part in report.parts],
        "saved": str(outcome.saved.folder) if outcome.saved else None,
        "reset": outcome.plan.reset,
        "seconds": round(report.seconds, 3),
        "pace": report.pace,
    }
    if boot is not None:
        data["virtual_boot"] = {"boots": boot.boots, "findings": list(boot.findings)}
    return data


def outcome_text(outcome: Outcome, boot: BootReport | None = None) -> list[str]:
    """Return outcome for a layman."""
    report, plan = outcome.report, outcome.plan
    end = ("next", "edl reset (the phone is still in EDL mode)")
    if plan.reset is not None:
        end = ("restart", _RESTART[plan.reset])
    rows = [
        ("written", _written(outcome) if plan.writes else ""),
        ("erased", _erased(outcome)),
        ("speed", report.pace),
        ("verified", _verified(outcome)),
        ("rewritten", ", ".join(report.rewritten)),
        ("read", ", ".join(report.files)),
        ("kept", f"{', '.join(plan.kept)} (they belong to this phone alone)" if plan.kept else ""),
        *(("left out", f"{what} ({reason})") for what, reason in plan.left_out),
        ("saved", _saved(outcome)),
        end,
    ]
    lines = [f"Done in {format_duration(report.seconds)}."]
    lines += [f"  {name:<10} {text}" for name, text in rows if text]
    if boot is not None:
        lines += _boot(boot)
    return lines


def _verified(outcome: Outcome) -> str:
    report = outcome.report
    if report.verified_bytes:
        return f"{format_size(report.verified_bytes)}, all equal to what was sent ({report.how})"
    if report.written_bytes:
        return "NOT VERIFIED, as you asked: nobody knows what the phone holds"
    return ""


def _erased(outcome: Outcome) -> str:
    report = outcome.report
    if not report.erased_bytes:
        return ""
    # zeros that were written are verified as writes are; <erase> is believed only when checked
    seen = report.verified_bytes or not report.written_bytes
    return format_size(report.erased_bytes) + (", and reads as blank now" if seen else "")


def _saved(outcome: Outcome) -> str:
    if outcome.saved is None:
        return ""
    when = "" if outcome.saved.new else " (by an earlier run)"
    what = "partition tables and what exists only once"
    return f"{what}: {outcome.saved.folder}{when}"


def _written(outcome: Outcome) -> str:
    report = outcome.report
    text = f"{plural(len(outcome.plan.writes), 'part')}, {format_size(report.written_bytes)}"
    there = []
    if report.unchanged_bytes:
        there.append(f"{format_size(report.unchanged_bytes)} were there already")
    if report.resumed_bytes:
        there.append(f"{format_size(report.resumed_bytes)} were there from the interrupted run")
    return f"{text} ({', '.join(there)})" if there else text


def _boot(boot: BootReport) -> list[str]:
    if boot.boots:
        return ["  boot       the virtual phone starts: its boot chain is whole"]
    return ["  boot       the virtual phone does NOT start:", *(f"    {f}" for f in boot.findings)]
