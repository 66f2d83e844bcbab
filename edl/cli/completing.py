# SPDX-License-Identifier: BSD-3-Clause
"""What could stand at the end of a command line: commands, options, and values of both.

To import all commands takes longer than anybody waits for the Tab key. So their shape is kept as a
table in the user's data folder, and made anew when the program has changed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edl
from edl import sysfs
from edl.cli import seen
from edl.cli.names import ALIASES
from edl.home import home, private, private_folder

if TYPE_CHECKING:
    import click

# a command: {"help": str, "hidden": bool, "options": {NAME: [KIND, help, hidden]}, "arguments":
# [KIND], "commands": {NAME: command}}; KIND: see `_values`, None for a flag
Table = dict[str, Any]
Kind = str | list[str]

_MAX_BYTES = 4 * 1024 * 1024
_HERE = Path(__file__).parent

# What a parameter takes, by its name; what is not named takes anything.
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        ("loader", "log_file", "map_file", "picture", "patch", "from_", "source"), "file"
    ),
    **dict.fromkeys(("file", "files", "first", "second", "package", "paths", "link"), "file"),
    **dict.fromkeys(("folder", "directory", "include", "since", "to_folder"), "dir"),
    **dict.fromkeys(("target", "only", "skip", "overwrite"), "partitions"),
    **dict.fromkeys(("serial", "phone"), "serials"),
    "usb_path": "places",
    "name": "jobs",
}
# Where the name does not tell: the arguments of a command, the last one again and again.
_ARGUMENTS: dict[str, list[Kind]] = {
    "restore": ["file", "partitions"],
    "virtual new": ["dir", "profiles"],
    "virtual serve": ["profiles"],
    "explain": ["codes"],
}
_OPTIONS: dict[str, Kind] = {
    "--virtual": "profiles",
    "--profile": "profiles",
    "--dir": "dir",
    "--from": "file",
}


@dataclass(frozen=True)
class Suggestion:
    """One thing that could stand there. kind: "plain", or "file" or "dir" for the shell to find."""

    value: str
    kind: str = "plain"
    help: str = ""


# -- the table ------------------------------------------------------------------------------------


def table() -> Table:
    """Return the shape of all commands, from the user's data folder if it is kept there."""
    path, stamp = home() / "completion.json", _stamp()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with path.open("rb") as file:
            kept = json.loads(file.read(_MAX_BYTES))
        if kept["stamp"] == stamp:
            found: Table = kept["table"]
            return found
    made = make()
    with contextlib.suppress(OSError):
        private_folder(path.parent)
        with open(path, "w", encoding="utf-8", opener=private) as file:
            file.write(json.dumps({"stamp": stamp, "table": made}))
    return made


def _stamp() -> list[Any]:
    """Return what changes when the commands do."""
    files = [*_HERE.glob("*.py"), *_HERE.glob("commands/*.py")]
    newest = max(path.stat().st_mtime_ns for path in files) if files else 0
    return [edl.__version__, importlib.metadata.version("click"), len(files), newest]


def make() -> Table:
    """Return the shape of all commands; this imports them all."""
    import click  # noqa: PLC0415

    from edl.cli.main import COMMANDS, HIDDEN, cli  # noqa: PLC0415

    context = click.Context(cli, info_name="edl")
    root = _shape(cli, "")
    for name in (*COMMANDS, *HIDDEN):
        command = cli.get_command(context, name)
        if command is not None:
            root["commands"][name] = _shape(command, name)
            root["commands"][name]["hidden"] |= name in HIDDEN
            root["commands"][name]["help"] = COMMANDS.get(name, ("", ""))[1]
    return root


def _shape(command: click.Command, path: str) -> Table:
    import click  # noqa: PLC0415

    shape: Table = {"help": command.get_short_help_str(80), "hidden": command.hidden}
    shape["options"] = {"--help": [None, "Show this message and exit.", False]}
    arguments: list[Kind] = []
    for param in command.params:
        if isinstance(param, click.Argument):
            arguments.append(_kind(param))
        elif isinstance(param, click.Option):
            flag = param.is_flag or param.count
            row = [None if flag else _kind(param), param.help or "", param.hidden]
            shape["options"] |= dict.fromkeys((*param.opts, *param.secondary_opts), row)
    shape["arguments"] = _baked(_ARGUMENTS.get(path, arguments))
    commands = command.commands if isinstance(command, click.Group) else {}
    shape["commands"] = {
        name: _shape(inner, f"{path} {name}".strip()) for name, inner in commands.items()
    }
    return shape


