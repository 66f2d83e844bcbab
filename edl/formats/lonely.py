# SPDX-License-Identifier: BSD-3-Clause
"""Motorola's containers: gpt.bin, bootloader.img, radio.img and a blankflash's singleimage.bin.

Layout, worked out from real files of five phones: a block of 256 bytes that begins with
`SINGLE_N_LONELY`; then for each member a name of 248 bytes, its length as a little-endian 64-bit
number, and its bytes, padded to 4096; at the end a block that begins with `LONELY_N_SINGLE`.

Members name each other: `index.xml` names packages and what they are for, a package names a recipe
(and a blankflash's the programmer), a recipe names the files and the partitions that they go to.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.formats.xml import read_document

MAGIC = b"SINGLE_N_LONELY\0"
INDEX = "index.xml"
MAX_XML_BYTES = 1 << 20  # the recipes seen have 1 to 4 KiB

_END = b"LONELY_N_SINGLE\0"
_ENTRY = struct.Struct("<248sQ")
_ALIGN = 4096
_MAX_MEMBERS = 512  # the most seen are 30
_LUN = re.compile(r"(?:partition|gpt)(?::([0-7]))?", re.ASCII | re.IGNORECASE)

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Member:
    """A file inside. offset: of its first byte in the container."""

    name: str
    offset: int
    size_bytes: int


def is_container(head: bytes) -> bool:
    """Tell whether a file that begins with head, 16 bytes or more, is such a container."""
    return head.startswith(MAGIC)


def members(read: Read, size_bytes: int) -> dict[str, Member]:
    """Return the members of a container by their names, in its order.

    Args:
        read: returns bytes of it, by offset and length; fewer at its end.
        size_bytes: how long it is.

    Raises:
        DocumentError: it is none, is cut off, or has two members of one name.
    """
    if not is_container(read(0, len(MAGIC))):
        raise DocumentError("It is no container of Motorola: its first bytes are others.")
    found: dict[str, Member] = {}
    at = _ENTRY.size
    while not (entry := read(at, _ENTRY.size)).startswith(_END):
        if len(entry) < _ENTRY.size:
            raise DocumentError("It is cut off: its end mark is missing.")
        title, length = _ENTRY.unpack(entry)
        name = _name(title)
        at += _ENTRY.size
        if length > size_bytes - at:
            raise DocumentError(f"It is cut off or damaged: '{name}' would go on behind its end.")
        if name in found or len(found) == _MAX_MEMBERS:
            raise DocumentError(f"It is damaged: '{name}' is one member too many.")
        found[name] = Member(name, at, length)
        at += length + -length % _ALIGN
    return found


def _name(title: bytes) -> str:
    name = title.partition(b"\0")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in name) or "?"


# -- what the members say -----------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """A package of an index. chip: as `MSM8953`, or empty. filename: the member that describes it.

    protocol: who is to carry it out: `fastboot` (the boot loader) or `qboot` (a blankflash).
    """

    filename: str
    protocol: str
    chip: str


@dataclass(frozen=True)
class Parts:
    """What a package consists of: members with recipes, and with programmers."""

    recipes: tuple[str, ...]
    programmers: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One line of a recipe. operation: its tag, such as `flash`; partition and filename if any."""

    operation: str
    partition: str
    filename: str
    line: int

    @property
    def lun(self) -> int | None:
        """The LUN whose table the step replaces (`partition:0`), or None if it is no table."""
        match = _LUN.fullmatch(self.partition)
        return int(match[1] or 0) if match else None


def offers(data: bytes, name: str = INDEX) -> tuple[Offer, ...]:
    """Return what an index offers.

    Raises:
        DocumentError: data is no index, or an empty one.
    """
    found = []
    for element in read_document(data, name).root.walk():
        filename = element.attributes.get("filename", "")
        if element.tag == "package" and filename:
            words = dict(
                word.split(":", 1)
                for word in element.attributes.get("compatible", "").split()
                if ":" in word
            )
            found.append(Offer(filename, words.get("protocol", ""), words.get("cpu.name", "")))
    if not found:
        raise DocumentError(f"{name}: it offers no package.")
    return tuple(found)


def parts(data: bytes, name: str) -> Parts:
    """Return what a package consists of.

    Raises:
        DocumentError: data is no such file, or names no recipe.
    """
    named: dict[str, list[str]] = {"recipe": [], "programmer": []}
    for element in read_document(data, name).root.walk():
        filename = element.attributes.get("filename", "")
        if element.tag in named and filename:
            named[element.tag].append(filename)
    if not named["recipe"]:
        raise DocumentError(f"{name}: it names no recipe.")
    return Parts(tuple(named["recipe"]), tuple(named["programmer"]))


def recipe(data: bytes, name: str) -> tuple[Step, ...]:
    """Return the steps of a recipe, in its order.

    Raises:
        DocumentError: data is no recipe, or a step lacks what it needs.
    """
    root = read_document(data, name).root
    if root.tag != "recipe":
        raise DocumentError(f"{name}:{root.line}: it is no recipe, but a <{root.tag}>.")
    steps = []
    for element in root.children:
        attributes = element.attributes
        partition, filename = attributes.get("partition", ""), attributes.get("filename", "")
        step = Step(element.tag, partition, filename, element.line)
        if step.operation == "flash" and not (partition and filename):
            raise DocumentError(f"{name}:{step.line}: <flash> without partition or file.")
        if step.operation == "erase" and not partition:
            raise DocumentError(f"{name}:{step.line}: <erase> without partition.")
        steps.append(step)
    return tuple(steps)
