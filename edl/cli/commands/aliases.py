# SPDX-License-Identifier: BSD-3-Clause
"""Show the names that other tools have for our commands: `edl help aliases`."""

from __future__ import annotations

import click

from edl.cli import terminal
from edl.cli.names import ALIASES

_ALSO = (
    "prog.elf rawprogram*.xml patch*.xml",
    "prog.elf read TARGET FILE",
    "flash PARTITION FILE",
    "qfil RAWPROGRAM PATCH FOLDER",
)


@click.command("aliases", hidden=True)
def command() -> None:
    """Show the names of other tools (bkerler/edl, qdl, edl-ng, fastboot) that work here."""
    groups: dict[str, list[str]] = {}
    for alias, name in sorted(ALIASES.items()):
        groups.setdefault(name, []).append(alias)
    lines = [f"{name:<14} {', '.join(aliases)}" for name, aliases in sorted(groups.items())]
    terminal.out([*lines, "", "These lines work too:", *(f"  edl {line}" for line in _ALSO)])


COMMANDS = {"aliases": command}
