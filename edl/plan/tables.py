# SPDX-License-Identifier: BSD-3-Clause
"""Jobs on partition tables: mended, or replaced by others.

A LUN has two copies. The one that is not gone by is written first, so that an interruption leaves
a sound copy; what is right already is not written, so that the same command finishes the job.
"""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edl.chunks import BytesContent
from edl.device.storage import Storage, Tables
from edl.errors import (
    DocumentError,
    EdlError,
    ImageError,
    PackageError,
    ReadFailedError,
    SafetyError,
    WrongSectorSizeError,
)
from edl.firehose.commands import Area
from edl.formats import gpt, gptedit
from edl.formats.gpt import Gpt
from edl.formats.gptcheck import problems, sound
from edl.package import Package
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan.build import Options, build
from edl.plan.model import Finding, Geometry, Plan, Severity, Write, overlaps, plural
from edl.plan.patching import Disk
from edl.units import MIB

_MAX_TABLE_BYTES = MIB
_MOST_NAMES = 8
PRIMARY, BACKUP = "PrimaryGPT", "BackupGPT"


# -- repair -------------------------------------------------------------------------------------


def own_table(tables: Tables, which: str = "") -> Gpt:
    """Return the copy to go by: the sound one, or the one that which names (primary, backup).

    Raises:
        SafetyError: there is none, or two that contradict each other.
    """
    lun = tables.lun
    if which:
        table = tables.primary if which == "primary" else tables.backup
        if table is None:
            raise SafetyError(f"LUN {lun} has no {which} table.", remedies=_elsewhere(lun))
        return table
    good = gptedit.good_copies(tables.primary, tables.backup)
    if not good:
        what = "no partition table" if tables.best is None else "no sound partition table"
        raise SafetyError(f"LUN {lun} has {what}.", remedies=_elsewhere(lun))
    if len(good) > 1:
        raise SafetyError(
            f"The two partition tables of LUN {lun} contradict each other, and the checksums of"
            " both are right.",
            remedies=(
                f"See how they differ: edl printgpt --lun {lun}",
                f"Then choose: edl gpt repair --lun {lun} --from primary (or backup).",
            ),
        )
    return good[0]


def _elsewhere(lun: int) -> tuple[str, ...]:
    return (
        f"Take it from the phone's package: edl gpt repair --lun {lun} --from ROM_FOLDER",
        f"Or from a file: edl gpt repair --lun {lun} --from gpt_main{lun}.bin",
    )


def repair_plan(
    storage: Storage,
    sources: Mapping[int, Gpt],
    geometry: Geometry,
    *,
    grow: bool = False,
    insisted: Sequence[str] = (),
) -> Plan:
    """Return the plan that makes both copies of each LUN those of sources.

    grow: the sources are no tables of this phone, so that the last partition is to fill its disk.
    insisted: names (patterns) of unique partitions that may move or go.

    Raises:
        DocumentError: a table does not fit on its LUN.
    """
    steps: list[Write] = []
    findings: list[Finding] = []
    for lun, source in sorted(sources.items()):
        total = geometry.luns[lun]
        table = gptedit.repair(source, total, first_sector(storage, lun), grow=grow)
        writes = table_writes(storage, lun, table)
        steps += writes
        now = storage.table(lun).best
        if writes:
            findings += _doubts(lun, source, table, total)
        if writes and now is not None:
            findings += moves(lun, gptedit.diff(now, table), insisted)
    title = ", ".join(f"LUN {lun}" for lun in sorted({step.area.lun for step in steps}))
    return Plan("gpt repair", title, geometry, tuple(steps), findings=tuple(findings))


def _doubts(lun: int, source: Gpt, table: Gpt, disk_sectors: int) -> Iterator[Finding]:
    """Yield what is wrong with source, and is not mended in table."""
    if not sound(source):
        yield Finding(
            "table-checksum",
            Severity.WARNING,
            f"The table for LUN {lun} has a wrong checksum: it may not say what it was meant to.",
        )
    for problem in problems(table, disk_sectors):
        yield Finding("table-problem", Severity.WARNING, f"The table for LUN {lun}: {problem}")


