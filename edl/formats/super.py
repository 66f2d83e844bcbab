# SPDX-License-Identifier: BSD-3-Clause
"""What `super` holds: logical partitions, made of pieces of one or more ordinary partitions.

Facts: AOSP liblp, metadata_format.h, utility.cpp and reader.cpp. All numbers are little-endian, all
sectors have 512 bytes, whatever the storage counts in. A first block of 4096 bytes is left alone;
two copies of the geometry and all slots' metadata follow, then the same metadata as backup. A
`super_empty.img` is different: one geometry and one metadata, with nothing around them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Annotated, TypeVar

from edl.chunks import Content, read_all
from edl.errors import DocumentError
from edl.formats.texts import escaped
from edl.units import MIB
from edl.wire import OpenEnum, Packet, Wire, u16, u32, u64

SECTOR_BYTES = 512
GEOMETRY_MAGIC = b"gDla"
_RESERVED_BYTES = 4096
_GEOMETRY_BYTES = 4096
_METADATA_MAGIC = 0x414C5030
_MAJOR = 10
_NEWEST_MINOR = 2
_OLD_HEADER_BYTES = 128
_NEW_HEADER_BYTES = 256  # from version 10.2 on
_MAX_METADATA_BYTES = MIB  # 64 KiB are usual
_MAX_SLOTS = 64  # 2 or 3 are usual
_MAX_SECTORS = 1 << 31  # of a logical partition: 1 TiB
_SUFFIXES = "abcdefghijklmnopqrstuvwxyz"


class Attributes(IntFlag):
    """What is said about a logical partition."""

    READONLY = 1
    SLOT_SUFFIXED = 2  # its name is to be read with _a in slot 0 and _b in slot 1
    UPDATED = 4  # written by an update that is not merged yet
    DISABLED = 8


class ExtentKind(OpenEnum):
    """What a piece of a logical partition is."""

    LINEAR = 0
    ZERO = 1


class _Geometry(Packet):
    magic: Annotated[bytes, Wire("4s")]
    struct_bytes: u32
    checksum: Annotated[bytes, Wire("32s")]
    metadata_max_bytes: u32
    slots: u32
    block_bytes: u32


class _Header(Packet):
    magic: u32
    major: u16
    minor: u16
    header_bytes: u32
    checksum: Annotated[bytes, Wire("32s")]
    tables_bytes: u32
    tables_checksum: Annotated[bytes, Wire("32s")]
    tables: Annotated[bytes, Wire("48s")]


class _Table(Packet):
    offset: u32
    count: u32
    entry_bytes: u32


class _Partition(Packet):
    name: Annotated[bytes, Wire("36s")]
    attributes: u32
    first_extent: u32
    extents: u32
    group: u32


class Extent(Packet):
    """A piece of a logical partition; sectors have 512 bytes.

    start_sector, device: where it lies, if it is linear; device is an index.
    """

    sectors: u64
    kind: Annotated[ExtentKind, Wire("I")]
    start_sector: u64
    device: u32


class _Group(Packet):
    name: Annotated[bytes, Wire("36s")]
    flags: u32
    maximum_bytes: u64


class _Device(Packet):
    first_sector: u64
    alignment_bytes: u32
    alignment_offset_bytes: u32
    size_bytes: u64
    name: Annotated[bytes, Wire("36s")]
    flags: u32


@dataclass(frozen=True)
class Group:
    """Logical partitions that share an amount of room; maximum_bytes: 0 for no limit."""

    name: str
    maximum_bytes: int


@dataclass(frozen=True)
class Device:
    """An ordinary partition that logical ones lie on; the first one holds the metadata.

    first_sector: before it no logical partition lies.
    """

    name: str
    first_sector: int
    size_bytes: int


@dataclass(frozen=True)
class LogicalPartition:
    """One logical partition, as a slot has it; its name has the slot's suffix already."""

    name: str
    attributes: Attributes
    group: str
    extents: tuple[Extent, ...]

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        return sum(extent.sectors for extent in self.extents) * SECTOR_BYTES


