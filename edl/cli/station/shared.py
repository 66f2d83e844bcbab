# SPDX-License-Identifier: BSD-3-Clause
"""One package for many phones: what is packed is unpacked and checked once, for all of them."""

from __future__ import annotations

from edl import spool
from edl.chunks import FileContent
from edl.contents import Slice
from edl.events import Emit
from edl.package import Package
from edl.streamed import StreamContent


def share(package: Package, emit: Emit) -> int:
    """Put what comes only in order on the disk; return how many bytes that are.

    A compressed image would be unpacked by each phone anew, and by all but one from its beginning
    again and again. Its checksums are checked on the way.

    Raises:
        DiskError: there is no room for it.
        ImageError: it is damaged.
    """
    total = 0
    for each in {
        id(variant): variant for variant in (package, *package.variants.values())
    }.values():
        for file in each.files:
            if isinstance(file.content, StreamContent) and _is_packed(file.content):
                path, size = spool.kept(file, emit), file.size_bytes
                file.content.lying = FileContent(path, 0, size, size)
                total += size
    return total


def _is_packed(content: StreamContent) -> bool:
    if content.lying is not None:
        return False
    stored = content.direct() if content.direct is not None else None
    return not isinstance(stored, FileContent | Slice)
