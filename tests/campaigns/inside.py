# SPDX-License-Identifier: BSD-3-Clause
"""`edl` in this very process, on a virtual phone: the whole command line, without waiting.

The phone's time is virtual and passes only while edl waits for it; the pauses that edl makes take
no time either. So what hangs is seen by the phone's clock, or by what it costs.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import pickle
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import edl.cli.finding
import edl.device.returning
from edl.cli.main import run
from edl.virtual import phone as phones
from edl.virtual.faults import Fault, Injector
from edl.virtual.pace import Clock

LONGEST_STEP_S = 900.0  # of the phone's time, without a word to the user
LONGEST_RUN_S = 3600.0
_LIMIT_S = 60  # of the processor's time
_BLOCKED_S = 600  # of the computer's time: waits for nothing at all


class HungError(BaseException):
    """It takes too long. Nobody catches that."""


@dataclass(frozen=True)
class Ran:
    """How a run ended.

    step_s: longest time of the phone between two lines of output. seconds: the phone's time in all.
    struck: the fault has struck. killed: that ended it, without a status.
    """

    arguments: tuple[str, ...]
    status: int | None
    out: str
    err: str
    step_s: float = 0.0
    seconds: float = 0.0
    struck: bool = False
    killed: bool = False

    @functools.cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines.

        Raises:
            ValueError: it is not JSON, line by line.
        """
        return [json.loads(line) for line in self.out.splitlines()]


class _Clock(Clock):
    """A clock that can be asked."""

    latest: Clock | None = None

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        _Clock.latest = self


class _Watched(Injector):
    """An injector that can be asked."""

    latest: Injector | None = None

    def add(self, faults: Iterable[Fault]) -> None:
        _Watched.latest = self
        super().add(faults)


class _NoTime:
    """Stands for the module `time` where edl pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Stamped(io.StringIO):
    """Notes the longest time of the phone between two lines."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = self._last = 0.0

    def write(self, text: str) -> int:
        self.mark()
        return super().write(text)

    def mark(self) -> None:
        now = _now()
        self.longest = max(self.longest, now - self._last)
        self._last = now


def _now() -> float:
    return _Clock.latest.now_us / 1e6 if _Clock.latest is not None else 0.0


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """While it lasts, pauses take no time, and what hangs is ended."""
    stand_in: Any = _NoTime()
    kept: list[tuple[Any, str, Any]] = [
        (edl.cli.finding, "time", stand_in),
        (edl.device.returning, "time", stand_in),
        (phones, "Clock", _Clock),
        (phones, "Injector", _Watched),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in kept]
    handlers = {number: signal.signal(number, _hung) for number in (signal.SIGPROF, signal.SIGALRM)}
    try:
        for owner, name, value in kept:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _hung(_number: int, _frame: FrameType | None) -> None:
    raise HungError


def edl_here(home: Path, *arguments: object) -> Ran:
    """Run a command line within `no_waiting`. home: EDL_HOME."""
    line = tuple(map(str, arguments))
    os.environ["EDL_HOME"] = str(home)
    out, err = _Stamped(), io.StringIO()
    _Clock.latest = _Watched.latest = None
    status: int | None = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        signal.setitimer(signal.ITIMER_PROF, _LIMIT_S)
        signal.alarm(_BLOCKED_S)
        try:
            status = run(list(line))
        except HungError:
            pass
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
    out.mark()
    return Ran(line, status, out.getvalue(), err.getvalue(), out.longest, _now(), _struck())


def _struck() -> bool:
    return _Watched.latest is not None and not _Watched.latest.pending


def edl_that_dies(home: Path, *arguments: object) -> Ran:
    """Run a command line that may be killed: in a fork of this process."""
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(source)
        with os.fdopen(sink, "wb") as file:
            pickle.dump(edl_here(home, *arguments), file)
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
        return Ran(tuple(map(str, arguments)), None, "", "", struck=True, killed=True)
    ran: Ran = pickle.loads(data)  # noqa: S301  # it comes from our own fork
    return ran
