# SPDX-License-Identifier: BSD-3-Clause
"""Text of binary headers, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text without what could drive a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def escaped(text: str) -> str:
    r"""Return text as one line that is safe to show: control characters become `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def field(raw: bytes) -> str:
    """Return the text of a field that is filled up with zeros."""
    return printable(raw.partition(b"\0")[0].decode("utf-8", "replace")).strip()