def table_writes(storage: Storage, lun: int, table: Gpt) -> tuple[Write, ...]:
    """Return the writes after which both copies on lun are those of table, in a safe order.

    Raises:
        DocumentError: table was not fitted to the LUN.
    """
    images, unit = table.images(), table.sector_bytes
    copies = [
        (PRIMARY, Area(lun, 0, len(images.primary) // unit, unit), images.primary),
        (BACKUP, Area(lun, images.backup_sector, len(images.backup) // unit, unit), images.backup),
    ]
    now = storage.table(lun)
    if now.primary is not None and sound(now.primary):
        copies.reverse()
    return tuple(
        Write(area, BytesContent(data), label, "", "")
        for label, area, data in copies
        if held(storage, area) != data
    )


def moves(
    lun: int, changes: Sequence[gptedit.Change], insisted: Sequence[str] = ()
) -> Iterator[Finding]:
    """Yield what changes of a table do to what lies in the partitions of lun."""
    moved = [change for change in changes if change.loses]
    unique = [c for c in moved if classify(c.name).severity is Worth.MUST_NEVER_CLONE]
    for change in unique:
        meant = any(fnmatch.fnmatchcase(change.name.lower(), text.lower()) for text in insisted)
        what = "has no place in this table" if change.after is None else "moves or becomes smaller"
        yield Finding(
            "unique-moved",
            Severity.WARNING if meant else Severity.ERROR,
            f"'{change.name}' on LUN {lun} {what}: what it holds exists only once on this phone,"
            " and would not be found any more.",
            remedy=""
            if meant
            else f"Take a table that fits this phone; or insist with --overwrite {change.name}",
        )
    others = [change.name for change in moved if change not in unique]
    if others:
        names = ", ".join(others[:_MOST_NAMES]) + (", ..." if len(others) > _MOST_NAMES else "")
        yield Finding(
            "partitions-moved",
            Severity.WARNING,
            f"{plural(len(others), 'partition')} on LUN {lun} move, become smaller or go:"
            f" {names}. What they hold has to be written again.",
        )


def first_sector(storage: Storage, lun: int) -> bytes:
    """Return sector 0 of lun, or nothing if it cannot be read."""
    return held(storage, Area(lun, 0, 1, storage.phone.sector_bytes)) or b""


def held(storage: Storage, area: Area) -> bytes | None:
    """Return what the phone has at area; None if it cannot be read."""
    try:
        return storage.read(area)
    except ReadFailedError:
        return None


# -- tables from elsewhere ----------------------------------------------------------------------


def is_table(path: Path) -> bool:
    """Tell whether the file at path begins or ends with a table, for sectors of whatever size."""
    try:
        head, tail = _ends(path)
    except OSError:
        return False
    for size in gpt.SECTOR_SIZES:
        with contextlib.suppress(DocumentError):
            gptedit.table_of_file(head, tail, size)
            return True
    return False


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(_MAX_TABLE_BYTES)
        file.seek(max(0, file.seek(0, 2) - _MAX_TABLE_BYTES))
        return head, file.read(_MAX_TABLE_BYTES)


def file_table(path: Path, sector_bytes: int) -> Gpt:
    """Return the table in a file: gpt_main0.bin, gpt_backup0.bin, gpt_both0.bin, or a dump.

    Raises:
        ImageError: it cannot be read, or has none.
        WrongSectorSizeError: its table is for sectors of another size.
    """
    try:
        head, tail = _ends(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return gptedit.table_of_file(head, tail, sector_bytes)
    except DocumentError as error:
        others = [size for size in gpt.SECTOR_SIZES if head.startswith(gpt.SIGNATURE, size)]
        if others:
            raise WrongSectorSizeError(
                f"{path} has a table for sectors of {others[0]} bytes, the phone has sectors of"
                f" {sector_bytes} bytes.",
                remedies=("Use the table for the storage type of this phone.",),
            ) from error
        raise ImageError(f"{path}: {error.message}") from error


def package_tables(package: Package, geometry: Geometry) -> dict[int, Gpt]:
    """Return the tables of package by LUN, as they are on geometry after all patches.

    Raises:
        EdlError: it has none for this storage.
    """
    built = build(package, geometry, Options(allow_missing=True))
    heads = tuple(
        write
        for write in built.writes
        if write.area.start_sector == 0 and write.area.size_bytes <= _MAX_TABLE_BYTES
    )
    patches = tuple(
        patch
        for patch in built.patches
        if any(
            overlaps(w.area, Area(patch.lun, patch.sector, 1, w.area.sector_bytes)) for w in heads
        )
    )
    disk = Disk(replace(built, steps=heads, patches=patches), lambda area: bytes(area.size_bytes))
    disk.apply_patches()
    tables: dict[int, Gpt] = {}
    reason: EdlError | None = None
    for write in heads:
        try:
            tables[write.area.lun] = gpt.parse(disk.content(write.area), geometry.sector_bytes)
        except DocumentError as error:
            reason = error
    if not tables:
        raise _no_tables(built, reason)
    return tables


def _no_tables(built: Plan, reason: EdlError | None) -> EdlError:
    wrong = next((f for f in built.errors if f.code == "wrong-sector-size"), None)
    if wrong is not None:
        return WrongSectorSizeError(wrong.message, remedies=(wrong.remedy,))
    told = reason.message if reason else "no row writes sector 0, or the file for it is missing."
    return PackageError(
        f"The package has no partition table for this phone: {told}",
        remedies=("Use the whole, unchanged package for this phone.",),
    )
