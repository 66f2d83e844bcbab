# SPDX-License-Identifier: BSD-3-Clause
"""Images that a package has for partitions by name, brought to the phone's own places.

Packages for fastboot say `boot`, `boot_ab` or `system`, and leave it to the phone where that is.
Its tables say so; what comes of it are rows as any other package has them, with the same checks.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import cast
from uuid import NAMESPACE_OID, UUID, uuid5

from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, ImageError, PackageError
from edl.files import File
from edl.firehose.commands import Area
from edl.formats.expressions import Expression
from edl.formats.gpt import Gpt, Partition, create
from edl.formats.rawprogram import EraseRow, ProgramRow, Row, Rows
from edl.formats.slots import SlotState
from edl.formats.sparse import is_sparse
from edl.formats.super import is_empty_super
from edl.package import NamedImage, Package
from edl.plan import images, logical
from edl.plan.model import Geometry
from edl.plan.onphone import Read, holds_metadata, in_the_way
from edl.units import MIB

_log = logging.getLogger(__name__)

SLOTS = ("active", "both", "a", "b")
_BOTH = "_ab"
_LOGICAL = {"system", "vendor", "product", "odm"}  # of phones that had them as partitions before
_UNDER_SUPER = ("system", "vendor", "product", "odm")  # may hold its metadata, where it is new
_MOST_TOLD = 8
_SMALLEST_BYTES = 4096
_LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


@dataclass(frozen=True)
class _Place:
    lun: int
    partition: Partition


def placed(
    package: Package,
    tables: Mapping[int, Gpt],
    sector_bytes: int,
    slot: str = "active",
    read: Read | None = None,
) -> Package:
    """Return package with a row for each of its named images, by the phone's tables.

    tables: the table to go by of each LUN. slot: one of SLOTS, where the package leaves it open.
    read: reads an area of the phone, for images of logical partitions.

    Raises:
        PackageError: the phone has none of these partitions: the package is for another one; or
            images of logical partitions do not fit.
    """
    if not package.named:
        return package
    phone = _Phone(tables, slot)
    package = _super_expanded(package, phone.room(logical.SUPER, sector_bytes) if read else None)
    inside = phone.inside(package, sector_bytes, read)
    rows: dict[str, list[Row]] = {}
    for row in inside.rows:
        rows.setdefault(row.file, []).append(row)
    left_out = [*package.left_out, *inside.left_out]
    for image in package.named:
        if image in inside.taken:
            continue
        places = phone.places(image.partition)
        if not places:
            reason = f"the phone has no such partition{phone.close(image)}"
            left_out.append((image.partition, reason))
        if read is not None:
            areas = [_area(place, sector_bytes) for place in places]
            _require_free(package, image, areas, inside, read)
        sparse = _is_sparse(package, image)
        for place in places:
            found = _row(image, place, sector_bytes, sparse=sparse)
            rows.setdefault(image.document, []).append(found)
    if not rows:
        names = ", ".join(sorted({image.partition for image in package.named})[:_MOST_TOLD])
        raise PackageError(
            f"The phone has none of the partitions that the package is for: {names}, ...",
            remedies=(
                "Make sure that the package is for this very model.",
                "If the phone's partition table is damaged: edl gpt repair.",
            ),
        )
    documents = [Rows(name, tuple(found), ()) for name, found in rows.items()]
    return replace(
        package,
        documents=(*package.documents, *documents),
        named=(),
        left_out=tuple(left_out),
        members=_with(package, inside.members),
        warnings=(*package.warnings, *inside.warnings),
    )


def _super_expanded(package: Package, room_bytes: int | None) -> Package:
    """Return package with the beginning of a `super` where it has a super_empty.img for it.

    room_bytes: of the phone's `super`, if that is known.

    Raises:
        DocumentError, ImageError: that is damaged, or for a `super` of another size.
    """
    for image in package.named:
        if image.partition.lower() == logical.SUPER and image.filename:
            file = package.locate(image.filename, image.document)
            if file is not None and is_empty_super(file.head(4)):
                made = logical.expanded(file, room_bytes)
                named = [replace(image, filename=made.name) if each == image else each
                         for each in package.named]  # fmt: skip
                members = _with(package, {made.name: made})
                return replace(package, named=tuple(named), members=members)
    return package


def _with(package: Package, more: Mapping[str, File]) -> Mapping[str, File]:
    """Return the members of package and more; those are not counted out, as they may be lazy."""
    members = cast("MutableMapping[str, File]", package.members)  # none is changed
    return ChainMap(dict(more), members) if more else members


def on_phone(package: Package, storage: Storage, slot: str = "active") -> Package:
    """Return package as it is for this phone.

    That is the variant for its storage, with named images at the places that its own tables tell.

    Raises:
        PackageError: see placed.
    """
    package = package.for_sectors(storage.phone.sector_bytes)
    if not package.named:
        return package
    tables = {}
    for lun in storage.luns():
        try:
            table = storage.table(lun).best
        except DeviceRefusedError as error:
            _log.info("tables of LUN %d: %s", lun, error)
            continue
        if table is not None:
            tables[lun] = table

    def read(area: Area) -> bytes:
        return storage.read(area)

    return placed(package, tables, storage.phone.sector_bytes, slot, read)


class _Phone:
    """The partitions of a phone by name."""

    def __init__(self, tables: Mapping[int, Gpt], slot: str) -> None:
        self._slot = slot
        self._by_name: dict[str, list[_Place]] = {}
        for lun, table in sorted(tables.items()):
            for partition in table.partitions:
                if partition.sectors > 0:
                    place = _Place(lun, partition)
                    self._by_name.setdefault(partition.name.lower(), []).append(place)

    def places(self, name: str) -> Sequence[_Place]:
        """Return where an image for the partition name goes; nothing if the phone has none."""
        name = name.lower()
        if found := self._by_name.get(name):
            return found[:1]
        base = name.removesuffix(_BOTH)
        slots = [place for slot in "ab" for place in self._by_name.get(f"{base}_{slot}", [])[:1]]
        if base != name or self._slot == "both" or len(slots) < 2:
            return slots
        if self._slot in {"a", "b"}:
            return [slots["ab".index(self._slot)]]
        return [next(filter(_is_active, slots), slots[0])]

    def room(self, name: str, sector_bytes: int) -> int | None:
        """Return how many bytes the partition of that name has; None if the phone has none."""
        places = self.places(name)
        return places[0].partition.sectors * sector_bytes if places else None

    def inside(self, package: Package, sector_bytes: int, read: Read | None) -> logical.Result:
        """Return what of package goes into `super`. Raises: see logical.place."""
        if read is None:
            return logical.Result()
        phone = self._for_logical(read, sector_bytes)
        absent = [image for image in package.named if not self.places(image.partition)]
        if not absent and not any(_may_be_logical(package, image) for image in package.named):
            return logical.Result()
        over_others = self._laid_over_others(phone, sector_bytes)
        if over_others is None:
            return logical.place(package, absent, phone)
        if len(phone.suffixes) > 1:
            raise PackageError(
                "The phone has a 'super' of its own for each slot, on partitions like system_a.",
                remedies=("Write one slot at a time: --slot a or b.",),
            )
        meant = [each for each in package.named if _is_for(each, phone.suffixes[0])]
        return logical.place(package, meant, over_others)

    def _laid_over_others(self, phone: logical.Phone, sector_bytes: int) -> logical.Phone | None:
        """Return phone with where its `super` lies, if it has none of its own.

        Phones that were moved to Android 10 later have its metadata on system_a, mostly, and
        logical partitions on that, on vendor_a and others (AOSP: retrofit dynamic partitions).
        """
        if phone.super_area is not None:
            return None
        areas = {name: _area(places[0], sector_bytes) for name, places in self._by_name.items()}
        for name in _UNDER_SUPER:
            area = areas.get(f"{name}{phone.suffixes[0]}")
            if area is not None and holds_metadata(phone.read, area):
                return replace(phone, super_area=area, areas=areas)
        return None

    def _for_logical(self, read: Read, sector_bytes: int) -> logical.Phone:
        boot = [place for slot in "ab" for place in self._by_name.get(f"boot_{slot}", [])[:1]]
        suffixes: tuple[str, ...] = ("",)
        if len(boot) > 1:
            chosen = [place.partition.name[-2:].lower() for place in self.places("boot")]
            suffixes = tuple(sorted(chosen, key=lambda suffix: suffix != _active(boot)))
        areas = {
            name: _area(place, sector_bytes)
            for name in (logical.SUPER, "misc")
            for place in self._by_name.get(name, [])[:1]
        }
        return logical.Phone(read, areas.get(logical.SUPER), areas.get("misc"), suffixes)

    def close(self, image: NamedImage) -> str:
        """Return names of the phone that are like that of image, in words."""
        close = difflib.get_close_matches(image.partition.lower(), self._by_name, 3, 0.75)
        return f" (close to it: {', '.join(close)})" if close else ""


def _area(place: _Place, sector_bytes: int) -> Area:
    partition = place.partition
    return Area(place.lun, partition.first_sector, partition.sectors, sector_bytes)


def _is_for(image: NamedImage, suffix: str) -> bool:
    """Tell whether image is one for the slot of suffix, or leaves the slot open."""
    name = image.partition.lower()
    named = next((each for each in (_BOTH, "_a", "_b") if name.endswith(each)), suffix)
    return bool(image.filename) and named == suffix


def _may_be_logical(package: Package, image: NamedImage) -> bool:
    """Tell whether an image is one of those that newer phones have inside `super`."""
    name = image.partition.lower()
    for suffix in (_BOTH, "_a", "_b"):
        name = name.removesuffix(suffix)
    return bool(image.filename) and name in {*_LOGICAL, *map(str.lower, package.logical)}


def _require_free(
    package: Package, image: NamedImage, areas: Sequence[Area], inside: logical.Result, read: Read
) -> None:
    """Make sure that an image takes no place that logical partitions lie on.

    Raises:
        PackageError: it does.
    """
    under = any(area in inside.devices for area in areas)
    asked = _may_be_logical(package, image)
    if under or (asked and any(holds_metadata(read, area) for area in areas)):
        raise in_the_way(image.partition)


def _active(boot: Sequence[_Place]) -> str:
    """Return `_a` or `_b`, whichever the phone starts, of its two boot partitions."""
    return next(filter(_is_active, boot), boot[0]).partition.name[-2:].lower()


def _is_active(place: _Place) -> bool:
    return SlotState.of(place.partition.attributes).active


def _is_sparse(package: Package, image: NamedImage) -> bool:
    """Tell whether image is an Android sparse one: such packages do not say it anywhere."""
    if not image.filename:
        return False
    with contextlib.suppress(PackageError, ImageError):  # told when the row is taken
        file = package.locate(image.filename, image.document)
        return file is not None and is_sparse(file.head(4))
    return False


def _row(image: NamedImage, place: _Place, sector_bytes: int, *, sparse: bool) -> Row:
    partition = place.partition
    start = Expression(str(partition.first_sector), partition.first_sector)
    if not image.filename:
        return EraseRow(
            image.document, image.line, place.lun, sector_bytes, {},
            start, partition.sectors, partition.name, None, None,
        )  # fmt: skip
    return ProgramRow(
        image.document, image.line, place.lun, sector_bytes, {},
        start, partition.sectors, image.filename, partition.name, sparse, 0, False, None, None,
    )  # fmt: skip


def made_up(package: Package, geometry: Geometry) -> tuple[Geometry, dict[int, Gpt]]:
    """Return a storage with a place for each named image, for plans without a phone.

    The places mean nothing but that the images have room; the phone's own are taken later.
    """
    unit = geometry.sector_bytes
    sizes: dict[str, int] = {}
    for image in package.named:
        for name in _slots_of(image.partition):
            sizes[name] = max(sizes.get(name, _SMALLEST_BYTES), _size(package, image))
    first, partitions = MIB // unit, []
    for number, (name, size) in enumerate(sizes.items(), 1):
        sectors = -(-size // unit)
        guid = uuid5(NAMESPACE_OID, name)
        partitions.append(Partition(number, name, first, first + sectors - 1, _LINUX, guid))
        first += -(-sectors // (MIB // unit)) * (MIB // unit)
    disk = max(geometry.luns.get(0, 0), 1 << (first + MIB // unit).bit_length())
    count = max(128, len(partitions))
    table = create(unit, disk, uuid5(NAMESPACE_OID, "made up"), partitions, entry_count=count)
    return replace(geometry, luns={**geometry.luns, 0: disk}, assumed=True), {0: table}


def _slots_of(name: str) -> list[str]:
    base = name.lower().removesuffix(_BOTH)
    return [f"{base}_a", f"{base}_b"] if base != name.lower() else [name]


def _size(package: Package, image: NamedImage) -> int:
    with contextlib.suppress(PackageError, ImageError):
        file = package.locate(image.filename, image.document) if image.filename else None
        return images.size_bytes(file) if file is not None else 0
    return 0
