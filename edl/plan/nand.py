# SPDX-License-Identifier: BSD-3-Clause
"""NAND in plans: whole erase blocks, bad ones among them, and bytes that stand for nothing.

A page cannot be written twice before its block is erased, and a bad block takes nothing: so a place
is erased as a whole and programmed in one go, by a programmer that steps over bad blocks. Where it
reads a block that it cannot or will not read, programmers and other tools put bytes 0xEE: written
back, such filler would stand in good blocks as if it were data (bkerler/edl#408, #663, #713).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from edl.chunks import Content, FileContent
from edl.firehose.commands import Area
from edl.plan.model import Erase, Finding, Geometry, Plan, Severity, Step, Write, plural, touched

FILLER = 0xEE


def mismatch(pages_per_block: int | None, geometry: Geometry) -> str:
    """Return why a row that counts in such blocks cannot be for storage of geometry, if so."""
    if pages_per_block is None:
        there = geometry.pages_per_block is not None
        return "The row is not for NAND flash, which this phone has." if there else ""
    if geometry.pages_per_block is None:
        return f"The row is for NAND flash; the storage of this phone is {geometry.memory}."
    if pages_per_block != geometry.pages_per_block:
        return (
            f"The row counts {pages_per_block} pages in an erase block; this chip has"
            f" {geometry.pages_per_block}."
        )
    return ""


def whole_blocks(pages: int, geometry: Geometry) -> int:
    """Return pages rounded up to whole erase blocks."""
    block = geometry.pages_per_block or 1
    return -(-pages // block) * block


def placed(plan: Plan, rooms: Iterable[Area]) -> Plan:
    """Return plan in which writes to the beginning of one of rooms may use all of it.

    Other writes have the erase blocks that they fill.
    """
    if plan.geometry.pages_per_block is None:
        return plan
    known = {(room.lun, room.start_sector): room for room in rooms}
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, Write) and step.room is None:
            area = step.area
            own = replace(area, sectors=whole_blocks(area.sectors, plan.geometry))
            step = replace(step, room=known.get((area.lun, area.start_sector), own))  # noqa: PLW2901
        steps.append(step)
    return replace(plan, steps=tuple(steps))


# -- before ---------------------------------------------------------------------------------------


def doubts(plan: Plan) -> Iterator[Finding]:
    """Yield what NAND would not take of plan, or what should not be written to it."""
    pages = plan.geometry.pages_per_block
    if pages is None:
        return
    for step in plan.steps:
        if isinstance(step, Write | Erase):
            yield from _unaligned(step, pages)
        if isinstance(step, Write):
            yield from _filled(step, pages)
    if plan.patches:
        yield Finding(
            "nand",
            Severity.ERROR,
            f"{plural(len(plan.patches), 'patch row')} change pages in place, which NAND cannot.",
            plan.patches[0].where,
            "Use an unchanged package: those for NAND patch files only.",
        )


def _unaligned(step: Write | Erase, pages: int) -> Iterator[Finding]:
    area = touched(step)
    if area.start_sector % pages or area.sectors % pages:
        yield Finding(
            "nand-unaligned",
            Severity.ERROR,
            f"{area.sectors} pages from {area.start_sector} on are no whole erase blocks of {pages}"
            " pages: what else lies in these blocks would be lost.",
            step.where,
            "Name a whole partition, or whole blocks.",
        )


def _filled(step: Write, pages: int) -> Iterator[Finding]:
    blocks = list(filler_blocks(step.content, pages * step.area.sector_bytes))
    if blocks:
        yield Finding(
            "nand-filler",
            Severity.ERROR,
            f"'{step.file or step.label}' has {plural(len(blocks), 'erase block')} of nothing but"
            f" bytes 0xEE (first: block {blocks[0]}): that is what programmers give for blocks that"
            " they cannot read, and no data.",
            step.where,
            "Restore a backup that edl has made (it knows which blocks were bad), or use the"
            " package of the modem's maker.",
        )


def told_of_filler(path: Path, area: Area, pages: int) -> str:
    """Return what people should know of an image that was read from area, if it has filler.

    Raises:
        ImageError: it cannot be read.
    """
    content = FileContent(path, 0, area.size_bytes, area.size_bytes)
    count = sum(1 for _ in filler_blocks(content, pages * area.sector_bytes))
    if not count:
        return ""
    return (
        f"{plural(count, 'erase block')} of {path} have only bytes 0xEE: bad blocks. To write it"
        " back, make a backup with edl backup instead: it knows them."
    )


def filler_blocks(content: Content, block_bytes: int) -> Iterator[int]:
    """Yield the numbers of the blocks in content that are nothing but filler.

    Raises:
        ImageError: it cannot be read.
    """
    for number in range(content.size_bytes // block_bytes):
        chunks = content.chunks(number * block_bytes, block_bytes)
        if all(is_filler(chunk) for chunk in chunks):
            yield number


def is_filler(data: bytes | memoryview) -> bool:
    """Tell whether data is nothing but filler."""
    return bytes(data).count(FILLER) == len(data)
