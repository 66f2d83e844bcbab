# SPDX-License-Identifier: BSD-3-Clause
"""The Tab key: what is suggested, in the protocol of each shell, quickly and without a phone."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edl.cli import completing, seen, shells
from edl.cli.main import COMMANDS
from edl.home import home
from tests.cli.conftest import Edl


@pytest.fixture(scope="module")
def shape() -> completing.Table:
    return completing.make()


@pytest.fixture
def phones() -> None:
    """Remember two phones; the one that was seen last is 0badcafe."""
    for serial, names, when in (("1a2b3c4d", ["old_a"], 1000), ("0badcafe", ["boot_a", "boot_b",
                                "modem", "evil name", "$(x)"], 2000)):  # fmt: skip
        folder = home() / "phones" / serial
        seen.keep(folder, names)
        os.utime(folder / "partitions.json", (when, when))
        os.utime(folder, (when, when))


def words(shape: completing.Table, line: str) -> list[str]:
    """Return what is suggested at the end of line, behind "edl"."""
    *whole, last = line.split(" ")
    found = completing.suggestions(shape, whole, last)
    return [each.value if each.kind == "plain" else f"<{each.kind}>" for each in found]


def test_commands(shape: completing.Table) -> None:
    assert words(shape, "") == list(COMMANDS)
    assert words(shape, "set") == ["set-bootable", "setup-udev"]
    assert words(shape, "-v --memory ufs printg") == ["printgpt"]
    assert words(shape, "help printg") == ["printgpt"]
    assert words(shape, "gpt ") == ["repair", "diff"]
    assert words(shape, "nonsense ") == words(shape, "nop ") == words(shape, "gpt no ") == []


def test_every_suggestion_of_a_command_has_its_help(shape: completing.Table) -> None:
    found = completing.suggestions(shape, [], "")
    assert [each.help for each in found] == [text for _, text, _ in COMMANDS.values()]


def test_options(shape: completing.Table) -> None:
    assert words(shape, "rawprogram --ver") == ["--verify", "--verbose"]
    assert words(shape, "w --dry") == ["--dry-run"]
    assert "--finalize-provisioning" not in words(shape, "rawprogram --")  # another tool's
    assert words(shape, "rawprogram -- --ver") == ["<file>"]
    assert words(shape, "read -u") == ["-u"]


@pytest.mark.usefixtures("phones")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("read bo", ["boot_a", "boot_b"]),
        ("read modem,boot_", ["modem,boot_a", "modem,boot_b"]),
        ("read modem ", ["<file>"]),
        ("r m", ["modem"]),
        ("--serial 1A2B3C4D read ", ["old_a"]),
        ("read --serial=1a2b3c4d ", ["old_a"]),
        ("read -S = 1a2b3c4d ", ["old_a"]),
        ("read --serial ", ["0badcafe", "1a2b3c4d"]),
        ("rawprogram x --only mo", ["modem"]),
        ("rawprogram x --only=mo", ["--only=modem"]),
        ("rawprogram x --yes=mo", []),
        ("rawprogram ", ["<file>"]),
        ("--loader ", ["<file>"]),
        ("--loader =", ["<file>"]),
        ("backup ", ["<dir>"]),
        ("restore ", ["<file>"]),
        ("restore x mo", ["modem"]),
        ("restore x modem boot_b", ["boot_b"]),
        ("write --verify n", ["none"]),
        ("--virtual qcm2290-", ["qcm2290-ufs"]),
        ("explain wrong-st", ["wrong-storage"]),
        ("completion fi", ["fish"]),
        ("set-bootable ", []),
    ],
)
def test_values(line: str, told: list[str], shape: completing.Table) -> None:
    assert words(shape, line) == told


def test_a_phone_leaves_its_names(edl: Edl, whole: Path, shape: completing.Table) -> None:
    tables = edl("--virtual", whole, "printgpt", "--json").last["luns"]
    assert words(shape, "erase ab") == ["aboot"]
    (kept,) = home().glob("phones/*/partitions.json")
    assert json.loads(kept.read_text())["partitions"] == seen.partitions("1a2b3c4d")
    assert seen.partitions() == sorted(
        row["name"] for table in tables for row in table["partitions"]
    )


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    assert (seen.partitions(), seen.serials(), seen.jobs()) == ([], [], [])
    folder = home() / "phones" / "1a2b3c4d"
    seen.keep(folder, [])
    assert not folder.exists()
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "rawprogram-1.jsonl").touch()
    (folder / "partitions.json").write_text('{"partitions": 1}')
    assert (seen.partitions(), seen.jobs()) == ([], ["rawprogram-1"])
    (tmp_path / "file").touch()
    seen.keep(tmp_path / "file" / "x", ["boot"])


# -- shells ---------------------------------------------------------------------------------------


def ask(monkeypatch: pytest.MonkeyPatch, shell: str, line: str, word: str) -> None:
    monkeypatch.setenv(shells.VARIABLE, f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", word)


@pytest.mark.usefixtures("phones")
@pytest.mark.parametrize(
    ("shell", "line", "word", "told"),
    [
        ("bash", "edl\nread\nmo", "2", "plain,modem\n"),
        ("bash", "edl\nread\n--lun\n", "3", "\n"),
        ("zsh", "edl read mo", "2", "plain\nmodem\n_\n"),
        ("zsh", "edl nop", "1", "plain\nnop\nAsk the programmer for a sign of life.\n"),
        ("fish", "edl read mo", "mo", "plain\tmodem\t\n"),
        ("fish", "edl read a,b", "a,b", "plain\ta,boot_a\t\nplain\ta,boot_b\t\n"),
        ("powershell", "edl\nread", "mo", "plain\tmodem\tmodem\n"),
        ("powershell", "edl\n'backup'", '"my', "dir\tmy\tmy\n"),
    ],
)
def test_the_protocol(
    shell: str, line: str, word: str, told: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ask(monkeypatch, shell, line, word)
    assert shells.complete() == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("shell", "word"), [("tcsh", "1"), ("bash", "one"), ("bash_source", "1"), ("", "1")]
)
def test_a_wrong_question_gets_no_words(
    shell: str, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(monkeypatch, shell, "edl read", word)
    assert shells.complete() == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", sorted(shells.SHELLS))
def test_the_script(shell: str, edl: Edl) -> None:
    result = edl("completion", shell)
    assert (result.status, result.err) == (0, "")
    assert f"_EDL_COMPLETE={shell}_complete" in result.out.replace(" = '", "=").replace("'", "")
    told = edl("completion", shell, "--json").last
    assert (told["shell"], told["script"].splitlines()) == (shell, result.out.splitlines())
    program = shutil.which({"powershell": "pwsh"}.get(shell, shell))
    if program is not None and shell != "powershell":
        subprocess.run([program, "-n"], input=result.out, text=True, check=True)


_COLD = ("usb", "serial", "lxml", "rich", "edl.cli.app", "edl.cli.commands", "edl.device")


@pytest.mark.usefixtures("phones")
def test_nothing_heavy_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    completing.table()
    ask(monkeypatch, "bash", "edl read mo", "2")
    code = f"""
