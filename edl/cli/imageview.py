# SPDX-License-Identifier: BSD-3-Clause
"""Images, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edl.cli.imagesource import Source
from edl.formats.gpt import Gpt, safe_name
from edl.formats.gptcheck import problems
from edl.formats.slots import active_of, active_slot
from edl.formats.super import Attributes
from edl.images.check import fingerprint
from edl.images.disk import LunImage
from edl.images.parts import Logical, Part
from edl.partitions import Severity, classify
from edl.plan.model import plural
from edl.units import format_size

_LEGEND = "* belongs to one phone alone: a copy of it does harm to every other phone"


def is_unique(name: str) -> bool:
    """Tell whether a partition of that name must never come from another phone."""
    return classify(name).severity is Severity.MUST_NEVER_CLONE


def shown(name: str) -> str:
    """Return name as it may reach a terminal."""
    return name if name.isprintable() else safe_name(name)


# -- info ------------------------------------------------------------------------------------------


def info_data(source: Source) -> dict[str, Any]:
    """Return what source is as JSON-able data."""
    opened = source.image.source
    backup = source.backup.manifest if source.backup else None
    return {
        "file": str(source.path),
        "kind": source.kind.code,
        "text": source.kind.text,
        "forms": list(opened.forms) if opened else [],
        "file_bytes": opened.file_bytes if opened else None,
        "bytes": source.size_bytes,
        "phone": backup.phone.serial if backup else None,
        "made": backup.made if backup else None,
        "active_slot": active_of(source.image.partitions()),
        "fingerprint": fingerprint(source.parts or source.luns),
        "luns": [_lun_data(number, lun) for number, lun in source.image.luns.items()],
        "super": _super_data(source.logical) if source.logical else None,
    }


def _lun_data(number: int, lun: LunImage) -> dict[str, Any]:
    table = lun.table
    return {
        "lun": number,
        "sectors": lun.sectors,
        "sector_bytes": lun.sector_bytes,
        "said_sectors": lun.said_sectors,
        "disk_guid": str(table.disk_guid) if table else None,
        "primary": _copy_data(lun.primary, lun),
        "backup": _copy_data(lun.backup, lun),
        "active_slot": active_slot(table) if table else None,
        "partitions": len(lun.partitions),
        "unique": [p.name for p in lun.partitions if is_unique(p.name)],
    }


def _copy_data(table: Gpt | None, lun: LunImage) -> dict[str, Any]:
    if table is None:
        return {"found": False, "problems": ["not found"]}
    return {
        "found": True,
        "header_crc_ok": table.header_crc_ok,
        "entries_crc_ok": table.entries_crc_ok,
        "problems": list(problems(table, lun.said_sectors)),
    }


def _super_data(logical: Logical) -> dict[str, Any]:
    found = logical.metadata
    return {
        "partitions": len(logical.parts),
        "slots": [
            {
                "slot": slot.number,
                "version": ".".join(map(str, slot.best.version)) if slot.best else None,
                "partitions": len(slot.best.partitions) if slot.best else 0,
                "problems": list(slot.problems),
            }
            for slot in found.slots
        ],
        "problems": list(found.problems),
        "empty": found.empty,
    }


def info_lines(source: Source, data: dict[str, Any]) -> Iterator[str]:
    """Yield what source is, for people."""
    packed = ""
    if data["forms"]:
        packed = f" ({', '.join(data['forms'])}: a file of {format_size(data['file_bytes'])})"
    yield f"{data['file']}: {format_size(data['bytes'])}, {data['text']}{packed}"
    if data["made"]:
        yield f"  phone         {data['phone'] or 'unknown'}, saved {data['made']}"
    if data["fingerprint"]:
        yield f"  build         {data['fingerprint']}"
    if data["active_slot"]:
        yield f"  active slot   {data['active_slot']}"
    if source.image.has_table or source.backup:
        for lun in data["luns"]:
            yield from _lun_lines(lun)
    if data["super"]:
        yield from _super_lines(data["super"])
    if source.super_problem:
        yield f"  super         cannot be understood: {source.super_problem}"
    if source.image.has_table:
        yield f"  next          edl image ls {data['file']}"


def _lun_lines(lun: dict[str, Any]) -> Iterator[str]:
    size = format_size(lun["sectors"] * lun["sector_bytes"])
    count = plural(lun["partitions"], "partition")
    yield f"  LUN {lun['lun']:<9} {size}, {lun['sector_bytes']}-byte sectors, {count}"
    said = lun["said_sectors"]
    if said is not None and said != lun["sectors"]:
        yield (
            f"    length      its partition table is for {format_size(said * lun['sector_bytes'])}:"
            f" {'it was cut off' if said > lun['sectors'] else 'there is more behind that'}"
        )
    for name in ("primary", "backup"):
        yield f"    {name:<11} {'; '.join(lun[name]['problems']) or 'sound'}"
    if lun["unique"]:
        yield f"    unique      {', '.join(map(shown, lun['unique']))}"


def _super_lines(data: dict[str, Any]) -> Iterator[str]:
    kind = "layout only" if data["empty"] else plural(data["partitions"], "logical partition")
    yield f"  super         {kind}, {plural(len(data['slots']), 'slot')}"
    for problem in (*data["problems"], *(p for slot in data["slots"] for p in slot["problems"])):
        yield f"                {problem}"


# -- ls --------------------------------------------------------------------------------------------


def part_data(part: Part) -> dict[str, Any]:
    """Return part as JSON-able data."""
    known = classify(part.name)
    partition, logical = part.partition, part.logical
    attributes = logical.attributes if logical else Attributes(0)
    return {
        "name": part.name,
        "label": part.label,
        "lun": part.lun,
        "first_sector": partition.first_sector if partition else None,
        "last_sector": partition.last_sector if partition else None,
        "bytes": part.size_bytes,
        "missing_bytes": part.missing_bytes,
        "category": known.category,
        "class": known.severity.value,
        "holds": part.kind.code,
        "text": part.kind.text,
        "slots": list(part.slots),
        "group": logical.group if logical else None,
        "attributes": [str(each.name).lower() for each in Attributes if each in attributes],
    }


def ls_lines(source: Source) -> Iterator[str]:
    """Yield the partitions of source, for people."""
    for number, lun in source.image.luns.items():
        own = [part for part in source.physical if part.lun == number]
        if own:
            size = format_size(lun.sectors * lun.sector_bytes)
            yield f"LUN {number}: {size}, {lun.sector_bytes}-byte sectors"
            yield "  first sector        size  kind           name                  holds"
            yield from (_part_line(part) for part in own)
    if source.logical is not None:
        yield from _logical_lines(source.logical)
    if any(is_unique(part.name) for part in source.parts):
        yield _LEGEND


def _part_line(part: Part) -> str:
    first = part.partition.first_sector if part.partition else 0
    mark = "*" if is_unique(part.name) else " "
    return (
        f"  {first:>12} {format_size(part.size_bytes):>11} {mark}"
        f"{classify(part.name).category:<14} {shown(part.name):<20}  {_holds(part)}"
    )


def _holds(part: Part) -> str:
    cut = part.missing_bytes
    if 0 < cut < part.size_bytes:
        return f"{part.kind.text}; the last {format_size(cut)} are missing"
    return part.kind.text


def _logical_lines(logical: Logical) -> Iterator[str]:
    holder = f" (in {shown(logical.holder.name)})" if logical.holder else ""
    yield f"super: logical partitions{holder}"
    yield "  slots               size  group          name                  holds"
    for part in sorted(logical.parts, key=lambda each: (each.slots, each.name)):
        slots = ",".join(map(str, part.slots))
        group = part.logical.group if part.logical else ""
        yield (
            f"  {slots:<12} {format_size(part.size_bytes):>11}  {shown(group):<14}"
            f" {shown(part.name):<20}  {_holds(part)}{_said(part)}"
        )


def _said(part: Part) -> str:
    wanted = Attributes.UPDATED | Attributes.DISABLED
    told = (part.logical.attributes if part.logical else Attributes(0)) & wanted
    words = [str(each.name).lower() for each in Attributes if each in told]
    return f" ({', '.join(words)})" if words else ""


# -- diff ------------------------------------------------------------------------------------------


def diff_lines(row: dict[str, Any]) -> Iterator[str]:
    """Yield what a comparison of one part came to, for people."""
    state = {"same": "same", "only first": "ONLY 1ST", "only second": "ONLY 2ND"}
    word = state.get(row["state"], str(row["state"]).upper())
    mark = "*" if row["unique"] else " "
    lun = "" if row["lun"] is None else f"{row['lun']}/"
    told = [row["problem"]] if row["problem"] else []
    if row["different_blocks"]:
        told.append(
            f"{row['different_blocks']} of {row['blocks']} MiB differ, from byte"
            f" {row['first_byte']} on"
        )
    yield f"  {word:<10}{mark}{lun}{shown(row['label']):<24} {'; '.join(told)}".rstrip()
