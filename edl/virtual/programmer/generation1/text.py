# SPDX-License-Identifier: BSD-3-Clause
"""How generation 1 reads XML and numbers: real-programmer.md 3 and 5, column "gen 1".

The whole packet is validated before the first command is carried out. Commands may stand alone or
in any wrapper; what follows the end of the wrapper is never looked at.
"""

from __future__ import annotations

import re

_MASK = (1 << 64) - 1
_MAX_DIGITS = 15
_MAX_VALUE = 511  # longer values of attributes that are looked at are cut

_PROLOG = re.compile(r"\s*<\?xml[^>]*\?>")
_BETWEEN = re.compile(r"(?:\s|\0|<!--.*?-->)*", re.DOTALL)
# A tag ends at the first > outside of double quotes.
_TAG = re.compile(r'<(/?)((?:[^<>"]|"[^"]*")*)>')
_ATTRIBUTE = re.compile(r'([^\s="]+)="([^"]*)"')
_QUOTED = re.compile(r'"[^"]*"')

_PLAIN = re.compile(r"\s*\+?(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
_PART = re.compile(r"[0-9]+|[-+*/()]")
_RANK = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2}


class NotValidatedError(Exception):
    """The packet is not what this generation takes for XML."""


class NumberError(Exception):
    """The text is no number or expression."""


def scan(packet: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return (tag, attributes by lower-case name) of every command in packet.

    Raises:
        NotValidatedError: nothing of the packet is carried out.
    """
    text = packet.decode("latin-1")
    prolog = _PROLOG.match(text)
    if prolog is None:
        raise NotValidatedError
    at, open_wrappers = prolog.end(), 0
    commands: list[tuple[str, dict[str, str]]] = []
    while (at := _end_of(_BETWEEN, text, at)) < len(text):
        tag = _TAG.match(text, at)
        if tag is None:
            raise NotValidatedError
        at = tag.end()
        closing, inside = tag.groups()
        if closing:
            open_wrappers -= 1
            if not open_wrappers:
                return commands
        elif inside.endswith("/"):
            commands.append(_command(inside[:-1]))
        elif "=" in inside:  # a command must close itself
            raise NotValidatedError
        else:
            open_wrappers += 1
    if open_wrappers:
        raise NotValidatedError
    return commands


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _command(inside: str) -> tuple[str, dict[str, str]]:
    # a='b' and a=b fail here, a = "b" passes and is then not found.
    if _QUOTED.sub("", inside).count("=") != len(_QUOTED.findall(inside)):
        raise NotValidatedError
    name = inside.split(None, 1)[0] if inside.strip() else ""
    attributes = {key.lower(): value[:_MAX_VALUE] for key, value in _ATTRIBUTE.findall(inside)}
    return name, attributes


def plain(text: str | None) -> int:
    """Return a plain number as strtoull reads it: decimal, 0x or octal; what follows is ignored.

    Raises:
        NumberError: text is absent or begins with no number; -1 is none.
    """
    match = _PLAIN.match(text or "")
    if match is None:
        raise NumberError
    hexadecimal, octal, decimal = match.groups()
    if hexadecimal:
        return int(hexadecimal, 16) & _MASK
    return int(octal, 8) & _MASK if octal else int(decimal) & _MASK


def evaluate(text: str | None, disk_sectors: int) -> int:
    """Return the value of an expression, 64 bits.

    Dots are dropped, other unknown characters only separate: `0x10` is 10, the last number on the
    stack. Operators of one rank associate to the right: 10-3-2 is 9.

    Raises:
        NumberError: there is no number, one of more than 15 digits, or too few for the operators.
        ZeroDivisionError: something is divided by 0.
    """
    text = (text or "").replace(".", "").replace("NUM_DISK_SECTORS", f" {disk_sectors} ")
    numbers: list[int] = []
    operators: list[str] = []
    for part in _PART.findall(text):
        if part.isdigit():
            if len(part) > _MAX_DIGITS:
                raise NumberError
            numbers.append(int(part))
        elif part == "(":
            operators.append(part)
        else:
            # ")" has rank 0 and empties the stack down to its "(".
            while operators and _RANK[operators[-1]] > _RANK.get(part, 0):
                _reduce(numbers, operators.pop())
            if part != ")":
                operators.append(part)
            elif operators:
                operators.pop()
    for operator in reversed(operators):
        _reduce(numbers, operator)
    if not numbers:
        raise NumberError
    return numbers[-1]


def _reduce(numbers: list[int], operator: str) -> None:
    if operator == "(":
        return
    if len(numbers) < 2:
        raise NumberError
    right, left = numbers.pop(), numbers.pop()
    match operator:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case _:
            value = left // right
    numbers.append(value & _MASK)
