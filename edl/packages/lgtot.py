# SPDX-License-Identifier: BSD-3-Clause
"""LG's tot files: a plan by themselves, if their places agree with the partition table in them.

There are no checksums in them, so what a damaged one says cannot be told from the truth otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edl.chunks import BytesContent, read_all
from edl.contents import Slice
from edl.errors import DocumentError, PackageError
from edl.files import File
from edl.formats import gpt, tot
from edl.formats.expressions import Expression, parse
from edl.formats.gpt import Gpt
from edl.formats.gptcheck import sound
from edl.formats.rawprogram import ProgramRow, Row, Rows
from edl.formats.tot import SECTOR_BYTES, Piece
from edl.package import Package
from edl.packages.growing import backup_image, backup_sectors, table_patches
from edl.packages.model import Choices, Confidence, Description
from edl.packages.tree import Tree
from edl.units import MIB

_USER = {"userdata", "metadata", "cache"}
_BACKUP = "BackupGPT"
_MAX_TABLE_BYTES = MIB
_DOCUMENT = "tot"
_OWN_PROGRAM = (
    "LG's own program (LG Flash Tool) writes it in download mode, if the phone still reaches that:"
    " volume up held while it is plugged in."
)


class LgTot:
    """A tot file."""

    name = "lg-tot"

    def detect(self, tree: Tree) -> Confidence:
        """See Format."""
        if len(tree.files) != 1:
            return Confidence.NO
        return Confidence.SURE if tot.is_tot(_only(tree).content) else Confidence.NO

    def open(self, tree: Tree, choices: Choices) -> tuple[Package, Description]:
        """See Format."""
        file = _only(tree)
        try:
            made = _Maker(file, tot.read_tot(file.content), wipe=choices.wipe)
            rows = tuple(made.rows())
        except DocumentError as error:
            raise PackageError(
                f"{file.name}: {error.message}",
                remedies=("Download it again if it is not whole.", _OWN_PROGRAM),
            ) from error
        package = Package(
            title=tree.title,
            roots=(),
            documents=(Rows(_DOCUMENT, rows, ()),),
            home={},
            left_out=tuple(made.left_out),
            members=made.members,
        )
        facts = (
            ("storage", "eMMC"),
            ("checksums", "none: its places were compared with the partition table in it"),
            ("loader", "none inside: LG's packages have none; give one with --loader"),
        )
        return package, Description("LG package (tot)", facts=facts)


def _only(tree: Tree) -> File:
    return next(iter(tree.files.values()))


@dataclass
class _Maker:
    """Makes rows of pieces. members: what the rows name."""

    file: File
    pieces: tuple[Piece, ...]
    wipe: bool
    members: dict[str, File] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all pieces, and what makes their partition table fit the phone.

        Raises:
            DocumentError: there is no sound table, or pieces do not lie where it says.
        """
        table = self._table()
        for piece in self.pieces:
            if piece.name.lower() == _BACKUP.lower():
                self._leave(piece, "made from the first table instead, for the phone's own storage")
                continue
            if piece.first_sector:
                _require_place(piece, table)
            if piece.name.lower() in _USER and not self.wipe:
                self._leave(piece, "it replaces your data; --wipe takes it as well")
                continue
            yield self._row(piece)
        self.members[_BACKUP] = self._inside(_BACKUP, BytesContent(backup_image(table)))
        sectors = backup_sectors(table)
        yield _program(0, parse(f"NUM_DISK_SECTORS-{sectors}."), sectors, _BACKUP, _BACKUP)
        yield from table_patches(table, 0, _DOCUMENT)

    def _table(self) -> Gpt:
        heads = [piece for piece in self.pieces if piece.first_sector == 0]
        if len(heads) != 1:
            raise DocumentError("It has no partition table by which its places could be checked.")
        data = read_all(
            self.file.content, heads[0].offset, min(heads[0].size_bytes, _MAX_TABLE_BYTES)
        )
        table = gpt.parse(data, SECTOR_BYTES)
        if not sound(table):
            raise DocumentError("The checksums of its partition table are wrong.")
        return table

    def _leave(self, piece: Piece, reason: str) -> None:
        if (piece.name, reason) not in self.left_out:
            self.left_out.append((piece.name, reason))

    def _row(self, piece: Piece) -> ProgramRow:
        name = f"{piece.number}-{piece.name}"
        data = Slice(self.file.content, piece.offset, piece.size_bytes)
        self.members[name] = self._inside(name, data)
        first = Expression(str(piece.first_sector), piece.first_sector)
        sectors = piece.size_bytes // SECTOR_BYTES
        label = piece.name if piece.first_sector else "PrimaryGPT"
        return _program(piece.number, first, sectors, name, label)

    def _inside(self, name: str, content: BytesContent | Slice) -> File:
        return File(f"{self.file.name}/{name}", content, None, self.file.stamp)


def _require_place(piece: Piece, table: Gpt) -> None:
    end = piece.first_sector + piece.size_bytes // SECTOR_BYTES
    for partition in table.partitions:
        inside = partition.first_sector <= piece.first_sector and end <= partition.last_sector + 1
        grows = partition.sectors == 0 and piece.first_sector == partition.first_sector
        if partition.name.lower() == piece.name.lower() and (inside or grows):
            return
    raise DocumentError(
        f"'{piece.name}' is said to lie at sector {piece.first_sector}, where its partition table"
        " has no such partition: the file is damaged, or of a kind that is not known."
    )


def _program(line: int, first: Expression, sectors: int, name: str, label: str) -> ProgramRow:
    return ProgramRow(
        _DOCUMENT, line, 0, SECTOR_BYTES, {}, first, sectors, name, label, False, 0, False,
        None, None,
    )  # fmt: skip
