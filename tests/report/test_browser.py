# SPDX-License-Identifier: BSD-3-Clause
"""A real browser looks at the pages. Skipped where there is no Chromium (Debian: `chromium`)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edl.report.page import page
from tests.report import browser, records
from tests.report.records import DONE, ERROR, HOSTILE, plan, record

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="there is no Chromium here")

# elements that reach out of the window, and letters on a ground of too little contrast (WCAG AA)
WIDE = """[...document.querySelectorAll('main *:not(svg *)')].filter(
    each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"""
PALE = """(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => parts(colour).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = each => {
    for (; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *:not(svg *):not(svg)')].filter(each => {
    const [low, high] = [light(getComputedStyle(each).color), light(ground(each))].sort();
    return (high + 0.05) / (low + 0.05) < 4.5;
  }).map(each => each.outerHTML.slice(0, 200));
})()"""

STRIPS = """[...document.querySelectorAll('.strip')].every(
    each => each.getBoundingClientRect().width > innerWidth * 0.8)"""


def pages(folder: Path) -> list[Path]:
    """Write a page of a job that went well, of one that failed, and of hostile names."""
    steps = tuple(
        records.step("program", name, 1000 + n, 1, name) for n, name in enumerate(HOSTILE)
    )
    hostile = record(
        ("plan", {"plan": plan(steps, kept=list(HOSTILE))}),
        ("error", ERROR | {"message": "".join(HOSTILE), "parts": []}), status=4, words=HOSTILE,
        device_log={"lines": list(HOSTILE), "left_out": 0, "left_out_at": 0},
    )  # fmt: skip
    made = {
        "done": record(("plan", {"plan": plan()}), ("result", DONE)),
        "failed": record(("plan", {"plan": plan()}), ("error", ERROR), status=4),
        "hostile": hostile,
    }
    paths = []
    for name, data in made.items():
        paths.append(folder / f"{name}.html")
        paths[-1].write_text(page(data), encoding="utf-8")
    return paths


def test_in_a_real_browser(tmp_path: Path) -> None:
    """Light and dark, wide and as narrow as a phone, and on paper."""
    with browser.started(tmp_path) as window:
        for path, (width, dark) in itertools.product(
            pages(tmp_path), ((1200, False), (800, True), (360, False))
        ):
            window.open(path, width=width, dark=dark)
            assert window.requests == [path.as_uri()]
            assert window.complaints == []
            assert window.value("document.documentElement.scrollWidth") <= width
            assert window.value(WIDE) == []
            assert window.value(PALE) == []
            ground = window.value("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(255, 255, 255)") is not dark
            # a map takes the width that there is
            assert window.value(STRIPS)
        # the browser itself complains where a page would load something
        evil = tmp_path / "evil.html"
        text = pages(tmp_path)[0].read_text(encoding="utf-8")
        evil.write_text(text.replace("<main>", "<main><img src='x.png'><script>1</script>"))
        window.open(evil, width=360)
        assert window.complaints
        paper = window.ask("Page.printToPDF")
        assert len(paper["data"]) > 1000
