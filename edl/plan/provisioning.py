# SPDX-License-Identifier: BSD-3-Clause
"""A new layout for a UFS device beside the one that it has, and what speaks against it.

Nothing here talks to a phone. How large LUNs become, what memory of the enhanced types costs and
what the lock means is in JESD220 ("Configuration Descriptor", "Geometry Descriptor").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edl.device.ufs import UfsDevice, UfsLun
from edl.formats.provision import Layout, LunRow
from edl.plan.model import Finding, Severity
from edl.units import format_size

_MEMORY_TYPES = ("normal", "system code", "non-persistent", *(f"enhanced {n}" for n in range(1, 5)))
_PROTECTION = ("no", "until power-off", "for ever")
_TOLD_BY = {  # what of a row a programmer tells of a LUN
    "bBootLunID": "boot_id",
    "bMemoryType": "memory_type",
    "bLUWriteProtect": "write_protect",
    "bProvisioningType": "provisioning_type",
}


@dataclass(frozen=True)
class Storage:
    """What the phone has now.

    luns: those that were asked for, by number. generation, knows: of its programmer; knows: it
    lists the command, None where it lists nothing.
    """

    device: UfsDevice = field(default_factory=UfsDevice)
    luns: Mapping[int, UfsLun] = field(default_factory=dict)
    generation: int = 3
    knows: bool | None = True


@dataclass(frozen=True)
class Change:
    """One LUN, as it is and as it becomes.

    now_bytes: None where there is none, or its size is not known. then_bytes: 0 if there will be
    none; None for the one that grows where nobody knows how much is left. odd: what is not as it
    was, besides the size.
    """

    lun: int
    now_bytes: int | None
    then_bytes: int | None
    grows: bool
    row: LunRow | None
    odd: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether it stays as it is."""
        now, then = self.now_bytes or 0, self.then_bytes
        return not self.odd and then is not None and now == then


