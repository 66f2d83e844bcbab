# SPDX-License-Identifier: BSD-3-Clause
"""Events of a running job on stderr: bars on a terminal, a line a step elsewhere, or JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from edl.cli import terminal
from edl.cli.options import Settings
from edl.events import Busy, BytesMoved, DeviceLog, Event, Notice, Stage, StepStarted
from edl.units import format_size, format_wait

_TENTH = 10
_SLOW_S = 2.0
_BUSY_AGAIN_S = 10.0  # many short waits are not told one by one
_PROGRESS_S = 0.25
_MOST_ALIKE = 3  # a sparse image can be tens of thousands of pieces


class Display(Protocol):
    """Shows events."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        ...

    def begin(self, total_bytes: int) -> None:
        """Take note that the steps to come move total_bytes together."""
        ...

    def pause(self) -> None:
        """Leave the terminal to somebody else, until the next event."""
        ...

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal clean."""
        ...


def display(settings: Settings) -> Display:
    """Return what shows events under settings."""
    if settings.dialog:
        return DialogDisplay()
    if settings.json:
        return JsonDisplay()
    if settings.quiet:
        return Quiet()
    # a log on the same terminal would tear the bars
    if terminal.is_lively(sys.stderr) and not settings.no_progress and not settings.verbose:
        from edl.cli.bars import Bars  # noqa: PLC0415  # rich costs 55 ms

        return Bars(settings)
    return Lines()


def busy_text(doing: str, waited_s: float, left_s: float | None = None) -> str:
    """Return for people that the phone keeps them waiting; see edl.events.Busy."""
    text = f"the phone is {doing or 'busy or silent'}: {format_wait(waited_s)} so far"
    text += ", which is normal" if doing else ""
    return text if left_s is None else f"{text}; at most {format_wait(left_s)} more"


class Quiet:
    """Shows nothing but what is odd."""

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, *details: object) -> None:
        """See Display."""

    def begin(self, total_bytes: int) -> None:
        """See Display."""

    def pause(self) -> None:
        """See Display."""

    def __call__(self, event: Event) -> None:
        """See Display."""
        if isinstance(event, Notice):
            terminal.err(f"  note     {event.text}")


class Lines(Quiet):
    """One line a step, and one every tenth of a long one."""

    def __init__(self) -> None:
        self._busy_at = -_BUSY_AGAIN_S
        self._title, self._alike = "", 0  # how many steps in a row had that title
        self._measure(0)

    def _measure(self, total_bytes: int) -> None:
        self._done, self._total, self._tenth = 0, total_bytes, 0
        self._begin = time.monotonic()

    def __call__(self, event: Event) -> None:
        """See Display."""
        match event:
            case Stage(name, text, total_bytes):
                terminal.err(f"  {name:<8} {text}")
                self._measure(total_bytes)
            case StepStarted(index, count, title, total_bytes):
                self._title, self._alike = title, self._alike + 1 if title == self._title else 1
                width = len(str(count))
                size = format_size(total_bytes)
                if self._alike <= _MOST_ALIKE:
                    terminal.err(f"  [{index:>{width}}/{count}] {title:<22} {size:>10}")
                elif self._alike == _MOST_ALIKE + 1:
                    terminal.err(f"  {' ':{2 * width + 3}} {title:<22} and so on, piece by piece")
                self._measure(total_bytes)
            case BytesMoved(done_bytes):
                self._moved(done_bytes)
            case Busy(doing, waited_s, left_s):
                if time.monotonic() - self._busy_at >= _BUSY_AGAIN_S:
                    self._busy_at = time.monotonic()
                    terminal.err(f"  {'wait':<8} {busy_text(doing, waited_s, left_s)}")
            case Notice():
                super().__call__(event)
            case DeviceLog():
                pass

    def _moved(self, count: int) -> None:
        self._done += count
        slow = time.monotonic() - self._begin > _SLOW_S
        tenth = _TENTH * self._done // max(self._total, 1)
        if slow and self._tenth < tenth < _TENTH:
            self._tenth = tenth
            terminal.err(f"           {tenth * 10}% of {format_size(self._total)}")


class JsonDisplay(Quiet):
    """JSON lines on stdout."""

    def __call__(self, event: Event) -> None:
        """See Display."""
        match event:
            case Stage(name, text):
                _line("stage", name=name, text=text)
            case StepStarted(index, count, title, total_bytes):
                _line("step", index=index, count=count, title=title, bytes=total_bytes)
            case DeviceLog(text):
                _line("device_log", text=text)
            case Notice(text):
                _line("notice", text=text)
            case Busy(doing, waited_s, left_s):
                _line("busy", doing=doing, waited_s=waited_s, left_s=left_s)
            case BytesMoved():
                pass  # too many to be of use: steps and the result tell


class DialogDisplay(JsonDisplay):
    """JSON lines, also of how far the work is: the whole one (`begin`), else a stage or a step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = -_PROGRESS_S
        self._lock = threading.Lock()
        self._whole = 0  # 0: there is none
        self._behind = 0  # bytes of the whole in steps that are over
        self._inside = False  # what runs is a part of the whole
        self._part, self._done = 0, 0  # bytes of what runs
        self._last = (-1, -1)

    def begin(self, total_bytes: int) -> None:
        """See Display."""
        with self._lock:
            self._whole, self._behind, self._inside = total_bytes, 0, total_bytes > 0
            self._part = self._done = 0

    def __call__(self, event: Event) -> None:
        """See Display."""
        super().__call__(event)
        with self._lock:
            match event:
                case StepStarted(total_bytes=total):
                    self._leave()
                    self._inside = self._behind < self._whole
                    self._part, self._done = total, 0
                case Stage(total_bytes=total) if total:
                    self._leave()
                    self._inside, self._part, self._done = False, total, 0
                case BytesMoved(done_bytes):
                    self._done += done_bytes
                    self._tell()
                case _:
                    pass

    def _leave(self) -> None:
        """Count the step that is over as a whole: what unpacks in its middle moves bytes, too."""
        if self._inside and self._part:
            self._behind = min(self._behind + self._part, self._whole)
            if self._behind == self._whole:
                self._show(self._whole, self._whole)
        self._inside = False

    def _tell(self) -> None:
        done = min(self._done, self._part) if self._part else self._done
        if self._inside:
            self._show(min(self._behind + done, self._whole), self._whole)
        else:
            self._show(done, self._part)

    def _show(self, done: int, total: int) -> None:
        now = self._clock()
        due = now - self._told_at >= _PROGRESS_S or done == total
        if due and self._last != (done, total):
            self._told_at, self._last = now, (done, total)
            _line("progress", done_bytes=done, total_bytes=total)


def _line(kind: str, **data: object) -> None:
    terminal.out([json.dumps({"v": 1, "type": "event", "event": kind, **data})])
