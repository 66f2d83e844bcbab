# SPDX-License-Identifier: BSD-3-Clause
"""Jobs under validated image programming: digest tables are made, compared, and carried out."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edl.cli import show
from edl.cli.app import payload_bytes
from edl.errors import DigestMismatchError, DocumentError, PackageError, UsageError, VerifyError
from edl.events import Notice, Stage
from edl.formats.rawprogram import EraseRow, ProgramRow
from edl.package import Package
from edl.packages import whole
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan import home
from edl.plan.assumed import assumed_geometry
from edl.plan.build import build
from edl.plan.check import checked
from edl.plan.model import Erase, Finding, Plan, as_data, findings_data, plural
from edl.units import format_size
from edl.vip import folder
from edl.vip.check import Checking, Recording, compare, record
from edl.vip.script import DEFAULT_PAYLOAD_BYTES, Script, Settings, compile_script, memory_of
from edl.vip.session import Report, Session

if TYPE_CHECKING:
    from edl.cli.app import App
    from edl.cli.commands.rawprogram import Request
    from edl.device.phone import Phone

# what the bytes depend on: the manifest keeps it, by the names that options have here
FIXED: dict[str, Any] = {
    "lun": (), "only": (), "skip": (), "slot": "active", "wipe": False, "choose": (),
    "allow_missing": False, "no_set_bootable": False, "reset": "system", "no_reset": False,
}  # fmt: skip
_UNFIT = {
    "resume": False, "unchanged": "auto", "skipblock": None, "holes": "leave", "elsewhere": (),
    "erase_lun": (), "all_phones": False,
}  # fmt: skip

_TABLE_LABELS = {"PrimaryGPT", "BackupGPT"}


@dataclass(frozen=True)
class Job:
    """A package as it is sent. kept: partitions that are left alone, as they exist only once."""

    request: Request
    plan: Plan
    script: Script
    recording: Recording
    kept: tuple[str, ...]


def prepared(
    app: App, request: Request, overwrite: frozenset[str], *, digests: bool, save: bool
) -> Job:
    """Return the job for request, looked through and hashed. digests, save: see Settings.

    Raises:
        EdlError: it cannot be done so; all that was found has been shown.
    """
    package = _package(request.package, app.settings.memory)
    kept = tuple(dict.fromkeys(_unique(package, overwrite)))
    options = request.options
    names = frozenset(name.lower() for name in kept)
    options = replace(options, skip=options.skip | names)
    built = build(package, assumed_geometry(package), options)
    plan = replace(checked(built), kept=kept)
    app.json_line("plan", {"plan": as_data(plan)})  # signed as the package has it
    app.findings(plan)
    whole.verify(package.files, app.emit)
    settings = Settings(
        memory=_memory(package, app.settings.memory),
        payload_bytes=payload_bytes(app.settings.max_payload) or DEFAULT_PAYLOAD_BYTES,
        set_bootable=options.set_bootable,
        reset=options.reset,
        digests=digests,
        save=save,
    )
    if settings.payload_bytes < plan.geometry.sector_bytes:
        raise UsageError("--max-payload is less than a sector of this storage.")
    script = compile_script(package, built, settings)
    size = format_size(script.write_bytes)
    app.emit(Stage("check", f"hashing every transfer of the job, {size} of data"))
    request = replace(request, package=package)
    return Job(request, plan, script, record(script), kept)


def _package(package: Package, memory: str) -> Package:
    """Return the package for that storage.

    Raises:
        PackageError: it has no rows of its own, or is for NAND flash.
    """
    if package.variants:
        package = package.for_sectors(512 if memory == "emmc" else 4096)
    package = package.alone
    if package.named:
        raise PackageError(
            "The package says by names where its images go, not by sectors: only the phone knows"
            " where that is, and it cannot be asked under VIP.",
            remedies=("Use a package with rawprogram files.",),
        )
    if any(getattr(row, "pages_per_block", None) for row in package.rows):
        raise PackageError("The package is for NAND flash, for which no digest tables are made.")
    return package


def _memory(package: Package, asked: str) -> str:
    memory = memory_of(package) if asked == "auto" else asked
    if not memory:
        raise UsageError(
            "The package does not say for which storage it is.",
            remedies=("Add --memory emmc, or --memory ufs.",),
        )
    return memory


def _unique(package: Package, overwrite: frozenset[str]) -> Iterator[str]:
    """Yield what the package would replace although it exists only once."""
    for row in package.rows:
        changes = isinstance(row, EraseRow) or (isinstance(row, ProgramRow) and row.filename)
        if changes:
            name = getattr(row, "label", "")
            unique = classify(name).severity is Worth.MUST_NEVER_CLONE
            if unique and name.lower() not in overwrite:
                yield name


# -- the tables as a folder -------------------------------------------------------------------


def manifest_of(job: Job, arguments: dict[str, Any], overwrite: frozenset[str]) -> dict[str, Any]:
    """Return what must be the same again, and what was assumed."""
    settings = job.script.settings
    return {
        "package": job.request.package.title,
        "memory": settings.memory,
        "payload_bytes": settings.payload_bytes,
        "digests": settings.digests,
        "save": settings.save,
        "overwrite": sorted(overwrite),
        "options": {
            name: list(value) if isinstance(value := arguments.get(name, default), tuple) else value
            for name, default in FIXED.items()
        },
        "kept": list(job.kept),
        "transfers": len(job.recording.digests),
        "write_bytes": job.script.write_bytes,
    }


def fixed(app: App, manifest: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with what the manifest of the tables fixes.

    Raises:
        UsageError: the command line asks for something else.
        DocumentError: the manifest holds what no manifest holds.
    """
    wrong = [name for name, default in _UNFIT.items() if arguments.get(name, default) != default]
    if len(app.settings.serials) > 1:
        wrong.append("serial")
    if arguments.get("verify", "auto") not in {"auto", "none"}:
        wrong.append("verify")
    if wrong:
        names = ", ".join(f"--{name.removesuffix('_phones').replace('_', '-')}" for name in wrong)
        raise UsageError(
            f"{names}: not under VIP, where nothing but what was signed can be sent.",
            remedies=("Leave it out. 'edl digests' decides what a job does.",),
        )
    if not manifest:
        return arguments
    _set_shared(app, manifest)
    options = manifest.get("options")
    if not isinstance(options, dict):
        raise DocumentError(f"{folder.MANIFEST_NAME} has no options.")
    taken = dict(arguments)
    for name, default in FIXED.items():
        value = options.get(name, default)
        value = tuple(value) if isinstance(value, list) else value
        if type(value) is not type(default):
            raise DocumentError(f"{folder.MANIFEST_NAME}: '{name}' cannot be {value!r}.")
        if arguments[name] not in {default, value}:
            raise _otherwise(f"--{name.replace('_', '-')}", value)
        taken[name] = value
    return taken


