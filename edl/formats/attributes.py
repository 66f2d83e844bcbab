# SPDX-License-Identifier: BSD-3-Clause
"""The attributes of one row of a rawprogram or patch file, taken one by one.

All problems of a row are collected, so that a user sees them at once and not one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TypeVar

from edl.errors import DocumentError
from edl.formats.expressions import MAX_NUMBER
from edl.formats.xml import Element
from edl.units import parse_number

MAX_LUN = 255
SECTOR_SIZES = (512, 1024, 2048, 4096, 8192, 16384)  # bytes; those above 4096 are NAND pages

_Parsed = TypeVar("_Parsed")

# Attributes that describe a row for people or for packing tools and never change what is written.
# *InSrc, md5 and sha256 say where the file lay in the maker's container (OnePlus, Oppo).
_DESCRIPTIVE = frozenset({
    "size_in_kb", "start_byte_hex", "partofsingleimage", "fileoffsetinsrc", "sizeinsectorinsrc",
    "sizeinbyteinsrc", "md5", "sha1", "sha256", "unsparse_file_size",
})  # fmt: skip
# Instructions to other tools that this one cannot follow, with the values that ask for nothing.
_INSTRUCTIONS = {
    "skip_download": ("", "0"),
    "not_overwrite": ("", "0"),
    "filepath": ("",),
    "slot": ("", "0"),
}


class Attributes:
    """The attributes of one row: each is taken once, and what is wrong is collected."""

    def __init__(self, element: Element) -> None:
        self.element = element
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._left: dict[str, str] = {}
        for key, value in element.attributes.items():
            if key.lower() in self._left:
                self.problems.append(f"the attribute '{key}' occurs twice.")
            self._left[key.lower()] = value.strip()
        if element.children or element.text:
            self.problems.append(f"<{element.tag}> has something inside it.")

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def _take(self, *names: str) -> str | None:
        """Return the attribute that has one of names, or None."""
        found = [self._left.pop(name) for name in names if name in self._left]
        if len(found) > 1:
            self.problems.append(f"the attributes {' and '.join(names)} mean the same.")
        return found[0] if found else None

    def _missing(self, name: str) -> None:
        self.problems.append(f"<{self.element.tag}> has no attribute '{name}'.")

    def text(self, name: str, default: str | None = None) -> str:
        """Return an attribute; it must be there if there is no default."""
        text = self._take(name)
        if text is None and default is None:
            self._missing(name)
        return text if text is not None else default or ""

    def number(self, *names: str, default: int | None = None, limit: int = MAX_NUMBER) -> int:
        """Return an attribute that is a plain number from 0 to limit."""
        text = self._take(*names)
        if text is None:
            if default is None:
                self._missing(names[0])
            return default or 0
        try:
            value = parse_number(text)
        except ValueError:
            value = -1
        if not 0 <= value <= limit:
            self.problems.append(f"{names[0]}='{text[:60]}' is no number from 0 to {limit}.")
        return value

    def optional_number(self, name: str) -> int | None:
        """Return a number, or None if the attribute is not there."""
        return self.number(name) if name in self else None

    def flag(self, *names: str) -> bool:
        """Return an attribute that is true or false (or 1 or 0); absent is false."""
        text = (self._take(*names) or "false").lower()
        if text not in {"true", "false", "1", "0"}:
            self.problems.append(f"{names[0]}='{text[:60]}' is neither true nor false.")
        return text in {"true", "1"}

    def parsed(self, name: str, parser: Callable[[str], _Parsed]) -> _Parsed | None:
        """Return an attribute as parser reads it, or None with the problem noted."""
        text = self._take(name)
        if text is None:
            self._missing(name)
            return None
        try:
            return parser(text)
        except DocumentError as error:
            self.problems.append(f"{name}: {error.message}")
            return None

    def lun(self, *legacy: str) -> int:
        """Return the physical partition; old files of one LUN leave it out."""
        return self.number("physical_partition_number", *legacy, default=0, limit=MAX_LUN)

    def sector_bytes(self) -> int | None:
        """Return the size of a sector, or None if the row does not say."""
        size = self.optional_number("sector_size_in_bytes")
        if size is not None and size not in SECTOR_SIZES:
            self.problems.append(f"SECTOR_SIZE_IN_BYTES='{size}' is no size that sectors have.")
        return size

    def leftover(self, harmless: Container[str] = ()) -> dict[str, str]:
        """Return what nobody took.

        An instruction that we cannot follow is a problem. An attribute that nobody knows is only
        told: programmers and all other tools pass over it too.
        """
        for key, value in self._left.items():
            if key in _INSTRUCTIONS:
                if value not in _INSTRUCTIONS[key]:
                    self.problems.append(
                        f"{key}='{value[:60]}' is an instruction for another tool only."
                    )
            elif key not in _DESCRIPTIVE and key not in harmless:
                self.warnings.append(f"<{self.element.tag}> has the unknown attribute '{key}'.")
        return self._left
