# SPDX-License-Identifier: BSD-3-Clause
"""The command line: `edl`, or `python -m edl`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit; or tell a shell what the Tab key could complete."""
    if "_EDL_COMPLETE" in os.environ:
        from edl.cli import shells  # noqa: PLC0415  # nothing else is needed for it

        sys.exit(shells.complete())
    if sys.argv[1:] == ["list"] and sys.platform == "linux":
        from edl.cli import quick  # noqa: PLC0415  # for a start without click

        if (status := quick.list_nothing()) is not None:
            os._exit(status)  # to tidy up takes 2 ms, and nothing is open
    from edl.cli.main import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
