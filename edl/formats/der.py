# SPDX-License-Identifier: BSD-3-Clause
"""DER elements, read as far as certificates of boot images need them.

Makers' certificates break many rules of X.509 (negative serial numbers, characters that their
string type forbids, constraints that contradict each other), and boot ROMs accept them. So this
reader checks the structure and nothing else. It never recurses.
"""

from __future__ import annotations

from dataclasses import dataclass

from edl.errors import DocumentError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_ID = 0x06
SEQUENCE = 0x30
SET = 0x31

MAX_ELEMENTS = 256  # children of one element; the fullest real one has 20
_MAX_OID_BYTES = 64
_LONG_FORM = 0x80
_MAX_LENGTH_BYTES = 3
_MULTI_BYTE_TAG = 0x1F
_TEXT_CODECS = {0x0C: "utf-8", 0x1E: "utf-16-be"}  # UTF8String, BMPString; the rest is Latin-1


@dataclass(frozen=True)
class Element:
    """One element. raw: all of its bytes; body: those behind tag and length."""

    tag: int
    raw: bytes
    body: bytes


def read(data: bytes, offset: int = 0) -> Element:
    """Return the element that begins at offset; what follows it does not matter.

    Raises:
        DocumentError: no whole element of a supported form begins there.
    """
    if len(data) < offset + 2:
        raise DocumentError(f"A DER element is cut off at byte {offset}.")
    tag, length = data[offset], data[offset + 1]
    start = offset + 2
    if tag & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
        raise DocumentError(f"The DER tag {tag:#04x} at byte {offset} is not supported.")
    if length & _LONG_FORM:
        width = length & ~_LONG_FORM
        if not 1 <= width <= _MAX_LENGTH_BYTES:
            raise DocumentError(f"The DER length {length:#04x} at byte {offset} is not supported.")
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    if len(data) < start + length:
        raise DocumentError(f"The DER element at byte {offset} is longer than the data around it.")
    end = start + length
    return Element(tag, data[offset:end], data[start:end])


def children(element: Element) -> tuple[Element, ...]:
    """Return the elements inside element, which fill it exactly.

    Raises:
        DocumentError: they do not, or there are more than MAX_ELEMENTS.
    """
    found: list[Element] = []
    offset = 0
    while offset < len(element.body):
        if len(found) == MAX_ELEMENTS:
            raise DocumentError(f"A DER element holds more than {MAX_ELEMENTS} others.")
        found.append(read(element.body, offset))
        offset += len(found[-1].raw)
    return tuple(found)


def expect(element: Element, tag: int) -> Element:
    """Return element, which must have this tag.

    Raises:
        DocumentError: it has another.
    """
    if element.tag != tag:
        raise DocumentError(f"DER tag {tag:#04x} was due, {element.tag:#04x} is there.")
    return element


def integer(element: Element) -> int:
    """Return the number in element; some makers' serial numbers are negative.

    Raises:
        DocumentError: element is no INTEGER.
    """
    return int.from_bytes(expect(element, INTEGER).body, "big", signed=True)


def object_id(element: Element) -> str:
    """Return the object identifier in element as dotted numbers.

    Raises:
        DocumentError: element is no OBJECT IDENTIFIER of a sane length.
    """
    body = expect(element, OBJECT_ID).body
    if not 1 <= len(body) <= _MAX_OID_BYTES:
        raise DocumentError(f"An object identifier of {len(body)} bytes is not supported.")
    arcs = [0]
    for byte in body:
        arcs[-1] = arcs[-1] << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(0)
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:-1])))


def bits(element: Element) -> bytes:
    """Return the bytes of a BIT STRING without its count of unused bits.

    Raises:
        DocumentError: element is no BIT STRING.
    """
    return expect(element, BIT_STRING).body[1:]


def text(element: Element) -> str:
    """Return the string in element, whatever its type; undecodable bytes become `\\ufffd`."""
    return element.body.decode(_TEXT_CODECS.get(element.tag, "latin-1"), errors="replace")
