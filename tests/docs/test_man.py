# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages are those of the commands, and can be read."""

from __future__ import annotations

import configparser
import shutil
import subprocess

import pytest

from edl.cli.main import COMMANDS
from tests.conftest import REPO
from tests.docs import make_man


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return make_man.pages()


def test_no_page_is_stale(made: dict[str, str]) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in make_man.FOLDER.glob("*.1")}
    stale = sorted(name for name in {*made, *kept} if made.get(name) != kept.get(name))
    assert stale == [], "run 'make man' and commit man/"


def test_each_command_has_a_page_and_is_named_in_the_first(made: dict[str, str]) -> None:
    assert set(made) == {"edl.1", *(f"edl-{name}.1" for name in COMMANDS)}
    for name in COMMANDS:
        assert f".BR edl\\-{make_man._escape(name)} (1)\n" in made["edl.1"]


def test_text_is_never_a_request() -> None:
    assert make_man._line(".SH of hell") == "\\&.SH of hell"
    assert make_man._line("'\\fBx --y") == "\\&'\\efBx \\-\\-y"


def test_they_are_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPO / "setup.cfg", encoding="utf-8")
    assert setup["options.data_files"]["share/man/man1"] == "man/*.1"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_finds_no_error() -> None:
    pages = sorted(map(str, make_man.FOLDER.glob("*.1")))
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Werror", *pages], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("name", ["edl", "edl-gpt"])
def test_man_shows_them(name: str) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", str(make_man.FOLDER / f"{name}.1")],
        capture_output=True, text=True, check=True, env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stderr == ""
    assert "NAME\n       edl" in done.stdout
