# SPDX-License-Identifier: BSD-3-Clause
"""Device nodes that are no serial ports: Sahara over MHI, as accelerators and modems on PCIe have.

Linux shows such a channel as a file (/dev/mhi0_QAIC_SAHARA) that is read and written as it is.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time

from edl.errors import (
    AccessError,
    DeviceGoneError,
    NoDeviceError,
    TransportError,
    TransportTimeoutError,
)
from edl.transport import Buffer

READ_BYTES = 64 * 1024  # more than any packet of MHI, whose transfers have up to 65520 bytes
_GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN}


def is_node(name: str) -> bool:
    """Tell whether name is a device node, but no terminal (those are serial ports)."""
    try:
        if not stat.S_ISCHR(os.stat(name).st_mode):  # noqa: PTH116  # takes any text
            return False
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return False
    try:
        return not os.isatty(descriptor)
    finally:
        os.close(descriptor)


class NodeTransport:
    """One device node. A read gives what is there, as on any byte stream."""

    keeps_transfers = False
    packet_bytes = 0
    sends_zlp = False

    def __init__(self, name: str) -> None:
        """Open it.

        Raises:
            NoDeviceError: there is none of that name.
            AccessError: it is forbidden, or another program holds it.
            TransportError: it cannot be opened.
        """
        self.description = f"The device at {name}"
        self._buffer = bytearray(READ_BYTES)
        self._descriptor = -1
        try:
            self._descriptor = os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        except FileNotFoundError as error:
            raise NoDeviceError(f"There is no device {name}.") from error
        except OSError as error:
            kind = AccessError if error.errno in _HELD else TransportError
            raise kind(f"The device {name} cannot be opened: {error.strerror}.") from error

    def read(self, timeout_s: float) -> memoryview:
        """See Transport."""
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            raise TransportTimeoutError(f"{self.description} did not answer in time.")
        try:
            count = os.readv(self._descriptor, [self._buffer])
        except OSError as error:
            raise self._failed(error, "read from") from error
        if not count:
            raise DeviceGoneError(f"{self.description} has closed.")
        return memoryview(self._buffer)[:count]

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        """See Transport; there are no zero-length packets."""
        view = memoryview(data).cast("B")
        deadline = time.monotonic() + timeout_s
        done = 0
        while done < len(view):
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([], [self._descriptor], [], left_s)[1]:
                message = f"{self.description} takes no data (after {done} bytes)."
                raise TransportTimeoutError(message, done_bytes=done)
            try:
                done += os.write(self._descriptor, view[done:])
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._failed(error, "write to") from error

    def close(self) -> None:
        """See Transport."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _failed(self, error: OSError, doing: str) -> TransportError:
        if error.errno in _GONE:
            return DeviceGoneError(f"{self.description} has gone.")
        return TransportError(f"Could not {doing} {self.description}: {error.strerror}.")


_HELD = {errno.EACCES, errno.EPERM, errno.EBUSY}
