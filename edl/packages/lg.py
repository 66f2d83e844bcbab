# SPDX-License-Identifier: BSD-3-Clause
"""LG's packages (kdz, dz): every chunk says where it belongs, so they are plans by themselves.

There is no programmer in them, and LG's own program uses another mode of the phone.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from edl.chunks import BytesContent, Content
from edl.contents import Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import gpt, kdz
from edl.formats.expressions import Expression, parse
from edl.formats.gpt import Gpt
from edl.formats.kdz import Chunk, Dz
from edl.formats.rawprogram import EraseRow, ProgramRow, Row, Rows
from edl.formats.sparse import is_sparse
from edl.package import Package
from edl.packages.growing import backup_image, backup_sectors, table_patches
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.streamed import StreamContent
from edl.units import MIB

_USER = {"userdata", "metadata", "cache"}
_PRIMARY, _BACKUP = "PrimaryGPT", "BackupGPT"
_MAX_TABLE_BYTES = 4 * MIB
_HEAD_BYTES = 8


class Lg:
    """A kdz, or the dz out of one."""

    name = "lg"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        if len(tree.files) != 1:
            return Confidence.NO
        head = next(iter(tree.files.values())).head(_HEAD_BYTES)
        return Confidence.SURE if kdz.is_kdz(head) or kdz.is_dz(head) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        file = next(iter(tree.files.values()))
        name, content = PurePosixPath(file.name).name, file.content
        try:
            if kdz.is_kdz(file.head(_HEAD_BYTES)):
                name, offset, size = kdz.find_dz(content)
                content = Slice(content, offset, size)
            dz = kdz.read_dz(content)
        except DocumentError as error:
            raise _refused(file, error) from error
        made = _Maker(file, name, content, dz, choices.wipe)
        package = Package(
            title=tree.title,
            roots=(),
            documents=(Rows(name, tuple(made.rows()), ()),),
            home={},
            left_out=tuple(made.left_out),
            members=made.members,
        )
        return package, _description(dz, made.unit)


def _refused(file: File, error: DocumentError) -> PackageError:
    return PackageError(
        f"{file.name}: {error.message}",
        remedies=(
            "Download it again if it is not whole.",
            "LG's own program (LGUP, LG Flash Tool) writes it in download mode, if the phone still"
            " reaches that: volume up held while it is plugged in.",
        ),
    )


def _description(dz: Dz, unit: int) -> Description:
    facts = (
        ("Android", dz.android),
        ("storage", "UFS" if unit == 4096 else "eMMC"),
        ("build", dz.build_type),
        ("rollback", str(dz.anti_rollback) if dz.anti_rollback else ""),
        ("loader", "none inside: LG's packages have none; give one with --loader"),
    )
    told = tuple((name, value) for name, value in facts if value)
    return Description("LG package (kdz)", (dz.model,), dz.version or dz.software, told)


@dataclass
class _Maker:
    """Makes rows of chunks. members: what the rows name."""

    file: File
    document: str
    content: Content
    dz: Dz
    wipe: bool
    members: dict[str, File] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    unit: int = 0
    _tables: Mapping[int, Gpt] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all chunks, and what makes their partition tables fit the phone."""
        for chunk in self.dz.chunks:
            self.members[_name(chunk)] = self._member(chunk)
        self.unit = self._sector_bytes()
        self._tables = {chunk.lun: self._table(chunk) for chunk in self._primaries()}
        for chunk in self.dz.chunks:
            yield from self._rows_of(chunk)
        for lun, table in self._tables.items():
            yield self._backup_row(lun, table)
            yield from table_patches(table, lun, self.document)

    def _member(self, chunk: Chunk) -> File:
        start = partial(kdz.stream, self.content, self.dz.compression, chunk)
        name = f"{self.file.name}/{_name(chunk)}"
        return File(name, StreamContent(name, chunk.size_bytes, start), None, self.file.stamp)

    def _primaries(self) -> Iterator[Chunk]:
        for chunk in self.dz.chunks:
            if chunk.slice_name == _PRIMARY and chunk.first_sector == 0:
                yield chunk

    def _sector_bytes(self) -> int:
        """Return the size of sectors: by the tables, else by what the header says.

        Raises:
            PackageError: tables contradict each other.
        """
        heads = (self.members[_name(chunk)].head(8192) for chunk in self._primaries())
        sizes = {gpt.find_sector_bytes(head) for head in heads} - {None}
        if len(sizes) > 1:
            raise PackageError(f"{self.file.name} has tables for sectors of different sizes.")
        return next(iter(sizes), None) or (4096 if self.dz.is_ufs else 512)

    def _table(self, chunk: Chunk) -> Gpt:
        data = self.members[_name(chunk)].head(_MAX_TABLE_BYTES)
        try:
            return gpt.parse(data, self.unit)
        except DocumentError as error:
            raise _refused(self.file, error) from error

    def _rows_of(self, chunk: Chunk) -> Iterator[Row]:
        if chunk.slice_name.lower() in _USER and not self.wipe:
            reason = "it replaces your data; --wipe takes it as well"
            if (chunk.slice_name, reason) not in self.left_out:
                self.left_out.append((chunk.slice_name, reason))
            return
        if chunk.slice_name == _BACKUP and chunk.lun in self._tables:
            reason = "made from the first table instead, for the size of the phone's own storage"
            self.left_out.append((chunk.slice_name, reason))
            del self.members[_name(chunk)]
            return
        sparse = is_sparse(self.members[_name(chunk)].head(4))
        sectors = -(-chunk.size_bytes // self.unit)
        end = self._end(chunk, sparse=sparse)
        if not sparse and chunk.first_sector + sectors < end:
            yield self._blank_row(chunk, chunk.first_sector + sectors, end)
        if sparse:
            sectors = max(0, end - chunk.first_sector)
        yield ProgramRow(
            self.document, chunk.number, chunk.lun, self.unit, {},
            _at(chunk.first_sector), sectors, _name(chunk), chunk.slice_name, sparse, 0, False,
            None, None,
        )  # fmt: skip

    def _end(self, chunk: Chunk, *, sparse: bool) -> int:
        """Return where the sectors of chunk end: at the latest where something else begins.

        Some chunks claim more, which the next chunks take back; what belongs to partitions that
        the package does not write must not be touched.
        """
        borders = self._borders[chunk.lun]
        at = bisect.bisect_right(borders, chunk.first_sector)
        end = min([chunk.first_sector + chunk.sectors, *borders[at : at + 1]])
        if (
            sparse
            or chunk.lun in self._tables
            or (chunk.lun, end, chunk.slice_name) in self._beginnings
        ):
            return end
        # Without a table nobody knows what lies between two partitions.
        return min(end, chunk.first_sector + -(-chunk.size_bytes // self.unit))

    @cached_property
    def _beginnings(self) -> set[tuple[int, int, str]]:
        """Where chunks begin: LUN, sector, and the partition's name."""
        return {(chunk.lun, chunk.first_sector, chunk.slice_name) for chunk in self.dz.chunks}

    @cached_property
    def _borders(self) -> dict[int, list[int]]:
        """Where chunks and partitions begin or end, by LUN, in order."""
        borders: dict[int, set[int]] = {chunk.lun: set() for chunk in self.dz.chunks}
        for chunk in self.dz.chunks:
            borders[chunk.lun].add(chunk.first_sector)
        for lun, table in self._tables.items():
            header = table.header
            borders[lun] |= {header.first_usable_sector, header.last_usable_sector + 1}
            for partition in table.partitions:
                borders[lun] |= {partition.first_sector, partition.last_sector + 1}
        return {lun: sorted(found) for lun, found in borders.items()}

    def _blank_row(self, chunk: Chunk, first: int, end: int) -> EraseRow:
        return EraseRow(
            self.document, chunk.number, chunk.lun, self.unit, {},
            _at(first), end - first, chunk.slice_name, None, None,
        )  # fmt: skip

    def _backup_row(self, lun: int, table: Gpt) -> ProgramRow:
        data = BytesContent(backup_image(table))
        filename = f"backup-table-{lun}"
        self.members[filename] = File(f"{self.file.name}/{filename}", data, None, self.file.stamp)
        sectors = backup_sectors(table)
        return ProgramRow(
            self.document, 0, lun, self.unit, {},
            parse(f"NUM_DISK_SECTORS-{sectors}."), sectors, filename, _BACKUP, False, 0, False,
            None, None,
        )  # fmt: skip


def _name(chunk: Chunk) -> str:
    """Return a name that no other chunk has: tables of several LUNs have the same."""
    return f"{chunk.number}-{Path(chunk.name).name or chunk.slice_name}"


def _at(sector: int) -> Expression:
    return Expression(str(sector), sector)
