# SPDX-License-Identifier: BSD-3-Clause
"""Images of logical partitions, brought to their places inside the phone's `super`.

Where each image fits what the phone has for it, only its bytes are written. Otherwise `super` is
laid out anew, if the package has an image for everything in it that the phone starts from: the
metadata of the phone (or of the package's super_empty.img) with other partitions, in all slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edl.chunks import BytesContent, Content
from edl.contents import SparseContent
from edl.errors import DocumentError, ImageError, PackageError
from edl.files import File
from edl.firehose.commands import Area
from edl.formats import sparse, superlayout
from edl.formats import super as lp
from edl.formats.expressions import Expression
from edl.formats.rawprogram import ProgramRow
from edl.formats.super import SECTOR_BYTES, Device, ExtentKind, LogicalPartition, Metadata, Super
from edl.formats.superlayout import Placed, Wanted
from edl.package import NamedImage, Package
from edl.plan import images
from edl.plan.onphone import OnPhone, Read, merging

SUPER = "super"
EMPTY = "super_empty"
_NEW_HEAD = "new layout of super"
_OTHER = {"_a": "_b", "_b": "_a"}
_SLOT_ENDINGS = ("_ab", "_a", "_b")
_FULL = (
    "Use a package with a whole super.img, or one that has all logical partitions.",
    "A super_empty.img of that version beside the images helps if the phone's own is damaged.",
)


@dataclass(frozen=True)
class Phone:
    """What has to be known of a phone.

    super_area, misc_area: where these lie, or None. suffixes: `_a` or `_b` of the slots that are
    to be written, the one to go by first; `` on a phone without slots. areas: where partitions lie,
    by name in lower case, if the phone has no `super` of its own, but lays it over some of these;
    super_area is the one that holds the metadata then.
    """

    read: Read
    super_area: Area | None
    misc_area: Area | None
    suffixes: tuple[str, ...]
    areas: Mapping[str, Area] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What became of the images.

    taken: those that are logical, or only helped to place them. rows: what is written instead.
    members: files that rows name, by that name. devices: where ordinary partitions lie that are
    parts of `super`, on a phone that has none of its own.
    """

    taken: frozenset[NamedImage] = frozenset()
    rows: tuple[ProgramRow, ...] = ()
    members: Mapping[str, File] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    devices: tuple[Area, ...] = ()


@dataclass(frozen=True)
class _Base:
    """Metadata that a new layout can be made from."""

    found: Super
    metadata: Metadata
    raw: bytes
    geometry: bytes


@dataclass(frozen=True)
class _Image:
    """An image with its name in `super`. size_bytes: unpacked."""

    named: NamedImage
    name: str
    file: File
    size_bytes: int


def place(package: Package, candidates: Sequence[NamedImage], phone: Phone) -> Result:
    """Return where those of candidates go that are logical partitions of phone.

    candidates: images for names that the phone's tables do not have.

    Raises:
        PackageError: they do not fit, or nothing tells how they would.
    """
    if phone.super_area is None or not candidates:
        return Result()
    placer = _Placer(package, candidates, phone, phone.super_area)
    return replace(placer.result(), devices=placer.devices() if phone.areas else ())


def expanded(file: File, room_bytes: int | None = None) -> File:
    """Return the beginning of the `super` that file, a super_empty.img, stands for.

    room_bytes: of the phone's `super`, if that is known.

    Raises:
        DocumentError: it is damaged.
        ImageError: it cannot be read, or is for a `super` of another size.
    """
    data = superlayout.expanded(file.content)
    slots = lp.read(file.content).slots
    [meant] = {slot.best.devices[0].size_bytes for slot in slots if slot.best is not None}
    if room_bytes not in {None, meant}:
        raise ImageError(
            f"{file.name} is for a '{SUPER}' of {meant} bytes, this phone's has {room_bytes}.",
            remedies=("Use the super_empty.img for exactly this model.",),
        )
    return File(f"{file.name} (expanded)", BytesContent(data), None, file.stamp)


