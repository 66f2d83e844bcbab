# SPDX-License-Identifier: BSD-3-Clause
"""A writer of `super` metadata by AOSP's metadata_format.h, for tests.

tests/peers/test_lp.py has AOSP's own code read what comes out of it.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

SECTOR = 512
Piece = tuple[int, int, int, int]  # sectors, kind, first sector, device


@dataclass
class Layout:
    """What a slot's metadata says.

    partitions: name, attributes, group, pieces. groups: name, flags, largest size. devices: first
    sector, size, name, flags.
    """

    partitions: list[tuple[str, int, int, list[Piece]]] = field(default_factory=list)
    groups: list[tuple[str, int, int]] = field(default_factory=lambda: [("default", 0, 0)])
    devices: list[tuple[int, int, str, int]] = field(
        default_factory=lambda: [(2048, 8 << 20, "super", 0)]
    )
    minor: int = 0
    flags: int = 0
    extra: list[Piece] = field(default_factory=list)


def two_slots(minor: int = 0) -> Layout:
    """Return a usual layout: 1 MiB system_a in two pieces, vendor_a, an empty system_b."""
    return Layout(
        [
            ("system_a", 1, 1, [(1024, 0, 2048, 0), (1024, 0, 6144, 0)]),
            ("vendor_a", 1, 1, [(512, 0, 3072, 0), (64, 1, 0, 0)]),
            ("system_b", 1, 2, []),
        ],
        [("default", 0, 0), ("main_a", 0, 4 << 20), ("main_b", 0, 4 << 20)],
        minor=minor,
    )


def geometry(room: int = 65536, slots: int = 2, block: int = 4096, struct_bytes: int = 52) -> bytes:
    """Return a geometry with its checksum, padded to its 4096 bytes."""

    def packed(checksum: bytes) -> bytes:
        return struct.pack("<4sI32sIII", b"gDla", struct_bytes, checksum, room, slots, block)

    return packed(hashlib.sha256(packed(bytes(32))).digest()).ljust(4096, b"\0")


def metadata(layout: Layout, **changed: int) -> bytes:
    """Return metadata with its checksums. changed: other values of the header's fields."""
    pieces = [piece for *_, own in layout.partitions for piece in own]
    firsts = [
        sum(len(own) for *_, own in layout.partitions[:index])
        for index in range(len(layout.partitions))
    ]
    tables = [
        b"".join(
            struct.pack("<36sIIII", name.encode(), attributes, first, len(own), group)
            for (name, attributes, group, own), first in zip(layout.partitions, firsts, strict=True)
        ),
        b"".join(struct.pack("<QIQI", *piece) for piece in pieces + layout.extra),
        b"".join(
            struct.pack("<36sIQ", n.encode(), flags, most) for n, flags, most in layout.groups
        ),
        b"".join(
            struct.pack("<QIIQ36sI", first, 1 << 20, 0, size, name.encode(), flags)
            for first, size, name, flags in layout.devices
        ),
    ]
    sizes = (changed.get("partition_bytes", 52), 24, 48, 64)
    body = b"".join(tables)
    rows, at = b"", 0
    for table, size, true in zip(tables, sizes, (52, 24, 48, 64), strict=True):
        rows += struct.pack("<III", at + changed.get("shift", 0), len(table) // true, size)
        at += len(table)
    return sealed(layout, body, rows, **changed)


def sealed(layout: Layout, body: bytes, rows: bytes, **changed: int) -> bytes:
    """Return a header with checksums for body, and body."""
    new = layout.minor >= 2
    size = changed.get("header_bytes", 256 if new else 128)

    def header(checksum: bytes) -> bytes:
        start = struct.pack(
            "<IHHI32sI32s",
            changed.get("magic", 0x414C5030),
            changed.get("major", 10),
            layout.minor,
            size,
            checksum,
            changed.get("tables_bytes", len(body)),
            hashlib.sha256(body).digest(),
        )
        return start + rows + (struct.pack("<I", layout.flags) + bytes(124) if new else b"")

    return header(hashlib.sha256(header(bytes(32))).digest()) + body


def super_image(
    *layouts: Layout, size: int = 8 << 20, room: int = 65536, data: dict[int, bytes] | None = None
) -> bytearray:
    """Return a `super` of size bytes with a slot a layout. data: by its first sector."""
    image = bytearray(size)
    image[4096:12288] = geometry(room, len(layouts)) * 2
    for index, layout in enumerate(layouts + layouts):
        raw = metadata(layout)
        at = 12288 + index * room
        image[at : at + len(raw)] = raw
    for sector, piece in (data or {}).items():
        image[sector * SECTOR : sector * SECTOR + len(piece)] = piece
    return image


def empty_image(layout: Layout, room: int = 65536, slots: int = 2) -> bytes:
    """Return a super_empty.img."""
    return geometry(room, slots) + metadata(layout)
