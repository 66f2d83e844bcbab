# SPDX-License-Identifier: BSD-3-Clause
"""Progress bars on a terminal: one for the running step, one for the whole job."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from edl.cli.failures import colours
from edl.cli.options import Settings
from edl.events import BytesMoved, Event, Notice, Stage, StepStarted


class Bars:
    """See edl.cli.progress.Display."""

    def __init__(self, settings: Settings) -> None:
        self._console = Console(
            stderr=True, no_color=not colours(settings, sys.stderr.isatty()), highlight=False
        )
        self._progress = Progress(
            TextColumn("  {task.fields[place]:>9} {task.description:<22}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._step: TaskID | None = None

    def __enter__(self) -> Self:
        """See Display."""
        self._progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        """See Display."""
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """See Display."""
        match event:
            case Stage(name, text):
                self._drop_step()
                self._say(f"  {name:<8} {text}")
            case Notice(text):
                self._say(f"  note     {text}")
            case StepStarted(index, count, title, total_bytes):
                self._drop_step()
                self._step = self._progress.add_task(
                    title, total=total_bytes, place=f"[{index}/{count}]"
                )
            case BytesMoved(done_bytes):
                if self._step is not None:
                    self._progress.advance(self._step, done_bytes)
            case _:
                pass

    def _drop_step(self) -> None:
        if self._step is not None:
            self._progress.remove_task(self._step)
            self._step = None

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
