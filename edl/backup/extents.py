# SPDX-License-Identifier: BSD-3-Clause
"""What the storage of a phone consists of: tables, partitions, and what lies between them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from edl.device.storage import Storage, Tables
from edl.errors import DeviceRefusedError, UsageError
from edl.formats.gpt import MAX_ENTRIES, Entry, Gpt, Partition, safe_name
from edl.formats.manifest import Compression, Extent, Form, Kind, LeftOut, LunRecord, State
from edl.formats.slots import active_slot
from edl.partitions import classify

_HEAD_SECTORS = {512: 34, 4096: 6}
# What to ask for: the number of LUNs that a programmer tells is no help where numbers are left out.
# RPMB (3 of an eMMC) answers only to the secure world.
_LUNS = {"emmc": (0, 1, 2, 4, 5, 6, 7), "ufs": tuple(range(8))}
_EMMC_NAMES = {1: "boot0", 2: "boot1", 4: "gpp1", 5: "gpp2", 6: "gpp3", 7: "gpp4"}
_NAME_CHARS = 60


@dataclass(frozen=True)
class Choice:
    """What is to be saved; empty: all. Names are patterns in lower case, also LUN/NAME."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    luns: tuple[int, ...] = ()

    def takes(self, lun: int, extent: Extent) -> bool:
        """Tell whether extent is wanted. Tables always are, gaps unless names were chosen."""
        names = {extent.name.lower(), f"{lun}/{extent.name.lower()}"}
        if _matches(names, self.skip):
            return False
        tables = extent.kind in {Kind.GPT_PRIMARY, Kind.GPT_BACKUP}
        return not self.only or tables or _matches(names, self.only)


def survey(storage: Storage, choice: Choice) -> tuple[tuple[LunRecord, ...], tuple[LeftOut, ...]]:
    """Return what the LUNs of the phone consist of, and what cannot be known or saved.

    Extents that choice does not take are skipped; the others have no file yet.

    Raises:
        UsageError: choice names something that the phone does not have.
    """
    records: list[LunRecord] = []
    left_out: list[LeftOut] = []
    for lun in _LUNS.get(storage.phone.programmer.memory, (0,)):
        if choice.luns and lun not in choice.luns:
            continue
        try:
            record, problems = _lun(storage, lun)
        except DeviceRefusedError as error:
            if lun < (storage.phone.lun_count or 1):
                left_out.append(LeftOut(f"LUN {lun}", error.message))
            continue
        left_out += problems
        if record is not None:
            records.append(record)
    missing = [str(lun) for lun in choice.luns if lun not in {record.lun for record in records}]
    if missing:
        raise UsageError(f"The phone has no LUN {', '.join(missing)} that can be read.")
    _require_known(records, choice)
    return tuple(_chosen(record, choice) for record in records), tuple(left_out)


def _lun(storage: Storage, lun: int) -> tuple[LunRecord | None, list[LeftOut]]:
    storage.phone.lun(lun)  # refused: there is no such LUN
    tables = storage.table(lun)
    sectors = storage.sectors(lun) or _told(tables.best)
    if not sectors:
        reason = "How large it is, neither the programmer nor a partition table tells."
        return None, [LeftOut(f"LUN {lun}", reason)]
    extents, problems = cut(lun, sectors, storage.phone.sector_bytes, tables)
    if tables.best is None and not tables.partitions:
        name = _EMMC_NAMES.get(lun) if storage.phone.programmer.memory == "emmc" else None
        extents = [replace(extents[0], name=name or f"lun{lun}")]
    best = tables.best
    guid = best.disk_guid if best else None
    return LunRecord(lun, sectors, guid, active_slot(best) if best else None, tuple(extents)), (
        problems
    )


def _told(table: Gpt | None) -> int | None:
    """Return how many sectors the disk has by its table: the other copy is its last one."""
    if table is None:
        return None
    header = table.header
    return max(header.my_sector, header.alternate_sector) + 1


@dataclass(frozen=True)
class _Mark:
    """Something that lies somewhere; end is not included."""

    start: int
    end: int
    kind: Kind
    partition: Partition | None = None


def cut(
    lun: int, sectors: int, sector_bytes: int, tables: Tables
) -> tuple[list[Extent], list[LeftOut]]:
    """Return the extents of a LUN in order, without gaps or overlaps, and what is odd about them.

    Of what overlaps, the part that begins first has the sectors.
    """
    extents: list[Extent] = []
    odd: list[LeftOut] = []
    at = 0
    for mark in sorted(_marks(sectors, sector_bytes, tables), key=lambda mark: mark.start):
        start, end = max(at, mark.start), min(mark.end, sectors)
        if (start, end) != (mark.start, mark.end) and mark.partition is not None:
            what = f"LUN {lun}, part of '{mark.partition.name}'"
            odd.append(LeftOut(what, "It overlaps another partition or the end of the storage."))
        if start >= end:
            continue
        if start > at:
            extents.append(_gap(at, start))
        extents.append(_extent(mark, start, end))
        at = end
    if at < sectors:
        extents.append(_gap(at, sectors))
    return extents, odd


