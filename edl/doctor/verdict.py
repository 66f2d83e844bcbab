# SPDX-License-Identifier: BSD-3-Clause
"""The storage's state in one sentence, weighed from what was seen.

A phone does not start because its flash is worn out, or because wrong data is on it: only the
second can be mended with a ROM. So the verdict never rests on one sign where two can be had.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edl.device.health import Health
from edl.doctor.surface import Spot, State, Surface
from edl.units import format_size

_MOST_RANGES = 5
_FIX = "A ROM can mend what is wrong on it: 'edl check ROM_FOLDER', then 'edl rawprogram'."
_UNTRIED = {
    False: "Whether it keeps what is written was not tried; worn-out flash refuses that first.",
    True: "Whether it keeps what is written could not be tried: no blank sectors outside all"
    " partitions were found.",
}


class Condition(enum.StrEnum):
    """What state storage is in.

    READABLE: all that was tried reads well, and nobody has tried to write: flash at the end of its
    life refuses writes first, so that is no proof that it is sound.
    """

    SOUND = "sound"
    READABLE = "readable"
    WORN = "worn"
    READ_ONLY = "read-only"
    UNPROVISIONED = "unprovisioned"
    DEAD = "dead"
    UNKNOWN = "unknown"


class Kept(enum.StrEnum):
    """What came of a write to an unused sector.

    REFUSED: the storage said no. FORGOTTEN: it said yes, and holds what it held before.
    """

    KEPT = "kept"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class Evidence:
    """What is known of the storage.

    memory: "emmc", "ufs", ... luns: sectors of each LUN that opened. failed: what the phone said of
    each LUN that did not open. answers: the storage device itself was heard (it told its maker or a
    capacity). written: the write test, or None if there was none. nowhere: one was wanted, and
    there were no sectors that nothing uses.
    """

    memory: str
    luns: Mapping[int, int | None] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    answers: bool = True
    surfaces: tuple[Surface, ...] = ()
    written: Kept | None = None
    nowhere: bool = False
    health: Health | None = None


@dataclass(frozen=True)
class Verdict:
    """What the storage is. sentence: for people. meaning: for the data. advice: what to do next."""

    condition: Condition
    sentence: str
    meaning: str
    advice: tuple[str, ...] = ()


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on evidence."""
    sizes = [size for size in evidence.luns.values() if size]
    if not sizes and not any(size is None for size in evidence.luns.values()):
        return _without_luns(evidence)
    spots = [spot for surface in evidence.surfaces for spot in surface.spots]
    readable = [spot for spot in spots if spot.seconds is not None]
    tried = [spot for spot in spots if spot.state is not State.WITHHELD]
    if tried and not readable:
        return Verdict(
            Condition.DEAD,
            "The storage answers, but not one of the spots that were tried can be read: dead.",
            "What is on it can at most be read by a laboratory, from the chip itself.",
            ("Let the phone cool down, try once more with another cable, then give it to one.",),
        )
    if evidence.written in (Kept.REFUSED, Kept.FORGOTTEN):
        return _read_only(evidence)
    return _by_reading(evidence, spots)


def _without_luns(evidence: Evidence) -> Verdict:
    words = next(iter(evidence.failed.values()), "")
    said = f" The phone said: {words}" if words else ""
    if evidence.memory == "ufs" and evidence.answers:
        return Verdict(
            Condition.UNPROVISIONED,
            f"The UFS answers, but has no LUNs: unprovisioned.{said}",
            "There is no data on it that could be reached: its layout is missing.",
            (
                "A phone that has worked before does not get there by itself: ask the maker's"
                " service, who have the layout for exactly this model.",
                "A new chip wants the provisioning file for exactly this model, first of all after"
                " EDL mode was entered: edl provision FILE.xml --dry-run.",
                "Do not try layouts of other models: some can be set only once.",
            ),
        )
    return Verdict(
        Condition.DEAD,
        f"The storage does not answer the programmer: dead, or not connected to the chip.{said}",
        "No program on this computer reaches the data; a laboratory may, from the chip itself.",
        (
            "Make sure first that the loader is for this model and this kind of storage"
            " (eMMC or UFS): the wrong one looks the same.",
            "Cold or pressure that helps for a moment points to a broken solder joint.",
        ),
    )


