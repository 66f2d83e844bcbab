# SPDX-License-Identifier: BSD-3-Clause
"""What a partition or an image holds, by its first bytes.

Facts: AOSP bootimg.h, dt_table.h, avb_vbmeta_image.h; the Linux kernel's headers of ext4, F2FS,
EROFS and SquashFS; Microsoft's FAT specification; the devicetree specification.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edl.formats import gpt
from edl.formats.sparse import MAGIC as SPARSE
from edl.formats.super import is_empty_super, is_super

HEAD_BYTES = 8192  # enough to recognise everything here

_BOOT = b"ANDROID!"
_BOOT_VERSION_AT = 40
_NEWEST_BOOT = 4
_EXT_AT = 0x438
_EXT_FEATURES_AT = 0x45C  # compatible and incompatible ones
_EXT_JOURNAL = 0x4
_EXT_EXTENTS = 0x40


@dataclass(frozen=True)
class Kind:
    """What something is. code: stable name; text: for people."""

    code: str
    text: str


# where, what is there, kind
_MAGICS: tuple[tuple[int, bytes, Kind], ...] = (
    (0, SPARSE, Kind("sparse", "Android sparse image")),
    (0, b"VNDRBOOT", Kind("vendor_boot", "Android vendor boot image")),
    (0, b"\xd7\xb7\xab\x1e", Kind("dtbo", "device tree overlays (dtbo)")),
    (0, b"AVB0", Kind("vbmeta", "verified boot metadata (vbmeta)")),
    (0, b"QCDT", Kind("qcdt", "Qualcomm device tree table")),
    (0, b"\xd0\x0d\xfe\xed", Kind("dtb", "device tree")),
    (0, b"\x7fELF", Kind("elf", "ELF image")),
    (0, b"hsqs", Kind("squashfs", "SquashFS file system")),
    (0, b"SPLASH!!", Kind("splash", "splash screen")),
    (0, b"SINGLE_N_LONELY\0", Kind("single", "Motorola's single image")),
    (0, b"\x1f\x8b\x08", Kind("gzip", "gzip data")),
    (0, b"BZh", Kind("bzip2", "bzip2 data")),
    (0, b"\xfd7zXZ\0", Kind("xz", "xz data")),
    (0, b"\x28\xb5\x2f\xfd", Kind("zstd", "Zstandard data")),
    (0, b"PK\x03\x04", Kind("zip", "zip archive")),
    (1024, b"\x10\x20\xf5\xf2", Kind("f2fs", "F2FS file system")),
    (1024, b"\xe2\xe1\xf5\xe0", Kind("erofs", "EROFS file system")),
    (56, b"ARMd", Kind("kernel", "Linux kernel (64-bit ARM)")),
    (36, b"\x18\x28\x6f\x01", Kind("kernel", "Linux kernel (32-bit ARM)")),
)
_BLANK = Kind("blank", "blank at its beginning")
_UNKNOWN = Kind("unknown", "unknown data")


def recognise(head: bytes) -> Kind:
    """Return what begins with head, HEAD_BYTES or all there is.

    `blank` speaks of head only: there may be data behind it.
    """
    if is_super(head):
        if is_empty_super(head):
            return Kind("super_empty", "layout of logical partitions (super_empty)")
        return Kind("super", "logical partitions (super)")
    if (unit := gpt.find_sector_bytes(head)) is not None:
        return Kind("disk", f"disk with {unit}-byte sectors")
    for at, magic, kind in _MAGICS:
        if head.startswith(magic, at):
            return kind
    found = _boot(head) or _ext(head) or _mbn(head) or _fat(head)
    if found is None and (not head.strip(b"\0") or not head.strip(b"\xff")):
        return _BLANK
    return found or _UNKNOWN


def _boot(head: bytes) -> Kind | None:
    if not head.startswith(_BOOT):
        return None
    version = int.from_bytes(head[_BOOT_VERSION_AT : _BOOT_VERSION_AT + 4], "little")
    # old Qualcomm images keep the size of their device tree there
    shown = f", version {version}" if version <= _NEWEST_BOOT else ""
    return Kind("boot", f"Android boot image{shown}")


def _ext(head: bytes) -> Kind | None:
    if not head.startswith(b"\x53\xef", _EXT_AT) or len(head) < _EXT_FEATURES_AT + 8:
        return None
    compatible, incompatible = struct.unpack_from("<II", head, _EXT_FEATURES_AT)
    if incompatible & _EXT_EXTENTS:
        return Kind("ext4", "ext4 file system")
    if compatible & _EXT_JOURNAL:
        return Kind("ext3", "ext3 file system")
    return Kind("ext2", "ext2 file system")


def _mbn(head: bytes) -> Kind | None:
    """Recognise Qualcomm's old header: sizes that add up, after an image id and a version."""
    if len(head) < 40:
        return None
    _, version, _, _, size, code, _, signature, _, chain = struct.unpack_from("<10I", head)
    if version not in {3, 5, 6} or not 0 < code <= size or size != code + signature + chain:
        return None
    return Kind("mbn", f"MBN image, version {version}")


def _fat(head: bytes) -> Kind | None:
    if not head.startswith(b"\x55\xaa", 510):
        return None
    if head.startswith(b"FAT", 54) or head.startswith(b"FAT32", 82):
        return Kind("fat", "FAT file system")
    return Kind("mbr", "disk with an MBR")
