# SPDX-License-Identifier: BSD-3-Clause
"""What exists only once: found on the phone, saved before the first write, kept by default.

Calibration, identity, keys and lock state belong to one phone; another phone's copy, or a maker's
generic one, can cost it its network for good. So a plan leaves such partitions alone where they
hold anything that the package does not bring itself, unless the user names them.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from edl.chunks import read_all
from edl.device.phone import Phone
from edl.device.storage import Storage
from edl.errors import DeviceRefusedError, SafetyError
from edl.events import Emit, Stage, ignore
from edl.firehose.commands import Area
from edl.formats.gpt import Partition, safe_name
from edl.home import open_private
from edl.partitions import PartitionClass, classify
from edl.partitions import Severity as Worth
from edl.plan import nand, onnand
from edl.plan.home import make_folder, phone_folder
from edl.plan.model import (
    Erase,
    Finding,
    Plan,
    ReadOut,
    Severity,
    Step,
    Write,
    overlaps,
    plural,
    touched,
)
from edl.units import MIB, format_size

_log = logging.getLogger(__name__)

MAX_SAVED_BYTES = 128 * MIB  # the largest unique partition known (persist) has 64 MiB
_HEAD_SECTORS = {512: 34, 4096: 6}
_BLANK = (0x00, 0xFF)
_MAX_MANIFEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Unique:
    """A place on the phone that holds what exists only once."""

    area: Area
    name: str
    kind: PartitionClass


@dataclass
class Found:
    """What a look at the phone found. data: bytes by place; unreadable: places with the reason."""

    places: list[Unique] = field(default_factory=list)
    data: dict[Area, bytes] = field(default_factory=dict)
    unreadable: dict[Area, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved:
    """What was saved, and where. new: this run saved it, not an earlier one."""

    folder: Path
    names: tuple[str, ...]
    size_bytes: int
    new: bool


def look(plan: Plan, storage: Storage) -> Found:
    """Read everything on the phone that exists only once, as far as plan is concerned with its LUN.

    The phone's own partition tables say where it lies; on a LUN without one, the plan's labels do.
    """
    found = Found()
    for lun in sorted({step.area.lun for step in plan.steps}):
        found.places += _by_table(plan, storage, lun) or _by_labels(plan, lun)
    for place in found.places:
        if place.area.size_bytes > MAX_SAVED_BYTES:
            found.unreadable[place.area] = f"it is larger than {format_size(MAX_SAVED_BYTES)}"
            continue
        try:
            found.data[place.area] = _read(storage, place.area)
        except DeviceRefusedError as error:
            found.unreadable[place.area] = error.message
    return found


def _read(storage: Storage, area: Area) -> bytes:
    """Return what is there; on NAND with filler for blocks that cannot be read.

    Raises:
        DeviceRefusedError: it cannot be read.
    """
    pages = storage.phone.lun(area.lun).pages_per_block
    if pages is None:
        return storage.read(area)
    found = onnand.blocks(storage.phone.programmer, area, pages)
    filled = [bytes((nand.FILLER,)) * block.size_bytes if data is None else data
              for block, data in found]  # fmt: skip
    return b"".join(filled)


def _by_table(plan: Plan, storage: Storage, lun: int) -> list[Unique]:
    try:
        tables = storage.table(lun)
    except DeviceRefusedError as error:
        _log.info("no table of LUN %d: %s", lun, error)
        return []
    places = []
    disk = plan.geometry.luns.get(lun, 0)
    for partition in tables.partitions:
        kind = _kind(partition)
        area = Area(lun, partition.first_sector, partition.sectors, plan.geometry.sector_bytes)
        inside = partition.sectors > 0 and partition.last_sector < disk
        if inside and _concerns(kind, area, plan):
            places.append(Unique(area, partition.name, kind))
    return places


# Types that only partitions of one name have, in the tables of many makers (handbook 12): where
# modemst1 is called otherwise, it holds the same.
_TYPES = {
    UUID(text): name
    for text, name in (
        ("ebbeadaf-22c9-e33b-8f5d-0e81686a68cb", "modemst1"),
        ("0a288b1f-22c9-e33b-8f5d-0e81686a68cb", "modemst2"),
        ("638ff8e2-22c9-e33b-8f5d-0e81686a68cb", "fsg"),
        ("57b90a16-22c9-e33b-8f5d-0e81686a68cb", "fsc"),
        ("2290be64-22c9-e33b-8f5d-0e81686a68cb", "mdm1m9kefs1"),
        ("346c26d1-22c9-e33b-8f5d-0e81686a68cb", "mdm1m9kefs2"),
        ("bf64fb9c-22c9-e33b-8f5d-0e81686a68cb", "mdm1m9kefs3"),
        ("5cb43a64-22c9-e33b-8f5d-0e81686a68cb", "mdm1m9kefsc"),
        ("6c95e238-e343-4ba8-b489-8681ed22ad0b", "persist"),
        ("65addcf4-0c5c-4d9a-ac2d-d90b5cbfcd03", "devinfo"),
        ("91b72d4d-71e0-4cbf-9b8e-236381cff17a", "frp"),
        ("2c86e742-745e-4fdd-bfd8-b6a7ac638772", "ssd"),
        ("20a0c19c-286a-42fa-9ce7-f64c3226a794", "ddr"),
        ("a19f205f-ccd8-4b6d-8f1e-2d9bc24cffb1", "cdt"),
        ("10a0c19c-516a-5444-5ce3-664c3226a794", "limits"),
        ("4114b077-005d-4e12-ac8c-b493bda684fb", "dip"),
        ("e42e2b4c-33b0-429b-b1ef-d341c547022c", "spunvm"),
        ("1dd40d18-e3c8-11e0-a48c-c75729cde6e5", "utags"),
        ("459abd04-e62c-11e0-b630-001111ea6a40", "cid"),
        ("40aef62a-e62c-11e0-aec5-001111ea6a40", "sp"),
        ("b2d77ec0-8957-11e5-af63-feff819cdc9f", "hw"),
    )
}


def _kind(partition: Partition) -> PartitionClass:
    """Return what a partition holds, by its name; by its type where nobody knows the name."""
    kind = classify(partition.name)
    if kind.category == "unknown" and (name := _TYPES.get(partition.type_guid)) is not None:
        return classify(name)
    return kind


def _concerns(kind: PartitionClass, area: Area, plan: Plan) -> bool:
    """Tell whether a partition is worth saving: unique, or valuable and about to be changed."""
    if kind.severity is Worth.MUST_NEVER_CLONE:
        return True
    if kind.severity is not Worth.SHOULD_BE_BACKED_UP:
        return False
    return area.size_bytes <= 32 * MIB and any(overlaps(touched(step), area) for step in plan.steps)


def _by_labels(plan: Plan, lun: int) -> list[Unique]:
    return [
        Unique(step.area, step.label, kind)
        for step in plan.steps
        if step.area.lun == lun and not isinstance(step, ReadOut)
        if (kind := classify(step.label)).severity is Worth.MUST_NEVER_CLONE
    ]


# -- keeping ------------------------------------------------------------------------------------


def protect(plan: Plan, found: Found, overwrite: tuple[str, ...] = ()) -> Plan:
    """Return plan without the steps that would destroy what exists only once.

    overwrite: names (patterns) that the user insists on. A step that covers more than such a place
    cannot be left out silently: it becomes an error.
    """
    steps: list[Step] = []
    findings: list[Finding] = []
    kept: list[str] = []
    for step in plan.steps:
        hurt = [] if isinstance(step, ReadOut) else list(_hurt(step, found))
        insisted = [place for place in hurt if _named(place.name, overwrite)]
        hurt = [place for place in hurt if place not in insisted]
        findings += [_insisted(step, place) for place in insisted]
        if not hurt:
            steps.append(step)
        elif all(_within(touched(step), place.area) for place in hurt):
            kept += [place.name for place in hurt]
            findings.append(_kept(plan, step, hurt[0]))
        else:
            steps.append(step)
            findings.append(_covered(step, hurt))
    return replace(
        plan,
        steps=tuple(steps),
        kept=(*plan.kept, *dict.fromkeys(kept)),
        findings=(*plan.findings, *findings),
    )


def _hurt(step: Step, found: Found) -> Iterator[Unique]:
    for place in found.places:
        unique = place.kind.severity is Worth.MUST_NEVER_CLONE
        if (
            unique
            and overlaps(touched(step), place.area)
            and not _harmless(step, place.area, found)
        ):
            yield place


def _harmless(step: Step, area: Area, found: Found) -> bool:
    """Tell whether nothing is lost in area: each sector is blank or is what step writes anyway.

    So a first installation on an empty phone, and going on with an interrupted one, are not held
    up.
    """
    data = found.data.get(area)
    if data is None:
        return False
    unit = area.sector_bytes
    changed = touched(step)
    flash = isinstance(step, Write) and step.room is not None
    first = max(area.start_sector, changed.start_sector)
    end = min(area.start_sector + area.sectors, changed.start_sector + changed.sectors)
    there = data[(first - area.start_sector) * unit : (end - area.start_sector) * unit]
    if isinstance(step, Write) and not flash:
        start = (first - step.area.start_sector) * unit
        wanted = read_all(step.content, start, len(there))
    else:
        wanted = bytes(len(there))
    blanks = (*_BLANK, nand.FILLER) if flash else _BLANK
    for at in range(0, len(there), unit):
        sector = there[at : at + unit]
        blank = sector.count(sector[0]) == unit and sector[0] in blanks
        if not blank and sector != wanted[at : at + unit]:
            return False
    return True


def _named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _within(inner: Area, outer: Area) -> bool:
    return (
        outer.start_sector <= inner.start_sector
        and inner.start_sector + inner.sectors <= outer.start_sector + outer.sectors
    )


def _kept(plan: Plan, step: Step, place: Unique) -> Finding:
    do = "erase it" if isinstance(step, Erase) else "write the package's version"
    if plan.job == "write":
        do = "write it"
    return Finding(
        "unique-kept",
        Severity.WARNING,
        f"'{place.name}' is left as it is: {place.kind.reason}",
        getattr(step, "where", ""),
        f"To {do} all the same: --overwrite {place.name}",
    )


def _covered(step: Step, places: list[Unique]) -> Finding:
    names = ", ".join(place.name for place in places)
    verb = "erase" if isinstance(step, Erase) else "overwrite"
    do = "Erase" if isinstance(step, Erase) else "Write"
    return Finding(
        "unique-covered",
        Severity.ERROR,
        f"'{step.label}' would {verb} what exists only once on this phone: {names}.",
        getattr(step, "where", ""),
        f"{do} the partitions one by one; or insist with --overwrite NAME for each of them.",
    )


def _insisted(step: Step, place: Unique) -> Finding:
    done = "erased" if isinstance(step, Erase) else "overwritten"
    return Finding(
        "unique-overwritten",
        Severity.WARNING,
        f"'{place.name}' is {done}, as you asked: {place.kind.reason}",
        getattr(step, "where", ""),
    )


def require_readable(plan: Plan, found: Found) -> None:
    """Make sure that everything unique which plan changes has been read.

    Raises:
        SafetyError: something has not.
    """
    skips = plan.job not in {"write", "erase"}
    for place in found.places:
        reason = found.unreadable.get(place.area)
        changed = any(
            isinstance(step, Write | Erase) and overlaps(touched(step), place.area)
            for step in plan.steps
        )
        if reason is not None and changed:
            raise SafetyError(
                f"'{place.name}' exists only once and cannot be saved first: {reason}",
                remedies=(
                    *([f"Leave it out with --skip {place.name}."] if skips else []),
                    "If its content does not matter to you: --no-backup.",
                ),
            )


# -- saving -------------------------------------------------------------------------------------


def save(plan: Plan, storage: Storage, found: Found, emit: Emit = ignore) -> Saved | None:
    """Save partition tables and what exists only once to the user's data folder, once.

    Returns None if there is nothing to save. What an earlier run saved is not saved again.

    Raises:
        SafetyError: it cannot be saved.
    """
    items = {name: data for name, data in _items(plan, storage, found) if data.strip(b"\0\xff")}
    if not items:
        return None
    size = sum(map(len, items.values()))
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in items.items()}
    base = make_folder(phone_folder(storage.phone.serial))
    for folder in sorted(base.glob("saved-*"), reverse=True):
        if _digests(folder) == digests:
            return Saved(folder, tuple(items), size, new=False)
    emit(Stage("save", f"saving {plural(len(items), 'unique part')}, {format_size(size)}"))
    folder = _write(base, items, _manifest(items, digests, storage.phone))
    return Saved(folder, tuple(items), size, new=True)


def _items(plan: Plan, storage: Storage, found: Found) -> Iterator[tuple[str, bytes]]:
    """Yield a file name and its content for all that is to be saved."""
    taken: set[str] = set()
    for lun, start, name, data in _parts(plan, storage, found):
        full = f"lun{lun}-{safe_name(name)}"
        if full.lower() in taken:  # two partitions of one name, or the parts of a sparse image
            full += f"-{start}"
        taken.add(full.lower())
        yield f"{full}.bin", data


def _parts(plan: Plan, storage: Storage, found: Found) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield LUN, first sector, name and bytes: both partition tables, then the unique places."""
    unit = plan.geometry.sector_bytes
    span = _HEAD_SECTORS.get(unit, 34)
    for lun in sorted({step.area.lun for step in plan.steps}):
        total = plan.geometry.luns.get(lun, 0)
        if total <= 2 * span:
            continue
        tables = {
            "gpt-primary": Area(lun, 0, span, unit),
            "gpt-backup": Area(lun, total - span + 1, span - 1, unit),
        }
        if plan.geometry.pages_per_block is not None:
            tables = {
                each.name: Area(lun, each.first_sector, each.sectors, unit)
                for each in storage.table(lun).partitions
                if each.name.upper() == "MIBIB"
            }
        for name, area in tables.items():
            try:
                yield lun, area.start_sector, name, _read(storage, area)
            except DeviceRefusedError as error:
                _log.info("%s of LUN %d: %s", name, lun, error)
    for place in found.places:
        if place.area in found.data:
            yield place.area.lun, place.area.start_sector, place.name, found.data[place.area]