def _read_only(evidence: Evidence) -> Verdict:
    how = (
        "says yes to writes and keeps nothing"
        if evidence.written is Kept.FORGOTTEN
        else "refuses to write"
    )
    return Verdict(
        Condition.READ_ONLY,
        f"The storage can be read, but {how}: read-only, as flash is at the end of its life.",
        "The data is still there. No ROM can be written, and none would help.",
        ("Save everything now: edl backup DIR.", "After that only a new storage chip helps."),
    )


def _by_reading(evidence: Evidence, spots: list[Spot]) -> Verdict:
    bad = [spot for spot in spots if spot.state in (State.UNREADABLE, State.UNSTABLE)]
    slow = [spot for spot in spots if spot.state is State.SLOW]
    health = evidence.health
    if bad:
        return Verdict(
            Condition.WORN,
            f"The storage is worn: {_count(bad)} cannot be read reliably ({_ranges(bad)}).",
            "What lies there is damaged or soon will be; the rest can still be saved.",
            (
                "Save everything now, before any write: edl backup DIR (it maps what is bad).",
                "A ROM may start the phone once more, but the flash goes on dying.",
            ),
        )
    if health is not None and health.worn:
        return Verdict(
            Condition.WORN,
            f"The storage is worn by its own account: {health_words(health)}.",
            "It can still be read, and everything that was tried reads well.",
            ("Save everything now: edl backup DIR.", "Write only what you must."),
        )
    if not spots:
        return Verdict(
            Condition.UNKNOWN,
            "Nothing of the storage may be read with this programmer: there is no verdict.",
            "That says nothing about the data.",
            ("Try another loader for this model: edl loaders match.",),
        )
    if all(spot.state is State.WITHHELD for spot in spots):
        return Verdict(
            Condition.UNKNOWN,
            "This programmer shows nothing of the storage: there is no verdict.",
            "That says nothing about the data.",
            ("Try another loader for this model: edl loaders match.",),
        )
    return _sound(evidence, slow)


def _sound(evidence: Evidence, slow: list[Spot]) -> Verdict:
    whole = all(surface.whole for surface in evidence.surfaces)
    looked = sum(surface.read_bytes for surface in evidence.surfaces)
    part = "all of it was" if whole else f"{format_size(looked)} of it, all over, were"
    advice = [_FIX]
    if evidence.nowhere:
        advice = ["Save your data before a ROM is written: backup first, then rawprogram."]
    elif evidence.written is not Kept.KEPT:
        advice = [
            "Before a ROM is written, or where a write has failed, let it be tried on sectors that"
            " are blank and belong to nothing: edl doctor --storage --allow-write."
        ]
    if slow:
        advice.append(
            f"{_count(slow).capitalize()} took far longer than the others ({_ranges(slow)}):"
            " save your data soon."
        )
    if evidence.written is not Kept.KEPT:
        return Verdict(
            Condition.READABLE,
            f"The storage reads well: {part} read twice without an error.",
            _UNTRIED[evidence.nowhere],
            tuple(advice),
        )
    return Verdict(
        Condition.SOUND,
        f"The storage is sound: {part} read twice without an error, and it keeps what is written.",
        "What keeps the phone from starting is the data on it, not the flash.",
        tuple(advice),
    )


def health_words(health: Health) -> str:
    """Return what the flash tells about its wear, in words."""
    told = [
        f"life time used ({name}): {life}"
        for name, life in (("A", health.life_a), ("B", health.life_b))
        if life is not None
    ]
    if health.pre_eol is not None:
        told.append(health.pre_eol.words)
    return "; ".join(told)


def _count(spots: list[Spot]) -> str:
    return f"{len(spots)} spot{'' if len(spots) == 1 else 's'}"


def _ranges(spots: Iterable[Spot]) -> str:
    """Return where spots are, neighbours together."""
    runs: list[list[int]] = []  # LUN, first sector, end sector
    for spot in sorted(spots, key=lambda spot: (spot.area.lun, spot.area.start_sector)):
        area = spot.area
        if runs and runs[-1][0] == area.lun and runs[-1][2] >= area.start_sector:
            runs[-1][2] = area.start_sector + area.sectors
        else:
            runs.append([area.lun, area.start_sector, area.start_sector + area.sectors])
    told = [f"LUN {lun} sectors {first} to {end - 1}" for lun, first, end in runs[:_MOST_RANGES]]
    more = len(runs) - len(told)
    return ", ".join([*told, *([f"{more} more"] if more else [])])
