# SPDX-License-Identifier: BSD-3-Clause
"""Tables on disks of other sizes: nothing but the last partition changes, and none overlap."""

from __future__ import annotations

import contextlib
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from edl.errors import DocumentError
from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.gptcheck import problems
from edl.formats.gptedit import diff, entry_differences, refit, repair, table_of_file
from tests.property.test_formats import layouts

few = settings(deadline=None, max_examples=25)
UNITS = st.sampled_from([512, 4096])
DISKS = st.integers(13000, 2**33)


def made(layout: list[Partition], unit: int, disk_sectors: int) -> Gpt:
    images = create(unit, disk_sectors, UUID(int=5), layout).images()
    return parse(images.primary, unit)


def by_number(table: Gpt) -> dict[int, Partition]:
    return {partition.number: partition for partition in table.partitions}


@few
@given(
    layouts(), UNITS, DISKS, st.integers(60, 2**33), st.booleans(), st.none() | st.integers(0, 500)
)
def test_refitting_changes_the_end_of_the_last_partition_only(
    layout: list[Partition],
    unit: int,
    disk_sectors: int,
    other: int,
    grow: bool,
    needed: int | None,
) -> None:
    table = made(layout, unit, disk_sectors)
    last = max(table.partitions, key=lambda p: p.first_sector, default=None)
    try:
        fitted = refit(table, other, grow=grow, needed_sectors=needed)
    except DocumentError:
        usable = table.last_usable(other)
        behind = last is not None and last.first_sector + (needed or last.sectors) - 1 > usable
        assert behind or usable < table.header.first_usable_sector
        return
    images = fitted.images()
    for data, backup in ((images.primary, False), (images.backup, True)):
        assert problems(parse(data, unit, backup=backup), other) == ()
    assert len(images.backup) // unit + images.backup_sector == other
    changes = diff(table, fitted)
    if last is None:
        assert changes == ()
        return
    assert {change.kinds for change in changes} <= {("resized",)}
    assert {change.name for change in changes} <= {last.name}
    now = by_number(fitted)[last.number]
    if grow and other != disk_sectors:
        assert now.last_sector == fitted.header.last_usable_sector
    if now.sectors < last.sectors:
        assert needed is not None
        assert now.sectors >= needed
    assert grow or now.sectors <= last.sectors


@few
@given(layouts(), UNITS, DISKS, st.binary(max_size=600), st.data())
def test_either_copy_mends_the_other(
    layout: list[Partition], unit: int, disk_sectors: int, junk: bytes, data: st.DataObject
) -> None:
    table = made(layout, unit, disk_sectors)
    images = table.images()
    at = data.draw(st.integers(unit, len(images.primary) - 1))
    broken = bytearray(images.primary)
    broken[at : at + len(junk)] = junk[: len(broken) - at]
    found = table_of_file(bytes(broken), images.backup, unit)
    assert repair(found, disk_sectors, images.primary[:unit]).images() == images


@few
@given(layouts(), layouts(), UNITS, DISKS)
def test_differences_lead_from_one_table_to_the_other(
    one: list[Partition], two: list[Partition], unit: int, disk_sectors: int
) -> None:
    before, after = made(one, unit, disk_sectors), made(two, unit, disk_sectors)
    assert diff(before, before) == entry_differences(before, before) == ()
    rest = by_number(before)
    changes = entry_differences(before, after)
    for change in changes:
        if change.before is not None:
            assert rest.pop(change.before.number) == change.before
        if change.after is not None:
            rest[change.after.number] = change.after
    assert rest == by_number(after)
    named = diff(before, after)
    assert sum(change.after is None for change in named) - sum(
        change.before is None for change in named
    ) == len(one) - len(two)


@few
@given(st.binary(max_size=3000), st.binary(max_size=3000), UNITS, st.integers(0, 2**64))
def test_junk_is_never_a_surprise(head: bytes, tail: bytes, unit: int, disk_sectors: int) -> None:
    with contextlib.suppress(DocumentError):
        repair(table_of_file(head, tail, unit), disk_sectors, head[:unit], grow=True)
