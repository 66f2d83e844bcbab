# SPDX-License-Identifier: BSD-3-Clause
"""Phones that were moved to logical partitions later: `super` laid over system_a, vendor_a, ..."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edl.errors import PackageError
from edl.formats.rawprogram import ProgramRow
from edl.package import NamedImage, Package
from edl.units import MIB
from tests import supers
from tests.packages.making import BLOCK, noise, sparse
from tests.packages.test_byname import ACTIVE, IDLE, table
from tests.packages.test_logical import Flash, package

SYSTEM_SIZE, VENDOR_SIZE = 4 * MIB, 2 * MIB
SYSTEM, VENDOR = noise(2 * MIB, 4), noise(30 * BLOCK, 5)
PHONE = table(
    boot_a=(8, ACTIVE), boot_b=(8, IDLE), system_a=SYSTEM_SIZE // 512, system_b=SYSTEM_SIZE // 512,
    vendor_a=VENDOR_SIZE // 512, vendor_b=VENDOR_SIZE // 512,
)  # fmt: skip
SUFFIXED = 1


def layout(vendor_bytes: int = VENDOR_SIZE) -> supers.Layout:
    """Return what AOSP's lpmake makes for --device system and vendor, with --auto-slot-suffixing.

    system has a piece on either, vendor all on the second.
    """
    return supers.Layout(
        [
            ("system", 3, 1, [(2048, 0, 2048, 0), (2048, 0, 2048, 1)]),
            ("vendor", 3, 1, [(512, 0, 1024, 1)]),
            ("product", 3, 1, []),
        ],
        [("default", 0, 0), ("main", SUFFIXED, 6 * MIB)],
        [(2048, SYSTEM_SIZE, "system", SUFFIXED), (1024, vendor_bytes, "vendor", SUFFIXED)],
    )


@pytest.fixture
def flash() -> Flash:
    found = Flash(PHONE)
    for name in ("system_a", "system_b"):
        head = supers.super_image(layout(), layout(), size=SYSTEM_SIZE)
        found.put(name, bytes(head))
    return found


def held(flash: Flash, name: str, sector: int, size: int) -> bytes:
    place = flash.gpt.find(name)
    assert place is not None
    at = (place.first_sector + sector) * 512
    return bytes(flash.data[at : at + size])


def labels(found: Package) -> set[str]:
    return {row.label for row in found.rows if isinstance(row, ProgramRow)}


@pytest.mark.parametrize("slot", ["a", "b"])
def test_images_go_into_pieces_on_several_partitions(flash: Flash, slot: str) -> None:
    before = bytes(flash.data)
    found = flash.write(package({"system": SYSTEM, "vendor": VENDOR, "boot": b"boot"}), slot)
    assert labels(found) == {f"super/system_{slot}", f"super/vendor_{slot}", f"boot_{slot}"}
    assert held(flash, f"system_{slot}", 2048, MIB) == SYSTEM[:MIB]
    assert held(flash, f"vendor_{slot}", 2048, MIB) == SYSTEM[MIB:]
    assert held(flash, f"vendor_{slot}", 1024, len(VENDOR)) == VENDOR
    assert held(flash, f"boot_{slot}", 0, 4) == b"boot"
    changed = {at // 512 for at in range(0, len(before), 512)
               if before[at : at + 512] != flash.data[at : at + 512]}  # fmt: skip
    assert len(changed) == 4096 + len(VENDOR) // 512 + 1  # metadata and the other slot stay


def test_sparse_images_and_names_with_their_slot(flash: Flash) -> None:
    flash.write(package({"system_a": sparse((1, SYSTEM[:BLOCK]), (500, b"")), "vendor": VENDOR}))
    assert held(flash, "system_a", 2048, BLOCK) == SYSTEM[:BLOCK]


@pytest.mark.parametrize("name", ["system_b", "vendor_b", "system_ab", "vendor_ab"])
def test_the_other_slots_parts_are_not_written_over(flash: Flash, name: str) -> None:
    with pytest.raises(PackageError, match=f"'{name}' holds the logical partitions"):
        flash.placed(package({"boot": b"x", name: VENDOR}))


def test_one_slot_at_a_time(flash: Flash) -> None:
    with pytest.raises(PackageError, match="for each slot") as caught:
        flash.placed(package({"system": SYSTEM}), "both")
    assert caught.value.remedies == ("Write one slot at a time: --slot a or b.",)


def test_what_does_not_fit_is_refused(flash: Flash) -> None:
    with pytest.raises(PackageError, match="The phone has no 'super' of its own, but lays it"):
        flash.placed(package({"system": noise(3 * MIB), "vendor": VENDOR}))
    with pytest.raises(PackageError, match="cannot be laid out anew"):
        flash.placed(package({"product": VENDOR}))


def test_a_whole_super_is_for_no_partition_of_the_phone(flash: Flash) -> None:
    named = package({"system": SYSTEM, "super": b"x"})
    found = flash.placed(named)
    assert [what for what, _ in found.left_out] == ["super"]


def test_an_erase_takes_nothing_of_it(flash: Flash) -> None:
    erased = package({"system": SYSTEM})
    for name in ("vendor", "system"):
        more = NamedImage(name, "", "flash_all.sh", 1)
        with pytest.raises(PackageError, match=f"'{name}' holds the logical partitions"):
            flash.placed(replace(erased, named=(*erased.named, more)))


@pytest.mark.parametrize("damage", ["vendor too large", "metadata"])
def test_metadata_that_are_not_plain(flash: Flash, damage: str) -> None:
    if damage == "metadata":
        flash.put("system_a", bytes(4 * 65536), 12288)
        told = "'system' holds the logical partitions of this phone"
    else:
        other = supers.super_image(*[layout(2 * VENDOR_SIZE)] * 2, size=SYSTEM_SIZE)
        flash.put("system_a", bytes(other))
        told = "cannot be laid out anew"
    with pytest.raises(PackageError, match=told):
        flash.placed(package({"system": SYSTEM}))


def test_phones_that_have_partitions_as_ever() -> None:
    flash = Flash(PHONE)
    found = flash.placed(package({"system": SYSTEM, "boot": b"x"}))
    assert labels(found) == {"system_a", "boot_a"}
