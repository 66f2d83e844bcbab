# SPDX-License-Identifier: BSD-3-Clause
"""Where this user's data lies. EDL_HOME overrides the place that the system suggests."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return the folder of this user's data; it need not exist."""
    if folder := os.environ.get("EDL_HOME"):
        return Path(folder)
    import platformdirs  # noqa: PLC0415  # 20 ms that most commands need not pay

    try:
        return platformdirs.user_data_path("edl", appauthor=False)
    except RuntimeError:  # a user without name and home, as in containers: where it can be found
        return Path("edl-data").absolute()
