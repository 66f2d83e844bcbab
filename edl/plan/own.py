# SPDX-License-Identifier: BSD-3-Clause
"""What exists only once, in this phone's old backups: read, and told apart by content.

Parts of the radio's store belong together (fsc says which of the others is valid), so they are
always taken from one backup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edl.chunks import FileContent
from edl.contents import is_blank
from edl.device.storage import Storage
from edl.errors import DocumentError, ImageError
from edl.files import on_disk
from edl.formats import gpt
from edl.formats.gpt import Gpt, Partition, safe_name
from edl.formats.manifest import Kind, Owner, StorageRecord
from edl.partitions import Severity, classify
from edl.plan.dump import Dump, DumpLun, Part, content_digest, sized
from edl.plan.foreign import on_phone
from edl.units import GIB, MIB

_MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = MIB
_MAX_LUNS = 256
_RADIO = "radio-nv"
_NOT_SAVED = "only what exists only once was saved"

Holds = frozenset[tuple[int, str, bytes]]  # LUN, name, SHA-256


@dataclass(frozen=True)
class Version:
    """One state of what exists only once. others: older backups with nothing that differs."""

    dump: Dump
    holds: Holds
    others: int = 0


def is_saved(folder: Path) -> bool:
    """Tell whether a job saved what exists only once to folder (plan.unique)."""
    return (folder / _MANIFEST).is_file() and isinstance(_manifest(folder).get("files"), dict)


def _manifest(folder: Path) -> dict[str, object]:
    try:
        with (folder / _MANIFEST).open("rb") as file:
            data = json.loads(file.read(_MAX_MANIFEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def saved_dump(folder: Path) -> Dump:
    """Return what a job saved to folder before it changed the phone.

    Raises:
        DocumentError: its manifest cannot be understood.
        ImageError: a file cannot be read.
    """
    data = _manifest(folder)
    try:
        digests = {
            _plain(name): bytes.fromhex(entry["sha256"])
            for name, entry in data["files"].items()  # type: ignore[attr-defined]
        }
        hwid, pk_hash, serial = data["hwid"], data["pk_hash"], data["serial"]
        unit = {512: 512, 4096: 4096}[data["sector_bytes"]]  # type: ignore[index]
        owner = Owner(
            None if serial == "unknown" else f"{int(str(serial), 16):08x}",
            int(str(hwid), 16) if hwid else None,
            bytes.fromhex(str(pk_hash)) if pk_hash else None,
        )
        made, memory = str(data["made"]), str(data["memory"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DocumentError(f"{folder / _MANIFEST} cannot be understood.") from error
    luns = tuple(lun for number in range(_MAX_LUNS) if (lun := _lun(folder, number, unit, digests)))
    files = tuple(on_disk(folder / name) for name in (_MANIFEST, *digests))
    storage = StorageRecord(memory, unit, block_bytes=GIB)
    return Dump(str(folder), owner, storage, luns, files, made)


def _plain(name: str) -> str:
    """Return name if it is that of a file in the folder itself.

    Raises:
        ValueError: it is not; somebody has edited the manifest.
    """
    if name in {"", ".."} or "\0" in name or Path(name).name != name:
        raise ValueError(name)
    return name


def _lun(folder: Path, number: int, unit: int, digests: dict[str, bytes]) -> DumpLun | None:
    """Return what was saved of a LUN; its table, which was saved too, says where it belongs."""
    table = _table(folder, number, unit, digests)
    if table is None:
        return None
    parts = tuple(_part(folder, number, each, unit, digests) for each in sized(table))
    sectors = max(table.header.my_sector, table.header.alternate_sector) + 1
    return DumpLun(number, sectors, parts, table)


def _table(folder: Path, number: int, unit: int, digests: dict[str, bytes]) -> Gpt | None:
    for name, backup in (("gpt-primary", False), ("gpt-backup", True)):
        file = f"lun{number}-{name}.bin"
        if file in digests:
            try:
                data = (folder / file).read_bytes()
                return gpt.parse(data, unit, backup=backup)
            except OSError as error:
                raise ImageError(f"{folder / file} cannot be read: {error.strerror}.") from error
            except DocumentError:
                continue
    return None


def _part(
    folder: Path, number: int, partition: Partition, unit: int, digests: dict[str, bytes]
) -> Part:
    base = f"lun{number}-{safe_name(partition.name)}"
    first, sectors = partition.first_sector, partition.sectors
    for file in (f"{base}-{first}.bin", f"{base}.bin"):
        size = sectors * unit
        path = folder / file
        if file in digests and path.is_file() and path.stat().st_size == size:
            content = FileContent(path, 0, size, size)
            return Part(
                number, Kind.PARTITION, partition.name, first, sectors, content, "",
                (digests[file],),
            )  # fmt: skip
    return Part(number, Kind.PARTITION, partition.name, first, sectors, None, _NOT_SAVED)


def versions(dumps: Iterable[Dump]) -> list[Version]:
    """Return the states of what exists only once that dumps hold, the newest first.

    A dump that holds nothing else than a newer one, or less, is no state of its own.
    """
    found: list[Version] = []
    for dump in sorted(dumps, key=lambda dump: dump.made, reverse=True):
        holds = _holds(dump)
        if not holds:
            continue
        known = next((i for i, each in enumerate(found) if holds <= each.holds), None)
        if known is not None:
            same = found[known]
            found[known] = Version(same.dump, same.holds, same.others + 1)
        else:
            contained = [each for each in found if each.holds <= holds]
            found = [each for each in found if each not in contained]
            others = sum(each.others + 1 for each in contained)
            found.append(Version(dump, holds, others))
    return found


def merged(found: Sequence[Version]) -> Dump | None:
    """Return one dump with all that is in found, if nothing in it contradicts anything else.

    Each job saves only what lies on the LUNs that it changes, so that several may have saved parts
    of one state. None if they differ, or hold several parts of the radio's store.
    """
    first = found[0].dump
    dumps = [version.dump for version in found]
    holds = frozenset().union(*(version.holds for version in found))
    names = [(lun, name) for lun, name, _ in holds]
    radio = {hold for hold in holds if classify(hold[1]).category == _RADIO}
    if (
        len(set(names)) < len(names)
        or not any(radio <= version.holds for version in found)
        or any((each.owner, each.storage) != (first.owner, first.storage) for each in dumps)
    ):
        return None
    luns: dict[int, DumpLun] = {}
    for lun in (lun for each in dumps for lun in each.luns):
        joined = _joined(luns.get(lun.lun), lun)
        if joined is None:
            return None
        luns[lun.lun] = joined
    return replace(
        first,
        title=" + ".join(Path(each.title).name for each in dumps),
        luns=tuple(luns[number] for number in sorted(luns)),
        files=tuple(file for each in dumps for file in each.files),
    )


def _joined(one: DumpLun | None, other: DumpLun) -> DumpLun | None:
    """Return a LUN with the parts of both, or None if their tables have them elsewhere."""
    if one is None:
        return other
    places = [[(p.name, p.start_sector, p.sectors) for p in lun.parts] for lun in (one, other)]
    if places[0] != places[1]:
        return None
    parts = zip(one.parts, other.parts, strict=True)
    return replace(one, parts=tuple(a if a.content is not None else b for a, b in parts))


def differing(version: Version, storage: Storage) -> tuple[str, ...]:
    """Return the names of what the phone does not have now as version has it."""
    held = {(lun, name): digest for lun, name, digest in version.holds}
    return tuple(
        part.name
        for part in version.dump.parts()
        if (digest := held.get((part.lun, part.name))) and on_phone(part, storage) != digest
    )


def _holds(dump: Dump) -> Holds:
    """Return what dump holds that exists only once and is not blank."""
    return frozenset(
        (part.lun, part.name, content_digest(part.content))
        for part in dump.parts()
        if part.kind is Kind.PARTITION and part.content is not None
        if classify(part.name).severity is Severity.MUST_NEVER_CLONE
        if not is_blank(part.content, 0, part.content.size_bytes)
    )
