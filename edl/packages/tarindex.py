# SPDX-License-Identifier: BSD-3-Clause
"""What is in a compressed tar archive: found out by reading through it once, and kept.

The pass tests the compression's checksum, takes the CRC-32 of each file, and keeps on the disk what
is asked for before a job: small files whole, beginnings and ends of large ones.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from edl import spool
from edl.chunks import FileContent
from edl.errors import DiskError, DocumentError, ImageError, PackageError
from edl.events import BytesMoved, Emit, StepStarted, ignore
from edl.files import File
from edl.formats import sparse, tar
from edl.formats.restarts import Points, xz_blocks
from edl.formats.streams import Point, Section, Stream, Unpacked
from edl.home import open_private, private_folder
from edl.packages.zips import leads_out, plain_name
from edl.streamed import Pieces
from edl.units import KIB, MIB

MAX_MEMBERS = 50_000
CUT_OFF = "The tar archive is cut off: get the file again."
_VERSION = 1
_TOLD = "index.json"
_KEPT = "index.bin"
_MAX_TOLD_BYTES = 32 * MIB
_SMALL_BYTES = 4 * MIB  # scripts, documents, loaders, most of the boot chain
_HEAD_BYTES = MIB  # the metadata of `super` lie in it
_TAIL_BYTES = 128 * KIB  # where verified boot has its metadata
_MOST_KEPT_BYTES = 256 * MIB  # from then on of each file only what tells its kind
_LEAST_BYTES = 4 * KIB
_READ_BYTES = 256 * KIB
_REST_BYTES = 1 << 40
_CHUNK = struct.Struct("<HQQQ4s")  # of a sparse image: kind, three numbers, filling


@dataclass(frozen=True)
class Kept:
    """length bytes of a file from offset on, which lie at byte place of what is kept."""

    offset: int
    length: int
    place: int


@dataclass(frozen=True)
class Entry:
    """A file of an archive. at: where it begins in what the archive unpacks to.

    kept: parts of it that are kept, in order. layout: if it is a sparse image.
    """

    number: int
    name: str
    at: int
    size_bytes: int
    crc: int
    kept: tuple[Kept, ...] = ()
    layout: sparse.SparseImage | None = field(default=None, compare=False)

    @property
    def end(self) -> int:
        """Where it ends in what the archive unpacks to."""
        return self.at + self.size_bytes

    @property
    def tail(self) -> int:
        """From where on all of it is kept."""
        last = self.kept[-1] if self.kept else None
        whole = last is not None and last.offset + last.length == self.size_bytes
        return last.offset if last is not None and whole else self.size_bytes


@dataclass(frozen=True)
class Index:
    """What is known of an archive. entries: in its order. size_bytes: what it unpacks to.

    points: where unpacking can begin; end: where in the file that ends to be of use, or 0.
    """

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]
    size_bytes: int
    points: Points = field(compare=False)
    end: int = 0


def kept_in(folder: Path) -> FileContent:
    """Return what the index in folder keeps of files."""
    path = folder / _KEPT
    size = path.stat().st_size
    return FileContent(path, 0, size, size)


# -- one pass --------------------------------------------------------------------------------------


def make(file: File, magic: bytes, title: str, folder: Path, emit: Emit = ignore) -> Index:
    """Read through file, a compressed tar archive, and put its index into folder.

    folder is there only when that is done. Where another process was quicker, its index stays.

    Raises:
        DocumentError: it is damaged, or made to exhaust whoever reads it.
        PackageError: it holds too many files.
        ImageError: it cannot be read.
        DiskError: there is no room for the index.
    """
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    spool.require_room(folder.parent, 0, title)
    emit(StepStarted(1, 1, title, file.size_bytes))
    try:
        private_folder(partial)
        with open_private(partial / _KEPT, "w+b") as kept:
            index = _Pass(file, magic, title, kept, emit).run()
            _save(index, partial, kept)
        if load(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
    except OSError as error:
        raise DiskError(
            f"What is in {title} cannot be noted in {folder}: {error.strerror}.",
            remedies=("Make room there, or set EDL_HOME to a folder on another disk.",),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return index


class _Pass:
    """One way through an archive."""

    def __init__(self, file: File, magic: bytes, title: str, kept: BinaryIO, emit: Emit) -> None:
        self._file, self._title, self._kept, self._emit = file, title, kept, emit
        self._stream = Unpacked(Pieces(file.content), magic, spool.Roomy())
        self._points = Points()
        self._end = 0
        self._told_bytes = 0
        if magic.startswith(b"\xfd7zXZ"):
            with file.open() as opened:
                blocks, self._end = xz_blocks(opened, file.size_bytes)
            for point in blocks:
                self._points.add(point)

    def run(self) -> Index:
        """Return what there is."""
        notes: list[str] = []
        found: dict[str, Entry] = {}
        for number, (name, section) in enumerate(members(self, self._title, notes)):
            found[name] = self._entry(number, name, section)
        self.skip(_REST_BYTES)  # the checksum stands at the very end
        size = self._stream.at
        return Index(tuple(found.values()), tuple(notes), size, self._points, self._end)

    def read(self, size_bytes: int) -> bytes:
        """See Stream. Notes where unpacking could begin, and tells how far it is."""
        data = self._stream.read(size_bytes)
        note_points(self._stream, self._points)
        moved = self._stream.packed_at - self._told_bytes
        if moved >= MIB:
            self._told_bytes += moved
            self._emit(BytesMoved(moved))
        return data

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        while size_bytes and (data := self.read(min(size_bytes, _READ_BYTES))):
            size_bytes -= len(data)

    def _entry(self, number: int, name: str, section: Section) -> Entry:
        at, size = self._stream.at, section.left_bytes
        passing = _Passing(section, self._kept)
        layout = passing.layout()
        passing.to_the_end()
        return Entry(number, name, at, size, passing.crc, tuple(passing.kept), layout)


def note_points(stream: Unpacked, points: Points) -> None:
    """Add to points those that stream has come to."""
    if points.wanted(stream.begun.unpacked):
        points.add(stream.begun)
    if points.wanted(stream.at) and (point := stream.point()) is not None:
        points.add(point)


def members(stream: Stream, title: str, notes: list[str]) -> Iterator[tuple[str, Section]]:
    """Yield name and content of the files in stream; of two of one name the last one counts.

    Raises:
        DocumentError: it is damaged.
        PackageError: there are too many files.
    """
    for count, (told, section) in enumerate(tar.tar_members(stream)):
        if count == MAX_MEMBERS:
            raise PackageError(f"{title} holds more than {MAX_MEMBERS} files.")
        name = plain_name(told)
        if leads_out(told):
            notes.append(f"{name}: its name leads out of the archive")
        else:
            yield name, section


class _Passing:
    """A file while it passes by: what is kept of it, and its CRC-32."""

    def __init__(self, section: Section, out: BinaryIO) -> None:
        self._section = section
        self._size_bytes = section.left_bytes
        self._out = out
        self._at = self._position = 0
        self._back = b""  # what was read last, which ends at _at
        self._failure: DocumentError | None = None
        self.crc = 0
        self.kept: list[Kept] = []
        size, place = self._size_bytes, out.tell()
        for offset, length in _parts(size, place):
            self.kept.append(Kept(offset, length, place))
            place += length

    def layout(self) -> sparse.SparseImage | None:
        """Return how it is laid out, if it is a sparse image, and a sound one.

        Raises:
            DocumentError: the archive is damaged.
        """
        if self._size_bytes < len(sparse.MAGIC):
            return None
        try:
            return sparse.SparseImage.read(cast("BinaryIO", self), self._size_bytes)
        except DocumentError:
            if self._failure is not None:
                raise
            return None  # none, or a bad one: that is told where it is used

    def seek(self, position: int) -> None:
        """Go on to position; back no further than what was read last."""
        self._position = position
        if position > self._at:
            self._back = b""
            while self._at < position and self._more(min(position - self._at, _READ_BYTES)):
                pass

    def read(self, size_bytes: int) -> bytes:
        """Return size_bytes from the position on; fewer at the end."""
        data = self._back[len(self._back) - (self._at - self._position) :][:size_bytes]
        while len(data) < size_bytes and (more := self._more(size_bytes - len(data))):
            data += more
        self._position += len(data)
        self._back = data
        return data

    def to_the_end(self) -> None:
        """Let the rest pass.

        Raises:
            DocumentError: the archive ends before.
        """
        while self._section.left_bytes:
            if not self._more(min(self._section.left_bytes, _READ_BYTES)):
                raise DocumentError(CUT_OFF)

    def _more(self, size_bytes: int) -> bytes:
        try:
            data = self._section.read(size_bytes)
        except DocumentError as error:
            self._failure = error
            raise
        self.crc = zlib.crc32(data, self.crc)
        for part in self.kept:
            start = max(part.offset, self._at) - self._at
            stop = min(part.offset + part.length, self._at + len(data)) - self._at
            if start < stop:
                self._out.write(data[start:stop])
        self._at += len(data)
        return data


def _parts(size: int, kept_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of what is kept of a file; kept_bytes: what is kept of others."""
    if kept_bytes > _MOST_KEPT_BYTES:
        yield 0, min(size, _LEAST_BYTES)
    elif size <= _SMALL_BYTES:
        yield 0, size
    else:
        yield 0, _HEAD_BYTES
        yield size - _TAIL_BYTES, _TAIL_BYTES


