# SPDX-License-Identifier: BSD-3-Clause
"""Reports of bugs: a file each in the user's data folder, for that user alone; few are kept."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import sys
import traceback
from pathlib import Path

import edl
from edl.cli import terminal
from edl.home import home, private, private_folder

_MOST_KEPT = 20
_MAX_CHARS = 1024 * 1024


def keep(error: BaseException) -> Path:
    """Write the report of error and return its path; the oldest reports give way.

    It names versions, the system, the command line and where edl stumbled, and holds no data of a
    phone but what the error's own text quotes.

    Raises:
        OSError: it cannot be written.
    """
    folder = private_folder(home() / "bugs")
    stamp = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%f}"
    path = folder / f"edl-bug-{stamp}-{os.getpid()}.txt"
    with open(path, "x", encoding="utf-8", errors="backslashreplace", opener=private) as file:
        file.write("".join(f"{terminal.clean(line)}\n" for line in _lines(error)))
    _drop_old(folder)
    return path


def _lines(error: BaseException) -> list[str]:
    text = "".join(traceback.format_exception(error))[-_MAX_CHARS:]
    return [
        f"edl {edl.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"edl {' '.join(sys.argv[1:])}",
        "",
        *text.splitlines(),
    ]


def _drop_old(folder: Path) -> None:
    for path in sorted(folder.glob("edl-bug-*.txt"))[:-_MOST_KEPT]:
        with contextlib.suppress(OSError):
            path.unlink()
