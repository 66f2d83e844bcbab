# SPDX-License-Identifier: BSD-3-Clause
"""Parts of a dump on their way to places of the phone, in the order that keeps it recoverable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edl.chunks import BytesContent, Content, read_all
from edl.contents import Slice, data_runs, is_zero
from edl.firehose.commands import Area
from edl.formats.gpt import Gpt
from edl.formats.manifest import Kind
from edl.plan import nandrestore
from edl.plan.dump import Part
from edl.plan.model import Finding, Severity, Step, Write, plural
from edl.plan.order import Stage, stage_of
from edl.units import MIB, format_size

_TABLES = {Kind.GPT_BACKUP: Stage.BACKUP_TABLE, Kind.GPT_PRIMARY: Stage.PRIMARY_TABLE}
_REASONS = 6  # of parts that do not fit, told one by one


@dataclass
class Placing:
    """What comes together while a plan is made.

    Attributes:
        unit: sector size in bytes. source: what writes name as their file.
        parts: whose bytes are written. kept: names that the phone keeps its own of.
        left_out: names by reason. unfit: why parts have no place, in words. pages_per_block: of
            NAND, else None.
    """

    unit: int
    source: str
    findings: list[Finding] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    pages_per_block: int | None = None
    _ranked: list[tuple[Stage, Step]] = field(default_factory=list)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The writes, and on NAND the erases, in their order."""

        def key(pair: tuple[Stage, Step]) -> tuple[int, int, int]:
            return pair[0], pair[1].area.lun, pair[1].area.start_sector

        return tuple(step for _, step in sorted(self._ranked, key=key))

    def note(self, code: str, severity: Severity, message: str, remedy: str = "") -> None:
        """Note a finding."""
        self.findings.append(Finding(code, severity, message, "", remedy))

    def leave_out(self, name: str, reason: str) -> None:
        """Note that name is not written, and why."""
        self.left_out.setdefault(reason, []).append(name)

    def write(self, part: Part, start: int, room: int) -> None:
        """Write part, which has content, from sector start on, where it has room sectors.

        What is larger than its place is written without the zeros at its end, or not at all.
        """
        content = part.content
        if content is None:
            self.leave_out(part.name, part.absent)
            return
        if part.sectors > room and (used := used_bytes(content)) > room * self.unit:
            size = format_size(room * self.unit)
            self.unfit.append(f"'{part.name}' holds {format_size(used)}, the phone has {size}")
            return
        self.parts.append(part)
        if self.pages_per_block is not None:
            steps = nandrestore.steps(part, self.unit, self.pages_per_block, self.source)
            self._ranked += [(_rank(part), step) for step in steps]
            return
        for first, count in _known_runs(part, min(part.sectors, room)):
            area = Area(part.lun, start + first, count, self.unit)
            cut = Slice(content, first * self.unit, count * self.unit)
            self._ranked.append((_rank(part), Write(area, cut, part.name, self.source, "")))
        if part.bad:
            count = sum(sectors for _, sectors in part.bad)
            self.note(
                "not-in-dump",
                Severity.WARNING,
                f"{plural(count, 'sector')} of '{part.name}' could not be read when the dump was"
                f" made (first: {part.bad[0][0]}): they stay as they are on the phone.",
            )

    def tables(self, lun: int, table: Gpt, source: str) -> None:
        """Write both copies of table, which is fitted to the disk. source: what it is, in words."""
        images = table.images()
        for kind, start, data in (
            (Kind.GPT_BACKUP, images.backup_sector, images.backup),
            (Kind.GPT_PRIMARY, 0, images.primary),
        ):
            area = Area(lun, start, len(data) // self.unit, self.unit)
            write = Write(area, BytesContent(data), kind.value, source, "")
            self._ranked.append((_TABLES[kind], write))

    def close(self) -> None:
        """Note what has no place, and if there is nothing to do."""
        if self.unfit:
            more = len(self.unfit) - _REASONS
            told = "; ".join(self.unfit[:_REASONS]) + (f"; and {more} more" if more > 0 else "")
            self.note(
                "layouts-differ",
                Severity.ERROR,
                f"The dump has another layout than this phone: {told}.",
                "Name the partitions that you want, or leave out what does not fit with --skip.",
            )
        if not self._ranked and not any(f.severity is Severity.ERROR for f in self.findings):
            self.note("nothing-to-do", Severity.ERROR, "Of the dump, nothing is to be written.")


def _rank(part: Part) -> Stage:
    if part.kind is not Kind.PARTITION:
        return _TABLES.get(part.kind, Stage.BULK)
    return stage_of(part.name)


def used_bytes(content: Content) -> int:
    """Return how long content is without the zeros at its end."""
    for start, size in reversed(list(data_runs(content, 0, content.size_bytes))):
        end = start + size
        while end > start:
            begin = max(start, end - MIB)
            data = read_all(content, begin, end - begin)
            if not is_zero(memoryview(data)):
                return begin + len(data.rstrip(b"\0"))
            end = begin
    return 0


def _known_runs(part: Part, sectors: int) -> Iterator[tuple[int, int]]:
    """Yield (first sector in part, sectors) of what is known of its first sectors."""
    at = 0
    for first, count in part.bad:
        start = min(first - part.start_sector, sectors)
        if at < start:
            yield at, start - at
        at = max(at, first - part.start_sector + count)
    if at < sectors:
        yield at, sectors - at


def names(words: Iterable[str]) -> str:
    """Return words as a list for people."""
    return ", ".join(words)