@dataclass(frozen=True)
class Provisioning:
    """A layout for one phone. finalize: it shall be locked for ever."""

    layout: Layout
    storage: Storage
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    finalize: bool

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop it."""
        return tuple(each for each in self.findings if each.severity is Severity.ERROR)

    @property
    def same(self) -> bool:
        """Whether the phone is known to be divided so already."""
        return bool(self.storage.luns) and all(each.same for each in self.changes)

    @property
    def loses(self) -> bool:
        """Whether there may be data that it would destroy."""
        return not self.storage.device.unprovisioned


def provisioning(layout: Layout, storage: Storage, *, finalize: bool) -> Provisioning:
    """Return what layout would do to storage, with all that speaks against it."""
    changes = tuple(_changes(layout, storage))
    findings = [*_programmer_findings(storage), *_lock_findings(layout, storage, finalize)]
    findings += _size_findings(layout, storage.device)
    findings += [
        Finding("provision-doubt", Severity.WARNING, text, where=layout.name)
        for text in layout.warnings
    ]
    return Provisioning(layout, storage, changes, tuple(findings), finalize)


def _changes(layout: Layout, storage: Storage) -> Iterator[Change]:
    rows = {row.lun: row for row in layout.enabled}
    for lun in sorted({*rows, *storage.luns}):
        now, row = storage.luns.get(lun), rows.get(lun)
        grows = row is not None and lun == layout.grows
        then = 0 if row is None else _size(row, layout, storage.device)
        odd = () if now is None or row is None else tuple(_odd(now, row))
        yield Change(lun, now.size_bytes if now else None, then, grows, row, odd)


def _odd(now: UfsLun, row: LunRow) -> Iterator[str]:
    for name, told in _TOLD_BY.items():
        value = getattr(now, told)
        if value is not None and value != row.values[name]:
            yield f"{name} {value} -> {row.values[name]}"


def _size(row: LunRow, layout: Layout, device: UfsDevice) -> int | None:
    """Return how large the LUN becomes, or None if that is not known."""
    kind, unit = row.values["bMemoryType"], device.unit_bytes or 1
    asked = -(-row.size_bytes // unit) * unit
    if row.lun != layout.grows:
        return asked
    if device.capacity_bytes is None:
        return None
    left = device.capacity_bytes - sum(
        device.takes(other.size_bytes, other.values["bMemoryType"])
        for other in layout.enabled
        if other is not row
    )
    return max(asked, device.gives(left, kind))


def _programmer_findings(storage: Storage) -> Iterator[Finding]:
    if storage.generation == 1:
        yield Finding(
            "pretends",
            Severity.ERROR,
            "This programmer (generation 1) says yes to provisioning and does nothing.",
            remedy="Use a programmer of a later generation, if there is one for this phone.",
        )
    elif storage.knows is False:
        yield Finding(
            "no-ufs-command",
            Severity.ERROR,
            "This programmer has no command for provisioning (<ufs>).",
            remedy="Use another programmer for exactly this phone: edl loaders match.",
        )
    elif not storage.device.is_told:
        yield Finding(
            "not-told",
            Severity.WARNING,
            "This programmer does not tell about the storage: its size, layout and lock are not"
            " known, and nothing is compared.",
        )


def _lock_findings(layout: Layout, storage: Storage, finalize: bool) -> Iterator[Finding]:
    where = f"{layout.name}:{layout.device.line}"
    if storage.device.locked:
        yield Finding(
            "layout-locked",
            Severity.ERROR,
            "The layout of this storage was made final (bConfigDescrLock=1): it never changes"
            " again.",
            remedy="Use a package that was made for the layout that there is (edl info).",
        )
    if layout.locks and not finalize:
        yield Finding(
            "locks",
            Severity.ERROR,
            "The file makes the layout final for ever (bConfigDescrLock=1), and that was not asked"
            " for.",
            where=where,
            remedy='Put bConfigDescrLock="0" into the file: phones need no lock. If you must: add'
            " --finalize.",
        )
    if finalize and not layout.locks:
        yield Finding(
            "does-not-lock",
            Severity.ERROR,
            "--finalize was given, but the file leaves the layout open (bConfigDescrLock=0).",
            where=where,
            remedy="Leave --finalize out.",
        )


def _size_findings(layout: Layout, device: UfsDevice) -> Iterator[Finding]:
    taken = 0
    for row in layout.enabled:
        kind, where = row.values["bMemoryType"], f"{layout.name}:{row.line}"
        taken += device.takes(row.size_bytes, kind)
        if not device.has_memory(kind):
            yield Finding(
                "no-such-memory",
                Severity.ERROR,
                f"LUN {row.lun} wants {_MEMORY_TYPES[kind]} memory, which this storage does not"
                " have.",
                where=where,
                remedy="Use the file that was made for exactly this model and storage chip.",
            )
        if device.unit_bytes and row.size_bytes % device.unit_bytes:
            unit = format_size(device.unit_bytes)
            yield Finding(
                "rounded",
                Severity.INFO,
                f"LUN {row.lun} becomes larger than the {format_size(row.size_bytes)} in the file:"
                f" this storage divides by {unit}.",
                where=where,
            )
    if device.capacity_bytes is not None and taken > device.capacity_bytes:
        yield Finding(
            "too-large",
            Severity.ERROR,
            f"The LUNs take {format_size(taken)}, the storage has"
            f" {format_size(device.capacity_bytes)}.",
            where=layout.name,
            remedy="Use the file for the variant of the phone with this much storage.",
        )


def differences(wanted: Provisioning, now: Mapping[int, UfsLun]) -> tuple[str, ...]:
    """Return in which points a phone that was provisioned is not as wanted; none: it is verified.

    now: its LUNs after the restart.
    """
    found: list[str] = []
    exact = wanted.storage.device.unit_bytes is not None  # else nobody knows how it is rounded
    for change in wanted.changes:
        row, lun = change.row, now.get(change.lun)
        if row is None and lun is not None:
            found.append(f"LUN {change.lun} is still there")
        elif row is not None and (lun is None or not lun.size_bytes):
            found.append(f"LUN {change.lun} is not there")
        elif row is not None and lun is not None:
            found += _not_as(lun, row, change, exact=exact)
    return tuple(found)


def _not_as(lun: UfsLun, row: LunRow, change: Change, *, exact: bool) -> Iterator[str]:
    size = lun.size_bytes or 0
    if size != change.then_bytes if exact and not change.grows else size < row.size_bytes:
        yield f"LUN {row.lun} has {format_size(size)}"
    for text in _odd(lun, row):
        yield f"LUN {row.lun}: {text}"


def as_rows(wanted: Provisioning) -> list[dict[str, Any]]:
    """Return the LUNs as JSON-able data."""
    return [
        {
            "lun": each.lun,
            "now_bytes": each.now_bytes,
            "bytes": each.then_bytes,
            "grows": each.grows,
            "boot": each.row.values["bBootLunID"] if each.row else 0,
            "memory": _MEMORY_TYPES[each.row.values["bMemoryType"]] if each.row else None,
            "write_protect": _PROTECTION[each.row.values["bLUWriteProtect"]] if each.row else None,
            "about": each.row.about if each.row else "",
            "odd": list(each.odd),
        }
        for each in wanted.changes
    ]
