# SPDX-License-Identifier: BSD-3-Clause
"""Whether what lies in an archive is whole: its own checksums say so, before the first write."""

from __future__ import annotations

from collections.abc import Iterable

from edl.errors import ImageError
from edl.events import Emit, Stage, ignore
from edl.files import File
from edl.packages import tarreader
from edl.plan.model import plural
from edl.streamed import StreamContent
from edl.units import MIB, format_size

_TOLD_BYTES = 256 * MIB


def verify(files: Iterable[File], emit: Emit = ignore) -> int:
    """Check those of files that lie in an archive with checksums; return how many did.

    Raises:
        ImageError: some are damaged; all of them are told.
    """
    files = tuple(files)
    packed = [(file, file.content) for file in files if isinstance(file.content, StreamContent)]
    packed = [each for each in packed if not each[1].is_whole]
    size = sum(file.size_bytes for file, _ in packed)
    if size >= _TOLD_BYTES:
        what = plural(len(packed), "file")
        emit(Stage("verify", f"checksums of {what} in the archive, {format_size(size)}"))
    damaged: list[ImageError] = []
    for _, content in packed:
        try:
            content.verify()
        except ImageError as error:
            damaged.append(error)
    if damaged:
        raise ImageError(
            "\n".join(error.message for error in damaged), remedies=damaged[0].remedies
        )
    tarreader.expect(files)
    return len(packed)
