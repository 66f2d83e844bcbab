# SPDX-License-Identifier: BSD-3-Clause
"""Runs all benchmarks (the long ones only if named), or those that are named; prints a table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator

from benchmarks import again, jobs, large, link, scale, station, whole
from benchmarks.bench import Result

BENCHMARKS: dict[str, Callable[[], Iterator[Result]]] = {
    "busy": link.busy,
    "unlimited": link.unlimited,
    "pauses": link.pauses,
    "small": jobs.small_files,
    "holes": jobs.holes,
    "overlap": jobs.overlap,
    "paced": jobs.paced,
    "again": again.again,
    "backups": again.backups,
    "station": station.station,
    "start": whole.start_up,
    "memory": whole.memory,
    "large": large.large,
    "scale": scale.scale,
}
_LONG = {"large", "scale"}  # only when asked for


def main() -> int:
    """Return 1 if a limit was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    names = parser.parse_args().names or [name for name in BENCHMARKS if name not in _LONG]
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}")
    missed = 0
    for name in names:
        for result in BENCHMARKS[name]():
            print(result, flush=True)
            missed += not result.good
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
