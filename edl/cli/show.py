# SPDX-License-Identifier: BSD-3-Clause
"""Plans and outcomes, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edl.events import Stage
from edl.firehose.commands import Power
from edl.plan.job import Outcome
from edl.plan.model import Erase, Plan, ReadOut, Severity, Step, as_data, plural
from edl.units import format_duration, format_size

if TYPE_CHECKING:
    from edl.virtual.bootcheck import BootReport

_RESTART = {
    Power.RESET: "the phone starts now; the first start can take some minutes",
    Power.OFF: "the phone switches off",
    Power.EDL: "the phone comes back in EDL mode",
}
_MEMORY = {"emmc": "eMMC", "ufs": "UFS"}


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return plan as JSON-able data."""
    return {"plan": as_data(plan)}


def plan_text(plan: Plan) -> str:
    """Return plan for people: what is done, in order, and what is left alone."""
    geometry = plan.geometry
    kind = _MEMORY.get(geometry.memory, geometry.memory)
    lines = [
        f"Plan: {plan.job} {plan.title}",
        f"  storage: {kind}, {geometry.sector_bytes}-byte sectors, "
        + ", ".join(
            f"LUN {lun} {format_size(count * geometry.sector_bytes)}"
            for lun, count in sorted(geometry.luns.items())
        )
        + (" (assumed)" if geometry.assumed else ""),
    ]
    width = len(str(len(plan.steps)))
    lines += [f"  {n:>{width}}. {_step(step)}" for n, step in enumerate(plan.steps, 1)]
    if plan.patches:
        lines.append(f"  then {plural(len(plan.patches), 'patch row')} are worked in")
    if plan.bootable is not None:
        lines.append(f"  then the boot drive is set to {plan.bootable}")
    if plan.reset is not None:
        lines.append(f"  then {plan.reset}")
    lines += [f"  kept as it is: {', '.join(plan.kept)}"] if plan.kept else []
    lines += [f"  left out: {what} ({reason})" for what, reason in plan.left_out]
    lines.append(f"  {format_size(plan.write_bytes)} to write. Nothing has been written.")
    return "\n".join(lines)


def _step(step: Step) -> str:
    area = step.area
    verb = {Erase: "erase", ReadOut: "read"}.get(type(step), "write")
    source = getattr(step, "file", "") or str(getattr(step, "path", ""))
    place = f"LUN {area.lun} sector {area.start_sector}+{area.sectors}"
    return f"{verb:<5} {step.label:<22} {format_size(area.size_bytes):>10}  {place}  {source}"


def checked(plan: Plan) -> Stage:
    """Return the event that tells that all checks are through."""
    warnings = sum(f.severity is Severity.WARNING for f in plan.findings)
    told = plural(warnings, "warning") if warnings else "no warnings"
    return Stage(
        "checked",
        f"{plural(len(plan.steps), 'step')}, {format_size(plan.write_bytes)}, no errors, {told}",
    )


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
        "saved": str(outcome.saved.folder) if outcome.saved else None,
        "reset": outcome.plan.reset,
        "seconds": round(report.seconds, 3),
    }
    if boot is not None:
        data["virtual_boot"] = {"boots": boot.boots, "findings": list(boot.findings)}
    return data


def outcome_text(outcome: Outcome, boot: BootReport | None = None) -> str:
    """Return outcome for a layman."""
    report, plan = outcome.report, outcome.plan
    rows = [
        ("written", _written(outcome) if plan.writes else ""),
        ("erased", format_size(report.erased_bytes) if report.erased_bytes else ""),
        ("verified", _verified(outcome)),
        ("rewritten", ", ".join(report.rewritten)),
        ("read", ", ".join(report.files)),
        ("kept", f"{', '.join(plan.kept)} (they belong to this phone alone)" if plan.kept else ""),
        ("saved", _saved(outcome)),
        ("restart", _RESTART.get(plan.reset, "") if plan.reset else ""),
    ]
    lines = [f"Done in {format_duration(report.seconds)}."]
    lines += [f"  {name:<10} {text}" for name, text in rows if text]
    if boot is not None:
        lines += _boot(boot)
    return "\n".join(lines)


def _verified(outcome: Outcome) -> str:
    report = outcome.report
    if report.verified_bytes:
        return f"{format_size(report.verified_bytes)}, all equal to what was sent ({report.how})"
    if report.written_bytes:
        return "NOT VERIFIED, as you asked: nobody knows what the phone holds"
    return ""


def _saved(outcome: Outcome) -> str:
    if outcome.saved is None:
        return ""
    when = "" if outcome.saved.new else " (by an earlier run)"
    return f"what exists only once: {outcome.saved.folder}{when}"


def _written(outcome: Outcome) -> str:
    report = outcome.report
    text = f"{plural(len(outcome.plan.writes), 'part')}, {format_size(report.written_bytes)}"
    if report.resumed_bytes:
        text += f" ({format_size(report.resumed_bytes)} were there from the interrupted run)"
    if report.unchanged_bytes:
        text += f" ({format_size(report.unchanged_bytes)} were there already)"
    return text


def _boot(boot: BootReport) -> list[str]:
    if boot.boots:
        return ["  boot       the virtual phone starts: its boot chain is whole"]
    return ["  boot       the virtual phone does NOT start:", *(f"    {f}" for f in boot.findings)]