# -- kept on the disk ------------------------------------------------------------------------------


def load(folder: Path) -> Index | None:
    """Return the index in folder, if an earlier run put it there and it is whole."""
    try:
        with (folder / _TOLD).open("rb") as file:
            told = json.loads(file.read(_MAX_TOLD_BYTES))
        if told["version"] != _VERSION or told["crc"] != _crc(folder / _KEPT):
            return None
        points = Points()
        for unpacked, packed, first in told["points"]:
            points.add(Point(int(unpacked), int(packed), bytes.fromhex(first)))
        with (folder / _KEPT).open("rb") as kept:
            entries = tuple(_entry_of(row, kept) for row in told["files"])
        notes = tuple(map(str, told["notes"]))
        return Index(entries, notes, int(told["size"]), points, int(told["end"]))
    except (
        OSError, ValueError, KeyError, TypeError, RecursionError, struct.error, ImageError,
    ):  # fmt: skip
        return None


def _save(index: Index, folder: Path, kept: BinaryIO) -> None:
    rows = [_row_of(entry, kept) for entry in index.entries]
    kept.flush()
    points = [[each.unpacked, each.packed, each.first.hex()] for each in index.points.lasting()]
    told = {
        "version": _VERSION,
        "crc": _crc(folder / _KEPT),
        "files": rows,
        "notes": index.notes,
        "size": index.size_bytes,
        "points": points,
        "end": index.end,
    }
    with open_private(folder / _TOLD, "wb") as file:
        file.write(json.dumps(told).encode())


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            crc = zlib.crc32(data, crc)
    return crc


