# SPDX-License-Identifier: BSD-3-Clause
"""docs/security.md names tests that are there, and every folder that edl keeps something in."""

from __future__ import annotations

import re

from tests.conftest import REPO

PAGE = (REPO / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = REPO / "tests"


def test_every_threat_names_tests_that_are_there() -> None:
    rows = [line for line in PAGE.partition("## Threats")[2].splitlines() if line.startswith("| ")]
    threats = [row for row in rows if not row.startswith("| threat")]
    assert len(threats) > 20
    for row in threats:
        named = re.findall(r"`([a-z]+/(?:test_[a-z*_]+\.py)?)`", row.rpartition(" | ")[2])
        assert named or "the same" in row, row
        assert all(any(TESTS.glob(name.rstrip("/"))) for name in named), row


def test_every_place_in_the_users_folder_is_told() -> None:
    """Whatever is joined to home() in the code."""
    used = set()
    for path in (REPO / "edl").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"\bhome\(\) / \"([a-z]+)\"", text))
        used |= set(re.findall(r"\bhome\(\)\.joinpath\(\"([a-z]+)\"", text))
    assert used >= {"bugs", "indexes", "loaders", "log", "phones", "unpacked"}
    table = PAGE.partition("## What is kept")[2].partition("## Threats")[0]
    assert {name for name in used if f"`{name}/" not in table} == set()
