# SPDX-License-Identifier: BSD-3-Clause
"""Xiaomi's flash_all scripts, for sh and for Windows, read as data: they are never run.

What they consist of, in scripts of some twenty models from 2016 on: `fastboot $* flash NAME
FILE`, erase, set_active, oem lock; a comparison of `getvar product` with the names of the models;
a constant CURRENT_ANTI_VER, compared with `getvar anti`. Around each command stand tests that end
the script when it fails. All else is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edl.errors import DocumentError

MAX_BYTES = 1 << 20  # the largest seen has 12 KiB
_MAX_LINES = 20_000

_COMMENT = re.compile(r"\s*(?:#|::|rem\s)", re.IGNORECASE)
_VARIABLE = re.compile(r"`[^`]*`|\$\([^()]*\)|\$\{\w*\}|\$\w+|\$[*@]|%~[a-z]*[0-9]|%\*|%\w+%")
_FASTBOOT = re.compile(r"fastboot(?:\.exe)?\"?\s([^|&;)<>]*)", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"']+")
_PRODUCT = re.compile(r"getvar\s+product\b")
_MODEL = re.compile(r"product:\s*(?:\*\s*)?\(?([\w.|-]+)", re.ASCII)
_ANTI = re.compile(r"\bCURRENT_ANTI_VER\s*=\s*([0-9]{1,4})\b", re.ASCII)
_NUMBER = re.compile(r"(?:\w+\s*=\s*)?([0-9]{1,4})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,71}", re.ASCII)


@dataclass(frozen=True)
class Command:
    """What a script tells the boot loader. words: `flash`, `boot_ab`, `images/boot.img`."""

    words: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class FlashScript:
    """What a script says. devices: names of the models. anti: its anti-rollback number, if any."""

    commands: tuple[Command, ...]
    devices: tuple[str, ...]
    anti: int | None

    def of(self, verb: str) -> Iterator[Command]:
        """Yield the commands that begin with verb."""
        return (command for command in self.commands if command.words[0] == verb)


def read_script(data: bytes, name: str) -> FlashScript:
    """Return what data, the content of the script name, says.

    Raises:
        DocumentError: it is larger than any such script, or binary.
    """
    if len(data) > MAX_BYTES or data.count(b"\n") > _MAX_LINES or b"\0" in data:
        raise DocumentError(f"{name}: it is no script of a package.")
    commands: list[Command] = []
    devices: list[str] = []
    anti = None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if _COMMENT.match(line):
            continue
        if _PRODUCT.search(line):
            devices += [
                model for match in _MODEL.finditer(line) for model in match[1].split("|") if model
            ]
        if match := _ANTI.search(line):
            anti = max(anti or 0, int(match[1]))
        commands += _commands(line, number)
    # what stands behind `if [ -z ... ]` is 0, and says nothing
    return FlashScript(tuple(commands), tuple(dict.fromkeys(devices)), anti or None)


def _commands(line: str, number: int) -> Iterator[Command]:
    for match in _FASTBOOT.finditer(_VARIABLE.sub("", line)):
        words = [word.replace("\\", "/").lstrip("/") for word in _WORD.findall(match[1])]
        words = [word for word in words if word]
        if not words:
            continue
        verb, *rest = words
        if verb in {"flash", "erase"} and not (rest and _NAME.fullmatch(rest[0])):
            continue
        if verb == "flash" and len(rest) < 2:
            continue
        yield Command((verb.lower(), *rest), number)


def read_anti_version(data: bytes) -> int | None:
    """Return the number in anti_version.txt, or None if there is none.

    Scripts compare it with `getvar anti`; a package without one has 0, which no phone is above.
    """
    match = _NUMBER.fullmatch(data[:64].decode("utf-8", "replace").strip())
    return int(match[1]) or None if match else None
