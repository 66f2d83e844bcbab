# SPDX-License-Identifier: BSD-3-Clause
"""The files inside archives: zip, tar (plain, gzip, bzip2, xz, zstd) and Motorola's single images.

    with path.open("rb") as file:
        for member in members(file, path.name):
            if wanted(member.head):
                use(member.content())

Nothing is unpacked to disk, and the names inside are for people only, so they cannot lead anywhere.
Archives inside archives are opened too, two deep: a package holds blankflash.zip, and that one a
single image.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from edl.errors import DocumentError
from edl.formats import tar
from edl.formats.streams import (
    Budget,
    FileStream,
    Preread,
    Section,
    Stream,
    Unpacked,
    compression,
    take,
)
from edl.units import MIB

HEAD_BYTES = 512  # enough to recognise an archive
MAX_MEMBER_BYTES = 64 * MIB

_MAX_DEPTH = 2
_MAX_MEMBERS = 100_000
_MAX_DIRECTORY_BYTES = 4 * MIB  # of a zip file: 40 000 entries
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)
_ENCRYPTED = 0x1

# worked out from five real files; bootloader.img, gpt.bin and a blankflash's singleimage.bin
_SINGLE_MAGIC = b"SINGLE_N_LONELY\0"
_SINGLE_END = b"LONELY_N_SINGLE\0"
_SINGLE_ENTRY = struct.Struct("<248sQ")
_SINGLE_BYTES = 256
_SINGLE_ALIGN = 4096
_MAX_SIZE = 1 << 48

_OTHERS = {
    b"Rar!\x1a\x07": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x04\x22\x4d\x18": "LZ4",
}


@dataclass(frozen=True)
class Member:
    """One file inside an archive; its content can be had once, before the next member.

    name: with those of the archives around it, safe to print. size_bytes: None if only the end will
    tell. head: the first HEAD_BYTES, or all. problem: why it cannot be read, empty if it can.
    """

    name: str
    size_bytes: int | None
    head: bytes = b""
    problem: str = ""
    _rest: Stream | None = None

    def content(self) -> bytes:
        """Return all bytes.

        Raises:
            DocumentError: they are damaged, or more than MAX_MEMBER_BYTES.
            OSError: the archive cannot be read.
        """
        if self._rest is None:
            raise DocumentError(f"{self.name}: {self.problem}")
        size = MAX_MEMBER_BYTES + 1 if self.size_bytes is None else self.size_bytes
        if self.size_bytes is not None and size > MAX_MEMBER_BYTES:
            raise self._too_large()
        data = self.head + take(self._rest, size - len(self.head))
        if len(data) > MAX_MEMBER_BYTES:
            raise self._too_large()
        if self.size_bytes is not None and len(data) != size:
            raise DocumentError(f"{self.name} is cut off.")
        return data

    def _too_large(self) -> DocumentError:
        return DocumentError(f"{self.name} is too large to look into: unpack the archive first.")


def is_archive(head: bytes) -> bool:
    """Return whether a file that begins with head, HEAD_BYTES or all, is one that can be read.

    A single compressed file counts as an archive of one.
    """
    return (
        head.startswith((*_ZIP_MAGICS, _SINGLE_MAGIC))
        or compression(head) is not None
        or tar.is_header(head)
    )


def foreign_kind(head: bytes) -> str | None:
    """Return the name of the kind of archive that head begins, if it is one that is not read."""
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)


def members(file: BinaryIO, name: str) -> Iterator[Member]:
    """Yield the files inside the archive in file, which is called name, and in archives in it.

    Raises:
        DocumentError: it is no archive, a damaged one, or made to exhaust whoever reads it.
        OSError: the file cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    budget = Budget(size)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if head.startswith(_ZIP_MAGICS):
        found = _zip_members(file, name, budget)
    else:
        found = _stream_members(FileStream(file), head, name, budget)
    for count, member in enumerate(_opened(found, budget, 0)):
        if count == _MAX_MEMBERS:
            raise DocumentError(f"{_shown(name)} holds more than {_MAX_MEMBERS} files.")
        yield member


def _opened(found: Iterator[Member], budget: Budget, depth: int) -> Iterator[Member]:
    """Yield found, and in place of the archives among them what they hold."""
    for member in found:
        if member._rest is None or depth == _MAX_DEPTH or not is_archive(member.head):
            yield member
            continue
        try:
            inner = _inside(member, member._rest, budget)
            yield from _opened(inner, budget, depth + 1)
        except DocumentError as error:
            yield Member(member.name, member.size_bytes, problem=error.message)


