# SPDX-License-Identifier: BSD-3-Clause
"""Containers of FIH (Nokia, Sharp): nb0, files one behind the other with a table in front.

Facts: the Kaitai description of the format (CC0) and nb0-unpack (H. Jabalpuri), which agree. A
number of files; for each 64 bytes: place and size, their upper halves, a name. Places count from
the end of the table. All numbers are little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edl.chunks import Content, read_all
from edl.errors import DocumentError
from edl.formats.texts import field
from edl.wire import Packet, Wire, u32

HEAD_BYTES = 4 + 64
_MAX_FILES = 4096


class _Entry(Packet):
    low_offset: u32
    low_size: u32
    high_offset: u32
    high_size: u32
    name: Annotated[bytes, Wire("48s")]


@dataclass(frozen=True)
class Member:
    """A file: where it lies in the container."""

    name: str
    offset: int
    size_bytes: int


def is_nb0(head: bytes, size_bytes: int) -> bool:
    """Return whether a file of size_bytes that begins with head can be such a container."""
    if len(head) < HEAD_BYTES:
        return False
    count = int.from_bytes(head[:4], "little")
    first = _Entry.unpack(head[4:HEAD_BYTES])
    name = first.name.rstrip(b"\0")
    plausible = bool(name) and name.isascii() and name.decode().isprintable() and b"." in name
    return (
        0 < count <= _MAX_FILES
        and first.low_offset == 0 == first.high_offset
        and plausible
        and (4 + count * _Entry.size() + (first.high_size << 32) + first.low_size <= size_bytes)
    )


def members(content: Content) -> tuple[Member, ...]:
    """Return the files in content.

    Raises:
        DocumentError: it is no such container, or is cut off.
    """
    count = int.from_bytes(read_all(content, 0, min(4, content.size_bytes)), "little")
    start = 4 + count * _Entry.size()
    if not 0 < count <= _MAX_FILES or start > content.size_bytes:
        raise DocumentError("The file has no table of files as nb0 has it.")
    table = read_all(content, 4, start - 4)
    found: list[Member] = []
    for at in range(0, len(table), _Entry.size()):
        entry = _Entry.unpack(table[at : at + _Entry.size()])
        offset = start + (entry.high_offset << 32 | entry.low_offset)
        size = entry.high_size << 32 | entry.low_size
        name = field(entry.name)
        if offset + size > content.size_bytes:
            raise DocumentError(f"It is cut off: {name or 'a file'} should end at {offset + size}.")
        found.append(Member(name, offset, size))
    return tuple(found)