def _row_of(entry: Entry, kept: BinaryIO) -> dict[str, Any]:
    """Return entry as JSON-able data; the layout of a sparse image goes to kept."""
    row: dict[str, Any] = {
        "number": entry.number,
        "name": entry.name,
        "at": entry.at,
        "size": entry.size_bytes,
        "crc": entry.crc,
        "kept": [[part.offset, part.length, part.place] for part in entry.kept],
    }
    if (image := entry.layout) is not None:
        row["sparse"] = {
            "block": image.block_bytes,
            "size": image.size_bytes,
            "checksums": image.checksums,
            "place": kept.tell(),
            "chunks": len(image.chunks),
        }
        for chunk in image.chunks:
            numbers = chunk.offset_bytes, chunk.length_bytes, chunk.file_offset
            kept.write(_CHUNK.pack(chunk.kind.value, *numbers, chunk.fill))
    return row


def _entry_of(row: Mapping[str, Any], kept: BinaryIO) -> Entry:
    number, at, size, crc = (int(row[key]) for key in ("number", "at", "size", "crc"))
    parts = tuple(
        Kept(int(offset), int(length), int(place)) for offset, length, place in row["kept"]
    )
    told = row.get("sparse")
    layout = None if told is None else _layout_of(told, kept)
    return Entry(number, str(row["name"]), at, size, crc, parts, layout)


def _layout_of(told: Mapping[str, Any], kept: BinaryIO) -> sparse.SparseImage:
    kept.seek(int(told["place"]))
    fills = sparse.SparseKind.FILL.value
    data = kept.read(int(told["chunks"]) * _CHUNK.size)
    chunks = tuple(
        sparse.SparseChunk(
            sparse.SparseKind(kind), offset, length, at, fill if kind == fills else b""
        )
        for kind, offset, length, at, fill in _CHUNK.iter_unpack(data)
    )
    checksums = tuple((int(size), int(crc)) for size, crc in told["checksums"])
    return sparse.SparseImage(int(told["block"]), int(told["size"]), chunks, checksums)
