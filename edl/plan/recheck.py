# SPDX-License-Identifier: BSD-3-Clause
"""Whether the files of a job that goes on are still what its interrupted run has written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from edl.errors import ImageError
from edl.events import BytesMoved, Emit, Stage, ignore
from edl.firehose.commands import Area
from edl.plan.model import Step, Write
from edl.plan.readout import parts
from edl.units import format_size


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
