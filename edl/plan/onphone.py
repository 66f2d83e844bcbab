# SPDX-License-Identifier: BSD-3-Clause
"""What lies on the phone, read as contents are, and what that tells about logical partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edl.chunks import CHUNK_BYTES, read_all
from edl.errors import DeviceRefusedError, ImageError, PackageError
from edl.firehose.commands import Area
from edl.formats.super import is_super

Read = Callable[[Area], bytes]

_GEOMETRY_END = 8192
_VIRTUAL_AB_AT = 32768  # in misc; AOSP, bootloader_message.h: misc_virtual_ab_message
_VIRTUAL_AB_MAGIC = 0x56740AB0
_MERGES = {2: "an update waits to be merged", 3: "an update is being merged"}


@dataclass(frozen=True)
class OnPhone:
    """An area of the phone as a Content."""

    read: Read
    area: Area

    @property
    def size_bytes(self) -> int:
        """See Content."""
        return self.area.size_bytes

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """See Content.

        Raises:
            ImageError: the phone does not give it.
        """
        unit = self.area.sector_bytes
        end = offset + length
        while offset < end:
            first = offset // unit
            count = min(-(-end // unit) - first, CHUNK_BYTES // unit)
            area = replace(self.area, start_sector=self.area.start_sector + first, sectors=count)
            try:
                data = memoryview(self.read(area))
            except DeviceRefusedError as error:
                raise ImageError(f"The phone's data cannot be read: {error}") from error
            piece = data[offset - first * unit : end - first * unit]
            yield piece
            offset += len(piece)


def merging(read: Read, misc: Area) -> str:
    """Return what the phone's misc says about an update that is not merged yet, if anything.

    Raises:
        ImageError: it cannot be read.
    """
    if misc.size_bytes < _VIRTUAL_AB_AT + misc.sector_bytes:
        return ""
    raw = read_all(OnPhone(read, misc), _VIRTUAL_AB_AT, 8)
    magic = int.from_bytes(raw[1:5], "little")
    return _MERGES.get(raw[5], "") if magic == _VIRTUAL_AB_MAGIC else ""


def holds_metadata(read: Read, area: Area) -> bool:
    """Tell whether a partition holds the metadata of logical ones.

    Raises:
        ImageError: it cannot be read.
    """
    content = OnPhone(read, area)
    return content.size_bytes > _GEOMETRY_END and is_super(read_all(content, 0, _GEOMETRY_END))


def in_the_way(name: str) -> PackageError:
    """Return the error for an image that would take the place of logical partitions.

    Phones that were moved to Android 10 later have no `super`: that lies on system_a and others.
    """
    return PackageError(
        f"'{name}' holds the logical partitions of this phone: it has no 'super' of its own,"
        " and their images cannot be brought to their places.",
        remedies=("Use a package with whole images for these partitions, as the phone has them.",),
    )
