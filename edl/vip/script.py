# SPDX-License-Identifier: BSD-3-Clause
"""A job as a fixed list of orders: nothing in it depends on what a phone answers.

The rows of the package in its order, patches last, as qdl sends them; what is left out was left out
when the tables were made. So the same package and settings give the same bytes, on any day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edl.chunks import Content
from edl.errors import PackageError
from edl.files import File
from edl.firehose.commands import Power
from edl.formats import sparse
from edl.formats.rawprogram import EraseRow, PatchRow, ProgramRow, ReadRow, Row
from edl.package import Package
from edl.partitions import Severity, classify
from edl.plan import images
from edl.plan.model import Plan, ReadOut
from edl.plan.unique import MAX_SAVED_BYTES
from edl.vip import words

DEFAULT_PAYLOAD_BYTES = 1024 * 1024
_BOOT_LABELS = ("xbl", "xbl_a", "sbl1")  # qdl looks for them in this order
_ODD = re.compile(r"[^0-9A-Za-z_.-]")
_MEMORIES = {512: "emmc", 4096: "ufs"}


@dataclass(frozen=True)
class Settings:
    """What the bytes depend on besides the package.

    memory: as programmers call it. payload_bytes: size of data transfers. digests: the phone is
    asked for the digest of each area behind its data. save: what exists only once is read first,
    where the package says it lies.
    """

    memory: str
    payload_bytes: int = DEFAULT_PAYLOAD_BYTES
    set_bootable: bool = True
    reset: Power | None = Power.RESET
    digests: bool = False
    save: bool = False


@dataclass(frozen=True)
class Order:
    """A command and what goes with it.

    name: of the command. title, where: for people; where: `rawprogram0.xml:12`. content: sent in
    transfers of the payload size once the phone says yes. reads: how many bytes it sends, for the
    file of step, or for one called save. filename, offset: where in which file content begins.
    sector_bytes: of what is read or written.
    """

    name: str
    xml: bytes
    title: str = ""
    where: str = ""
    content: Content | None = None
    filename: str = ""
    offset: int = 0
    reads: int = 0
    sector_bytes: int = 0
    step: ReadOut | None = None
    save: str = ""


@dataclass(frozen=True)
class Transfer:
    """What one hashed transfer is. offset: in the order's content; None: the command itself."""

    order: Order
    offset: int | None = None
    size_bytes: int = 0

    def __str__(self) -> str:
        if self.offset is None:
            return f"<{self.order.name}>" + (f" {self.order.title}" if self.order.title else "")
        start = self.order.offset + self.offset
        return f"{self.order.filename}, bytes {start} to {start + self.size_bytes - 1}"


@dataclass(frozen=True)
class Script:
    """All orders of a job, in order."""

    settings: Settings
    orders: tuple[Order, ...]

    @property
    def write_bytes(self) -> int:
        """How many bytes of data go to the phone."""
        return sum(order.content.size_bytes for order in self.orders if order.content is not None)


def memory_of(package: Package) -> str:
    """Return the storage type that the package is for, by the size of its sectors; or nothing."""
    return _MEMORIES.get(package.sector_bytes or 0, "")


def compile_script(package: Package, plan: Plan, settings: Settings) -> Script:
    """Return the orders for those rows of package that plan takes.

    Raises:
        PackageError: a row cannot be said in words that programmers take.
        ImageError, DocumentError: a file cannot be read.
    """
    orders = [Order("configure", words.configure(settings.memory, settings.payload_bytes))]
    orders += _saves(package, plan.geometry.sector_bytes) if settings.save else ()
    orders += _Compiler(package, plan, digests=settings.digests).orders()
    bootable = _bootable(package) if settings.set_bootable else None
    if bootable is not None:
        xml = words.set_bootable(bootable)
        orders.append(Order("setbootablestoragedrive", xml, f"LUN {bootable}"))
    if settings.reset is not None:
        orders.append(Order("power", words.power(settings.reset), str(settings.reset)))
    return Script(settings, tuple(orders))


