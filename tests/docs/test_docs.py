# SPDX-License-Identifier: BSD-3-Clause
"""Documents say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from edl.cli.main import COMMANDS, cli, run
from edl.cli.options import Settings
from edl.errors import all_errors
from tests.conftest import REPO
from tests.docs import make_errors, make_troubleshooting

README = (REPO / "README.md").read_text()


def test_every_error_is_documented_as_it_is() -> None:
    assert make_errors.PATH.read_text() == make_errors.page()


def test_troubleshooting_has_every_line_that_is_explained() -> None:
    assert make_troubleshooting.PATH.read_text(encoding="utf-8") == make_troubleshooting.page()


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
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    if command not in {"list", "nop"}:
        assert "  edl " in shown
    assert f"`{command}" in README or f", `{command}`" in README


def test_every_variable_of_an_option_is_in_the_readme() -> None:
    for option in cli.params:
        shared = option.name in {*Settings.__dataclass_fields__} - {"dialog"}
        assert not shared or f"`EDL_{str(option.name).upper()}`" in README


def test_the_commands_of_the_readme_are_commands() -> None:
    words = set(re.findall(r"`?edl ([a-z][a-z-]+)\b(?!\.)", README))
    assert words - {"help"} <= set(COMMANDS)


def test_the_demo_ends_well() -> None:
    shown = subprocess.run(
        [sys.executable, "tests/demo.py"], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert "the virtual phone starts: its boot chain is whole" in shown.stdout
    assert "were there from the interrupted run" in shown.stdout
