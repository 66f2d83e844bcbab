# SPDX-License-Identifier: BSD-3-Clause
"""Patches, worked out on the host.

A <patch> of the programmer is not used for this: generation 2 always writes 8 bytes, generations 1
and 2 say ACK even when the sector could not be written, each generation takes another grammar, and
between two patches of a GPT the table on the phone is invalid. Sectors that are computed here and
programmed like any others have none of these traps, and are verified like any others.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from edl.chunks import BytesContent, Content, read_all
from edl.errors import DocumentError
from edl.firehose.commands import Area
from edl.formats.expressions import Expression, resolve
from edl.formats.rawprogram import PatchRow
from edl.plan.model import Erase, Patch, Plan, Step, Write

ReadSectors = Callable[[Area], bytes]


def patch_file(content: Content, rows: Iterable[PatchRow], disk_sectors: int | None) -> bytes:
    """Return content with the patches of its own file applied, in order.

    Sectors are counted from the beginning of the file.

    Raises:
        DocumentError: a patch leaves the file.
    """
    data = bytearray(read_all(content, 0, content.size_bytes))
    for row in rows:
        unit = row.sector_bytes or 512
        at = resolve(row.start, disk_sectors) * unit + row.byte_offset
        if at + row.size_in_bytes > len(data):
            raise DocumentError(
                f"{row.file}:{row.line}: the patch leaves '{row.filename}' ({len(data)} bytes)."
            )
        value = _file_value(row, unit, data, disk_sectors)
        data[at : at + row.size_in_bytes] = _little_endian(value, row.size_in_bytes)
    return bytes(data)


def _file_value(row: PatchRow, unit: int, data: bytearray, disk_sectors: int | None) -> int:
    if isinstance(row.value, Expression):
        return resolve(row.value, disk_sectors)
    start = resolve(row.value.start, disk_sectors) * unit
    if start + row.value.length_bytes > len(data):
        raise DocumentError(f"{row.file}:{row.line}: '{row.value.text}' leaves '{row.filename}'.")
    return zlib.crc32(memoryview(data)[start : start + row.value.length_bytes])


def _little_endian(value: int, size: int) -> bytes:
    return (value & ((1 << (8 * size)) - 1)).to_bytes(size, "little")


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
                self.dirty[key] = bytearray(self.content(area))
            end = patch.byte_offset + patch.size_bytes
            value = _little_endian(self._value(patch), patch.size_bytes)
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
        data = bytearray()
        for sector in range(area.start_sector, area.start_sector + area.sectors):
            changed = self.dirty.get((area.lun, sector))
            data += changed if changed is not None else self._planned(area, sector)
        return bytes(data)

    def _planned(self, area: Area, sector: int) -> bytes:
        unit = area.sector_bytes
        for step in reversed(self.plan.steps):
            first = step.area.start_sector
            if step.area.lun != area.lun or not first <= sector < first + step.area.sectors:
                continue
            if isinstance(step, Write):
                return read_all(step.content, (sector - first) * unit, unit)
            if isinstance(step, Erase):
                return bytes(unit)
        return self.read(Area(area.lun, sector, 1, unit))


def folded(plan: Plan, read: ReadSectors) -> Plan:
    """Return plan with its patches worked into its writes.

    A partition table is then written once, in its final form. Sectors that no step writes become
    writes of their own, at the end. read: reads sectors from the phone.
    """
    disk = Disk(plan, read)
    disk.apply_patches()
    left = {key: bytes(data) for key, data in disk.dirty.items()}
    steps: list[Step] = []
    for step in plan.steps:
        inside = _inside(step, left)
        if isinstance(step, Write) and inside:
            first = step.area.start_sector
            changed = tuple((sector - first, left.pop((lun, sector))) for lun, sector in inside)
            content = Overlaid(step.content, step.area.sector_bytes, changed)
            steps.append(replace(step, content=content))
        else:
            steps.append(step)
    steps += _loose_writes(left, plan)
    return replace(plan, steps=tuple(steps), patches=())


def _inside(step: Step, dirty: Mapping[tuple[int, int], bytes]) -> list[tuple[int, int]]:
    first, end = step.area.start_sector, step.area.start_sector + step.area.sectors
    return sorted(key for key in dirty if key[0] == step.area.lun and first <= key[1] < end)


def _loose_writes(dirty: Mapping[tuple[int, int], bytes], plan: Plan) -> list[Write]:
    unit = plan.geometry.sector_bytes
    where = {(patch.lun, patch.sector): patch.where for patch in plan.patches}
    runs: list[tuple[tuple[int, int], bytearray]] = []
    for lun, sector in sorted(dirty):
        if runs:
            (last_lun, first), data = runs[-1]
            if last_lun == lun and first + len(data) // unit == sector:
                data += dirty[lun, sector]
                continue
        runs.append(((lun, sector), bytearray(dirty[lun, sector])))
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
