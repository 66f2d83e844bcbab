# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzes targets for a while: see `python -m tests.fuzz --help`.

With atheris installed (pip install atheris) coverage guides the inputs; else they are random
damages of the seeds. Each target runs in processes of its own, for a slice of CPU time, round
after round. What is reached is kept in a folder, so that several runs add up.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_MOST_WAIT_S = 1200  # by which a process may be late, on a busy computer


def main() -> int:
    """Run, and return 1 if something was found."""
    options = _options()
    if options.child:
        from tests.fuzz import child  # noqa: PLC0415  # the parent imports no target

        child.run(options)
        return 0
    if options.minutes:
        _all(options)
    return _report(options.state)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="how long, by the clock")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="other inputs for another number")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes at a time")
    parser.add_argument(
        "--slice", type=float, default=30, help="seconds of CPU time for a target in a round"
    )
    parser.add_argument("--state", type=Path, default=Path(tempfile.gettempdir()) / "edl-fuzz",
                        help="folder for what is found")  # fmt: skip
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--room", help=argparse.SUPPRESS)
    parser.add_argument("--modules", help=argparse.SUPPRESS)
    return parser.parse_args()


def _all(options: argparse.Namespace) -> None:
    known, seed = _targets(), options.seed
    end = time.monotonic() + 60 * options.minutes
    with ThreadPoolExecutor(options.jobs) as pool:
        while time.monotonic() < end:
            names = options.target or list(known)
            names.sort(key=lambda name: _total(options.state / name)["cpu_s"])
            seconds = min(options.slice, (end - time.monotonic()) * options.jobs / len(names))
            more = ["--state", str(options.state), "--seed", str(seed), "--slice", f"{seconds:.1f}"]
            rounds = [
                pool.submit(_slice, options.state / name, [*known[name], *more], end)
                for name in names
            ]
            for each in rounds:
                each.result()
            known, seed = _targets(), seed + 1


def _targets() -> dict[str, list[str]]:
    """Return what a child must be told about each target, by name, as the sources are now."""
    code = (
        "from tests.fuzz.table import ROOM_OF, TARGETS\n"
        "for name, each in TARGETS.items(): print(name, ROOM_OF[name], ','.join(each.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {
        name: ["--child", name, "--room", room, "--modules", modules]
        for name, room, modules in rows
    }


def _slice(folder: Path, arguments: list[str], end: float) -> None:
    """Run a target, and add what came of it to its total in folder."""
    left_s = end - time.monotonic()
    if left_s < 0:
        return
    folder.mkdir(parents=True, exist_ok=True)
    last = folder / "result.json"
    last.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    command += ["--minutes", f"{left_s / 60:.2f}"]
    with (folder / "log.txt").open("wb") as log:
        try:
            status = subprocess.run(
                command, stdout=log, stderr=log, timeout=left_s + _MOST_WAIT_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    _add(folder, json.loads(last.read_text()) if last.exists() else {}, status)


def _total(folder: Path) -> dict[str, Any]:
    """Return what all runs of a target have reached."""
    path = folder / "total.json"
    total: dict[str, Any] = {"inputs": 0, "cpu_s": 0.0, "slowest_s": 0.0, "findings": {}}
    return total | json.loads(path.read_text()) if path.exists() else total


def _add(folder: Path, result: dict[str, Any], status: int) -> None:
    total = _total(folder)
    for key in ("inputs", "cpu_s"):
        total[key] += result.get(key, 0)
    total["slowest_s"] = max(total["slowest_s"], result.get("slowest_s", 0))
    total["findings"] |= result.get("findings", {})
    if status:  # killed for its memory, stuck in C code, or it could not be imported
        total["findings"][f"the process ended with {status}"] = "log.txt"
        kept = folder / f"log-{status}.txt"
        kept.write_bytes((folder / "log.txt").read_bytes())
    (folder / "total.json").write_text(json.dumps(total, indent=1))


def _report(state: Path) -> int:
    """Print a table of all that was reached; return 1 if something was found."""
    rows = ["| target | inputs | CPU time | slowest | findings |", "|---|---|---|---|---|"]
    found = inputs = 0
    cpu_s = 0.0
    for path in sorted(state.glob("*/total.json")):
        total = _total(path.parent)
        inputs, cpu_s = inputs + total["inputs"], cpu_s + total["cpu_s"]
        found += len(total["findings"])
        told = "; ".join(total["findings"]) or "-"
        rows.append(
            f"| {path.parent.name} | {total['inputs']:,} | {total['cpu_s'] / 60:.1f} min |"
            f" {total['slowest_s']:.2f} s | {told} |"
        )
    rows.append(f"| all | {inputs:,} | {cpu_s / 3600:.2f} h | | {found} |")
    sys.stdout.write("\n".join(rows) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    if importlib.util.find_spec("resource") is None:
        sys.exit("Fuzzing needs the limits that Unix systems have.")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
