# SPDX-License-Identifier: BSD-3-Clause
"""A picture of the storage: each LUN to scale, each spot by how it reads. One SVG, or HTML with it.

Colours are never alone: what is bad also has a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from edl.doctor.surface import Spot, State, Surface
from edl.doctor.verdict import Verdict
from edl.units import format_size

_COLUMNS = 64
_CELL = 14
_LEFT = 16
_SIGNS = {
    State.GOOD: "",
    State.SLOW: "~",
    State.UNSTABLE: "?",
    State.UNREADABLE: "\u00d7",
    State.WITHHELD: "-",
}
_MEANINGS = {
    State.GOOD: "reads well",
    State.SLOW: "slow",
    State.UNSTABLE: "two reads differ",
    State.UNREADABLE: "cannot be read",
    State.WITHHELD: "not shown by the programmer",
}
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1a1a1a }
.title { font-size: 17px; font-weight: 600 }
.sign { font-size: 12px; font-weight: 700; text-anchor: middle }
.good { fill: #4c9f70 } .good2 { fill: #8fc7a5 } .good3 { fill: #c9e4d3 }
.slow { fill: #f2c14e } .unstable { fill: #f78154 } .unreadable { fill: #c8553d }
.withheld { fill: #b8b8b8 }
rect.page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f0f0 } rect.page { fill: #16181c } .sign { fill: #000000 }
}
"""


def svg(surfaces: Sequence[Surface], verdict: Verdict, title: str) -> str:
    """Return the picture; title says which phone it is."""
    body: list[str] = []
    y = 28
    body.append(f'<text class="title" x="{_LEFT}" y="{y}">{escape(title)}</text>')
    for line in _wrapped(verdict.sentence):
        y += 20
        body.append(f'<text x="{_LEFT}" y="{y}">{escape(line)}</text>')
    y += 14
    for surface in surfaces:
        y = _lun(body, surface, y)
    y = _legend(body, y + 24)
    width = 2 * _LEFT + _COLUMNS * _CELL
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {y + 16}"'
        f" aria-label={quoteattr(verdict.sentence)}>\n<style>{_STYLE}</style>\n"
        f'<rect class="page" width="100%" height="100%"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def html(surfaces: Sequence[Surface], verdict: Verdict, title: str) -> str:
    """Return a page that holds the picture, and needs nothing else."""
    advice = "".join(f"<li>{escape(text)}</li>" for text in verdict.advice)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>:root { color-scheme: light dark } body { font-family: system-ui, sans-serif;"
        " max-width: 60rem; margin: 1rem auto; padding: 0 1rem }</style>\n"
        f"{svg(surfaces, verdict, title)}"
        f"<p>{escape(verdict.meaning)}</p>\n<ul>{advice}</ul>\n</html>\n"
    )


def _lun(body: list[str], surface: Surface, y: int) -> int:
    y += 24
    looked = "all of it" if surface.whole else f"{format_size(surface.read_bytes)} of it"
    body.append(
        f'<text x="{_LEFT}" y="{y}">LUN {surface.lun}, {format_size(surface.size_bytes)},'
        f" {looked} read twice</text>"
    )
    y += 8
    median = surface.median_s or 0.0
    rows = _rows(surface)
    for index, spot in enumerate(rows):
        row, column = divmod(index, _COLUMNS)
        left, top = _LEFT + column * _CELL, y + row * _CELL
        body.append(
            f'<rect class="{_look(spot, median)}" x="{left}" y="{top}" width="{_CELL - 1}"'
            f' height="{_CELL - 1}"><title>{escape(_told(spot))}</title></rect>'
        )
        if sign := _SIGNS[spot.state]:
            middle = left + _CELL // 2
            body.append(f'<text class="sign" x="{middle}" y="{top + 11}">{sign}</text>')
    return y + -(-len(rows) // _COLUMNS) * _CELL


_MOST_CELLS = 64 * 40
_WORST = (State.GOOD, State.WITHHELD, State.SLOW, State.UNSTABLE, State.UNREADABLE)


def _rows(surface: Surface) -> list[Spot]:
    """Return the spots to draw; of many neighbours the worst stands for all."""
    step = -(-len(surface.spots) // _MOST_CELLS) or 1
    return [
        max(surface.spots[at : at + step], key=lambda spot: _WORST.index(spot.state))
        for at in range(0, len(surface.spots), step)
    ]


def _look(spot: Spot, median: float) -> str:
    if spot.state is not State.GOOD or spot.seconds is None:
        return str(spot.state)
    return (
        "good"
        if spot.seconds <= 1.5 * median
        else "good2"
        if spot.seconds <= 3 * median
        else "good3"
    )


def _told(spot: Spot) -> str:
    area = spot.area
    where = f"sectors {area.start_sector} to {area.start_sector + area.sectors - 1}"
    speed = f", {format_size(round(spot.bytes_per_s))}/s" if spot.bytes_per_s else ""
    words = f": {spot.words}" if spot.words else ""
    return f"{where}, {_MEANINGS[spot.state]}{speed}{words}"


def _legend(body: list[str], y: int) -> int:
    x = _LEFT
    for state, meaning in _MEANINGS.items():
        body.append(
            f'<rect class="{state}" x="{x}" y="{y - 11}" width="{_CELL - 1}" height="{_CELL - 1}"/>'
        )
        if sign := _SIGNS[state]:
            body.append(f'<text class="sign" x="{x + _CELL // 2}" y="{y}">{sign}</text>')
        body.append(f'<text x="{x + _CELL + 4}" y="{y}">{meaning}</text>')
        x += _CELL + 24 + 7 * len(meaning)
    return y


def _wrapped(text: str) -> list[str]:
    import textwrap  # noqa: PLC0415  # only for pictures

    return textwrap.wrap(text, 120)
