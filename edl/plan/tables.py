# SPDX-License-Identifier: BSD-3-Clause
"""Jobs on partition tables: mended, replaced, or with another slot active.

A LUN has two copies. The one that is not gone by is written first, so that an interruption leaves
a sound copy; what is right already is not written, so that the same command finishes the job.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edl.chunks import BytesContent
from edl.device.storage import Storage, Tables
from edl.errors import (
    DeviceRefusedError,
    DocumentError,
    EdlError,
    ImageError,
    PackageError,
    ReadFailedError,
    SafetyError,
    UsageError,
    WrongSectorSizeError,
)
from edl.firehose.commands import Area
from edl.formats import gpt, gptedit, slots
from edl.formats.gpt import Gpt, Partition
from edl.formats.gptcheck import sound
from edl.formats.slots import Slot
from edl.package import Package
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan import job
from edl.plan.build import Options, build
from edl.plan.model import Finding, Geometry, Plan, Severity, Write, overlaps, plural
from edl.plan.patching import Disk
from edl.units import MIB

_MAX_TABLE_BYTES = MIB
_BLANK_BYTES = 4096  # a partition whose beginning is blank holds no program
_SLOT_KINDS = {"type", "attributes"}
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
        table = gptedit.repair(source, total, _first_sector(storage, lun), grow=grow)
        writes = table_writes(storage, lun, table)
        steps += writes
        now = storage.table(lun).best
        if writes and now is not None:
            findings += moves(lun, gptedit.diff(now, table), insisted)
    title = ", ".join(f"LUN {lun}" for lun in sorted({step.area.lun for step in steps}))
    return Plan("gpt repair", title, geometry, tuple(steps), findings=tuple(findings))


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
        if _held(storage, area) != data
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


def _first_sector(storage: Storage, lun: int) -> bytes:
    return _held(storage, Area(lun, 0, 1, storage.phone.sector_bytes)) or b""


def _held(storage: Storage, area: Area) -> bytes | None:
    """Return what the phone has at area; None if it cannot be read."""
    try:
        return storage.read(area)
    except ReadFailedError:
        return None


# -- tables from elsewhere ----------------------------------------------------------------------


def file_table(path: Path, sector_bytes: int) -> Gpt:
    """Return the table in a file: gpt_main0.bin, gpt_backup0.bin, gpt_both0.bin, or a dump.

    Raises:
        ImageError: it cannot be read, or has none.
        WrongSectorSizeError: its table is for sectors of another size.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MAX_TABLE_BYTES)
            file.seek(max(0, file.seek(0, 2) - _MAX_TABLE_BYTES))
            tail = file.read(_MAX_TABLE_BYTES)
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


# -- slots --------------------------------------------------------------------------------------


@dataclass
class PhoneSlots:
    """The tables of a phone that has slots. unread: LUNs that cannot be read, with the reason."""

    tables: dict[int, Tables] = field(default_factory=dict)
    unread: dict[int, str] = field(default_factory=dict)

    @property
    def partitions(self) -> list[tuple[int, Partition]]:
        """All partitions with their LUN, by the copies to go by."""
        return [
            (lun, partition)
            for lun, tables in self.tables.items()
            for partition in (tables.best.partitions if tables.best else ())
        ]


def phone_slots(storage: Storage) -> PhoneSlots:
    """Return the tables of all LUNs.

    Raises:
        UsageError: the phone has no slots.
    """
    found = PhoneSlots()
    for lun in storage.luns():
        try:
            found.tables[lun] = storage.table(lun)
        except DeviceRefusedError as error:
            found.unread[lun] = error.message
    if slots.boot_states(found.partitions) is None:
        if not found.partitions:
            raise UsageError(
                "The phone has no readable partition table, so nobody knows its slots.",
                remedies=("Mend it: edl gpt repair", "See what is wrong: edl printgpt"),
            )
        raise UsageError(
            "This phone has no slots: there are no partitions boot_a and boot_b.",
            remedies=("See its partitions: edl printgpt",),
        )
    return found


