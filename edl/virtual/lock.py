# SPDX-License-Identifier: BSD-3-Clause
"""One program at a time: the lock on a folder with a virtual phone.

The system lets go of the lock when the process ends, however it ends.
"""

from __future__ import annotations

from pathlib import Path

from edl import locks
from edl.errors import AccessError

FILE_NAME = "phone.lock"


class Lock:
    """Holds folder from now until `release`.

    Raises:
        AccessError: another program, or this one, holds it already.
        OSError: this user may not write to folder, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE_NAME).open("ab")
        try:
            locks.lock(self._file)
        except OSError as error:
            self._file.close()
            if not isinstance(error, locks.Taken):
                raise
            raise AccessError(
                f"Another program uses the virtual phone in {folder}.",
                remedies=(
                    "Wait until the other edl, or 'edl virtual serve', has ended, or end it.",
                    "For a second phone at the same time: 'edl virtual new FOLDER PROFILE'.",
                ),
            ) from error

    def release(self) -> None:
        """Let others have the folder. May be called twice."""
        self._file.close()
