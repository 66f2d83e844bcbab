# SPDX-License-Identifier: BSD-3-Clause
"""Which of a folder's rawprogram and patch files belong together.

A folder often holds several sets for the same disk, some of which empty it. Taking all of them, as
`rawprogram*.xml` does, writes everything twice or destroys the phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from edl.errors import PackageError


class Kind(StrEnum):
    """What a file of a package is for, by its name."""

    NORMAL = "normal"
    UNSPARSE = "unsparse"
    KEEPING = "keeping"
    UPGRADE = "upgrade"
    PARTIAL = "partial"
    LOCK = "lock"
    FLASH = "flash"
    FLASH_UPDATE = "flash-update"
    PATCH = "patch"
    BLANK = "blank"
    WIPE = "wipe"
    PHY_WIPE = "phy-wipe"
    ERASE = "erase"
    OTHER = "other"


@dataclass(frozen=True)
class NameClass:
    """What a file name says: the kind of file, and the LUN in the name (None: no number)."""

    kind: Kind
    lun: int | None


_NAMES = tuple(
    (kind, re.compile(pattern, re.IGNORECASE | re.ASCII))
    for kind, pattern in (
        (Kind.NORMAL, r"rawprogram([0-9]{1,3})?\.xml"),
        (Kind.UNSPARSE, r"rawprogram([0-9]{1,3})?[_-]?unsparse[_-]?([0-9]{1,3})?\.xml"),
        # Lenovo's: persist left alone; some partitions only; the lock state written too
        (Kind.KEEPING, r"rawprogram([0-9]{1,3})?_save_persist_unsparse[_-]?([0-9]{1,3})?\.xml"),
        (Kind.PARTIAL, r"rawprogram.*?([0-9]{1,3})?[_-]half\.xml"),
        (Kind.LOCK, r"rawprogram.*?([0-9]{1,3})?_write_devinfo\.xml"),
        (Kind.UPGRADE, r"rawprogram([0-9]{1,3})?[_-](?:upgrade|update)[_-]?([0-9]{1,3})?\.xml"),
        # modems with NAND; named after the size of its pages and erase blocks
        (Kind.FLASH, r"rawprogram_nand_p[0-9]{1,2}K_b[0-9]{1,4}K\.xml"),
        (Kind.FLASH_UPDATE, r"rawprogram_nand_p[0-9]{1,2}K_b[0-9]{1,4}K_update\.xml"),
        (Kind.PATCH, r"patch([0-9]{1,3})?\.xml"),
        (Kind.PATCH, r"patch_p[0-9]{1,2}K_b[0-9]{1,4}K\.xml"),
        (Kind.BLANK, r"rawprogram([0-9]{1,3})?_BLANK(?:_GPT)?\.xml"),
        (Kind.WIPE, r"rawprogram([0-9]{1,3})?_WIPE(?:_PARTITIONS)?\.xml"),
        (Kind.PHY_WIPE, r"wipe_rawprogram_PHY([0-9]{1,3})\.xml"),
        (Kind.ERASE, r"(?:.*[_-])?erase(?:[_-].*)?([0-9]{1,3})?\.xml"),
    )
)


def classify_name(filename: str) -> NameClass:
    """Return what filename (without a folder) says about a rawprogram or patch file."""
    for kind, pattern in _NAMES:
        if match := pattern.fullmatch(filename):
            digits = next((group for group in match.groups() if group), None)
            return NameClass(kind, int(digits) if digits else None)
    return NameClass(Kind.OTHER, None)


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Selection:
    """The files of a folder that belong together, each set in the order of the LUNs."""

    rawprograms: tuple[str, ...]
    patches: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


_NEVER = {
    Kind.PARTIAL: "it writes a part of the partitions only",
    Kind.LOCK: "it writes devinfo, which holds the phone's lock and region",
    Kind.UPGRADE: "it is for upgrades, which were not asked for",
    Kind.BLANK: "it empties the partition table, so that the phone no longer starts",
    Kind.WIPE: "it overwrites every partition, calibration and identity of the phone included",
    Kind.PHY_WIPE: "it overwrites the partition tables",
    Kind.ERASE: "it erases",
    Kind.OTHER: "its name does not say that it belongs to a complete set",
}
_RELATED = re.compile(r".*(?:rawprogram|patch).*\.(?:xml|xtt|x)", re.IGNORECASE)


def select(names: Iterable[str], *, upgrade: bool = False) -> Selection:
    """Return the one right set of rawprogram and patch files among names, those of a folder.

    For each LUN one file is right: the set of raw pieces (unsparse) before the one that names
    sparse images, before both the one that leaves persist alone, and with upgrade the one that
    keeps user data before all. Files that blank, wipe or erase, that write a part only, or the
    lock state, are never chosen. A name without a number counts as LUN 0, after one with it.

    Raises:
        PackageError: two files are equally right, or upgrade was asked for and there is none.
    """
    ranks = [Kind.NORMAL, Kind.UNSPARSE, Kind.KEEPING, Kind.FLASH_UPDATE, Kind.FLASH]
    ranks += [Kind.UPGRADE] if upgrade else []
    rawprograms: list[_Rival] = []
    patches: list[_Rival] = []
    left_out: list[LeftOut] = []
    for name in sorted(names):
        named = classify_name(name)
        if named.kind in ranks:
            rank = ranks.index(named.kind)
            rawprograms.append(_Rival(named.lun or 0, rank, named.lun is not None, name))
        elif named.kind is Kind.PATCH:
            patches.append(_Rival(named.lun or 0, 0, named.lun is not None, name))
        elif named.kind is not Kind.OTHER or _RELATED.fullmatch(name):
            left_out.append(LeftOut(name, _NEVER[named.kind]))
    chosen = _choose(rawprograms, left_out)
    if upgrade and not any(rival.rank == ranks.index(Kind.UPGRADE) for rival in chosen):
        raise PackageError("The folder has no rawprogram file for an upgrade.")
    patching = _choose(patches, left_out)
    # A rawprogram file without a number in its name may hold the rows of any LUN.
    if all(rival.numbered for rival in chosen):
        luns = {rival.lun for rival in chosen}
        left_out += [
            LeftOut(rival.name, f"there is no rawprogram file for LUN {rival.lun}")
            for rival in patching
            if rival.lun not in luns
        ]
        patching = [rival for rival in patching if rival.lun in luns]
    return Selection(
        tuple(rival.name for rival in chosen),
        tuple(rival.name for rival in patching),
        tuple(left_out),
    )


@dataclass(frozen=True, order=True)
class _Rival:
    """A file that competes for a LUN; the greatest wins."""

    lun: int
    rank: int
    numbered: bool
    name: str


def _choose(rivals: Iterable[_Rival], left_out: list[LeftOut]) -> list[_Rival]:
    """Return the best of each LUN, ordered by LUN, and note the others as left out."""
    chosen: list[_Rival] = []
    for rival in sorted(rivals, reverse=True):
        if not chosen or rival.lun != chosen[-1].lun:
            chosen.append(rival)
            continue
        best = chosen[-1]
        if (rival.rank, rival.numbered) == (best.rank, best.numbered):
            raise PackageError(
                f"'{rival.name}' and '{best.name}' are both for LUN {rival.lun}: use only one."
            )
        left_out.append(LeftOut(rival.name, f"'{best.name}' takes its place"))
    return chosen[::-1]
