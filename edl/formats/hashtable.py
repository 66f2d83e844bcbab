# SPDX-License-Identifier: BSD-3-Clause
"""The hash table of a signed ELF image: one digest for each program header, in their order.

Which segments have zeros in place of a digest: coreboot util/qualcomm/mbn_tools.py, and what 1008
real images have.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edl.formats.elf import Elf, Segment, SegmentKind

_DIGESTS = {20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
_UNHASHED = {3, 4}  # bits 21 to 23 of p_flags: not used, shared


@dataclass(frozen=True)
class Checked:
    """What a hash table is worth.

    digest: its algorithm, None if that cannot be told. bad_segments: numbers of those that differ
    from their hash. problems: in words.
    """

    digest: str | None
    bad_segments: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()


def check_table(view: memoryview, image: Elf, table: bytes) -> Checked:
    """Compare the segments of image, at the start of view, with their hashes in table."""
    count = len(image.segments)
    digest = _algorithm(view, image, table)
    size = next((size for size, name in _DIGESTS.items() if name == digest), 0)
    problems: list[str] = []
    if len(table) != count * size:
        problems = [f"A hash table of {len(table)} bytes does not fit {count} segments."]
    if digest is None:
        return Checked(None, (), tuple(problems))
    if sum(segment.file_bytes for segment in image.segments) > 2 * len(view):
        problems.append("Its segments overlap, or reach far beyond the end of the file.")
        return Checked(digest, (), tuple(problems))
    rows = [table[start : start + size] for start in range(0, len(table) - size + 1, size)]
    bad = [
        index
        for index, (segment, row) in enumerate(zip(image.segments, rows, strict=False))
        if index != image.hash_index and not _fits(view, image, segment, row, digest)
    ]
    if bad:
        problems.append(f"Segments that differ from their hash: {', '.join(map(str, bad))}.")
    return Checked(digest, tuple(bad), tuple(problems))


def _algorithm(view: memoryview, image: Elf, table: bytes) -> str | None:
    """Return the algorithm: the size of an entry tells it, else the entry of the headers."""
    size, rest = divmod(len(table), len(image.segments))
    if not rest and size in _DIGESTS:
        return _DIGESTS[size]
    headers = view[: image.signed_header_bytes]
    names = _DIGESTS.values()
    return next((name for name in names if table.startswith(_hash(name, headers))), None)


def _fits(view: memoryview, image: Elf, segment: Segment, row: bytes, digest: str) -> bool:
    """Return whether row is the entry of segment."""
    if not any(row) and (not segment.file_bytes or segment.access in _UNHASHED):
        return True
    start, end = segment.offset, segment.end
    if segment.kind is SegmentKind.HEADERS:
        start, end = 0, image.signed_header_bytes
    return _hash(digest, view[start:end]) == row


def _hash(name: str, data: memoryview) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()
