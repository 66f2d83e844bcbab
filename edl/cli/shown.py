# SPDX-License-Identifier: BSD-3-Clause
"""An error as people see it: what happened, the phone's own words, what is on it, what to do."""

from __future__ import annotations

import sys

from edl.cli import terminal

TYPE_CHECKING = False  # typing itself takes 13 ms, which `edl list` need not wait for
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edl.errors import EdlError

_RED = "\x1b[1;31m"
_MOST_NAMES = 5  # of parts that are as they should be
_SELF_EXPLAINING = {"usage", "error", "cancelled"}


def show(error: EdlError, color: str) -> None:
    """Write error to stderr. color: "auto", "always" or "never"."""
    first, *others = error.message.splitlines() or [""]
    style = _RED if terminal.colours(color, sys.stderr) else ""
    terminal.err(f"error[{error.code}]: {first}", style)
    for text in others:
        terminal.err(f"    {text}")
    for text in error.device_log:
        terminal.err(f"  device: {text}")
    if error.state:
        terminal.err(f"  on the phone: {error.state}")
        for line in _fates(error.parts):
            terminal.err(f"    {line}")
    for remedy in error.remedies:
        terminal.err(f"  try: {remedy}")
    if error.code not in _SELF_EXPLAINING:
        terminal.err(f"  more: edl explain {error.code}")


def _fates(parts: Iterable[dict[str, object]]) -> Iterator[str]:
    """Yield what became of the parts of a job, a line for each fate; what went wrong in full."""
    by_state: dict[str, list[str]] = {}
    for part in parts:
        by_state.setdefault(str(part["state"]), []).append(str(part["part"]))
    for state, names in by_state.items():
        most = len(names) if state in {"failed", "incomplete"} else _MOST_NAMES
        more = f" and {len(names) - most} more" if len(names) > most else ""
        told = "sent, not verified" if state == "sent" else state
        yield f"{told}: {', '.join(names[:most])}{more}"
