# SPDX-License-Identifier: BSD-3-Clause
"""Sector numbers as packages write them: `131072`, `NUM_DISK_SECTORS-33.`, `-33`.

Every start sector and patch value of the packages seen is one of a few forms, so a small grammar is
enough, and it is never evaluated as code:

    sum      = ["+" | "-"] product {("+" | "-") product}
    product  = factor {"*" factor}
    factor   = decimal | 0x hex | NUM_DISK_SECTORS | NUM_DISK_BLOCKS | "(" sum ")"
    value    = sum | "CRC32(" sum "," decimal ")"

A dot may follow a number or a name; it marks a decimal constant for another tool and means nothing.
A negative number counts from the end of the disk, as the programmers read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from edl.errors import DocumentError
from edl.units import MIB

MAX_CHARACTERS = 200  # the longest one seen has 35
MAX_DEPTH = 16
MAX_NUMBER = 2**64 - 1
MAX_CRC_BYTES = 16 * MIB

_TOKEN = re.compile(
    r"\s*(?:(?P<name>NUM_DISK_(?:SECTORS|BLOCKS))\.*|(?P<number>0x[0-9a-f]+|[0-9]+)\.*"
    r"|(?P<sign>[-+*()]))\s*",
    re.IGNORECASE | re.ASCII,
)
_CRC32 = re.compile(r"\s*CRC32\s*\((.*),\s*([0-9]+)\.*\s*\)\s*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Expression:
    """A sum of a number, a multiple of the disk's sectors and one of its erase blocks.

    Attributes:
        text: as the document has it.
        number: the constant part; negative in `NUM_DISK_SECTORS-33`.
        per_sector: how often the number of sectors of the disk is counted in.
        per_block: how often the number of erase blocks (NAND) is counted in.
    """

    text: str
    number: int
    per_sector: int = 0
    per_block: int = 0

    @property
    def needs_disk(self) -> bool:
        """Whether the value depends on the size of the disk."""
        return bool(self.per_sector or self.per_block)


@dataclass(frozen=True)
class Crc32:
    """The CRC-32 (zlib.crc32) of length_bytes from sector start of the LUN that is patched."""

    text: str
    start: Expression
    length_bytes: int


def parse(text: str) -> Expression:
    """Return the expression in text.

    Raises:
        DocumentError: text is none; the message holds text, not the file or line.
    """
    return _Parser(text).expression()


def parse_value(text: str) -> Expression | Crc32:
    """Return the value of a patch: an expression, or a CRC32(start, length) of the disk.

    Raises:
        DocumentError: text is neither.
    """
    match = _CRC32.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if match is None:
        return parse(text)
    length_bytes = int(match[2])
    if not 0 < length_bytes <= MAX_CRC_BYTES:
        raise DocumentError(f"'{text}' asks for the CRC-32 of {length_bytes} bytes.")
    return Crc32(text, parse(match[1]), length_bytes)


def resolve(
    expression: Expression, disk_sectors: int | None, pages_per_block: int | None = None
) -> int:
    """Return the value of expression on a disk (LUN) of disk_sectors, or of unknown size (None).

    pages_per_block: of NAND, whose sectors are pages; None elsewhere.

    Raises:
        DocumentError: the value needs a size that is not known, or is negative or too large.
    """
    if expression.per_block and pages_per_block is None:
        raise DocumentError(f"'{expression.text}' counts erase blocks of NAND, which are unknown.")
    if expression.needs_disk and disk_sectors is None:
        raise DocumentError(f"'{expression.text}' needs the size of the disk, which is not known.")
    blocks = (disk_sectors or 0) // (pages_per_block or 1)
    value = expression.number + expression.per_sector * (disk_sectors or 0)
    value += expression.per_block * blocks
    if value < 0:
        raise DocumentError(
            f"'{expression.text}' lies before the start of a disk of {disk_sectors} sectors."
        )
    if value > MAX_NUMBER:
        raise DocumentError(f"'{expression.text}' is larger than 64 bits.")
    return value


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise DocumentError(f"'{text[:40]}...' is too long for a sector expression.")
        self._text = text
        self._tokens = self._split()
        self._depth = 0

    def _error(self) -> DocumentError:
        return DocumentError(f"'{self._text}' is no number or sector expression.")

    def _split(self) -> list[str]:
        tokens: list[str] = []
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error()
            tokens.append((match["name"] or match["number"] or match["sign"]).upper())
            position = match.end()
        tokens.reverse()  # the next one is the last, so that pop() takes it
        return tokens

    def _take(self, *wanted: str) -> str:
        """Return the next token and step over it if it is one of wanted, else ''."""
        return self._tokens.pop() if self._tokens and self._tokens[-1] in wanted else ""

    def expression(self) -> Expression:
        value = self._sum()
        if self._tokens:
            raise self._error()
        if not value.needs_disk and value.number < 0:
            if not self._text.lstrip().startswith("-"):
                raise self._error()
            # emmcdl and all three generations of programmers read -33 as NUM_DISK_SECTORS-33.
            value = replace(value, per_sector=1)
        return replace(value, text=self._text)

    def _sum(self) -> Expression:
        sign = self._take("+", "-") or "+"
        total = Expression("", 0)
        while sign:
            term = self._product()
            factor = -1 if sign == "-" else 1
            total = Expression(
                "",
                total.number + factor * term.number,
                total.per_sector + factor * term.per_sector,
                total.per_block + factor * term.per_block,
            )
            sign = self._take("+", "-")
        return total

    def _product(self) -> Expression:
        product = self._factor()
        while self._take("*"):
            other = self._factor()
            if product.needs_disk and other.needs_disk:
                raise self._error()
            many, times = (product, other.number) if product.needs_disk else (other, product.number)
            product = Expression(
                "", many.number * times, many.per_sector * times, many.per_block * times
            )
        return product

    def _factor(self) -> Expression:
        if self._take("("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._error()
            inner = self._sum()
            if not self._take(")"):
                raise self._error()
            self._depth -= 1
            return inner
        token = self._tokens.pop() if self._tokens else ""
        match token:
            case "NUM_DISK_SECTORS":
                return Expression("", 0, per_sector=1)
            case "NUM_DISK_BLOCKS":
                return Expression("", 0, per_block=1)
            case "" | "+" | "-" | "*" | "(" | ")":
                raise self._error()
        number = int(token, 16 if token.startswith("0X") else 10)
        if number > MAX_NUMBER:
            raise self._error()
        return Expression("", number)
