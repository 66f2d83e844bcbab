# SPDX-License-Identifier: BSD-3-Clause
"""Hostile updates and layouts: what they hold, or a DocumentError, and nothing else happens."""

from __future__ import annotations

import random

from hypothesis import example, given
from hypothesis import strategies as st

from edl.chunks import BytesContent, read_all
from edl.errors import DocumentError, ImageError
from edl.formats import blockimage, payload, superlayout
from edl.formats import super as lp
from edl.formats.blockimage import BlockImage
from edl.formats.payload import Images
from edl.formats.protobuf import Message
from edl.formats.super import Metadata
from edl.formats.superlayout import Wanted
from tests import payloads, supers
from tests.payloads import BLOCK, Manifest

NOISE = random.Random(2)
IMAGE = NOISE.randbytes(9 * BLOCK) + bytes(6 * BLOCK) + NOISE.randbytes(2 * BLOCK)
MADE = payloads.payload(
    Manifest([payloads.partition("boot", IMAGE)], groups={"main": (1, ["boot"])}, patch_level="1")
)
MANIFEST_END = 24 + int.from_bytes(MADE[12:20], "big")
MOST = 1 << 20  # of an image that is read whole here


@given(st.binary(max_size=200))
@example(b"\x0b" * 3)
def test_messages(raw: bytes) -> None:
    try:
        found = Message(raw)
        for field in range(4):
            found.texts(field)
    except DocumentError:
        return


@given(st.data())
def test_damaged_payloads(data: st.DataObject) -> None:
    damaged = bytearray(MADE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, MANIFEST_END))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(damaged)), st.integers(1, len(damaged))))
    content = BytesContent(bytes(damaged[:end]))
    try:
        found = payload.read(content)
        for partition in found.partitions:
            if found.delta or partition.size_bytes > MOST:
                continue
            image = Images(content, found).of(partition)
            assert len(read_all(image, 0, image.size_bytes)) == partition.size_bytes
    except DocumentError:
        return


@given(st.text("0123456789,newzroas \n", max_size=60))
@example("new 2,0,1\nnew 2,0,1")
def test_transfer_lists(text: str) -> None:
    try:
        found = blockimage.read(f"4\n1\n0\n0\n{text}".encode())
    except DocumentError:
        return
    if found.blocks * BLOCK <= MOST:
        image = BlockImage(found, BytesContent(bytes(found.data_bytes)))
        assert len(read_all(image, 0, image.size_bytes)) == image.size_bytes


def metadata() -> Metadata:
    found = lp.read(BytesContent(bytes(supers.super_image(supers.two_slots()))))
    best = found.slots[0].best
    assert best is not None
    return best


METADATA = metadata()
SPANS = st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)).map(sorted), max_size=5)


@given(st.lists(st.integers(0, 6 << 20), max_size=6), SPANS)
@example([7 << 20, 4096], [[19_000, 20_000]])
def test_new_layouts_never_overlap(sizes: list[int], spans: list[list[int]]) -> None:
    taken = [(first, end) for first, end in spans if first < end]
    wanted = [Wanted(f"p{index}", "default", size) for index, size in enumerate(sizes)]
    try:
        placed = superlayout.lay_out(METADATA, wanted, 4096, taken)
    except ImageError:
        return
    runs = [(first, first + count) for each in placed for first, count in each.runs]
    for (_, end), (following, _) in zip(sorted(runs), sorted(runs)[1:], strict=False):
        assert end <= following
    assert all(first >= 2048 and end * 512 <= 8 << 20 for first, end in runs)
    assert not any(a < end and first < b for first, end in runs for a, b in taken)
    for each, size in zip(placed, sizes, strict=True):
        assert 0 <= sum(count for _, count in each.runs) * 512 - size < 4096
