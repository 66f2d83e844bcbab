# SPDX-License-Identifier: BSD-3-Clause
"""The phone's storage, read within bounds: so many bytes, so much time, and not against Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import ReadFailedError
from edl.firehose.commands import Area
from edl.units import MIB

MAX_BYTES = 24 * MIB
MAX_SECONDS = 20.0


class BoundedStorage(Storage):
    """A storage that gives no more than it may.

    Attributes:
        read_bytes: how much it has given.
    """

    def __init__(
        self,
        phone: Phone,
        *,
        most_bytes: int = MAX_BYTES,
        seconds: float = MAX_SECONDS,
        cancel: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(phone)
        self.read_bytes = 0
        self._most_bytes = most_bytes
        self._deadline = clock() + seconds
        self._clock = clock
        self._cancel = cancel or threading.Event()

    def read(self, area: Area) -> bytes:
        """See Storage.

        Raises:
            ReadFailedError: it would be too much, the user wants to stop, or sectors are defective.
        """
        if self._cancel.is_set():
            raise ReadFailedError("The look at the phone was stopped.")
        if self._clock() > self._deadline:
            raise ReadFailedError("The look at the phone took too long.")
        if self.read_bytes + area.size_bytes > self._most_bytes:
            raise ReadFailedError("There would be too much to read.")
        self.read_bytes += area.size_bytes
        return super().read(area)

    def head(self, area: Area, size: int) -> bytes:
        """Return the first size bytes of area, in whole sectors, or all of it.

        Raises:
            ReadFailedError: they cannot be read.
        """
        return self.span(area, 0, size)

    def span(self, area: Area, offset: int, size: int) -> bytes:
        """Return size bytes from offset on, or those before the end of area.

        Raises:
            ReadFailedError: they cannot be read.
        """
        unit = area.sector_bytes
        first = offset // unit
        end = min(-(-(offset + size) // unit), area.sectors)
        if first >= end:
            return b""
        part = Area(area.lun, area.start_sector + first, end - first, unit)
        data = self.read(part)
        start = offset - first * unit
        return data[start : start + size]
