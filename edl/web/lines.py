# SPDX-License-Identifier: BSD-3-Clause
"""The lines that a child process prints: read without trust, and kept within bounds."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

LONGEST_LINE = 4 << 20
_READ_BYTES = 64 << 10
_MOST_LOG = 2000
_MOST = 20_000
_MOST_BYTES = 8 << 20
_SHOWN = 200
_MOST_COMPLAINTS = 20

Line = dict[str, Any]


def of_stream(stream: IO[bytes], longest: int = LONGEST_LINE) -> Iterator[bytes | int]:
    """Give the lines of stream as they come; of one that is too long only how many bytes it had."""
    kept = bytearray()
    lost = 0
    while chunk := stream.read1(_READ_BYTES):  # type: ignore[attr-defined]
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            if lost or len(kept) + len(part) > longest:
                yield lost + len(kept) + len(part)
            else:
                yield bytes(kept + part)
            kept.clear()
            lost = 0
        if lost or len(kept) + len(rest) > longest:
            lost += len(kept) + len(rest)
            kept.clear()
        else:
            kept += rest
    if lost:
        yield lost
    elif kept:
        yield bytes(kept)


class Reader:
    """Makes lines of what a child prints. What is no line of docs/json.md becomes a notice."""

    def __init__(self) -> None:
        self._complaints = 0

    def line(self, raw: bytes | int) -> tuple[Line, int] | None:
        """Return raw as a line, and how many bytes that is; None for what is not worth one."""
        if isinstance(raw, int):
            return self._complaint(f"a line of {raw} bytes was left out")
        if not raw.strip():
            return None
        try:
            found = json.loads(raw, parse_constant=_refuse, parse_float=_finite)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            text = raw[:_SHOWN].decode("utf-8", "replace")
            return self._complaint(f"edl printed what is no line of its own: {text}")
        return found, len(raw)

    def _complaint(self, text: str) -> tuple[Line, int] | None:
        self._complaints += 1
        if self._complaints > _MOST_COMPLAINTS:
            return None
        return {"v": 1, "type": "event", "event": "notice", "text": text}, len(text)


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


@dataclass(frozen=True)
class Kept:
    """A line, its number (from 0), and how much it is."""

    number: int
    line: Line
    size: int


class Lines:
    """The lines of a job: the newest of the phone's log, and all others as far as they fit."""

    def __init__(
        self, most: int = _MOST, most_log: int = _MOST_LOG, most_bytes: int = _MOST_BYTES
    ) -> None:
        self.count = 0
        self.size = 0
        self._log: deque[Kept] = deque()
        self._others: deque[Kept] = deque()
        self._most, self._most_log, self._most_bytes = most, most_log, most_bytes

    def add(self, line: Line, size: int) -> int:
        """Keep line; return its number."""
        kept = Kept(self.count, line, size)
        self.count += 1
        self.size += size
        into = self._log if line.get("event") == "device_log" else self._others
        into.append(kept)
        while len(self._log) > self._most_log or (self._log and self.size > self._most_bytes):
            self.size -= self._log.popleft().size
        while len(self._others) > self._most or self.size > self._most_bytes:
            self.size -= self._others.popleft().size
        return kept.number

    def since(self, number: int) -> list[tuple[int, Line]]:
        """Return what is kept of the lines from number on, in order."""
        kept = [each for each in (*self._log, *self._others) if each.number >= number]
        return [(each.number, each.line) for each in sorted(kept, key=lambda each: each.number)]


def tail(stream: IO[bytes], most: int, keep: Callable[[bytes], None]) -> None:
    """Read stream to its end, and give the last bytes of it, as often as there are new ones."""
    last = b""
    while chunk := stream.read1(_READ_BYTES):  # type: ignore[attr-defined]
        last = (last + chunk)[-most:]
        keep(last)
