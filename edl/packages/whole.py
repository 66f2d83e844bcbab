# SPDX-License-Identifier: BSD-3-Clause
"""Whether what lies in an archive is whole: its own checksums say so, before the first write.

All of it must be unpacked for that, which for a large package takes minutes. So members that lie
apart from each other, as in zip files, are checked several at a time.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterable, Sequence

from edl.errors import ImageError
from edl.events import Emit, Stage, ignore
from edl.files import File
from edl.packages import tarreader
from edl.plan.model import plural
from edl.streamed import StreamContent
from edl.units import MIB, format_size

_TOLD_BYTES = 256 * MIB
_MOST_AT_ONCE = 4  # more of them wait for the disk


def verify(files: Iterable[File], emit: Emit = ignore) -> int:
    """Check those of files that lie in an archive with checksums; return how many did.

    Raises:
        ImageError: some are damaged; all of them are told.
    """
    files = tuple(files)
    packed = [(file, file.content) for file in files if isinstance(file.content, StreamContent)]
    packed = [each for each in packed if not each[1].is_whole]
    size = sum(file.size_bytes for file, _ in packed)
    if size >= _TOLD_BYTES:
        what = plural(len(packed), "file")
        emit(Stage("verify", f"checksums of {what} in the archive, {format_size(size)}"))
    damaged = _damage([content for _, content in packed])
    if damaged:
        raise ImageError(
            "\n".join(error.message for error in damaged), remedies=damaged[0].remedies
        )
    tarreader.expect(files)
    return len(packed)


def _damage(contents: Sequence[StreamContent]) -> list[ImageError]:
    """Check contents; return what is wrong with them, in their order."""
    wrong = {**_beside(contents), **_in_turn(contents)}
    found = []
    for _, error in sorted(wrong.items()):
        if not isinstance(error, ImageError):
            raise error
        found.append(error)
    return found


def _in_turn(contents: Sequence[StreamContent]) -> dict[int, Exception]:
    """Check those that share a stream with others; return what is wrong, by index."""
    wrong: dict[int, Exception] = {}
    for index, content in enumerate(contents):
        if not content.apart:
            _check(content, index, wrong)
    return wrong


def _beside(contents: Sequence[StreamContent]) -> dict[int, Exception]:
    """Check those that lie apart, several at a time; return what is wrong, by index."""
    wrong: dict[int, Exception] = {}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while not (stop.is_set() or waiting.empty()):
            with contextlib.suppress(queue.Empty):
                index = waiting.get_nowait()
                _check(contents[index], index, wrong)

    apart = [index for index, content in enumerate(contents) if content.apart]
    for index in apart:
        waiting.put(index)
    count = min(_MOST_AT_ONCE, os.cpu_count() or 1, len(apart))
    workers = [threading.Thread(target=work, name="checksums", daemon=True) for _ in range(count)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:  # after Ctrl-C they begin no other one
        stop.set()
    return wrong


def _check(content: StreamContent, index: int, wrong: dict[int, Exception]) -> None:
    try:
        content.verify()
    except Exception as error:  # noqa: BLE001  # raised in the caller's thread
        wrong[index] = error
