# SPDX-License-Identifier: BSD-3-Clause
"""Intel HEX files: the form of old programmers (MPRG*.HEX), bytes with their places in memory.

Records: 00 data, 01 end, 02 segment (times 16), 03 start (CS:IP), 04 upper address, 05 start.
Source: Intel's Hexadecimal Object File Format Specification, revision A.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edl.errors import DocumentError

MAX_BYTES = 16 * 1024 * 1024  # of a file; programmers have some 100 KiB
_RECORD = re.compile(rb":([0-9A-Fa-f]{10,520})\s*")
_HEAD = re.compile(rb"\s{0,16}:[0-9A-Fa-f]{8}")
_KINDS = {1: 0, 2: 2, 3: 4, 4: 2, 5: 4}  # bytes of the records that are not data


@dataclass(frozen=True)
class Program:
    """What goes where in memory. segments: address and bytes. entry: None if it is not told."""

    segments: tuple[tuple[int, bytes], ...]
    entry: int | None


def looks_like_hex(head: bytes) -> bool:
    """Tell whether a file that begins with head, 32 bytes or more, is in this form."""
    return _HEAD.match(head) is not None


def read_hex(data: bytes) -> Program:
    """Return the program in data.

    Raises:
        DocumentError: data is no such file, is damaged or incomplete.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(
            f"An Intel HEX file of {len(data)} bytes is too large for a programmer."
        )
    base, entry = 0, None
    segments: list[tuple[int, bytearray]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        kind, address, body = _record(line, number)
        match kind:
            case 0:
                _add(segments, base + address, body)
            case 1:
                if not segments:
                    raise DocumentError("The Intel HEX file holds no data.")
                return Program(tuple((at, bytes(piece)) for at, piece in segments), entry)
            case 2:
                base = int.from_bytes(body, "big") << 4
            case 3:
                entry = (int.from_bytes(body[:2], "big") << 4) + int.from_bytes(body[2:], "big")
            case 4:
                base = int.from_bytes(body, "big") << 16
            case _:
                entry = int.from_bytes(body, "big")
    raise DocumentError("The Intel HEX file has no end: it is cut off.")


def _record(line: bytes, number: int) -> tuple[int, int, bytes]:
    """Return kind, address and body of a record.

    Raises:
        DocumentError: it is none, or damaged.
    """
    match = _RECORD.fullmatch(line)
    raw = bytes.fromhex(match[1].decode()) if match and len(match[1]) % 2 == 0 else b""
    if len(raw) < 5 or len(raw) != raw[0] + 5:
        raise DocumentError(f"Line {number} of the Intel HEX file is no record.")
    if sum(raw) & 0xFF:
        raise DocumentError(f"Line {number} of the Intel HEX file is damaged: its sum is wrong.")
    kind, body = raw[3], raw[4:-1]
    if kind and _KINDS.get(kind) != len(body):
        raise DocumentError(f"Line {number} of the Intel HEX file is of no known kind.")
    return kind, int.from_bytes(raw[1:3], "big"), body


def _add(segments: list[tuple[int, bytearray]], address: int, body: bytes) -> None:
    """Put body to the last segment if it follows that, else begin another."""
    if segments and segments[-1][0] + len(segments[-1][1]) == address:
        segments[-1][1].extend(body)
    elif body:
        segments.append((address, bytearray(body)))
