# SPDX-License-Identifier: BSD-3-Clause
"""Images of logical partitions, brought into a phone's `super`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from edl.chunks import BytesContent, read_all
from edl.errors import DeviceRefusedError, ImageError, PackageError
from edl.files import File
from edl.firehose.commands import Area
from edl.formats import super as lp
from edl.formats.gpt import Gpt
from edl.formats.rawprogram import ProgramRow
from edl.package import NamedImage, Package
from edl.plan import byname
from edl.plan.build import build
from edl.plan.model import Geometry
from edl.units import MIB
from tests import supers
from tests.packages.making import BLOCK, noise, sparse
from tests.packages.test_byname import ACTIVE, DISK, IDLE, table

SIZE = 8 * MIB
SYSTEM = noise(MIB - BLOCK, 4)
VENDOR = noise(30 * BLOCK, 5)
PHONE = table(boot_a=(8, ACTIVE), boot_b=(8, IDLE), misc=256, super=SIZE // 512)


def usual() -> supers.Layout:
    layout = supers.two_slots()
    layout.partitions[1] = ("vendor_a", 1, 1, [(512, 0, 3072, 0)])
    return layout


class Flash:
    """What a phone holds, on one LUN."""

    def __init__(
        self, gpt: Gpt, *layouts: supers.Layout, unit: int = 512, size: int = SIZE
    ) -> None:
        self.gpt = gpt
        self.unit = unit
        self.data = bytearray(DISK * 512)
        self.failing = False
        image = supers.super_image(*layouts, size=size) if layouts else bytes(size)
        if gpt.find("super") is not None:
            self.put("super", bytes(image))

    def put(self, name: str, data: bytes, offset: int = 0) -> None:
        at = self._at(name) + offset
        self.data[at : at + len(data)] = data

    def _at(self, name: str) -> int:
        place = self.gpt.find(name)
        assert place is not None
        return place.first_sector * self.unit

    def read(self, area: Area) -> bytes:
        if self.failing:
            raise DeviceRefusedError("no")
        at = area.start_sector * self.unit
        return bytes(self.data[at : at + area.size_bytes])

    def placed(self, package: Package, slot: str = "active") -> Package:
        return byname.placed(package, {0: self.gpt}, self.unit, slot, self.read)

    def write(self, package: Package, slot: str = "active") -> Package:
        """Carry package out, and return it as it was."""
        found = self.placed(package, slot)
        geometry = Geometry("emmc", self.unit, {0: len(self.data) // self.unit})
        plan = build(found, geometry)
        assert plan.errors == ()
        for step in plan.writes:
            data = read_all(step.content, 0, step.content.size_bytes)
            at = step.area.start_sector * self.unit
            self.data[at : at + len(data)] = data
        return found

    def super(self) -> bytes:
        at = self._at("super")
        return bytes(self.data[at : at + SIZE])

    def logical(self, name: str, slot: int = 0) -> bytes:
        """Return what a logical partition holds."""
        content = BytesContent(self.super())
        found = lp.read(content)
        assert found.problems == ()
        assert [each.problems for each in found.slots] == [()] * len(found.slots)
        best = found.slots[slot].best
        assert best is not None
        assert list(lp.extent_problems(best)) == []
        partition = next(each for each in best.partitions if each.name == name)
        return b"".join(
            read_all(content, extent.start_sector * 512, extent.sectors * 512)
            for extent in partition.extents
        )


def package(files: Mapping[str, bytes], logical: Sequence[str] = ()) -> Package:
    members = {
        f"{name}.img": File(f"{name}.img", BytesContent(data)) for name, data in files.items()
    }
    named = tuple(NamedImage(name, f"{name}.img", "payload.bin") for name in files)
    return Package("rom", (), (), {}, members=members, named=named, logical=tuple(logical))


def rows(found: Package) -> list[tuple[str, int, int, int]]:
    """Return label, start within `super`, sectors and offset into the file of each row."""
    place = PHONE.find("super")
    assert place is not None
    return [
        (row.label, row.start.number - place.first_sector, row.sectors, row.file_sector_offset)
        for row in found.rows
        if isinstance(row, ProgramRow)
    ]


# -- in place ------------------------------------------------------------------------------------


def test_images_go_into_the_pieces_that_the_phone_has() -> None:
    flash = Flash(PHONE, usual(), usual())
    before = flash.super()
    found = flash.write(package({"system": SYSTEM, "VENDOR_a": VENDOR}))
    assert rows(found) == [
        ("system_a", 2048, 1024, 0),
        ("system_a", 6144, 1016, 1024),
        ("vendor_a", 3072, 240, 0),
    ]
    assert flash.logical("system_a") == SYSTEM.ljust(MIB, b"\0")
    assert flash.logical("vendor_a").startswith(VENDOR)
    assert flash.super()[:MIB] == before[:MIB]
    assert (found.left_out, found.warnings, found.named) == ((), (), ())


def test_sparse_images_in_one_piece_and_in_several() -> None:
    flash = Flash(PHONE, usual(), usual())
    system = sparse((100, SYSTEM[: 100 * BLOCK]), (50, b""), (100, SYSTEM[-100 * BLOCK :]))
    vendor = sparse((30, VENDOR), (2, b""))
    found = flash.write(package({"system": system, "vendor": vendor}))
    data = SYSTEM[: 100 * BLOCK] + bytes(50 * BLOCK) + SYSTEM[-100 * BLOCK :]
    assert flash.logical("system_a") == data.ljust(MIB, b"\0")
    assert flash.logical("vendor_a").startswith(VENDOR)
    assert [row.sparse for row in found.rows if isinstance(row, ProgramRow)] == [False] * 2 + [True]


def both_filled() -> supers.Layout:
    layout = usual()
    layout.partitions[2] = ("system_b", 1, 2, [(2048, 0, 8192, 0)])
    return layout


def test_slots() -> None:
    flash = Flash(PHONE, usual(), both_filled())
    assert rows(flash.placed(package({"system": SYSTEM}), "b")) == [("system_b", 8192, 2040, 0)]
    assert rows(flash.placed(package({"system_b": SYSTEM}), "b")) == [("system_b", 8192, 2040, 0)]
    flash = Flash(PHONE, both_filled(), both_filled())
    found = flash.placed(package({"system": SYSTEM}), "both")
    assert [label for label, *_ in rows(found)] == ["system_a", "system_a", "system_b"]
    only_one = Flash(PHONE, both_filled())  # no second slot: then the first one says it
    assert rows(only_one.placed(package({"system": SYSTEM}), "b"))[0][0] == "system_b"


def test_a_phone_without_slots() -> None:
    layout = usual()
    layout.partitions = [("system", 1, 1, [(2048, 0, 4096, 0)])]
    flash = Flash(table(boot=8, super=SIZE // 512), layout, layout)
    flash.write(package({"system": SYSTEM}))
    assert flash.logical("system").startswith(SYSTEM)


def test_metadata_of_another_slot_where_the_own_is_damaged() -> None:
    flash = Flash(PHONE, usual(), usual())
    for copy in (0, 2):
        flash.put("super", b"damaged", 12288 + copy * 65536)
    assert rows(flash.placed(package({"system": SYSTEM})))[0] == ("system_a", 2048, 1024, 0)


def test_images_smaller_than_the_first_piece() -> None:
    flash = Flash(PHONE, usual(), usual())
    assert rows(flash.placed(package({"system": VENDOR}))) == [("system_a", 2048, 240, 0)]


def test_a_package_with_all_of_super() -> None:
    flash = Flash(PHONE, usual(), usual())
    found = flash.placed(package({"super": bytes(SIZE), "system": SYSTEM}))
    assert rows(found) == [("super", 0, SIZE // 512, 0)]
    assert found.left_out == (("system_a", "the package has all of 'super'"),)


def test_names_that_are_in_no_table() -> None:
    flash = Flash(PHONE, usual(), usual())
    found = flash.placed(package({"odd": VENDOR, "system": SYSTEM}))
    assert found.left_out == (("odd", "the phone has no such partition"),)
    empty = package({"super_empty": supers.empty_image(usual()), "boot": b"x"})
    assert flash.placed(empty).left_out == (("super_empty", "the phone's own layout is used"),)
    nothing = Flash(table(boot=8, super=SIZE // 512))
    assert nothing.placed(package({"boot": b"x", "system": SYSTEM})).left_out == (
        ("system", "the phone has no such partition"),
    )


def test_a_phone_without_super_or_that_does_not_give_it() -> None:
    flash = Flash(PHONE, usual(), usual())
    bare = byname.placed(package({"boot": b"x", "system": SYSTEM}), {0: table(boot=8)}, 512,
                         "active", flash.read)  # fmt: skip
    assert bare.left_out == (("system", "the phone has no such partition"),)
    flash.failing = True
    with pytest.raises(ImageError, match="The phone's data cannot be read: no"):
        flash.placed(package({"system": SYSTEM}))


def test_phones_whose_super_lies_on_system() -> None:
    gpt = table(boot_a=(8, ACTIVE), boot_b=(8, IDLE), super=SIZE // 512, system_a=64, odd_a=64)
    for name in ("system", "system_a", "system_ab", "odd"):
        flash = Flash(gpt, usual())
        flash.put("system_a", supers.geometry(), 4096)
        flash.put("odd_a", supers.geometry(), 4096)
        with pytest.raises(PackageError, match=f"'{name}' holds the logical partitions"):
            flash.placed(package({name: VENDOR}, ["Odd"]))
        assert flash.placed(package({"odd": VENDOR})).left_out == ()  # nothing says that it is one
    assert Flash(table(system=4)).placed(package({"system": b"x"})).left_out == ()


# -- anew ----------------------------------------------------------------------------------------

LARGE = noise(2 * MIB + BLOCK, 6)


@pytest.mark.parametrize("minor", [0, 2])
def test_super_is_laid_out_anew_where_images_have_grown(minor: int) -> None:
    layout = replace(usual(), minor=minor)
    flash = Flash(PHONE, layout, layout, layout)
    found = flash.write(package({"system": LARGE, "vendor": VENDOR}))
    assert {label for label, *_ in rows(found)} == {"super"}  # all of it, or nothing
    for slot in range(3):
        assert flash.logical("system_a", slot) == LARGE
        assert flash.logical("vendor_a", slot) == VENDOR
        assert flash.logical("system_b", slot) == b""
    assert found.warnings == ()
    # once more: now it fits
    assert {label for label, *_ in rows(flash.placed(package({"system": LARGE})))} == {"system_a"}


def test_the_other_slot_is_given_up_and_new_partitions_come() -> None:
    flash = Flash(PHONE, both_filled(), both_filled())
    more = {"system": LARGE, "vendor": VENDOR, "system_dlkm": VENDOR[::-1]}
    found = flash.write(package(more, ["system_dlkm"]))
    assert flash.logical("system_dlkm_a") == VENDOR[::-1]
    assert flash.logical("system_b") == b""
    assert found.warnings == (
        "super: It is laid out anew: logical partitions of the other slot are gone.",
    )


@pytest.mark.parametrize("blank", [True, False])
def test_a_super_empty_helps_where_the_phones_own_is_gone(blank: bool) -> None:
    flash = Flash(PHONE) if blank else Flash(PHONE, usual())
    flash.put("super", bytes(2 * 65536), 12288)
    layout = usual()
    layout.partitions = [("system_a", 1, 1, []), ("vendor_a", 1, 1, []), ("system_b", 1, 2, [])]
    files = {"super_empty": supers.empty_image(layout, slots=3), "system": LARGE, "vendor": VENDOR}
    found = flash.write(package(files))
    assert flash.logical("system_a", 2) == LARGE
    assert flash.logical("vendor_a") == VENDOR
    assert found.left_out == ()


@pytest.mark.parametrize("size", [SIZE * 2, 0])
def test_a_super_empty_for_another_phone_is_not_used(size: int) -> None:
    other = supers.Layout([("system_a", 1, 0, [])], devices=[(2048, SIZE * 2, "super", 0)])
    empty = supers.empty_image(other) if size else b"gDla no such thing"
    flash = Flash(PHONE)
    with pytest.raises(PackageError, match="metadata in 'super' of this phone are damaged"):
        flash.placed(package({"super_empty": empty, "system": LARGE}, ["system"]))


def refused(layout: supers.Layout, files: Mapping[str, bytes], told: str) -> None:
    flash = Flash(PHONE, layout, layout)
    with pytest.raises(PackageError, match=told):
        flash.placed(package(files))


def test_what_cannot_be_laid_out_anew() -> None:
    refused(usual(), {"system": LARGE}, r"\(system_a\).* no image for vendor_a")
    large = {"system": LARGE + LARGE, "vendor": VENDOR}
    refused(usual(), large, "group 'main_a' of this phone may have 4194304")
    free = replace(usual(), groups=[("default", 0, 0), ("main_a", 0, 0), ("main_b", 0, 0)])
    refused(free, {"system": LARGE * 4, "vendor": VENDOR}, "do not fit into 'super'")
    longer = replace(usual(), devices=[(2048, SIZE * 2, "super", 0)])
    refused(longer, {"system": SYSTEM, "vendor": VENDOR}, "for a larger 'super'")
    elsewhere = usual()
    elsewhere.devices = [(2048, SIZE, "super", 0), (0, SIZE, "other", 0)]
    elsewhere.partitions[0] = ("system_a", 1, 1, [(4096, 0, 0, 1)])
    refused(elsewhere, {"system": SYSTEM}, "lie on several partitions")
    nowhere = usual()
    nowhere.partitions[0] = ("system_a", 1, 1, [(4096, 1, 0, 0)])
    refused(nowhere, {"system": SYSTEM}, "no image for vendor_a")


def test_metadata_without_groups() -> None:
    flash = Flash(PHONE, supers.Layout(groups=[]))
    with pytest.raises(PackageError, match="have no groups"):
        flash.placed(package({"system": LARGE}, ["system"]))


def test_pieces_that_begin_within_a_sector_of_ufs() -> None:
    gpt = table(super=SIZE // 4096)
    layout = usual()
    layout.partitions = [("system", 1, 1, [(2048, 0, 4097, 0)])]
    flash = Flash(gpt, layout, unit=4096)
    with pytest.raises(PackageError, match="do not begin with a sector"):
        flash.placed(package({"system": SYSTEM}))
    layout.partitions = [("system", 1, 1, [(1024, 0, 4096, 0), (1024, 0, 6144, 0)])]
    flash = Flash(gpt, layout, unit=4096)
    flash.write(package({"system": SYSTEM}))
    assert flash.logical("system") == SYSTEM.ljust(MIB, b"\0")


# -- the rest ------------------------------------------------------------------------------------


def test_a_super_that_is_missing_is_told_with_the_rows() -> None:
    found = replace(package({"boot": b"x"}), named=(NamedImage("super", "super.img", "x"),))
    assert [label for label, *_ in rows(Flash(PHONE).placed(found))] == ["super"]


def test_a_super_empty_for_super_itself_is_expanded() -> None:
    flash = Flash(PHONE)
    layout = supers.Layout([("system_a", 1, 0, [])])
    flash.write(package({"super": supers.empty_image(layout), "boot": b"x"}))
    assert (
        flash.super()[: 12288 + 4 * 65536]
        == supers.super_image(layout, layout)[: 12288 + 4 * 65536]
    )
    assert flash.logical("system_a", 1) == b""
    other = supers.Layout([("system_a", 1, 0, [])], devices=[(2048, 4 << 20, "super", 0)])
    with pytest.raises(ImageError, match="for a 'super' of 4194304 bytes, this phone's has"):
        flash.placed(package({"super": supers.empty_image(other), "boot": b"x"}))


def virtual_ab(status: int, magic: int = 0x56740AB0) -> bytes:
    return b"\x02" + magic.to_bytes(4, "little") + bytes([status, 0])


@pytest.mark.parametrize(
    ("misc", "told"),
    [
        (virtual_ab(2), "an update waits to be merged"),
        (virtual_ab(3), "an update is being merged"),
        (virtual_ab(0), ""),
        (virtual_ab(3, 0), ""),
    ],
)
def test_updates_that_are_not_merged(misc: bytes, told: str) -> None:
    flash = Flash(PHONE, usual(), usual())
    flash.put("misc", misc, 32768)
    found = flash.placed(package({"system": SYSTEM}))
    assert len(found.warnings) == (1 if told else 0)
    assert told in "".join(found.warnings)


def test_snapshots_in_super() -> None:
    layout = usual()
    layout.partitions += [("system_a-cow", 1, 0, [(8, 0, 8192, 0)]), ("scratch", 0, 0, [])]
    flash = Flash(table(boot_a=(8, ACTIVE), boot_b=(8, IDLE), misc=4, super=SIZE // 512), layout)
    found = flash.write(package({"system": LARGE, "vendor": VENDOR}))
    assert "there are snapshots of an update" in found.warnings[0]
    slot = lp.read(BytesContent(flash.super())).slots[0].best
    assert slot is not None
    assert [each.name for each in slot.partitions] == ["system_a", "vendor_a", "system_b"]
