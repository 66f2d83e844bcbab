# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C at any moment of the main job, gentle and at once."""

from __future__ import annotations

import contextlib
import functools
import random
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from edl.device.phone import Wishes
from edl.errors import CancelledError, EdlError, StoppedMidwayError, TransportTimeoutError
from edl.events import Event
from edl.plan import job, readout
from edl.plan.job import Rules
from tests import phones
from tests.faults.bricks import PIECE_BYTES, Brick, small
from tests.phones import Watched, plan_of, plug

ALL = pytest.mark.parametrize("profile", phones.ALL)
MOMENTS = 3


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", PIECE_BYTES)


def countdown(number: int) -> Callable[[], None]:
    """Return what raises KeyboardInterrupt when it is called for the number-th time, from 0."""
    left = [number]

    def call() -> None:
        left[0] -= 1
        if left[0] == -1:
            raise KeyboardInterrupt

    return call


class Run:
    """The main job, with hooks into it."""

    def __init__(self, brick: Brick) -> None:
        self.brick = brick
        self.bench = brick.bench
        self.events: list[Event] = []
        self.cancel = threading.Event()
        self.each_event: Callable[[], None] = lambda: None

    def emit(self, event: Event) -> None:
        self.each_event()
        self.events.append(event)

    def __call__(self, ready: Callable[[Watched], None] = lambda _: None) -> None:
        """Run it; ready is called when the plan is made, before anything is changed."""
        storage = self.bench.storage(Wishes(hints=(self.bench.flash.kind,)))
        plan = replace(plan_of(storage, *self.brick.steps), patches=self.brick.patches, bootable=0)
        plan, found = job.prepare(plan, storage, Rules())
        ready(self.bench.transports[-1])
        job.carry_out(plan, storage.phone, found, Rules(), emit=self.emit, cancel=self.cancel)


def go_on(brick: Brick, error: BaseException) -> None:
    """Do what the error says, and see that it leads to the end of the job."""
    assert brick.outside() == []
    if isinstance(error, EdlError):
        assert bool(error.state) == isinstance(error, StoppedMidwayError)
    brick.bench.hang_up()
    with contextlib.suppress(TransportTimeoutError):
        brick.job(Rules(resume=True))
        assert brick.is_right()
        return
    brick.bench.enter_edl()
    brick.job(Rules(resume=True))
    assert brick.is_right()
    assert brick.saved()
    assert brick.outside() == []


@functools.cache
def moments(profile: str, what: str) -> list[int]:
    """Return some moments of a job where nothing goes wrong, counted in what."""
    with plug(small(profile), running=True) as bench:
        run = Run(Brick(bench))
        counts = {"reads": 0, "writes": 0, "events": 0}

        def count(name: str) -> None:
            counts[name] += 1

        def ready(transport: Watched) -> None:
            transport.before_read = lambda: count("reads")
            transport.before_write = lambda: count("writes")
            run.each_event = lambda: count("events")

        run(ready)
    chance = random.Random(profile + what)
    # one event less comes when an earlier run has saved what exists only once
    return sorted(chance.sample(range(counts[what] - 1), MOMENTS))


@ALL
@pytest.mark.parametrize("what", ["reads", "writes", "events"])
def test_at_once(profile: str, what: str) -> None:
    for moment in moments(profile, what):
        with plug(small(profile), running=True) as bench:
            brick = Brick(bench)
            run, stop = Run(brick), countdown(moment)

            def ready(transport: Watched, run: Run = run, stop: Callable[[], None] = stop) -> None:
                match what:
                    case "reads":
                        transport.before_read = stop
                    case "writes":
                        transport.before_write = stop
                    case _:
                        run.each_event = stop

            with pytest.raises((KeyboardInterrupt, CancelledError, StoppedMidwayError)) as caught:
                run(ready)
            if isinstance(caught.value, KeyboardInterrupt | CancelledError):
                assert bench.changes == []
            go_on(brick, caught.value)


@ALL
def test_gently(profile: str) -> None:
    for moment in moments(profile, "events"):
        with plug(small(profile), running=True) as bench:
            brick = Brick(bench)
            run, left = Run(brick), [moment]

            def each(run: Run = run, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    run.cancel.set()

            run.each_event = each
            try:
                run()
            except (CancelledError, StoppedMidwayError) as error:
                stopped: EdlError = error
            else:
                assert brick.is_right()
                continue
            if isinstance(stopped, CancelledError):
                assert bench.changes == []
            # the programmer waits for nothing, so the job goes on without the power button
            bench.hang_up()
            brick.job(Rules(resume=True))
            assert brick.is_right()
            assert brick.outside() == []
