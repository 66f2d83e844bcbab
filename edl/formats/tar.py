# SPDX-License-Identifier: BSD-3-Clause
"""Tar archives, read forward: regular files only, whatever else is inside is passed over.

The format is that of POSIX (ustar and pax) with GNU's long names. The library's `tarfile` reads
headers of any announced length into memory, and goes back in the archive; this one does neither.
"""

from __future__ import annotations

from collections.abc import Iterator

from edl.errors import DocumentError
from edl.formats.streams import Section, Stream, take

BLOCK_BYTES = 512
_MAX_HEADER_BYTES = 64 * 1024  # of a long name or a pax header
_MAX_SIZE = 1 << 48
_REGULAR = b"0\0" + b"7"
_NO_DATA = b"123456"  # links, devices, folders: a size means nothing there
_LONG_NAME = b"L"
_PAX = b"x"


def is_header(block: bytes) -> bool:
    """Return whether block, of BLOCK_BYTES, begins a tar archive or a member of one."""
    if len(block) < BLOCK_BYTES or not block[0]:
        return False
    try:
        wanted = _number(block[148:156])
    except DocumentError:
        return False
    return wanted == sum(block[:148]) + sum(block[156:BLOCK_BYTES]) + 8 * ord(" ")


def tar_members(stream: Stream) -> Iterator[tuple[str, Section]]:
    """Yield name and content of the files in stream; each content is there until the next one.

    Raises:
        DocumentError: it is no tar archive, or a damaged one.
    """
    name, size = "", None
    while any(block := take(stream, BLOCK_BYTES)):
        if not is_header(block):
            raise DocumentError("The tar archive is damaged.")
        kind = block[156]
        section = Section(stream, 0 if kind in _NO_DATA else _number(block[124:136]))
        padding = -section.left_bytes % BLOCK_BYTES
        if kind in _LONG_NAME:
            name = _text(_header(section))
        elif kind in _PAX:
            name, size = _pax(_header(section), name, size)
        else:
            if size is not None and kind not in _NO_DATA:
                section = Section(stream, size)
                padding = -size % BLOCK_BYTES
            if kind in _REGULAR:
                yield name or _name(block), section
            name, size = "", None
        section.skip(section.left_bytes)
        stream.skip(padding)
    if len(block) < BLOCK_BYTES:
        raise DocumentError("The tar archive is cut off: get the file again.")


def _number(field: bytes) -> int:
    """Return the number in a header field: octal digits, or binary where the first bit is set."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big") & ((1 << 8 * len(field) - 1) - 1)
    else:
        digits = field.strip(b" \0")
        if digits.strip(b"01234567"):
            raise DocumentError("The tar archive is damaged: a number is none.")
        number = int(digits or b"0", 8)
    if number > _MAX_SIZE:
        raise DocumentError(f"The tar archive is damaged: it announces {number} bytes.")
    return number


def _name(block: bytes) -> str:
    """Return the name in a header; POSIX puts its beginning elsewhere if it is long."""
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    name = _text(block[:100])
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _header(section: Section) -> bytes:
    """Return the content of a member that describes the next one."""
    if section.left_bytes > _MAX_HEADER_BYTES:
        raise DocumentError(f"The tar archive has a header of {section.left_bytes} bytes.")
    return take(section, section.left_bytes)


def _pax(header: bytes, name: str, size: int | None) -> tuple[str, int | None]:
    """Return name and size as a pax header changes them. Its records are `LENGTH KEY=VALUE\\n`."""
    while header:
        digits = header.partition(b" ")[0]
        length = _decimal(digits)
        record = header[len(digits) + 1 : length]
        if length > len(header) or not record.endswith(b"\n"):
            raise DocumentError("The tar archive is damaged: a pax header cannot be read.")
        key, _, value = record[:-1].partition(b"=")
        if key == b"path":
            name = _text(value)
        elif key == b"size":
            size = _decimal(value)
        header = header[length:]
    return name, size


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 14:
        raise DocumentError("The tar archive is damaged: a pax header cannot be read.")
    return int(digits)
