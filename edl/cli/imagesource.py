# SPDX-License-Identifier: BSD-3-Clause
"""What `edl image` looks at: an image in a file, or a backup in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edl.backup.folder import Backup, is_backup, open_backup
from edl.backup.image import disk_image
from edl.cli.app import App
from edl.errors import ImageError
from edl.formats.magic import Kind
from edl.images.disk import DiskImage, open_image
from edl.images.parts import Logical, Part, logical_or_none, parts


@dataclass(frozen=True)
class Source:
    """An image and where it came from. backup: if it is one."""

    path: Path
    image: DiskImage
    backup: Backup | None = None

    @cached_property
    def physical(self) -> tuple[Part, ...]:
        """The ordinary partitions, by LUN and place."""
        return parts(self.image)

    @cached_property
    def _logical(self) -> tuple[Logical | None, str]:
        return logical_or_none(self.image, self.physical)

    @property
    def logical(self) -> Logical | None:
        """The logical partitions, if there are any."""
        return self._logical[0]

    @property
    def super_problem(self) -> str:
        """Why a `super` that is there cannot be understood."""
        return self._logical[1]

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that can be taken out by name."""
        return self.physical + (self.logical.parts if self.logical else ())

    @cached_property
    def luns(self) -> tuple[Part, ...]:
        """Each LUN as one part."""
        several = len(self.image.luns) > 1
        return tuple(
            Part(f"LUN {number}" if several else "image", lun.content, number if several else None)
            for number, lun in self.image.luns.items()
        )

    @property
    def whole(self) -> Part:
        """The only LUN as one part.

        Raises:
            ImageError: there are several.
        """
        if len(self.luns) != 1:
            raise ImageError(
                f"{self.path} has {len(self.luns)} LUNs.", remedies=("Name the partitions.",)
            )
        return self.luns[0]

    @cached_property
    def kind(self) -> Kind:
        """What it is."""
        if self.backup is not None:
            return Kind("backup", "backup of a phone")
        if self.image.has_table:
            unit = next(iter(self.image.luns.values())).sector_bytes
            return Kind("disk", f"disk with {unit}-byte sectors")
        return self.whole.kind

    @property
    def size_bytes(self) -> int:
        """How large it is, unpacked."""
        return sum(lun.content.size_bytes for lun in self.image.luns.values())


@contextmanager
def open_source(app: App, text: str) -> Iterator[Source]:
    """Open the image or backup that text names.

    Raises:
        ImageError: it is none that can be read.
    """
    path = Path(text)
    try:
        found = is_backup(path)
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        found = False
    if found:
        backup = open_backup(path)
        yield Source(path, disk_image(backup), backup)
        return
    with open_image(path, app.emit) as image:
        yield Source(path, image)
