# SPDX-License-Identifier: BSD-3-Clause
"""The containers of OnePlus (ops) and Oppo, Realme (ofp, Qualcomm): their last page.

Facts: oppo_decrypt (B. Kerler, MIT). Files one behind the other, each on a page of its own; then an
XML document that says which; then one page about that document. The document is encrypted, of ops
files the loader too, of ofp files the beginning of nearly every file. Keys are not part of this
program: whoever has them gives them in a file.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from edl.chunks import Content, read_all
from edl.errors import DocumentError
from edl.formats.texts import field
from edl.units import MIB
from edl.wire import Packet, Wire, u32

PAGES = (0x200, 0x1000)
BLOCK_BYTES = 16
MAX_XML_BYTES = 16 * MIB
_MAGIC = 0x7CEF
_SHORTEST_XML = 200  # what declares less means another length
_UNTOLD_TAIL = 0x57
_ROUNDS = 10


class _Footer(Packet):
    version: u32
    flags: u32
    reserved: Annotated[bytes, Wire("8s")]
    magic: u32
    xml_page: u32
    xml_bytes: u32
    project: Annotated[bytes, Wire("16s")]
    firmware: Annotated[bytes, Wire("64s")]


@dataclass(frozen=True)
class Container:
    """What the last page says. page_bytes: the unit of all places in the file.

    places: (offset, size) of the XML document, most likely first.
    """

    page_bytes: int
    project: str
    firmware: str
    places: tuple[tuple[int, int], ...]


def find(content: Content) -> Container | None:
    """Return what the last page of content says, or None if it is no such container.

    Raises:
        DocumentError: it is one, and says nothing that can be.
    """
    for page in PAGES:
        start = content.size_bytes - page
        if start >= 0:
            footer = _Footer.unpack(read_all(content, start, _Footer.size()))
            if footer.magic == _MAGIC:
                return _container(footer, page, start)
    return None


def _container(footer: _Footer, page: int, end: int) -> Container:
    at = footer.xml_page * page
    size = footer.xml_bytes
    if size < _SHORTEST_XML:
        size = end - at - _UNTOLD_TAIL
    # The one tool goes by the page, the other from the end backwards; most files suit both.
    starts = dict.fromkeys((at, end - (size + page - size % page)))
    places = tuple((start, size) for start in starts if 0 <= start <= end - size)
    if not (places and 0 < size <= MAX_XML_BYTES):
        raise DocumentError("The last page names a place for the XML document that is not there.")
    return Container(page, field(footer.project), field(footer.firmware), places)


# -- the cipher of ops files --------------------------------------------------------------------


@dataclass(frozen=True)
class OpsKey:
    """A key for ops files. iv: 16 bytes. mbox: 16 bytes, each of which is a word of round keys."""

    name: str
    iv: bytes
    mbox: bytes


def decipher(data: bytes, key: OpsKey) -> bytes:
    """Return what data, the whole of an encrypted file, means with key.

    The cipher has the rounds of AES-128 with round keys of its own, in CFB mode with whole blocks.
    The last round key has its words in another order.
    """
    words = tuple(key.mbox) + (0,) * (4 * (_ROUNDS + 1) - len(key.mbox))
    pieces: list[bytes] = []
    register = key.iv
    for at in range(0, len(data), BLOCK_BYTES):
        block = data[at : at + BLOCK_BYTES]
        stream = encipher_block(register, words)
        mixed = int.from_bytes(block, "big") ^ int.from_bytes(stream[: len(block)], "big")
        pieces.append(mixed.to_bytes(len(block), "big"))
        register = block
    return b"".join(pieces)


def encipher_block(block: bytes, words: Sequence[int]) -> bytes:
    """Return block after ten rounds of AES with 44 words of round keys, all little-endian."""
    box, mixed = _tables()
    first, second, third, fourth = mixed
    state = [word ^ key for word, key in zip(struct.unpack("<4I", block), words, strict=False)]
    for at in range(4, 4 * _ROUNDS, 4):
        a, b, c, d = state
        state = [
            first[w & 255] ^ second[x >> 8 & 255] ^ third[y >> 16 & 255] ^ fourth[z >> 24] ^ key
            for (w, x, y, z), key in zip(
                ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c)),
                words[at : at + 4],
                strict=True,
            )
        ]
    raw = struct.pack("<4I", *state)
    # SubBytes and ShiftRows, without MixColumns
    last = bytes(box[raw[(5 * at) % 16]] for at in range(16))
    order = (words[40], words[43], words[42], words[41])
    return struct.pack(
        "<4I", *(one ^ key for one, key in zip(struct.unpack("<4I", last), order, strict=True))
    )


@functools.cache
def _tables() -> tuple[bytes, tuple[tuple[int, ...], ...]]:
    """Return AES's substitution, and the same mixed into columns for each row (FIPS 197)."""
    box = bytes(_substitute())
    rows: list[tuple[int, ...]] = []
    for row in range(4):
        columns = []
        for value in box:
            double = value << 1 ^ (0x11B if value & 0x80 else 0)
            column = (double, value, value, double ^ value)
            columns.append(sum(column[(at - row) % 4] << 8 * at for at in range(4)))
        rows.append(tuple(columns))
    return box, tuple(rows)


def _substitute() -> Iterator[int]:
    powers, value = [], 1
    for _ in range(255):  # 3 generates the field
        powers.append(value)
        value ^= value << 1 ^ (0x11B if value & 0x80 else 0)
    logarithms = {power: exponent for exponent, power in enumerate(powers)}
    for value in range(256):
        inverse = powers[-logarithms[value] % 255] if value else 0
        yield _affine(inverse)


def _affine(value: int) -> int:
    result = 0x63
    for turn in range(5):
        result ^= (value << turn | value >> (8 - turn)) & 255
    return result
