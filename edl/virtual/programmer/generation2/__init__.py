# SPDX-License-Identifier: BSD-3-Clause
"""Generation 2 ("xbl early"): MSM8994 to MSM8998 and SDM660.

What sets it apart from the others: a banner of three logs; one table of attributes for all
commands, and what was assigned once stays assigned; a scanner that runs into the rest of older
packets, because its buffer is never cleared; values of at most 80 characters; an accepted payload
size is the limit from then on; every patch writes 8 bytes; a log in the middle of raw data when a
read fails; erase of the whole LUN unless both start and number of sectors are given.

Every rule is from real-programmer.md; its section is named where it is not obvious.
"""

from edl.virtual.programmer.generation2.session import SDM660, Build
from edl.virtual.programmer.generation2.storage import Generation2

__all__ = ["SDM660", "Build", "Generation2"]
