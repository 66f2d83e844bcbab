# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a piece of storage: a name, a sign, words, a pattern and a tone for each.

Neither the sign nor the pattern needs colour.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fate:
    """One fate.

    key: its name in the page. sign: one character. pattern: one of those in page.html. tone: a
    colour of page.css.
    """

    key: str
    sign: str
    words: str
    pattern: str
    tone: str


# Of several in one place the first counts: what is worst, then what changes most.
FATES: tuple[Fate, ...] = (
    Fate("failed", "!", "failed", "cross", "bad"),
    Fate("incomplete", "I", "incomplete: the job ended in the middle of it", "cross", "bad"),
    Fate("different", "\u2260", "differs", "cross", "bad"),
    Fate("lost", "!", "not all of it could be read", "cross", "bad"),
    Fate("changed", "C", "changed", "cross", "warn"),
    Fate("first", "A", "only in A", "back", "warn"),
    Fate("second", "B", "only in B", "slash", "act"),
    Fate("doubtful", "?", "cannot be compared", "back", "warn"),
    Fate("undone", "N", "not done", "back", "warn"),
    Fate("sent", "S", "sent, not verified", "grid", "warn"),
    Fate("write", "W", "to be written", "slash", "act"),
    Fate("written", "W", "written and verified", "solid", "act"),
    Fate("erase", "E", "to be erased", "grid", "act"),
    Fate("erased", "E", "erased", "grid", "act"),
    Fate("read", "R", "read into a file", "dots", "good"),
    Fate("saved", "S", "saved", "solid", "good"),
    Fate("resumed", "+", "there from the interrupted run", "dots", "good"),
    Fate("unchanged", "U", "was there already", "dots", "good"),
    Fate("equal", "=", "the same", "solid", "good"),
    Fate("kept", "K", "kept: it belongs to this phone alone", "bars", "own"),
    Fate("skipped", "L", "left out", "back", "calm"),
    Fate("forbidden", "X", "not shown by the programmer", "cross", "calm"),
    Fate("unique", "1", "not touched; exists only once", "bars", "own"),
    Fate("untouched", "\u00b7", "not touched", "none", "calm"),
    Fate("unknown", "", "nobody has looked", "none", "void"),
    Fate("free", "", "in no partition", "none", "void"),
)
BY_KEY = {fate.key: fate for fate in FATES}
_RANK = {fate.key: rank for rank, fate in enumerate(FATES)}

# what `parts` of a result or an error say (docs/json.md)
OF_PARTS = {
    "written": "written",
    "sent": "sent",
    "resumed": "resumed",
    "unchanged": "unchanged",
    "erased": "erased",
    "read": "read",
    "failed": "failed",
    "incomplete": "incomplete",
    "not done": "undone",
}
OF_STEPS = {"program": "write", "erase": "erase", "read": "read"}
OF_EXTENTS = {
    "saved": "saved",
    "skipped": "skipped",
    "forbidden": "forbidden",
    "partly": "lost",
}
OF_ROWS = {
    "same": "equal",
    "changed": "changed",
    "only first": "first",
    "only second": "second",
    "unknown": "doubtful",
}


def rank(key: str) -> int:
    """Return how much a fate matters: 0 is the most."""
    return _RANK[key]
