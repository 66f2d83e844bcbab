# SPDX-License-Identifier: BSD-3-Clause
"""Logical partitions of `super`: what AOSP's fastboot wrote, all versions, and damage."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable

import pytest

from edl.chunks import BytesContent
from edl.contents import SparseContent
from edl.errors import DocumentError
from edl.formats import super as lp
from edl.formats.sparse import SparseImage
from edl.formats.super import Attributes, Extent, ExtentKind, Metadata
from tests import supers
from tests.conftest import REPO
from tests.supers import Layout, two_slots

GOLDEN = REPO / "tests" / "golden" / "super" / "fastboot-29.0.6.simg.gz"


def parse(data: bytes | bytearray) -> lp.Super:
    return lp.read(BytesContent(bytes(data)))


def only(layout: Layout) -> Metadata:
    """Return what is read from a super_empty.img of layout."""
    best = parse(supers.empty_image(layout)).slots[0].best
    assert best is not None
    return best


def trouble(layout: Layout, **changed: int) -> str:
    """Return what is told about metadata that is not sound."""
    raw = supers.geometry() + supers.metadata(layout, **changed)
    (slot,) = parse(raw).slots
    assert slot.best is None
    (problem,) = slot.problems
    return problem


def test_what_fastboot_writes_is_read_as_it_was_meant() -> None:
    packed = gzip.decompress(GOLDEN.read_bytes())
    content = SparseContent(BytesContent(packed), SparseImage.read(io.BytesIO(packed), len(packed)))
    found = lp.read(content)
    assert content.size_bytes == 64 << 20
    assert (found.metadata_max_bytes, found.block_bytes, found.problems) == (65536, 4096, ())
    assert [slot.number for slot in found.slots] == [0, 1]
    assert not found.empty
    for slot in found.slots:
        assert slot.problems == ()
        assert slot.primary is not None
        assert slot.primary == slot.backup == slot.best
        names = {p.name: (p.size_bytes, p.group) for p in slot.primary.partitions}
        assert names == {
            "system_a": (8 << 20, "main_a"),
            "vendor_a": (3 << 20, "main_a"),
            "system_b": (0, "main_b"),
        }
        assert slot.primary.partitions[0].extents == (Extent(16384, ExtentKind.LINEAR, 2048, 0),)
        assert slot.primary.devices == (lp.Device("super", 2048, 64 << 20),)
        assert list(lp.extent_problems(slot.primary)) == []


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_every_version_of_the_header(minor: int) -> None:
    layout = two_slots(minor)
    layout.flags = 1 if minor == 2 else 0
    found = only(layout)
    assert (found.version, found.flags) == ((10, minor), layout.flags)
    assert [(p.name, p.size_bytes) for p in found.partitions] == [
        ("system_a", 1 << 20), ("vendor_a", (512 + 64) * 512), ("system_b", 0),
    ]  # fmt: skip
    assert found.partitions[0].attributes is Attributes.READONLY
    assert list(lp.extent_problems(found)) == []


def test_names_with_a_slot_suffix_are_read_for_their_slot() -> None:
    layout = Layout(
        [("system", 3, 0, [])], [("main", 1, 0)], [(2048, 8 << 20, "system", 1)], minor=1
    )
    found = parse(supers.super_image(layout, layout))
    told = [
        (slot.best.partitions[0].name, slot.best.groups[0].name, slot.best.devices[0].name)
        for slot in found.slots
        if slot.best
    ]
    assert told == [("system_a", "main_a", "system_a"), ("system_b", "main_b", "system_b")]


def test_each_slot_has_tables_of_its_own() -> None:
    other = two_slots()
    other.partitions = other.partitions[:1]
    found = parse(supers.super_image(two_slots(), other, two_slots(2)))
    assert [len(slot.best.partitions) if slot.best else 0 for slot in found.slots] == [3, 1, 3]


def test_a_damaged_copy_leaves_the_other_one() -> None:
    image = supers.super_image(two_slots(), two_slots())
    image[12288 + 200] ^= 1  # in the first table of slot 0
    image[4096 + 20] ^= 1  # in the first geometry
    found = parse(image)
    assert found.problems == ("The first copy of the geometry: Its checksum is wrong.",)
    assert found.slots[0].primary is None
    assert found.slots[0].best is found.slots[0].backup is not None
    assert found.slots[0].problems == (
        "The primary metadata of slot 0: the checksum of its tables is wrong.",
    )
    assert found.slots[1].problems == ()


def test_a_blank_slot_is_told() -> None:
    image = supers.super_image(two_slots())
    image[12288 : 12288 + 2 * 65536] = bytes(2 * 65536)
    (slot,) = parse(image).slots
    assert slot.best is None
    assert slot.problems == (
        "The primary metadata of slot 0: it is blank.",
        "The backup metadata of slot 0: it is blank.",
    )


def test_copies_that_differ_are_told() -> None:
    image = supers.super_image(two_slots())
    other = supers.metadata(Layout())
    image[12288 + 65536 : 12288 + 65536 + len(other)] = other
    image[8192 : 8192 + 4096] = supers.geometry(32768, 1)
    found = parse(image)
    assert found.problems == ("The two copies of the geometry differ; the first one is used.",)
    assert found.slots[0].problems == ("The two copies of slot 0 differ; the primary one is used.",)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "holds no logical partitions"),
        (bytes(4096) + b"gDla" + bytes(10), "cut off"),
        (bytes(8192) + bytes(8192), "holds no logical"),
        (supers.geometry()[:20], "cut off"),
        (supers.geometry(struct_bytes=60), "60 bytes"),
        (supers.geometry(room=0), "0 bytes for metadata"),
        (supers.geometry(room=1 << 30), "bytes for metadata"),
        (supers.geometry(room=700), "700 bytes for metadata"),
        (supers.geometry(slots=0), "0 slots"),
        (supers.geometry(slots=65), "65 slots"),
    ],
)
def test_without_a_geometry_there_is_no_super(raw: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse(raw)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"magic": 1}, "magic is missing"),
        ({"major": 11}, "version 11.0"),
        ({"header_bytes": 256}, "header has 256 bytes"),
        ({"tables_bytes": 1 << 20}, "tables are cut off"),
        ({"partition_bytes": 60}, "rows have 60 bytes where 52"),
        ({"shift": 1000}, "beyond its end"),
    ],
)
def test_headers_that_are_not_sound(changed: dict[str, int], words: str) -> None:
    assert words in trouble(two_slots(), **changed)


def _no_devices(layout: Layout) -> None:
    layout.devices = []
    layout.partitions = []


def _wrong_device(layout: Layout) -> None:
    layout.partitions[0][3][0] = (8, 0, 2048, 7)


def _no_group(layout: Layout) -> None:
    layout.partitions[0] = ("system_a", 1, 9, [])


def _too_large(layout: Layout) -> None:
    layout.partitions[0][3][0] = (1 << 62, 1, 0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_no_devices, "no partition to lie on"),
        (_wrong_device, "that is not there"),
        (_no_group, "a group that are not there"),
        (_too_large, "larger than any storage"),
    ],
)
def test_tables_that_are_not_sound(change: Callable[[Layout], None], words: str) -> None:
    layout = two_slots()
    change(layout)
    assert words in trouble(layout)


def test_a_version_that_nobody_knows_and_a_header_that_is_cut_off() -> None:
    assert "10.3 is unknown" in trouble(two_slots(3))
    raw = supers.geometry() + supers.metadata(two_slots())[:100]
    assert "cut off" in parse(raw).slots[0].problems[0]
    wrong = bytearray(supers.empty_image(two_slots()))
    wrong[4096 + 90] ^= 1
    assert "checksum of its header" in parse(wrong).slots[0].problems[0]
    assert "cut off" in parse(supers.geometry()).slots[0].problems[0]


def test_pieces_cannot_be_used_twice() -> None:
    layout = two_slots()
    body = bytearray(supers.metadata(layout)[128:])
    body[36 + 8 : 36 + 12] = (400).to_bytes(4, "little")  # number of pieces of system_a
    rows = supers.metadata(layout)[80:128]
    raw = supers.geometry() + supers.sealed(layout, bytes(body), rows)
    assert "more pieces than there are" in parse(raw).slots[0].problems[0]
    body[36 + 4 : 36 + 12] = (3).to_bytes(4, "little") + (2).to_bytes(4, "little")
    raw = supers.geometry() + supers.sealed(layout, bytes(body), rows)
    assert "pieces or a group" in parse(raw).slots[0].problems[0]


def test_where_partitions_cannot_lie_is_told() -> None:
    layout = two_slots()
    layout.groups[1] = ("main_a", 0, 4096)
    layout.partitions[0][3][0] = (1024, 0, 8, 0)
    layout.partitions[0][3][1] = (1 << 20, 0, 3000, 0)
    layout.partitions[2][3].append((8, 5, 0, 0))
    assert list(lp.extent_problems(only(layout))) == [
        "'system_a' does not lie within 'super'.",
        "'system_a' does not lie within 'super'.",
        "'system_b' has a piece of the unknown kind 5.",
        "'vendor_a' overlaps 'system_a'.",
        "Group 'main_a' is larger than the 4096 bytes it may be.",
    ]


def test_a_super_is_recognised_by_its_head() -> None:
    image = bytes(supers.super_image(two_slots())[:4200])
    assert lp.is_super(image)
    assert not lp.is_empty_super(image)
    assert lp.is_super(supers.geometry())
    assert not lp.is_super(bytes(5000))


def test_no_damage_raises_anything_else() -> None:
    source = random.Random(5)
    good = bytes(supers.super_image(two_slots(), two_slots(2), size=1 << 19))
    for _ in range(150):
        raw = bytearray(good[: source.choice([len(good), 12288 + 300, 9000])])
        for _ in range(source.randint(1, 4)):
            base = source.choice([4096, 8192, 12288, 12288 + 65536])
            raw[(base + source.randrange(400)) % len(raw)] = source.randrange(256)
        try:
            found = parse(raw)
        except DocumentError:
            continue
        assert len(found.slots) == 2
