# SPDX-License-Identifier: BSD-3-Clause
"""Zip files read in place: stored members anywhere, compressed ones in order, with their CRC-32.

Only the directory is trusted to say where members lie; what it says is checked against the file.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from edl.chunks import CHUNK_BYTES, Content, FileContent, read_all
from edl.contents import Slice
from edl.errors import DocumentError, ImageError, PackageError
from edl.files import File, on_disk
from edl.formats.streams import Budget, Stream, Unpacked
from edl.packages.tree import Tree
from edl.streamed import Pieces, StreamContent
from edl.units import MIB

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_MAX_MEMBERS = 50_000
_MAX_DIRECTORY_BYTES = 16 * MIB
_MAX_MEMBER_BYTES = 1 << 44
_ENCRYPTED = 0x1
# APPNOTE.TXT 4.4.5; the members begin with the magic of their compression
_MAGIC_OF = {12: b"BZh", 93: b"\x28\xb5\x2f\xfd", 95: b"\xfd7zXZ\0"}
_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)


def is_zip(head: bytes) -> bool:
    """Return whether a file that begins with head is a zip file."""
    return head.startswith(MAGICS)


def of_zip(path: Path) -> Tree:
    """Return the files in the zip file at path.

    Raises:
        PackageError: it is damaged, or made to exhaust whoever reads it.
        ImageError: it cannot be read.
    """
    return read(on_disk(path), str(path))


def read(file: File, title: str) -> Tree:
    """Return the files in file, a zip file that can be read anywhere. title: what people call it.

    Raises:
        PackageError: it is damaged, or made to exhaust whoever reads it.
        ImageError: it cannot be read.
    """
    notes: list[str] = []
    try:
        with file.open() as opened:
            _require_small_directory(opened, title)
            with zipfile.ZipFile(opened) as archive:
                entries = archive.infolist()
                files = _files(file, entries, notes)
    except _ERRORS as error:
        raise PackageError(
            f"{title} is a damaged zip file: {error}.",
            remedies=("Download it again: what is there is not whole.",),
        ) from error
    except OSError as error:
        raise ImageError(f"{title} cannot be read: {error.strerror}.") from error
    return Tree(title, "zip", dict(sorted(files.items())), notes=tuple(notes))


def _require_small_directory(file: BinaryIO, title: str) -> None:
    """Refuse a file whose directory alone would fill the memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is None:
        raise zipfile.BadZipFile("it has no directory at its end")
    if end[zipfile._ECD_SIZE] > _MAX_DIRECTORY_BYTES:  # type: ignore[attr-defined]
        raise PackageError(f"{title} has a directory too large to be read.")


def _files(file: File, entries: list[zipfile.ZipInfo], notes: list[str]) -> dict[str, File]:
    """Return what entries say is in file; notes takes what is passed over, and why."""
    if len(entries) > _MAX_MEMBERS:
        raise PackageError(f"{file.name} holds more than {_MAX_MEMBERS} files.")
    _require_apart(entries)
    found: dict[str, tuple[zipfile.ZipInfo, File]] = {}
    twice: set[str] = set()
    for entry in entries:
        if entry.filename.endswith(("/", "\\")) or stat.S_ISLNK(entry.external_attr >> 16):
            continue
        name = plain_name(entry.filename)
        if problem := _problem(entry):
            notes.append(f"{name}: {problem}")
        elif name in found and not _same(found[name][0], entry):
            twice.add(name)
        else:
            content = _content(file, entry)
            found[name] = (entry, File(f"{file.name}/{name}", content, None, file.stamp))
    notes += [f"{name}: several files have this name, with different contents" for name in twice]
    return {name: each for name, (_, each) in found.items() if name not in twice}


