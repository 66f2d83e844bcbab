# SPDX-License-Identifier: BSD-3-Clause
"""Frames of Streaming Download and DMSS Download: HDLC-like, as DIAG has them too.

A frame is its payload, the CRC-16/X-25 of the payload (little-endian), and 0x7E; 0x7E and 0x7D are
escaped in both, after the CRC was made. A 0x7E in front is allowed, and an empty frame is padding.
Facts: forth32/qtools and openpst agree; the check value of CRC-16/X-25 is that of its definition.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

FLAG = 0x7E
_ESCAPE = 0x7D
_FLIP = 0x20
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_CRC_BYTES = 2
MAX_FRAME_BYTES = 8192  # escaped; the largest answer known has 1024 bytes of data


@dataclass(frozen=True)
class Frame:
    """One frame without flags and escapes.

    payload: without the CRC, as far as the frame has room for one. intact: its CRC is right. whole:
    all bytes: some loaders put no CRC at the end.
    """

    payload: bytes
    intact: bool
    whole: bytes


def crc16(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-16/X-25 of data.

    It is the CRC of XMODEM's polynomial with the bits of everything reversed, which Python has.
    """
    crc = binascii.crc_hqx(bytes(data).translate(_REVERSED), 0xFFFF)
    high, low = crc >> 8, crc & 0xFF
    return (_REVERSED[low] << 8 | _REVERSED[high]) ^ 0xFFFF


def encode(payload: bytes | bytearray | memoryview) -> bytes:
    """Return the frame of payload, with a flag at both ends.

    The one in front ends whatever half a frame the phone may still hold.
    """
    data = bytes(payload) + crc16(payload).to_bytes(_CRC_BYTES, "little")
    data = data.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return b"\x7e" + data + b"\x7e"


class Unframer:
    """Takes bytes in any pieces, and gives frames.

    What is no frame gives one that is not intact; it never raises. Bytes without end and without a
    flag are forgotten beyond MAX_FRAME_BYTES.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0  # bytes of it that hold no flag
        self._overlong = False

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes that arrived."""
        self._bytes += data

    def leftover(self) -> bytes:
        """Return and forget what no frame has used yet."""
        rest = bytes(self._bytes)
        self._bytes.clear()
        self._searched = 0
        self._overlong = False
        return rest

    def next_frame(self) -> Frame | None:
        """Return the next frame, or None if it takes more bytes."""
        while (end := self._bytes.find(FLAG, self._searched)) >= 0:
            escaped = bytes(self._bytes[:end])
            del self._bytes[: end + 1]
            self._searched = 0
            overlong, self._overlong = self._overlong, False
            if escaped or overlong:
                return _frame(escaped, damaged=overlong or len(escaped) > MAX_FRAME_BYTES)
        if len(self._bytes) > MAX_FRAME_BYTES:
            self._bytes.clear()
            self._overlong = True
        self._searched = len(self._bytes)
        return None


def _frame(escaped: bytes, *, damaged: bool) -> Frame:
    head, *parts = escaped.split(bytes((_ESCAPE,)))
    data = bytearray(head)
    for part in parts:
        damaged |= not part  # an escape before a flag, or two of them
        data += bytes(part[:1]).translate(_FLIPPED) + part[1:]
    payload, crc = bytes(data[:-_CRC_BYTES]), bytes(data[-_CRC_BYTES:])
    intact = bool(payload) and not damaged and crc16(payload).to_bytes(2, "little") == crc
    return Frame(payload, intact, bytes(data))


_FLIPPED = bytes(value ^ _FLIP for value in range(256))
