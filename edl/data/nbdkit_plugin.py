# SPDX-License-Identifier: BSD-3-Clause
"""What runs inside nbdkit: hands each request to edl over a socket, and its answer back.

nbdkit runs it with the system's Python, whichever that is, so it needs nothing but the standard
library. The other end, and what the words mean: `edl.nbd.relay`. Names of functions are nbdkit's.
"""

# ruff: noqa: ARG001  # nbdkit passes all of them

from __future__ import annotations

import socket
import struct
from typing import Dict, List, Tuple, Union  # noqa: UP035  # any Python 3

try:
    import nbdkit
except ImportError:  # somebody who is not nbdkit only looks at it
    nbdkit = None

API_VERSION = 2
_REQUEST = struct.Struct(">cQI")  # what, offset, bytes
_ANSWER = struct.Struct(">I")  # errno, 0 for success
_MOST_BYTES = 32 * 1024 * 1024
Handle = Dict[str, int]  # noqa: UP006
_settings: Handle = {}
_edl: List[socket.socket] = []  # noqa: UP006


def config(key: str, value: str) -> None:
    """Take a parameter: fd, size, unit, writable; all are numbers."""
    _settings[key] = int(value)


def config_complete() -> None:
    """Take over the socket."""
    _edl.append(socket.socket(fileno=_settings["fd"]))


def thread_model() -> int:
    """Return that requests come one after the other: so does everything on a phone."""
    model: int = nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS
    return model


def open(readonly: int) -> Handle:  # noqa: A001
    """Return what stands for a connection."""
    return _settings


def get_size(h: Handle) -> int:
    """Return the size in bytes."""
    return h["size"]


def block_size(h: Handle) -> Tuple[int, int, int]:  # noqa: UP006
    """Return the least, the best and the largest request, in bytes."""
    return h["unit"], max(h["unit"], 4096), _MOST_BYTES


def can_write(h: Handle) -> bool:
    """Tell whether there is writing at all."""
    return bool(h["writable"])


def can_flush(h: Handle) -> bool:
    """Tell that there is flushing where there is writing."""
    return bool(h["writable"])


def can_multi_conn(h: Handle) -> bool:
    """Tell that all connections see the same, also behind a flush of one of them."""
    return True


def pread(h: Handle, buf: bytearray, offset: int, flags: int) -> None:
    """Fill buf from offset on."""
    _ask(b"r", offset, len(buf))
    view = memoryview(buf)
    while view:
        count = _edl[0].recv_into(view)
        if not count:
            raise OSError("edl is gone")
        view = view[count:]


def pwrite(h: Handle, buf: Union[bytes, bytearray], offset: int, flags: int) -> None:  # noqa: UP007
    """Write buf from offset on."""
    _ask(b"w", offset, len(buf), buf)


def flush(h: Handle, flags: int) -> None:
    """Bring all that was written to the flash."""
    _ask(b"f", 0, 0)


def _ask(what: bytes, offset: int, size: int, data: Union[bytes, bytearray] = b"") -> None:  # noqa: UP007
    """Send a request, and take the errno that answers it."""
    edl = _edl[0]
    edl.sendall(_REQUEST.pack(what, offset, size))
    if data:
        edl.sendall(data)
    answer = b""
    while len(answer) < _ANSWER.size:
        piece = edl.recv(_ANSWER.size - len(answer))
        if not piece:
            raise OSError("edl is gone")
        answer += piece
    (error,) = _ANSWER.unpack(answer)
    if error:
        nbdkit.set_error(error)
        raise OSError(error, "the phone said no: see what edl says")
