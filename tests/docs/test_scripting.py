# SPDX-License-Identifier: BSD-3-Clause
"""The tables of docs/scripting.md are those of the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edl.cli.keys import KEYS, OTHER_VARIABLES
from edl.errors import all_errors
from tests.conftest import REPO

PAGE = (REPO / "docs" / "scripting.md").read_text(encoding="utf-8")
README = (REPO / "README.md").read_text(encoding="utf-8")


def statuses() -> dict[int, tuple[str, list[str]]]:
    """Return words and codes of the page by exit status."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|([^|]*)\|$", PAGE, re.MULTILINE)
    return {int(row[0]): (row[1].strip(), re.findall(r"`([a-z-]+)`", row[2])) for row in rows}


def test_each_code_has_the_status_of_the_table() -> None:
    told = {code: status for status, (_, codes) in statuses().items() for code in codes}
    assert told == {kind.code: kind.status for kind in all_errors()}
    assert sum(len(codes) for _, codes in statuses().values()) == len(told)


def test_the_readme_says_the_same() -> None:
    short = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|$", README, re.MULTILINE))
    assert short == {str(status): words for status, (words, _) in statuses().items()}


def test_each_key_and_variable_is_in_the_table() -> None:
    rows = re.findall(r"^\| (?:`([a-z.-]+)` )?\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    keys = [(key.name if key.in_file else "", key.variable) for key in KEYS.values()]
    assert rows == [*keys, *(("", name) for name in OTHER_VARIABLES)]


def test_the_readme_names_all_variables() -> None:
    ours = {name for name in OTHER_VARIABLES if name != "CLICOLOR_FORCE"}
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", README))
    assert {key.variable for key in KEYS.values()} | ours <= named


@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [("y\n", 0, "100 %\n"), ("n\n", 130, "error: Stopped, as you asked; nothing was")],
)
def test_the_front_end_runs(tmp_path: Path, typed: str, status: int, told: str) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "image").write_bytes(b"x" * 4096)
    line = ("--virtual", "qcm2290,size=16MiB", "write", "0", str(tmp_path / "image"))
    done = subprocess.run(
        [sys.executable, "-c", example, *line], cwd=REPO, input=typed, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")
    assert "This overwrites LUN 0 from the first sector on (4 KiB). Continue? " in done.stdout
    assert told in done.stdout
