# SPDX-License-Identifier: BSD-3-Clause
"""The pages hang together: links lead somewhere, and each can be found. `make docs` does more."""

from __future__ import annotations

import fnmatch
import re
import runpy
from pathlib import Path

import pytest

from tests.conftest import REPO

DOCS = REPO / "docs"
PAGES = sorted(DOCS.glob("*.md"))
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges and MyST make them."""
    text = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", [REPO / "README.md", *PAGES], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for name, anchor in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


def test_every_page_is_in_the_table_of_contents() -> None:
    trees = re.findall(r"```{toctree}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL)
    listed = [line for tree in trees for line in tree.splitlines() if line and line[0] != ":"]
    names = {path.stem for path in PAGES} - {"index"}
    assert {name for name in names if not any(fnmatch.fnmatch(name, each) for each in listed)} == (
        set()
    )


def test_release_notes_are_a_section_of_the_changelog() -> None:
    notes = runpy.run_path(str(DOCS / "release_notes.py"))["notes"]
    text = "# Changelog\n\n## 0.2.0 (unreleased)\n\n- new\n\n## 0.1.0 (2026-01-01)\n\nFirst.\n"
    assert notes("0.2.0", text) == "- new\n"
    assert notes("0.1.0", text) == "First.\n"
    with pytest.raises(LookupError):
        notes("0.3.0", text)
