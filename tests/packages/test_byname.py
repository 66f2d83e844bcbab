# SPDX-License-Identifier: BSD-3-Clause
"""Images by the names of partitions, brought to the places that a phone's tables tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from edl.chunks import BytesContent
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, PackageError
from edl.files import File
from edl.firehose.commands import Area
from edl.formats.gpt import Gpt, Partition, create
from edl.formats.rawprogram import EraseRow, ProgramRow
from edl.package import NamedImage, Package
from edl.packages.flat import Members
from edl.packages.tree import Tree
from edl.plan import byname
from edl.plan.build import build
from edl.plan.model import Geometry, Write
from tests.packages.making import BLOCK, sparse

TYPE = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
DISK = 1 << 16
ACTIVE = 0x3F << 48  # handbook 8: priority 3, active, 7 tries
IDLE = 0x39 << 48


def table(**sizes: int | tuple[int, int]) -> Gpt:
    """Return a table with partitions of these sizes, (size, attributes) for some."""
    partitions = []
    first = 64
    for number, (name, told) in enumerate(sizes.items(), 1):
        size, attributes = told if isinstance(told, tuple) else (told, 0)
        unique = UUID(int=number)
        partitions.append(
            Partition(number, name, first, first + size - 1, TYPE, unique, attributes)
        )
        first += max(size, 1)
    return create(512, DISK, UUID(int=99), partitions)


def package(*names: tuple[str, str], **files: bytes) -> Package:
    members = {name: File(name, BytesContent(data)) for name, data in files.items()}
    images = tuple(NamedImage(name, filename, "flash.xml", 7) for name, filename in names)
    return Package("rom", (), (), {}, members=members, named=images)


def rows(found: Package) -> list[tuple[str, int, int, int]]:
    return [
        (row.label, row.lun, row.start.number, row.sectors)
        for row in found.rows
        if isinstance(row, ProgramRow | EraseRow) and row.start is not None
    ]


PHONE = {0: table(Boot=8, misc=4), 4: table(abl_a=(2, IDLE), abl_b=(2, ACTIVE), tz_a=2, boot=1)}


@pytest.mark.parametrize(
    ("name", "slot", "expected"),
    [
        ("boot", "active", [("Boot", 0, 64, 8)]),  # the first of two, whatever the capitals
        ("MISC", "both", [("misc", 0, 72, 4)]),
        ("abl_a", "b", [("abl_a", 4, 64, 2)]),
        ("abl", "active", [("abl_b", 4, 66, 2)]),
        ("abl", "a", [("abl_a", 4, 64, 2)]),
        ("abl", "b", [("abl_b", 4, 66, 2)]),
        ("abl", "both", [("abl_a", 4, 64, 2), ("abl_b", 4, 66, 2)]),
        ("abl_ab", "active", [("abl_a", 4, 64, 2), ("abl_b", 4, 66, 2)]),
        ("tz", "b", [("tz_a", 4, 68, 2)]),  # all that there is
    ],
)
def test_places(name: str, slot: str, expected: list[tuple[str, int, int, int]]) -> None:
    found = byname.placed(package((name, "x"), x=b"1"), PHONE, 512, slot)
    assert rows(found) == expected
    assert found.named == ()
    assert [row.filename for row in found.rows if isinstance(row, ProgramRow)] == (
        ["x"] * len(expected)
    )


def test_where_no_slot_is_active_the_first_is_taken() -> None:
    phone = {0: table(abl_a=2, abl_b=2)}
    assert rows(byname.placed(package(("abl", "x"), x=b"1"), phone, 512))[0][0] == "abl_a"


def test_partitions_that_the_phone_does_not_have() -> None:
    told = byname.placed(package(("boot", "x"), ("bout", "x"), ("zzz", "x"), x=b""), PHONE, 512)
    assert told.left_out == (
        ("bout", "the phone has no such partition (close to it: boot)"),
        ("zzz", "the phone has no such partition"),
    )
    with pytest.raises(PackageError, match="has none of the partitions"):
        byname.placed(package(("zzz", "x"), x=b""), PHONE, 512)


def test_an_empty_name_erases() -> None:
    found = list(byname.placed(package(("misc", "")), PHONE, 512).rows)
    assert [(type(row), row.file, row.line) for row in found] == [(EraseRow, "flash.xml", 7)]


def test_packages_without_names_stay_as_they_are() -> None:
    plain = package()
    assert byname.placed(plain, PHONE, 512) is plain


def test_sparse_images_are_known_by_their_content() -> None:
    found = byname.placed(
        package(("boot", "x"), ("misc", "gone"), x=sparse((1, bytes(BLOCK)))), PHONE, 512
    )
    assert [row.sparse for row in found.rows if isinstance(row, ProgramRow)] == [True, False]


def test_sizes_of_nothing_are_no_places() -> None:
    with pytest.raises(PackageError, match="has none"):
        byname.placed(package(("boot", "x"), x=b""), {0: table(boot=0)}, 512)


# -- on a phone ----------------------------------------------------------------------------------


@dataclass
class Tables:
    best: Gpt | None


@dataclass
class Fake:
    """As much of a Storage as is asked for."""

    tables: dict[int, Gpt | None]
    sector_bytes: int = 512

    @property
    def phone(self) -> Fake:
        return self

    def luns(self) -> list[int]:
        return [*self.tables, 9]

    def read(self, area: Area) -> bytes:
        return bytes(area.size_bytes)

    def table(self, lun: int) -> Tables:
        if lun == 9:
            raise DeviceRefusedError("no such LUN")
        return Tables(self.tables[lun])


StorageOf = Callable[..., Storage]


def storage(**keywords: object) -> Storage:
    return Fake(**keywords)  # type: ignore[return-value, arg-type]


def test_the_phones_own_tables_tell() -> None:
    found = byname.on_phone(package(("abl", "x"), x=b"1"), storage(tables={**PHONE, 5: None}), "a")
    assert rows(found) == [("abl_a", 4, 64, 2)]


def test_the_phones_storage_chooses_the_variant() -> None:
    plain, other = package(), package(("misc", ""))
    both = Package("rom", (), (), {}, variants={512: other, 4096: plain})
    assert both.sector_bytes is None
    assert both.alone.variants == {}
    assert rows(byname.on_phone(both, storage(tables=PHONE))) == [("misc", 0, 72, 4)]
    assert byname.on_phone(both, storage(tables={}, sector_bytes=4096)) is plain
    assert byname.on_phone(plain, storage(tables={})) is plain


def test_a_super_without_a_layout_takes_no_logical_partitions() -> None:
    phone = {0: table(super=8192, boot=8)}
    given = package(("boot", "x"), ("system", "x"), x=b"1")
    found = byname.on_phone(given, storage(tables=phone))
    assert [row[0] for row in rows(found)] == ["boot"]
    assert found.left_out == (("system", "the phone has no such partition"),)


def test_files_that_lead_out_are_told_where_they_are_used() -> None:
    tree = Tree("t", "zip", {"x": File("x", BytesContent(b"1"))})
    given = replace(package(("boot", "../x")), members=Members(tree, "."))
    assert [row[0] for row in rows(byname.placed(given, PHONE, 512))] == ["Boot"]
    geometry, tables = byname.made_up(given, Geometry("emmc", 512, {}, assumed=True))
    plan = build(byname.placed(given, tables, 512), geometry)
    assert ["outside" in finding.message for finding in plan.errors] == [True]


# -- without one ---------------------------------------------------------------------------------


def test_made_up_places_have_room_for_everything() -> None:
    given = package(
        ("boot_ab", "x"), ("system", "s"), ("misc", ""), ("gone", "gone"),
        x=bytes(3 << 20), s=sparse((700, b""), (1, bytes(BLOCK))),
    )  # fmt: skip
    geometry, tables = byname.made_up(given, Geometry("emmc", 512, {}, assumed=True))
    sizes = {p.name: p.sectors * 512 for p in tables[0].partitions}
    assert list(sizes) == ["boot_a", "boot_b", "system", "misc", "gone"]
    assert sizes["boot_a"] >= 3 << 20
    assert sizes["system"] >= 701 * BLOCK
    assert geometry.luns[0] > tables[0].partitions[-1].last_sector
    plan = build(byname.placed(given, tables, 512, "both"), geometry)
    assert [step.label for step in plan.steps if isinstance(step, Write)] == [
        "boot_a", "boot_b", "system",
    ]  # fmt: skip
