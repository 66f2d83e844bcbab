# SPDX-License-Identifier: BSD-3-Clause
"""Progress on a terminal: a bar for the running step, and one for the whole job.

Where nothing can be measured, a spinner and a clock show that something goes on. Every line has its
place, whatever its figures are, and none is wider than the terminal.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from edl.cli import terminal
from edl.cli.meter import Meter
from edl.cli.options import Settings
from edl.cli.progress import busy_text
from edl.events import Busy, BytesMoved, DeviceLog, Event, Notice, Stage, StepStarted
from edl.units import format_size, format_wait

_FRAMES_S = 10  # changes of the spinner a second
_LONGEST_NAME = 28
_BARS = (20, 10, 0)
_LONGEST_LEFT = "59 min 59 s left"
_DOING = {
    "wait": "waiting",
    "loader": "uploading",
    "save": "saving",
    "verify": "comparing",
    "compare": "comparing",
    "index": "reading",
    "unpack": "unpacking",
    "reset": "restarting",
}


@dataclass(frozen=True)
class Look:
    """The characters that a terminal's encoding has: of the spinner, and of a bar's two ends."""

    spinner: str
    done: str
    rest: str
    cut: str


_RICH = Look("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "─", "…")
_PLAIN = Look("|/-\\", "#", "-", "~")


def look(encoding: str | None) -> Look:
    """Return the characters that encoding has: many consoles on Windows have few."""
    try:
        f"{_RICH.spinner}{_RICH.done}{_RICH.rest}{_RICH.cut}".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN
    return _RICH


# How the figures of a meter are told, the longest first, with the room that each needs.


def _full(meter: Meter) -> str:
    amounts = f"{format_size(min(meter.done, meter.total))} of {format_size(meter.total)}"
    return ", ".join([amounts, *_speed(meter), *_left(meter)])


def _middle(meter: Meter) -> str:
    return ", ".join([_percent(meter), *_speed(meter), *_left(meter)])


def _short(meter: Meter) -> str:
    return ", ".join([_percent(meter), *_left(meter)])


def _percent(meter: Meter) -> str:
    return f"{int(100 * meter.part):>3} %"


def _speed(meter: Meter) -> list[str]:
    return [f"{format_size(int(meter.speed))}/s"] if meter.speed else []


def _left(meter: Meter) -> list[str]:
    if not meter.left_s:
        return []
    text = f"{format_wait(max(1.0, meter.left_s))} left"
    return [text] if len(text) <= len(_LONGEST_LEFT) else ["hours left"]


_FORMS = (
    (_full, len("99.9 MiB of 99.9 MiB, 99.9 MiB/s, ") + len(_LONGEST_LEFT)),
    (_middle, len("100 %, 99.9 MiB/s, ") + len(_LONGEST_LEFT)),
    (_short, len("100 %, ") + len(_LONGEST_LEFT)),
    (_percent, len("100 %")),
)


def row(name: str, meter: Meter, width: int, marks: Look, *, stalled: bool = False) -> str:
    """Return what is told of meter, in at most width columns.

    stalled: nothing moves just now, so nobody can tell how long it will take.
    """
    room = min(_LONGEST_NAME, width // 3)
    cut = name if len(name) <= room else name[: max(0, room - 1)] + marks.cut
    fits = [
        (bar, figures)
        for figures, most in _FORMS[:-1]
        for bar in _BARS
        if room + 1 + (bar + 1 if bar else 0) + most <= width
        if bar or figures is not _full
    ]
    bar, figures = fits[0] if fits else (0, _percent)
    done = int(bar * meter.part)
    drawn = f"{marks.done * done}{marks.rest * (bar - done)} " if bar else ""
    told = _percent(meter) if stalled else figures(meter)
    return f"{cut:<{room}} {drawn}{told}"[:width].rstrip()


class Bars:
    """See edl.cli.progress.Display."""

    def __init__(self, settings: Settings) -> None:
        coloured = terminal.colours(settings.color, sys.stderr)
        self._console = Console(
            stderr=True, no_color=not coloured, force_terminal=True, highlight=False, markup=False
        )
        self._look = look(self._console.encoding)
        self._doing: tuple[str, float] | None = None  # what cannot be measured, since when
        self._busy: tuple[Busy, float] | None = None
        self._step: tuple[str, Meter] | None = None
        self._job: Meter | None = None
        self._job_bytes = 0
        self._job_shown = self._running = False
        self._live = Live(
            console=self._console, transient=True, refresh_per_second=_FRAMES_S,
            get_renderable=self._drawn,
        )  # fmt: skip

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, *details: object) -> None:
        """See Display."""
        self.pause()

    def begin(self, total_bytes: int) -> None:
        """See Display."""
        self._job_bytes = total_bytes
        self._job = None

    def pause(self) -> None:
        """See Display."""
        if self._running:
            self._running = False
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                self._live.stop()

    def __call__(self, event: Event) -> None:
        """See Display."""
        with contextlib.suppress(OSError, ValueError):
            if not self._running:
                self._running = True
                self._live.start()
            self._take(event)

    def _take(self, event: Event) -> None:
        if not isinstance(event, DeviceLog):
            self._busy = None
        match event:
            case Stage(name, text, total_bytes):
                self._say(f"  {name:<8} {text}")
                self._stage(_DOING.get(name, "working"), total_bytes)
            case Notice(text):
                self._say(f"  note     {text}")
            case StepStarted(index, count, title, total_bytes):
                name = f"[{index}/{count}] {terminal.clean(title)}"
                self._begin_step(name, total_bytes, several=count > 1)
            case BytesMoved(done_bytes):
                self._move(done_bytes)
            case Busy():
                self._busy = event, time.monotonic()
            case DeviceLog():
                pass

    def _begin_step(self, name: str, total_bytes: int, *, several: bool) -> None:
        self._doing = None
        self._step = name, Meter(total_bytes)
        if several and self._job_bytes and self._job is None:
            self._job = Meter(self._job_bytes)
        self._job_shown = several

    def _move(self, done_bytes: int) -> None:
        if self._step is not None:
            self._step[1].move(done_bytes)
        if self._job is not None and self._job_shown:
            self._job.move(done_bytes)

    def _stage(self, doing: str, total_bytes: int) -> None:
        """Show the way through what it moves, or a spinner and a clock."""
        self._job_shown = False
        self._step = (doing, Meter(total_bytes)) if total_bytes else None
        self._doing = None if total_bytes else (doing, time.monotonic())

    # -- what is shown --------------------------------------------------------------------------

    def _drawn(self) -> Text:
        """Return the lines as they are now; another thread asks for them."""
        now = time.monotonic()
        frame = self._look.spinner[int(now * _FRAMES_S) % len(self._look.spinner)]
        width = self._console.width - 3  # the spinner; the last column stays empty
        rows = [f"{frame} {line}" for line in self._lines(now, width)]
        return Text("\n".join(rows), no_wrap=True, overflow="crop")

    def _lines(self, now: float, width: int) -> list[str]:
        step, job, doing, busy = self._step, self._job, self._doing, self._busy
        lines = []
        if doing is not None:
            lines.append(f"{doing[0]} {format_wait(now - doing[1])}"[:width])
        if step is not None:
            lines.append(row(*step, width, self._look, stalled=busy is not None))
        if job is not None and self._job_shown:
            lines.append(row("all", job, width, self._look, stalled=busy is not None))
        if busy is not None:
            event, since = busy
            waited_s = event.waited_s + now - since
            lines.append(busy_text(event.doing, waited_s)[:width])
        return lines

    def _say(self, text: str) -> None:
        line = terminal.fitted(terminal.clean(text), sys.stderr)
        self._console.print(line, soft_wrap=True)
