# SPDX-License-Identifier: BSD-3-Clause
"""rawprogram and patch files: what a package asks to be written, erased, read and patched.

A row that is not understood in full is an error, never skipped: a row that a tool leaves out, or
writes elsewhere than meant, is a phone that does not start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from edl.errors import DocumentError
from edl.formats.attributes import Attributes
from edl.formats.expressions import Crc32, Expression, parse, parse_value
from edl.formats.xml import Element, Problem, problems_error, read_document


@dataclass(frozen=True)
class Row:
    """What all rows have.

    Attributes:
        file: name of the XML file.
        line: where the row begins in it; the first line is 1.
        lun: physical partition; 0 where the row does not say.
        sector_bytes: the size of the sectors that the row counts, or None if it does not say.
        leftover: the attributes that mean nothing for what the row does, names in lower case.
    """

    file: str
    line: int
    lun: int
    sector_bytes: int | None
    leftover: Mapping[str, str]


@dataclass(frozen=True)
class ProgramRow(Row):
    """Write a file to a place; an empty filename only describes the place.

    Attributes:
        sectors: room there; 0 = as long as the file is (the last partition of a disk).
        file_sector_offset: how many sectors of the file are left out at its beginning.
        sparse: what the row claims; the magic of the file decides.
        pages_per_block: on NAND, pages in an erase block.
        last_sector: on NAND, the last sector of the place.
    """

    start: Expression
    sectors: int
    filename: str
    label: str
    sparse: bool
    file_sector_offset: int
    read_back_verify: bool
    pages_per_block: int | None
    last_sector: int | None


@dataclass(frozen=True)
class ReadRow(Row):
    """Read a place into a file."""

    start: Expression
    sectors: int
    filename: str
    label: str


@dataclass(frozen=True)
class EraseRow(Row):
    """Erase a place, or the whole LUN if start is None (sectors is 0 then)."""

    start: Expression | None
    sectors: int
    label: str
    pages_per_block: int | None
    last_sector: int | None


@dataclass(frozen=True)
class PatchRow(Row):
    """Write size_in_bytes of value, little-endian, at byte_offset of a sector.

    The filename is that of a file of the package, or `DISK` for the phone's storage.
    """

    start: Expression
    byte_offset: int
    size_in_bytes: int
    value: Expression | Crc32
    filename: str
    what: str

    @property
    def on_disk(self) -> bool:
        """Whether the storage is patched, and not a file of the package."""
        return self.filename == "DISK"


@dataclass(frozen=True)
class PowerRow(Row):
    """Reset or switch off the phone: value as in the protocol, empty if the row has none."""

    value: str


_AnyRow = TypeVar("_AnyRow", bound=Row)


@dataclass(frozen=True)
class Rows:
    """The rows of one file in its order, and what is odd about them but harms nothing."""

    name: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]

    def of(self, kind: type[_AnyRow]) -> tuple[_AnyRow, ...]:
        """Return the rows of one kind, in the order of the file."""
        return tuple(row for row in self.rows if isinstance(row, kind))


# What <read> and <erase> rows carry because they were made from <program> rows.
_OF_PROGRAM = frozenset({"file_sector_offset", "sparse", "readbackverify"})
_NOWHERE = Expression("", 0)  # stands where a problem was noted; such a row is never returned

_FOREIGN_ROOTS = {
    "configuration": "a partition layout for ptool (partition.xml)",
    "image": "a partition layout for ptool in its oldest form (partition.xml)",
    "nandboot": "a NAND partition layout (partition_nand.xml)",
    "contents": "a description of a whole build (contents.xml)",
    "flashing": "a Motorola fastboot script (flashfile.xml or servicefile.xml)",
    "ProFile": "an Oppo profile, which mixes the rows of several storage variants",
    "Setting": "a OnePlus container's settings.xml, which mixes several sets of rows",
}
_FOREIGN_ROWS = {"ufs": "a UFS provisioning file", "emmc": "an eMMC provisioning file"}


def read_rawprogram(data: bytes, name: str) -> Rows:
    """Return the rows in data, the content of the rawprogram or patch file name.

    Raises:
        DocumentError: data is no such file, or has rows that are not understood; the message
            lists all of them with their lines.
    """
    root = read_document(data, name).root
    if what := _foreign(root):
        raise DocumentError(f"{name}: this is {what}, not a rawprogram or patch file.")
    if root.tag not in {"data", "patches"}:
        raise DocumentError(
            f"{name}:{root.line}: <{root.tag}> does not begin a rawprogram or patch file."
        )
    rows: list[Row] = []
    problems: list[Problem] = []
    warnings: list[str] = []
    if root.text:
        problems.append(Problem(root.line, f"stray text between the rows: '{root.text[:60]}'."))
    for element in root.children:
        attributes = Attributes(element)
        row = _row(attributes, name)
        problems += [Problem(element.line, text) for text in attributes.problems]
        if row is not None and not attributes.problems:
            rows.append(row)
            told = [*attributes.warnings, *_contradictions(row)]
            warnings += [f"{name}:{element.line}: {text}" for text in told]
    if problems:
        raise problems_error(name, problems)
    return Rows(name, tuple(rows), tuple(warnings))


def _foreign(root: Element) -> str | None:
    """Return what kind of file root begins, if it is one that people take for a rawprogram."""
    rows = root.children
    if rows and all("project" in row.attributes for row in rows):
        return "an Oppo project configuration"
    kinds = [_FOREIGN_ROWS[row.tag] for row in rows if row.tag in _FOREIGN_ROWS]
    return kinds[0] if kinds else _FOREIGN_ROOTS.get(root.tag)


def _row(attributes: Attributes, file: str) -> Row | None:
    """Return the row, or None with a problem noted."""
    match attributes.element.tag:
        case "program":
            return _program(attributes, file)
        case "read":
            return _read(attributes, file)
        case "erase":
            return _erase(attributes, file)
        case "patch":
            return _patch(attributes, file)
        case "power":
            return PowerRow(
                file,
                attributes.element.line,
                lun=0,
                sector_bytes=None,
                value=attributes.text("value", default=""),
                leftover=attributes.leftover({"reset", "delayinseconds"}),
            )
    attributes.problems.append(f"<{attributes.element.tag}> is an unknown kind of row.")
    return None


def _program(attributes: Attributes, file: str) -> ProgramRow | None:
    start = attributes.parsed("start_sector", parse)
    # num_sectors and offset are the names of the first generation of these files (ptool, msp.py).
    row = ProgramRow(
        file,
        attributes.element.line,
        lun=attributes.lun(),
        sector_bytes=attributes.sector_bytes(),
        start=start or _NOWHERE,
        sectors=attributes.number("num_partition_sectors", "num_sectors"),
        filename=attributes.text("filename"),
        label=attributes.text("label", default=""),
        sparse=attributes.flag("sparse"),
        file_sector_offset=attributes.number("file_sector_offset", "offset", default=0),
        read_back_verify=attributes.flag("readbackverify", "read_back_verify"),
        pages_per_block=attributes.optional_number("pages_per_block"),
        last_sector=attributes.optional_number("last_sector"),
        leftover=attributes.leftover(),
    )
    return row if start else None


def _read(attributes: Attributes, file: str) -> ReadRow | None:
    start = attributes.parsed("start_sector", parse)
    row = ReadRow(
        file,
        attributes.element.line,
        lun=attributes.lun(),
        sector_bytes=attributes.sector_bytes(),
        start=start or _NOWHERE,
        sectors=attributes.number("num_partition_sectors", "num_sectors"),
        filename=attributes.text("filename"),
        label=attributes.text("label", default=""),
        leftover=attributes.leftover(_OF_PROGRAM),
    )
    return row if start else None


def _erase(attributes: Attributes, file: str) -> EraseRow | None:
    # Without a range, or with one that they cannot read, programmers erase the whole LUN: a row
    # with half a range, or with a length of 0, must not get there.
    whole = "start_sector" not in attributes and "num_partition_sectors" not in attributes
    start = None if whole else attributes.parsed("start_sector", parse)
    sectors = 0 if whole else attributes.number("num_partition_sectors")
    if not whole and sectors == 0 and not attributes.problems:
        attributes.problems.append("<erase> of 0 sectors erases everything on some phones.")
    return EraseRow(
        file,
        attributes.element.line,
        lun=attributes.lun("storagedrive"),
        sector_bytes=attributes.sector_bytes(),
        start=start,
        sectors=sectors,
        label=attributes.text("label", default=""),
        pages_per_block=attributes.optional_number("pages_per_block"),
        last_sector=attributes.optional_number("last_sector"),
        # ptool copies them from the program row beside it.
        leftover=attributes.leftover(_OF_PROGRAM | {"filename"}),
    )


def _patch(attributes: Attributes, file: str) -> PatchRow | None:
    start = attributes.parsed("start_sector", parse)
    value = attributes.parsed("value", parse_value)
    row = PatchRow(
        file,
        attributes.element.line,
        lun=attributes.lun(),
        sector_bytes=attributes.sector_bytes(),
        start=start or _NOWHERE,
        byte_offset=attributes.number("byte_offset"),
        size_in_bytes=attributes.number("size_in_bytes"),
        value=value or _NOWHERE,
        filename=attributes.text("filename"),
        what=attributes.text("what", default=""),
        leftover=attributes.leftover(),
    )
    if row.size_in_bytes not in {1, 2, 4, 8}:
        attributes.problems.append(f"size_in_bytes='{row.size_in_bytes}' is not 1, 2, 4 or 8.")
    if row.sector_bytes and row.byte_offset + row.size_in_bytes > row.sector_bytes:
        attributes.problems.append(f"byte_offset='{row.byte_offset}' leaves the sector.")
    return row


def _contradictions(row: Row) -> Iterator[str]:
    """Yield where a row's figures for people differ from its sectors: it was edited by hand."""
    if not isinstance(row, ProgramRow) or row.sector_bytes is None:
        return
    size = re.fullmatch(r"([0-9]{1,15})(?:\.0*)?", row.leftover.get("size_in_kb", ""))
    if size and row.sectors and int(size[1]) != row.sectors * row.sector_bytes // 1024:
        yield f"size_in_KB='{size[0]}' does not fit {row.sectors} sectors."
    start = re.fullmatch(
        r"(0x[0-9a-f]{1,16})L?", row.leftover.get("start_byte_hex", ""), re.IGNORECASE
    )
    if (
        start
        and not row.start.needs_disk
        and int(start[1], 16) != (row.start.number * row.sector_bytes)
    ):
        yield f"start_byte_hex='{start[0]}' does not fit start_sector='{row.start.text}'."
