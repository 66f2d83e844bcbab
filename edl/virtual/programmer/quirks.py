# SPDX-License-Identifier: BSD-3-Clause
"""Misbehaviour that concerns what goes out, whichever programmer it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edl.virtual.link import Firmware, Request, Send
from edl.virtual.programmer.base import Programmer

_DOCUMENT = b"<?xml"


def misbehave(programmer: Programmer, software: Firmware) -> Firmware:
    """Run software, which is the work of programmer, with the quirks of its board."""
    quirks = programmer.board.quirks

    def reached(limit: int | None) -> bool:
        return limit is not None and programmer.packets > limit

    answer: Any = None
    held = _Held(glue=quirks.glued, delay_logs=quirks.late_logs)
    while True:
        try:
            request = software.send(answer)
        except StopIteration:
            return
        answer = None
        if not isinstance(request, Send):
            yield from held.release()
            answer = yield request
        elif reached(quirks.mute_after):
            continue
        elif reached(quirks.garbage_after):
            yield Send(quirks.garbage)
        elif reached(quirks.chatter_after):
            yield from _chatter(programmer.log)
        else:
            yield from held.take(request)


def _chatter(log: Callable[[str], Send]) -> Iterator[Request]:
    number = 0
    while True:
        yield log(f"still busy {number}")
        number += 1


class _Held:
    """Documents that do not go out at once."""

    def __init__(self, *, glue: bool, delay_logs: bool) -> None:
        self._glue = glue
        self._delay_logs = delay_logs
        self._logs: list[Request] = []
        self._glued = b""

    def take(self, request: Send) -> Iterator[Request]:
        """Yield what goes out, now that the programmer sends request."""
        data = bytes(request.data)
        if not data.startswith(_DOCUMENT):
            yield from self.release()
            yield request
        elif self._delay_logs and b"<log " in data:
            self._logs.append(request)
        else:
            yield from self._send(request)
            yield from self._release_logs()

    def release(self) -> Iterator[Request]:
        """Yield all that is held back."""
        yield from self._release_logs()
        if self._glued:
            yield Send(self._glued)
            self._glued = b""

    def _release_logs(self) -> Iterator[Request]:
        logs, self._logs = self._logs, []
        for log in logs:
            yield from self._send(log)

    def _send(self, request: Request) -> Iterator[Request]:
        if self._glue and isinstance(request, Send):
            self._glued += bytes(request.data)
        else:
            yield request
