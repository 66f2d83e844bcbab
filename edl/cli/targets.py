# SPDX-License-Identifier: BSD-3-Clause
"""Targets as users write them on the command line."""

from __future__ import annotations

import re

_HAS_LUN = re.compile(r"\d{1,3}(?:/.*)?")


def with_lun(text: str, lun: int | None) -> list[str]:
    """Return the targets of a comma list; --lun goes before names that say no LUN."""
    parts = [part.strip() for part in text.split(",")]
    if lun is None:
        return parts
    return [part if _HAS_LUN.fullmatch(part) else f"{lun}/{part}" for part in parts]
