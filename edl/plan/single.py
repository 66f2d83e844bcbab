# SPDX-License-Identifier: BSD-3-Clause
"""Single partitions of a dump: found by name in it, and put where the phone has those names."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edl.device.storage import Tables
from edl.errors import UsageError
from edl.firehose.commands import Power
from edl.formats.gpt import Gpt
from edl.partitions import Severity as Worth
from edl.partitions import classify
from edl.plan import foreign
from edl.plan.dump import Part, sized
from edl.plan.model import Severity
from edl.plan.placing import Placing, names


@dataclass(frozen=True)
class Wish:
    """What the user wants.

    Attributes:
        names: only these partitions: `NAME` or `LUN/NAME`, patterns too; empty = everything.
        skip: patterns (lower case) of partitions to leave alone. luns: only these; empty = all.
        from_other: the user knows that the dump is another phone's.
        unique_only: only partitions that exist only once.
        insisted: names of unique partitions to be written although the dump is not this phone's.
    """

    names: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    luns: frozenset[int] = frozenset()
    from_other: bool = False
    unique_only: bool = False
    insisted: frozenset[str] = frozenset()
    reset: Power | None = None

    def skips(self, name: str) -> bool:
        """Tell whether the partition of that name is to be left alone."""
        return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in self.skip)


@dataclass
class Single:
    """Takes partitions by name.

    Attributes:
        phone_table: gives the phone's whole table of a LUN, or None.
        own: the dump is this phone's. unknown: it may be. whose: the same for people.
        overwrite: patterns of unique partitions that are written.
        asks: names of unique partitions that the user must insist on.
    """

    placing: Placing
    phone_table: Callable[[int], Gpt | Tables | None]
    own: bool
    unknown: bool
    whose: str
    overwrite: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)

    def take(self, everything: Sequence[Part], wish: Wish) -> None:
        """Place those partitions of everything that wish names, or all that are unique.

        Raises:
            UsageError: a name is not among them.
        """
        for part, exact in _chosen(everything, wish).items():
            if wish.skips(part.name):
                self.placing.leave_out(part.name, "--skip")
            elif part.content is None and exact:
                told = f"'{part.name}' is not in the dump: {part.absent}."
                self.placing.note("not-in-dump", Severity.ERROR, told)
            elif self.own or self._allowed(part, exact=exact, insisted=wish.insisted):
                self._place(part)

    def _place(self, part: Part) -> None:
        table = self.phone_table(part.lun)
        found = [each for each in sized(table) if each.name == part.name]
        if table is None:
            why = f"LUN {part.lun} of the phone has no whole partition table to find it by"
            self.placing.unfit.append(f"'{part.name}': {why}")
        elif len(found) != 1:
            several = "several partitions" if found else "no partition"
            self.placing.unfit.append(f"LUN {part.lun} of the phone has {several} '{part.name}'")
        else:
            self.overwrite.append(glob.escape(part.name))
            self.placing.write(part, found[0].first_sector, found[0].sectors)

    def _allowed(self, part: Part, *, exact: bool, insisted: frozenset[str]) -> bool:
        """Tell whether a partition of another phone's dump may be written; note why not."""
        ruled = foreign.ruling(part.name)
        if ruled.write or not exact:
            return foreign.may_write(part.name, self.placing)
        user_data = ruled.code == "foreign-user-data"
        if user_data and not self.unknown:
            told = f"'{part.name}' of the dump is of no use here: {ruled.reason}"
            remedy = f"Make it empty instead: edl erase {part.name}"
            self.placing.note(ruled.code, Severity.ERROR, told, remedy)
            return False
        if (user_data or ruled.code == "foreign-unique") and part.name not in insisted:
            self.asks.append(part.name)
            told = f"'{part.name}' belongs to one phone alone: {ruled.reason}"
            remedy = f"If the dump is this very phone's all the same: --overwrite {part.name}"
            self.placing.note("unique-covered", Severity.ERROR, told, remedy)
            return False
        told = f"'{part.name}' of {self.whose} is written, as you asked: {ruled.reason}"
        self.placing.note(ruled.code, Severity.WARNING, told)
        return True


def _chosen(everything: Sequence[Part], wish: Wish) -> dict[Part, bool]:
    """Return the parts that wish means, with whether each was asked for by itself."""
    unique = [part for part in everything if classify(part.name).severity is Worth.MUST_NEVER_CLONE]
    if not wish.names:
        return {part: part.content is not None for part in unique}
    chosen: dict[Part, bool] = {}
    for name in wish.names:
        matches = {part: _match(part, name.lower()) for part in everything}
        if not any(matches.values()):
            raise UsageError(
                f"The dump has no partition '{name}'.",
                remedies=(f"It has {names(part.name for part in everything)}.",),
            )
        for part, match in matches.items():
            if match and (part in unique or not wish.unique_only):
                chosen[part] = chosen.get(part, False) or match == "exact"
    return chosen


def _match(part: Part, name: str) -> str:
    """Return `exact` or `pattern`, or nothing if name does not mean part."""
    known = {part.name.lower(), f"{part.lun}/{part.name}".lower()}
    if name in known:
        return "exact"
    return "pattern" if any(fnmatch.fnmatchcase(each, name) for each in known) else ""