def _set_shared(app: App, manifest: dict[str, Any]) -> None:
    """Take storage type and payload size from the manifest.

    Raises:
        UsageError: the command line asks for others.
    """
    settings = app.settings
    memory, payload = manifest.get("memory"), manifest.get("payload_bytes")
    if not isinstance(memory, str) or not isinstance(payload, int):
        raise DocumentError(f"{folder.MANIFEST_NAME} names no storage type or payload size.")
    if settings.memory not in {"auto", memory}:
        raise _otherwise("--memory", memory)
    if payload_bytes(settings.max_payload) not in {None, payload}:
        raise _otherwise("--max-payload", payload)
    settings.memory, settings.max_payload = memory, str(payload)


def _otherwise(option: str, value: object) -> UsageError:
    return UsageError(
        f"{option}: the digest tables were made otherwise ({value or 'without it'}).",
        remedies=("Leave the option out: the tables' edl-vip.json fixes it.",),
    )


# -- comparing and carrying out -----------------------------------------------------------------


def run(app: App, arguments: dict[str, Any]) -> None:
    """Write a package as signed tables have it: `edl rawprogram --vip DIR`.

    Raises:
        DigestMismatchError: the job is not what was signed; everything that differs was shown.
        EdlError: see Session.carry_out.
    """
    from edl.cli.commands.rawprogram import names, opened  # noqa: PLC0415  # it uses this module

    tables, manifest = folder.read_folder(Path(arguments["vip"]))
    arguments = fixed(app, manifest, arguments)
    overwrite = names(arguments["overwrite"])
    if manifest and sorted(overwrite) != manifest.get("overwrite"):
        named = ",".join(map(str, manifest.get("overwrite") or ())) or "nothing"
        raise UsageError(
            f"The tables overwrite {named} although it exists only once, and you name"
            f" {', '.join(sorted(overwrite)) or 'nothing'}.",
            remedies=(f"If you mean it: --overwrite {named}",) if named != "nothing" else (),
        )
    request = opened(app, arguments)
    with app.running():
        asked = {name: manifest.get(name) is True for name in ("digests", "save")}
        job = prepared(app, request, overwrite, **asked)
        _require_same(app, compare(job.recording, tables, job.script.settings))
    transfers = plural(len(job.recording.digests), "transfer")
    app.emit(Stage("checked", f"{transfers}, all of them as the signed tables have them"))
    if arguments["dry_run"]:
        data = show.dry_run_data(job.plan) | {"transfers": len(job.recording.digests)}
        app.result(data, [f"Dry run: {transfers}, all as signed. Nothing has been sent."])
        return
    with _phone(app, job.request.package) as phone:
        _confirm(app, job, phone, yes=arguments["yes"])
        with app.gentle(job.plan) as cancel:
            saves = _folder(phone) if job.script.settings.save else None
            gate = Checking(tables)
            session = Session(phone.transport, gate, emit=app.emit, cancel=cancel, saves=saves)
            report = session.carry_out(job.script)
    _conclude(app, job, report)


