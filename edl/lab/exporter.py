# SPDX-License-Identifier: BSD-3-Clause
"""labgrid's exporter, knowing phones in EDL mode.

It has neither option nor entry point to be told of them: so they are registered before it runs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run labgrid-exporter with its own options."""
    try:
        from labgrid.remote import exporter  # noqa: PLC0415  # an extra

        import edl.lab.virtual  # noqa: F401, PLC0415  # registers them
    except ModuleNotFoundError as error:
        sys.exit(f"{error}.\ntry: pip install 'edl-recovery[labgrid]' (docs/lab.md)")
    exporter.main()


if __name__ == "__main__":
    main()
