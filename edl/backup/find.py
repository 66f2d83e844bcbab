# SPDX-License-Identifier: BSD-3-Clause
"""Which backups exist of which phones, wherever they were put.

Every backup is noted in the user's data folder when it is begun; what is saved before writes lies
there anyway (`edl.plan.unique`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edl.backup.folder import MANIFEST, UNFINISHED, read_manifest
from edl.errors import EdlError, ImageError
from edl.formats.manifest import Manifest
from edl.home import private
from edl.plan.home import make_folder, phone_folder

_INDEX = "backups.jsonl"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Known:
    """One backup.

    Attributes:
        serial: of the phone, or "unknown".
        form: "images", "partitions", or "unique parts" for what was saved before a write.
        size_bytes: what it takes on this computer's disk.
        state: "complete", "unfinished", "damaged" or "gone".
    """

    path: Path
    serial: str
    chip: str | None
    made: str
    form: str
    size_bytes: int
    state: str


def note(serial: str | None, folder: Path) -> None:
    """Remember that there is a backup of that phone in folder. Never a reason to fail."""
    line = {"path": str(folder.absolute()), "made": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}
    with contextlib.suppress(OSError, EdlError):
        path = make_folder(phone_folder(serial or "unknown")) / _INDEX
        with open(path, "a", encoding="utf-8", opener=private) as file:
            file.write(json.dumps(line) + "\n")


def find(serial: str | None = None) -> tuple[Known, ...]:
    """Return the backups of the phone with that serial number (of all phones), newest first."""
    with contextlib.suppress(OSError):
        folders = sorted(path for path in phone_folder("unknown").parent.iterdir() if path.is_dir())
        if serial is not None:
            folders = [folder for folder in folders if folder == phone_folder(serial)]
        found = [known for folder in folders for known in _of_phone(folder)]
        return tuple(sorted(found, key=lambda known: known.made, reverse=True))
    return ()


def _of_phone(folder: Path) -> Iterator[Known]:
    for saved in folder.glob("saved-*"):
        yield _saved(saved, folder.name)
    for path, made in _noted(folder / _INDEX).items():
        yield _backup(path, folder.name, made)


def _noted(index: Path) -> dict[Path, str]:
    """Return the folders that were noted, with the time of the last note."""
    noted: dict[Path, str] = {}
    try:
        with index.open("rb") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return noted
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            data = json.loads(line)
            path = str(data["path"])
            if "\0" in path:
                continue  # nothing can be called so
            os.fsencode(path)
            noted[Path(path)] = str(data["made"])
    return noted


def _saved(folder: Path, serial: str) -> Known:
    """Return what `edl.plan.unique` has saved in folder."""
    made, state = "", "complete"
    try:
        with (folder / MANIFEST).open("rb") as file:
            data = json.loads(file.read(_MAX_BYTES))
        made = str(data["made"])
        missing = [name for name in data["files"] if not (folder / name).is_file()]
        state = "damaged" if missing else "complete"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        state = "damaged"
    return Known(folder, serial, None, made, "unique parts", room_of(folder), state)


def _backup(folder: Path, serial: str, noted: str) -> Known:
    manifest, state = _manifest(folder)
    if manifest is None:
        return Known(folder, serial, None, noted, "", room_of(folder), state)
    owner = manifest.phone
    return Known(
        folder,
        owner.serial or serial,
        owner.chip,
        manifest.made,
        manifest.form.value,
        room_of(folder),
        state,
    )


def _manifest(folder: Path) -> tuple[Manifest | None, str]:
    for name, state in ((MANIFEST, "complete"), (UNFINISHED, "unfinished")):
        if (folder / name).is_file():
            try:
                return read_manifest(folder / name), state
            except ImageError:
                return None, "damaged"
    return None, "damaged" if folder.is_dir() else "gone"


def room_of(folder: Path) -> int:
    """Return how much of the disk the files in folder take; holes take nothing."""
    total = 0
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            status = path.stat()
            total += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return total