class _Placer:
    def __init__(
        self, package: Package, candidates: Sequence[NamedImage], phone: Phone, area: Area
    ) -> None:
        self._package = package
        self._phone = phone
        self._area = area
        self._suffix = phone.suffixes[0]
        self._own = self._phone_base()
        helper = [image for image in candidates if image.partition.lower() == EMPTY]
        self._empty = self._empty_base(helper[0]) if helper else None
        self._helpers = frozenset(helper)
        self._current = {each.name: each for each in self._partitions(self._own)}
        self._known = {**{each.name: each for each in self._partitions(self._empty)},
                       **self._current}  # fmt: skip
        self._images = self._logical(image for image in candidates if image not in self._helpers)

    @staticmethod
    def _partitions(base: _Base | None) -> tuple[LogicalPartition, ...]:
        return base.metadata.partitions if base is not None else ()

    # -- what there is --------------------------------------------------------------------------

    def _phone_base(self) -> _Base | None:
        content = OnPhone(self._phone.read, self._area)
        try:
            found = lp.read(content)
            number = 1 if self._suffix == "_b" and len(found.slots) > 1 else 0
            slot = found.slots[number]
            if slot.best is None:
                slot = next((each for each in found.slots if each.best is not None), slot)
            if slot.best is None:
                return None
            raw = superlayout.read_raw(content, found, slot)
            return _Base(found, slot.best, raw, superlayout.geometry_of(content))
        except DocumentError:
            return None  # blank or damaged; then only a super_empty.img helps

    def _empty_base(self, image: NamedImage) -> _Base | None:
        """Return what the package's super_empty.img says, if it is for a `super` of this size."""
        content = self._package.find(image.filename, image.document).content
        try:
            found = lp.read(content)
            raw = superlayout.read_raw(content, found, found.slots[0])
            geometry = superlayout.geometry_of(content)
        except DocumentError:
            return None
        metadata = found.slots[0].best
        fits = metadata is not None and metadata.devices[0].size_bytes == self._area.size_bytes
        return _Base(found, metadata, raw, geometry) if metadata is not None and fits else None

    def _logical(self, candidates: Iterable[NamedImage]) -> list[_Image]:
        told = {name.lower() for name in self._package.logical}
        lower = {name.lower(): name for name in self._known}
        found = []
        for image in candidates:
            plain = image.partition.lower()
            base = next((plain.removesuffix(e) for e in _SLOT_ENDINGS if plain.endswith(e)), plain)
            for name in self._names(plain, base, lower):
                if lower.get(name) or base in told:
                    file = self._package.find(image.filename, image.document)
                    size = images.size_bytes(file)
                    found.append(_Image(image, lower.get(name, name), file, size))
        return found

    def _names(self, plain: str, base: str, lower: Mapping[str, str]) -> list[str]:
        """Return what an image is called in `super`: once for each slot that it is for."""
        if plain in lower:
            return [plain]
        others = [f"{base}{suffix}" for suffix in self._phone.suffixes[1:]]
        filled = [name for name in others if self._size(lower.get(name, "")) > 0]
        return [f"{base}{self._suffix}", *filled]

    def _size(self, name: str) -> int:
        return self._current[name].size_bytes if name in self._current else 0

    # -- where it goes --------------------------------------------------------------------------

    def result(self) -> Result:
        used = ((image.partition, "the phone's own layout is used") for image in self._helpers)
        if not self._images:
            return Result(self._helpers, left_out=tuple(used))
        taken = self._helpers | {image.named for image in self._images}
        whole = any(each.partition.lower() == SUPER for each in self._package.named)
        if whole and not self._phone.areas:
            within = ((image.name, "the package has all of 'super'") for image in self._images)
            return Result(taken, left_out=(*used, *within))
        warnings = tuple(self._snapshots())
        if all(self._fits(image) for image in self._images):
            rows, members = self._in_place()
            return Result(taken, tuple(rows), members, tuple(used), warnings)
        rows, members = self._anew()
        others = [each.name for each in self._known.values() if self._is_other(each.name)]
        if any(self._size(name) for name in others):
            warnings += (
                f"{SUPER}: It is laid out anew: logical partitions of the other slot are gone.",
            )
        return Result(taken, tuple(rows), members, (), warnings)

    def _fits(self, image: _Image) -> bool:
        partition = self._current.get(image.name)
        if partition is None or partition.size_bytes < image.size_bytes:
            return False
        return all(
            extent.kind is ExtentKind.LINEAR
            and (extent.start_sector + extent.sectors) * SECTOR_BYTES <= device.size_bytes
            and self._area_of(extent.device) is not None
            for extent in partition.extents
            for device in [self._devices()[extent.device]]
        )

    def _devices(self) -> tuple[Device, ...]:
        return self._own.metadata.devices if self._own is not None else ()

    def _area_of(self, index: int) -> Area | None:
        """Return where a device of the phone's metadata lies; None if that is not known."""
        device = self._devices()[index]
        area = self._area if index == 0 else self._phone.areas.get(device.name.lower())
        return area if area is not None and device.size_bytes <= area.size_bytes else None

    def devices(self) -> tuple[Area, ...]:
        """Return where all that lies that `super` is made of, that of the other slot as well."""
        names = {device.name.lower() for device in self._devices()}
        names |= {f"{name[:-2]}{_OTHER[name[-2:]]}" for name in names if name[-2:] in _OTHER}
        found = [self._phone.areas[name] for name in sorted(names) if name in self._phone.areas]
        return (self._area, *found)

    def _in_place(self) -> tuple[list[ProgramRow], dict[str, File]]:
        rows: list[ProgramRow] = []
        members: dict[str, File] = {}
        for image in self._images:
            extents = self._current[image.name].extents
            runs = [
                (extent.start_sector, extent.sectors, area)
                for extent in extents
                if (area := self._area_of(extent.device)) is not None
            ]
            # without a `super`, partitions of the phone have the names of logical ones
            label = f"{SUPER}/{image.name}" if self._phone.areas else image.name
            rows += self._rows(image, runs, label, members)
        return rows, members

    def _anew(self) -> tuple[list[ProgramRow], dict[str, File]]:
        """Lay `super` out anew. All rows have its name: they go together, or not at all."""
        try:
            base = self._base()
            placed = self._laid_out(base)
            metadata = superlayout.relaid(base.raw, base.metadata, placed)
            slots = lp.slots_of(base.geometry)
            head = superlayout.head(base.geometry, base.found, slots, metadata)
        except ImageError as error:
            names = ", ".join(image.name for image in self._images if not self._fits(image))
            raise PackageError(
                f"Images do not fit the logical partitions of this phone ({names}), and these"
                f" cannot be laid out anew. {error.message}",
                remedies=_FULL,
            ) from error
        members = {_NEW_HEAD: File(_NEW_HEAD, BytesContent(head))}
        first = self._images[0].named
        area = self._area
        rows = [self._row(_NEW_HEAD, first, SUPER, area, 0, len(head), 0, sparsed=False)]
        runs = {each.wanted.name: [(*run, area) for run in each.runs] for each in placed}
        for image in self._images:
            rows += self._rows(image, runs[image.name], SUPER, members)
        return rows, members

    def _base(self) -> _Base:
        """Return what a new layout is made from.

        Raises:
            ImageError: there is nothing, or it is of a kind that is not laid out anew.
        """
        if self._phone.areas:
            raise ImageError("The phone has no 'super' of its own, but lays it over others.")
        base = self._empty or self._own
        if base is None:
            raise ImageError("The metadata in 'super' of this phone are damaged.")
        superlayout.require_plain(base.raw, base.metadata)
        if base.metadata.devices[0].size_bytes > self._area.size_bytes:
            raise ImageError("The metadata are for a larger 'super' than this phone has.")
        return base

    def _is_other(self, name: str) -> bool:
        """Tell whether a logical partition is of the slot that is not written."""
        return bool(self._suffix) and name.endswith(_OTHER[self._suffix])

    def _laid_out(self, base: _Base) -> tuple[Placed, ...]:
        sizes = {image.name: image.size_bytes for image in self._images}
        missing = [
            name
            for name, each in self._current.items()
            if each.size_bytes and name not in sizes and not self._is_other(name)
            and not _is_snapshot(each)
        ]  # fmt: skip
        if missing:
            raise ImageError(f"The package has no image for {', '.join(missing)}.")
        wanted = [
            Wanted(each.name, each.group, sizes.get(each.name, 0))
            for each in base.metadata.partitions
            if not _is_snapshot(each)
        ]
        known = {each.name for each in wanted}
        group = _largest_group(base.metadata, self._suffix)
        wanted += [Wanted(name, group, size) for name, size in sizes.items() if name not in known]
        return superlayout.lay_out(base.metadata, wanted, base.found.block_bytes, ())

    # -- rows -----------------------------------------------------------------------------------

    def _rows(
        self,
        image: _Image,
        runs: Sequence[tuple[int, int, Area]],
        label: str,
        members: dict[str, File],
    ) -> Iterator[ProgramRow]:
        """Yield what writes image to runs: (first sector, sectors) of 512 bytes in an area."""
        filename = image.named.filename
        sparsed = sparse.is_sparse(image.file.head(4))
        if sparsed and len(runs) > 1:  # rows cannot take parts of such a file
            filename, sparsed = f"{filename} (unpacked)", False
            members[filename] = _unsparsed(image.file)
        done = 0
        for first, sectors, area in runs:
            length = min(sectors * SECTOR_BYTES, image.size_bytes - done)
            if length > 0:
                at = first * SECTOR_BYTES
                room = sectors * SECTOR_BYTES if sparsed else length
                yield self._row(filename, image.named, label, area, at, room, done, sparsed=sparsed)
            done += sectors * SECTOR_BYTES

    def _row(
        self,
        filename: str,
        named: NamedImage,
        label: str,
        area: Area,
        at: int,
        length: int,
        skipped: int,
        *,
        sparsed: bool,
    ) -> ProgramRow:
        """Return the row for length bytes, which lie at a byte of area afterwards."""
        unit = area.sector_bytes
        if at % unit or skipped % unit:
            raise PackageError("The logical partitions of this phone do not begin with a sector.")
        start = area.start_sector + at // unit
        return ProgramRow(
            named.document, named.line, area.lun, unit, {},
            Expression(str(start), start), -(-length // unit), filename, label, sparsed,
            skipped // unit, False, None, None,
        )  # fmt: skip

    # -- updates that are not merged ------------------------------------------------------------

    def _snapshots(self) -> Iterator[str]:
        told = ""
        if any(_is_snapshot(each) for each in self._current.values()):
            told = "there are snapshots of an update"
        if self._phone.misc_area is not None:
            told = merging(self._phone.read, self._phone.misc_area) or told
        if told:
            yield (
                f"{SUPER}: The phone was in the middle of an update ({told}): it would go on with"
                " it. Erase 'metadata' and 'misc' too, and expect that userdata must be wiped."
            )


def _is_snapshot(partition: LogicalPartition) -> bool:
    """Tell whether a logical partition only holds what an update has not merged yet."""
    return partition.name.endswith("-cow") or partition.name == "scratch"


def _largest_group(metadata: Metadata, suffix: str) -> str:
    """Return the group for partitions that nothing is known of."""
    groups = [group for group in metadata.groups if group.name.endswith(suffix)]
    best = max(groups or metadata.groups, key=lambda group: group.maximum_bytes, default=None)
    if best is None:
        raise ImageError("The metadata have no groups.")
    return best.name


def _unsparsed(file: File) -> File:
    """Return what a sparse file expands to; what it leaves open is zeros."""
    with file.open() as opened:
        image = sparse.SparseImage.read(opened, file.size_bytes, file.name)
    content: Content = SparseContent(file.content, image)
    return File(file.name, content, None, file.stamp)
