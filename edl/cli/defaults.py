# SPDX-License-Identifier: BSD-3-Clause
"""Defaults of options: from environment variables, and from a config file below them.

The file is TOML with the keys of `edl.cli.keys`. A key that is not among them is an error, with its
line: who wrote it believes that it does something.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edl import places
from edl.cli.keys import KEYS, OTHER_VARIABLES, Key
from edl.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "config.toml"
_MAX_BYTES = 16 * 1024  # Python needs seconds for 64 KiB of one dotted key
# both begin with what is no blank, else a line of blanks would take minutes
_TABLE = re.compile(r"\s*\[\s*([^\[\]\s][^\[\]]*)\]")
_KEY = re.compile(r"\s*([\w\"'.-][\w\"'.\s-]*)=")
# In a file of edl, but never honoured, and why.
_NEVER = {
    "yes": "it waives questions", "overwrite": "it gives up what exists only once",
    "no-backup": "it gives up what exists only once", "force": "it overwrites files",
    "wipe": "it erases data", "erase-lun": "it erases data", "dry-run": "it hides that nothing is"
    " written", "from-other-device": "it waives a check", "elsewhere": "it waives a check",
    "no-check": "it waives a check", "allow-missing": "it waives a check",
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A default that is in force. where: the variable, or the file and its line."""

    key: Key
    value: Any
    where: str
    variable: bool


@dataclass(frozen=True)
class File:
    """The config file. values: by key; path: where it is or would be."""

    path: str
    exists: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)


def path() -> str:
    """Return where the config file is looked for; EDL_CONFIG names another one.

    EDL_HOME holds it where that is set, so that one variable moves all that edl keeps.
    """
    if named := os.environ.get("EDL_CONFIG"):
        return named
    return f"{places.config()}/{NAME}"


def read() -> File:
    """Return the config file; one without values if there is none.

    Raises:
        UsageError: it cannot be read or understood, or says what it may not say.
    """
    where = path()
    try:
        with open(where, "rb") as file:  # noqa: PTH123  # pathlib takes 8 ms of `edl --help`
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get("EDL_CONFIG"):
            raise UsageError(f"The config file {where} (EDL_CONFIG) is not there.") from None
        return File(where)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"The config file {where} cannot be read: {reason}.") from error
    if len(data) > _MAX_BYTES:
        raise UsageError(f"The config file {where} is larger than {_MAX_BYTES} bytes.")
    return File(where, exists=True, values=_parse(where, data))


def lookup(name: str, file: File) -> Value | None:
    """Return the default of the key called name, if there is one: the variable's before the file's.

    Raises:
        UsageError: the variable has a value that it cannot have.
    """
    key = KEYS[name]
    text = os.environ.get(key.variable, "").strip()
    if not text:
        return file.values.get(name)
    return Value(key, _from_text(key, text), f"The environment variable {key.variable}", True)


def for_commands(file: File) -> dict[str, Any]:
    """Return the defaults of single commands' options, nested as click takes them.

    Raises:
        UsageError: see `lookup`.
    """
    tree: dict[str, Any] = {}
    for key in KEYS.values():
        found = lookup(key.name, file) if key.commands else None
        if found is None:
            continue
        for words in key.commands:
            place = tree
            for word in words:
                place = place.setdefault(word, {})
            # options with one value take a list of them, to notice contradictions: `options.once`
            place[key.option] = found.value if key.kind == "flag" else (found.value,)
    return tree


def folders(name: str) -> list[Path]:
    """Return the folders of a key of kind "paths".

    Raises:
        UsageError: see `read`.
    """
    from pathlib import Path  # noqa: PLC0415  # see `read`

    found = lookup(name, read())
    return [] if found is None else [Path(text) for text in found.value]


def strangers() -> list[str]:
    """Return the environment variables that begin as ours and mean nothing."""
    known = {key.variable for key in KEYS.values()} | set(OTHER_VARIABLES)
    return sorted(name for name in os.environ if name.startswith("EDL_") and name not in known)


# -- the file -------------------------------------------------------------------------------------


