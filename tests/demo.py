# SPDX-License-Identifier: BSD-3-Clause
"""`make demo`: a hard-bricked virtual phone is brought back with a real board's package.

Every line that is shown comes from the command line that users have.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

EDL = [sys.executable, "-m", "edl"]


def show(title: str, *arguments: str) -> int:
    """Say what comes, show the command, run it."""
    shown = " ".join(arguments)
    print(f"\n# {title}\n$ edl {shown}", flush=True)  # noqa: T201
    return subprocess.call([*EDL, *arguments])


def main() -> int:
    """Run the demonstration in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="edl-demo-") as folder:
        phone, package = str(Path(folder, "phone")), str(Path(folder, "package"))
        steps = (
            ("A phone that no longer starts (in software), in 9008 mode", "virtual", "new", phone,
             "qcm2290"),
            ("A package for it: partition table, 59 partitions, patches, programmer", "virtual",
             "sample", package),
            ("The phone is found", "--virtual", phone, "list"),
            ("The package is written, verified, and the phone restarted", "--virtual", phone,
             "rawprogram", package),
        )  # fmt: skip
        for title, *arguments in steps:
            if status := show(title, *arguments):
                return status
    print("\nThis was a virtual phone; a real one is brought back by the same command:")  # noqa: T201
    print("  .venv/bin/edl rawprogram FOLDER_OF_YOUR_ROM")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
