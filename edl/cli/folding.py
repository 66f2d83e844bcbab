# SPDX-License-Identifier: BSD-3-Clause
"""Lines that are longer than a terminal is wide, folded between words; commands stay in one piece.

Whoever marks and copies a command gets it as it is to be typed.
"""

from __future__ import annotations

import re

# the first word, or words, of a line whose text stands in a column of its own
_HEAD = re.compile(r" *(?:\S+(?: \S+)* {2,}(?=\S))?")
_LABEL = re.compile(r"\S+: ")
_TABLE = re.compile(r"\S {2,}\S")
_COMMANDS = {"edl", "sudo", "adb", "fastboot"}
_ENDS = (",", ";", ".", ")", ":")
_LEAST = 30  # columns for the text
_INDENT = 4  # of what goes on below a line without such a column


def folded(line: str, width: int) -> str:
    """Return line in as many lines as it takes, each of at most width columns where that goes.

    Tables and what is narrower stay as they are.
    """
    if len(line) <= width:
        return line
    found = _HEAD.match(line)
    head = found.end() if found else 0
    if _TABLE.search(line, head):
        return line
    blanks = len(line) - len(line.lstrip())
    indent = _INDENT if blanks or _LABEL.match(line) else 0
    hang = head if head > blanks and head <= width - _LEAST else blanks + indent
    if hang > width - _LEAST:
        return line
    rows, row = [], line[:head]
    for piece in _pieces(line[head:]):
        if len(row) + len(piece) <= width or hang + len(piece) > width:
            row += piece
        else:
            rows.append(row.rstrip())
            row = " " * hang + piece.lstrip()
    return "\n".join([*rows, row])


def _pieces(text: str) -> list[str]:
    """Return text in pieces that are not torn: words, and commands with their arguments."""
    pieces: list[str] = []
    inside = False
    for word in re.findall(r" *\S+", text):
        inside = inside and not word.lstrip().startswith("(")
        if inside:
            pieces[-1] += word
        else:
            pieces.append(word)
        inside = (inside or word.strip(" ('") in _COMMANDS) and not word.endswith(_ENDS)
    return pieces
