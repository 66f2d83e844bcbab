# SPDX-License-Identifier: BSD-3-Clause
"""The phones of a station, shown: a table on a terminal, lines elsewhere, JSON lines for programs.

Workers tell from threads of their own; each line is written whole.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from edl.cli import terminal
from edl.cli.options import Settings
from edl.cli.station.rows import Row, State
from edl.units import format_size

_REFRESH_HZ = 4


class Board(Protocol):
    """Shows rows."""

    def __call__(self, row: Row) -> None:
        """Take note that there is news of row."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def board(settings: Settings, rows: Sequence[Row]) -> Board:
    """Return what shows rows under settings; rows may grow."""
    if settings.json:
        return JsonBoard()
    if terminal.is_lively(sys.stderr) and not (
        settings.no_progress or settings.verbose or settings.quiet
    ):
        return TableBoard(rows)
    return LineBoard(quiet=settings.quiet)


class JsonBoard:
    """JSON lines on stdout: what is known of a phone, whenever that changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def __call__(self, row: Row) -> None:
        """See Board."""
        with self._lock:
            notes, row.notes[:] = row.notes[:], []
            told = {
                **row.as_data(),
                "on_phone": row.data.get("state", ""),
                "remedies": list(row.data.get("remedies", ())),
                "done_bytes": row.done_bytes,
                "job_bytes": row.job_bytes,
            }
            terminal.out([json.dumps({"v": 1, "type": "phone", **told, "notes": notes})])


class LineBoard:
    """A line for each step of each phone."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._told: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def __call__(self, row: Row) -> None:
        """See Board."""
        with self._lock:
            for note in row.notes[:]:
                row.notes.remove(note)
                terminal.err(f"  {_who(row)} note: {note}")
            if self._quiet and not row.ended:
                return
            share = f"writing, {row.quarters * 25}% done"
            text = f"  {_who(row)} {share if row.state is State.WRITING else words(row)}"
            if self._told.get(id(row)) != text:
                self._told[id(row)] = text
                terminal.err(text)


class TableBoard(LineBoard):
    """A live table with a row for each phone."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        from rich.console import Console  # noqa: PLC0415  # rich costs 55 ms
        from rich.live import Live  # noqa: PLC0415

        self._rows = rows
        console = Console(file=sys.stderr, highlight=False, markup=False)
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=_REFRESH_HZ
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.stop()

    def __call__(self, row: Row) -> None:
        """See Board. The table shows the rest."""
        with self._lock:
            for note in row.notes[:]:
                row.notes.remove(note)
                self._live.console.print(
                    f"  {_who(row)} note: {terminal.clean(note)}", soft_wrap=True
                )

    def _table(self) -> Any:  # noqa: ANN401
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for name, width in (("place", 7), ("serial", 8), ("done", 5), ("speed", 11)):
            side: Literal["left", "right"] = "right" if name in {"done", "speed"} else "left"
            table.add_column(name, justify=side, width=width, no_wrap=True)
        table.add_column("what", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in list(self._rows):
            speed = (
                "" if row.state is not State.WRITING else f"{format_size(int(row.bytes_per_s))}/s"
            )
            cells = (row.place, row.serial or "-", f"{int(100 * row.share)}%", speed, words(row))
            table.add_row(*(Text(terminal.clean(cell)) for cell in cells))
        if not self._rows:
            table.add_row("-", "-", "", "", "waiting for phones in EDL mode; Ctrl-C ends")
        return table


def words(row: Row) -> str:
    """Return what a phone is at, for people."""
    match row.state:
        case State.WRITING:
            return f"writing {row.step}"
        case State.DONE:
            written = format_size(row.data.get("written_bytes") or 0)
            return f"done: {written} written and verified, {row.seconds:.0f} s"
        case State.FAILED | State.STOPPED | State.LEFT_ALONE:
            first = str(row.data.get("message", "")).partition("\n")[0]
            return f"{row.state}: error[{row.data.get('code')}]: {first}"
        case other:
            return str(other)


def last_words(row: Row) -> Iterator[str]:
    """Yield how the job of a phone has ended; if not well, what is on it, and what to do."""
    yield f"{_who(row)} {words(row)}"
    if state := row.data.get("state"):
        yield f"  on the phone: {state}"
    for remedy in row.data.get("remedies", ()):
        yield f"  try: {remedy}"


def _who(row: Row) -> str:
    return f"{row.place:<6} {row.serial or 'unknown':<8}"