def _inside(member: Member, rest: Stream, budget: Budget) -> Iterator[Member]:
    if member.head.startswith(_ZIP_MAGICS):
        # a zip file has its directory at the end: it must be there as a whole
        return _zip_members(io.BytesIO(member.content()), member.name, budget)
    return _stream_members(Preread(member.head, rest), member.head, member.name, budget)


def _shown(name: str) -> str:
    """Return name without what could drive a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _member(parent: str, name: str, size_bytes: int, stream: Stream) -> Member:
    head = take(stream, min(HEAD_BYTES, size_bytes))
    return Member(_shown(f"{parent}/{name}"), size_bytes, head, _rest=stream)


# -- streams: tar and single images ----------------------------------------------------------------


def _stream_members(stream: Stream, head: bytes, name: str, budget: Budget) -> Iterator[Member]:
    if (magic := compression(head)) is not None:
        stream = Unpacked(stream, magic, budget)
        head = take(stream, HEAD_BYTES)
        stream = Preread(head, stream)
    if tar.is_header(head):
        for inner, section in tar.tar_members(stream):
            yield _member(name, inner, section.left_bytes, section)
    elif head.startswith(_SINGLE_MAGIC):
        yield from _single_members(stream, name)
    elif magic is not None:
        stream.skip(len(head))
        inner = PurePosixPath(name).stem
        yield Member(_shown(f"{name}/{inner}"), None, head, _rest=stream)
    else:
        raise DocumentError(f"{_shown(name)} is no archive of a kind that can be read.")


def _single_members(stream: Stream, name: str) -> Iterator[Member]:
    stream.skip(_SINGLE_BYTES)
    while not (entry := take(stream, _SINGLE_BYTES)).startswith(_SINGLE_END):
        if len(entry) < _SINGLE_BYTES:
            raise DocumentError(f"{_shown(name)} is cut off: get the file again.")
        title, size = _SINGLE_ENTRY.unpack(entry)
        if size > _MAX_SIZE:
            raise DocumentError(f"{_shown(name)} is damaged: it announces {size} bytes.")
        section = Section(stream, size)
        inner = title.partition(b"\0")[0].decode("utf-8", "replace")
        yield _member(name, inner, size, section)
        section.skip(section.left_bytes)
        stream.skip(-size % _SINGLE_ALIGN)


# -- zip -------------------------------------------------------------------------------------------


class _Careful(io.RawIOBase):
    """A file for zipfile, which would read a directory of any announced size into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size} bytes is not supported")
        return self._file.read(size if size >= 0 else _MAX_DIRECTORY_BYTES)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


class _ZipStream:
    """The content of one member."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self._file = file
        self._budget = budget

    def read(self, size_bytes: int) -> bytes:
        """See Stream."""
        try:
            piece = self._file.read(size_bytes)
        except _ZIP_ERRORS as error:
            raise DocumentError(f"The zip file is damaged: {error}.") from error
        self._budget.spend(len(piece))
        return piece

    def skip(self, size_bytes: int) -> None:
        """See Stream."""
        take(self, size_bytes)


def _zip_members(file: BinaryIO, name: str, budget: Budget) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(_Careful(file))
    except _ZIP_ERRORS as error:
        raise DocumentError(f"{_shown(name)} is no zip file, or a damaged one: {error}.") from error
    with archive:
        for entry in archive.infolist():
            # is_dir fails for an entry without a name
            if entry.filename.endswith("/") or stat.S_ISLNK(entry.external_attr >> 16):
                continue
            yield _zip_member(archive, entry, name, budget)


def _zip_member(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, budget: Budget
) -> Member:
    problem = ""
    if entry.flag_bits & _ENCRYPTED:
        problem = "It is encrypted with a password: unpack the archive first."
    elif entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        problem = "It is compressed in a rare way: unpack the archive first."
    else:
        try:
            stream = _ZipStream(archive.open(entry), budget)
            return _member(name, entry.filename, entry.file_size, stream)
        except _ZIP_ERRORS as error:
            problem = f"The zip file is damaged: {error}."
        except DocumentError as error:
            problem = error.message
    return Member(_shown(f"{name}/{entry.filename}"), entry.file_size, problem=problem)
