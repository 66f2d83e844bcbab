# SPDX-License-Identifier: BSD-3-Clause
"""The phone's own framing of the protocols before Firehose; it shares nothing with the host's."""

from __future__ import annotations

from collections.abc import Iterator

_MOST = 4096  # of a frame


def _register(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x8408 if byte & 1 else 0)
    return byte


_REGISTERS = [_register(byte) for byte in range(256)]


def checksum(data: bytes) -> int:
    """Return the CRC-16/X-25 of data."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ _REGISTERS[(register ^ byte) & 0xFF]
    return ~register & 0xFFFF


def wrap(payload: bytes, *, crc: bool = True) -> bytes:
    """Return payload as a frame, with one flag at its end."""
    framed = payload + (checksum(payload).to_bytes(2, "little") if crc else b"")
    return framed.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


class Receiver:
    """Takes bytes as they come."""

    def __init__(self) -> None:
        self._half = b""

    def take(self, data: bytes) -> Iterator[bytes | None]:
        """Yield the payload of each frame that ends in data; None for one that is damaged."""
        *whole, half = (self._half + data).split(b"\x7e")
        self._half = half[: _MOST + 1]
        for frame in whole:
            if frame:
                yield _opened(frame)


def _opened(frame: bytes) -> bytes | None:
    out = bytearray()
    at = 0
    while (escape := frame.find(b"\x7d", at)) >= 0:
        out += frame[at:escape]
        if escape + 1 == len(frame):
            return None
        out.append(frame[escape + 1] ^ 0x20)
        at = escape + 2
    out += frame[at:]
    whole = len(out) > 2 and len(frame) <= _MOST
    return bytes(out[:-2]) if whole and _sound(out) else None


def _sound(frame: bytearray) -> bool:
    return checksum(bytes(frame[:-2])) == int.from_bytes(frame[-2:], "little")
