# SPDX-License-Identifier: BSD-3-Clause
"""Small files of a backup, written as a whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from edl.errors import DiskError


def temporary_name(name: str) -> str:
    """Return what a file is called as long as it is not whole."""
    return name + ".new"


def write_whole(path: Path, text: str) -> None:
    """Write text to path, which has that name only when all is on the disk.

    Raises:
        DiskError: it cannot be written.
    """
    temporary = path.with_name(temporary_name(path.name))
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise DiskError(
            f"{path} cannot be written: {error.strerror}.",
            remedies=("Make room on that disk.",),
        ) from error
