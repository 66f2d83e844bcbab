# SPDX-License-Identifier: BSD-3-Clause
"""Boot loaders of several images in one file, as Google's factory packages have them.

Two layouts: `BOOTLDR!` (Nexus 4 to Pixel 2), and that of the Nexus 6P. Facts: releasetools.py of
these phones in AOSP, as the format descriptions of the Kaitai Struct project (CC0) put them down.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edl.errors import DocumentError

HEAD_BYTES = 8192  # holds the header of any of them

_MAGIC = b"BOOTLDR!"
_HEADER = struct.Struct("<8sIII")
_ENTRY = struct.Struct("<64sI")
_META_MAGIC = b"\x3c\xd6\x1a\xce"
_META = struct.Struct("<4sHH64sHH")
_META_ENTRY = struct.Struct("<72sII")
_MOST = 100


@dataclass(frozen=True)
class Part:
    """One image: name of its partition, and where it lies in the file, in bytes."""

    name: str
    offset: int
    size_bytes: int


def is_bootldr(head: bytes) -> bool:
    """Return whether a file that begins with head is such a container."""
    return head.startswith((_MAGIC, _META_MAGIC))


def read_bootldr(head: bytes, size_bytes: int, name: str) -> tuple[Part, ...]:
    """Return the images in the container called name. head: HEAD_BYTES of its size_bytes, or all.

    Raises:
        DocumentError: it is none, or damaged.
    """
    try:
        parts = _plain(head) if head.startswith(_MAGIC) else _meta(head)
    except struct.error as error:
        raise DocumentError(f"{name} is cut off: get the file again.") from error
    if not parts:
        raise DocumentError(f"{name} is no boot loader of several images, or an empty one.")
    for part in parts:
        if not part.name or part.offset + part.size_bytes > size_bytes:
            raise DocumentError(f"{name} is damaged: image '{part.name}' lies outside.")
    return parts


def _plain(head: bytes) -> tuple[Part, ...]:
    _, count, at, _ = _HEADER.unpack_from(head)
    parts = []
    for index in range(min(count, _MOST)):
        title, size = _ENTRY.unpack_from(head, _HEADER.size + index * _ENTRY.size)
        parts.append(Part(_text(title), at, size))
        at += size
    return tuple(parts)


def _meta(head: bytes) -> tuple[Part, ...]:
    magic, _, _, _, at, table_bytes = _META.unpack_from(head)
    if magic != _META_MAGIC:
        return ()
    parts = []
    for index in range(min(table_bytes // _META_ENTRY.size, _MOST)):
        title, offset, size = _META_ENTRY.unpack_from(head, at + index * _META_ENTRY.size)
        if offset and size:
            parts.append(Part(_text(title), offset, size))
    return tuple(parts)


def _text(field: bytes) -> str:
    text = field.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
