# SPDX-License-Identifier: BSD-3-Clause
"""A backup as an image: LUNs with partitions, as if it were dumps."""

from __future__ import annotations

from edl.backup.folder import Backup, absent
from edl.chunks import Content
from edl.contents import Joined
from edl.formats.gpt import Gpt
from edl.formats.manifest import Extent, Kind, LunRecord
from edl.images.disk import DiskImage, LunImage, read_backup, read_primary
from edl.images.parts import Missing


def disk_image(backup: Backup) -> DiskImage:
    """Return the LUNs of backup; reading what it does not hold raises ImageError.

    Raises:
        ImageError: a partition table in it cannot be read.
    """
    return DiskImage({lun.lun: _lun(backup, lun) for lun in backup.manifest.luns})


def _lun(backup: Backup, record: LunRecord) -> LunImage:
    unit = backup.manifest.storage.sector_bytes
    content = Joined(tuple(_content(backup, extent) for extent in record.extents))
    last = content.size_bytes - unit
    tables: dict[Kind, Gpt | None] = {}
    for extent in record.extents:
        if extent.kind is Kind.GPT_PRIMARY and extent.file is not None:
            tables[extent.kind] = read_primary(content, unit)
        elif extent.kind is Kind.GPT_BACKUP and extent.file is not None:
            tables[extent.kind] = read_backup(content, last, unit)
    backup_table = tables.get(Kind.GPT_BACKUP)
    return LunImage(
        content,
        unit,
        tables.get(Kind.GPT_PRIMARY),
        backup_table,
        None if backup_table is None else last,
    )


def _content(backup: Backup, extent: Extent) -> Content:
    if extent.file is not None:
        return backup.content(extent)
    size = extent.sectors * backup.manifest.storage.sector_bytes
    return Missing(size, absent(extent))
