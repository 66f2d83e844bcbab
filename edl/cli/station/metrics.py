# SPDX-License-Identifier: BSD-3-Clause
"""What a station has done, as figures for monitoring.

Nothing listens: whoever collects them reads a file, as node_exporter's textfile collector does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from edl import openmetrics
from edl.cli.station.rows import Row, State
from edl.openmetrics import Family, Sample


def text(rows: Sequence[Row]) -> str:
    """Return the figures of all phones so far."""
    return openmetrics.text(_families(rows))


def _families(rows: Sequence[Row]) -> Iterator[Family]:
    states = Counter(row.state for row in rows)
    yield Family(
        "edl_phones",
        "gauge",
        "Phones by what they are at, since the station began.",
        tuple(Sample(states[state], {"state": state}) for state in State),
    )
    yield Family(
        "edl_phone_moved_bytes",
        "gauge",
        "Sent to a phone at work, or found there.",
        tuple(
            Sample(row.done_bytes, {"place": row.place, "serial": row.serial})
            for row in rows
            if not row.ended
        ),
        "bytes",
    )
    written = sum(row.data.get("written_bytes") or 0 for row in rows)
    yield Family(
        "edl_written_bytes",
        "counter",
        "Written and verified, to phones that are done.",
        (Sample(written),),
        "bytes",
    )
    codes = Counter(str(row.data.get("code")) for row in rows if row.ended and row.status)
    yield Family(
        "edl_failures",
        "counter",
        "Phones whose job has failed, by the code of the error.",
        tuple(Sample(count, {"code": code}) for code, count in sorted(codes.items())),
    )
    done = [row.seconds for row in rows if row.state is State.DONE]
    yield Family(
        "edl_job_seconds",
        "summary",
        "How long the jobs of phones that are done took.",
        (Sample(len(done), suffix="_count"), Sample(round(sum(done), 3), suffix="_sum")),
        "seconds",
    )
