# SPDX-License-Identifier: BSD-3-Clause
"""A boot ROM from before Sahara: it speaks DMSS Download, and starts what was put into its RAM.

Fields of the answers: openpst's and forth32/qtools' definitions; numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edl.virtual.frames import Receiver, wrap
from edl.virtual.link import Exit, Firmware, Receive, Send

RAM = range(0x2A00_0000, 0x2A04_0000)
_LARGEST = 1017  # bytes of one write, as forth32/qtools sends them
_WORDS = b"QCOM fast download protocol"
_ACK = b"\x02"
_BAD_CRC, _BAD_ADDRESS, _BAD_LENGTH, _TOO_LARGE, _BAD_COMMAND = 1, 2, 3, 5, 6


def dmss_rom() -> Firmware:
    """Return the software of such a boot ROM. It ends with Exit: start, hang or reset."""
    return _Dmss().run()


class _NakError(Exception):
    """The boot ROM says no."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"reason {reason}")
        self.reason = reason


class _Dmss:
    """One power-on of it."""

    def __init__(self) -> None:
        self._ram = bytearray(len(RAM))
        self._leaving = ""

    def run(self) -> Firmware:
        frames = Receiver()
        while True:
            data = yield Receive(4096)
            for payload in frames.take(bytes(data)):
                yield from self._answer(payload)
                if self._leaving:
                    yield Exit(self._leaving)

    def _answer(self, payload: bytes | None) -> Iterator[Send]:
        try:
            answer = self._obey(payload)
        except _NakError as nak:
            answer = struct.pack(">BH", 3, nak.reason)
        yield Send(wrap(answer))

    def _obey(self, payload: bytes | None) -> bytes:
        if payload is None:
            raise _NakError(_BAD_CRC)
        match payload[0], payload[1:]:
            case 0x06, b"":
                return _ACK
            case 0x07, b"":
                return struct.pack(">BBBHBBB", 8, 6, 1, _LARGEST, 0x90, 0, 0)
            case 0x0F, body if len(body) > 6:
                return self._write(body)
            case 0x05, body if len(body) == 4:
                return self._go(int.from_bytes(body, "big"))
            case 0x0A, b"":
                self._leaving = "reset"
                return _ACK
        raise _NakError(_BAD_COMMAND)

    def _write(self, body: bytes) -> bytes:
        address, size = struct.unpack_from(">IH", body)
        data = body[6:]
        if size > _LARGEST:
            raise _NakError(_TOO_LARGE)
        if size != len(data):
            raise _NakError(_BAD_LENGTH)
        if address not in RAM or address + size > RAM.stop:
            raise _NakError(_BAD_ADDRESS)
        at = address - RAM.start
        self._ram[at : at + size] = data
        return _ACK

    def _go(self, address: int) -> bytes:
        if address not in RAM:
            raise _NakError(_BAD_ADDRESS)
        self._leaving = "start" if _WORDS in self._ram[address - RAM.start :] else "hang"
        return _ACK
