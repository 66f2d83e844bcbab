# SPDX-License-Identifier: BSD-3-Clause
"""Every command line in the documents: its command and options exist, and it does what it says.

Lines of code blocks that begin with `edl `, and those in the tables of docs/coming-from.md, are run
in a folder that has what the documents speak of, on a virtual phone. What needs something else is
parsed only: NEEDS_MORE says which and why.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest

from edl.cli import names
from edl.cli.main import _KNOWN, cli
from edl.cli.options import Settings
from tests.cli.conftest import Edl
from tests.conftest import REPO
from tests.docs import world

PAGES = {path.name: path for path in (REPO / "README.md", *sorted((REPO / "docs").glob("*.md")))}
_BLOCK = re.compile(r"^ *```(?:sh|bash|console|text)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"`(edl [^`]+)`")

# By what is in a line: why it is parsed only.
NEEDS_MORE = {
    "virtual serve": "it serves until it is stopped",
    "edl station": "it waits for phones",
    "virtual new": "the phone is there already",
    "virtual sample": "the package is there already",
    "setup-udev": "it prints a file",
    "edl nbd": "it serves until it is stopped",
    "edl web": "it serves until it is stopped",
    "--vip ": "it needs tables that somebody has signed",
    "--port": "it needs a serial port",
    "-m nand": "it needs a modem with NAND",
    "--serial": "it needs a phone with that number",
    "--fault": "it ends as the fault has it",
    "--resume": "it needs an interrupted job",
    "edl resume": "it needs an interrupted job",
    "ramdump": "it needs a phone that has crashed",
    "edl ks": "it needs a device without flash",
    " rescue": "it needs somebody who answers",
    "--from-other-device": "it needs a dump of another phone",
    "--unique": "it needs older backups",
    "--watch": "it waits for a phone that starts",
    "--allow-write": "it is asked for",
    "13:prog.elf": "it needs a programmer of several images",
    "--since": "it needs an older backup",
    "prog.elf": "it names a loader",
    "edl doctor": "what it finds depends on this computer",
    "edl config": "what it finds depends on this computer",
    "completion": "what it does depends on the shell",
    "MPRG8660.HEX": "it needs a phone that is older than Sahara",
    "0:AMSS": "it needs NAND whose programmer knows names alone",
    "msm7x30": "its loader is not in the current folder",
    "provision.xml": "it needs a phone with UFS",
    "commands.xml": "the commands are the user's own",
    "ffu.bin": "it needs firmware of a storage chip",
    "edl peek": "it needs a programmer that shows memory",
    "--memory ufs": "it needs a phone with UFS",
    "setbootablestoragedrive": "it needs a phone with UFS",
}
# What ends otherwise than well, by the beginning of the line: refusals, and what differs.
STATUSES = {"edl footer": 2, "edl diff ": 8, "edl verify ": 8}
# Commands that write what they name: it must not be there. What all others name must be.
WRITES = {"backup", "read", "rs", "rf"}


def lines(path: Path) -> Iterator[str]:
    """Yield the command lines in a page."""
    text = path.read_text(encoding="utf-8")
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            if line.strip().removeprefix("$ ").startswith("edl "):
                yield line.strip().removeprefix("$ ")
    for row in text.splitlines() if path.name == "coming-from.md" else ():
        if row.startswith("| "):
            yield from _CELL.findall(row)


def words(line: str) -> list[str]:
    """Return the words behind `edl`, up to a comment or a pipe."""
    text = re.split(r"\s(?:#|\||>|2>|&&)\s?", line, maxsplit=1)[0]
    return shlex.split(text)[1:]


def _once() -> dict[str, list[str]]:
    """Return the lines of each page that no page before it has."""
    pages = {tuple(words(line)): (name, line) for name, path in reversed(PAGES.items())
             for line in lines(path)}  # fmt: skip
    found = pages.values()
    return {name: [line for where, line in found if where == name] for name in PAGES}


LINES = _once()
WITH_LINES = sorted(name for name, found in LINES.items() if found)


def parsed(line: str) -> tuple[click.Command, str]:
    """Return the command of a line, with its name, once all its options are understood."""
    context = cli.make_context("edl", names.translate(words(line), _KNOWN), obj=Settings())
    command: click.Command = cli
    name: str | None = ""
    while isinstance(command, click.Group) and (rest := context._protected_args + context.args):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)
    return command, command.name or name or ""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the folder that all lines are run in copies of is, once it has been made."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture
def here(template: Path, edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not any(template.iterdir()):
        monkeypatch.chdir(template)
        world.make(template, edl)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pages_have_lines() -> None:
    assert {"README.md", "howto.md", "coming-from.md", "backup.md"} <= set(WITH_LINES)
    assert sum(map(len, LINES.values())) > 100


@pytest.mark.parametrize("page", WITH_LINES)
def test_the_command_lines_of(
    page: str, here: Path, template: Path, edl: Edl, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {}
    for number, line in enumerate(LINES[page]):
        monkeypatch.chdir(template)
        try:
            command, name = parsed(line)
        except Exception as error:  # noqa: BLE001  # whatever it is, the line is wrong
            if line not in STATUSES:
                wrong[line] = str(error)
            continue
        if any(mark in line for mark in NEEDS_MORE):
            continue
        folder = here / str(number)
        shutil.copytree(template, folder)
        monkeypatch.chdir(folder)
        told = words(line)
        if name in WRITES:
            _remove([folder / word for word in told if not word.startswith("-")])
        asks = any(each.name == "yes" for each in command.params)
        virtual = [] if "--virtual" in told else ["--virtual", "my-phone"]
        result = edl(*virtual, *told, *(["--yes"] if asks and "--yes" not in told else []))
        expected = (status for begin, status in STATUSES.items() if line.startswith(begin))
        if result.status != next(expected, 0):
            wrong[line] = f"exit status {result.status}: {result.err}"
        monkeypatch.chdir(here)
        shutil.rmtree(folder)
    assert wrong == {}


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and path.name in {"DIR", "FILE"}:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