@dataclass(frozen=True)
class Metadata:
    """One copy of one slot's tables.

    version: such as (10, 2). flags: 1 if the phone has virtual A/B, 2 if overlays are active.
    """

    version: tuple[int, int]
    flags: int
    partitions: tuple[LogicalPartition, ...]
    groups: tuple[Group, ...]
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class Slot:
    """Both copies of one slot's metadata; a copy that is not sound is None, and `problems` say why.

    number: slot 0 is used when the phone starts its slot a, slot 1 with slot b.
    """

    number: int
    primary: Metadata | None
    backup: Metadata | None
    problems: tuple[str, ...] = ()

    @property
    def best(self) -> Metadata | None:
        """The copy to go by."""
        return self.primary or self.backup


@dataclass(frozen=True)
class Super:
    """All metadata of a `super` partition.

    Attributes:
        metadata_max_bytes: room of one metadata.
        block_bytes: logical partitions are multiples of this.
        empty: it is a `super_empty.img`, which has no room for logical partitions.
        problems: what is wrong with the geometry; slots have their own.
    """

    metadata_max_bytes: int
    block_bytes: int
    slots: tuple[Slot, ...]
    empty: bool = False
    problems: tuple[str, ...] = field(default=())


def is_super(head: bytes) -> bool:
    """Return whether a partition that begins with head, 4100 bytes or more, is a `super`."""
    return head.startswith(GEOMETRY_MAGIC, _RESERVED_BYTES) or is_empty_super(head)


def is_empty_super(head: bytes) -> bool:
    """Return whether a file that begins with head is a `super_empty.img`."""
    return head.startswith(GEOMETRY_MAGIC)


def slots_of(geometry: bytes) -> int:
    """Return how many slots a geometry, its block, says there are.

    Raises:
        DocumentError: it is not sound.
    """
    return _geometry(geometry[: _Geometry.size()]).slots


def read(content: Content) -> Super:
    """Return the metadata in content, a whole `super` partition or a `super_empty.img`.

    Damaged copies are no error as long as one geometry is sound: see `problems`.

    Raises:
        DocumentError: there is no sound geometry.
        ImageError: content cannot be read.
    """
    if is_empty_super(_bytes(content, 0, len(GEOMETRY_MAGIC))):
        geometry = _geometry(_bytes(content, 0, _Geometry.size()))
        found, problem = _metadata(content, _GEOMETRY_BYTES, geometry, 0)
        told = [f"The metadata: {problem}."] if found is None else []
        slot = Slot(0, found, None, tuple(told))
        return Super(geometry.metadata_max_bytes, geometry.block_bytes, (slot,), empty=True)
    geometry, problems = _best_geometry(content)
    slots = tuple(_slot(content, geometry, number) for number in range(geometry.slots))
    return Super(geometry.metadata_max_bytes, geometry.block_bytes, slots, problems=problems)


def extent_problems(metadata: Metadata) -> Iterator[str]:
    """Yield what is wrong with where the logical partitions lie, as sentences.

    Names are what the image says, so nothing in them may drive a terminal.
    """
    yield from map(escaped, itertools.chain(_place_problems(metadata), _group_problems(metadata)))


def _place_problems(metadata: Metadata) -> Iterator[str]:
    spans: list[tuple[int, int, int, str]] = []
    for partition in metadata.partitions:
        for extent in partition.extents:
            if extent.kind is not ExtentKind.LINEAR:
                if not extent.kind.known:
                    yield f"'{partition.name}' has a piece of the unknown kind {extent.kind}."
                continue
            device = metadata.devices[extent.device]
            end = extent.start_sector + extent.sectors
            if extent.start_sector < device.first_sector or end * SECTOR_BYTES > device.size_bytes:
                yield f"'{partition.name}' does not lie within '{device.name}'."
            spans.append((extent.device, extent.start_sector, end, partition.name))
    spans.sort()
    for before, after in itertools.pairwise(spans):
        if before[0] == after[0] and after[1] < before[2]:
            yield f"'{after[3]}' overlaps '{before[3]}'."


