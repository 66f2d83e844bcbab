# SPDX-License-Identifier: BSD-3-Clause
"""Zeros that cannot be true: programmers that hide ranges answer with them, and with a yes.

Where the phone computes digests, and computes them of what is really there, `reader` notices. Here
is what remains: the whole of a boot loader reads as zeros, which no phone that ever started has.
"""

from __future__ import annotations

import re
from dataclasses import replace

from edl.backup.reader import blank_digests
from edl.formats.manifest import Extent, Kind, LeftOut, LunRecord, State, StorageRecord

_NEVER_EMPTY = re.compile(r"(?:xbl|sbl1|rpm|tz|hyp|aboot|abl|uefi)", re.IGNORECASE)
_COPY = re.compile(r"(?:_[ab]|_?bak|_?backup)$", re.IGNORECASE)


def doubted(lun: LunRecord, storage: StorageRecord) -> tuple[LunRecord, list[LeftOut]]:
    """Return lun without data that cannot be true, and what that is.

    A copy (slot b, a backup) may be empty, so only names of which all copies are zeros count.
    """
    groups: dict[str, list[Extent]] = {}
    for extent in lun.extents:
        if extent.kind is Kind.PARTITION and extent.state is State.SAVED:
            groups.setdefault(_base(extent.name), []).append(extent)
    hidden = [
        extent
        for name, copies in groups.items()
        if _NEVER_EMPTY.fullmatch(name) and all(is_blank(copy, storage) for copy in copies)
        for extent in copies
    ]
    extents = tuple(
        replace(extent, state=State.FORBIDDEN, file=None, file_offset_bytes=0, sha256=())
        if extent in hidden
        else extent
        for extent in lun.extents
    )
    reason = (
        "It reads as zeros, but a phone that has ever started holds a boot loader there: the"
        " programmer hides it, or it was erased."
    )
    doubts = [LeftOut(f"LUN {lun.lun}, '{extent.name}'", reason) for extent in hidden]
    held = [extent for extent in extents if extent.file is not None]
    if lun.lun == 0 and held and all(is_blank(extent, storage) for extent in held):
        reason = "All of it reads as zeros: the storage is empty, or the programmer hides it."
        doubts.append(LeftOut("LUN 0", reason))
    return replace(lun, extents=extents), doubts


def is_blank(extent: Extent, storage: StorageRecord) -> bool:
    """Tell whether everything that was saved of extent is zeros."""
    size, step = extent.sectors * storage.sector_bytes, storage.block_bytes
    sizes = (min(step, size - offset) for offset in range(0, size, step))
    return all(
        digest == blank_digests(length)[0]
        for length, digest in zip(sizes, extent.sha256, strict=True)
    )


def _base(name: str) -> str:
    """Return name without what marks a copy of it."""
    return _COPY.sub("", name)