def _marks(sectors: int, sector_bytes: int, tables: Tables) -> Iterator[_Mark]:
    best = tables.best
    if best is None:  # NAND: its table lies in a partition
        for part in tables.partitions:
            yield _Mark(part.first_sector, part.last_sector + 1, Kind.PARTITION, part)
        return
    span = _HEAD_SECTORS.get(sector_bytes, _HEAD_SECTORS[512])
    entries = -(-len(best.entries) * Entry.size() // sector_bytes)
    partitions = [part for part in best.partitions if part.sectors > 0]
    first = min((part.first_sector for part in partitions), default=span)
    yield _Mark(0, max(2 + entries, min(span, first)), Kind.GPT_PRIMARY)
    for part in partitions:
        yield _Mark(part.first_sector, part.last_sector + 1, Kind.PARTITION, part)
    last = max((part.last_sector for part in partitions), default=0)
    tail = max(sectors - span + 1, min(last + 1, sectors - 1 - entries))
    said = tables.backup.header.entries_sector if tables.backup else 0
    if sectors - MAX_ENTRIES < said < sectors:
        tail = min(tail, said)
    yield _Mark(tail, sectors, Kind.GPT_BACKUP)


def _gap(start: int, end: int) -> Extent:
    return Extent(Kind.GAP, "gap", start, end - start, State.SKIPPED)


def _extent(mark: _Mark, start: int, end: int) -> Extent:
    part = mark.partition
    if part is None:
        return Extent(mark.kind, mark.kind, start, end - start, State.SKIPPED)
    known = classify(part.name)
    return Extent(
        mark.kind,
        part.name,
        start,
        end - start,
        State.SKIPPED,
        category=known.category,
        severity=known.severity.value,
        type_guid=part.type_guid,
        guid=part.unique_guid,
        attributes=part.attributes,
    )


# -- choosing and naming ------------------------------------------------------------------------


def _matches(names: Iterable[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _require_known(records: list[LunRecord], choice: Choice) -> None:
    """Make sure that every name in choice stands for something: it may be mistyped."""
    names = [
        {extent.name.lower(), f"{record.lun}/{extent.name.lower()}"}
        for record in records
        for extent in record.extents
    ]
    for pattern in (*choice.only, *choice.skip):
        if not any(_matches(each, (pattern,)) for each in names):
            raise UsageError(
                f"Nothing on the phone is called '{pattern}'.",
                remedies=("See all partitions: edl printgpt. Patterns: 'boot*', '4/*'.",),
            )


def _chosen(record: LunRecord, choice: Choice) -> LunRecord:
    extents = tuple(
        replace(extent, state=State.SAVED) if choice.takes(record.lun, extent) else extent
        for extent in record.extents
    )
    return replace(record, extents=extents)


def with_files(
    records: Iterable[LunRecord], form: Form, compression: Compression, sector_bytes: int
) -> tuple[LunRecord, ...]:
    """Return records with a place in a file for every extent that is to be saved."""
    suffix = ".zst" if compression is Compression.ZSTD else ""
    taken: set[str] = set()
    made = []
    for record in records:
        extents = []
        for extent in record.extents:
            if extent.state is State.SAVED and form is Form.IMAGES:
                name, offset = image_name(record) + suffix, extent.start_sector * sector_bytes
                extent = replace(extent, file=name, file_offset_bytes=offset)  # noqa: PLW2901
            elif extent.state is State.SAVED:
                name = _free(_file_name(record, extent), record, extent, taken) + suffix
                extent = replace(extent, file=name)  # noqa: PLW2901
            extents.append(extent)
        made.append(replace(record, extents=tuple(extents)))
    return tuple(made)


def image_name(record: LunRecord) -> str:
    """Return the name of the file with all of a LUN: `lun0.img`, `lun1-boot0.img`."""
    whole = record.extents[0]
    named = len(record.extents) == 1 and whole.kind is Kind.GAP and whole.name[:3] != "lun"
    return f"lun{record.lun}-{whole.name}.img" if named else f"lun{record.lun}.img"


def _file_name(record: LunRecord, extent: Extent) -> str:
    if extent.kind is Kind.PARTITION:
        return f"{safe_name(extent.name)[:_NAME_CHARS]}.img"
    if extent.kind is Kind.GAP:
        if len(record.extents) == 1:
            return image_name(record)
        return f"lun{record.lun}-gap-{extent.start_sector}.img"
    which = "main" if extent.kind is Kind.GPT_PRIMARY else "backup"
    return f"gpt_{which}{record.lun}.bin"


def _free(name: str, record: LunRecord, extent: Extent, taken: set[str]) -> str:
    """Return name, or one like it that no other extent has, whatever the case of its letters."""
    stem, _, kind = name.rpartition(".")
    if name.lower() in taken:
        name = f"lun{record.lun}-{stem}-{extent.start_sector}.{kind}"
    while name.lower() in taken:
        name = f"_{name}"
    taken.add(name.lower())
    return name
