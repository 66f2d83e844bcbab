# SPDX-License-Identifier: BSD-3-Clause
"""Files that this program makes: there is room for them, and they are whole or not there at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edl.contents import is_zero
from edl.errors import DiskError
from edl.home import open_private
from edl.units import MIB, format_size


@contextlib.contextmanager
def new_file(
    path: Path, partial: Path | None = None, *, size_bytes: int = 0, private: bool = False
) -> Iterator[BinaryIO]:
    """Give a file that gets the name path when all of it is on the disk.

    Until then it has the name partial (NAME.partial). A file that has the name path already is
    replaced only by a whole one; what failed leaves nothing behind. size_bytes: how large it
    becomes, for the error; 0 if that is unknown. private: nobody else may read it.

    Raises:
        DiskError: the file cannot be written, for example because the disk is full.
    """
    partial = partial or path.with_name(path.name + ".partial")
    try:
        if partial.is_symlink():  # it would be written through
            partial.unlink()
        with open_private(partial, "wb") if private else partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            room = f"Make room for {format_size(size_bytes)}" if size_bytes else "Make room"
            raise DiskError(
                f"{path} cannot be written: {error.strerror}.",
                remedies=(f"{room}, or choose another folder.",),
            ) from error
        raise


def store_sparse(file: BinaryIO, data: memoryview) -> None:
    """Write data where file stands; zeros are passed over, so that they stay holes."""
    for at in range(0, len(data), MIB):
        chunk = data[at : at + MIB]
        if is_zero(chunk):
            file.seek(len(chunk), os.SEEK_CUR)
        else:
            file.write(chunk)


def require_room(folder: Path, size_bytes: int) -> None:
    """Make sure that folder has room for size_bytes.

    Raises:
        DiskError: it has not, or it does not exist.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be used: {error.strerror}.") from error
    if free < size_bytes:
        raise DiskError(
            f"{folder} has {format_size(free)} free, {format_size(size_bytes)} are needed.",
            remedies=("Make room, or choose a folder on another disk.",),
        )
