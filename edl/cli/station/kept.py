# SPDX-License-Identifier: BSD-3-Clause
"""Small files about a station that are kept up to date, for who looks at them now and then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from edl.cli.station import health, metrics
from edl.cli.station.rows import Row
from edl.errors import DiskError
from edl.outfile import new_file

_AGAIN_S = 1.0


class KeptFile:
    """Writes a text anew, once a second at most; who reads it finds it whole."""

    def __init__(self, path: Path, text: Callable[[], str]) -> None:
        """Make it ready, and write it for the first time.

        Raises:
            DiskError: the file cannot be written.
        """
        self._path = path
        self._text = text
        self._lock = threading.Lock()
        self._written = 0.0
        self._write()

    def update(self, *, now: bool = False) -> None:
        """Write it, if that was not done just before. A full disk stops no phone."""
        with self._lock, contextlib.suppress(DiskError):
            if now or time.monotonic() - self._written >= _AGAIN_S:
                self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        data = self._text().encode()
        with new_file(self._path, size_bytes=len(data)) as file:
            file.write(data)


class KeptFiles:
    """The files about rows that were asked for. Use as a context manager."""

    def __init__(self, rows: Sequence[Row], figures: str | None, line: str | None) -> None:
        """Write them for the first time. figures: file for metrics. line: file for health.

        Raises:
            DiskError: one of them cannot be written.
        """
        self._ended = False
        texts: list[tuple[str | None, Callable[[], str]]] = [
            (figures, lambda: metrics.text(list(rows))),
            (line, lambda: health.line(list(rows), ended=self._ended)),
        ]
        self._files = [KeptFile(Path(name).absolute(), text) for name, text in texts if name]

    def update(self, *, now: bool = False) -> None:
        """Bring them up to date."""
        for file in self._files:
            file.update(now=now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._ended = True
        self.update(now=True)
