# SPDX-License-Identifier: BSD-3-Clause
"""Hostile loader files: they are read, or refused with an ImageError, and nothing else happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.collection.entry import from_data, of_image
from edl.describe import as_data, describe, summary
from edl.errors import DocumentError, ImageError
from edl.formats import der
from edl.formats.certificates import read_chain
from edl.formats.mbn import Image, read_image
from edl.formats.programmer import read_programmer
from edl.identity import PhoneIdentity
from edl.loaders import match
from loaders import make_dummies
from loaders.signing import VENDOR, VENDOR_EC, Vendor

GOOD = make_dummies.good_ones()
PHONE = PhoneIdentity(serial=1, hwid=make_dummies.MSM8916, pk_hash=b"\x01" * 32)


def used(image: Image) -> None:
    """Ask everything that image can be asked, and keep it in an index."""
    told = [*summary(image), *(text for row in describe(image) for text in row)]
    assert all(text.isprintable() for text in told)
    assert json.dumps(as_data(image))
    assert match(image, PHONE).reason.isprintable()
    entry = of_image(image, "0" * 64, file="x", name="x", origin="")
    assert from_data(json.loads(json.dumps(entry.as_data()))) == entry
    assert entry.may_fit(PHONE) in {True, False}
    assert image.pk_hash is None or len(image.pk_hash) in {32, 48}


def survives(data: bytes) -> None:
    """Read data; any error but ImageError fails the test."""
    try:
        image = read_image(data)
    except ImageError:
        return
    used(image)


@given(st.sampled_from(sorted(GOOD)), st.data())
def test_damaged_images(name: str, data: st.DataObject) -> None:
    image = bytearray(GOOD[name])
    # damage the headers more often than the bulk
    places = st.one_of(
        st.integers(0, 0x200), st.integers(0x1000, 0x1400), st.integers(0, len(image) - 1)
    )
    patches = st.one_of(
        st.binary(min_size=1, max_size=8), st.just(b"\xff" * 4),
        st.sampled_from([0, 1, 5, 6, 7, 0x7FFFFFFF]).map(lambda word: word.to_bytes(4, "little")),
        st.sampled_from([b"\x30\x80", b"\x30\x83", b"\x30\x84", b"\x31\xff"]),
    )  # fmt: skip
    for _ in range(data.draw(st.integers(1, 6))):
        place, patch = data.draw(places), data.draw(patches)
        # a few lengths come out wrong where bytes are put in or left out
        image[place : place + data.draw(st.sampled_from([len(patch)] * 8 + [0, 64]))] = patch
    survives(bytes(image))


@given(st.sampled_from(sorted(GOOD)), st.data())
def test_images_that_are_cut_off_or_followed_by_junk(name: str, data: st.DataObject) -> None:
    image = GOOD[name]
    survives(image[: data.draw(st.integers(0, len(image)))] + data.draw(st.binary(max_size=100)))


@given(st.sampled_from([b"\x7fELF", b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01"]), st.binary())
def test_junk_that_begins_like_an_image(magic: bytes, junk: bytes) -> None:
    survives(magic + junk)


@given(st.binary(max_size=300))
def test_junk_behind_the_old_headers(junk: bytes) -> None:
    survives(bytes.fromhex("d1dc4b843410d773") + junk)
    survives(b"\x0d\0\0\0\x03\0\0\0" + junk)


@given(st.binary(max_size=200))
def test_junk_is_der_or_refused(junk: bytes) -> None:
    try:
        element = der.read(junk)
        children = der.children(element)
    except DocumentError:
        return
    assert junk.startswith(element.raw)
    assert b"".join(child.raw for child in children) == element.body


@given(st.sampled_from([VENDOR, VENDOR_EC]), st.data())
def test_damaged_chains(vendor: Vendor, data: st.DataObject) -> None:
    area = bytearray(vendor.chain(()))
    for _ in range(data.draw(st.integers(1, 4))):
        area[data.draw(st.integers(0, len(area) - 1))] = data.draw(st.integers(0, 255))
    try:
        chain = read_chain(bytes(area))
    except DocumentError:
        return
    assert 1 <= len(chain.roots) <= len(chain.certificates)


@given(st.binary(max_size=2000))
def test_any_words_can_be_read(junk: bytes) -> None:
    assert read_programmer(b"\0configure\0program\0" + junk).commands >= {"configure"}


@pytest.mark.parametrize("nested", [5000])
def test_deeply_nested_certificates(nested: int) -> None:
    raw = b""
    for _ in range(nested):
        raw = b"\x30\x83" + len(raw).to_bytes(3, "big") + raw
    with pytest.raises(DocumentError):
        read_chain(raw)


def test_names_of_files_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "0000000000000000_0000000000000000_FHPRG.bin"
    path.write_bytes(GOOD["v3.mbn"])
    assert read_image(path.read_bytes()) == read_image(GOOD["v3.mbn"])
