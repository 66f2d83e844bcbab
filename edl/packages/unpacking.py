# SPDX-License-Identifier: BSD-3-Clause
"""A package as a folder of raw images, with XML files with which any tool can write them.

Rows name only what the package says: where it leaves bytes open (holes of sparse images), the raw
file has zeros, and no row writes them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import quoteattr

from edl import spool
from edl.backup.files import write_whole
from edl.chunks import BytesContent, Content
from edl.errors import DiskError, UsageError
from edl.events import Emit, StepStarted, ignore
from edl.files import File, on_disk
from edl.formats.expressions import Expression
from edl.formats.gpt import safe_name
from edl.formats.rawprogram import EraseRow, PatchRow
from edl.formats.sahara_config import write_sahara_config
from edl.images.work import data_bytes, save
from edl.outfile import require_room
from edl.package import Package
from edl.packages import tarreader
from edl.packages.holdings import LOGICAL, Holding
from edl.streamed import StreamContent

_SLOT = re.compile(r"_(?:ab|[ab])$", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """A file to be written.

    holdings: the partitions that it is for; several where they get the same bytes.
    files: of the package, that must prove to be whole.
    """

    path: Path
    content: Content
    holdings: tuple[Holding, ...]
    files: tuple[File, ...]

    @property
    def partitions(self) -> tuple[str, ...]:
        """The names of the partitions that it is for."""
        return tuple(dict.fromkeys(each.name for each in self.holdings))


def raw_targets(holdings: Iterable[Holding], folder: Path) -> list[Target]:
    """Return a raw file in folder for each of holdings; one where several are the same."""
    groups: dict[object, list[Holding]] = {}
    for index, holding in enumerate(holdings):
        groups.setdefault(holding.pieces if holding.files else index, []).append(holding)
    taken: set[str] = set()
    targets = []
    for group in groups.values():
        name = _free(_names(group), taken)
        first = group[0]
        targets.append(Target(folder / f"{name}.img", first.content, tuple(group), first.files))
    return targets


def _names(group: Sequence[Holding]) -> Iterator[str]:
    """Yield names for a file that all of group have, the best first."""
    bases = {_SLOT.sub("", each.name) for each in group}
    first = safe_name(group[0].name.removeprefix(LOGICAL))
    if len(group) == 1:
        yield first
    elif len(bases) == 1:
        yield safe_name(bases.pop())
    if len(group) > 1 and len(group[0].files) == 1:
        yield safe_name(PurePosixPath(group[0].files[0].name).stem)
    if group[0].lun is not None:
        yield f"lun{group[0].lun}_{first}"
    yield first


def _free(names: Iterable[str], taken: set[str]) -> str:
    """Return the first of names that no other file has, also where capitals do not count."""
    name = ""
    for name in names:
        if name.lower() not in taken:
            break
    else:
        number = 2
        while f"{name}_{number}".lower() in taken:
            number += 1
        name = f"{name}_{number}"
    taken.add(name.lower())
    return name


def loader_targets(package: Package, folder: Path, taken: Iterable[Target]) -> list[Target]:
    """Return the programmers of package as files in folder, by their own names.

    Of one that is made of several images the ids are told in a sahara_config.xml.

    Raises:
        ImageError: one cannot be looked at.
        DiskError: there is no room for one that is packed.
    """
    names = {target.path.name.lower() for target in taken}
    found: dict[Path, Target] = {}

    def name_of(path: Path) -> str:
        if path not in found:
            file = on_disk(path)
            name = _free([safe_name(path.name), f"loader_{safe_name(path.name)}"], names)
            found[path] = Target(folder / name, file.content, (), (file,))
        return found[path].path.name

    for path in package.loaders:
        name_of(path)
    targets = []
    if len(package.programmers) == 1:
        files = package.programmers[0].files
        images = {number: name_of(spool.kept(file)) for number, file in files.items()}
        name = _free(["sahara_config.xml", "loader_sahara_config.xml"], names)
        content = BytesContent(write_sahara_config(images))
        targets.append(Target(folder / name, content, (), ()))
    return [*found.values(), *targets]


def plain_targets(holdings: Iterable[Holding], folder: Path) -> list[Target]:
    """Return the files of holdings as they lie in the package, by their own names."""
    taken: set[str] = set()
    targets: list[Target] = []
    users: dict[File, list[Holding]] = {}
    for holding in holdings:
        for file in holding.files:
            users.setdefault(file, []).append(holding)
    for file, group in users.items():
        plain = PurePosixPath(file.name)
        name = _free([safe_name(plain.name), safe_name(f"{group[0].name}_{plain.name}")], taken)
        targets.append(Target(folder / name, file.content, tuple(group), (file,)))
    return targets


def require_possible(
    targets: Sequence[Target],
    folder: Path,
    *,
    force: bool,
    documents: Iterable[str] = (),
    sources: Iterable[Path] = (),
) -> None:
    """Make sure that all can be written before the first byte is. Makes folder if need be.

    documents: names of the XML files to come. sources: what must not be replaced, or written into.

    Raises:
        UsageError: files are there already, or the package itself would be replaced.
        DiskError: there is no room.
    """
    paths = [target.path for target in targets] + [folder / name for name in documents]
    kept = {path.resolve() for path in sources}
    for target in targets:
        kept |= {file.stamp.path.resolve() for file in target.files if file.stamp is not None}
    if folder.resolve() in kept or any(path.resolve() in kept for path in paths):
        raise UsageError(
            f"{folder} is what is to be unpacked.", remedies=("Choose another folder.",)
        )
    for path in paths:
        there = path.exists() or path.is_symlink()
        if there and not path.is_file():
            raise UsageError(
                f"{path} is no ordinary file: it cannot be replaced.",
                remedies=("Choose another folder.",),
            )
        if there and not force:
            raise UsageError(
                f"{path} exists already.", remedies=("Choose an empty folder, or add --force.",)
            )
    _require_room(targets, folder)


def _require_room(targets: Sequence[Target], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be used: {error.strerror}.") from error
    require_room(folder, sum(data_bytes(target.content) for target in targets))


def document_targets(package: Package, folder: Path, taken: Iterable[Target]) -> list[Target]:
    """Return the XML files of package as they lie in it, by their own names.

    Raises:
        ImageError: one cannot be looked at.
    """
    names = {target.path.name.lower() for target in taken}
    found = []
    for document in package.documents:
        home = package.home.get(document.name)
        file = package.members.get(document.name)
        if file is None and home is not None:
            file = on_disk(home / PurePosixPath(document.name).name)
        if file is not None:
            name = _free([safe_name(PurePosixPath(document.name).name)], names)
            found.append(Target(folder / name, file.content, (), (file,)))
    return found


def write(
    targets: Sequence[Target], *, emit: Emit = ignore, cancel: threading.Event | None = None
) -> None:
    """Write targets, each under its name only when it is whole and its checksums are right.

    Raises:
        ImageError: the package is damaged; files that are done stay.
        DiskError: a file cannot be written.
        CancelledError: stopped by cancel.
    """
    tarreader.expect(file for target in targets for file in target.files)
    for index, target in enumerate(targets, 1):
        size = target.content.size_bytes
        emit(StepStarted(index, len(targets), target.path.name, size))
        content = _in_order(target.content)

        def proof(target: Target = target, content: Content = content) -> None:
            for file in target.files:
                read = content if file.content is target.content else file.content
                if isinstance(read, StreamContent):
                    read.verify()
                file.require_unchanged()

        save(content, target.path, emit=emit, cancel=cancel, proof=proof)


def _in_order(content: Content) -> Content:
    """Return content as a stream, if it can be had so: that tests its checksums on the way."""
    if isinstance(content, StreamContent) and content.direct is not None:
        return StreamContent(content.name, content.size_bytes, content.start)
    return content


# -- XML files -------------------------------------------------------------------------------------


def write_rows(package: Package, targets: Sequence[Target], folder: Path) -> list[Path]:
    """Write rawprogramN.xml and patchN.xml of each LUN that the package has rows for.

    Raises:
        DiskError: they cannot be written.
    """
    made: dict[int, list[tuple[Target, Holding]]] = {}
    for target in targets:
        for holding in target.holdings:
            made.setdefault(holding.row, []).append((target, holding))
    programs: dict[int, list[str]] = {}
    patches: dict[int, list[str]] = {}
    for index, row in enumerate(package.rows):  # in their order: what is erased may be written then
        if isinstance(row, EraseRow) and row.start is not None:
            programs.setdefault(row.lun, []).append(_erase(row))
        elif isinstance(row, PatchRow) and (name := _patched(row, targets)):
            patches.setdefault(row.lun, []).append(_patch(row, name))
        for target, holding in made.get(index, []):
            rows = [_program(each) for each in _rows(target, holding, holding.unit or 1)]
            programs.setdefault(row.lun, []).extend(rows)
    written = []
    for lun in sorted(programs):
        for root, name, rows in (
            ("data", f"rawprogram{lun}.xml", programs[lun]),
            ("patches", f"patch{lun}.xml", patches.get(lun, [])),
        ):
            write_whole(folder / name, _document(root, rows))
            written.append(folder / name)
    return written


def row_names(package: Package, holdings: Iterable[Holding]) -> list[str]:
    """Return the names of the files that write_rows would write."""
    luns = {each.lun for each in holdings if each.lun is not None}
    luns |= {row.lun for row in package.rows if isinstance(row, EraseRow) and row.start is not None}
    return [f"{kind}{lun}.xml" for lun in sorted(luns) for kind in ("rawprogram", "patch")]


@dataclass(frozen=True)
class _Row:
    """Sectors of a file that go to a place."""

    holding: Holding
    filename: str
    unit: int
    offset: int  # in sectors, in the file and behind the start
    sectors: int


def _rows(target: Target, holding: Holding, unit: int) -> Iterator[_Row]:
    """Yield a row for each part that is said, and one for the last sector.

    A row that ends before its file does says to others that something was cut off; so the last
    sector is written, with the zeros that the raw image has there.
    """
    end = 0
    row = None
    for offset, length in holding.written:
        first, stop = offset // unit, -(-(offset + length) // unit)
        if row is not None and first <= end:  # they meet within a sector
            row = replace(row, sectors=stop - row.offset)
        else:
            if row is not None:
                yield row
            row = _Row(holding, target.path.name, unit, first, stop - first)
        end = stop
    if row is not None:
        yield row
    last = -(-holding.size_bytes // unit)
    if end < last:
        yield _Row(holding, target.path.name, unit, last - 1, 1)


def _program(row: _Row) -> str:
    start = row.holding.start or Expression("0", 0)
    number = start.number + row.offset
    text = start.text if row.offset == 0 else str(number)
    if row.offset and start.per_sector == 1 and not start.per_block:
        text = f"NUM_DISK_SECTORS{number:+d}."
    return _element(
        "program",
        {
            "SECTOR_SIZE_IN_BYTES": row.unit,
            "file_sector_offset": row.offset,
            "filename": row.filename,
            "label": row.holding.name,
            "num_partition_sectors": row.sectors,
            "physical_partition_number": row.holding.lun or 0,
            "sparse": "false",
            "start_sector": text,
        },
    )


def _erase(row: EraseRow) -> str:
    return _element(
        "erase",
        {
            **({"SECTOR_SIZE_IN_BYTES": row.sector_bytes} if row.sector_bytes else {}),
            "label": row.label,
            "num_partition_sectors": row.sectors,
            "physical_partition_number": row.lun,
            "start_sector": row.start.text if row.start is not None else "0",
        },
    )


def _patched(row: PatchRow, targets: Sequence[Target]) -> str:
    """Return what row patches now: the disk, or the raw file of the one that it names; or ""."""
    if row.on_disk:
        return row.filename
    wanted = PurePosixPath(row.filename.replace("\\", "/")).name.lower()
    for target in targets:
        if [PurePosixPath(file.name).name.lower() for file in target.files] == [wanted]:
            return target.path.name
    return ""


def _patch(row: PatchRow, filename: str) -> str:
    return _element(
        "patch",
        {
            **({"SECTOR_SIZE_IN_BYTES": row.sector_bytes} if row.sector_bytes else {}),
            "byte_offset": row.byte_offset,
            "filename": filename,
            "physical_partition_number": row.lun,
            "size_in_bytes": row.size_in_bytes,
            "start_sector": row.start.text,
            "value": row.value.text,
            "what": row.what,
        },
    )


def _element(tag: str, values: dict[str, object]) -> str:
    words = " ".join(f"{key}={quoteattr(_plain(value))}" for key, value in values.items())
    return f"<{tag} {words}/>"


def _plain(value: object) -> str:
    return "".join(char if char.isprintable() else "_" for char in str(value))


def _document(root: str, rows: list[str]) -> str:
    lines = ['<?xml version="1.0" ?>', f"<{root}>", *(f"  {row}" for row in rows), f"</{root}>"]
    return "\n".join([*lines, ""])
