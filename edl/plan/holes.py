# SPDX-License-Identifier: BSD-3-Clause
"""What sparse images leave open (DONT_CARE), and what to do about it.

It stays as it is, as with Qualcomm's own tool and with qdl: file systems read no blocks that they
have not written, and parts of one image that are sparse files each have holes where the others have
data. Who wants zeros there, as a digest over a whole partition counts them, can have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from edl.plan.model import Covered, Erase, ReadOut, Step
from edl.units import format_size


def still_open(holes: Iterable[Erase], steps: Iterable[Step]) -> list[Erase]:
    """Return what no step covers of holes, each sector once."""
    covered = Covered()
    for step in steps:
        if not isinstance(step, ReadOut):
            covered.add(step.area)
    rests = []
    for hole in holes:
        areas = covered.rest(hole.area)
        rests += [hole if area == hole.area else replace(hole, area=area) for area in areas]
        covered.add(hole.area)
    return rests


def settled(
    holes: Iterable[Erase], steps: Sequence[Step], *, zero: bool
) -> tuple[list[Step], list[tuple[str, str]]]:
    """Return steps, with holes zeroed first if zero; and what is left out, with the reason."""
    rests = still_open(holes, steps)
    if zero or not rests:
        return [*rests, *steps], []
    size = format_size(sum(rest.area.size_bytes for rest in rests))
    labels = ", ".join(dict.fromkeys(rest.label or rest.where for rest in rests))
    reason = "holes of sparse images, which stay as they are; --holes zero blanks them"
    return list(steps), [(f"{size} of {labels}", reason)]
