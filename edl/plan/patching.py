# SPDX-License-Identifier: BSD-3-Clause
"""Patches, worked out on the host.

A <patch> of the programmer is not used for this: generation 2 always writes 8 bytes, generations 1
and 2 say ACK even when the sector could not be written, each generation takes another grammar, and
between two patches of a GPT the table on the phone is invalid. Sectors that are computed here and
programmed like any others have none of these traps, and are verified like any others.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from edl.chunks import BytesContent, Content, read_all
from edl.errors import DocumentError
from edl.firehose.commands import Area
from edl.formats.expressions import Crc32, Expression, resolve
from edl.formats.rawprogram import PatchRow
from edl.plan.model import Erase, Patch, Plan, Step, Write, changed_once, overlaps

ReadSectors = Callable[[Area], bytes]
_CRC_BYTES = 4


def patch_file(
    data: bytearray,
    row: PatchRow,
    unit: int,
    disk_sectors: int | None,
    pages_per_block: int | None = None,
) -> int:
    """Apply row to data, the file that it names, and return the sector that it changes.

    Sectors have unit bytes and are counted from the beginning of the file; those of a value may be
    counted on a disk of disk_sectors. pages_per_block: of NAND.

    Raises:
        DocumentError: the patch leaves the file or the sector, or its value does not fit.
    """
    sector = resolve(row.start, disk_sectors)
    require_fit(row, unit)
    at = sector * unit + row.byte_offset
    if at + row.size_in_bytes > len(data):
        raise DocumentError(f"The patch leaves '{row.filename}', which has {len(data)} bytes.")
    if isinstance(row.value, Expression):
        value = number(row, row.value, disk_sectors, pages_per_block)
    else:
        start = resolve(row.value.start, disk_sectors) * unit
        if start + row.value.length_bytes > len(data):
            raise DocumentError(f"'{row.value.text}' leaves '{row.filename}'.")
        value = zlib.crc32(memoryview(data)[start : start + row.value.length_bytes])
    data[at : at + row.size_in_bytes] = value.to_bytes(row.size_in_bytes, "little")
    return sector


def require_fit(row: PatchRow, unit: int) -> None:
    """Make sure that row stays within its sector of unit bytes, and a checksum within row.

    Raises:
        DocumentError: one of them does not.
    """
    if row.byte_offset + row.size_in_bytes > unit:
        raise DocumentError(f"The patch at byte {row.byte_offset} leaves the sector.")
    if isinstance(row.value, Crc32) and row.size_in_bytes < _CRC_BYTES:
        raise DocumentError(f"A CRC-32 does not fit into {row.size_in_bytes} bytes.")


def number(
    row: PatchRow, value: Expression, disk_sectors: int | None, pages_per_block: int | None = None
) -> int:
    """Return the number that row writes.

    Raises:
        DocumentError: it does not fit into the row's bytes.
    """
    result = resolve(value, disk_sectors, pages_per_block)
    if result >= 1 << (8 * row.size_in_bytes):
        raise DocumentError(f"{result} does not fit into {row.size_in_bytes} bytes.")
    return result


@dataclass(frozen=True)
class Overlaid:
    """Content in which some sectors are replaced. sectors: new bytes by sector of the content."""

    content: Content
    unit: int
    sectors: tuple[tuple[int, bytes], ...]

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self.content.size_bytes

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        for chunk in self.content.chunks(offset, length):
            data = bytearray(chunk)
            for sector, changed in self.sectors:
                at = sector * self.unit - offset
                if -self.unit < at < len(data):
                    first, last = max(at, 0), min(at + self.unit, len(data))
                    data[first:last] = changed[first - at : last - at]
            yield memoryview(data)
            offset += len(data)


@dataclass
class Disk:
    """What the storage holds when all is done: the plan's own content, else what the phone has.

    read: reads sectors from the phone. dirty: sectors that patches have changed, by (LUN, sector).
    """

    plan: Plan
    read: ReadSectors
    dirty: dict[tuple[int, int], bytearray] = field(default_factory=dict)

    def apply_patches(self) -> None:
        """Apply the plan's patches in order."""
        for patch in self.plan.patches:
            key = (patch.lun, patch.sector)
            if key not in self.dirty:
                area = Area(patch.lun, patch.sector, 1, patch.sector_bytes)
                self.dirty[key] = bytearray(self._planned(area))
            end = patch.byte_offset + patch.size_bytes
            value = self._value(patch).to_bytes(patch.size_bytes, "little")
            self.dirty[key][patch.byte_offset : end] = value

    def _value(self, patch: Patch) -> int:
        if isinstance(patch.value, int):
            return patch.value
        length = patch.value.length_bytes
        sectors = -(-length // patch.sector_bytes)
        area = Area(patch.lun, patch.value.start.number, sectors, patch.sector_bytes)
        return zlib.crc32(self.content(area)[:length])

    def content(self, area: Area) -> bytes:
        """Return what area holds in the end; for small areas."""
        data = bytearray(self._planned(area))
        unit = area.sector_bytes
        for at in range(area.sectors):
            if changed := self.dirty.get((area.lun, area.start_sector + at)):
                data[at * unit : (at + 1) * unit] = changed
        return bytes(data)

    def _planned(self, area: Area) -> bytes:
        """Return what area holds when all steps are done, before the patches."""
        owners: list[Step | None] = [None] * area.sectors
        for step in self.plan.steps:
            if isinstance(step, Write | Erase) and overlaps(step.area, area):
                first = max(step.area.start_sector - area.start_sector, 0)
                end = step.area.start_sector + step.area.sectors - area.start_sector
                owners[first:end] = [step] * (min(end, area.sectors) - first)
        data = bytearray()
        sector = area.start_sector
        for _, same in groupby(owners, key=id):
            run = list(same)
            data += self._held(run[0], Area(area.lun, sector, len(run), area.sector_bytes))
            sector += len(run)
        return bytes(data)

    def _held(self, owner: Step | None, area: Area) -> bytes:
        """Return what owner, the last step that changes area, leaves there."""
        match owner:
            case Write():
                skipped = area.start_sector - owner.area.start_sector
                return read_all(owner.content, skipped * area.sector_bytes, area.size_bytes)
            case Erase():
                return bytes(area.size_bytes)
        return self.read(area)


def folded(plan: Plan, read: ReadSectors) -> Plan:
    """Return plan with its patches worked into its writes.

    A partition table is then written once, in its final form. Sectors that no step writes become
    writes of their own, at the end. read: reads sectors from the phone.
    """
    disk = Disk(plan, read)
    disk.apply_patches()
    keys = sorted(disk.dirty)
    loose = set(keys)
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, Write) and (inside := _inside(step.area, keys)):
            first = step.area.start_sector
            changed = tuple((key[1] - first, bytes(disk.dirty[key])) for key in inside)
            content = Overlaid(step.content, step.area.sector_bytes, changed)
            steps.append(replace(step, content=content))
            loose.difference_update(inside)
        else:
            steps.append(step)
    steps += _loose_writes({key: disk.dirty[key] for key in sorted(loose)}, plan)
    return replace(plan, steps=changed_once(steps), patches=())


def _inside(area: Area, keys: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """Return those of keys, which are sorted, that are sectors of area."""
    first = bisect_left(keys, (area.lun, area.start_sector))
    return keys[first : bisect_left(keys, (area.lun, area.start_sector + area.sectors))]


def _loose_writes(dirty: Mapping[tuple[int, int], bytearray], plan: Plan) -> list[Write]:
    """Return writes of the sectors in dirty, which are in order; neighbours in one."""
    unit = plan.geometry.sector_bytes
    where = {(patch.lun, patch.sector): patch.where for patch in plan.patches}
    runs: list[tuple[tuple[int, int], bytearray]] = []
    for (lun, sector), changed in dirty.items():
        if runs:
            (last_lun, first), data = runs[-1]
            if last_lun == lun and first + len(data) // unit == sector:
                data += changed
                continue
        runs.append(((lun, sector), bytearray(changed)))
    return [
        Write(
            Area(lun, sector, len(data) // unit, unit),
            BytesContent(bytes(data)),
            "patched sectors",
            "",
            where[lun, sector],
        )
        for (lun, sector), data in runs
    ]
