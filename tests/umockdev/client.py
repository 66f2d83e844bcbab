# SPDX-License-Identifier: BSD-3-Clause
"""How the kernel's part speaks with a program that has a device node open.

umockdev's library in the program sends each ioctl over a socket, and while it waits for the result
it reads and writes the program's memory for us (umockdev 0.17, src/libumockdev-preload.c).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable

TIMEOUT_S = 10.0

_IOCTL = 1
_DONE, _READ_MEMORY, _WRITE_MEMORY = 3, 5, 6
_MESSAGE = struct.Struct("=3Q")


class RefusedError(Exception):
    """An ioctl fails."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Client:
    """A program that has opened a device node."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(TIMEOUT_S)

    def serve(self, ioctl: Callable[[int, int], int]) -> bool:
        """Serve one request; return False when the program has closed the node.

        ioctl: returns the result for the request's number (its low byte) and argument, or raises
            RefusedError.
        """
        request = self._receive(_MESSAGE.size, last=True)
        if not request:
            return False
        kind, number, argument = _MESSAGE.unpack(request)
        result, error = -1, errno.EPERM
        if kind == _IOCTL:
            try:
                result, error = ioctl(number & 0xFF, argument), 0
            except RefusedError as refused:
                error = refused.number
        self._send(_DONE, result, error)
        return True

    def peek(self, address: int, size: int) -> bytes:
        """Return what is in the program's memory."""
        if not size:
            return b""
        self._send(_READ_MEMORY, address, size)
        return self._receive(size)

    def poke(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Change the program's memory."""
        if data:
            self._send(_WRITE_MEMORY, address, len(data))
            self.connection.sendall(data)

    def number(self, address: int) -> int:
        """Return the unsigned int that is in the program's memory."""
        return int.from_bytes(self.peek(address, 4), "little")

    def _send(self, kind: int, first: int, second: int) -> None:
        self.connection.sendall(_MESSAGE.pack(kind, first % (1 << 64), second))

    def _receive(self, size: int, *, last: bool = False) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.connection.recv(size - len(data))
            if not piece:
                if last and not data:
                    break
                raise ConnectionError("the program left in the middle of an ioctl")
            data += piece
        return bytes(data)
