# SPDX-License-Identifier: BSD-3-Clause
"""Makes docs/troubleshooting.md from the pages of `edl explain`; see make_errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edl.cli.explaining import kinds, pages

PATH = Path(__file__).parent.parent.parent / "docs" / "troubleshooting.md"
_HEAD = """# Troubleshooting

Headings are what tools and programmers say, word for word, whichever tool it was; `*` stands for
anything. Search this page for your message, or let `edl explain 'THE LINE'` and
`edl explain LOGFILE` do it. Codes such as `access` are those of edl's own messages:
[all of them](errors.md). Made by `python -m tests.docs.make_errors`.
"""


def page() -> str:
    """Return the text of docs/troubleshooting.md."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    for each in pages().values():
        told = each.text.partition("\n\n")[0]
        remedies = "".join(f"\n- {remedy}" for remedy in kinds()[each.code].remedies)
        for line in each.seen:
            yield f"\n## {_literal(line)}\n\n{told}\n"
            yield f"{remedies}\n" if remedies else ""
            yield f"\nMore: [{each.code}](errors.md#{each.code})\n"


def _literal(line: str) -> str:
    """Return line as code, as Markdown has it where there are backticks in it."""
    return f"`` {line} ``" if "`" in line else f"`{line}`"
