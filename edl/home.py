# SPDX-License-Identifier: BSD-3-Clause
"""Where this user's data lies, and that nobody else may read it.

EDL_HOME overrides the place that the system suggests. What lies there tells serial numbers, keys
and what exists only once on a phone, so folders that are made get mode 0700 and files 0600; folders
that exist already stay as their owner has made them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, cast

from edl import places


def home() -> Path:
    """Return the folder of this user's data; it need not exist."""
    return Path(places.data())


def private_folder(path: Path) -> Path:
    """Return path, made for this user alone, as are all folders above it that were missing.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        if path.parent != path:
            private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def private(path: str, flags: int) -> int:
    """Open path as `open(..., opener=private)` does it: a new file is this user's alone."""
    return os.open(path, flags, 0o600)


def open_private(path: Path, mode: str) -> BinaryIO:
    """Open path as bytes, in that mode of `open`; a new file is this user's alone.

    Raises:
        OSError: it cannot be opened.
    """
    return cast("BinaryIO", open(path, mode, opener=private))
