# SPDX-License-Identifier: BSD-3-Clause
"""Defaults from the environment and from the config file; and what never has one."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from edl.cli import defaults
from edl.cli.keys import KEYS, OTHER_VARIABLES
from edl.cli.main import COMMANDS, HIDDEN, cli
from edl.cli.options import Settings
from edl.errors import UsageError
from edl.home import home
from tests.cli.conftest import LOADER, Edl

PHONE = ("--virtual", "qcm2290")


def write(text: str) -> Path:
    home().mkdir(parents=True, exist_ok=True)
    path = home() / "config.toml"
    path.write_text(text)
    return path


def in_force(edl: Edl) -> dict[str, tuple[str, str]]:
    """Return what `edl config` tells that is not built in: value and place, by key."""
    rows = edl("config", "--json").last["settings"]
    return {row["key"]: (row["value"], row["where"]) for row in rows if row["source"] != "built in"}


def test_the_command_line_goes_before_the_environment_before_the_file(
    edl: Edl, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('# mine\nmemory = "ufs"\n\nmax-payload = "8KiB"\n')
    wrong = edl(*PHONE, "nop")
    assert (wrong.status, "wrong-storage" in wrong.err) == (6, True)
    assert in_force(edl)["memory"] == ("ufs", f"{path}, line 2")
    payload = edl(*PHONE, "-m", "emmc", "info", "--json").last["programmer"]["payload_bytes"]
    assert payload == 8192
    monkeypatch.setenv("EDL_MEMORY", "emmc")
    assert in_force(edl)["memory"] == ("emmc", "EDL_MEMORY")
    assert edl(*PHONE, "nop").status == 0
    monkeypatch.setenv("EDL_MEMORY", "ufs")
    assert edl(*PHONE, "-m", "emmc", "nop").status == 0


def test_verify_is_of_all_commands_that_write(
    edl: Edl, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x" * 512)
    line = ("--virtual", whole, "write", "aboot", image, "--json")
    assert "SHA-256" in edl(*line).last["verified_how"]
    write('verify = "readback"')
    assert "read" in edl(*line).last["verified_how"]
    assert "SHA-256" in edl(*line, "--verify", "sha256").last["verified_how"]
    monkeypatch.setenv("EDL_VERIFY", "SHA256")
    assert "SHA-256" in edl(*line).last["verified_how"]


def test_backups_have_a_usual_place_and_form(edl: Edl, whole: Path) -> None:
    line = ("--virtual", whole, "backup", "--only", "aboot", "--json")
    assert "Missing argument 'DIR'" in edl(*line).last["message"]
    write('[backup]\nfolder = "saved"\nform = "partitions"\ncompress = true\n')
    made = edl(*line).last
    assert Path(made["folder"]).parent == home() / "saved"
    assert (made["form"], made["compression"]) == ("partitions", "zstd")
    assert "Missing argument 'DIR'" in edl(*line, "--resume").last["message"]


def test_loaders_and_a_tilde(edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "mine.elf").write_bytes(LOADER.read_bytes())
    write('loaders = ["~/library"]')
    assert "loader   mine.elf, 44 KiB" in edl(*PHONE, "nop").err
    write('loader = "~/library/mine.elf"')
    assert "loader   mine.elf, 44 KiB" in edl(*PHONE, "nop").err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('color = "never"\nmemry = "ufs"\n', "line 2: there is no setting 'memry'."),
        ("[backup]\n\nfrom = 1\n", "line 3: there is no setting 'backup.from'."),
        ('backup.form = "x"', "line 1: 'x' is not one of images, partitions."),
        ('verify = "none"', "line 1: 'none' is not one of auto, sha256, readback."),
        ("yes = true", "line 1: 'yes' cannot be set in a file: it waives questions."),
        ('[rawprogram]\noverwrite = "*"', "line 2: 'rawprogram.overwrite' cannot be set in a file"),
        ('serial = "1a2b3c4d"', "line 1: 'serial' cannot be set in a file."),
        ('virtual = "qcm2290"', "line 1: 'virtual' cannot be set in a file."),
        ("wait = true", "line 1: 'wait' takes a number."),
        ("quiet = 1", "line 1: 'quiet' takes true or false."),
        ("loaders = [1]", "line 1: 'loaders' takes a list of texts."),
        ("loader = 1", "line 1: 'loader' takes a text."),
        ("wait = -1", "line 1: -1 is not between 0 and 604800."),
        ('memory = "UFC"', "line 1: 'UFC' is not one of"),
        ("a = \nb = 1", "cannot be understood: Invalid value (at line 1, column 5)."),
        ("\udcff", "cannot be understood: 'utf-8' codec can't decode byte 0xff"),
        ("x=" + "[" * 16000, "cannot be understood: "),
        ("#" * 17000, "is larger than 16384 bytes."),
    ],
)
def test_a_wrong_file_is_an_error_with_the_line(text: str, told: str, edl: Edl) -> None:
    path = write("")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    result = edl(*PHONE, "nop")
    assert result.status == 2
    assert f"{path}" in result.err
    assert told in result.err


def test_a_wrong_place_for_the_file(
    edl: Edl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDL_CONFIG", str(tmp_path / "gone"))
    assert "gone (EDL_CONFIG) is not there." in edl(*PHONE, "nop").err
    monkeypatch.setenv("EDL_CONFIG", str(tmp_path))
    assert "cannot be read: Is a directory." in edl(*PHONE, "nop").err
    monkeypatch.setenv("EDL_CONFIG", "a\x1bb")
    assert edl("config").status == 2


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(defaults.path()) == home() / "config.toml"
    for name in ("EDL_HOME", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: Path("/x/edl"))
    assert Path(defaults.path()) == Path("/x/edl/config.toml")

    def nobody(*_: object, **__: object) -> Path:
        raise RuntimeError

    monkeypatch.setattr("platformdirs.user_config_path", nobody)
    assert Path(defaults.path()) == Path("edl-data/config.toml").absolute()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("EDL_VERIFY", "none", "'none' is not one of auto, sha256, readback."),
        ("EDL_BACKUP_COMPRESS", "perhaps", "'perhaps' is neither 1 nor 0."),
        ("EDL_WAIT", "soon", "'soon' is no number of seconds."),
    ],
)
def test_a_wrong_variable(
    name: str, value: str, told: str, edl: Edl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    result = edl(*PHONE, "nop")
    assert (result.status, f"The environment variable {name}: {told}" in result.err) == (2, True)


def test_config_shows_all(edl: Edl, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('loaders = ["/a", "/b"]\nquiet = true\nverbose = 2')
    monkeypatch.setenv("EDL_BACKUP_COMPRESS", "1")
    monkeypatch.setenv("EDL_YES", "1")
    monkeypatch.delenv("EDL_SHARED", raising=False)  # of these tests
    result = edl("config", "--json")
    assert result.last["unknown_variables"] == ["EDL_YES"]
    assert [row["key"] for row in result.last["settings"]] == list(KEYS)
    assert in_force(edl) == {
        "loaders": ("/a, /b", f"{path}, line 1"),
        "quiet": ("true", f"{path}, line 2"),
        "verbose": ("2", f"{path}, line 3"),
        "backup.compress": ("true", "EDL_BACKUP_COMPRESS"),
    }
    path.unlink()
    shown = edl("config")
    assert shown.out.startswith(f"config file  {path} (not there)\ndata folder  {home()}\n")
    assert "EDL_YES is no variable of edl" in shown.err


# -- what is settable -----------------------------------------------------------------------------


def options(
    command: click.Command, path: tuple[str, ...]
) -> list[tuple[tuple[str, ...], click.Option]]:
    found = [(path, param) for param in command.params if isinstance(param, click.Option)]
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        found += options(inner, (*path, name))
    return found


@pytest.fixture(scope="module")
def every() -> list[tuple[tuple[str, ...], click.Option]]:
    """Return all options of all commands, with the words of the command."""
    context = click.Context(cli)
    found = []
    for name in (*COMMANDS, *HIDDEN):
        command = cli.get_command(context, name)
        assert command is not None
        found += options(command, (name,))
    return found


def test_each_key_is_an_option(every: list[tuple[tuple[str, ...], click.Option]]) -> None:
    there = {(path, option.name) for path, option in every}
    for key in KEYS.values():
        assert all((words, key.option) in there for words in key.commands)
        assert key.commands or hasattr(Settings(), key.option) or key.name in {
            "loaders", "backup.folder",
        }  # fmt: skip


def test_what_is_dangerous_has_no_variable(
    every: list[tuple[tuple[str, ...], click.Option]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """click would take variables of its own, if anybody named them, or a prefix."""
    assert [option.name for _, option in every if option.envvar] == []
    assert click.Context(cli).auto_envvar_prefix is None
    settable = {(words, key.option) for key in KEYS.values() for words in key.commands}
    settable |= {(words, name) for words, option in every
                 for name in (option.name,) if name in Settings.__dataclass_fields__}  # fmt: skip
    dangerous = {
        "yes", "overwrite", "no_backup", "force", "wipe", "erase_lun", "elsewhere", "dry_run",
        "from_other_device", "no_check", "allow_missing", "allow_write", "holes", "install",
    }  # fmt: skip
    names = {option.name for _, option in every}
    assert dangerous - names <= {"no_check", "from_other_device", "allow_write", "install"}
    assert not {name for _, name in settable} & dangerous
    for name in dangerous:
        monkeypatch.setenv(f"EDL_{name.upper()}", "1")
        monkeypatch.setenv(f"EDL_ERASE_{name.upper()}", "1")
    assert defaults.for_commands(defaults.File("")) == {}


def test_yes_by_variable_asks_all_the_same(
    edl: Edl, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EDL_YES", "EDL_ERASE_YES", "YES"):
        monkeypatch.setenv(name, "1")
    result = edl("--virtual", whole, "erase", "aboot")
    assert (result.status, "There is no terminal to ask on." in result.err) == (2, True)


def test_a_file_key_that_a_command_lacks_is_no_default() -> None:
    with pytest.raises(UsageError, match="there is no setting"):
        defaults._parse("x", b"[virtual]\nnew = 1\n")


def test_variables_are_told_apart() -> None:
    names = [key.variable for key in KEYS.values()]
    assert len({*names, *OTHER_VARIABLES}) == len(names) + len(OTHER_VARIABLES)
    assert os.environ["EDL_HOME"] == str(home())


@pytest.mark.parametrize("line", [" ", "[ ", "a "])
def test_a_line_of_blanks_takes_no_time(line: str) -> None:
    write(f'x = """\n{line}{" " * 16_000}\n"""')
    with pytest.raises(UsageError, match="'x'"):
        defaults.read()