def _kind(param: click.Parameter) -> Kind:
    """Return what param takes: a list of words, or a name for `_values`."""
    choices = getattr(param.type, "choices", None)
    if choices:
        return [str(choice) for choice in choices]
    named = next((_OPTIONS[name] for name in param.opts if name in _OPTIONS), None)
    return _baked([named or _KINDS.get(str(param.name), "")])[0]


def _baked(kinds: list[Kind]) -> list[Kind]:
    """Return kinds with those spelt out that no run changes."""
    from edl.errors import all_errors  # noqa: PLC0415
    from edl.virtual.profiles import PROFILES  # noqa: PLC0415

    fixed: dict[str, list[str]] = {
        "codes": sorted({kind.code for kind in all_errors()}),
        "profiles": sorted(PROFILES),
    }
    return [fixed.get(kind, kind) if isinstance(kind, str) else kind for kind in kinds]


# -- the line -------------------------------------------------------------------------------------


@dataclass
class _Line:
    """How far a command line has come."""

    command: Table
    before: int = 0  # arguments that it has got
    option: str | None = None  # this one waits for its value
    plain: bool = False  # after "--" nothing is an option
    serial: str | None = None
    inside: bool = False  # of a command, where no names of other tools count


def suggestions(shape: Table, words: Sequence[str], last: str) -> list[Suggestion]:
    """Return what could stand in the place of last, the word that is begun, behind words.

    words: without the program's name. Shells differ in whether they split `--option=value`: where
    last holds both, suggestions do, too.
    """
    line = _Line(shape)
    for word in words:
        _take(line, word)
    if last == "=":
        last = ""
    if line.option is not None:
        return list(_values(line, line.command["options"][line.option][0], last))
    if last.startswith("-") and not line.plain:
        name, equals, value = last.partition("=")
        if equals:
            kind = line.command["options"].get(name, [None])[0]
            found = [] if kind is None else _values(line, kind, value)
            return [
                Suggestion(f"{name}={each.value}", each.kind, each.help)
                for each in found
                if each.kind == "plain"
            ]
        return list(_options(line.command, last))
    if line.command["commands"]:
        return list(_commands(line.command, last))
    arguments = line.command["arguments"]
    if not arguments:
        return []
    return list(_values(line, arguments[min(line.before, len(arguments) - 1)], last))


def _take(line: _Line, word: str) -> None:
    """Go past one whole word of the line."""
    if line.option is not None:
        if word != "=":
            if line.option in {"-S", "--serial"}:
                line.serial = word.lower()
            line.option = None
    elif word == "--":
        line.plain = True
    elif word.startswith("-") and len(word) > 1 and not line.plain:
        name, equals, value = word.partition("=")
        row = line.command["options"].get(name)
        if name == "--serial" and equals:
            line.serial = value.lower()
        elif row is not None and row[0] is not None and not equals:
            line.option = name
    elif line.command["commands"]:
        name = word if line.inside else ALIASES.get(word, word)
        if name != "help" or line.inside:  # 'edl help COMMAND' goes on as 'edl COMMAND'
            line.inside = True
            nothing: Table = {"options": {}, "arguments": [], "commands": {}}
            line.command = line.command["commands"].get(name, nothing)
    else:
        line.before += 1


def _options(command: Table, begun: str) -> Iterator[Suggestion]:
    for name, (_, text, hidden) in command["options"].items():
        if name.startswith(begun) and not hidden and (len(name) > 2 or begun == name):
            yield Suggestion(name, help=text)


def _commands(command: Table, begun: str) -> Iterator[Suggestion]:
    for name, inner in command["commands"].items():
        if name.startswith(begun) and not inner["hidden"]:
            yield Suggestion(name, help=inner["help"])


def _values(line: _Line, kind: Kind, begun: str) -> Iterator[Suggestion]:
    """Yield values of that kind.

    kind: a list of words; "file", "dir"; "partitions" (several with commas), "serials", "places",
    "jobs"; or "", for which nothing can be suggested.
    """
    if kind in ("file", "dir"):
        yield Suggestion(begun, kind)
        return
    head = begun.rpartition(",")[0] + "," if kind == "partitions" and "," in begun else ""
    for word in _words(line, kind):
        if f"{head}{word}".startswith(begun):
            yield Suggestion(f"{head}{word}")


def _words(line: _Line, kind: Kind) -> list[str]:
    if isinstance(kind, list):
        return kind
    if kind == "partitions":
        return seen.partitions(line.serial)
    if kind == "serials":
        return seen.serials()
    if kind == "places":
        return sysfs.phones()
    return seen.jobs() if kind == "jobs" else []
