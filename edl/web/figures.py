# SPDX-License-Identifier: BSD-3-Clause
"""How the server and its jobs do, for monitoring: OpenMetrics text, and one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from edl import openmetrics
from edl.openmetrics import Family, Sample
from edl.web.keeper import Keeper

CONTENT_TYPE = openmetrics.CONTENT_TYPE


def text(phones: Iterable[Mapping[str, Any]], keeper: Keeper) -> str:
    """Return the figures. phones: as pages know them."""
    modes = Counter(row["mode"] for row in phones)
    running = keeper.running()
    kinds = Counter(job.order.name for job in running)
    tally = keeper.tally
    took = Counter(tally.done)
    for (kind, _), count in tally.failed.items():
        took[kind] += count
    return openmetrics.text(
        [
            _family("edl_web_phones", "gauge", "Phones that are there, by mode.", "mode", modes),
            _family("edl_web_jobs", "gauge", "Jobs at work, by kind.", "kind", kinds),
            Family(
                "edl_web_job_moved_bytes",
                "gauge",
                "How far a job at work is.",
                tuple(
                    Sample(job.done_bytes, {"job": job.id, "kind": job.order.name})
                    for job in running
                ),
                unit="bytes",
            ),
            replace(
                _family(
                    "edl_web_written_bytes",
                    "counter",
                    "Written to phones by jobs that told their result, by kind.",
                    "kind",
                    tally.written,
                ),
                unit="bytes",
            ),
            _family(
                "edl_web_done", "counter", "Jobs that ended well, by kind.", "kind", tally.done
            ),
            Family(
                "edl_web_failures",
                "counter",
                "Jobs that failed, by kind and code of the error.",
                tuple(
                    Sample(count, {"kind": kind, "code": code})
                    for (kind, code), count in sorted(tally.failed.items())
                ),
            ),
            Family(
                "edl_web_job_seconds",
                "summary",
                "How long jobs took, by kind.",
                tuple(
                    Sample(value, {"kind": kind}, suffix)
                    for kind, seconds in sorted(tally.seconds.items())
                    for suffix, value in (("_count", took[kind]), ("_sum", round(seconds, 3)))
                ),
                unit="seconds",
            ),
        ]
    )


def line(phones: Iterable[Mapping[str, Any]], keeper: Keeper) -> str:
    """Return how all is, in one line that begins with `ok`, or with what is wrong."""
    count = len(list(phones))
    word = "ending" if keeper.closing else "ok"
    return (
        f"{word}: phones {count}, jobs at work {len(keeper.running())},"
        f" ended {keeper.tally.ended}, failed {keeper.tally.failed.total()}"
    )


def _family(name: str, kind: Any, words: str, label: str, counts: Mapping[str, int]) -> Family:  # noqa: ANN401
    samples = tuple(Sample(count, {label: key}) for key, count in sorted(counts.items()))
    return Family(name, kind, words, samples)
