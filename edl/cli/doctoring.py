# SPDX-License-Identifier: BSD-3-Clause
"""What `edl doctor` looks at, for the commands that tell it."""

from __future__ import annotations

import sys
from pathlib import Path

from edl import loaders
from edl.cli import loading
from edl.cli.app import App
from edl.doctor import examine
from edl.doctor.model import Check
from edl.plan import home
from edl.transport.computer import Computer


def look(app: App) -> list[Check]:
    """Return the checks of this computer and the cable."""
    places = examine.Places(
        Path(sys.argv[0]),
        home.home(),
        list(loading.search_folders()),
        loading.test_folders(),
        loaders.find_programmers,
    )
    backend = app.virtual.backend if app.virtual is not None else None
    meant = examine.Meant(app.ids, app.settings.port)
    return list(examine.examine(Computer(), places, backend, meant))


def line(check: Check) -> str:
    """Return check in a line: fact, verdict, command."""
    text = f"{check.fact}: {check.verdict}"
    return f"{text}; {check.command}" if check.command else text


def lines(app: App) -> list[str]:
    """Return a line for each check."""
    return [line(check) for check in look(app)]
