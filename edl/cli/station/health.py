# SPDX-License-Identifier: BSD-3-Clause
"""How a station is, in one line: for a look, a status page, or a check that runs every minute."""

from __future__ import annotations

from collections.abc import Sequence

from edl.cli.station.rows import ENDS, Row, State
from edl.plan.model import plural
from edl.units import format_size


def line(rows: Sequence[Row], *, ended: bool) -> str:
    """Return the line, with its end.

    Its first word is `ok`, or `failing` once a phone has failed or was left alone.
    """
    by_state = {state: sum(row.state is state for row in rows) for state in State}
    bad = by_state[State.FAILED] + by_state[State.LEFT_ALONE]
    words = [f"{count} {state}" for state, count in by_state.items() if count and state not in ENDS]
    words += [f"{by_state[State.DONE]} done", f"{bad} failed"]
    if stopped := by_state[State.STOPPED]:
        words.append(f"{stopped} stopped")
    rate = sum(row.bytes_per_s for row in rows if row.state is State.WRITING)
    last = "ended" if ended else f"{format_size(int(60 * rate))}/min"
    text = f"{'failing' if bad else 'ok'} {plural(len(rows), 'phone')}: {', '.join(words)}; {last}"
    return text + "\n"
