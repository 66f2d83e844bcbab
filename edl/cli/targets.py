# SPDX-License-Identifier: BSD-3-Clause
"""Targets and files as users write them on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from edl.errors import UsageError

_HAS_LUN = re.compile(r"\d{1,3}(?:/.*)?", re.ASCII)


def with_lun(text: str, lun: int | None) -> list[str]:
    """Return the targets of a comma list; --lun goes before names that say no LUN."""
    parts = [part.strip() for part in text.split(",")]
    if lun is None:
        return parts
    return [part if _HAS_LUN.fullmatch(part) else f"{lun}/{part}" for part in parts]


def files_for(targets: list[str], text: str) -> list[Path]:
    """Return a file for each of targets, from a comma list; a single file may have commas.

    Raises:
        UsageError: there are more or fewer of them.
    """
    names = [text] if len(targets) == 1 else text.split(",")
    if len(names) != len(targets):
        raise UsageError(f"{len(targets)} targets need as many files: FILE,FILE,...")
    if any("\0" in name or not name.strip() for name in names):
        raise UsageError("A file has no name.")
    return [Path(name) for name in names]


def folder_of(path: str | None) -> Path:
    """Return path as a folder that exists.

    Raises:
        UsageError: it does not.
    """
    folder = path or "."
    if not is_folder(folder):
        raise UsageError(f"There is no folder '{folder}'.")
    return Path(folder)


def is_file(path: Path) -> bool:
    """Tell whether path is a file; whatever cannot be one is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str) -> bool:
    """Tell whether path is a folder; whatever cannot be one is none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        return False
