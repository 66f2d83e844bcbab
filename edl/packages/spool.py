# SPDX-License-Identifier: BSD-3-Clause
"""Files of archives that must lie on the disk: programmers, and what is needed out of its order.

They lie in the user's data folder, under a name that follows from the archive, so that a job which
is gone on with finds the same. Nobody else may read them; `clean` removes what is old.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

from edl.errors import DiskError
from edl.files import File
from edl.formats.gpt import safe_name
from edl.home import home
from edl.units import format_size

_KEEP_S = 7 * 24 * 3600
_SPARE_BYTES = 64 * 1024 * 1024  # left free for journals and what is saved


def folder_of(file: File) -> Path:
    """Return the folder for the files of the archive that file comes from."""
    stamp = file.stamp
    text = f"{stamp.path.resolve()} {stamp.size_bytes} {stamp.mtime_ns}" if stamp else file.name
    return home() / "unpacked" / hashlib.sha256(text.encode()).hexdigest()[:16]


def kept(file: File) -> Path:
    """Return where file lies on the disk, putting it there if need be.

    Raises:
        DiskError: there is no room for it.
        ImageError: it is damaged.
    """
    if file.path is not None:
        return file.path
    folder = folder_of(file)
    digest = hashlib.sha256(file.name.encode()).hexdigest()[:8]
    path = folder / f"{digest}-{safe_name(PurePosixPath(file.name).name)}"
    if path.exists() and path.stat().st_size == file.size_bytes:
        return path
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_room(folder, file)
        with partial.open("wb") as out:
            for chunk in file.content.chunks(0, file.size_bytes):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        raise DiskError(
            f"{file.name} cannot be unpacked to {folder}: {error.strerror}.",
            remedies=("Make room there, or set EDL_HOME to a folder on another disk.",),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return path


def _require_room(folder: Path, file: File) -> None:
    free = shutil.disk_usage(folder).free
    if free < file.size_bytes + _SPARE_BYTES:
        raise DiskError(
            f"{file.name} must be unpacked to {folder}: {format_size(file.size_bytes)} are needed,"
            f" {format_size(free)} are free.",
            remedies=("Make room there, or set EDL_HOME to a folder on another disk.",),
        )


def clean(now: dt.datetime | None = None) -> None:
    """Remove what was unpacked more than a week ago."""
    limit = (now or dt.datetime.now(dt.UTC)).timestamp() - _KEEP_S
    with contextlib.suppress(OSError):
        for folder in (home() / "unpacked").iterdir():
            if folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)
