# SPDX-License-Identifier: BSD-3-Clause
"""Documents say what the program does."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from edl.cli.main import COMMANDS, HIDDEN
from edl.cli.names import ALIASES
from edl.errors import all_errors
from tests.conftest import REPO
from tests.docs import make_errors

README = (REPO / "README.md").read_text()


def test_every_error_is_documented_as_it_is() -> None:
    assert make_errors.PATH.read_text() == make_errors.page()


def test_error_codes_are_stable_names() -> None:
    kinds = list(all_errors())
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.__doc__ for kind in kinds)


def test_every_exit_status_is_in_the_readme() -> None:
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert {kind.status for kind in all_errors()} <= documented


def test_the_quick_start_has_exactly_two_commands() -> None:
    section = README.split("## Quick start")[1].split("\n## ")[0]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    assert [line for block in blocks for line in block.splitlines()] == ["make demo", "make test"]


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    assert (REPO / ".ci" / "run").read_text().rstrip().endswith("\nmake test")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "edl", command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    if command not in {"list", "nop"}:
        assert "  edl " in shown
    assert f"`{command}" in README or f", `{command}`" in README


def test_aliases_lead_to_commands() -> None:
    assert set(ALIASES.values()) <= set(COMMANDS) | set(HIDDEN)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "from edl.cli.main import run\n"
        "run(['--help'])\n"
        "heavy = {'rich', 'lxml', 'usb', 'serial', 'Crypto', 'asyncio', 'platformdirs'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(shown.splitlines()[-1]) == []
