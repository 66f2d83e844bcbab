# SPDX-License-Identifier: BSD-3-Clause
"""How busy the link is, in modelled time; how fast it goes without one, in real time."""

from __future__ import annotations

import array
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.bench import PATTERN, ROUNDS, Result, Rig, rig, side_by_side
from edl.firehose import commands
from edl.firehose.commands import Area
from edl.units import GIB, KIB, MIB

_OUT, _IN = 0x01, 0x81
_WAIT_MS = 10_000


def _area(rig: Rig, size_bytes: int) -> Area:
    unit = rig.phone.sector_bytes
    return Area(0, 0, size_bytes // unit, unit)


def _chunks(size_bytes: int) -> Iterator[memoryview]:
    for _ in range(size_bytes // MIB):
        yield memoryview(PATTERN)


def write(rig: Rig, size_bytes: int) -> None:
    """Write the pattern, and make sure that the phone got all of it."""
    before = rig.taken_bytes
    rig.phone.programmer.program(_area(rig, size_bytes), _chunks(size_bytes))
    if rig.taken_bytes - before != size_bytes:
        raise RuntimeError("the phone did not get all bytes")


def read(rig: Rig, size_bytes: int) -> None:
    """Read the pattern, and compare it."""
    at = 0

    def compare(data: memoryview) -> None:
        nonlocal at
        begin = at % MIB
        if len(data) == MIB == MIB - begin:
            good = bytes(data) == PATTERN
        else:
            good = bytes(data) == PATTERN[begin : begin + len(data)]
        if not good:
            raise RuntimeError(f"other bytes than the phone holds, at {at}")
        at += len(data)

    rig.phone.programmer.read(_area(rig, size_bytes), compare)
    if at != size_bytes:
        raise RuntimeError("the phone did not send all bytes")


def _share(
    spec: str, go: Callable[[Rig, int], None], size_bytes: int, *, host: bool
) -> tuple[float, float]:
    """Return which part of the modelled time data was on the link, and of what size transfers."""
    with rig(spec, host=host) as phone:
        wire = phone.virtual.wire
        assert wire is not None
        begin_us, busy_us = phone.virtual.clock.now_us, wire.busy_us
        go(phone, size_bytes)
        share = (wire.busy_us - busy_us) / (phone.virtual.clock.now_us - begin_us)
        return share, phone.phone.programmer.payload_bytes


def busy(size_bytes: int = GIB) -> Iterator[Result]:
    """Yield how busy the link is: with a host that needs no time, and with ours as measured."""
    cases = (
        ("msm8953,link=40MB/s", 0.98, size_bytes),
        ("msm8953,usb3=yes,link=400MB/s", 0.95, size_bytes),
        ("msm8916,link=40MB/s", 0.93, size_bytes // 4),
        ("qcm2290,link=40MB/s", 0.93, size_bytes // 4),
    )
    for spec, least, size in cases:
        for go in (write, read):
            model, payload = _share(spec, go, size, host=False)
            shares = sorted(_share(spec, go, size // 4, host=True)[0] for _ in range(ROUNDS))
            measured = shares[len(shares) // 2]
            name = f"link busy, {go.__name__}, payload {payload // KIB} KiB, {spec}"
            text = f"{model:.2%}; our time counted {measured:.2%}"
            yield Result(name, text, f">= {least:.0%}", min(model, measured) >= least)


def _bare_write(rig: Rig, size_bytes: int, buffers: list[array.array[int]]) -> None:
    device, payload = rig.transport._device, rig.phone.programmer.payload_bytes
    area = _area(rig, size_bytes)
    device.write(_OUT, array.array("B", commands.program(area, "")), _WAIT_MS)
    _until_answer(rig, 1)
    empty = array.array("B")
    for at in range(0, size_bytes, payload):
        device.write(_OUT, buffers[at % MIB // payload], _WAIT_MS)
        device.write(_OUT, empty, _WAIT_MS)
    _until_answer(rig, 1)


def _bare_read(rig: Rig, size_bytes: int, buffers: list[array.array[int]]) -> None:
    device = rig.transport._device
    area = _area(rig, size_bytes)
    device.write(_OUT, array.array("B", commands.read(area)), _WAIT_MS)
    _until_answer(rig, 1)
    left = size_bytes
    while left:
        left -= device.read(_IN, buffers[-1], _WAIT_MS)
    _until_answer(rig, 1)


def _until_answer(rig: Rig, count: int) -> None:
    while count:
        buffer = array.array("B", bytes(16 * KIB))
        size = rig.transport._device.read(_IN, buffer, _WAIT_MS)
        count -= b"<response" in buffer[:size].tobytes()


def unlimited(size_bytes: int = GIB) -> Iterator[Result]:
    """Yield real speed without a link, and processor time beside a bare loop of pyusb calls.

    On a busy computer the clock tells nothing; processor time still does, as it is all one thread.
    """
    for profile in ("msm8953", "msm8916"):
        with rig(profile) as phone:
            payload = phone.phone.programmer.payload_bytes
            size = size_bytes if payload == MIB else size_bytes // 8
            pieces = [PATTERN[at : at + payload] for at in range(0, MIB, payload)]
            buffers = [array.array("B", piece) for piece in [*pieces, bytes(2 * MIB)]]
            for go, bare, least in ((write, _bare_write, 0.8), (read, _bare_read, 1.2)):
                go(phone, size)  # warm
                elapsed: list[float] = []
                mine, other, ratio = side_by_side(
                    _rate(partial(_timed, elapsed, partial(go, phone, size)), size),
                    _rate(partial(bare, phone, size, buffers), size),
                )
                name = f"no link limit, {go.__name__}, payload {payload // KIB} KiB"
                if payload == MIB:
                    clock = size / GIB / statistics.median(elapsed)
                    text = f"{clock:.2f} by the clock, {1 / mine:.2f} GiB/s"
                    yield Result(name, text, f">= {least} GiB/s", clock >= least)
                text = f"{mine:.2f} / {other:.2f} s = {ratio:.2f}"
                yield Result(f"processor time a GiB, {name}", text, "<= 2 x bare", ratio <= 2)


def _timed(elapsed: list[float], go: Callable[[], None]) -> None:
    """Call go, and note how long it took by the clock."""
    begin = time.perf_counter()
    go()
    elapsed.append(time.perf_counter() - begin)


def _rate(go: Callable[[], None], size_bytes: int) -> Callable[[], float]:
    """Return what measures the processor time that go takes for each GiB.

    One thread does all of it, so that is its real time where no other program disturbs.
    """

    def measure() -> float:
        begin = time.process_time()
        go()
        return (time.process_time() - begin) * GIB / size_bytes

    return measure


def pauses() -> Iterator[Result]:
    """Yield how long the host waits or works between an answer and the next command."""
    for profile in ("msm8916", "sdm660", "qcm2290"):
        times = []
        for _ in range(ROUNDS):
            with rig(profile, host=True) as phone:
                begin = phone.now_s
                for _ in range(200):
                    phone.phone.programmer.ping()
                times.append((phone.now_s - begin) / 200)
        pause = sorted(times)[len(times) // 2]
        name = f"answer to next command, idle and own time, {profile}"
        yield Result(name, f"{pause * 1e3:.3f} ms", "<= 1 ms", pause <= 0.001)
