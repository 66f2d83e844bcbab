# SPDX-License-Identifier: BSD-3-Clause
"""How phones get into EDL mode, by maker: a table (edl/data/edl_mode.tsv)."""

from __future__ import annotations

import functools
import importlib.resources
from dataclasses import dataclass

ANY = "*"


@dataclass(frozen=True)
class Way:
    """One way into EDL mode, or a note. what: sentences for people."""

    makers: tuple[str, ...]
    name: str
    what: str


def makers() -> list[str]:
    """Return the makers of which the table knows something of their own."""
    return list(dict.fromkeys(name for way in _ways() for name in way.makers if name != ANY))


def ways(maker: str) -> list[Way]:
    """Return the ways that may work, in the order in which to try them, notes last.

    Of a maker that the table does not know: those for all.
    """
    own = [way for way in _ways() if maker.lower() in map(str.lower, way.makers)]
    replaced = {way.name: way for way in own}
    common = [replaced.pop(way.name, way) for way in _ways() if way.makers == (ANY,)]
    return [*common, *(way for way in own if way.name in replaced)]


@functools.cache
def _ways() -> tuple[Way, ...]:
    text = importlib.resources.files("edl.data").joinpath("edl_mode.tsv").read_text("utf-8")
    rows = (row.split("\t") for row in text.splitlines() if not row.startswith("#"))
    return tuple(Way(tuple(makers.split(",")), name, what) for makers, name, what in rows)
