# SPDX-License-Identifier: BSD-3-Clause
"""The first part of a `super` made anew: of a `super_empty.img`, or with partitions of other sizes.

Facts: AOSP liblp, builder.cpp, images.cpp and writer.cpp. Groups, devices and flags stay byte for
byte as they are in the metadata that it is made from; only partitions and their pieces change.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edl.chunks import Content, read_all
from edl.errors import DocumentError, ImageError
from edl.formats import super as lp
from edl.formats.super import SECTOR_BYTES, Attributes, ExtentKind, Metadata, Slot, Super
from edl.units import MIB

_RESERVED_BYTES = 4096
_GEOMETRY_BYTES = 4096
METADATA_AT = _RESERVED_BYTES + 2 * _GEOMETRY_BYTES
_ALIGNMENT = MIB // SECTOR_BYTES  # as AOSP does where the storage asks for nothing else
_SUFFIXED = 1  # of groups and devices
_HEADER_AT = 12  # where its checksum lies, what follows, and where the tables are described
_TABLES_AT = 44
_DESCRIPTORS_AT = 80
_DESCRIPTOR = struct.Struct("<III")
_NAME_BYTES = 36
_DEVICE_FLAGS_AT = 60
_PARTITION = struct.Struct("<36sIIII")
_EXTENT = struct.Struct("<QIQI")


@dataclass(frozen=True)
class Wanted:
    """A logical partition as it is to be. group: by its name in the metadata."""

    name: str
    group: str
    size_bytes: int


@dataclass(frozen=True)
class Placed:
    """Where a wanted partition lies. runs: (first sector, sectors) of 512 bytes in `super`."""

    wanted: Wanted
    runs: tuple[tuple[int, int], ...]


def read_raw(content: Content, found: Super, slot: Slot) -> bytes:
    """Return the metadata to go by of slot, from content where found was read.

    Raises:
        DocumentError: no copy is sound.
        ImageError: content cannot be read.
    """
    if slot.best is None:
        raise DocumentError("; ".join(slot.problems) or "There is no metadata.")
    room = found.metadata_max_bytes
    index = slot.number if slot.primary is not None else len(found.slots) + slot.number
    at = _GEOMETRY_BYTES if found.empty else METADATA_AT + index * room
    return read_all(content, at, min(room, content.size_bytes - at))


def geometry_of(content: Content) -> bytes:
    """Return the sound geometry of content, a `super` or a `super_empty.img`.

    Raises:
        DocumentError: there is none.
    """
    for at in (0, _RESERVED_BYTES, _RESERVED_BYTES + _GEOMETRY_BYTES):
        if content.size_bytes < at + _GEOMETRY_BYTES:
            break
        raw = read_all(content, at, _GEOMETRY_BYTES)
        with contextlib.suppress(DocumentError):
            lp.slots_of(raw)
            return raw
    raise DocumentError("There is no sound geometry of logical partitions.")


def head(geometry: bytes, found: Super, slots: int, metadata: bytes) -> bytes:
    """Return the beginning of a `super`, with metadata in all its slots and their backups.

    Raises:
        DocumentError: metadata is larger than its room.
    """
    room = found.metadata_max_bytes
    if len(metadata.rstrip(b"\0")) > room:
        raise DocumentError(f"The metadata take more than their {room} bytes.")
    each = metadata[:room].ljust(room, b"\0")
    return bytes(_RESERVED_BYTES) + geometry * 2 + each * (2 * slots)


def expanded(content: Content) -> bytes:
    """Return the beginning of the `super` that the `super_empty.img` in content stands for.

    Raises:
        DocumentError: it is none, or damaged.
        ImageError: it cannot be read.
    """
    found = lp.read(content)
    if not found.empty:
        raise DocumentError("It is no super_empty.img.")
    geometry = geometry_of(content)
    raw = read_raw(content, found, found.slots[0])
    return head(geometry, found, lp.slots_of(geometry), raw)


def require_plain(raw: bytes, metadata: Metadata) -> None:
    """Make sure that metadata, which is in raw, can be laid out anew.

    Raises:
        ImageError: logical partitions lie on several partitions, or names get a slot when read.
    """
    if len(metadata.devices) != 1:
        raise ImageError("Logical partitions lie on several partitions of this phone.")
    tables = _Raw(raw)
    flags = [row[_NAME_BYTES] for row in tables.rows(2)]
    flags += [row[_DEVICE_FLAGS_AT] for row in tables.rows(3)]
    if any(flag & _SUFFIXED for flag in flags):
        raise ImageError("Groups of this phone's logical partitions have no names of their own.")


def free_runs(
    metadata: Metadata, taken: Iterable[tuple[int, int]] = ()
) -> Iterator[tuple[int, int]]:
    """Yield where partitions can lie: (first sector, end), but not in taken, aligned to 1 MiB."""
    device = metadata.devices[0]
    at = -(-device.first_sector // _ALIGNMENT) * _ALIGNMENT
    end = device.size_bytes // SECTOR_BYTES
    for first, behind in sorted(taken):
        if at < min(first, end):
            yield at, min(first, end)
        at = max(at, -(-behind // _ALIGNMENT) * _ALIGNMENT)
    if at < end:
        yield at, end


def lay_out(
    metadata: Metadata, wanted: Sequence[Wanted], block_bytes: int, taken: Iterable[tuple[int, int]]
) -> tuple[Placed, ...]:
    """Return where wanted partitions lie, one behind the other, in several pieces if need be.

    taken: (first sector, end) where others lie.

    Raises:
        ImageError: they do not fit into `super`, or not into their group.
    """
    sizes: dict[str, int] = {}
    for each in wanted:
        sizes[each.group] = sizes.get(each.group, 0) + _rounded(each.size_bytes, block_bytes)
    for group in metadata.groups:
        if 0 < group.maximum_bytes < sizes.get(group.name, 0):
            raise ImageError(
                f"Together they have {sizes[group.name]} bytes, and group '{group.name}' of this"
                f" phone may have {group.maximum_bytes}."
            )
    free = list(free_runs(metadata, taken))
    placed = []
    for each in wanted:
        left = _rounded(each.size_bytes, block_bytes) // SECTOR_BYTES
        runs = []
        while left:
            if not free:
                raise ImageError("Together they do not fit into 'super' of this phone.")
            first, end = free.pop(0)
            count = min(left, end - first)
            runs.append((first, count))
            left -= count
            rest = -(-(first + count) // _ALIGNMENT) * _ALIGNMENT
            if rest < end:
                free.insert(0, (rest, end))
        placed.append(Placed(each, tuple(runs)))
    return tuple(placed)


def _rounded(size_bytes: int, block_bytes: int) -> int:
    return -(-size_bytes // block_bytes) * block_bytes


def relaid(raw: bytes, metadata: Metadata, placed: Sequence[Placed]) -> bytes:
    """Return the metadata in raw with placed partitions instead of all that it has.

    metadata: what raw says, without suffixes of its own (see require_plain).

    Raises:
        DocumentError: a name is too long.
    """
    groups = [group.name for group in metadata.groups]
    partitions, extents = bytearray(), bytearray()
    count = 0
    for each in placed:
        name = each.wanted.name.encode()
        if len(name) > _NAME_BYTES:
            raise DocumentError(f"The name '{each.wanted.name}' is too long.")
        group = groups.index(each.wanted.group)
        partitions += _PARTITION.pack(name, Attributes.READONLY, count, len(each.runs), group)
        for first, sectors in each.runs:
            extents += _EXTENT.pack(sectors, ExtentKind.LINEAR, first, 0)
        count += len(each.runs)
    return _Raw(raw).rebuilt(bytes(partitions), bytes(extents))


class _Raw:
    """Metadata as bytes, with its four tables."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._header_bytes = int.from_bytes(raw[8:12], "little")

    def rows(self, number: int) -> list[bytes]:
        """Return the rows of a table: 0 partitions, 1 extents, 2 groups, 3 devices."""
        at, count, size = _DESCRIPTOR.unpack_from(self._raw, _DESCRIPTORS_AT + 12 * number)
        at += self._header_bytes
        return [self._raw[at + index * size : at + (index + 1) * size] for index in range(count)]

    def rebuilt(self, partitions: bytes, extents: bytes) -> bytes:
        """Return the same with other partitions and extents, and right checksums."""
        tables = (partitions, extents, b"".join(self.rows(2)), b"".join(self.rows(3)))
        header = bytearray(self._raw[: self._header_bytes])
        at = 0
        for number, table in enumerate(tables):
            place = _DESCRIPTORS_AT + 12 * number
            _, _, size = _DESCRIPTOR.unpack_from(header, place)
            _DESCRIPTOR.pack_into(header, place, at, len(table) // size, size)
            at += len(table)
        body = b"".join(tables)
        struct.pack_into("<I32s", header, _TABLES_AT, len(body), hashlib.sha256(body).digest())
        header[_HEADER_AT : _HEADER_AT + 32] = bytes(32)
        header[_HEADER_AT : _HEADER_AT + 32] = hashlib.sha256(header).digest()
        return bytes(header) + body
