# SPDX-License-Identifier: BSD-3-Clause
"""Which partitions of a phone make up its boot chain, as its own tables have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

from edl.boot.model import Link, base
from edl.boot.tables import FIRST_STAGE_TYPE, Layout
from edl.firehose.commands import Area
from edl.formats import slots
from edl.formats.gpt import Partition
from edl.plan.model import Finding, Severity

_LONGEST_NAME = 72
_FIRST_STAGE = "first-stage"
_PROBE_ORDER = ("xbl", "sbl1")


def links(layout: Layout, sector_bytes: int) -> list[Link]:
    """Return the boot chain that the phone takes, in the order of the table of roles.

    Of slots it is the active one's; on UFS the first boot loader is that of the boot LUN.
    """
    first = first_stage(layout)
    found = [] if first is None else [_link(*first, sector_bytes, role=_FIRST_STAGE)]
    for lun, partition in layout.partitions:
        link = _link(lun, partition, sector_bytes)
        if link.role and link.role != _FIRST_STAGE and _meant(layout, partition):
            found.append(link)
    order = [role for _, role, _, _ in _rows()]
    return sorted(found, key=lambda link: order.index(link.role))


def other_first_stages(layout: Layout, sector_bytes: int) -> list[Link]:
    """Return the first boot loaders of a UFS phone on LUNs that it may be set to instead."""
    if not layout.ufs or layout.lun_known:
        return []
    return [
        _link(lun, partition, sector_bytes, role=_FIRST_STAGE)
        for lun, partition in layout.partitions
        if lun in slots.BOOT_LUNS.values()
        and lun != layout.boot_lun
        and base(partition.name) in _PROBE_ORDER
    ]


def first_stage(layout: Layout) -> tuple[int, Partition] | None:
    """Return the partition that the boot ROM starts, with its LUN; by its type, else by its name.

    quirk: some tables give the type to both slots; the ROM takes the first.
    """
    here = [(lun, each) for lun, each in layout.partitions if lun == layout.boot_lun]
    for lun, partition in here:
        if partition.type_guid == FIRST_STAGE_TYPE:
            return lun, partition
    for name in _PROBE_ORDER:
        named = [(lun, each) for lun, each in here if base(each.name) == name]
        meant = [pair for pair in named if _meant(layout, pair[1])]
        if named:
            return next(iter(meant or named))
    return None


def missing(layout: Layout, found: list[Link]) -> Iterator[Finding]:
    """Yield which parts of a boot chain the phone's own table does not have."""
    if not any(link.role == _FIRST_STAGE for link in found):
        where = f"LUN {layout.boot_lun}, which the phone boots from," if layout.ufs else "The phone"
        yield Finding(
            "no-first-stage",
            Severity.ERROR,
            f"{where} has no partition for the first boot loader (xbl or sbl1).",
            remedy="Write the whole package, tables included: edl rawprogram ROM",
        )
        return
    if not any(link.role == "boot-loader" for link in found):
        yield Finding(
            "no-boot-loader",
            Severity.WARNING,
            "The table has no partition for the second boot loader (aboot, abl or uefi).",
            remedy="If it is a phone with Android: write the whole package, tables included.",
        )


def named(layout: Layout, name: str, sector_bytes: int) -> Link | None:
    """Return the partition of that base name that the phone uses, or None."""
    for lun, partition in layout.partitions:
        if base(partition.name) == name and partition.sectors and _meant(layout, partition):
            return _link(lun, partition, sector_bytes)
    return None


def is_link(name: str) -> bool:
    """Tell whether a partition of that name takes part in a start: boot images, their metadata."""
    plain = base(name)
    return plain.startswith("vbmeta") or any(pattern.fullmatch(plain) for pattern, *_ in _rows())


def _meant(layout: Layout, partition: Partition) -> bool:
    """Tell whether a partition is of the slot that the phone starts, or of none."""
    name = partition.name.lower()
    if not name.endswith(("_a", "_b")):
        return True
    other = f"{name[:-1]}{'b' if name.endswith('a') else 'a'}"
    if not any(each.name.lower() == other for _, each in layout.partitions):
        return True
    return name[-1] == (layout.slot or "a")


def _link(lun: int, partition: Partition, sector_bytes: int, role: str = "") -> Link:
    area = Area(lun, partition.first_sector, partition.sectors, sector_bytes)
    name = partition.name[:_LONGEST_NAME]
    for pattern, known, weight, what in _rows():
        if pattern.fullmatch(base(name)):
            return Link(lun, name, area, role or known, weight, what)
    if role:  # called otherwise, but of its type
        return Link(lun, name, area, role, "needed", "first boot loader")
    return Link(lun, name, area, "", "optional", "")


@cache
def _rows() -> tuple[tuple[re.Pattern[str], str, str, str], ...]:
    text = resources.files("edl.data").joinpath("boot_chain.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple((re.compile(pattern), role, weight, what) for pattern, role, weight, what in rows)
