# SPDX-License-Identifier: BSD-3-Clause
"""Makes docs/errors.md and docs/troubleshooting.md from the pages of `edl explain`.

Run `python -m tests.docs.make_errors`.
"""

from __future__ import annotations

from pathlib import Path

from edl.cli.explaining import Page, kinds, pages
from tests.docs import make_troubleshooting

PATH = Path(__file__).parent.parent.parent / "docs" / "errors.md"
_HEAD = """# Error codes

Every error has a stable code, an exit status, and says what to do. `edl explain CODE` shows the
same text, and `edl explain 'LINE'` or `edl explain LOGFILE` finds the page that a line of a log
belongs to, whichever tool wrote it. Made by `python -m tests.docs.make_errors`.
"""


def page() -> str:
    """Return the text of docs/errors.md."""
    return _HEAD + "".join(_section(each) for each in pages().values())


def _section(each: Page) -> str:
    kind = kinds()[each.code]
    remedies = "".join(f"\n- {remedy}" for remedy in kind.remedies)
    seen = "".join(f"\n    {line}" for line in each.seen)
    return (
        f"\n## {each.code}\n\nExit status {kind.status}. {each.text}\n"
        + (f"{remedies}\n" if remedies else "")
        + (f"\nSeen as:\n{seen}\n" if seen else "")
    )


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
    make_troubleshooting.PATH.write_text(make_troubleshooting.page(), encoding="utf-8")
