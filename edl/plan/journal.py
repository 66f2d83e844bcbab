# SPDX-License-Identifier: BSD-3-Clause
"""What a job has done so far, on disk, so that an interrupted job can go on.

One JSON object a line: first the job's fingerprint, then each piece that the phone has taken. A
line is on the disk before the next piece begins. A torn last line (power cut) is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TextIO

from edl.errors import EdlError
from edl.firehose.commands import Area
from edl.plan.model import Plan, as_data

_VERSION = 1


def fingerprint(plan: Plan, sources: tuple[Path, ...]) -> str:
    """Return a digest of what the job is: the same job on the same files gives the same."""
    data = {key: value for key, value in as_data(plan).items() if key != "findings"}
    files = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sources)
    text = json.dumps([data, files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Journal:
    """The journal of one job on one phone."""

    def __init__(self, path: Path, job: str, *, resume: bool) -> None:
        """Open it. resume: keep what an interrupted run of the same job has done."""
        self._path = path
        self.done: dict[Area, bytes] = _read(path, job) if resume else {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("a" if self.done else "w", encoding="utf-8")
            if not self.done:
                self._line({"version": _VERSION, "job": job})
        except OSError as error:
            raise EdlError(
                f"The journal {path} cannot be written: {error.strerror}.",
                remedies=("Make room on the disk, or set EDL_HOME to a folder that has some.",),
            ) from error

    def piece(self, area: Area, digest: bytes) -> None:
        """Note that area holds what has digest."""
        self.done[area] = digest
        self._line({"area": [area.lun, area.start_sector, area.sectors, area.sector_bytes],
                    "sha256": digest.hex()})  # fmt: skip

    def _line(self, data: dict[str, object]) -> None:
        self._file.write(json.dumps(data) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self, *, finished: bool) -> None:
        """Close it; a finished job needs none."""
        self._file.close()
        if finished:
            with contextlib.suppress(OSError):
                self._path.unlink()


def _read(path: Path, job: str) -> dict[Area, bytes]:
    done: dict[Area, bytes] = {}
    try:
        with path.open(encoding="utf-8") as file:
            if json.loads(file.readline()) != {"version": _VERSION, "job": job}:
                return {}
            for line in file:
                row = json.loads(line)
                done[Area(*row["area"])] = bytes.fromhex(row["sha256"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, OSError):
        pass  # a torn line: what stands before it is good
    return done
