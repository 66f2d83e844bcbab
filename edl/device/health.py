# SPDX-License-Identifier: BSD-3-Clause
"""How worn the flash is, where the programmer tells.

An eMMC says it in EXT_CSD, which programmers of generations 2 and 3 print; a UFS device in its
health descriptor, of which only the newest programmers print the life time (as lifeA and lifeB in
their JSON; taken for the codes of the standard: no phone's own words are known). Both standards,
JESD84 and JESD220, use the same codes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from edl.firehose.answers import StorageInfo
from edl.formats import extcsd

_STEP_PERCENT = 10  # one code of life time
_EXCEEDED = 11  # the code for more than all
_WORN_CODE = 10  # 90 % used: the maker promises nothing for long any more


class PreEol(enum.IntEnum):
    """How many of the spare blocks are used up (PRE_EOL_INFO, bPreEOLInfo)."""

    NORMAL = 1
    WARNING = 2
    URGENT = 3

    @property
    def words(self) -> str:
        """The meaning for people."""
        return _PRE_EOL_WORDS[self]


_PRE_EOL_WORDS = {
    PreEol.NORMAL: "less than 80 % of the spare blocks are used",
    PreEol.WARNING: "80 % of the spare blocks are used",
    PreEol.URGENT: "90 % of the spare blocks are used",
}


@dataclass(frozen=True)
class Life:
    """How much of the expected life is used, in percent: low to high, or more than low."""

    low: int
    high: int | None

    def __str__(self) -> str:
        """Return it for people: `10 to 20 %`."""
        return (
            f"{self.low} to {self.high} %" if self.high is not None else f"more than {self.low} %"
        )

    @classmethod
    def of(cls, code: int | None) -> Life | None:
        """Return what code means; None where the device does not tell."""
        if code is None or not 1 <= code <= _EXCEEDED:
            return None
        low = (code - 1) * _STEP_PERCENT
        return cls(low, low + _STEP_PERCENT if code < _EXCEEDED else None)


@dataclass(frozen=True)
class Health:
    """What a flash tells about its wear; None where it does not say, one of them at least is told.

    life_a, life_b: of two kinds of its memory, mostly SLC and the rest; makers choose.
    """

    life_a: Life | None = None
    life_b: Life | None = None
    pre_eol: PreEol | None = None

    @property
    def worn(self) -> bool:
        """Whether it may stop taking data soon: what is on it should be saved at once."""
        limit = (_WORN_CODE - 1) * _STEP_PERCENT
        lives = (life for life in (self.life_a, self.life_b) if life is not None)
        return any(life.low >= limit for life in lives) or (self.pre_eol or 0) > PreEol.NORMAL

    @property
    def verdict(self) -> str:
        """The one line that people need."""
        return "worn: back up now" if self.worn else "sound"


def of(info: StorageInfo) -> Health | None:
    """Return how worn the flash is, or None if the programmer or the device does not tell."""
    life_a, life_b, pre_eol = info.life_a, info.life_b, 0
    if info.ext_csd is not None:
        told = extcsd.parse(info.ext_csd)
        life_a, life_b, pre_eol = told.life_a, told.life_b, told.pre_eol
    health = Health(Life.of(life_a), Life.of(life_b), PreEol(pre_eol) if pre_eol else None)
    return health if health != Health() else None
