# SPDX-License-Identifier: BSD-3-Clause
"""Firehose programmers: the software of the virtual phone after Sahara has loaded it.

Four real programmers are imitated, with all their faults: what they answer, what they leave
unanswered and what they do to the storage. docs/virtual-programmers.md says how far that goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edl.virtual.link import Firmware
from edl.virtual.programmer.base import Programmer
from edl.virtual.programmer.board import VIP_LOCK, XIAOMI_LOCK, Board, Lock, Quirks
from edl.virtual.programmer.generation1 import MSM8916, MSM8953, Generation1
from edl.virtual.programmer.generation2 import SDM660, Generation2
from edl.virtual.programmer.generation3 import QCM2290, Generation3, Generation3Nand
from edl.virtual.programmer.quirks import misbehave

__all__ = ["KINDS", "VIP_LOCK", "XIAOMI_LOCK", "Board", "Lock", "Quirks", "programmer"]

# A factory takes the board and whether the programmer has been running and was configured already.
KINDS: Mapping[str, Callable[[Board, bool], Programmer]] = {
    "msm8916": lambda board, running: Generation1(board, MSM8916, running=running),
    "msm8953": lambda board, running: Generation1(board, MSM8953, running=running),
    "sdm660": lambda board, running: Generation2(board, SDM660, running=running),
    "qcm2290": lambda board, running: (
        Generation3Nand if board.storage.kind == "nand" else Generation3
    )(board, QCM2290, running=running),
}


def programmer(kind: str, board: Board, *, greet: bool = True) -> Firmware:
    """Return a programmer that starts to run.

    kind: one of KINDS; greet: False for one that has been running and was configured already.

    Raises:
        KeyError: there is no such kind.
    """
    software = KINDS[kind](board, not greet)
    work = software.run(greet=greet and not board.quirks.silent_start)
    return work if board.quirks == Quirks() else misbehave(software, work)
