# SPDX-License-Identifier: BSD-3-Clause
"""Files of compressed tar archives, read where they are as far as the compression allows it.

Whoever reads on where somebody stopped pays for what lies between. Going back costs what lies
behind the last point where unpacking can begin. Where there are such points (gzip always) nothing
is put on the disk. Where there are none, a file that is passed over although it will be needed goes
to the disk on the way, and so does one that somebody goes back to: so a job unpacks an archive
twice at most, however its order is.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from edl import spool
from edl.chunks import CHUNK_BYTES, FileContent
from edl.errors import DocumentError, ImageError
from edl.events import Emit, Stage
from edl.files import File
from edl.formats.gpt import safe_name
from edl.formats.streams import Budget, Point, Unpacked
from edl.packages.tarindex import Entry, Index, kept_in, note_points
from edl.streamed import Pieces, StreamContent
from edl.units import MIB, format_size

_GZIP = b"\x1f\x8b\x08"
_FAR_BYTES = 256 * MIB  # further apart, points do not make an archive one that is read anywhere
_NEAR_BYTES = 16 * MIB  # unpacked again rather than put on the disk
_LIVES = 2  # readers at a time, each with the memory of a decompressor


class _Known(Budget):
    """The first pass has counted what comes out."""

    def __init__(self) -> None:
        super().__init__(0)

    def spend(self, size_bytes: int) -> None:
        """See Budget."""


class _Live:
    """Unpacking, somewhere in the archive. crc: of the file that it is in, from since on."""

    def __init__(self, archive: Archive, point: Point) -> None:
        end = archive.index.end or archive.file.size_bytes
        packed = Pieces(archive.file.content, point.packed, end - point.packed)
        self._stream = Unpacked(packed, archive.magic, _Known(), point)
        self._archive = archive
        self._crc = 0
        self._since = -1
        self.fresh = True  # nobody has taken anything of it

    @property
    def at(self) -> int:
        """Where it stands in what comes out."""
        return self._stream.at

    def take(self, size_bytes: int) -> bytes:
        """Return size_bytes.

        Raises:
            DocumentError: they are damaged, or missing.
        """
        pieces = []
        self.fresh = False
        while size_bytes:
            data = self._stream.read(size_bytes)
            if not data:
                raise DocumentError("it ends too early")
            self._crc = zlib.crc32(data, self._crc)
            size_bytes -= len(data)
            pieces.append(data)
            self._archive.note(self._stream)
        return b"".join(pieces)

    def go(self, target: int, entry: Entry | None = None) -> None:
        """Pass over what lies before target; into entry, whose CRC-32 is then taken."""
        if entry is not None and self.at <= entry.at:
            self.go(entry.at)
            self._crc, self._since = 0, entry.at
        while self.at < target:
            self.take(min(target - self.at, CHUNK_BYTES))

    def read(self, entry: Entry, size_bytes: int) -> bytes:
        """Return size_bytes of entry, in which it stands; the last of them only if all are right.

        The end of a file is kept, and so read for its checksum only.
        """
        data = self.take(size_bytes)
        if self.at == entry.at + entry.tail and self._since == entry.at:
            self.go(entry.end)
            if self._crc != entry.crc:
                raise DocumentError("its checksum (CRC-32) is not what it was")
        return data


class Archive:
    """A compressed tar archive whose index is known. folder: where the index lies.

    anywhere: whether all of it can be read at a fair price.
    """

    def __init__(self, file: File, magic: bytes, folder: Path, index: Index, emit: Emit) -> None:
        self.file, self.magic, self.index = file, magic, index
        self.anywhere = magic == _GZIP or index.points.widest(index.size_bytes) <= _FAR_BYTES
        self._folder, self._emit = folder, emit
        self._kept = kept_in(folder)
        self._lives: list[_Live] = []
        self._lock = threading.RLock()
        self._reached = 0
        self._again = False  # somebody had to go back
        self._wanted: dict[int, Entry] = {}  # by where they begin
        self._begun: set[int] = set()

    def expect(self, entries: Iterable[Entry]) -> None:
        """Take note that a job begins which reads all of entries, in whatever order."""
        self._lives, self._begun = [], set()
        self._reached, self._again = 0, False
        self._wanted = {entry.at: entry for entry in sorted(entries, key=lambda each: each.at)}

    def chunks(self, entry: Entry, offset: int, length: int) -> Iterator[memoryview]:
        """Yield length bytes of entry from offset on.

        Raises:
            DocumentError: they are damaged.
            ImageError: they cannot be read.
            DiskError: there is no room for what must be put on the disk.
        """
        while length:
            place, count = _kept(entry, offset, min(length, CHUNK_BYTES))
            if place is not None:
                yield from self._kept.chunks(place, count)
            else:
                yield self._piece(entry, offset, count)
            offset += count
            length -= count

    def _piece(self, entry: Entry, offset: int, count: int) -> memoryview:
        with self._lock:
            if not self._on_disk(entry):
                self._begun.add(entry.number)
                live = self._live_at(entry, offset)
                if live is not None:
                    data = live.read(entry, count)
                    self._reached = max(self._reached, live.at)
                    self._put_back(live)
                    return memoryview(data)
        path = self._path(entry)
        content = FileContent(path, 0, entry.size_bytes, entry.size_bytes)
        return memoryview(b"".join(map(bytes, content.chunks(offset, count))))

    def note(self, stream: Unpacked) -> None:
        """Note the points that stream has come to."""
        note_points(stream, self.index.points)

    def _live_at(self, entry: Entry, offset: int) -> _Live | None:
        """Return what stands at offset of entry; None: that is on the disk now."""
        target = entry.at + offset
        live = self._nearest(target)
        far = target - live.at > _NEAR_BYTES
        back = self._reached - target > _NEAR_BYTES and (far or live.fresh)
        self._again = self._again or back
        wanted = entry.at in self._wanted
        if not self.anywhere and ((back and far) or (self._again and wanted)):
            if live.at > entry.at:
                live = self._nearest(entry.at)
            self._pass(live, entry.at)
            self._put_on_disk(entry, live)
            self._put_back(live)
            return None
        self._pass(live, target, entry)
        return live

    def _nearest(self, target: int) -> _Live:
        """Return what stands before target, and is the nearest to it."""
        point = self.index.points.before(target)
        found = [live for live in self._lives if point.unpacked <= live.at <= target]
        if not found:
            return _Live(self, point)
        live = max(found, key=lambda each: each.at)
        self._lives.remove(live)
        return live

    def _put_back(self, live: _Live) -> None:
        self._lives = [*self._lives[-(_LIVES - 1) :], live]

    def _pass(self, live: _Live, target: int, into: Entry | None = None) -> None:
        """Go on to target; what is passed over and will be needed goes to the disk."""
        if not self.anywhere:
            for entry in self._wanted.values():
                passed = live.at <= entry.at and entry.end <= target
                fresh = self._again or entry.number not in self._begun
                if passed and fresh and not (entry.tail == 0 or self._on_disk(entry)):
                    live.go(entry.at)
                    self._put_on_disk(entry, live)
        live.go(target, into)

    # -- the disk ----------------------------------------------------------------------------------

    def _path(self, entry: Entry) -> Path:
        name = safe_name(PurePosixPath(entry.name).name)
        return self._folder.with_name(f"{self._folder.name}-files") / str(entry.number) / name

    def _on_disk(self, entry: Entry) -> bool:
        try:
            return not self.anywhere and self._path(entry).stat().st_size == entry.size_bytes
        except OSError:
            return False

    def _put_on_disk(self, entry: Entry, live: _Live) -> None:
        """Put entry on the disk, at which live stands, and say so."""
        path = self._path(entry)
        name = f"{self.file.name}/{entry.name}"
        spool.require_room(path.parent, entry.size_bytes, name)
        size = format_size(entry.size_bytes)
        self._emit(Stage("unpack", f"{name} ({size}), not read in its turn, to {path.parent}"))
        live.go(entry.at, entry)
        spool.put(path, self._through(entry, live), name)
        self._reached = max(self._reached, live.at)

    def _through(self, entry: Entry, live: _Live) -> Iterator[bytes]:
        left = entry.tail
        while left:
            count = min(left, CHUNK_BYTES)
            yield live.read(entry, count)
            left -= count
        for chunk in self.chunks(entry, entry.tail, entry.size_bytes - entry.tail):
            yield bytes(chunk)


def _kept(entry: Entry, offset: int, count: int) -> tuple[int | None, int]:
    """Return where offset of entry is kept, or None, and for how much of count that holds."""
    for part in entry.kept:
        if part.offset <= offset < part.offset + part.length:
            place = part.place + offset - part.offset
            return place, min(count, part.offset + part.length - offset)
        if offset < part.offset:
            return None, min(count, part.offset - offset)
    return None, count


class Member(StreamContent):
    """The content of a file of an archive. Its checksum was tested when the index was made."""

    def __init__(self, archive: Archive, entry: Entry) -> None:
        super().__init__(
            f"{archive.file.name}/{entry.name}",
            entry.size_bytes,
            lambda: Pieces(self),
            (lambda: self) if archive.anywhere or entry.tail == 0 else None,
            entry.layout,
            entry.crc,
        )
        self.archive, self.entry = archive, entry
        self._whole = True

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See StreamContent."""
        if self.lying is not None:
            yield from self.lying.chunks(offset, length)
            return
        try:
            yield from self.archive.chunks(self.entry, offset, length)
        except DocumentError as error:
            raise self._damaged(error.message) from error
        except OSError as error:
            raise ImageError(f"{self.name} cannot be read: {error.strerror}.") from error


def expect(files: Iterable[File]) -> None:
    """Tell archives which of their files will be read."""
    found: dict[int, tuple[Archive, list[Entry]]] = {}
    for file in files:
        if isinstance(member := file.content, Member):
            found.setdefault(id(member.archive), (member.archive, []))[1].append(member.entry)
    for archive, entries in found.values():
        archive.expect(entries)
