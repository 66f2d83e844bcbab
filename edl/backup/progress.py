# SPDX-License-Identifier: BSD-3-Clause
"""What a backup has got so far, on disk: one JSON object a line, a line a block.

Lines are not forced to the disk one by one, and neither is the data: after a power cut either may
be missing, so everything that is found here is compared with its digest before it counts. That
reads this computer's disk, which is many times faster than the phone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from edl.backup.reader import Runs
from edl.errors import DiskError
from edl.firehose.commands import Area
from edl.formats.manifest import Verified
from edl.formats.seekable import Frame
from edl.home import open_private

FILE_NAME = "progress.jsonl"
_MAX_LINE = 1 << 20


@dataclass(frozen=True)
class Done:
    """A block that was saved.

    offset: in its file, unpacked. frames: what it is made of in a packed file, with the zeros that
    stand before it. denied: sectors that the programmer does not give.
    """

    lun: int
    start_sector: int
    sectors: int
    size_bytes: int
    offset: int
    sha256: bytes
    verified: Verified = Verified.NOT
    bad: Runs = ()
    denied: Runs = ()
    frames: tuple[Frame, ...] = field(default=())

    def text(self) -> str:
        """Return the line."""
        return json.dumps([
            [self.lun, self.start_sector, self.sectors, self.size_bytes, self.offset],
            self.sha256.hex(), self.verified, self.bad, self.denied, self.frames,
        ])  # fmt: skip

    @classmethod
    def parse(cls, line: bytes) -> Done:
        """Return what line says.

        Raises:
            ValueError, TypeError: it is torn, or something else.
        """
        numbers, digest, verified, bad, denied, frames = json.loads(line)
        lun, start, sectors, size, offset = map(_number, numbers)
        return cls(
            lun, start, sectors, size, offset, bytes.fromhex(digest), Verified(verified),
            _pairs(bad), _pairs(denied), tuple(Frame(*pair) for pair in _pairs(frames)),
        )  # fmt: skip


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no size or place")
    return value


def _pairs(values: list[list[object]]) -> Runs:
    return tuple((_number(first), _number(second)) for first, second in values)


class Progress:
    """The journal of one backup.

    Attributes:
        found: what an earlier run has saved, by LUN and first sector.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        """Open it. resume: take over what is there.

        Raises:
            DiskError: it cannot be written.
        """
        self._path = folder / FILE_NAME
        self.found = _read(self._path) if resume else {}
        try:
            self._file = open_private(self._path, "ab" if resume else "wb")
            self._file.write(b"\n")  # ends a line that an earlier run could not end
        except OSError as error:
            raise DiskError(f"{self._path} cannot be written: {error.strerror}.") from error

    def add(self, done: Done) -> None:
        """Keep done.

        Raises:
            DiskError: the disk is full.
        """
        try:
            self._file.write(done.text().encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise DiskError(
                f"{self._path} cannot be written: {error.strerror}.",
                remedies=("Make room on that disk.",),
            ) from error

    def drop(self, area: Area) -> None:
        """Forget area: it is to be read again.

        Raises:
            DiskError: the disk is full.
        """
        self.found.pop((area.lun, area.start_sector), None)
        self.add(Done(area.lun, area.start_sector, 0, 0, 0, b""))

    def known(self, area: Area) -> Done | None:
        """Return what is known of exactly area."""
        done = self.found.get((area.lun, area.start_sector))
        return done if done is not None and done.sectors == area.sectors else None

    def close(self) -> None:
        """Close it; it stays, to go on with."""
        self._file.close()

    def remove(self) -> None:
        """Close and remove it: the backup is whole."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> dict[tuple[int, int], Done]:
    found: dict[tuple[int, int], Done] = {}
    try:
        with path.open("rb") as file:
            while line := file.readline(_MAX_LINE):
                try:
                    done = Done.parse(line)
                except (ValueError, TypeError, RecursionError):
                    continue
                found[done.lun, done.start_sector] = done
    except OSError:
        return {}
    return found
