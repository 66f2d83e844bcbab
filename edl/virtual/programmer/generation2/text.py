# SPDX-License-Identifier: BSD-3-Clause
"""How generation 2 reads XML and numbers: real-programmer.md 3 and 5, column "gen 2"."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MAX_TAG = 30
_MAX_VALUE = 80
_MASK = (1 << 64) - 1
_BLANK = " \t\r\n"

_EXPRESSION_PART = re.compile(r"([0-9]+)|(.)", re.DOTALL)


class ScanError(Exception):
    """The packet is malformed.

    Attributes:
        log: what is logged about it.
    """

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log


class Scanner:
    """Finds the first command in the buffer of 4096 bytes that holds a packet.

    Only the end of the wrapper is looked for in the packet alone. Attributes have no such border:
    what an older and longer packet left behind is read on.
    """

    def __init__(self, buffer: bytes, packet_bytes: int) -> None:
        self._text = buffer.decode("latin-1")
        self._packet_bytes = packet_bytes
        self._at = 0

    def tag(self) -> str:
        """Return the name of the command.

        Raises:
            ScanError: there is none.
        """
        prolog = self._text.find("<?xml")
        if prolog >= 0 and not self._text[:prolog].strip(_BLANK + "\xef\xbb\xbf"):
            self._at = self._text.find("?>", prolog) + 2
            wrapper = self._name()
            if self._text.find(f"</{wrapper}", self._at, self._packet_bytes) < 0:
                raise ScanError(
                    f"ERROR: Either closing tag is bigger than {len(self._text)} bytes, "
                    "or it is missing"
                )
            self._at = self._text.find(">", self._at) + 1
        return self._name()

    def attributes(self) -> Iterator[tuple[str, str]]:
        """Yield (name, value) up to the first / after a value.

        Raises:
            ScanError: an attribute is malformed; those before it have been yielded.
        """
        text = self._text
        while True:
            equals = text.find("=", self._at)
            if equals < 0:
                raise ScanError("XML not formed correctly. Could not find '=' character")
            name = text[self._at : equals].lstrip(_BLANK)
            begin = equals + 1
            if text[begin : begin + 1] != '"':
                raise ScanError(
                    f"XML not formed correctly. Expected one &quot; character at loc {begin}"
                )
            end = text.find('"', begin + 1)
            if end < 0:
                end = len(text)
            value = text[begin + 1 : end]
            if len(value) > _MAX_VALUE:
                raise ScanError(
                    f"The value for XML attribute '{name}' is too long ({len(value)} chars) "
                    f"only {_MAX_VALUE} chars allowed"
                )
            yield name, value
            self._at = end + 1
            self._skip_blank()
            if text[self._at : self._at + 1] == "/":
                return

    def _name(self) -> str:
        """Return what stands between the next < and a space or >."""
        self._skip_blank()
        while self._text.startswith("<!--", self._at):
            end = self._text.find("-->", self._at)
            self._at = len(self._text) if end < 0 else end + 3
            self._skip_blank()
        if not self._text.startswith("<", self._at):
            raise ScanError(
                f"ERROR: XML not formed correctly. Expected a &lt; character at loc {self._at}"
            )
        begin = self._at + 1
        ends = [end for end in (self._text.find(stop, begin) for stop in " >") if end >= 0]
        self._at = min(ends, default=len(self._text))
        name = self._text[begin : self._at]
        if len(name) > _MAX_TAG:
            raise ScanError(
                f"ERROR: The XML TAG is too long ({len(name)} chars) only {_MAX_TAG} chars allowed"
            )
        return name

    def _skip_blank(self) -> None:
        while self._text[self._at : self._at + 1] in tuple(_BLANK):
            self._at += 1


def number(text: str) -> int | None:
    """Return a plain number, None where there is no text.

    Decimal or 0x; a dot ends it, commas are left out. Letters are not told from digits: of `abc`
    something is made that is no multiple of 512 (4.3).
    """
    text = text.split(".", 1)[0].replace(",", "").strip()
    if not text:
        return None
    if re.fullmatch("0[xX][0-9a-fA-F]+", text):
        return int(text, 16) & _MASK
    value = 0
    for character in text:
        value = value * 10 + ord(character) - ord("0")
    return value & _MASK


def evaluate(text: str, disk_sectors: int) -> int:
    """Return the value of an expression: + and - from left to right, no ranks.

    Dots are dropped; every other character stands for a plus, so that 2*3 is 5 and 0x10 is 10.
    """
    text = text.replace(".", "").replace("NUM_DISK_SECTORS", f" {disk_sectors} ")
    value, sign = 0, 1
    for digits, other in _EXPRESSION_PART.findall(text):
        if digits:
            value, sign = value + sign * int(digits), 1
        elif other != " ":
            sign = -1 if other == "-" else 1
    return value
