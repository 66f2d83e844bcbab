# SPDX-License-Identifier: BSD-3-Clause
"""CPIO archives of the form "newc", in which qdl keeps the images of a programmer.

The format is that of newc(5) in libarchive: 110 characters of header, a name, the data, both filled
to a multiple of 4 bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.units import MIB

MAGIC = b"07070"
MAX_BYTES = 256 * MIB
MAX_FILES = 256

_HEADER_BYTES = 110
_HEADER = re.compile(rb"07070[12]((?:[0-9A-Fa-f]{8}){13})")
_MAX_NAME_BYTES = 4096
_END = "TRAILER!!!"
_TYPE_MASK, _REGULAR, _FOLDER = 0o170000, 0o100000, 0o040000


@dataclass(frozen=True)
class File:
    """One file of an archive. name: as written, safe to print."""

    name: str
    data: memoryview


def read_cpio(data: bytes) -> tuple[File, ...]:
    """Return the regular files in data, a CPIO archive; folders are passed over.

    Raises:
        DocumentError: data is no such archive, is damaged or too large, or holds links or devices.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"A CPIO archive of {len(data)} bytes is too large.")
    files: list[File] = []
    offset = 0
    while True:
        header = _HEADER.fullmatch(data[offset : offset + _HEADER_BYTES])
        if header is None:
            raise DocumentError(_no_header(data, offset))
        fields = [int(header[1][place : place + 8], 16) for place in range(0, 104, 8)]
        mode, size, name_bytes = fields[1], fields[6], fields[11]
        name_end = offset + _HEADER_BYTES + name_bytes
        name = _name(data[offset + _HEADER_BYTES : name_end], name_bytes)
        start = _aligned(name_end)
        offset = _aligned(start + size)
        if name == _END:
            return tuple(files)
        if start + size > len(data):
            raise DocumentError(f"The CPIO archive is cut off in '{name}'.")
        if mode & _TYPE_MASK == _FOLDER:
            continue
        if mode & _TYPE_MASK not in {_REGULAR, 0}:
            raise DocumentError(f"'{name}' in the CPIO archive is no regular file.")
        if len(files) == MAX_FILES:
            raise DocumentError(f"The CPIO archive holds more than {MAX_FILES} files.")
        files.append(File(name, memoryview(data)[start : start + size]))


def _aligned(offset: int) -> int:
    return (offset + 3) & ~3


def _no_header(data: bytes, offset: int) -> str:
    """Return what is wrong where a header is due."""
    if offset == 0 and data[:6] == b"070707":
        return "The CPIO archive has an old form: make it with 'cpio -o -H newc'."
    if offset == 0:
        return "This is no CPIO archive."
    if offset >= len(data):
        return "The CPIO archive is cut off: it has no end mark."
    return f"The CPIO archive is damaged at byte {offset}."


def _name(field: bytes, wanted_bytes: int) -> str:
    if len(field) != wanted_bytes or wanted_bytes > _MAX_NAME_BYTES or field[-1:] != b"\0":
        raise DocumentError("The CPIO archive is damaged or cut off: a name has no end.")
    text = field[:-1].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
