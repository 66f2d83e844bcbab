# SPDX-License-Identifier: BSD-3-Clause
"""Images in numbered parts: `super.img_sparsechunk.0`, `super.img.0`, `super.0.img`, `super_1.img`.

Each part is a sparse image of the whole partition, open where the others have data. So they may be
written in any order; by number is how makers do it.
"""

from __future__ import annotations

import re

from edl.formats.sparse import is_sparse
from edl.packages.tree import Tree

_PART = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*?)(?:\.img)?[._](?:sparse(?:chunk)?[._]?)?(?P<number>\d{1,4})(?:\.img)?",
    re.ASCII | re.IGNORECASE,
)
_FEWEST = 2


def sets(tree: Tree, home: str) -> dict[str, tuple[str, ...]]:
    """Return the images in the folder home that have several parts, in order, by partition.

    Numbers begin with 0 or 1, none is missing, and all parts are sparse images.
    """
    found: dict[str, dict[int, str]] = {}
    for filename, file in tree.below(home).items():
        match = _PART.fullmatch(filename)
        if match and is_sparse(file.head(4)):
            found.setdefault(match["name"].lower(), {}).setdefault(int(match["number"]), filename)
    whole = {filename.lower() for filename in tree.below(home)}
    return {
        name: tuple(parts[number] for number in sorted(parts))
        for name, parts in found.items()
        if len(parts) >= _FEWEST and _complete(parts) and f"{name}.img" not in whole
    }


def _complete(parts: dict[int, str]) -> bool:
    first = min(parts)
    return first in {0, 1} and max(parts) - first == len(parts) - 1
