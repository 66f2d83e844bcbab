# SPDX-License-Identifier: BSD-3-Clause
"""Text of binary headers, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text without what could drive a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def field(raw: bytes) -> str:
    """Return the text of a field that is filled up with zeros."""
    return printable(raw.partition(b"\0")[0].decode("utf-8", "replace")).strip()
