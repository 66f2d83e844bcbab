# SPDX-License-Identifier: BSD-3-Clause
"""Minidumps of Linux kernels: the regions of a crash dump put together to one ELF core.

A kernel with the minidump backend registers some of its memory with the firmware. One region is
the head of an ELF core: header, program headers, and the beginning of its notes. Each PT_LOAD of it
says at which physical address its bytes lie (that is how a region is found) and where in the file
they belong. One region has no PT_LOAD: vmcoreinfo, the rest of the notes, which follows the head.
Upstream calls the head md_KELF (linux-msm/qdl sahara.c, sahara_build_minidump_elf), Qualcomm's
kernels md_KELF_HEADER or md_KELF_HDR (their linux-ramdump-parser-v2).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from edl.errors import DocumentError

HEAD_PREFIX = "md_kelf"
PART_PREFIX = "md_k"
MAX_HEAD_BYTES = 1 << 20

_MAX_BYTES = 1 << 32  # of a minidump; real ones have some MiB
_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_HEADER = struct.Struct("<16s2HI3QI6H")
_ROW = struct.Struct("<2I6Q")
_CORE, _LOAD, _NOTE = 4, 1, 4


@dataclass(frozen=True)
class Part:
    """A region that may belong to the minidump. number: whatever its owner knows it by."""

    number: int
    name: str
    address: int
    size_bytes: int


@dataclass(frozen=True)
class Placed:
    """Where in the ELF file the first size_bytes bytes of a part go."""

    number: int
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Minidump:
    """An ELF core to be written. missing: PT_LOADs whose region is not there, as addresses."""

    size_bytes: int
    placed: tuple[Placed, ...]
    missing: tuple[int, ...]


def find_head(parts: Sequence[Part]) -> Part | None:
    """Return the part that is the head of a minidump, or None if there is no minidump."""
    return next((part for part in parts if part.name.lower().startswith(HEAD_PREFIX)), None)


def arrange(head: Part, data: bytes, parts: Sequence[Part]) -> Minidump:
    """Return where everything goes. data: the bytes of head. parts: all that there are.

    Raises:
        DocumentError: head is none, or what it describes contradicts itself.
    """
    rows = _rows(data)
    loads = [row for row in rows if row.kind == _LOAD]
    others = [part for part in parts if part.number != head.number]
    placed = [Placed(head.number, 0, len(data))]
    notes = _notes(rows, loads, len(data), others)
    if notes is not None:
        placed.append(notes)
    missing = []
    for row in loads:
        part = next((part for part in others if part.address == row.address), None)
        if part is None:
            missing.append(row.address)
        else:
            placed.append(Placed(part.number, row.offset, min(part.size_bytes, row.size_bytes)))
    size = max([len(data), *(row.offset + row.size_bytes for row in rows)])
    _check(placed, size)
    return Minidump(size, tuple(placed), tuple(missing))


@dataclass(frozen=True)
class _Row:
    kind: int
    offset: int
    address: int
    size_bytes: int


def _rows(data: bytes) -> list[_Row]:
    """Return the program headers of the head of an ELF core."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise DocumentError("The head of the minidump is no ELF file of 64 bits.")
    _, kind, _, _, _, start, _, _, _, size, count, _, _, _ = _HEADER.unpack_from(data)
    if kind != _CORE or size != _ROW.size or start + count * size > len(data):
        raise DocumentError("The head of the minidump is no ELF core.")
    rows = (_ROW.unpack_from(data, start + index * size) for index in range(count))
    return [_Row(row[0], row[2], row[4], row[5]) for row in rows]


def _notes(
    rows: Sequence[_Row], loads: Sequence[_Row], head_bytes: int, parts: Sequence[Part]
) -> Placed | None:
    """Return where the part goes that has no PT_LOAD: the notes behind the head."""
    addresses = {row.address for row in loads}
    lonely = [part for part in parts if part.name.lower().startswith(PART_PREFIX)]
    lonely = [part for part in lonely if part.address not in addresses]
    room = max((row.offset + row.size_bytes for row in rows if row.kind == _NOTE), default=0)
    if not lonely or room <= head_bytes:
        return None
    return Placed(lonely[0].number, head_bytes, min(lonely[0].size_bytes, room - head_bytes))


def _check(placed: Sequence[Placed], size_bytes: int) -> None:
    """Make sure that the parts fit together.

    Raises:
        DocumentError: they do not.
    """
    if size_bytes > _MAX_BYTES:
        raise DocumentError(f"The minidump says that it has {size_bytes} bytes.")
    end = 0
    for part in sorted(placed, key=lambda part: part.offset):
        if part.offset < end:
            raise DocumentError("Two parts of the minidump lie at the same place.")
        end = part.offset + part.size_bytes