def _digests(folder: Path) -> dict[str, str] | None:
    try:
        with (folder / "manifest.json").open("rb") as file:
            data = json.loads(file.read(_MAX_MANIFEST_BYTES))
        return {str(name): str(entry["sha256"]) for name, entry in data["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _manifest(items: dict[str, bytes], digests: dict[str, str], phone: Phone) -> dict[str, object]:
    identity = phone.identity
    return {
        "version": 1,
        "made": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "serial": phone.serial,
        "hwid": None if identity.hwid is None else f"{identity.hwid:#018x}",
        "pk_hash": None if identity.pk_hash is None else identity.pk_hash.hex(),
        "memory": phone.programmer.memory,
        "sector_bytes": phone.sector_bytes,
        "files": {
            name: {"sha256": digests[name], "bytes": len(data)} for name, data in items.items()
        },
    }


def _write(base: Path, items: dict[str, bytes], manifest: dict[str, object]) -> Path:
    """Write items to a new folder that has its name only when all is on the disk.

    Nobody else may read it: it holds keys and identities.
    """
    name = f"saved-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}"
    partial = base / f".{name}.partial"
    text = json.dumps(manifest, indent=1) + "\n"
    try:
        partial.mkdir(mode=0o700)
        for item, data in (items | {"manifest.json": text.encode()}).items():
            with open_private(partial / item, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return partial.rename(base / name)
    except OSError as error:
        raise SafetyError(
            f"What exists only once could not be saved to {base}: {error.strerror}."
            " Nothing was written to the phone.",
            remedies=("Make room there, or set EDL_HOME to another folder.",),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