def _require_apart(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes: such directories are made to mislead."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end:
            raise zipfile.BadZipFile(f"{plain_name(entry.filename)} lies within another file of it")
        end = entry.header_offset + _LOCAL.size + entry.compress_size


def _same(first: zipfile.ZipInfo, second: zipfile.ZipInfo) -> bool:
    return (first.CRC, first.file_size) == (second.CRC, second.file_size)


def plain_name(name: str) -> str:
    """Return name without what could drive a terminal, with `/` between its parts."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", "."}]
    return "".join(letter if letter.isprintable() else "?" for letter in "/".join(parts)) or "?"


def leads_out(name: str) -> bool:
    """Return whether the name of a member leads out of its archive."""
    return ".." in name.replace("\\", "/").split("/")


def _problem(entry: zipfile.ZipInfo) -> str:
    if leads_out(entry.filename):
        return "its name leads out of the archive"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted with a password: unpack the archive first"
    known = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, *_MAGIC_OF}
    if entry.compress_type not in known:
        return "it is compressed in a rare way: unpack the archive first"
    if entry.file_size > _MAX_MEMBER_BYTES:
        return "it is larger than any phone"
    return ""


_LIGHT = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # they unpack in 64 KiB


@dataclass(frozen=True)
class _Member:
    """Where and how a member lies in its archive."""

    archive: Content
    name: str
    header_at: int
    packed_bytes: int
    size_bytes: int
    crc: int
    compression: int

    def packed(self) -> Slice:
        """Return its bytes as they lie there, behind its own header, which has its own length.

        Raises:
            DocumentError: they do not lie where the directory says.
        """
        header = read_all(self.archive, self.header_at, _LOCAL.size)
        magic, name_bytes, extra_bytes = _LOCAL.unpack(header)
        at = self.header_at + _LOCAL.size + int(name_bytes) + int(extra_bytes)
        if magic != _LOCAL_MAGIC or at + self.packed_bytes > self.archive.size_bytes:
            raise DocumentError("it is not where the directory says")
        return Slice(self.archive, at, self.packed_bytes)

    def start(self) -> Stream:
        """Return its bytes from the beginning, checked."""
        pieces = Pieces(self.packed())
        stream: Stream = pieces
        if self.compression == zipfile.ZIP_DEFLATED:
            stream = _Inflated(pieces)
        elif self.compression in _MAGIC_OF:
            stream = Unpacked(pieces, _MAGIC_OF[self.compression], _Unbounded(0))
        return _Checked(stream, self.size_bytes, self.crc)


def _content(file: File, entry: zipfile.ZipInfo) -> Content:
    name = plain_name(entry.filename)
    if entry.header_offset + _LOCAL.size + entry.compress_size > file.size_bytes:
        raise zipfile.BadZipFile(f"{name} lies outside the file")
    member = _Member(
        file.content, name, entry.header_offset, entry.compress_size, entry.file_size,
        entry.CRC, entry.compress_type,
    )  # fmt: skip
    direct: Callable[[], Content] | None = None
    if entry.compress_type == zipfile.ZIP_STORED:
        if entry.compress_size != entry.file_size:
            raise zipfile.BadZipFile(f"{name} has two sizes")
        direct = member.packed
    apart = isinstance(file.content, FileContent) and entry.compress_type in _LIGHT
    return StreamContent(name, entry.file_size, member.start, direct, apart=apart)


class _Unbounded(Budget):
    """The directory says how much a member unpacks to; `_Checked` holds it to that."""

    def spend(self, size_bytes: int) -> None:
        """See Budget."""


class _Readable(Protocol):
    def read(self, size_bytes: int, /) -> bytes: ...


def _skip(stream: _Readable, size_bytes: int) -> None:
    while size_bytes and (data := stream.read(min(size_bytes, CHUNK_BYTES))):
        size_bytes -= len(data)


class _Inflated:
    """What deflated bytes unpack to."""

    def __init__(self, packed: Pieces) -> None:
        self._packed = packed
        self._decoder = zlib.decompressobj(-15)

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        try:
            while not self._decoder.eof:
                source = self._decoder.unconsumed_tail or self._packed.read(256 * 1024)
                data = self._decoder.decompress(source, size_bytes)
                if data or not source:
                    return data
        except zlib.error as error:
            raise DocumentError(f"it cannot be unpacked: {error}") from error
        return b""

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        _skip(self, size_bytes)


class _Checked:
    """The same bytes; the last of them only if the CRC-32 is right, and not one too many."""

    def __init__(self, stream: Stream, size_bytes: int, crc: int) -> None:
        self._stream = stream
        self._left, self._crc, self._wanted = size_bytes, 0, crc

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        data = self._stream.read(size_bytes)
        self._crc = zlib.crc32(data, self._crc)
        self._left -= len(data)
        if self._left < 0:
            raise DocumentError("it is longer than the directory says")
        if self._left == 0 and data and self._crc != self._wanted:
            raise DocumentError("its checksum (CRC-32) is wrong")
        return data

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        _skip(self, size_bytes)
