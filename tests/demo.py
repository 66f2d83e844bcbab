# SPDX-License-Identifier: BSD-3-Clause
"""`make demo`: a hard-bricked virtual phone is brought back with a real board's package.

The cable even comes out in the middle. Every line that is shown comes from the command line that
users have; nothing outside a temporary folder is touched.

`python tests/demo.py PROGRAM` does the same with an edl that is installed or built elsewhere.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
UNPLUGGED = 4  # exit status: the cable, the port, the driver
STORY: tuple[tuple[str, str, int], ...] = (
    ("A phone that shows nothing but a black screen. It is in software, and so is its loose cable.",
     "virtual new phone qcm2290,fault=unplug@out:9000000", 0),
    ("A package for it: the layout of a real board, images, and a programmer.",
     "virtual sample package", 0),
    ("The computer sees the phone in EDL mode.", "--virtual phone list", 0),
    ("The package is written. In the middle, the cable comes out.",
     "--virtual phone rawprogram package", UNPLUGGED),
    ("What a user does now: power button, cable, volume keys.", "virtual edl phone", 0),
    ("The same command with --resume finishes the job.",
     "--virtual phone rawprogram package --resume", 0),
)  # fmt: skip


def tell(text: str) -> None:
    """Print text at once, between what the commands print."""
    print(text, flush=True)  # noqa: T201


def main(program: str | None = None) -> int:
    """Tell the story in a temporary folder; return 1 if it goes another way."""
    edl = [sys.executable, "-m", "edl"] if program is None else [str(Path(program).absolute())]
    with tempfile.TemporaryDirectory(prefix="edl-demo-") as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EDL_")}
        environment = kept | {"EDL_HOME": str(Path(folder, "home"))}
        if program is None:
            environment["PYTHONPATH"] = str(REPO)
        for title, line, expected in STORY:
            tell(f"\n# {title}\n$ edl {line}")
            status = subprocess.call([*edl, *shlex.split(line)], cwd=folder, env=environment)
            if status != expected:
                tell(f"\nThis was not to be expected: exit status {status} instead of {expected}.")
                return 1
    tell("\nThe virtual phone is back. A real one is brought back by the same command:")
    tell("  .venv/bin/edl rawprogram FOLDER_OF_YOUR_ROM")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
