# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from uuid import UUID

import pytest

from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.slots import ACTIVE, INACTIVE_TYPE, SlotState, activate, active_slot
from tests.conftest import shared

BOOT = UUID("20117f86-e985-4357-b9ee-374bc1d8487d")


# Bytes of stock tables (comma3) with what they mean (packages.md 8).
@pytest.mark.parametrize(
    ("byte", "state"),
    [
        (0x3F, SlotState(3, active=True, tries=7, successful=False, unbootable=False)),
        (0x39, SlotState(1, active=False, tries=7, successful=False, unbootable=False)),
        (0x77, SlotState(3, active=True, tries=6, successful=True, unbootable=False)),
        (0x71, SlotState(1, active=False, tries=6, successful=True, unbootable=False)),
        (0x04, SlotState(0, active=True, tries=0, successful=False, unbootable=False)),
        (0x80, SlotState(0, active=False, tries=0, successful=False, unbootable=True)),
    ],
)
def test_the_state_is_the_seventh_byte_of_the_attributes(byte: int, state: SlotState) -> None:
    attributes = 0x1000_0000_0000_0068 | byte << 48
    assert SlotState.of(attributes) == state
    assert state.within(0x10FF_0000_0000_0068) == attributes


def table(*pairs: tuple[str, int, int], types: tuple[UUID, UUID] = (BOOT, INACTIVE_TYPE)) -> Gpt:
    rows: list[Partition] = []
    for base, byte_a, byte_b in pairs:
        for suffix, byte, kind in (("_a", byte_a, types[0]), ("_b", byte_b, types[1])):
            n = len(rows) + 1
            rows.append(Partition(n, base + suffix, 33 + n, 33 + n, kind, UUID(int=n), byte << 48))
    rows.append(Partition(len(rows) + 1, "vendor_a", 90, 90, INACTIVE_TYPE, UUID(int=99)))
    return create(512, 200, UUID(int=1), rows)


def states(found: Gpt) -> dict[str, tuple[int, bool]]:
    return {
        p.name: (p.attributes >> 48 & 0xFF, p.type_guid == INACTIVE_TYPE) for p in found.partitions
    }


@pytest.mark.parametrize(
    ("a", "b", "slot"),
    [
        (0x77, 0x71, "a"),
        (0x71, 0x77, "b"),
        (0x3F, 0x39, "a"),
        (0x3E, 0x3F, "b"),  # both active: the higher priority
        (0x3F, 0x3F, None),
        (0, 0, None),
        (0x07, 0x3D, "b"),  # no try left
        (0x47, 0x3D, "a"),  # none needed
        (0xBF, 0x3D, "b"),  # unbootable
        (0x07, 0, None),
    ],
)
def test_the_boot_loader_starts_the_active_slot_that_can_start(
    a: int, b: int, slot: str | None
) -> None:
    assert active_slot(table(("boot", a, b))) == slot


def test_a_table_without_boot_partitions_does_not_decide() -> None:
    assert active_slot(table(("xbl", 0x3F, 0x39))) is None


def test_activating_changes_both_sides_of_each_pair() -> None:
    before = table(("boot", 0x77, 0x71), ("modem", 0x3F, 0x39), ("logo", 0, 0))
    after = activate(before, "b", ufs=False)
    assert states(after) == {
        "boot_a": (0x73, True),
        "boot_b": (0x3F, False),
        "modem_a": (0x3B, True),
        "modem_b": (0x3F, False),
        "logo_a": (0, True),
        "logo_b": (0, False),
        "vendor_a": (0, True),
    }
    assert active_slot(after) == "b"
    assert {p.name: p.type_guid for p in after.partitions}["modem_b"] == BOOT
    # Again changes nothing, and back restores types.
    assert activate(after, "b", ufs=False) == after
    back = activate(after, "a", ufs=False)
    assert active_slot(back) == "a"
    assert states(back)["boot_b"] == (0x3B, True)


@pytest.mark.parametrize("types", [(BOOT, BOOT), (INACTIVE_TYPE, INACTIVE_TYPE)])
def test_equal_types_stay(types: tuple[UUID, UUID]) -> None:
    before = table(("boot", 0, 0), types=types)
    after = activate(before, "b", ufs=False)
    assert [p.type_guid for p in after.partitions] == [p.type_guid for p in before.partitions]


def test_on_ufs_the_boot_lun_chooses_xbl() -> None:
    before = table(("xbl", 0x3F, 0x39))
    assert states(activate(before, "b", ufs=True))["xbl_b"] == (0x3F, True)
    assert states(activate(before, "b", ufs=False))["xbl_b"] == (0x3F, False)


def test_a_stock_table_names_its_slot() -> None:
    data = shared("corpus/sdm845-comma3/gpt__c3__gpt_main4.bin").read_bytes()
    stock = parse(data, 4096)
    assert active_slot(stock) == "a"
    switched = activate(stock, "b", ufs=True)
    assert active_slot(switched) == "b"
    boot = {p.name: p for p in switched.partitions}
    assert SlotState.of(boot["boot_b"].attributes) == ACTIVE
    assert boot["boot_a"].attributes >> 48 & 0xFF == 0x73
    assert boot["boot_b"].type_guid == BOOT
    assert boot["boot_a"].type_guid == INACTIVE_TYPE
    # abl_b of this table has a real type already, so nothing is exchanged there.
    assert boot["abl_a"].type_guid == {p.name: p for p in stock.partitions}["abl_a"].type_guid
