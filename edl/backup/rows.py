# SPDX-License-Identifier: BSD-3-Clause
"""The backup as a package: XML files with which any tool can write it back.

Plain names, decimal numbers and all usual attributes, as qdl, QFIL and edl read them. The tables
are those of this very storage, so there is nothing to patch; the patch files say so for tools that
want one.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

from edl.backup.doubts import is_blank
from edl.backup.files import write_whole
from edl.formats.manifest import Compression, Extent, Kind, LunRecord, Manifest, StorageRecord
from edl.units import KIB

_LABELS = {Kind.GPT_PRIMARY: "PrimaryGPT", Kind.GPT_BACKUP: "BackupGPT"}


def write(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Write rawprogramN.xml and patchN.xml for every LUN with data; return their names.

    A compressed backup gets none: no tool writes its files as they are. Neither does one of NAND:
    others would write the zeros that stand for bad blocks.

    Raises:
        DiskError: they cannot be written.
    """
    names: list[str] = []
    if manifest.compression is not Compression.NONE or manifest.storage.type == "nand":
        return ()
    for lun in manifest.luns:
        rows = [_row(lun, extent, manifest.storage) for extent in _worth(lun, manifest.storage)]
        if rows:
            names += [f"rawprogram{lun.lun}.xml", f"patch{lun.lun}.xml"]
            write_whole(folder / names[-2], _document("data", rows), private=True)
            write_whole(folder / names[-1], _document("patches", []), private=True)
    return tuple(names)


def _worth(lun: LunRecord, storage: StorageRecord) -> list[Extent]:
    """Return what is to be written: all that was saved but for blank gaps."""
    return [
        extent
        for extent in lun.extents
        if extent.file is not None
        and (extent.kind is not Kind.GAP or not is_blank(extent, storage))
    ]


def _row(lun: LunRecord, extent: Extent, storage: StorageRecord) -> str:
    unit = storage.sector_bytes
    values: dict[str, object] = {
        "SECTOR_SIZE_IN_BYTES": unit,
        "file_sector_offset": extent.file_offset_bytes // unit,
        "filename": extent.file,
        "label": _LABELS.get(extent.kind, extent.name),
        "num_partition_sectors": extent.sectors,
        "partofsingleimage": "false",
        "physical_partition_number": lun.lun,
        "readbackverify": "false",
        "size_in_KB": f"{extent.sectors * unit / KIB:.1f}",
        "sparse": "false",
        "start_byte_hex": f"{extent.start_sector * unit:#x}",
        "start_sector": extent.start_sector,
    }
    return (
        "<program " + " ".join(f"{key}={quoteattr(_plain(v))}" for key, v in values.items()) + "/>"
    )


def _plain(value: object) -> str:
    """Return value without characters that a document cannot hold: a table may have any name."""
    return "".join(char if char.isprintable() else "_" for char in str(value))


def _document(root: str, rows: list[str]) -> str:
    return "\n".join(
        ['<?xml version="1.0" ?>', f"<{root}>", *(f"  {row}" for row in rows), f"</{root}>", ""]
    )
