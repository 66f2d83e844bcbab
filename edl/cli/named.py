# SPDX-License-Identifier: BSD-3-Clause
"""`edl write` on NAND that is known by the names of partitions alone: Streaming Download."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edl.cli import again, show
from edl.cli.app import App
from edl.device.storage import Target
from edl.device.streaming import Programmer
from edl.errors import BlindWriteError, EdlError, ImageError, SafetyError, UsageError
from edl.events import BytesMoved, StepStarted
from edl.partitions import Severity, classify
from edl.plan.job import Outcome
from edl.plan.model import Geometry, Plan
from edl.plan.report import Part, Report
from edl.units import format_duration, format_size

_CHUNK_BYTES = 1 << 20
_SECTOR_BYTES = 512
_MAX_TABLE_BYTES = 512


def by_name(phone: Any) -> Programmer | None:  # noqa: ANN401
    """Return the programmer of a phone whose storage is addressed like that, else None."""
    programmer = phone.programmer
    named = isinstance(programmer, Programmer) and programmer.memory == "nand"
    return programmer if named else None


def write(
    app: App,
    programmer: Programmer,
    targets: list[Target],
    files: list[Path],
    arguments: Mapping[str, Any],
) -> None:
    """Write files to the partitions that targets name, one after the other.

    Raises:
        UsageError: a target is no name.
        BlindWriteError: nobody insists on writing what can neither be saved nor verified.
        SafetyError: a partition exists only once on this phone.
        EdlError: a write failed; `state` says what is on the phone.
    """
    names = [_name(target) for target in targets]
    if not arguments["no_backup"] or arguments["verify"] != "none":
        raise BlindWriteError(
            "This programmer does not let the NAND be read: nothing can be saved first, and nothing"
            " verified afterwards. Nothing was written."
        )
    _require_common(names, arguments)
    table = _table(arguments.get("partition_table"))
    sizes = [file.stat().st_size for file in files]
    plan = Plan("write", ", ".join(names), Geometry("nand", _SECTOR_BYTES, {}), ())
    report = Report()
    if arguments["dry_run"]:
        lines = [f"{name}: {format_size(size)}" for name, size in zip(names, sizes, strict=True)]
        app.json_line("plan", show.plan_data(plan))
        app.result(show.dry_run_data(plan), [*lines, "Dry run: nothing was written."])
        return
    again.agree_to_blindness(app, yes=arguments["yes"])
    begin = time.monotonic()
    with app.gentle(plan):
        for index, (name, file, size) in enumerate(zip(names, files, sizes, strict=True), 1):
            app.emit(StepStarted(index, len(names), name, size))
            try:
                app.settings.changing = True
                programmer.write_partition(
                    name,
                    _chunks(file),
                    table=table,
                    moved=lambda count: app.emit(BytesMoved(count)),
                )
            except EdlError as error:
                error.state = f"{index - 1} of {len(names)} are written; '{name}' is incomplete."
                error.parts = tuple(part.as_data() for part in report.parts)
                raise
            report.written_bytes += size
            report.parts.append(Part(name, "sent", size))
    report.seconds = time.monotonic() - begin
    lines = [
        f"Done in {format_duration(report.seconds)}.",
        f"  {'sent':<10} {', '.join(names)}, {format_size(report.written_bytes)}",
        f"  {'verified':<10} NOT VERIFIED, as you asked: nobody knows what the phone holds",
        f"  {'next':<10} edl reset (the phone is still in EDL mode)",
    ]
    app.result(show.outcome_data(Outcome(plan, report)), lines)


def _name(target: Target) -> str:
    if target.name is None or target.lun is not None or not target.name.isascii():
        raise UsageError(
            f"On this phone's NAND '{target.text}' means nothing: only names do.",
            remedies=("Write NAME as its partition table has it, such as 0:AMSS.",),
        )
    return target.name


def _require_common(names: list[str], arguments: Mapping[str, Any]) -> None:
    insisted = {name.strip().lower() for text in arguments["overwrite"] for name in text.split(",")}
    for name in names:
        kind = classify(name.rpartition(":")[2])
        if kind.severity is Severity.MUST_NEVER_CLONE and name.lower() not in insisted:
            raise SafetyError(
                f"'{name}' exists only once, and cannot be saved first: {kind.reason}",
                remedies=(f"To write it all the same: --overwrite {name}",),
            )


def _table(path: str | None) -> bytes:
    """Return the partition table that the phone's is compared with, if one was named."""
    if path is None:
        return b""
    try:
        data = Path(path).read_bytes()[: _MAX_TABLE_BYTES + 1]
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    if not 0 < len(data) <= _MAX_TABLE_BYTES:
        raise ImageError(f"{path} is no partition table of this kind: up to 512 bytes.")
    return data


def _chunks(file: Path) -> Iterator[memoryview]:
    try:
        with file.open("rb") as stream:
            while data := stream.read(_CHUNK_BYTES):
                yield memoryview(data)
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {error.strerror}.") from error
