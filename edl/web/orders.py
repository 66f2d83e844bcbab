# SPDX-License-Identifier: BSD-3-Clause
"""What a page may ask for, as one table: kinds of jobs, their options, and their command lines.

A value from a page never becomes an option, or another one: values of options are written
`--name=value`, everything else stands behind `--`. What is not in the table is refused.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edl.errors import UsageError, all_errors
from edl.formats.texts import escaped

_LONGEST_PATH = 4096
_LONGEST_NAME = 128
_MOST_NAMES = 256
_MOST_PATHS = 64
_MOST_COUNT = 10_000
_NOT_OPTIONS = ("kind", "phone")


class Type(StrEnum):
    """What an option takes, in JSON."""

    FLAG = "flag"  # true or false
    PATH = "path"  # an absolute path
    PATHS = "paths"  # one, or a list of them
    NAMES = "names"  # a list of texts
    PAIRS = "pairs"  # an object of texts
    CHOICE = "choice"  # one of some texts
    COUNT = "count"  # a number from 1
    CODE = "code"  # code of an error


class Takes(StrEnum):
    """Which phones a job has for itself while it runs."""

    NONE = "none"
    ONE = "one"
    ALL = "all"
    VIRTUAL = "virtual"  # one, and it has to be a virtual one


@dataclass(frozen=True)
class Option:
    """One option of a kind. flag: of the command line; empty: stands behind `--`, in this order."""

    type: Type
    flag: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    words: the command. fixed: options that it always has. changes: it may change what is on a
    phone. report: it can write a page about itself, with the option of this name.
    """

    words: tuple[str, ...]
    takes: Takes = Takes.ONE
    options: Mapping[str, Option] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    changes: bool = False
    report: str = ""

    def data(self) -> dict[str, Any]:
        """Return what a page wants to know of it."""
        return {
            "command": " ".join(("edl", *self.words, *self.fixed)),
            "phone": str(self.takes),
            "changes": self.changes,
            "options": {
                name: {
                    "type": str(option.type),
                    "choices": list(option.choices),
                    "required": option.required,
                }
                for name, option in self.options.items()
            },
        }


@dataclass(frozen=True)
class Order:
    """A job that was asked for.

    words: its command, with all options of its own. behind: what stands behind a `--`. phone: the
    id of the one that it is for.
    """

    name: str
    kind: Kind
    options: Mapping[str, Any]
    words: tuple[str, ...]
    behind: tuple[str, ...]
    phone: str | None

    def line(self, chosen: Sequence[str] = (), more: Sequence[str] = ()) -> list[str]:
        """Return its command line: what chooses the phone first, and more after its options."""
        return [*chosen, *self.words, *more, *(("--", *self.behind) if self.behind else ())]


_LOADER = {"loader": Option(Type.PATH, "--loader")}
_CHOICES = {
    "package": Option(Type.PATHS, required=True),
    "wipe": Option(Type.FLAG, "--wipe"),
    "only": Option(Type.NAMES, "--only"),
    "skip": Option(Type.NAMES, "--skip"),
    "slot": Option(Type.CHOICE, "--slot", ("active", "both", "a", "b")),
    "choose": Option(Type.PAIRS, "--choose"),
    "allow_missing": Option(Type.FLAG, "--allow-missing"),
}
_INSISTING = {"overwrite": Option(Type.NAMES, "--overwrite")}
_WRITING = {**_CHOICES, **_INSISTING, **_LOADER}
_RESTORING = {
    "folder": Option(Type.PATH),
    "partitions": Option(Type.NAMES),
    "unique": Option(Type.FLAG, "--unique"),
    "from_other_device": Option(Type.FLAG, "--from-other-device"),
    "skip": Option(Type.NAMES, "--skip"),
    "resume": Option(Type.FLAG, "--resume"),
    "reset": Option(Type.CHOICE, "--reset", ("system", "off", "edl")),
    **_INSISTING,
    **_LOADER,
}
_REPORT = "--report"

KINDS: Mapping[str, Kind] = {
    "identify": Kind(("info",), fixed=("--no-loader",)),
    "info": Kind(("info",), options=_LOADER),
    "storage": Kind(("printgpt",), options=_LOADER),
    "health": Kind(
        ("doctor",),
        fixed=("--storage",),
        options={"allow_write": Option(Type.FLAG, "--allow-write"), **_LOADER},
    ),
    "boot-check": Kind(("boot-check",), options=_LOADER),
    "reset": Kind(
        ("reset",),
        options={"to": Option(Type.CHOICE, "--mode", ("system", "off", "edl")), **_LOADER},
    ),
    "backup": Kind(
        ("backup",),
        options={
            "folder": Option(Type.PATH),
            "only": Option(Type.NAMES, "--only"),
            "skip": Option(Type.NAMES, "--skip"),
            "resume": Option(Type.FLAG, "--resume"),
            **_LOADER,
        },
        report=_REPORT,
    ),
    "plan": Kind(("rawprogram",), options=_WRITING, fixed=("--dry-run",), report=_REPORT),
    "rawprogram": Kind(("rawprogram",), options=_WRITING, changes=True, report=_REPORT),
    "verify": Kind(("verify",), options={**_CHOICES, **_LOADER}, report=_REPORT),
    "plan-restore": Kind(("restore",), options=_RESTORING, fixed=("--dry-run",), report=_REPORT),
    "restore": Kind(("restore",), options=_RESTORING, changes=True, report=_REPORT),
    "resume": Kind(("resume",), options=_LOADER, changes=True, report=_REPORT),
    "check": Kind(("check",), Takes.NONE, _CHOICES, report=_REPORT),
    "backups": Kind(("backups",), Takes.NONE),
    "jobs": Kind(("resume",), Takes.NONE, fixed=("--list",)),
    "explain": Kind(("explain",), Takes.NONE, {"code": Option(Type.CODE, required=True)}),
    "station": Kind(
        ("station",),
        Takes.ALL,
        {
            **_WRITING,
            "count": Option(Type.COUNT, "--count"),
            "again": Option(Type.FLAG, "--again"),
        },
        changes=True,
        report="--reports",
    ),
    "plug": Kind(("virtual", "edl"), Takes.VIRTUAL),
}