def _group_problems(metadata: Metadata) -> Iterator[str]:
    used: dict[str, int] = {}
    for partition in metadata.partitions:
        used[partition.group] = used.get(partition.group, 0) + partition.size_bytes
    for group in metadata.groups:
        if 0 < group.maximum_bytes < used.get(group.name, 0):
            yield f"Group '{group.name}' is larger than the {group.maximum_bytes} bytes it may be."


def _bytes(content: Content, offset: int, length: int) -> bytes:
    """Return bytes of content; fewer at its end."""
    length = max(0, min(length, content.size_bytes - offset))
    return read_all(content, offset, length) if length else b""


# -- geometry --------------------------------------------------------------------------------------


def _best_geometry(content: Content) -> tuple[_Geometry, tuple[str, ...]]:
    """Return the first sound geometry, and what is wrong with the other."""
    found: list[_Geometry] = []
    problems: list[str] = []
    for name, at in (("first", _RESERVED_BYTES), ("second", _RESERVED_BYTES + _GEOMETRY_BYTES)):
        try:
            found.append(_geometry(_bytes(content, at, _Geometry.size())))
        except DocumentError as error:
            problems.append(f"The {name} copy of the geometry: {error.message}")
    if not found:
        raise DocumentError(problems[0])
    if found[0] != found[-1]:
        problems.append("The two copies of the geometry differ; the first one is used.")
    return found[0], tuple(problems)


def _geometry(raw: bytes) -> _Geometry:
    if not raw.startswith(GEOMETRY_MAGIC):
        raise DocumentError("There is none: the partition holds no logical partitions.")
    if len(raw) < _Geometry.size():
        raise DocumentError("It is cut off.")
    geometry = _Geometry.unpack(raw)
    sealed = dataclasses.replace(geometry, checksum=bytes(32)).pack()
    if geometry.struct_bytes != _Geometry.size():
        raise DocumentError(f"It has {geometry.struct_bytes} bytes, which is unknown.")
    if hashlib.sha256(sealed).digest() != geometry.checksum:
        raise DocumentError("Its checksum is wrong.")
    if not 0 < geometry.metadata_max_bytes <= _MAX_METADATA_BYTES or (
        geometry.metadata_max_bytes % SECTOR_BYTES
    ):
        raise DocumentError(f"It has {geometry.metadata_max_bytes} bytes for metadata.")
    if not 0 < geometry.slots <= _MAX_SLOTS:
        raise DocumentError(f"It has {geometry.slots} slots.")
    return geometry


# -- metadata --------------------------------------------------------------------------------------


def _slot(content: Content, geometry: _Geometry, number: int) -> Slot:
    room = geometry.metadata_max_bytes
    start = _RESERVED_BYTES + 2 * _GEOMETRY_BYTES
    copies: list[Metadata | None] = []
    problems: list[str] = []
    for name, index in (("primary", number), ("backup", geometry.slots + number)):
        found, problem = _metadata(content, start + index * room, geometry, number)
        copies.append(found)
        if found is None:
            problems.append(f"The {name} metadata of slot {number}: {problem}.")
    primary, backup = copies
    if primary is not None and backup is not None and primary != backup:
        problems.append(f"The two copies of slot {number} differ; the primary one is used.")
    return Slot(number, primary, backup, tuple(problems))


def _metadata(
    content: Content, offset: int, geometry: _Geometry, slot: int
) -> tuple[Metadata | None, str]:
    """Return the metadata at offset, or why there is none."""
    raw = _bytes(content, offset, geometry.metadata_max_bytes)
    if raw and not any(raw):
        return None, "it is blank"
    try:
        header, flags = _header(raw)
        return _Tables(raw, header).metadata(flags, slot), ""
    except _BadError as error:
        return None, str(error)


class _BadError(Exception):
    """Metadata is not sound."""


