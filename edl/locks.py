# SPDX-License-Identifier: BSD-3-Clause
"""Files that one process has for itself, as long as it runs.

The system lets go of a lock when the process ends, however it ends, or closes the file.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import IO, Any

_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}

if sys.platform == "win32":
    import msvcrt

    _BEHIND = 1 << 30  # nobody else may read or write what is locked there: a place without data

    def _lock(descriptor: int) -> None:
        here = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, here, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Taken(OSError):  # noqa: N818  # no failure: somebody is there
    """Another process, or another open file of this one, has it."""


def lock(file: IO[Any]) -> None:
    """Lock file until it is closed.

    Raises:
        Taken: it is locked already.
        OSError: its file system has no locks.
    """
    try:
        _lock(file.fileno())
    except OSError as error:
        if error.errno in _TAKEN:
            raise Taken(error.errno, "another program uses it") from error
        raise
