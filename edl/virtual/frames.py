# SPDX-License-Identifier: BSD-3-Clause
"""The phone's own framing of the protocols before Firehose, byte by byte; see `edl.virtual`.

It shares nothing with the host's: the CRC is computed bit by bit, and escapes are undone as they
come, as small firmware does it.
"""

from __future__ import annotations

from collections.abc import Iterator

_MOST = 4096  # of a frame


def checksum(data: bytes) -> int:
    """Return the CRC-16/X-25 of data."""
    register = 0xFFFF
    for byte in data:
        for bit in range(8):
            carry = (register ^ byte >> bit) & 1
            register >>= 1
            if carry:
                register ^= 0x8408
    return ~register & 0xFFFF


def wrap(payload: bytes, *, crc: bool = True) -> bytes:
    """Return payload as a frame, with one flag at its end."""
    framed = bytearray()
    for byte in payload + (checksum(payload).to_bytes(2, "little") if crc else b""):
        framed += bytes((0x7D, byte ^ 0x20)) if byte in {0x7D, 0x7E} else bytes((byte,))
    return bytes(framed) + b"\x7e"


class Receiver:
    """Takes bytes one by one."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._escaped = False

    def take(self, data: bytes) -> Iterator[bytes | None]:
        """Yield the payload of each frame that ends in data; None for one that is damaged."""
        for byte in data:
            if byte == 0x7E:
                frame, self._frame = bytes(self._frame), bytearray()
                damaged, self._escaped = self._escaped or len(frame) > _MOST, False
                if frame:
                    good = len(frame) > 2 and checksum(frame[:-2]) == int.from_bytes(
                        frame[-2:], "little"
                    )
                    yield frame[:-2] if good and not damaged else None
            elif byte == 0x7D:
                self._escaped = True
            elif len(self._frame) <= _MOST:
                self._frame.append(byte ^ 0x20 if self._escaped else byte)
                self._escaped = False
