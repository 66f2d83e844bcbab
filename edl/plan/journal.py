# SPDX-License-Identifier: BSD-3-Clause
"""What a job has done so far, on disk, so that an interrupted job can go on.

One JSON object a line, only ever appended: the job and how to repeat it, then for each run where
the phone was, and for each piece what is about to be sent, how much of it has gone, and that the
phone has taken it. What begins and what is done is on the disk before anything else happens; how
much has gone survives the end of the process, not a power cut. A torn last line is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from edl.chunks import BytesContent, Content, FileContent, FillContent
from edl.contents import Joined, Slice
from edl.errors import DiskError
from edl.files import File
from edl.firehose.commands import Area
from edl.plan.model import Plan, as_data
from edl.plan.patching import Overlaid

NOTE_BYTES = 256 * 1024  # how much goes out between two notes, if transfers are not larger
_VERSION = 2
_MAX_LINE_BYTES = 1 << 24


@dataclass(frozen=True)
class Flight:
    """A piece that was being sent. sent_bytes: at least so many had gone out when it was noted."""

    area: Area
    label: str
    payload_bytes: int
    sent_bytes: int = 0


@dataclass
class Kept:
    """What a journal tells. good_bytes: how much of the file can be believed.

    job: the fingerprint. about: how to repeat the job, and what it was. session: where the phone
    was in the last run. flight: what was in flight when it ended.
    """

    job: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    session: Mapping[str, Any] = field(default_factory=dict)
    done: dict[Area, bytes] = field(default_factory=dict)
    flight: Flight | None = None
    good_bytes: int = 0


def fingerprint(plan: Plan, sources: Iterable[File]) -> str:
    """Return a digest of what the job is: the same job on the same files gives the same."""
    data = {key: value for key, value in as_data(plan).items() if key != "findings"}
    contents = [_key(write.content) for write in plan.writes]
    text = json.dumps([data, stamps(sources), contents], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def stamps(sources: Iterable[File]) -> list[list[Any]]:
    """Return what tells whether the files on disk are still the same, as JSON-able data."""
    return sorted(
        [file.name, str(stamp.path), stamp.size_bytes, stamp.mtime_ns]
        for file in sources
        if (stamp := file.stamp) is not None
    )


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

    def __init__(
        self,
        path: Path,
        job: str,
        *,
        resume: bool,
        about: Mapping[str, Any] | None = None,
        session: Mapping[str, Any] | None = None,
    ) -> None:
        """Open it. resume: keep what an interrupted run of the same job has done.

        about: JSON-able, of the job. session: of this run.

        Raises:
            DiskError: it cannot be written.
        """
        self._path = path
        kept = read(path) if resume else Kept()
        if kept.job != job:
            kept = Kept()
        self.done = kept.done
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as on_failure:
                self._file: BinaryIO = path.open("r+b" if kept.good_bytes else "wb")
                on_failure.callback(self.close, finished=False)
                self._file.truncate(kept.good_bytes)  # behind it may stand a torn line
                self._file.seek(kept.good_bytes)
                if not kept.good_bytes:
                    self._line({"version": _VERSION, "job": job, "about": about or {}})
                if session is not None:
                    self._line({"session": session})
                on_failure.pop_all()
        except OSError as error:
            raise DiskError(
                f"The journal {path} cannot be written: {error.strerror}.",
                remedies=("Make room on the disk, or set EDL_HOME to a folder that has some.",),
            ) from error

    def begin(self, area: Area, label: str, payload_bytes: int) -> None:
        """Note that area is about to be written, in transfers of payload_bytes.

        Raises:
            OSError: it cannot be noted.
        """
        self._line({"begin": _place(area), "label": label, "payload": payload_bytes})

    def sent(self, count: int) -> None:
        """Note that count bytes of what has begun have gone out.

        Raises:
            OSError: it cannot be noted.
        """
        self._line({"sent": count}, sync=False)

    def piece(self, area: Area, digest: bytes) -> None:
        """Note that area holds what has digest.

        Raises:
            OSError: it cannot be noted.
        """
        self.done[area] = digest
        self._line({"area": _place(area), "sha256": digest.hex()})

    def _line(self, data: Mapping[str, object], *, sync: bool = True) -> None:
        self._file.write(json.dumps(data).encode() + b"\n")
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())

    def close(self, *, finished: bool) -> None:
        """Close it; a finished job needs none."""
        with contextlib.suppress(OSError):  # of a full disk, told before
            self._file.close()
        if finished:
            with contextlib.suppress(OSError):
                self._path.unlink()


def read(path: Path) -> Kept:
    """Return what the journal at path tells, as far as it can be believed."""
    kept = Kept()
    with contextlib.suppress(ValueError, KeyError, TypeError, OSError), path.open("rb") as file:
        for line in iter(lambda: file.readline(_MAX_LINE_BYTES), b""):
            if not line.endswith(b"\n"):
                break
            _take(kept, json.loads(line))
            kept.good_bytes += len(line)
    return kept


def note_sent(path: Path, kept: Kept, count: int) -> None:
    """Note in the journal at path, which tells kept, that perhaps count bytes have gone out.

    Raises:
        OSError: it cannot be noted.
    """
    with path.open("r+b") as file:
        file.truncate(kept.good_bytes)
        file.seek(kept.good_bytes)
        file.write(json.dumps({"sent": count}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _take(kept: Kept, row: Any) -> None:  # noqa: ANN401
    """Take a line of the journal in.

    Raises:
        ValueError, KeyError, TypeError: it makes no sense.
    """
    if not kept.good_bytes:
        if row["version"] != _VERSION:
            raise ValueError
        kept.job, kept.about = _text(row["job"]), _mapping(row["about"])
    elif "session" in row:
        kept.session = _mapping(row["session"])
    elif "begin" in row:
        area, payload_bytes = _area(row["begin"]), _count(row["payload"])
        if not (payload_bytes and area.sector_bytes):
            raise ValueError
        kept.flight = Flight(area, _text(row["label"]), payload_bytes)
    elif "sent" in row:
        if kept.flight is None:
            raise ValueError
        kept.flight = replace(kept.flight, sent_bytes=_count(row["sent"]))
    else:
        kept.done[_area(row["area"])] = bytes.fromhex(row["sha256"])
        kept.flight = None


def _place(area: Area) -> list[int]:
    return [area.lun, area.start_sector, area.sectors, area.sector_bytes]


def _area(row: Any) -> Area:  # noqa: ANN401
    return Area(*map(_count, row))


def _count(value: Any) -> int:  # noqa: ANN401
    if not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise TypeError
    return value


def _mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise TypeError
    return value
