# SPDX-License-Identifier: BSD-3-Clause
"""Whether the files of a job are still what was checked, and what an interrupted run wrote."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping

from edl.errors import ImageError
from edl.events import BytesMoved, Emit, Stage, ignore
from edl.files import File
from edl.firehose.commands import Area
from edl.plan.model import Step, Write
from edl.plan.readout import parts
from edl.units import format_size

_OFTEN_S = 1.0


class Sources:
    """The files of a job, looked at while it goes on.

    That of a piece is looked at each time. All of them would cost a package of 200 files more than
    a millisecond a file: so they are once a second, and before anything is called verified.
    """

    def __init__(self, files: Iterable[File], clock: Callable[[], float] = time.monotonic) -> None:
        self._by_name: dict[str, list[File]] = {}
        by_stamp = {}
        for file in files:
            names = {file.name, file.path.name if file.path is not None else file.name}
            for name in names:
                self._by_name.setdefault(name, []).append(file)
            by_stamp[file.stamp] = file  # the members of an archive share one
        self._all = tuple(by_stamp.values())
        self._clock = clock
        self._looked_s = clock()

    def require_unchanged(self, name: str = "") -> None:
        """Make sure of the files called so, and of all when it is time, or where none is.

        Raises:
            ImageError: one of them has changed, or is gone.
        """
        files: Iterable[File] | None = self._by_name.get(name)
        now_s = self._clock()
        if files is None or now_s - self._looked_s >= _OFTEN_S:
            files, self._looked_s = self._all, now_s
        for file in files:
            file.require_unchanged()


def require_same(
    steps: Iterable[Step],
    done: Mapping[Area, bytes],
    emit: Emit = ignore,
    check_cancel: Callable[[], None] = lambda: None,
) -> None:
    """Make sure that the pieces in done, with their SHA-256, are what steps would write.

    A file may have changed although its size and time have not: half of each would be left.

    Raises:
        ImageError: it has, or cannot be read.
    """
    known = [
        (step, area, offset)
        for step in steps
        if isinstance(step, Write)
        for area, offset in parts(step)
        if area in done
    ]
    if not known:
        return
    total = sum(area.size_bytes for _, area, _ in known)
    text = f"are the files still those that {format_size(total)} were written from?"
    emit(Stage("compare", text, total))
    for step, area, offset in known:
        check_cancel()
        found = hashlib.sha256()
        for chunk in step.content.chunks(offset, area.size_bytes):
            found.update(chunk)
            emit(BytesMoved(len(chunk)))
        if found.digest() != done[area]:
            raise ImageError(
                f"The image for '{step.label}' is not what the interrupted run has written.",
                remedies=("Bring back the file as it was, or begin anew without 'resume'.",),
            )
