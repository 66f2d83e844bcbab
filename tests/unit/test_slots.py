# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from uuid import UUID

import pytest

from edl.formats.gpt import Gpt, Partition, create, parse
from edl.formats.slots import (
    ACTIVE,
    INACTIVE_TYPE,
    Slot,
    SlotState,
    activate,
    active_of,
    active_slot,
    boot_states,
    pairs,
)
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


def switched(before: Gpt, slot: Slot, *, ufs: bool = False) -> Gpt:
    return activate({0: before}, slot, ufs=ufs)[0]


# What the open boot loader (PartitionTableUpdate.c: GetActiveSlot) makes of the two bytes.
@pytest.mark.parametrize(
    ("a", "b", "slot"),
    [
        (0x77, 0x71, "a"),
        (0x71, 0x77, "b"),
        (0x3F, 0x39, "a"),
        (0x3E, 0x3F, "b"),  # both active: the higher priority
        (0x3F, 0x3F, "a"),  # equal ones: a
        (0, 0, "a"),  # nothing was ever marked
        (0x38, 0, "a"),  # tries alone are no mark
        (0, 0x04, "a"),  # active without priority is not active
        (0x07, 0x3D, "a"),  # active all the same, although it has no try left
        (0xBF, 0x3D, "a"),
        (0x3B, 0x3B, None),
        (0x80, 0, None),
        (0x40, 0, None),
    ],
)
def test_the_active_slot_is_that_of_the_boot_loader(a: int, b: int, slot: str | None) -> None:
    assert active_slot(table(("boot", a, b))) == slot


@pytest.mark.parametrize(
    ("byte", "starts"), [(0x07, False), (0x0F, True), (0x47, True), (0xBF, False), (0xC7, False)]
)
def test_what_can_start_is_confirmed_or_has_a_try_left(byte: int, starts: object) -> None:
    assert SlotState.of(byte << 48).can_start is starts


def test_a_table_without_boot_partitions_does_not_decide() -> None:
    assert active_slot(table(("xbl", 0x3F, 0x39))) is None
    assert boot_states([]) is None


def test_pairs_are_found_over_all_luns() -> None:
    first, second = table(("boot", 0x3F, 0)), table(("modem", 0, 0))
    found = [(0, p) for p in first.partitions] + [(4, p) for p in second.partitions]
    found.append((5, Partition(1, "vendor_b", 5, 5, BOOT, UUID(int=3))))
    assert [(p.name, p.a[0], p.b[0]) for p in pairs(found)] == [
        ("boot", 0, 0), ("vendor", 4, 5), ("modem", 4, 4),
    ]  # fmt: skip
    assert active_of(found) == "a"
    states = boot_states(found)
    assert states is not None
    assert states["a"] == ACTIVE


# boot_control.cpp: UPDATE_SLOT sets 0x3f on one side and clears 0x04 on the other, whatever else
# the bytes say; types go with the active bit.
def test_activating_changes_both_sides_of_each_pair() -> None:
    before = table(("boot", 0x77, 0x71), ("modem", 0x3F, 0x39), ("logo", 0, 0))
    after = switched(before, "b")
    assert states(after) == {
        "boot_a": (0x73, True),
        "boot_b": (0x3F, False),
        "modem_a": (0x3B, True),
        "modem_b": (0x3F, False),
        "logo_a": (0, True),
        "logo_b": (0x3F, False),
        "vendor_a": (0, True),
    }
    assert active_slot(after) == "b"
    assert {p.name: p.type_guid for p in after.partitions}["modem_b"] == BOOT
    # Again changes nothing, and back restores types.
    assert switched(after, "b") == after
    back = switched(after, "a")
    assert active_slot(back) == "a"
    assert states(back)["boot_b"] == (0x3B, True)


@pytest.mark.parametrize("types", [(BOOT, BOOT), (INACTIVE_TYPE, INACTIVE_TYPE)])
def test_equal_types_stay(types: tuple[UUID, UUID]) -> None:
    before = table(("boot", 0, 0), types=types)
    after = switched(before, "b")
    assert [p.type_guid for p in after.partitions] == [p.type_guid for p in before.partitions]


@pytest.mark.parametrize("byte_a", [0x3F, 0])  # marked, and never marked
def test_types_of_their_own_are_exchanged_with_the_slot(byte_a: int) -> None:
    mine, other = UUID(int=0xA), UUID(int=0xB)
    before = table(("xbl", byte_a, 0), types=(mine, other))
    assert [p.type_guid for p in switched(before, "a").partitions][:2] == [mine, other]
    after = switched(before, "b")
    assert [p.type_guid for p in after.partitions][:2] == [other, mine]
    assert [p.type_guid for p in switched(after, "a").partitions][:2] == [mine, other]


def test_types_that_contradict_the_bits_are_put_right() -> None:
    half = table(("boot", 0x3B, 0x3F), ("system", 0x3B, 0x3F))  # bits say b, types say a
    after = states(switched(half, "b"))
    assert after["boot_b"] == (0x3F, False)
    assert after["boot_a"] == (0x3B, True)
    assert after["system_b"] == (0x3F, True)  # comma3 has it so on purpose


def test_on_ufs_the_boot_lun_chooses_what_lies_on_it() -> None:
    before = table(("xbl", 0x3F, 0x39), ("xbl_config", 0x3F, 0x39), ("boot", 0x3F, 0x39))
    ufs, emmc = (states(switched(before, "b", ufs=ufs)) for ufs in (True, False))
    for name in ("xbl_a", "xbl_b", "xbl_config_a", "xbl_config_b"):
        assert ufs[name] == states(before)[name]
    assert ufs["boot_b"] == emmc["xbl_b"] == emmc["xbl_config_b"] == (0x3F, False)


def test_a_pair_on_two_luns_changes_in_both_tables() -> None:
    one = create(512, 200, UUID(int=1), [Partition(1, "boot_a", 34, 34, BOOT, UUID(int=1))])
    two = create(512, 200, UUID(int=2), [Partition(1, "boot_b", 34, 34, BOOT, UUID(int=2))])
    after = activate({1: one, 2: two}, "b", ufs=False)
    assert states(after[1]) == {"boot_a": (0, False)}
    assert states(after[2]) == {"boot_b": (0x3F, False)}


def test_a_stock_table_names_its_slot() -> None:
    data = shared("corpus/sdm845-comma3/gpt__c3__gpt_main4.bin").read_bytes()
    stock = parse(data, 4096)
    assert active_slot(stock) == "a"
    after = switched(stock, "b", ufs=True)
    assert active_slot(after) == "b"
    was, now = ({p.name: p for p in found.partitions} for found in (stock, after))
    assert SlotState.of(now["boot_b"].attributes) == ACTIVE
    assert now["boot_a"].attributes >> 48 & 0xFF == 0x73
    for name in ("boot", "abl", "modem"):
        assert now[f"{name}_b"].type_guid == was[f"{name}_a"].type_guid
        assert now[f"{name}_a"].type_guid == was[f"{name}_b"].type_guid
    # Bits that are none of a slot's stay: read-only.
    assert now["abl_b"].attributes >> 60 == was["abl_b"].attributes >> 60 == 1
    back = switched(after, "a", ufs=True)
    assert {p.name: p.type_guid for p in back.partitions} == {
        n: p.type_guid for n, p in was.items()
    }
