# SPDX-License-Identifier: BSD-3-Clause
"""Which regions of a crash dump are saved, and under which names of files."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from edl.formats.gpt import safe_name
from edl.sahara.memory import Region

MANIFEST = "manifest.json"
UNFINISHED = "manifest.json.partial"
MINIDUMP = "minidump.elf"
PARTIAL = ".partial"
INCOMPLETE = ".incomplete"

_OWN = (MANIFEST, MINIDUMP)
_ENDINGS = (PARTIAL, INCOMPLETE)


def file_names(regions: Iterable[Region]) -> tuple[str, ...]:
    """Return a name of a file for each region: safe on every system, and different from all others.

    The phone chooses what they are made of, so nothing of it is believed: see `safe_name`.
    """
    taken = {name.lower() for name in _OWN}
    names = []
    for number, region in enumerate(regions):
        wanted = region.file_name or region.description
        name = safe_name(wanted) if wanted else f"region{number}"
        if name.lower().endswith(_ENDINGS):
            name += "_"
        while name.lower() in taken:
            name = f"{number}_{name}"
        taken.add(name.lower())
        names.append(name)
    return tuple(names)


def patterns(words: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns in words, which may be lists with commas, as qdl has them."""
    return tuple(part.strip() for word in words for part in word.split(",") if part.strip())


def matches(region: Region, file_name: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return those of the patterns wanted that mean region: by name of file or description.

    `*` and `?` stand for any characters; case does not matter, and neither does a missing ending.
    """
    names = {region.file_name, file_name, region.description}
    names |= {name.rpartition(".")[0] for name in names}
    lower = [name.lower() for name in names if name]
    return tuple(
        pattern
        for pattern in wanted
        if any(fnmatch.fnmatchcase(name, _literal(pattern)) for name in lower)
    )


def _literal(pattern: str) -> str:
    """Return pattern with brackets as themselves: only `*` and `?` are special."""
    return pattern.lower().replace("[", "[[]")
