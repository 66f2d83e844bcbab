# SPDX-License-Identifier: BSD-3-Clause
"""What is done with contents on the host: taken out into files, and compared."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edl.chunks import Content, read_all
from edl.contents import data_runs
from edl.errors import CancelledError
from edl.events import BytesMoved, Emit, ignore
from edl.outfile import new_file, store_sparse
from edl.units import MIB

BLOCK_BYTES = MIB


def save(
    content: Content,
    path: Path,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
    proof: Callable[[], None] | None = None,
) -> None:
    """Write content into path; zeros become holes.

    The file has the name NAME.partial until its last byte is on the disk, so that an existing file
    of that name is replaced only when the new one is complete. proof: called before that, when all
    of content has been read; raises ImageError if it was damaged after all.

    Raises:
        ImageError: content cannot be read; there is no new file then.
        CancelledError: stopped by cancel.
        DiskError: the file cannot be written, for example because the disk is full.
    """
    size = content.size_bytes
    with new_file(path) as file:
        end = 0
        for start, length in data_runs(content, 0, size):
            emit(BytesMoved(start - end))
            end = start + length
            file.seek(start)
            for chunk in content.chunks(start, length):
                _check(cancel)
                store_sparse(file, chunk)
                emit(BytesMoved(len(chunk)))
        emit(BytesMoved(size - end))
        file.truncate(size)
        if proof is not None:
            proof()


def data_bytes(content: Content) -> int:
    """Return how much of content is not holes."""
    return sum(length for _, length in data_runs(content, 0, content.size_bytes))


@dataclass(frozen=True)
class Difference:
    """How two contents of the same size differ.

    Attributes:
        blocks: how many blocks of 1 MiB were compared, those that are holes in both included.
        different: how many of them differ.
        first_byte: the first one that differs, None if none does.
    """

    blocks: int
    different: int
    first_byte: int | None

    @property
    def same(self) -> bool:
        """Whether there is none."""
        return self.different == 0


def compare(
    one: Content,
    other: Content,
    *,
    emit: Emit = ignore,
    cancel: threading.Event | None = None,
) -> Difference:
    """Compare the bytes that both contents have; what is a hole in both is not read.

    Raises:
        ImageError: one of them cannot be read.
        CancelledError: stopped by cancel.
    """
    size = min(one.size_bytes, other.size_bytes)
    different, first, done = 0, None, 0
    for offset in _blocks(one, other, size):
        _check(cancel)
        length = min(BLOCK_BYTES, size - offset)
        emit(BytesMoved(offset + length - done))
        done = offset + length
        a, b = read_all(one, offset, length), read_all(other, offset, length)
        if a != b:
            different += 1
            if first is None:
                first = offset + next(i for i in range(length) if a[i] != b[i])
    emit(BytesMoved(size - done))
    return Difference(-(-size // BLOCK_BYTES), different, first)


def _blocks(one: Content, other: Content, size: int) -> Iterator[int]:
    """Yield the offset of each block in which one of both can be other than zero."""
    done = -1
    for start, length in heapq.merge(data_runs(one, 0, size), data_runs(other, 0, size)):
        first = max(start // BLOCK_BYTES, done + 1)
        done = max(done, (start + length - 1) // BLOCK_BYTES)
        for block in range(first, done + 1):
            yield block * BLOCK_BYTES


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("Stopped as you asked; the images are as they were.")
