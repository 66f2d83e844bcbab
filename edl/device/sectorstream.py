# SPDX-License-Identifier: BSD-3-Clause
"""A part of the phone's storage as a stream of bytes."""

from __future__ import annotations

import io
from typing import Any

from edl.device.storage import Place, Storage
from edl.firehose.commands import Area
from edl.units import MIB

_MAX_READ_BYTES = 16 * MIB


class SectorStream(io.RawIOBase):
    """An area of the storage, to read and to seek in; each read is a <read> of whole sectors.

    Attributes:
        name: what people call the area.
    """

    def __init__(self, storage: Storage, place: Place) -> None:
        super().__init__()
        self.name = place.label
        self._storage = storage
        self._area = place.area
        self._at = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte, also behind the end, where nothing is; return which one it is.

        Raises:
            ValueError: it would lie before the beginning.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._area.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # typeshed has no public name for it
        """Read up to 16 MiB into buffer; return how many bytes, 0 at the end.

        Raises:
            ReadFailedError: sectors could not be read; nothing is given, and the place stays.
        """
        size = min(len(buffer), _MAX_READ_BYTES, max(0, self._area.size_bytes - self._at))
        if size:
            unit = self._area.sector_bytes
            first, last = self._at // unit, -(-(self._at + size) // unit)
            area = Area(self._area.lun, self._area.start_sector + first, last - first, unit)
            skipped = self._at - first * unit
            buffer[:size] = memoryview(self._storage.read(area))[skipped : skipped + size]
            self._at += size
        return size

    def readall(self) -> bytes:
        """Return all that is left."""
        pieces = []
        while piece := self.read(_MAX_READ_BYTES):
            pieces.append(piece)
        return b"".join(pieces)