def _header(raw: bytes) -> tuple[_Header, int]:
    """Return the header and its flags; raw holds all that it declares."""
    if len(raw) < _OLD_HEADER_BYTES:
        raise _BadError("it is cut off")
    header = _Header.unpack(raw[:_OLD_HEADER_BYTES])
    if header.magic != _METADATA_MAGIC:
        raise _BadError("its magic is missing")
    if header.major != _MAJOR or header.minor > _NEWEST_MINOR:
        raise _BadError(f"its version {header.major}.{header.minor} is unknown")
    new = header.minor >= _NEWEST_MINOR
    if header.header_bytes != (_NEW_HEADER_BYTES if new else _OLD_HEADER_BYTES):
        raise _BadError(f"its header has {header.header_bytes} bytes, which is unknown")
    if header.header_bytes + header.tables_bytes > len(raw):
        raise _BadError("its tables are cut off")
    blank = dataclasses.replace(header, checksum=bytes(32)).pack()
    whole = blank + raw[_OLD_HEADER_BYTES : header.header_bytes]
    if hashlib.sha256(whole).digest() != header.checksum:
        raise _BadError("the checksum of its header is wrong")
    return header, int.from_bytes(whole[_OLD_HEADER_BYTES : _OLD_HEADER_BYTES + 4], "little")


_Entry = TypeVar("_Entry", bound=Packet)


class _Tables:
    """The four tables behind a header."""

    def __init__(self, raw: bytes, header: _Header) -> None:
        self._header = header
        self._raw = raw[header.header_bytes : header.header_bytes + header.tables_bytes]
        if hashlib.sha256(self._raw).digest() != header.tables_checksum:
            raise _BadError("the checksum of its tables is wrong")

    def metadata(self, flags: int, slot: int) -> Metadata:
        """Return what the tables say to slot."""
        extents = self._rows(1, Extent)
        groups = [Group(_named(g.name, g.flags & 1, slot), g.maximum_bytes)
                  for g in self._rows(2, _Group)]  # fmt: skip
        devices = [Device(_named(d.name, d.flags & 1, slot), d.first_sector, d.size_bytes)
                   for d in self._rows(3, _Device)]  # fmt: skip
        rows = self._rows(0, _Partition)
        if not devices:
            raise _BadError("it names no partition to lie on")
        if any(e.kind is ExtentKind.LINEAR and e.device >= len(devices) for e in extents):
            raise _BadError("a piece lies on a partition that is not there")
        if sum(row.extents for row in rows) > len(extents):
            raise _BadError("its partitions have more pieces than there are")
        version = (self._header.major, self._header.minor)
        partitions = tuple(_logical(row, extents, groups, slot) for row in rows)
        return Metadata(version, flags, partitions, tuple(groups), tuple(devices))

    def _rows(self, number: int, kind: type[_Entry]) -> list[_Entry]:
        at = number * _Table.size()
        table = _Table.unpack(self._header.tables[at : at + _Table.size()])
        size = kind.size()
        if table.entry_bytes != size:
            raise _BadError(f"its rows have {table.entry_bytes} bytes where {size} belong")
        if table.offset + table.count * size > len(self._raw):
            raise _BadError("a table goes beyond its end")
        end = table.offset + table.count * size
        return [kind.unpack(self._raw[i : i + size]) for i in range(table.offset, end, size)]


def _logical(
    row: _Partition, extents: Sequence[Extent], groups: Sequence[Group], slot: int
) -> LogicalPartition:
    pieces = tuple(extents[row.first_extent : row.first_extent + row.extents])
    if len(pieces) != row.extents or row.group >= len(groups):
        raise _BadError("a partition names pieces or a group that are not there")
    if sum(piece.sectors for piece in pieces) > _MAX_SECTORS:
        raise _BadError("a partition is larger than any storage")
    attributes = Attributes(row.attributes)
    name = _named(row.name, attributes & Attributes.SLOT_SUFFIXED, slot)
    return LogicalPartition(name, attributes, groups[row.group].name, pieces)


def _named(raw: bytes, suffixed: int, slot: int) -> str:
    name = raw.partition(b"\0")[0].decode("ascii", "replace")
    return f"{name}_{_SUFFIXES[slot % len(_SUFFIXES)]}" if suffixed else name
