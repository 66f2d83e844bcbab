# SPDX-License-Identifier: BSD-3-Clause
"""The last page and the ciphers of OnePlus' and Oppo's containers."""

from __future__ import annotations

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from edl.chunks import BytesContent
from edl.errors import DocumentError
from edl.formats import ops
from edl.formats.oplussettings import is_settings, plain_rows, read_settings
from tests.packages import opluses
from tests.packages.opluses import container, ops_cipher, plain

XML = '<?xml version="1.0"?><Setting>' + " " * 300 + "</Setting>"
BLOCKS = st.binary(min_size=16, max_size=16)


def expanded(key: bytes) -> list[int]:
    """Return AES-128's own round keys (FIPS 197, 5.2), the last in the order of these files."""
    box = [substituted(value) for value in range(256)]
    words, round_constant = [key[at : at + 4] for at in range(0, 16, 4)], 1
    for at in range(4, 44):
        word = words[-1]
        if at % 4 == 0:
            word = bytes(box[value] for value in word[1:] + word[:1])
            word = bytes([word[0] ^ round_constant]) + word[1:]
            round_constant = round_constant << 1 ^ (0x11B if round_constant & 0x80 else 0)
        words.append(bytes(a ^ b for a, b in zip(words[at - 4], word, strict=True)))
    order = [*range(40), 40, 43, 42, 41]
    return [int.from_bytes(words[at], "little") for at in order]


def substituted(value: int) -> int:
    """Return what AES substitutes for value: the inverse in its field, found by trying."""
    inverse = next((other for other in range(256) if product(value, other) == 1), 0)
    result = 0x63
    for turn in range(5):
        result ^= (inverse << turn | inverse >> (8 - turn)) & 255
    return result


def product(one: int, other: int) -> int:
    total = 0
    while other:
        total ^= one if other & 1 else 0
        one = one << 1 ^ (0x11B if one & 0x80 else 0)
        other >>= 1
    return total


@given(BLOCKS, st.sampled_from([bytes(16), bytes(range(16)), b"another key here"]))
def test_the_rounds_are_those_of_aes(block: bytes, key: bytes) -> None:
    words = _expanded(key)
    assert ops.encipher_block(block, words) == AES.new(key, AES.MODE_ECB).encrypt(block)


_known: dict[bytes, list[int]] = {}


def _expanded(key: bytes) -> list[int]:
    if key not in _known:
        _known[key] = expanded(key)
    return _known[key]


@given(st.binary(max_size=100))
def test_what_was_enciphered_is_deciphered(data: bytes) -> None:
    key = ops.OpsKey("", opluses.OPS_IV, opluses.MBOX)
    assert ops.decipher(ops_cipher(data), key) == data


@pytest.mark.parametrize("page", ops.PAGES)
def test_the_last_page(page: int) -> None:
    data = container({"a": (b"a" * 100, plain)}, XML, plain, page=page)
    found = ops.find(BytesContent(data))
    assert found is not None
    assert (found.page_bytes, found.project, found.firmware) == (
        page, "18801", "fajita_41_J.42_191214",
    )  # fmt: skip
    at, size = found.places[0]
    assert data[at : at + size] == XML.encode()


def test_the_place_counted_from_the_end() -> None:
    data = container({"a": (b"a" * 100, plain)}, XML, plain, xml_page=0)
    found = ops.find(BytesContent(data))
    assert found is not None
    at, size = found.places[1]
    assert data[at : at + size] == XML.encode()


def test_no_last_page() -> None:
    assert ops.find(BytesContent(b"")) is None
    assert ops.find(BytesContent(bytes(0x2000))) is None


@pytest.mark.parametrize(("page", "size"), [(1, 1 << 30), (1 << 31, 10), (0, 1 << 24 | 1)])
def test_a_last_page_that_lies(page: int, size: int) -> None:
    data = container({"a": (b"a" * 100, plain)}, XML, plain, xml_page=page, xml_bytes=size)
    with pytest.raises(DocumentError, match="not there"):
        ops.find(BytesContent(data))


@given(st.binary(min_size=0x30, max_size=0x60))
def test_whatever_the_last_page_says_nothing_else_is_raised(data: bytes) -> None:
    page = data[:0x10] + (0x7CEF).to_bytes(4, "little") + data[0x14:]
    try:
        found = ops.find(BytesContent(bytes(0x1000) + page.ljust(0x200, b"\0")))
    except DocumentError:
        return
    assert found is not None
    for at, size in found.places:
        assert 0 <= at <= at + size <= 0x1000


def test_settings() -> None:
    assert is_settings(b'<?xml version="1.0"?><ProFile>')
    assert not is_settings(b'<?xml version="1.0"?><data>')
    text = (
        '<Setting><Program1><program label="a" start_sector="1" num_partition_sectors="1"'
        ' filename="a &amp;\n b.img" SizeInByteInSrc="5"/></Program1>'
        '\n\n<Patch1><patch start_sector="1" byte_offset="0" size_in_bytes="4" value="0"'
        ' filename="DISK" SECTOR_SIZE_IN_BYTES="4096"/></Patch1></Setting>'
    )
    found = read_settings(text.encode(), "s.xml")
    rows = plain_rows("s.xml", found.rows)
    assert [(row.lun, row.line, row.sector_bytes) for row in rows.rows] == [
        (1, 2, 4096),
        (1, 4, 4096),
    ]


@pytest.mark.parametrize("value", ["x", "-1", "281474976710656", "1" * 5000])
def test_sizes_that_cannot_be(value: str) -> None:
    text = f'<Setting><SAHARA><File Path="a" SizeInByteInSrc="{value}"/></SAHARA></Setting>'
    with pytest.raises(DocumentError, match="no size or place"):
        read_settings(text.encode(), "s.xml")