def _folder(phone: Phone) -> Path:
    """Return a new folder for what is saved of phone.

    Raises:
        DiskError: it cannot be made.
    """
    now = dt.datetime.now(dt.UTC)
    return home.make_folder(home.phone_folder(phone.serial) / f"vip-{now:%Y%m%dT%H%M%SZ}")


def _require_same(app: App, findings: tuple[Finding, ...]) -> None:
    """Show all findings.

    Raises:
        DigestMismatchError: there are any.
    """
    for row in findings_data(findings):
        app.json_line("finding", row)
    for finding in findings:
        app.show_finding(finding)
    if findings:
        remedies = (findings[0].remedy,) if findings[0].remedy else ()
        raise DigestMismatchError(
            f"{findings[0].message} ({plural(len(findings), 'difference')} in all.) Nothing was"
            " sent.",
            remedies=(*remedies, *DigestMismatchError.remedies),
        )


@contextlib.contextmanager
def _phone(app: App, package: Package) -> Iterator[Phone]:
    """Find the phone, and start its programmer, without a word to it."""
    from edl.cli import reaching  # noqa: PLC0415  # takes all that speaks to phones along
    from edl.device import connect  # noqa: PLC0415

    with app.running(), app.plugged(), contextlib.ExitStack() as opened:
        reach = reaching.Reach(app, package, opened)
        reach.way = connect.start_programmer
        yield reach.phone()


def _confirm(app: App, job: Job, phone: Phone, *, yes: bool) -> None:
    """Say and ask what must be known before the first byte.

    Raises:
        UsageError, click.Abort: nobody agrees.
    """
    if not phone.transport.sends_zlp:
        raise UsageError(
            "This connection cannot end a transfer as programmers in VIP mode await it.",
            remedies=("Connect over USB, without --port.",),
        )
    package = job.request.package
    if wrong := package.other_chip(phone.identity):
        app.confirm(wrong, yes=yes)
    for question in package.asks:
        app.emit(Notice(question))
    if not any("alidat" in sign or "VIP" in sign for sign in phone.programmer.signs):
        app.emit(Notice("The programmer does not say that it wants signed tables (VIP)."))
    saved = [order.title for order in job.script.orders if order.save]
    question = "Under VIP nothing on the phone can be saved first, and nothing is tried twice."
    if saved:
        question = (
            f"Saved first: {', '.join(saved)}, where the package says. Nothing is tried twice."
        )
    labels = dict.fromkeys(step.label for step in job.plan.steps if isinstance(step, Erase))
    if labels:
        question += (
            f" The job sends <erase> for {', '.join(labels)}: old programmers (generation 1) erase"
            " the whole LUN then, whatever they are told."
        )
    if any(step.label in _TABLE_LABELS for step in job.plan.steps):
        question += " It replaces the partition tables without a look at those of the phone."
    unique = [
        step.label
        for step in job.plan.steps
        if classify(step.label).severity is Worth.MUST_NEVER_CLONE
    ]
    if unique:
        names = ", ".join(dict.fromkeys(unique))
        question += f" It overwrites what exists only once on this phone: {names}."
    app.confirm(question, yes=yes)


def _conclude(app: App, job: Job, report: Report) -> None:
    """Give the result.

    Raises:
        VerifyError: the phone told digests that are not right.
    """
    if report.differing:
        raise VerifyError(
            f"The phone took everything, but holds something else: {', '.join(report.differing)}."
        )
    verified = "nothing: the tables hold no question for what the phone has (digests --verify)"
    if report.confirmed:
        verified = f"{plural(len(report.confirmed), 'part')}, by digests that the phone computed"
    if report.untold:
        verified += f"; not told: {', '.join(report.untold)}"
    lines = [
        f"Sent as signed: {format_size(report.written_bytes)} in"
        f" {plural(report.transfers, 'transfer')}, with {plural(report.tables, 'digest table')}.",
        f"  verified   {verified}",
    ]
    lines += [f"  kept       {', '.join(job.kept)}"] if job.kept else []
    lines += [f"  read       {name}" for name in report.files]
    data = {
        "job": "rawprogram --vip",
        "orders": report.orders,
        "transfers": report.transfers,
        "tables": report.tables,
        "written_bytes": report.written_bytes,
        "verified": list(report.confirmed),
        "not_verified": list(report.untold) if job.script.settings.digests else None,
        "kept": list(job.kept),
        "files": list(report.files),
    }
    app.result(data, lines)
