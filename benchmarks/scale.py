# SPDX-License-Identifier: BSD-3-Clause
"""How a station grows: links used, processor time and memory for 1, 2, 4 ... phones.

Each line is the best of some runs, each in a process of its own, as memory that was used once
stays, and after a short one that imports and compiles what there is. The virtual phones are in the
same process: what they compute (the copies that their controllers make, their comparing and
hashing) is measured in their calls, and what is left is the host's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks import station
from benchmarks.bench import Result
from edl.units import GIB, MIB
from edl.virtual import usb

_WARM_MIB = 8
_ROUNDS = 2
_KINDS = {  # name: profile, MB/s, MiB a phone, how many phones, verify
    "40 MB/s each, 1 MiB": ("msm8953", 40, 256, (1, 2, 4, 8, 16), "none"),
    "40 MB/s each, 1 MiB, digests": ("msm8953", 40, 256, (1, 8), "sha256"),
    "40 MB/s each, 16 KiB": ("msm8916", 40, 128, (1, 2, 4), "none"),
    "400 MB/s each, 1 MiB": ("msm8953", 400, 960, (1, 2, 4), "none"),
}


def scale() -> Iterator[Result]:
    """Yield what so many phones take."""
    for name, (profile, rate, size_mib, counts, verify) in _KINDS.items():
        for count in counts:
            runs = [_apart(profile, rate, size_mib, count, verify) for _ in range(_ROUNDS)]
            told = {key: min(run[key] for run in runs) for key in runs[0]}
            gib = count * size_mib * MIB / GIB
            share = gib * GIB / told["seconds"] / (count * rate * 1e6)
            host = told["host_s"] / gib
            value = (
                f"{share:4.0%} of links, {told['peak'] / MIB:4.0f} MiB,"
                f" host {host:.2f} + phones {told['phones_s'] / gib:.2f} s/GiB"
            )
            yield Result(f"{count:2} phones, {name}", value, "", good=True)


def _apart(*job: Any) -> dict[str, float]:  # noqa: ANN401
    line = [sys.executable, "-m", "benchmarks.scale", json.dumps(job)]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _measured(profile: str, rate: int, size_mib: int, count: int, verify: str) -> dict[str, float]:
    inside = _Inside()
    for owner, name in ((usb.Queued, "wait"), (usb.Queued, "submit"), (usb, "_transfer")):
        setattr(owner, name, inside.counted(getattr(owner, name)))
    with tempfile.TemporaryDirectory() as made:
        package = station.package(Path(made), _WARM_MIB * MIB, profile)
        station.run(package, count, verify, profile, rate * 1e6)
        package = station.package(Path(made), size_mib * MIB, profile)
        begun_s, inside_s = time.process_time(), inside.seconds
        seconds, taken = station.run(package, count, verify, profile, rate * 1e6)
        used_s = time.process_time() - begun_s
    if taken != count * size_mib * MIB:
        raise RuntimeError("the phones did not get all bytes")
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    phones_s = inside.seconds - inside_s
    return {"seconds": seconds, "phones_s": phones_s, "host_s": used_s - phones_s, "peak": peak}


class _Inside:
    """Counts the processor time in calls of the virtual phones, of all threads."""

    def __init__(self) -> None:
        self._each: list[float] = []

    @property
    def seconds(self) -> float:
        """How long all calls took."""
        return sum(self._each)

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return function so that its time is counted."""

        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            begun_s = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                self._each.append(time.thread_time() - begun_s)

        return call


if __name__ == "__main__":
    print(json.dumps(_measured(*json.loads(sys.argv[1]))))
