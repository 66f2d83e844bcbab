# SPDX-License-Identifier: BSD-3-Clause
"""Generation 1 ("sbl"): MSM8916, MSM8953 and their contemporaries.

What sets it apart from the others: silent until the first packet; one log after the response to
that packet; several commands in one packet are all carried out; an unknown tag is acknowledged; a
missing physical partition and a patch of a file get no response at all; erase takes the whole LUN,
whatever range it names; numbers of sectors are expressions; `reset_to_edl` is a plain reset;
MemoryName is not read. Storage commands work before configure.

Every rule is from real-programmer.md; its section is named where it is not obvious.
"""

from edl.virtual.programmer.generation1.session import MSM8916, MSM8953, Build
from edl.virtual.programmer.generation1.storage import Generation1

__all__ = ["MSM8916", "MSM8953", "Build", "Generation1"]