def _saves(package: Package, unit: int) -> Iterator[Order]:
    """Yield reads of what exists only once, of places that need no answer of the phone."""
    seen: set[tuple[int, str]] = set()
    for row in package.rows:
        if not isinstance(row, ProgramRow) or (row.lun, row.start.text) in seen:
            continue
        unique = classify(row.label).severity is Severity.MUST_NEVER_CLONE
        size = row.sectors * (row.sector_bytes or unit)
        if not unique or not 0 < size <= MAX_SAVED_BYTES or row.start.needs_disk:
            continue
        seen.add((row.lun, row.start.text))
        name = f"lun{row.lun}_{_ODD.sub('_', row.label)}.bin"
        xml = words.read(row.lun, row.start.text, row.sectors, row.sector_bytes or unit, name)
        sector_bytes = row.sector_bytes or unit
        yield Order(
            "read", xml, row.label, _where(row), reads=size, sector_bytes=sector_bytes, save=name
        )


def _bootable(package: Package) -> int | None:
    rows = [row for row in package.rows if isinstance(row, ProgramRow)]
    luns = {row.label: row.lun for row in reversed(rows)}  # the first of a name counts
    return next((luns[label] for label in _BOOT_LABELS if label in luns), None)


class _Compiler:
    def __init__(self, package: Package, plan: Plan, *, digests: bool) -> None:
        self._package = package
        self._digests = digests
        self._unit = plan.geometry.sector_bytes
        self._taken = {step.where for step in plan.steps} | {patch.where for patch in plan.patches}
        self._reads = {step.where: step for step in plan.steps if isinstance(step, ReadOut)}

    def orders(self) -> Iterator[Order]:
        """Yield them; patches last, as they change what the other rows put there."""
        rows = sorted(self._package.rows, key=lambda row: isinstance(row, PatchRow))
        for row in rows:
            if _where(row) in self._taken:
                yield from self._orders(row)

    def _orders(self, row: Row) -> Iterator[Order]:
        unit = row.sector_bytes or self._unit
        match row:
            case ProgramRow():
                yield from self._program(row, unit)
            case EraseRow():
                yield Order("erase", words.erase(row, unit), row.label, _where(row))
            case PatchRow():
                yield Order("patch", words.patch(row, unit), row.what, _where(row))
            case ReadRow():
                yield self._read(row, unit)
            case _:  # the plan takes no other
                raise TypeError(row)

    def _read(self, row: ReadRow, unit: int) -> Order:
        xml = words.read(row.lun, row.start.text, row.sectors, unit, row.filename)
        size = row.sectors * unit
        title, step = row.label or row.filename, self._reads[_where(row)]
        return Order("read", xml, title, _where(row), reads=size, sector_bytes=unit, step=step)

    def _program(self, row: ProgramRow, unit: int) -> Iterator[Order]:
        file = self._package.find(row.filename, row.file)
        for run in _runs(file, row, unit):
            sectors = -(-run.length // unit)
            start = _start(row, run.offset_bytes // unit)
            yield Order(
                "program",
                words.program(row.lun, start, sectors, unit, row.filename),
                row.label,
                _where(row),
                run.content(sectors * unit),
                row.filename,
                run.file_offset if run.fill is None else 0,
                sector_bytes=unit,
            )
            if self._digests:
                xml = words.digest(row.lun, start, sectors, unit)
                yield Order("getsha256digest", xml, row.label, _where(row))


def _where(row: Row) -> str:
    """Return where a row stands, as plans have it."""
    return f"{row.file}:{row.line}"


def _start(row: ProgramRow, sectors: int) -> str:
    """Return the first sector of what lies sectors behind the start of row.

    Raises:
        PackageError: that is no number that could be told here.
    """
    if not sectors:
        return row.start.text
    if row.start.needs_disk:
        raise PackageError(
            f"{_where(row)}: a sparse image at '{row.start.text}' cannot be sent under VIP.",
            remedies=("Unpack it (edl convert), and make the tables again.",),
        )
    return str(row.start.number + sectors)


def _runs(file: File, row: ProgramRow, unit: int) -> Iterator[images.Run]:
    """Yield what row writes of file: of a sparse image chunk by chunk, as qdl does."""
    if not sparse.is_sparse(file.head(4)):
        yield from images.runs(file, row, unit, True, _ignore)
        return
    with file.open() as opened:
        image = sparse.SparseImage.read(opened, file.size_bytes, row.filename)
    for chunk in image.chunks:
        if chunk.kind is not sparse.SparseKind.DONT_CARE:
            fill = chunk.fill if chunk.kind is sparse.SparseKind.FILL else None
            yield images.Run(chunk.offset_bytes, chunk.length_bytes, file, chunk.file_offset, fill)


def _ignore(*_args: object, **_kept: object) -> None:
    """Drop a finding: the plan has told it."""