def _parse(where: str, data: bytes) -> dict[str, Value]:
    import tomllib  # noqa: PLC0415  # only where there is a file

    try:
        text = data.decode("utf-8-sig")
        rows = dict(_flat(tomllib.loads(text)))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The config file {where} cannot be understood: {error}.") from error
    lines = _lines(text)
    values = {}
    for name, value in rows.items():
        place = f"{where}, line {lines.get(name, 1)}"
        key = KEYS.get(name)
        if key is None or not key.in_file:
            raise _refused(name, place)
        folder = os.path.dirname(where)  # noqa: PTH120  # see `read`
        values[name] = Value(key, _from_toml(key, value, place, folder), place, False)
    return values


def _flat(tree: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{head}{name}.")
        else:
            yield f"{head}{name}", value


def _lines(text: str) -> dict[str, int]:
    """Return where each key stands; TOML's own reader does not tell."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = _plain(match[1]) + "."
        elif match := _KEY.match(line):
            found.setdefault(table + _plain(match[1]), number)
    return found


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _refused(name: str, place: str) -> UsageError:
    import difflib  # noqa: PLC0415  # only for a mistake

    last = name.rpartition(".")[2].replace("_", "-")
    if last in _NEVER:
        return UsageError(
            f"{place}: '{name}' cannot be set in a file: {_NEVER[last]}.",
            remedies=("Take it out, and write it on the command line where you mean it.",),
        )
    if name in KEYS:
        return UsageError(
            f"{place}: '{name}' cannot be set in a file.",
            remedies=(f"Write it on the command line, or in {KEYS[name].variable}.",),
        )
    taken = [key.name for key in KEYS.values() if key.in_file]
    close = difflib.get_close_matches(name, taken, n=1)
    return UsageError(
        f"{place}: there is no setting '{name}'.",
        remedies=(f"Did you mean '{close[0]}'?" if close else "See all: edl config",),
    )


def _from_toml(key: Key, value: Any, place: str, folder: str) -> Any:  # noqa: ANN401
    kinds: dict[str, tuple[type, ...]] = {
        "flag": (bool,), "count": (int,), "seconds": (int, float), "paths": (list,),
    }  # fmt: skip
    right = isinstance(value, kinds.get(key.kind, (str,)))
    right &= isinstance(value, bool) == (key.kind == "flag")
    if key.kind == "paths":
        right = right and all(isinstance(each, str) for each in value)
    if not right:
        words = {"flag": "true or false", "count": "a number", "seconds": "a number",
                 "paths": "a list of texts"}  # fmt: skip
        raise UsageError(f"{place}: '{key.name}' takes {words.get(key.kind, 'a text')}.")
    _check(key, value, place)
    if key.kind == "path":
        return _placed(value, folder)
    return [_placed(each, folder) for each in value] if key.kind == "paths" else value


def _placed(text: str, folder: str) -> str:
    """Return a path of the file: with ~ filled in, and relative ones as seen from its folder."""
    expanded = os.path.expanduser(text)  # noqa: PTH111  # takes any text
    return os.path.join(folder, expanded)  # noqa: PTH118  # the same


# -- variables ------------------------------------------------------------------------------------


def _from_text(key: Key, text: str) -> Any:  # noqa: ANN401
    if key.kind == "paths":
        return [part for part in text.split(os.pathsep) if part]
    if not key.commands:  # shared options convert their text themselves: `edl.cli.options`
        return text
    place = f"The environment variable {key.variable}"
    if key.kind == "flag":
        flags = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False,
                 "no": False, "off": False}  # fmt: skip
        if text.lower() not in flags:
            raise UsageError(f"{place}: '{text}' is neither 1 nor 0.")
        return flags[text.lower()]
    _check(key, text.lower(), place)
    return text.lower()


def _check(key: Key, value: Any, place: str) -> None:  # noqa: ANN401
    """Make sure of values of single commands' options; shared options look at theirs."""
    if key.commands and key.choices and value not in key.choices:
        raise UsageError(
            f"{place}: '{value}' is not one of {', '.join(key.choices)}.",
            remedies=("To leave checks out, write --verify none on the command line.",)
            if (key.name, value) == ("verify", "none")
            else None,
        )
