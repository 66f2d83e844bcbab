# SPDX-License-Identifier: BSD-3-Clause
"""From the phone into a file: complete and trusted, or not there at all.

The file has the name NAME.partial until its last byte is on the disk; zeros become holes, so that
any tool can use the image and an empty partition costs no room.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from edl.device.programmer import Programmer
from edl.errors import CancelledError
from edl.events import BytesMoved, Emit, ignore
from edl.firehose.commands import Area
from edl.outfile import new_file, store_sparse
from edl.plan.model import Write
from edl.units import MIB

PIECE_BYTES = 64 * MIB


def pieces(area: Area, size: int | None = None) -> Iterator[tuple[Area, int]]:
    """Yield the pieces of area, of at most size bytes (64 MiB), with their offset in bytes."""
    step = max(1, (size or PIECE_BYTES) // area.sector_bytes)
    for at in range(0, area.sectors, step):
        count = min(step, area.sectors - at)
        piece = Area(area.lun, area.start_sector + at, count, area.sector_bytes)
        yield piece, at * area.sector_bytes


def parts(step: Write) -> Iterator[tuple[Area, int]]:
    """Yield the pieces of what step writes; on NAND it is one, as bad blocks move what follows."""
    if step.room is not None:
        yield step.area, 0
    else:
        yield from pieces(step.area)


def read_to_file(
    programmer: Programmer,
    area: Area,
    path: Path,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> str:
    """Read area into path and return the SHA-256 of what was read, in hex.

    An existing file of that name is replaced only when the new one is complete.

    Raises:
        ReadFailedError: sectors could not be read; the file does not exist then.
        CancelledError: stopped by cancel.
        DiskError: the file cannot be written, for example because the disk is full.
    """
    digest = hashlib.sha256()
    with new_file(path, size_bytes=area.size_bytes) as file:
        for piece, _ in pieces(area):
            _check(cancel)
            sink = _Sink(file, digest.update, emit)
            programmer.read(piece, sink)
            sink.finish()
        file.truncate(area.size_bytes)
    return digest.hexdigest()


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("Stopped as you asked; the unfinished file was removed.")


class _Sink:
    """Writes what it is called with, skipping over zeros.

    A disk that fills up does not stop the transfer: the phone sends the rest all the same, and the
    error is raised by `finish` when it is out of the way.
    """

    def __init__(self, file: BinaryIO, update: Callable[[memoryview], None], emit: Emit) -> None:
        self._file = file
        self._update = update
        self._emit = emit
        self._error: OSError | None = None

    def __call__(self, data: memoryview) -> None:
        self._update(data)
        self._emit(BytesMoved(len(data)))
        if self._error is None:
            try:
                store_sparse(self._file, data)
            except OSError as error:
                self._error = error

    def finish(self) -> None:
        """Raise what went wrong while the data came."""
        if self._error is not None:
            raise self._error
