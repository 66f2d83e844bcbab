# SPDX-License-Identifier: BSD-3-Clause
"""Whether an image can be meant for the partition that a row puts it in, by how it begins.

One row in the wrong place is how packages that were edited by hand kill phones. Only what is
recognised for certain, and belongs elsewhere, counts: makers have images of their own kinds. Facts:
AOSP's image formats; which partitions hold what, in stock packages (handbook 7.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from edl.formats.magic import HEAD_BYTES, Kind, recognise

__all__ = ["HEAD_BYTES", "is_doubtful", "lacking_twins", "misplaced"]

_SLOT = re.compile(r"_[ab]", re.IGNORECASE)
_FILE_SYSTEMS = {"ext2", "ext3", "ext4", "f2fs", "erofs", "squashfs"}
_ANDROID = {"boot", "vendor_boot", "dtbo", "vbmeta", "super", "super_empty"}
_FIRMWARE_KINDS = {"elf", "mbn"}
_EVERYTHING = _FILE_SYSTEMS | _ANDROID | _FIRMWARE_KINDS | {"fat", "disk", "splash", "single"}

# partitions (without slot), and what they hold of the kinds that are recognised
_HOLD: tuple[tuple[re.Pattern[str], set[str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kinds)
    for pattern, kinds in (
        (r"boot|recovery|init_boot", {"boot", "elf"}),  # Sony's are ELF
        (r"vendor_boot|vendor_kernel_boot", {"vendor_boot"}),
        (r"dtbo", {"dtbo"}),
        (r"vbmeta(_system|_vendor)?", {"vbmeta"}),
        (r"super", {"super", "super_empty"}),
        (r"system(_ext)?|vendor|product|odm|oem|cache|userdata|persist|cust",
         _FILE_SYSTEMS | {"vbmeta"}),  # an empty one may hold only a footer's copy
        (r"xbl(bak)?|xbl_config(bak)?|sbl1(bak)?|tz(bak)?|hyp(bak)?|rpm(bak)?|aboot(bak)?"
         r"|abl(bak)?|aop(bak)?|devcfg(bak)?|keymaster(bak)?|cmnlib(64)?(bak)?|pmic(bak)?"
         r"|qupfw(bak)?|uefisecapp(bak)?|shrm|cpucp|featenabler|imagefv",
         _FIRMWARE_KINDS),
        (r"modem", _FILE_SYSTEMS | _FIRMWARE_KINDS | {"fat"}),
    )
)  # fmt: skip
_TWINS = re.compile(
    r"(xbl|xbl_config|sbl1|tz|hyp|rpm|aboot|abl|aop|devcfg|keymaster|cmnlib|cmnlib64)",
    re.IGNORECASE,
)


def misplaced(label: str, head: bytes) -> Kind | None:
    """Return what an image is if it cannot be meant for the partition label, else None.

    head: HEAD_BYTES from its beginning, unpacked if it is sparse, or all there is.
    """
    name = label[:-2] if _SLOT.fullmatch(label[-2:]) else label
    for pattern, kinds in _HOLD:
        if pattern.fullmatch(name):
            kind = recognise(head)
            return kind if kind.code in _EVERYTHING - kinds else None
    return None


def is_doubtful(label: str, head: bytes) -> bool:
    """Tell whether an image is nothing known, and label a partition that the phone starts from.

    head: as for misplaced. Makers have kinds of their own, so this is no proof that it is wrong.
    """
    name = label[:-2] if _SLOT.fullmatch(label[-2:]) else label
    return any(
        pattern.fullmatch(name) and not kinds & _FILE_SYSTEMS and recognise(head).code == "unknown"
        for pattern, kinds in _HOLD
    )


def lacking_twins(written: Iterable[str], described: Iterable[str]) -> list[tuple[str, str]]:
    """Return (partition, its copy) where only the first is written of a boot chain's two.

    written: labels that get an image. described: all labels of the package. A phone takes the copy
    (`tzbak`, `tz_b`) when it chooses so, and then needs it to be of the same build.
    """
    have = {label.lower() for label in written}
    known = {label.lower() for label in described}
    slots = any(label.endswith("_b") for label in have)
    found = []
    for label in sorted(have):
        base = label.removesuffix("_a")
        if not _TWINS.fullmatch(base):
            continue
        twin = f"{base}_b" if base != label else f"{base}bak"
        if twin not in have and (twin in known or (base != label and slots)):
            found.append((label, twin))
    return found
