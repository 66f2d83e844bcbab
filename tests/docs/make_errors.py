# SPDX-License-Identifier: BSD-3-Clause
"""Makes docs/errors.md from the error classes: `python tests/docs/make_errors.py`."""

from __future__ import annotations

import inspect
from pathlib import Path

from edl.errors import EdlError, all_errors

PATH = Path(__file__).parent.parent.parent / "docs" / "errors.md"
_HEAD = """# Error codes

Every error has a stable code, an exit status, and says what to do. `edl explain CODE` shows the
same text. Made by `tests/docs/make_errors.py`.
"""


def page() -> str:
    """Return the text of docs/errors.md."""
    kinds: dict[str, type[EdlError]] = {}
    for kind in all_errors():
        kinds.setdefault(kind.code, kind)
    return _HEAD + "".join(_section(kind) for _, kind in sorted(kinds.items()))


def _section(kind: type[EdlError]) -> str:
    text = (inspect.getdoc(kind) or "").split("\n\nAttributes:")[0]
    remedies = "".join(f"\n- {remedy}" for remedy in kind.remedies)
    return f"\n## {kind.code}\n\nExit status {kind.status}. {text}\n" + (
        f"{remedies}\n" if remedies else ""
    )


if __name__ == "__main__":
    PATH.write_text(page())
