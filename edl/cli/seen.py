# SPDX-License-Identifier: BSD-3-Clause
"""What this computer remembers of phones, for the Tab key: partition names, serial numbers, jobs.

Read without a phone, and without importing what works on phones: somebody is holding the Tab key.
It serves as a suggestion only; nothing that is written relies on it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from edl.home import home, private, private_folder

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,35}")  # shells take these as one word
_MOST_NAMES = 1024
_MAX_BYTES = 64 * 1024
_FILE = "partitions.json"


def keep(folder: Path, names: Iterable[str]) -> None:
    """Keep the partition names of a phone in its folder; it is nice to have, and never fails."""
    kept = sorted({name for name in names if _NAME.fullmatch(name)})[:_MOST_NAMES]
    if not kept:
        return
    with contextlib.suppress(OSError):
        path = private_folder(folder) / _FILE
        with open(path, "w", encoding="utf-8", opener=private) as file:
            file.write(json.dumps({"partitions": kept}) + "\n")


def partitions(serial: str | None = None) -> list[str]:
    """Return the partition names of the phone with that serial number, or of the last one seen."""
    paths = [path / _FILE for path in _phones() if serial in {None, path.name}]
    for path in sorted(paths, key=_changed, reverse=True):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            with path.open("rb") as file:
                names = json.loads(file.read(_MAX_BYTES))["partitions"]
            return [name for name in names if _NAME.fullmatch(name)]
    return []


def serials() -> list[str]:
    """Return the serial numbers of phones that were seen, the last one first."""
    named = [path for path in _phones() if path.name != "unknown" and _NAME.fullmatch(path.name)]
    return [path.name for path in sorted(named, key=_changed, reverse=True)]


def jobs() -> list[str]:
    """Return the names of jobs that have a journal and have not ended."""
    return sorted(
        {
            path.stem
            for phone in _phones()
            for path in _inside(phone / "jobs")
            if path.suffix == ".jsonl" and _NAME.fullmatch(path.stem)
        }
    )


def _phones() -> Iterator[Path]:
    return _inside(home() / "phones")


def _inside(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from folder.iterdir()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
