# SPDX-License-Identifier: BSD-3-Clause
"""Zip files read in place: stored members at random, deflated ones in order, with their CRC-32.

Only the directory is trusted to say where members lie; what it says is checked against the file.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path

from edl.chunks import CHUNK_BYTES, Content, FileContent
from edl.errors import DocumentError, ImageError, PackageError
from edl.files import File, Stamp
from edl.packages.tree import Tree
from edl.streamed import StreamContent
from edl.units import MIB

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_MAX_MEMBERS = 50_000
_MAX_DIRECTORY_BYTES = 16 * MIB
_ENCRYPTED = 0x1
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
        PackageError: it is damaged, encrypted, or made to exhaust whoever reads it.
        ImageError: it cannot be read.
    """
    stamp = Stamp.of(path)
    notes: list[str] = []
    files: dict[str, File] = {}
    try:
        with path.open("rb") as file:
            _require_small_directory(file, path)
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                if len(entries) > _MAX_MEMBERS:
                    raise PackageError(f"{path} holds more than {_MAX_MEMBERS} files.")
                for entry in entries:
                    if entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16):
                        continue
                    name = _plain(entry.filename)
                    if problem := _problem(entry):
                        notes.append(f"{name}: {problem}")
                        continue
                    content = _content(path, entry, stamp.size_bytes)
                    files[name] = File(f"{path.name}/{name}", content, None, stamp)
    except _ERRORS as error:
        raise PackageError(
            f"{path} is a damaged zip file: {error}.",
            remedies=("Download it again: what is there is not whole.",),
        ) from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    return Tree(str(path), "zip", dict(sorted(files.items())), notes=tuple(notes))


def _require_small_directory(file: object, path: Path) -> None:
    """Refuse a file whose directory alone would fill the memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is None:
        raise zipfile.BadZipFile("it has no directory at its end")
    if end[zipfile._ECD_SIZE] > _MAX_DIRECTORY_BYTES:  # type: ignore[attr-defined]
        raise PackageError(f"{path} has a directory too large to be read.")


def _plain(name: str) -> str:
    """Return name without what could lead out of the archive or drive a terminal."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    return "".join(letter if letter.isprintable() else "?" for letter in "/".join(parts)) or "?"


def _problem(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted with a password: unpack the archive first"
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "it is compressed in a rare way: unpack the archive first"
    return ""


def _content(path: Path, entry: zipfile.ZipInfo, archive_bytes: int) -> Content:
    if entry.header_offset + entry.compress_size > archive_bytes:
        raise zipfile.BadZipFile(f"{_plain(entry.filename)} lies outside the file")
    stored = entry.compress_type == zipfile.ZIP_STORED
    if stored and entry.compress_size != entry.file_size:
        raise zipfile.BadZipFile(f"{_plain(entry.filename)} has two sizes")
    return StreamContent(
        _plain(entry.filename), entry.file_size, lambda: _Member(path, entry, stored=stored)
    )


def _data_at(path: Path, entry: zipfile.ZipInfo) -> int:
    """Return where the data of a member begins: behind its own header, which has its own length."""
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        magic, name_bytes, extra_bytes = _LOCAL.unpack(file.read(_LOCAL.size))
    if magic != _LOCAL_MAGIC:
        raise DocumentError("its header is not where the directory says")
    return entry.header_offset + _LOCAL.size + int(name_bytes) + int(extra_bytes)


class _Member:
    """The bytes of one member, in order; the last of them only if the CRC-32 is right."""

    def __init__(self, path: Path, entry: zipfile.ZipInfo, *, stored: bool) -> None:
        try:
            at = _data_at(path, entry)
        except struct.error as error:
            raise DocumentError("its header is cut off") from error
        size = entry.compress_size
        self._pieces = FileContent(path, at, size, size).chunks(0, size)
        self._decoder = None if stored else zlib.decompressobj(-15)
        self._left = entry.file_size
        self._crc, self._wanted = 0, entry.CRC
        self._rest = b""

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        data = self._next(size_bytes)
        self._crc = zlib.crc32(data, self._crc)
        self._left -= len(data)
        if self._left == 0 and data and self._crc != self._wanted:
            raise DocumentError("its checksum (CRC-32) is wrong")
        if self._left < 0:
            raise DocumentError("it is longer than the directory says")
        return data

    def _next(self, size_bytes: int) -> bytes:
        if self._decoder is None:
            if not self._rest:
                self._rest = bytes(next(self._pieces, b""))
            data, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
            return data
        try:
            while not self._decoder.eof:
                source = self._decoder.unconsumed_tail or bytes(next(self._pieces, b""))
                data = self._decoder.decompress(source, size_bytes)
                if data or not source:
                    return data
        except zlib.error as error:
            raise DocumentError(f"it cannot be unpacked: {error}") from error
        return b""

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        while size_bytes and (data := self.read(min(size_bytes, CHUNK_BYTES))):
            size_bytes -= len(data)
