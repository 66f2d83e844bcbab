# SPDX-License-Identifier: BSD-3-Clause
"""Faults of one command: what they do to its answers, and to the storage under it.

The programmer carries the command out as it always does; each fault changes what goes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edl.virtual.faults import Fault, Kind
from edl.virtual.link import Request, Send, Sleep, Strike

Steps = Generator[Request, Any, None]

LATE_S = 20.0
SLOW_S = 180.0
FLOOD_LOGS = 5000
_DOCUMENT = b"<?xml"
_RESPONSE = b"<response "
_DIGEST = re.compile(rb'(?<=Digest )[0-9A-F]|(?<= sha256=")[0-9A-F]')
# of everything that surrounds the programmer
_AROUND = frozenset({Kind.UNPLUG, Kind.RESET, Kind.KILL})


@dataclass
class Suffering:
    """What the storage does while a command is carried out.

    Attributes:
        forgets: it keeps nothing of what is written or erased.
        good_sectors: after so many sectors it can read no more; None: it can.
        wait_s: how long its next request takes.
    """

    forgets: bool = False
    good_sectors: int | None = None
    wait_s: float = 0.0

    def reads(self, count: int) -> bool:
        """Take in that count sectors are read; return whether that succeeds."""
        if self.good_sectors is None:
            return True
        self.good_sectors -= count
        return self.good_sectors >= 0

    def waits(self) -> float:
        """Return how long this request takes."""
        wait_s, self.wait_s = self.wait_s, 0.0
        return wait_s


def suffering(faults: Iterable[Fault], sectors: int) -> Suffering:
    """Return what faults do to the storage. sectors: size of the command's extent."""
    result = Suffering()
    for fault in faults:
        match fault.kind:
            case Kind.FORGET:
                result.forgets = True
            case Kind.UNREADABLE:
                result.good_sectors = sectors // 2 if fault.count is None else fault.count
            case Kind.SLOW:
                result.wait_s += fault.seconds or SLOW_S
    return result


def strikes(faults: Iterable[Fault]) -> Iterator[Request]:
    """Yield what strikes more than this programmer, which does not survive all of it."""
    return (Strike(fault) for fault in faults if fault.kind in _AROUND)


def changed(
    work: Steps, faults: Iterable[Fault], log: Callable[[str], Send], sector_bytes: int
) -> Steps:
    """Return work with answers as faults leave them."""
    for fault in faults:
        match fault.kind:
            case kind if kind in _CHANGES:
                work = _through(work, _CHANGES[kind](fault))
            case Kind.FLOOD:
                work = _through(work, _First(_RESPONSE, _flood(log, fault.count)))
            case Kind.OVERFLOW:
                size = sector_bytes if fault.count is None else fault.count
                work = _through(work, _More(Send(bytes(size))))
    return work


class _Change:
    """What a fault does to what goes out; this one does nothing."""

    def send(self, request: Send) -> Iterator[Request]:
        """Yield what goes out instead of request."""
        yield request

    def end(self) -> Iterator[Request]:
        """Yield what goes out before the programmer does anything else than sending."""
        return iter(())


def _through(work: Steps, change: _Change) -> Steps:
    answer: Any = None
    try:
        while True:
            request = work.send(answer)
            answer = None
            if isinstance(request, Send):
                yield from change.send(request)
            else:
                yield from change.end()
                answer = yield request
    except StopIteration:
        yield from change.end()
    except Exception:  # the programmer leaves; no command ends in another way
        yield from change.end()
        raise


def _is_document(request: Send) -> bool:
    return bytes(request.data[: len(_DOCUMENT)]) == _DOCUMENT


def _is_response(request: Send) -> bool:
    return _is_document(request) and _RESPONSE in bytes(request.data)


def _flood(log: Callable[[str], Send], count: int | None) -> Iterator[Request]:
    number, limit = 0, FLOOD_LOGS if count is None else count
    while not limit or number < limit:
        yield log(f"still busy {number}")
        number += 1


def _say_nak(data: bytes) -> bytes:
    """Return data with a NAK, but where it announces raw data."""
    if b'rawmode="true"' in data:
        return data
    return data.replace(b'<response value="ACK"', b'<response value="NAK"')


def _other_digest(data: bytes) -> bytes:
    return _DIGEST.sub(lambda match: b"1" if match[0] == b"0" else b"0", data)


class _Documents(_Change):
    """Each document is changed."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change

    def send(self, request: Send) -> Iterator[Request]:
        if _is_document(request):
            request = Send(self._change(bytes(request.data)), request.zlp)
        yield request


class _Nothing(_Change):
    """Nothing goes out."""

    def send(self, _: Send) -> Iterator[Request]:
        return iter(())


class _First(_Change):
    """Something comes before the first document with some text in it."""

    def __init__(self, text: bytes, first: Iterable[Request]) -> None:
        self._text = text
        self._first: Iterable[Request] | None = first

    def send(self, request: Send) -> Iterator[Request]:
        if self._first is not None and self._text in bytes(request.data):
            first, self._first = self._first, None
            yield from first
        yield request


class _Early(_Change):
    """Responses come before the logs that should precede them."""

    def __init__(self) -> None:
        self._logs: list[Request] = []

    def send(self, request: Send) -> Iterator[Request]:
        if _is_document(request) and not _is_response(request):
            self._logs.append(request)
            return
        yield request
        yield from self.end()

    def end(self) -> Iterator[Request]:
        logs, self._logs = self._logs, []
        yield from logs


class _Glued(_Change):
    """Documents that follow one another come in one transfer."""

    def __init__(self) -> None:
        self._held = b""

    def send(self, request: Send) -> Iterator[Request]:
        if _is_document(request):
            self._held += bytes(request.data)
            return
        yield from self.end()
        yield request

    def end(self) -> Iterator[Request]:
        held, self._held = self._held, b""
        if held:
            yield Send(held)


class _Split(_Change):
    """Each document comes in two transfers."""

    def __init__(self, size_bytes: int | None) -> None:
        self._size_bytes = size_bytes

    def send(self, request: Send) -> Iterator[Request]:
        data = bytes(request.data)
        if not _is_document(request):
            yield request
            return
        size = len(data) // 2 if self._size_bytes is None else self._size_bytes
        yield from (Send(part) for part in (data[:size], data[size:]) if part)


class _Malformed(_Change):
    """The first response lacks a quote."""

    def __init__(self) -> None:
        self._done = False

    def send(self, request: Send) -> Iterator[Request]:
        if _is_response(request) and not self._done:
            self._done = True
            data = bytes(request.data)
            request = Send(re.sub(rb'(<response value="\w+)"', rb"\1", data), request.zlp)
        yield request


class _More(_Change):
    """More raw data come than were asked for."""

    def __init__(self, more: Send) -> None:
        self._more: Send | None = more
        self._raw = False

    def send(self, request: Send) -> Iterator[Request]:
        if not _is_document(request):
            self._raw = True
        elif self._raw and self._more is not None:
            yield self._more
            self._more = None
        yield request


_CHANGES: Mapping[Kind, Callable[[Fault], _Change]] = {
    Kind.LATE_NAK: lambda _: _Documents(_say_nak),
    Kind.DIGEST: lambda _: _Documents(_other_digest),
    Kind.MUTE: lambda _: _Nothing(),
    Kind.LATE: lambda fault: _First(b"", [Sleep(fault.seconds or LATE_S)]),
    Kind.EARLY: lambda _: _Early(),
    Kind.GLUED: lambda _: _Glued(),
    Kind.SPLIT: lambda fault: _Split(fault.count),
    Kind.MALFORMED: lambda _: _Malformed(),
}
