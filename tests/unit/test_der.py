# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest

from edl.errors import DocumentError
from edl.formats import der


def element(text: str) -> der.Element:
    return der.read(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("raw", "body_bytes"),
    [
        ("0400", 0),
        ("04 03 010203", 3),
        ("04 8180" + "00" * 128, 128),
        ("04 820100" + "00" * 256, 256),
    ],
)
def test_lengths_in_all_forms(raw: str, body_bytes: int) -> None:
    assert len(element(raw).body) == body_bytes
    assert element(raw + "ff").raw == bytes.fromhex(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "04",
        "1f8101 00",  # tag of several bytes
        "3080 0000",  # indefinite length
        "0484 00000001 00",  # four bytes of length
        "04 02 00",
        "04 83 ffffff 00",
        "04 82",
    ],
)
def test_what_is_cut_off_or_not_supported(raw: str) -> None:
    with pytest.raises(DocumentError, match="DER"):
        element(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("0201 7f", 127), ("0202 0080", 128), ("0201 80", -128), ("0200", 0), ("0201 ff", -1)],
)
def test_integers_of_x690(raw: str, value: int) -> None:
    assert der.integer(element(raw)) == value


@pytest.mark.parametrize(
    ("raw", "dotted"),
    [
        ("0606 2a864886f70d", "1.2.840.113549"),
        ("0603 550403", "2.5.4.3"),
        ("0602 8837", "2.999"),  # the example of X.690, 8.19.5
        ("0601 00", "0.0"),
    ],
)
def test_object_identifiers(raw: str, dotted: str) -> None:
    assert der.object_id(element(raw)) == dotted


def test_object_identifiers_of_absurd_lengths() -> None:
    for raw in ("0600", "0641" + "01" * 65):
        with pytest.raises(DocumentError, match="object identifier"):
            der.object_id(element(raw))


def test_elements_of_another_type() -> None:
    for reader in (der.integer, der.object_id, der.bits):
        with pytest.raises(DocumentError, match="0x04 is there"):
            reader(element("0400"))


def test_bits_without_their_count() -> None:
    assert der.bits(element("0303 00 aabb")) == b"\xaa\xbb"
    assert der.bits(element("0300")) == b""


def test_strings_of_every_type() -> None:
    assert der.text(element("1302 4142")) == "AB"
    assert der.text(element("1401 e9")) == "é"
    assert der.text(element("0c02 c3a9")) == "é"
    assert der.text(element("0c01 c3")) == "\ufffd"
    assert der.text(element("1e04 00410042")) == "AB"


def test_children_fill_their_parent() -> None:
    assert [child.tag for child in der.children(element("3005 0201 01 0400"))] == [2, 4]
    with pytest.raises(DocumentError, match="longer"):
        der.children(element("3003 020201"))


def test_children_are_counted() -> None:
    der.children(element("30820200" + "0400" * 256))
    with pytest.raises(DocumentError, match="more than 256"):
        der.children(element("30820202" + "0400" * 257))


def test_deep_nesting_costs_nothing() -> None:
    raw = b""
    for _ in range(5000):
        size = len(raw).to_bytes(3, "big")
        raw = b"\x30\x83" + size + raw
    inner = der.read(raw)
    for _ in range(4999):
        (inner,) = der.children(inner)
    assert inner.body == b""
