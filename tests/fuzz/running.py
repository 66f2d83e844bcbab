# SPDX-License-Identifier: BSD-3-Clause
"""Gives one target one input after the other, holds it to its limits, and keeps what breaks it."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.mutation import mutated
from tests.fuzz.target import BrokenPromiseError, Target, attempt

MOST_CPU_S = 2.0  # for one input; the slowest ones take a tenth of it
MOST_MEMORY_BYTES = 192 << 20  # by which one input may make the process larger
_WHOLE_MEMORY_BYTES = 2 << 30
SEEDS = Path(__file__).parent / "seeds"


class TooSlowError(Exception):
    """An input took longer than MOST_CPU_S."""


@dataclass
class Result:
    """What became of a target. findings: inputs that broke it, by what they did."""

    inputs: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    findings: dict[str, str] = field(default_factory=dict)


class Run:
    """A target under test, whose findings are kept in a folder."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.result = Result()
        self._folder = folder
        self._peak = _peak_bytes()
        self._start_s = time.process_time()
        self._next_save = 0.0
        self._limited = False

    def limit(self) -> None:
        """Limit the memory of this process, and prepare to be interrupted."""
        resource.setrlimit(resource.RLIMIT_AS, (_WHOLE_MEMORY_BYTES, _WHOLE_MEMORY_BYTES))
        signal.signal(signal.SIGPROF, _too_slow)
        self._limited = True

    def give(self, data: bytes) -> None:
        """Give data to the target."""
        start = time.process_time()
        self._allow(MOST_CPU_S)
        try:
            attempt(self.target, data)
        except Exception as error:  # noqa: BLE001  # any of them is a finding
            self._allow(0)
            self._keep(data, error)
        finally:
            self._allow(0)
        taken = time.process_time() - start
        self.result.inputs += 1
        self.result.slowest_s = max(self.result.slowest_s, taken)
        if (peak := _peak_bytes()) > self._peak:
            if peak - self._peak > MOST_MEMORY_BYTES and self.result.inputs > 1:
                self._keep(data, BrokenPromiseError(f"{peak - self._peak >> 20} MiB more memory"))
            self._peak = peak
        if time.monotonic() > self._next_save:
            self.save()

    def _allow(self, seconds: float) -> None:
        """Interrupt the target after so many seconds of CPU time; 0: not at all."""
        if self._limited:
            signal.setitimer(signal.ITIMER_PROF, seconds)

    def save(self) -> None:
        """Write what has been reached so far."""
        self.result.cpu_s = time.process_time() - self._start_s
        self._next_save = time.monotonic() + 1
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / "result.new"
        new.write_text(json.dumps(asdict(self.result), indent=1))
        new.replace(self._folder / "result.json")

    def _keep(self, data: bytes, error: Exception) -> None:
        kind = _kind(error)
        known = self._folder / "findings" / f"{hashlib.sha256(kind.encode()).hexdigest()[:12]}"
        shorter = not known.exists() or len(data) < known.stat().st_size
        self.result.findings[kind] = known.name
        if shorter:
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_bytes(data)
            text = "".join(traceback.format_exception(error))
            known.with_suffix(".txt").write_text(f"{self.target.name}: {kind}\n\n{text[-6000:]}")


def _kind(error: Exception) -> str:
    """Return what tells errors apart: the type, and the line of this project that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/edl/" in f.filename] or [
        f for f in frames if "fuzz" in f.filename
    ]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    said = str(error)[:40] if isinstance(error, BrokenPromiseError) else ""
    if isinstance(error, TooSlowError):
        where = Path(own[-1].filename).name if own else "?"
    return f"{type(error).__name__} {where} {said}".strip()


def _too_slow(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise TooSlowError(f"more than {MOST_CPU_S} s")


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def kept(target: Target) -> Iterator[bytes]:
    """Yield the inputs that have broken target before."""
    folder = SEEDS / target.name
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield path.read_bytes()


def seeds(target: Target) -> list[bytes]:
    """Return the good inputs of target, and those that have broken it before."""
    return [*target.seeds(), *kept(target)]


def damaged(target: Target, seed: int) -> Iterator[bytes]:
    """Yield inputs made of the seeds of target, without end; the same ones for the same seed."""
    known = seeds(target)
    random = Random(f"{target.name} {seed}")
    while True:
        yield mutated(random.choice(known), random, known, target.words, target.most_bytes)


def mutate(run: Run, seed: int, until: Callable[[], bool]) -> None:
    """Give the seeds to the target of run, then damaged ones, until that says so."""
    for data in (*seeds(run.target), b""):
        run.give(data)
    for data in damaged(run.target, seed):
        run.give(data)
        if until():
            return
