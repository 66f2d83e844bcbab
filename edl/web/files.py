# SPDX-License-Identifier: BSD-3-Clause
"""The folders of this computer, to choose packages and backups from."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edl.errors import UsageError
from edl.formats.texts import escaped

_MOST_SHOWN = 2000
_MOST_READ = 50_000


def listing(text: str) -> dict[str, Any]:
    """Return what is in the folder with the absolute path text: folders first, by name.

    Names are safe to show. An entry without a path cannot be asked for: its name is no Unicode.

    Raises:
        UsageError: that is no folder, or one that may not be looked into.
    """
    if "\0" in text or not os.path.isabs(text):  # noqa: PTH117  # takes any text
        raise UsageError(f"'{escaped(text[:200])}' is no absolute path.")
    folder = Path(os.path.normpath(text))
    try:
        with os.scandir(folder) as entries:
            found = [each for entry in itertools.islice(entries, _MOST_READ) for each in _of(entry)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"'{escaped(str(folder)[:200])}' cannot be shown: {reason}.") from error
    found.sort(key=lambda row: (row["kind"] != "folder", row["name"].casefold(), row["name"]))
    return {
        "path": str(folder),
        "name": escaped(str(folder)),
        "parent": str(folder.parent) if folder.parent != folder else None,
        "separator": os.sep,
        "roots": _roots(),
        "more": len(found) > _MOST_SHOWN,
        "entries": found[:_MOST_SHOWN],
    }


def _of(entry: os.DirEntry[str]) -> Iterator[dict[str, Any]]:
    """Give the row of entry; devices, pipes and dangling links have none."""
    with contextlib.suppress(OSError):
        info = entry.stat()
        folder = stat.S_ISDIR(info.st_mode)
        if folder or stat.S_ISREG(info.st_mode):
            yield {
                "name": escaped(entry.name.encode("utf-8", "replace").decode()),
                "path": entry.path if _is_unicode(entry.path) else None,
                "kind": "folder" if folder else "file",
                "bytes": None if folder else info.st_size,
                "modified": _time(info.st_mtime),
            }


def _time(seconds: float) -> str | None:
    with contextlib.suppress(OSError, ValueError, OverflowError):  # no year that there is
        return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _roots() -> list[str]:
    if sys.platform == "win32":
        return [
            f"{letter}:\\"
            for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
            if Path(f"{letter}:\\").exists()
        ]
    return ["/"]
