# SPDX-License-Identifier: BSD-3-Clause
"""What a station has done, for monitoring: OpenMetrics text in a file (openmetrics.io, 1.0).

Nothing listens: whoever collects figures reads the file, as node_exporter's textfile collector
does. The text is written here, as the usual library takes longer to import than a phone to reach.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from edl.cli.station.rows import Row, State
from edl.errors import DiskError
from edl.outfile import new_file

_AGAIN_S = 1.0
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def text(rows: Sequence[Row]) -> str:
    """Return the figures of all phones so far."""
    return "\n".join([*_lines(rows), "# EOF", ""])


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    states = Counter(row.state for row in rows)
    yield "# TYPE edl_phones gauge"
    yield "# HELP edl_phones Phones by what they are at, since the station began."
    for state in State:
        yield f"edl_phones{_labels(state=state)} {states[state]}"
    yield "# TYPE edl_phone_moved_bytes gauge"
    yield "# UNIT edl_phone_moved_bytes bytes"
    yield "# HELP edl_phone_moved_bytes Sent to a phone at work, or found there."
    for row in rows:
        if not row.ended:
            labels = _labels(place=row.place, serial=row.serial)
            yield f"edl_phone_moved_bytes{labels} {row.done_bytes}"
    yield "# TYPE edl_written_bytes counter"
    yield "# UNIT edl_written_bytes bytes"
    yield "# HELP edl_written_bytes Written and verified, to phones that are done."
    yield f"edl_written_bytes_total {sum(row.data.get('written_bytes') or 0 for row in rows)}"
    yield "# TYPE edl_failures counter"
    yield "# HELP edl_failures Phones whose job has failed, by the code of the error."
    codes = Counter(str(row.data.get("code")) for row in rows if row.ended and row.status)
    for code, count in sorted(codes.items()):
        yield f"edl_failures_total{_labels(code=code)} {count}"
    yield "# TYPE edl_job_seconds summary"
    yield "# UNIT edl_job_seconds seconds"
    yield "# HELP edl_job_seconds How long the jobs of phones that are done took."
    done = [row.seconds for row in rows if row.state is State.DONE]
    yield f"edl_job_seconds_count {len(done)}"
    yield f"edl_job_seconds_sum {sum(done):.3f}"


def _labels(**values: object) -> str:
    each = (f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in values.items())
    return "{" + ",".join(each) + "}"


class MetricsFile:
    """Keeps a file of figures up to date, once a second at most; who reads it finds it whole."""

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        """Make it ready, and write it for the first time.

        Raises:
            DiskError: the file cannot be written.
        """
        self._path = path
        self._rows = rows
        self._lock = threading.Lock()
        self._written = 0.0
        self._write()

    def update(self, *, now: bool = False) -> None:
        """Write the figures, if that was not done just before. A full disk stops no phone."""
        with self._lock, contextlib.suppress(DiskError):
            if now or time.monotonic() - self._written >= _AGAIN_S:
                self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        data = text(list(self._rows)).encode()
        with new_file(self._path, size_bytes=len(data)) as file:
            file.write(data)
