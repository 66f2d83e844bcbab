# SPDX-License-Identifier: BSD-3-Clause
"""What a campaign has tried, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What was tried, and what went wrong.

    cases: by job. struck: interruptions that struck, by kind. missed: those that came too late.
    undisturbed: cases without any. runs: of edl.
    """

    cases: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    undisturbed: int = 0
    runs: int = 0
    slowest_s: float = 0.0
    failures: list[str] = field(default_factory=list)


def report(tally: Tally, seconds: float) -> str:
    """Return the result in words."""
    killed = sum(count for kind, count in tally.struck.items() if kind.startswith("kill"))
    lines = [
        f"{sum(tally.cases.values())} cases, {tally.runs} runs of edl, {seconds:.0f} s;"
        f" the longest run took {tally.slowest_s:.1f} s",
        "jobs: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.cases.items())),
        f"interruptions: {killed} kill -9, "
        + ", ".join(f"{kind} {count}" for kind, count in sorted(tally.struck.items())),
        f"undisturbed: {tally.undisturbed}; came too late to disturb: {tally.missed}",
        f"failures: {len(tally.failures)}",
    ]
    return "\n".join(lines)