def read(body: object) -> Order:
    """Return what the JSON body of a request asks for.

    Raises:
        UsageError: it asks for nothing that there is; says what is wrong with it.
    """
    if not isinstance(body, dict):
        raise UsageError("A job is a JSON object.")
    name = body.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(name, str):
        raise UsageError(f"There is no kind of job {_shown(name)}.")
    phone = body.get("phone")
    if phone is not None and not isinstance(phone, str):
        raise UsageError("'phone' is the id of a phone, or null.")
    if (phone is not None) != (kind.takes in {Takes.ONE, Takes.VIRTUAL}):
        says = "names no phone" if phone is None else "takes no single phone"
        raise UsageError(f"A job of kind '{name}' {says}.")
    given = {key: value for key, value in body.items() if key not in _NOT_OPTIONS}
    words, behind = _words(name, kind, given)
    return Order(name, kind, given, words, behind, phone)


def _words(
    name: str, kind: Kind, given: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for key in given:
        if key not in kind.options:
            raise UsageError(f"A job of kind '{name}' has no option {_shown(key)}.")
    words = [*kind.words, *kind.fixed]
    behind: list[str] = []
    for key, option in kind.options.items():
        value = given.get(key)
        if value is None:
            if option.required:
                raise UsageError(f"A job of kind '{name}' needs '{key}'.")
            continue
        texts = _texts(key, option, value)
        if option.flag:
            words += [option.flag + (text and f"={text}") for text in texts]
        else:
            behind += texts
    return tuple(words), tuple(behind)


def _texts(key: str, option: Option, value: Any) -> list[str]:  # noqa: ANN401
    """Return value as words of the command line, one for each time that the option is given."""
    match option.type:
        case Type.FLAG if isinstance(value, bool):
            return [""] if value else []
        case Type.PATH if isinstance(value, str):
            return [_path(key, value)]
        case Type.PATHS if isinstance(value, str):
            return [_path(key, value)]
        case Type.PATHS if isinstance(value, list) and 0 < len(value) <= _MOST_PATHS:
            return [_path(key, each) for each in value]
        case Type.NAMES if isinstance(value, list) and len(value) <= _MOST_NAMES:
            return [_name(key, each) for each in value]
        case Type.PAIRS if isinstance(value, dict) and len(value) <= _MOST_NAMES:
            return [f"{_left(key, each)}={_name(key, value[each])}" for each in value]
        case Type.CHOICE if value in option.choices and isinstance(value, str):
            return [value]
        case Type.COUNT if type(value) is int and 1 <= value <= _MOST_COUNT:
            return [str(value)]
        case Type.CODE if isinstance(value, str) and value in _codes():
            return [value]
    wanted = ", ".join(option.choices) or f"of type '{option.type}'"
    raise UsageError(f"'{key}' has to be {wanted}, not {_shown(value)}.")


def _path(key: str, value: object) -> str:
    if (
        isinstance(value, str)
        and len(value) <= _LONGEST_PATH
        and "\0" not in value
        and _is_text(value)
        and os.path.isabs(value)  # noqa: PTH117  # takes any text
    ):
        return value
    raise UsageError(f"'{key}' has to be an absolute path, not {_shown(value)}.")


def _name(key: str, value: object) -> str:
    if (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_NAME
        and value.isprintable()
        and value.strip()
        and not value.startswith("-")
    ):
        return value
    raise UsageError(f"'{key}' holds {_shown(value)}, which is no name.")


def _left(key: str, value: object) -> str:
    name = _name(key, value)
    if "=" in name:
        raise UsageError(f"'{key}' holds {_shown(value)}, which is no name.")
    return name


def _is_text(text: str) -> bool:
    """Tell whether text is Unicode; JSON can hold halves of letters, which no command line can."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _codes() -> frozenset[str]:
    return frozenset(kind.code for kind in all_errors())


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"'{escaped(text[:80])}{'…' * (len(text) > 80)}'"


def program() -> list[str]:
    """Return how this very edl is started. Nothing is taken from the folder that it runs in."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, "-P", "-m", "edl"]


def as_typed(words: Sequence[str]) -> str:
    """Return words as a line to be typed."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return shlex.join(words)
