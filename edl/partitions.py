# SPDX-License-Identifier: BSD-3-Clause
"""What the partitions of a phone hold, by name, and what another phone's copy would do.

The rules come from stock packages, vendor scripts and reports of users; the last one is for names
that nobody knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources

_LONGEST_NAME = 72  # a GPT name has 36 characters; labels of packages could have any number
_SLOT = re.compile(r"_[ab]", re.IGNORECASE)
_BACKUP = "_backup"


class Severity(Enum):
    """How much harm the copy of another phone does."""

    MUST_NEVER_CLONE = "must-never-clone"
    SHOULD_BE_BACKED_UP = "should-be-backed-up"
    SAFE = "safe"


@dataclass(frozen=True)
class PartitionClass:
    """What is known about partitions of one kind.

    Attributes:
        category: such as `radio-nv`, `keys`, `firmware`, `os`.
        reason: one sentence for people, why the severity is what it is.
    """

    category: str
    severity: Severity
    reason: str


def classify(name: str) -> PartitionClass:
    """Return what is known about the partition or label name, with or without a slot.

    The first rule that fits counts; capitals do not matter.
    """
    base = name[:-2] if _SLOT.fullmatch(name[-2:]) else name
    if base.lower().endswith(_BACKUP):
        base = base[: -len(_BACKUP)]
    rules = _rules()
    if len(base) > _LONGEST_NAME:
        return rules[-1][1]
    return next(kind for pattern, kind in rules if pattern.fullmatch(base))


@cache
def _rules() -> tuple[tuple[re.Pattern[str], PartitionClass], ...]:
    """Return the rules in their order; the last one fits every name."""
    text = resources.files("edl.data").joinpath("partitions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        (
            re.compile(pattern, re.IGNORECASE | re.DOTALL),
            PartitionClass(category, Severity(severity), reason),
        )
        for pattern, category, severity, reason in rows
    )
