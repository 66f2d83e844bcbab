# SPDX-License-Identifier: BSD-3-Clause
"""Hostile archives: what they hold, or a DocumentError, and nothing else happens."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from edl.errors import DocumentError
from edl.formats.archive import HEAD_BYTES, is_archive, members
from edl.formats.cpio import read_cpio
from edl.formats.sahara_config import read_sahara_config
from tests.unit.test_archive import single_of, tar_of, zip_of
from tests.unit.test_cpio import END, entry
from tests.unit.test_sahara_config import KAANAPALI

FILES = {"prog.elf": b"\x7fELF" + bytes(range(256)) * 6, "n" * 130: b"2", "empty": b""}
TARS = [tar_of(FILES, kind) for kind in ("gnu", "pax")]
MADE = [
    *TARS,
    *(pack(TARS[0]) for pack in (partial(gzip.compress, mtime=0), bz2.compress, lzma.compress)),
    zip_of(FILES),
    single_of(FILES),
    zip_of({"in.tar": TARS[1], "in.zip": zip_of(FILES)}),
    tar_of({"in.zip": zip_of(FILES), "in.bin": single_of(FILES)}),
]
CPIO = entry("13:prog.elf", b"12345") + entry("38", b"x" * 40) + entry(END)


def read_all(data: bytes) -> None:
    """Read everything in data; any error but DocumentError fails the test."""
    try:
        for member in members(io.BytesIO(data), "a"):
            assert member.name.isprintable()
            assert not member.problem or not member.head
            try:
                size = len(member.content())
                assert size == member.size_bytes or member.size_bytes is None
            except DocumentError:
                continue
    except DocumentError:
        return


@given(st.sampled_from(MADE), st.data())
def test_damaged_archives(made: bytes, data: st.DataObject) -> None:
    damaged = bytearray(made)
    # the headers of members, and the directory of a zip file, more often than the bulk
    places = st.one_of(
        st.integers(0, 600), st.integers(max(0, len(made) - 700), len(made) - 1),
        st.integers(0, len(made) - 1),
    )  # fmt: skip
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(places)
        patch = data.draw(st.one_of(st.binary(min_size=1, max_size=12), st.just(b"\xff" * 4)))
        damaged[place : place + len(patch)] = patch
    read_all(bytes(damaged))


@given(st.sampled_from(MADE), st.data())
def test_archives_that_are_cut_off_or_followed_by_junk(made: bytes, data: st.DataObject) -> None:
    read_all(made[: data.draw(st.integers(0, len(made)))] + data.draw(st.binary(max_size=100)))


@given(
    st.sampled_from([b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b""]),
    st.binary(max_size=700),
)
def test_junk_that_begins_like_an_archive(magic: bytes, junk: bytes) -> None:
    assert is_archive((magic + junk)[:HEAD_BYTES]) or not magic
    read_all(magic + junk)


@given(st.data())
def test_damaged_cpio_archives(data: st.DataObject) -> None:
    damaged = bytearray(CPIO)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        files = read_cpio(cut)
    except DocumentError:
        return
    assert sum(len(file.data) for file in files) <= len(cut)
    assert all(file.name.isprintable() for file in files)


@given(st.data())
def test_damaged_configurations(data: st.DataObject) -> None:
    damaged = bytearray(KAANAPALI)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + 1] = data.draw(st.binary(max_size=6))
    try:
        config = read_sahara_config(bytes(damaged), "q.xml")
    except DocumentError:
        return
    assert all(0 < number < 128 and path for number, path in config.images.items())
