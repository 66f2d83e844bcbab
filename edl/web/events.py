# SPDX-License-Identifier: BSD-3-Clause
"""What is new, for any number of readers: one ring of events, and where each reader is in it.

A reader that is slower than the ring is long loses its place, and has to begin anew: so what is
kept does not depend on how many readers there are, or how slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

_MOST = 8192
_MOST_BYTES = 16 << 20
_ALIVE_S = 15.0
_CHUNK_BYTES = 256 << 10


@dataclass(frozen=True)
class Event:
    """One event. text: as server-sent events have it."""

    number: int
    text: bytes


class Events:
    """The ring. Any thread may publish; readers live in event loops."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._kept: deque[Event] = deque()
        self._bytes = 0
        self._most, self._most_bytes = most, most_bytes
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._run = secrets.token_hex(4)  # another server's numbers mean nothing here
        self.last = 0
        self.closed = False

    def publish(self, name: str, data: dict[str, Any]) -> None:
        """Tell all readers."""
        payload = _message(name, data)
        with self._lock:
            self.last += 1
            text = f"id: {self._run}-{self.last}\n".encode() + payload
            self._kept.append(Event(self.last, text))
            self._bytes += len(text)
            while len(self._kept) > self._most or self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popleft().text)
            self._wake()

    def tell(self, name: str, make: Callable[[], dict[str, Any]]) -> None:
        """Tell all readers what make returns: never something older behind something newer."""
        with self._telling:
            self.publish(name, make())

    def close(self) -> None:
        """Let all readers come to their end."""
        with self._lock:
            self.closed = True
            self._wake()

    def _wake(self) -> None:
        for loop, waiting in self._waiting:
            with contextlib.suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(waiting.set)

    def after(self, number: int) -> list[Event] | None:
        """Return what came after event number, some of it at least; None where that is lost."""
        with self._lock:
            if number >= self.last:
                return []
            first = self._kept[0].number if self._kept else self.last + 1
            if number + 1 < first:
                return None
            found: list[Event] = []
            size = 0
            for index in range(number + 1 - first, len(self._kept)):
                found.append(self._kept[index])
                size += len(found[-1].text)
                if size > _CHUNK_BYTES:
                    break
            return found

    def number(self, text: str | None) -> int | None:
        """Return the number of the event whose id is text, if its successors are there."""
        run, _, digits = (text or "").partition("-")
        if run != self._run or not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
            return None
        number = int(digits)
        return None if number > self.last or self.after(number) is None else number

    async def changed(self, number: int, timeout_s: float) -> bool:
        """Wait for an event after number, or for the end; tell whether there is one."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self.last > number or self.closed:
                return True
            self._waiting.add(mine)
        try:
            async with asyncio.timeout(timeout_s):
                await mine[1].wait()
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.discard(mine)
        return True

    async def stream(
        self,
        begin: Callable[[], Iterable[tuple[str, dict[str, Any]]]],
        since: str | None = None,
        alive_s: float = _ALIVE_S,
    ) -> AsyncIterator[bytes]:
        """Give server-sent events: how all stands now, what has come since, and what comes.

        begin: returns events that tell how all stands. since: id of the last event that the reader
        has got; where it is too old, or unknown, nothing is repeated.
        """
        at = self.last
        first = [b"retry: 1000\n\n"]
        first += [_message(name, data) for name, data in begin()]
        since_number = self.number(since)
        at = at if since_number is None else since_number
        first.append(f"id: {self._run}-{at}\n\n".encode())
        yield b"".join(first)
        while not self.closed:
            found = self.after(at)
            if found is None:
                return
            if found:
                at = found[-1].number
                yield b"".join(event.text for event in found)
            elif not await self.changed(at, alive_s):
                yield b": still here\n\n"


def _message(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