import sys
from edl.__main__ import main
try:
    main()
except SystemExit as end:
    found = [name for name in {_COLD!r} if name in sys.modules]
    sys.exit(f"{{end.code}} {{found}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("plain,modem\n", "0 []\n")


def test_the_table_is_made_anew_when_the_program_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count(1)
    monkeypatch.setattr(completing, "make", lambda: {"made": next(numbers)})
    assert [completing.table(), completing.table()] == [{"made": 1}, {"made": 1}]
    monkeypatch.setattr("edl.__version__", "99")
    assert completing.table() == {"made": 2}
    (home() / "completion.json").write_text("{")
    assert completing.table() == {"made": 3}
    (home() / "completion.json").unlink()
    (home() / "completion.json").mkdir()
    assert [completing.table(), completing.table()] == [{"made": 4}, {"made": 5}]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put `edl` on the PATH; return its folder."""
    path = tmp_path / "edl"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edl "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.usefixtures("phones")
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_in_bash_itself(edl: Edl, program: Path) -> None:
    """Source the script and call the function as bash does."""
    (program / "script").write_text(edl("completion", "bash").out)
    lines = f"""
source {program}/script
for line in "edl read bo" "edl write --verify rea"; do
    COMP_WORDS=($line); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()
    _edl_completion edl
    echo "${{COMPREPLY[*]}}"
done
complete -p edl
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", lines], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "boot_a boot_b", "readback", "complete -o nosort -F _edl_completion edl",
    ]  # fmt: skip


@pytest.mark.usefixtures("phones")
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_in_fish_itself(edl: Edl, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(program))
    (program / "script").write_text(edl("completion", "fish").out)
    lines = f'source {program}/script; complete -C "edl read modem,bo"; complete -C "edl nop"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", lines], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "modem,boot_a", "modem,boot_b", "nop\tAsk the programmer for a sign of life.",
    ]  # fmt: skip


@pytest.mark.usefixtures("phones")
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_in_zsh_itself(edl: Edl, program: Path) -> None:
    """The function outside of the line editor, with what it would add to the line told instead."""
    (program / "script").write_text(edl("completion", "zsh").out)
    lines = f"""
compdef() {{ echo "$@" }}
compadd() {{ echo "${{completions[@]}}" }}
_describe() {{ echo "${{completions_with_descriptions[@]}}" }}
source {program}/script
words=(edl read bo); CURRENT=3; _edl_completion
words=(edl nop); CURRENT=2; _edl_completion
"""
    done = subprocess.run(["zsh", "-f", "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "_edl_completion edl", "boot_a boot_b", "nop:Ask the programmer for a sign of life.",
    ]  # fmt: skip
