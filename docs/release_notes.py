# SPDX-License-Identifier: BSD-3-Clause
"""Print the release notes of a version: its section of CHANGELOG.md."""

from __future__ import annotations

import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(version: str, text: str) -> str:
    """Return the section of version in text, without its heading.

    Raises:
        LookupError: there is none.
    """
    for section in text.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        if title.split(" ")[0] == version:
            return body.strip() + "\n"
    raise LookupError(f"CHANGELOG.md has no section for {version}")


if __name__ == "__main__":
    sys.stdout.write(notes(sys.argv[1], CHANGELOG.read_text(encoding="utf-8")))
