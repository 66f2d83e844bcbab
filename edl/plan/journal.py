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
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from edl.chunks import BytesContent, Content, FileContent, FillContent
from edl.contents import Joined, Slice
from edl.errors import DiskError
from edl.files import File
from edl.firehose.commands import Area
from edl.plan.model import Plan, as_data
from edl.plan.patching import Overlaid

_VERSION = 1


def fingerprint(plan: Plan, sources: Iterable[File]) -> str:
    """Return a digest of what the job is: the same job on the same files gives the same."""
    data = {key: value for key, value in as_data(plan).items() if key != "findings"}
    files = sorted(
        [file.name, str(stamp.path), stamp.size_bytes, stamp.mtime_ns]
        for file in sources
        if (stamp := file.stamp) is not None
    )
    contents = [_key(write.content) for write in plan.writes]
    text = json.dumps([data, files, contents], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _key(content: Content) -> object:
    """Return what tells content from others; of files without what is in them."""
    match content:
        case FileContent():
            return [str(content.path), content.offset, content.length]
        case Overlaid():
            sectors = [[sector, data.hex()] for sector, data in content.sectors]
            return [_key(content.content), content.unit, sectors]
        case FillContent():
            return content.pattern.hex()
        case Slice():
            return [_key(content.content), content.offset, content.size_bytes]
        case Joined():
            return [_key(part) for part in content.parts]
        case BytesContent():
            return hashlib.sha256(content.data).hexdigest()
    return type(content).__name__  # of an archive, say: the stamps of the sources tell it apart


class Journal:
    """The journal of one job on one phone."""

    def __init__(self, path: Path, job: str, *, resume: bool) -> None:
        """Open it. resume: keep what an interrupted run of the same job has done.

        Raises:
            DiskError: it cannot be written.
        """
        self._path = path
        self.done: dict[Area, bytes] = {}
        good_bytes = 0
        if resume:
            self.done, good_bytes = _read(path, job)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as on_failure:
                self._file: BinaryIO = path.open("r+b" if good_bytes else "wb")
                on_failure.callback(self.close, finished=False)
                self._file.truncate(good_bytes)  # behind it may stand a torn line
                self._file.seek(good_bytes)
                if not good_bytes:
                    self._line({"version": _VERSION, "job": job})
                on_failure.pop_all()
        except OSError as error:
            raise DiskError(
                f"The journal {path} cannot be written: {error.strerror}.",
                remedies=("Make room on the disk, or set EDL_HOME to a folder that has some.",),
            ) from error

    def piece(self, area: Area, digest: bytes) -> None:
        """Note that area holds what has digest.

        Raises:
            OSError: it cannot be noted.
        """
        self.done[area] = digest
        self._line({"area": [area.lun, area.start_sector, area.sectors, area.sector_bytes],
                    "sha256": digest.hex()})  # fmt: skip

    def _line(self, data: dict[str, object]) -> None:
        self._file.write(json.dumps(data).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self, *, finished: bool) -> None:
        """Close it; a finished job needs none."""
        with contextlib.suppress(OSError):  # of a full disk, told before
            self._file.close()
        if finished:
            with contextlib.suppress(OSError):
                self._path.unlink()


def _read(path: Path, job: str) -> tuple[dict[Area, bytes], int]:
    """Return what an interrupted run of job has done, and how many bytes of the file say so."""
    done: dict[Area, bytes] = {}
    good_bytes = 0
    try:
        with path.open("rb") as file:
            for line in file:
                row = json.loads(line)
                if not line.endswith(b"\n"):
                    break
                if good_bytes:
                    done[Area(*row["area"])] = bytes.fromhex(row["sha256"])
                elif row != {"version": _VERSION, "job": job}:
                    break
                good_bytes += len(line)
    except (ValueError, KeyError, TypeError, OSError):
        pass  # no journal, or a torn line: what stands before it is good
    return done, good_bytes
