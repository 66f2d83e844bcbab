# SPDX-License-Identifier: BSD-3-Clause
"""The partition table of a NAND chip, for people."""

from __future__ import annotations

from edl.device.storage import Tables
from edl.formats.gpt import safe_name
from edl.units import format_size


def lines(tables: Tables, pages: int, page_bytes: int, pages_per_block: int) -> list[str]:
    """Return the table of a chip with that many pages, in erase blocks as modem makers count."""
    size, block = format_size(pages * page_bytes), format_size(pages_per_block * page_bytes)
    told = [
        f"LUN {tables.lun}: {size}, pages of {page_bytes} bytes, {pages_per_block} in an erase"
        f" block ({block})"
    ]
    table = tables.flash
    if table is None:
        return [*told, "  MIBIB: not found"]
    state = {True: "sound", False: "its checksum does not fit", None: "it has no checksum"}
    age = "" if table.age is None else f", age {table.age}"
    told.append(f"  MIBIB: {state[table.checksum_ok]} (version {table.version}{age})")
    told.append("   #  first block  last block  first sector        size  name")
    for each in tables.partitions:
        first, last = each.first_sector // pages_per_block, each.last_sector // pages_per_block
        told.append(
            f"{each.number:>4} {first:>12} {last:>11} {each.first_sector:>13}"
            f" {format_size(each.sectors * page_bytes):>11}  {_shown(each.name)}"
        )
    return told


def _shown(name: str) -> str:
    return name if name.isprintable() else safe_name(name)
