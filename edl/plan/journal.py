# SPDX-License-Identifier: BSD-3-Clause
"""What a job has done so far, on disk, so that an interrupted job can go on.

One JSON object a line, only ever appended: the job and how to repeat it, then for each run where
the phone was, and for each piece what is about to be sent, how much of it has gone, and that the
phone has taken it; at last how the job ended. What begins, and all before it, is on the disk before
anything else happens; how much has gone survives the end of the process, not a power cut.

Before each object stands the CRC-32 of all up to its end, from the first line on: so a line counts
only where it was written, and all before it is there. A torn last line is ignored; what follows a
damaged one is not believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from edl.chunks import BytesContent, Content, FileContent, FillContent
from edl.contents import Joined, Slice
from edl.errors import DiskError
from edl.files import File
from edl.firehose.commands import Area
from edl.home import open_private, private_folder
from edl.locks import Taken, lock
from edl.plan.model import Plan, as_data
from edl.plan.patching import Overlaid

_log = logging.getLogger(__name__)

NOTE_BYTES = 256 * 1024  # how much goes out between two notes, if transfers are not larger
_VERSION = 3
_MAX_LINE_BYTES = 1 << 24
_NO_JOURNAL = (ValueError, KeyError, TypeError, OSError, RecursionError)


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

    job: the fingerprint; empty if there is no first line. about: how to repeat the job, and what it
    was. session: where the phone was in the last run. flight: what was in flight when that ended.
    changed: the job has perhaps changed the phone. end: how it ended; empty: it was interrupted.
    damaged: behind good_bytes there is more than a line that was cut short.
    """

    job: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    session: Mapping[str, Any] = field(default_factory=dict)
    done: dict[Area, bytes] = field(default_factory=dict)
    flight: Flight | None = None
    changed: bool = False
    end: str = ""
    good_bytes: int = 0
    crc: int = 0
    damaged: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether it is of a job that has perhaps changed the phone, and has not ended."""
        return bool(self.job) and self.changed and not self.end


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
        """Open it. resume: go on with the one that is there, otherwise there must be none.

        about: JSON-able, of the job. session: of this run.

        Raises:
            FileExistsError: there is one already.
            DiskError: it cannot be written, is of another job, or another process goes on with it.
        """
        self.path = path
        try:
            private_folder(path.parent)
            with contextlib.ExitStack() as on_failure:
                self._file: BinaryIO = open_private(path, "r+b" if resume else "xb")
                on_failure.callback(self.close)
                _hold(self._file)
                kept = read(path)
                if resume and (kept.job != job or kept.end):
                    raise DiskError(f"The journal {path} is not of this job any more.")
                self.done, self.changed, self._crc = kept.done, kept.changed, kept.crc
                self._file.truncate(kept.good_bytes)  # behind it may stand a torn line
                self._file.seek(kept.good_bytes)
                if resume:
                    self._line({"session": session or {}})
                else:
                    head = {"version": _VERSION, "job": job, "about": about or {}}
                    self._line({**head, "session": session or {}})
                    _sync_folder(path.parent)
                on_failure.pop_all()
        except Taken as error:
            raise DiskError(
                f"Another program goes on with the job of {path}.",
                remedies=("Wait until it has ended.",),
            ) from error
        except OSError as error:
            if isinstance(error, FileExistsError) and path.exists():
                raise
            raise DiskError(
                f"The journal {path} cannot be written: {error.strerror}.",
                remedies=("Make room on the disk, or set EDL_HOME to a folder that has some.",),
            ) from error

    def begin(self, area: Area, label: str, payload_bytes: int) -> None:
        """Note that area is about to be written, in transfers of payload_bytes.

        Raises:
            OSError: it cannot be noted.
        """
        self.changed = True
        self._line({"begin": _place(area), "label": label, "payload": payload_bytes})

    def erasing(self, area: Area, label: str) -> None:
        """Note that the phone is about to be told to erase area.

        Raises:
            OSError: it cannot be noted.
        """
        self.changed = True
        self._line({"erase": _place(area), "label": label})

    def sent(self, count: int) -> None:
        """Note that count bytes of what has begun have gone out.

        Raises:
            OSError: it cannot be noted.
        """
        self._line({"sent": count}, sync=False)

    def piece(self, area: Area, digest: bytes) -> None:
        """Note that area holds what has digest.

        It is on the disk with what comes next: a power cut before that costs this piece only, which
        is sent again. Waiting for it would double what many small partitions cost.

        Raises:
            OSError: it cannot be noted.
        """
        self.done[area] = digest
        self._line({"area": _place(area), "sha256": digest.hex()}, sync=False)

    def _line(self, data: Mapping[str, object], *, sync: bool = True) -> None:
        self._crc = _append(self._file, self._crc, data, sync=sync)

    def end(self, how: str) -> None:
        """Note how the job ended: nothing goes on with it any more. Failure to is no harm."""
        with contextlib.suppress(OSError):
            self._line({"end": how})

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError):  # of a full disk, told before
            self._file.close()


def read(path: Path) -> Kept:
    """Return what the journal at path tells, as far as it can be believed."""
    kept = Kept()
    with contextlib.suppress(OSError), path.open("rb") as file:
        for line in iter(lambda: file.readline(_MAX_LINE_BYTES), b""):
            try:
                _take(kept, json.loads(_checked(kept, line)))
            except _NO_JOURNAL:
                rest = line + file.read(_MAX_LINE_BYTES)
                kept.damaged = b"\n" in rest.rstrip(b"\0")
                break
            kept.crc = zlib.crc32(line, kept.crc)
            kept.good_bytes += len(line)
    return kept


def note(path: Path, kept: Kept, data: Mapping[str, object]) -> None:
    """Append a line to the journal at path, which tells kept and which nobody writes to.

    Raises:
        OSError: it cannot be noted, or somebody does write to it.
    """
    with path.open("r+b") as file:
        _hold(file)
        file.truncate(kept.good_bytes)
        file.seek(kept.good_bytes)
        _append(file, kept.crc, data)


def note_sent(path: Path, kept: Kept, count: int) -> None:
    """Note in the journal at path, which tells kept, that perhaps count bytes have gone out.

    Raises:
        OSError: it cannot be noted.
    """
    note(path, kept, {"sent": count})


def is_held(path: Path) -> bool:
    """Tell whether a process that runs writes to the journal at path."""
    try:
        with path.open("r+b") as file:
            _hold(file)
    except Taken:
        return True
    except OSError:
        return False
    return False


def _hold(file: BinaryIO) -> None:
    """Keep other processes off, where the file system can do so.

    Raises:
        Taken: another one was first.
    """
    try:
        lock(file)
    except Taken:
        raise
    except OSError as error:
        _log.info("%s cannot be locked: %s", file.name, error)


def _append(file: BinaryIO, crc: int, data: Mapping[str, object], *, sync: bool = True) -> int:
    """Write a line where file stands; return the CRC-32 of all up to its end."""
    text = json.dumps(data).encode()
    line = b"%08x %b\n" % (zlib.crc32(text, crc), text)
    file.write(line)
    file.flush()
    if sync:
        os.fsync(file.fileno())
    return zlib.crc32(line, crc)


def _checked(kept: Kept, line: bytes) -> bytes:
    """Return the object of the line that follows what kept was read from.

    Raises:
        ValueError: it is cut short, or not what was written there.
    """
    told, text = line[:8], line[9:-1]
    whole = line[8:9] == b" " and line.endswith(b"\n")
    if not whole or told != b"%08x" % zlib.crc32(text, kept.crc):
        raise ValueError
    return text


def _sync_folder(folder: Path) -> None:
    """Make sure that a new file in folder outlives a power cut, where the system can do so."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _take(kept: Kept, row: Any) -> None:  # noqa: ANN401
    """Take a line of the journal in.

    Raises:
        ValueError, KeyError, TypeError: it makes no sense.
    """
    if not kept.good_bytes:
        if row["version"] != _VERSION:
            raise ValueError
        job, kept.about = _text(row["job"]), _mapping(row["about"])
        kept.session, kept.job = _mapping(row["session"]), job
        kept.changed = "continues" in kept.about
    elif "session" in row:
        kept.session, kept.flight = _mapping(row["session"]), None  # the programmer listens
    elif "settled" in row:
        kept.flight = None  # the programmer has listened to a later job
    elif "end" in row:
        kept.end = _text(row["end"]) or "ended"
    else:
        _take_change(kept, row)
        kept.changed = True


def _take_change(kept: Kept, row: Any) -> None:  # noqa: ANN401
    """Take a line in that tells what is done to the phone."""
    if "begin" in row:
        area, payload_bytes = _area(row["begin"]), _count(row["payload"])
        if not (payload_bytes and area.sector_bytes):
            raise ValueError
        kept.flight = Flight(area, _text(row["label"]), payload_bytes)
    elif "sent" in row:
        if kept.flight is None:
            raise ValueError
        kept.flight = replace(kept.flight, sent_bytes=_count(row["sent"]))
    elif "erase" in row:
        _area(row["erase"])
        kept.flight = None
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