def slot_plan(storage: Storage, slot: Slot, found: PhoneSlots, *, empty: bool = False) -> Plan:
    """Return the plan that makes slot the one that the phone starts.

    The LUN with the boot partitions comes last, and of each LUN the primary table: until then the
    phone starts what it started before. empty: even if nothing was ever written to the slot.

    Raises:
        SafetyError: a table has to be mended first.
    """
    ufs = storage.phone.programmer.memory == "ufs"
    pairs = slots.pairs(found.partitions)
    changing = [pair for pair in pairs if not pair.chosen_by_lun(ufs=ufs)]
    touched = {lun for pair in changing for lun, _ in (pair.a, pair.b)}
    before = {lun: _settled(found.tables[lun]) for lun in touched}
    after = slots.activate(before, slot, ufs=ufs)
    geometry = job.geometry(storage, touched)
    boot = {lun for pair in pairs if pair.name == "boot" for lun, _ in (pair.a, pair.b)}
    steps: list[Write] = []
    for lun in sorted(touched, key=lambda lun: (lun in boot, lun)):
        total = geometry.luns[lun]
        table = gptedit.repair(after[lun], total, _first_sector(storage, lun))
        steps += table_writes(storage, lun, table)
    lun_findings, bootable = _boot_lun(pairs, slot) if ufs else ((), None)
    unread = [
        Finding(
            "lun-unreadable",
            Severity.WARNING,
            f"LUN {lun} cannot be read: if it has partitions of slots, they stay. {reason}",
        )
        for lun, reason in found.unread.items()
    ]
    return Plan(
        "slot",
        slot,
        geometry,
        tuple(steps),
        bootable=bootable,
        findings=(*unread, *lun_findings, *(() if empty else _blank(storage, pairs, slot))),
    )


def _settled(tables: Tables) -> Gpt:
    """Return the table to go by, where the copies differ at most in what slots are about.

    Raises:
        SafetyError: it has to be mended first.
    """
    good = gptedit.good_copies(tables.primary, tables.backup)
    if len(good) > 1:  # as an interrupted change of the slot leaves them
        kinds = {kind for change in gptedit.entry_differences(*good) for kind in change.kinds}
        if kinds <= _SLOT_KINDS and not gptedit.header_differences(*good):
            return good[0]
    if len(good) != 1:
        raise SafetyError(
            f"The partition tables of LUN {tables.lun} are damaged or contradict each other.",
            remedies=(f"Mend them first: edl gpt repair --lun {tables.lun}",),
        )
    return good[0]


def _boot_lun(pairs: Sequence[slots.Pair], slot: Slot) -> tuple[tuple[Finding, ...], int | None]:
    """Return the LUN that a UFS phone has to boot from, if the slot's boot loader lies there."""
    wanted = slots.BOOT_LUNS[slot]
    for pair in pairs:
        if pair.name == "xbl" and pair.side(slot)[0] == wanted:
            return (), wanted
    finding = Finding(
        "boot-lun-left",
        Severity.WARNING,
        f"There is no xbl_{slot} on LUN {wanted}, so the LUN that the phone boots from stays.",
        remedy=f"If the phone does not start: edl set-bootable {wanted}",
    )
    return (finding,), None


def _blank(storage: Storage, pairs: Sequence[slots.Pair], slot: Slot) -> Iterator[Finding]:
    """Yield what the phone would miss: a phone with an empty slot does not start."""
    unit = storage.phone.sector_bytes
    for pair in pairs:
        lun, partition = pair.side(slot)
        if pair.name not in {"boot", "xbl", "abl", "aboot"} or not partition.sectors:
            continue
        sectors = min(partition.sectors, _BLANK_BYTES // unit)
        data = _held(storage, Area(lun, partition.first_sector, sectors, unit))
        if data is not None and data.count(data[0]) == len(data) and data[0] in {0x00, 0xFF}:
            yield Finding(
                "slot-empty",
                Severity.ERROR,
                f"'{partition.name}' is empty: with slot {slot} active the phone would not start.",
                remedy=f"Write it first: edl write {partition.name} FILE; or insist with --empty",
            )
