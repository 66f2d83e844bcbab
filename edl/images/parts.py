# SPDX-License-Identifier: BSD-3-Clause
"""All that can be taken out of an image by name: partitions, and logical partitions of `super`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from edl.chunks import Content, FillContent, read_all
from edl.contents import Joined, Slice
from edl.errors import DocumentError, ImageError
from edl.formats import magic
from edl.formats import super as lp
from edl.formats.gpt import Partition
from edl.formats.magic import Kind
from edl.formats.super import ExtentKind, LogicalPartition, Metadata, Super
from edl.images.disk import DiskImage, LunImage

_SUPER = "super"


@dataclass(frozen=True)
class Part:
    """A partition of an image.

    Attributes:
        name: as the table has it; names may exist more than once.
        lun: of an image with a partition table.
        partition: as the table has it; None for logical ones.
        slots: of `super`'s metadata that have it just so; empty for others.
        logical: as the metadata has it.
        missing_bytes: how many bytes at its end are not there: the dump was cut off.
    """

    name: str
    content: Content
    lun: int | None = None
    partition: Partition | None = None
    slots: tuple[int, ...] = ()
    logical: LogicalPartition | None = None
    missing_bytes: int = 0

    @property
    def label(self) -> str:
        """What it is called, with `super/` in front of a logical partition."""
        return f"{_SUPER}/{self.name}" if self.logical is not None else self.name

    @property
    def size_bytes(self) -> int:
        """How large it is by its table."""
        return self.content.size_bytes

    @cached_property
    def kind(self) -> Kind:
        """What it holds, by its first bytes; `missing` where they cannot be had."""
        there = self.size_bytes - self.missing_bytes
        if self.size_bytes == 0:
            return Kind("empty", "empty")
        if there <= 0:
            return Kind("missing", "not there: the image was cut off")
        try:
            return magic.recognise(read_all(self.content, 0, min(magic.HEAD_BYTES, there)))
        except ImageError as error:
            return Kind("missing", f"not there: {error.message}")


@dataclass(frozen=True)
class Logical:
    """The logical partitions of an image.

    holder: the partition that holds the metadata; None if the whole image does.
    """

    holder: Part | None
    metadata: Super
    parts: tuple[Part, ...]


def parts(image: DiskImage) -> tuple[Part, ...]:
    """Return the ordinary partitions of image, by LUN and place."""
    return tuple(
        _part(number, lun, partition)
        for number, lun in image.luns.items()
        for partition in sorted(lun.partitions, key=lambda each: each.first_sector)
    )


def _part(number: int, lun: LunImage, partition: Partition) -> Part:
    return Part(
        partition.name,
        lun.content_of(partition),
        number,
        partition,
        missing_bytes=lun.missing_bytes(partition),
    )


def logical(image: DiskImage, physical: Iterable[Part]) -> Logical | None:
    """Return the logical partitions in image, or None if there is no `super`.

    physical: what `parts` returned.

    Raises:
        ImageError: the metadata cannot be read.
        DocumentError: there is a `super`, but no sound geometry in it.
    """
    by_name = {part.name: part for part in physical}
    if not image.has_table:
        content = image.luns[min(image.luns)].content
        if not lp.is_super(read_all(content, 0, min(magic.HEAD_BYTES, content.size_bytes))):
            return None
        return _logical(None, content, by_name)
    for part in by_name.values():
        if part.kind.code == _SUPER:
            return _logical(part, part.content, by_name)
    return None


def _logical(holder: Part | None, content: Content, by_name: Mapping[str, Part]) -> Logical:
    metadata = lp.read(content)
    found: dict[tuple[LogicalPartition, tuple[str, ...]], list[int]] = {}
    tables: dict[int, Metadata] = {}
    for slot in metadata.slots:
        if slot.best is None:
            continue
        tables[slot.number] = slot.best
        devices = tuple(device.name for device in slot.best.devices)
        for partition in slot.best.partitions:
            found.setdefault((partition, devices), []).append(slot.number)
    rows = []
    for (partition, devices), slots in found.items():
        contents = [content, *(_device(name, by_name) for name in devices[1:])]
        sizes = [device.size_bytes for device in tables[slots[0]].devices]
        made = _content(partition, contents, sizes, there=not metadata.empty)
        rows.append(Part(partition.name, made, slots=tuple(slots), logical=partition))
    return Logical(holder, metadata, tuple(rows))


def _device(name: str, by_name: Mapping[str, Part]) -> Content | None:
    part = by_name.get(name)
    return None if part is None else part.content


def _content(
    partition: LogicalPartition, devices: list[Content | None], sizes: list[int], *, there: bool
) -> Content:
    pieces: list[Content] = []
    for extent in partition.extents:
        size = extent.sectors * lp.SECTOR_BYTES
        device = devices[extent.device] if extent.kind is ExtentKind.LINEAR else None
        start = extent.start_sector * lp.SECTOR_BYTES
        if extent.kind is ExtentKind.ZERO:
            pieces.append(FillContent(size))
        elif device is None or not there or start + size > sizes[extent.device]:
            pieces.append(Missing(size, f"'{partition.name}' is not in this image."))
        else:
            pieces.append(Slice(device, start, size))
    return Joined(tuple(pieces))


@dataclass(frozen=True)
class Missing:
    """size_bytes bytes that nobody has.

    Raises (in chunks):
        ImageError: always, with reason.
    """

    size_bytes: int
    reason: str

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content."""
        raise ImageError(self.reason)


def find(name: str, known: Iterable[Part], slot: int | None = None) -> Part:
    """Return the part called `NAME`, `LUN/NAME` or `super/NAME`; capitals may differ.

    slot: of the metadata, for logical partitions that the slots have differently.

    Raises:
        ImageError: there is none of that name, or several.
    """
    rows = [part for part in known if slot is None or not part.slots or slot in part.slots]
    for fold in (str, str.lower):
        found = [part for part in rows if fold(name) in {fold(n) for n in _names(part)}]
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(name, found)
    raise _unknown(name, rows)


def _names(part: Part) -> tuple[str, ...]:
    return part.name, part.label, f"{part.lun}/{part.name}"


def _ambiguous(name: str, found: list[Part]) -> ImageError:
    if all(part.slots for part in found):
        return ImageError(
            f"The slots of 'super' have '{name}' in different places.",
            remedies=(f"Choose the slot: --slot {found[0].slots[0]}.",),
        )
    places = ", ".join(_full(part) for part in found)
    return ImageError(f"'{name}' exists more than once: {places}.")


def _full(part: Part) -> str:
    return part.label if part.lun is None else f"{part.lun}/{part.name}"


def _unknown(name: str, rows: list[Part]) -> ImageError:
    if not rows:
        return ImageError(
            f"The image has no partitions, so '{name}' cannot be found by name.",
            remedies=("See what it is: edl image info FILE.",),
        )
    folded = name.lower().removeprefix(f"{_SUPER}/")
    close = sorted(
        {part.label for part in rows if folded in part.name.lower() or part.name.lower() in folded}
    )
    hint = f"Close to it: {', '.join(close[:8])}." if close else "See all: edl image ls FILE."
    return ImageError(f"The image has no partition '{name}'.", remedies=(hint,))


def logical_or_none(image: DiskImage, physical: Iterable[Part]) -> tuple[Logical | None, str]:
    """Return the logical partitions, or why a `super` that is there cannot be understood."""
    try:
        return logical(image, physical), ""
    except DocumentError as error:
        return None, error.message
