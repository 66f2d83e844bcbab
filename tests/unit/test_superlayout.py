# SPDX-License-Identifier: BSD-3-Clause
"""New layouts of `super`. tests/peers/test_superlayout.py has others read it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edl.chunks import BytesContent
from edl.errors import DocumentError, ImageError
from edl.formats import super as lp
from edl.formats import superlayout
from edl.formats.super import Metadata
from edl.formats.superlayout import Placed, Wanted
from edl.units import MIB
from tests import supers

FIRST = 2048  # sectors of 512 bytes: 1 MiB
SIZE = 8 * MIB


def metadata_of(layout: supers.Layout) -> tuple[bytes, Metadata]:
    content = BytesContent(bytes(supers.super_image(layout)))
    found = lp.read(content)
    metadata = found.slots[0].best
    assert metadata is not None
    return superlayout.read_raw(content, found, found.slots[0]), metadata


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("minor", [0, 2])
def test_a_super_empty_is_expanded(slots: int, minor: int) -> None:
    layout = supers.two_slots(minor)
    head = superlayout.expanded(BytesContent(supers.empty_image(layout, slots=slots)))
    whole = bytes(supers.super_image(*[layout] * slots))
    assert head == whole[: 12288 + 2 * slots * 65536]
    found = lp.read(BytesContent(head.ljust(SIZE, b"\0")))
    assert found.problems == ()
    assert [slot.problems for slot in found.slots] == [()] * slots


def test_what_is_no_super_empty() -> None:
    with pytest.raises(DocumentError, match="no super_empty"):
        superlayout.expanded(BytesContent(bytes(supers.super_image(supers.Layout()))))
    broken = bytearray(supers.empty_image(supers.Layout()))
    broken[-1] ^= 1
    with pytest.raises(DocumentError, match="the checksum of its tables"):
        superlayout.expanded(BytesContent(bytes(broken)))


def test_the_sound_copies_are_read() -> None:
    other = supers.two_slots()
    other.groups = [("default", 0, 0), ("main_a", 0, 1), ("main_b", 0, 1)]
    image = supers.super_image(supers.two_slots(), other)
    image[4096] ^= 1  # the first geometry
    image[12288 + 65536] ^= 1  # the primary metadata of slot 1
    content = BytesContent(bytes(image))
    found = lp.read(content)
    assert superlayout.geometry_of(content) == supers.geometry()
    raw = superlayout.read_raw(content, found, found.slots[1])
    assert raw == supers.metadata(other).ljust(65536, b"\0")
    with pytest.raises(DocumentError, match="no sound geometry"):
        superlayout.geometry_of(BytesContent(bytes(20_000)))
    with pytest.raises(DocumentError, match="no sound geometry"):
        superlayout.geometry_of(BytesContent(bytes(100)))
    with pytest.raises(DocumentError, match="There is no metadata"):
        superlayout.read_raw(content, found, lp.Slot(0, None, None))


def test_metadata_that_do_not_fit() -> None:
    layout = supers.Layout(partitions=[(f"p{n}", 1, 0, []) for n in range(60)])
    raw, _ = metadata_of(layout)
    found = lp.Super(1024, 4096, ())
    with pytest.raises(DocumentError, match="more than their 1024 bytes"):
        superlayout.head(supers.geometry(1024), found, 2, raw)


def wanted(*sizes: int, group: str = "main_a") -> list[Wanted]:
    return [Wanted(f"p{index}", group, size) for index, size in enumerate(sizes)]


def laid(
    sizes: Sequence[int], taken: Sequence[tuple[int, int]] = (), group: str = "main_a"
) -> list[tuple[tuple[int, int], ...]]:
    _, metadata = metadata_of(supers.two_slots())
    placed = superlayout.lay_out(metadata, wanted(*sizes, group=group), 4096, taken)
    return [each.runs for each in placed]


def test_partitions_lie_one_behind_the_other_at_whole_mebibytes() -> None:
    assert laid([MIB, 5000, 0, MIB + 1]) == [
        ((FIRST, 2048),),
        ((2 * 2048, 16),),
        (),
        ((3 * 2048, 2048 + 8),),
    ]


def test_partitions_go_around_what_is_taken() -> None:
    taken = [(3 * 2048 + 5, 4 * 2048 + 1), (FIRST, FIRST + 1)]
    runs = laid([2 * MIB, MIB], taken)
    assert runs[0][0] == (2 * 2048, 2048 + 5)
    assert runs[0][1] == (5 * 2048, 2043)
    assert runs[1] == ((6 * 2048, 2048),)


def test_what_does_not_fit() -> None:
    assert laid([7 * MIB], group="default") == [((FIRST, 7 * 2048),)]
    with pytest.raises(ImageError, match="do not fit into 'super'"):
        laid([7 * MIB + 1], group="default")
    with pytest.raises(ImageError, match="'main_a' of this phone may have 4194304"):
        laid([3 * MIB, MIB + 1])
    assert laid([], [(0, 1 << 40)]) == []
    with pytest.raises(ImageError, match="do not fit into 'super'"):
        laid([7 * MIB + 1], [(1 << 30, 1 << 31)], group="default")  # what is taken lies outside


def test_a_name_that_is_too_long() -> None:
    raw, metadata = metadata_of(supers.two_slots())
    with pytest.raises(DocumentError, match="is too long"):
        superlayout.relaid(raw, metadata, [Placed(Wanted("n" * 37, "main_a", 0), ())])


def test_metadata_with_other_partitions() -> None:
    for minor in (0, 1, 2):
        layout = supers.two_slots(minor)
        layout.flags = 1
        raw, metadata = metadata_of(layout)
        placed = [
            Placed(Wanted("system_a", "main_a", 0), ((FIRST, 100), (9000, 8))),
            Placed(Wanted("product_b", "main_b", 0), ()),
        ]
        made = superlayout.relaid(raw, metadata, placed)
        same = supers.Layout(
            [
                ("system_a", 1, 1, [(100, 0, FIRST, 0), (8, 0, 9000, 0)]),
                ("product_b", 1, 2, []),
            ],
            layout.groups,
            layout.devices,
            minor,
            layout.flags,
        )
        assert made == supers.metadata(same)


def test_layouts_that_are_left_as_they_are() -> None:
    superlayout.require_plain(*metadata_of(supers.two_slots()))
    two = supers.two_slots()
    two.devices = [(2048, SIZE, "system", 0), (0, SIZE, "vendor", 0)]
    with pytest.raises(ImageError, match="on several partitions"):
        superlayout.require_plain(*metadata_of(two))
    for change in ("groups", "devices"):
        suffixed = supers.two_slots()
        if change == "groups":
            suffixed.groups = [("default", 0, 0), ("main", 1, 0), ("x", 0, 0)]
        else:
            suffixed.devices = [(2048, SIZE, "super", 1)]
        with pytest.raises(ImageError, match="no names of their own"):
            superlayout.require_plain(*metadata_of(suffixed))
