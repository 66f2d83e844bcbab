# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3 ("devprg"): SDM845, SM6xxx and all later ones; here QCM2290 on eMMC and on UFS.

What sets it apart from the others: a banner of twenty logs; levels before every log; every response
but that of configure says rawmode; a malformed or unknown command gets logs and no response; before
configure, and with a MemoryName it does not know, it works on no storage at all and acknowledges;
reads and writes always go in pieces of 16384 bytes; the responses lie in the same buffer as raw
data and appear in it when a read fails; erase without its three attributes takes the whole LUN; an
unknown value of power resets.

Every rule is from real-programmer.md or real-programmer-ufs.md ("UFS fact"); the section is named
where it is not obvious.
"""

from edl.virtual.programmer.generation3.nand import Generation3Nand
from edl.virtual.programmer.generation3.session import QCM2290, Build
from edl.virtual.programmer.generation3.storage import Generation3

__all__ = ["QCM2290", "Build", "Generation3", "Generation3Nand"]
