# SPDX-License-Identifier: BSD-3-Clause
"""What a check is."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """What a fact means for the rescue of a phone."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    name: stable. fact: what was seen, without a dot at its end. command: what mends it, a line for
    a shell or a sentence; empty where nothing needs mending or nobody knows.
    """

    name: str
    fact: str
    verdict: Verdict
    command: str = ""
