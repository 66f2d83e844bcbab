# SPDX-License-Identifier: BSD-3-Clause
"""A folder as one file, which is the same to the byte whenever the folder's files are the same.

labgrid sends files, and keeps them on the other host by their hash: so a package that has not
changed is sent once. An archive is passed on as it is.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

_BORN = (1980, 1, 1, 0, 0, 0)  # the first day that zip files know
_BLOCK = 1 << 20


def packed(folder: Path, into: Path) -> Path:
    """Write the files of folder into a zip file in the folder `into`, and return its path.

    Nothing is compressed: rsync does that on its way. Links are left out, as edl does.

    Raises:
        OSError: a file cannot be read, or the zip file not be written.
    """
    path = into / f"{folder.resolve().name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if _wanted(each, folder)):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _BORN)
            with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while block := source.read(_BLOCK):
                    target.write(block)
    os.utime(path, (0, 0))  # rsync takes files of the same size and time for the same
    return path


def _wanted(path: Path, folder: Path) -> bool:
    links = (each.is_symlink() for each in (path, *path.parents[: -len(folder.parents) - 1]))
    return path.is_file() and not any(links)
