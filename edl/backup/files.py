# SPDX-License-Identifier: BSD-3-Clause
"""Small files of a backup, written as a whole."""

from __future__ import annotations

from pathlib import Path

from edl.outfile import new_file


def temporary_name(name: str) -> str:
    """Return what a file is called as long as it is not whole."""
    return name + ".new"


def write_whole(path: Path, text: str, *, private: bool = False) -> None:
    """Write text to path, which has that name only when all is on the disk.

    private: nobody else may read it.

    Raises:
        DiskError: it cannot be written.
    """
    with new_file(path, path.with_name(temporary_name(path.name)), private=private) as file:
        file.write(text.encode())
