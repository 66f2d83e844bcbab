# SPDX-License-Identifier: BSD-3-Clause
"""These tests need Linux, because they play its kernel."""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from tests.umockdev.host import make_host, make_workers

    __all__ = ["make_host", "make_workers"]
else:
    collect_ignore_glob = ["test_*.py"]
