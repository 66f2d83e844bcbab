# SPDX-License-Identifier: BSD-3-Clause
"""A minidump put together to one ELF core, which crash and gdb read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from edl.errors import DocumentError
from edl.events import Emit, Notice, Stage
from edl.formats import minidump
from edl.outfile import new_file, require_room
from edl.ramdump.names import MINIDUMP
from edl.ramdump.record import Result
from edl.sahara.memory import Region
from edl.units import MIB


def assemble(
    folder: Path, regions: Sequence[Region], results: Mapping[int, Result], emit: Emit
) -> Path | None:
    """Write minidump.elf from what was saved, and return it; None where there is no minidump.

    Parts that were not saved are zeros in it, and told.

    Raises:
        DiskError: it cannot be written.
    """
    parts = [
        minidump.Part(number, region.description, region.address, results[number].saved_bytes)
        for number, region in enumerate(regions)
        if results[number].state == "saved"
    ]
    head = minidump.find_head(parts)
    if head is None or head.size_bytes > minidump.MAX_HEAD_BYTES:
        return None
    try:
        data = (folder / str(results[head.number].file)).read_bytes()
        made = minidump.arrange(head, data, parts)
    except DocumentError as error:
        emit(Notice(f"no {MINIDUMP} was made: {error.message}"))
        return None
    for address in made.missing:
        emit(Notice(f"{MINIDUMP} has zeros for the memory at {address:#x}, which was not saved"))
    require_room(folder, made.size_bytes)
    path = folder / MINIDUMP
    with new_file(path, size_bytes=made.size_bytes, private=True) as file:
        for placed in made.placed:
            file.seek(placed.offset)
            _copy(folder / str(results[placed.number].file), file, placed.size_bytes)
        file.truncate(made.size_bytes)
    emit(Stage("minidump", f"{MINIDUMP}, an ELF core of {len(made.placed)} parts"))
    return path


def _copy(source: Path, file: BinaryIO, size_bytes: int) -> None:
    """Append the first size_bytes bytes of source to file."""
    with source.open("rb") as found:
        while size_bytes > 0 and (data := found.read(min(MIB, size_bytes))):
            file.write(data)
            size_bytes -= len(data)
