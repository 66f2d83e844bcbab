# SPDX-License-Identifier: BSD-3-Clause
"""Between nbdkit's plugin (`edl/data/nbdkit_plugin.py`) and the phone: one request after the other.

A request is what (`r`, `w`, `f`), offset and number of bytes, and of a write these bytes. The
answer is an errno, 0 for success, and then of a read its bytes. Numbers are big-endian: cQI and I.
"""

from __future__ import annotations

import select
import socket
import struct
from dataclasses import dataclass

_REQUEST = struct.Struct(">cQI")
_ANSWER = struct.Struct(">I")


@dataclass(frozen=True)
class Request:
    """What a client wants. what: `r` to read, `w` to write data, `f` to flush."""

    what: str
    offset: int
    size: int
    data: bytes = b""


class Relay:
    """Our end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def next(self, timeout_s: float) -> Request | None:
        """Return the next request, or None if there is none in time.

        Raises:
            EOFError: nbdkit is gone.
        """
        if not select.select([self._end], [], [], timeout_s)[0]:
            return None
        what, offset, size = _REQUEST.unpack(self._take(_REQUEST.size))
        data = bytes(self._take(size)) if what == b"w" else b""
        return Request(what.decode("latin-1"), offset, size, data)

    def answer(self, errno: int, data: memoryview | bytes = b"") -> None:
        """Answer the last request.

        Raises:
            EOFError: nbdkit is gone.
        """
        try:
            self._end.sendall(_ANSWER.pack(errno))
            if not errno and len(data):
                self._end.sendall(data)
        except OSError as error:
            raise EOFError from error

    def _take(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            try:
                count = self._end.recv_into(view)
            except OSError as error:
                raise EOFError from error
            if not count:
                raise EOFError
            view = view[count:]
        return buffer
