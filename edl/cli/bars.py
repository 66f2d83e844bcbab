# SPDX-License-Identifier: BSD-3-Clause
"""Progress bars on a terminal: one for the running step, one for the whole job.

Where nothing can be measured a spinner and a clock show that something goes on.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from edl.cli import terminal
from edl.cli.options import Settings
from edl.events import BytesMoved, DeviceLog, Event, Notice, Stage, StepStarted
from edl.units import format_duration, format_size

_WIDE = 80  # narrower terminals get figures only
_DOING = {
    "wait": "waiting",
    "loader": "uploading",
    "save": "saving",
    "verify": "comparing",
    "reset": "restarting",
}


class Figures(ProgressColumn):
    """`3.1 MiB of 5 GiB, 212 MiB/s, 9 s left`, or how long it has lasted."""

    def render(self, task: Task) -> Text:
        """See rich."""
        if task.total is None:
            return Text(format_duration(task.elapsed or 0.0))
        words = [f"{format_size(int(task.completed))} of {format_size(int(task.total))}"]
        if task.speed:
            words.append(f"{format_size(int(task.speed))}/s")
        if task.time_remaining:
            words.append(f"{format_duration(task.time_remaining)} left")
        return Text(", ".join(words), no_wrap=True, overflow="ellipsis")


class Bars:
    """See edl.cli.progress.Display."""

    def __init__(self, settings: Settings) -> None:
        coloured = terminal.colours(settings.color, sys.stderr)
        self._console = Console(
            stderr=True, no_color=not coloured, force_terminal=True, highlight=False, markup=False
        )
        bar = [BarColumn(bar_width=20)] if self._console.width >= _WIDE else []
        name = TextColumn("{task.description}", markup=False)
        self._progress = Progress(
            SpinnerColumn(), name, *bar, Figures(), console=self._console, transient=True
        )
        self._doing = self._add()  # something that cannot be measured
        self._step = self._add()
        self._job = self._add()
        self._job_bytes = 0
        self._running = False

    def _add(self) -> TaskID:
        return self._progress.add_task("", total=None, visible=False)

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, *details: object) -> None:
        """See Display."""
        self.pause()

    def begin(self, total_bytes: int) -> None:
        """See Display."""
        self._job_bytes = total_bytes

    def pause(self) -> None:
        """See Display."""
        if self._running:
            self._running = False
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                self._progress.stop()

    def __call__(self, event: Event) -> None:
        """See Display."""
        with contextlib.suppress(OSError, ValueError):
            if not self._running:
                self._running = True
                self._progress.start()
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Stage(name, text):
                self._say(f"  {name:<8} {text}")
                self._stage(name)
            case Notice(text):
                self._say(f"  note     {text}")
            case StepStarted(index, count, title, total_bytes):
                self._show(self._step, f"[{index}/{count}] {terminal.clean(title)}", total_bytes)
                self._hide(self._doing)
                if count > 1 and self._job_bytes and index == 1:
                    self._show(self._job, "all", self._job_bytes)
            case BytesMoved(done_bytes):
                self._progress.advance(self._step, done_bytes)
                self._progress.advance(self._job, done_bytes)
            case DeviceLog():
                pass

    def _stage(self, name: str) -> None:
        """Show a spinner, or the way through all bytes where they are compared."""
        self._hide(self._job)
        if name == "verify" and self._job_bytes:
            self._hide(self._doing)
            self._show(self._step, _DOING[name], self._job_bytes)
        else:
            self._hide(self._step)
            self._show(self._doing, _DOING.get(name, "working"), None)

    def _show(self, task: TaskID, what: str, total_bytes: int | None) -> None:
        self._progress.reset(task, total=total_bytes, description=what, visible=True)

    def _hide(self, task: TaskID) -> None:
        self._progress.update(task, visible=False)

    def _say(self, text: str) -> None:
        self._console.print(terminal.clean(text), soft_wrap=True)
