# SPDX-License-Identifier: BSD-3-Clause
"""What errors mean: a page a code, and the pages that lines of logs belong to (any tool's)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from edl.errors import EdlError, all_errors
from edl.firehose import loglines

_SEEN = "\nSeen as:\n"


@dataclass(frozen=True)
class Page:
    """What a code means. text: Markdown. seen: lines of logs that lead there; * is anything."""

    code: str
    text: str
    seen: tuple[str, ...]


@dataclass(frozen=True)
class Meaning:
    """What a line of a log means: the kind of error, a sentence, and what to do."""

    kind: type[EdlError]
    text: str
    remedies: tuple[str, ...]


@functools.cache
def kinds() -> dict[str, type[EdlError]]:
    """Return the kinds of errors by code, as they are written down."""
    found: dict[str, type[EdlError]] = {}
    for kind in all_errors():
        found.setdefault(kind.code, kind)
    return found


@functools.cache
def pages() -> dict[str, Page]:
    """Return the pages by code."""
    text = resources.files("edl.data").joinpath("explain.md").read_text("utf-8")
    found = {}
    for section in text.split("\n## ")[1:]:
        code, _, body = section.partition("\n")
        told, _, seen = body.partition(_SEEN)
        lines = tuple(line.strip() for line in seen.splitlines() if line.strip())
        found[code] = Page(code, told.strip(), lines)
    return found


def meaning(line: str) -> Meaning | None:
    """Return what a line of a log means: a programmer's own words, or those of some tool."""
    told = loglines.explain([line])
    code = next((code for pattern, code in _patterns() if pattern.search(line)), None)
    if told is not None and code in {None, told.error.code}:
        remedies = told.error.remedies if told.remedies is None else told.remedies
        return Meaning(told.error, told.text, remedies)
    if code is None:
        return None
    kind = kinds()[code]
    return Meaning(kind, pages()[code].text.split("\n\n")[0], kind.remedies)


def meanings(lines: Iterable[str]) -> list[tuple[str, Meaning, int]]:
    """Return each meaning that is found in lines, with its first line and how many have it."""
    found: dict[Meaning, tuple[str, int]] = {}
    for line in lines:
        told = meaning(line)
        if told is not None:
            first, count = found.get(told, (line.strip(), 0))
            found[told] = first, count + 1
    return [(first, told, count) for told, (first, count) in found.items()]


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what to search lines for, with its code; what says most before what says less."""
    rows = [(line, page.code) for page in pages().values() for line in page.seen]
    rows.sort(key=lambda row: -len(row[0].replace("*", "")))
    return tuple(
        (re.compile(".{0,300}?".join(map(re.escape, line.split("*"))), re.IGNORECASE), code)
        for line, code in rows
    )
