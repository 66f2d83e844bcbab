# SPDX-License-Identifier: BSD-3-Clause
"""The command line: `edl`, or `python -m edl`."""

from edl.cli.main import main

if __name__ == "__main__":
    main()
