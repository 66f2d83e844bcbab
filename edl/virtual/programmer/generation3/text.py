# SPDX-License-Identifier: BSD-3-Clause
"""How generation 3 reads XML and numbers: real-programmer.md 3 and 5, column "gen 3"."""

from __future__ import annotations

import re

_BLANK = " \t\r\n"
_WRAPPER = "<data>"

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}")
_DISK_SECTORS = re.compile(r"NUM_DISK_SECTORS(?:-([0-9]{1,20}))?\.?")
_CRC32 = re.compile(r"CRC32\(([^,]*),([^)]*)\)")


class ScanError(Exception):
    """The packet is malformed.

    Attributes:
        offset: where.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class NumberError(Exception):
    """The text is no number.

    Attributes:
        log: what is logged about it; empty where nothing is.
    """

    def __init__(self, log: str = "") -> None:
        super().__init__(log)
        self.log = log


def scan(packet: bytes) -> tuple[str, dict[str, str]]:
    """Return (tag, attributes by lower-case name) of the first command in packet.

    The prolog may be absent, `<data>` may not; what follows the command is never looked at.

    Raises:
        ScanError: there is no command, or it is not well-formed.
    """
    text = packet.decode("latin-1")
    at = 0
    if (prolog := text.find("<?xml")) >= 0:
        at = _find(text, "?>", prolog)
    at = _find(text, "<", at) - 1
    if text[at : at + len(_WRAPPER)].lower() != _WRAPPER:
        raise ScanError(at)
    begin = _find(text, "<", at + len(_WRAPPER))
    at = _find(text, " ", begin)
    tag = text[begin : at - 1]
    if ">" in tag:
        raise ScanError(begin)
    attributes: dict[str, str] = {}
    while True:
        while text[at : at + 1] in tuple(_BLANK):
            at += 1
        if text.startswith("/>", at):
            return tag, attributes
        equals = _find(text, "=", at) - 1
        name = text[at:equals]
        if not name or not text.startswith('"', equals + 1) or set(name) & set(_BLANK + '<>/"'):
            raise ScanError(at)
        at = _find(text, '"', equals + 2)
        attributes.setdefault(name.lower(), text[equals + 2 : at - 1])  # the first one wins


def _find(text: str, wanted: str, at: int) -> int:
    """Return where the text behind wanted begins."""
    found = text.find(wanted, at)
    if found < 0:
        raise ScanError(len(text))
    return found + len(wanted)


def number(text: str | None) -> int:
    """Return a decimal or 0x number.

    Raises:
        NumberError: text is absent or anything else.
    """
    if text is None or not _NUMBER.fullmatch(text):
        raise NumberError
    return int(text, 16 if text[1:2] in tuple("xX") else 10)


def number_or(text: str | None, default: int) -> int:
    """Return a decimal or 0x number, or default."""
    try:
        return number(text)
    except NumberError:
        return default


def sector(text: str | None, disk_sectors: int, *, lenient: bool = False) -> int:
    """Return a number or NUM_DISK_SECTORS[-K][.].

    lenient: what follows is ignored, as in the value of a patch.

    Raises:
        NumberError: text is absent or anything else.
    """
    if text is None or not text.startswith("NUM_DISK_SECTORS"):
        return number(text)
    match = _DISK_SECTORS.match(text)
    if match is None or (not lenient and match.end() < len(text)):
        raise NumberError(
            f"ERROR: Invalid value following NUM_DISK_SECTORS {text[len('NUM_DISK_SECTORS') :]}"
        )
    back = int(match[1] or 0)
    if back > disk_sectors:
        raise NumberError(
            f"ERROR: Asked NUM_DISK_SECTOR-{back} that is outside the total sectors {disk_sectors}"
        )
    return disk_sectors - back


def crc32_arguments(text: str, disk_sectors: int) -> tuple[int, int]:
    """Return first sector and number of bytes of CRC32(start,bytes).

    Raises:
        NumberError: text is not of this form, or has a space in it.
    """
    match = _CRC32.match(text)
    if match is None:
        raise NumberError("ERROR: Not a proper CRC function format.")
    try:
        return sector(match[1], disk_sectors), number(match[2])
    except NumberError:
        raise NumberError(f"ERROR: Invalid CRC function function format {text}") from None
