# SPDX-License-Identifier: BSD-3-Clause
"""Where this user's data and settings lie, as text. EDL_HOME overrides what the system suggests.

It is asked at each start, so it imports next to nothing: platformdirs takes 15 ms, and pathlib 8.
"""

from __future__ import annotations

import os
import sys


def data() -> str:
    """Return the folder of this user's data; it need not exist."""
    return os.environ.get("EDL_HOME") or _user_folder("data", "XDG_DATA_HOME", ".local/share")


def config() -> str:
    """Return the folder of this user's config file; it need not exist."""
    return os.environ.get("EDL_HOME") or _user_folder("config", "XDG_CONFIG_HOME", ".config")


def _user_folder(kind: str, variable: str, usual: str) -> str:
    """Return what platformdirs does, which need not be asked where Linux says it plainly.

    variable, usual: of the XDG base directory specification.
    """
    if sys.platform == "linux" and "ANDROID_DATA" not in os.environ:
        if os.environ.get(variable, "").startswith("/"):
            return f"{os.environ[variable]}/edl"
        if os.environ.get("HOME", "").startswith("/"):
            return f"{os.environ['HOME']}/{usual}/edl"
    import platformdirs  # noqa: PLC0415  # where there is more to it

    ask = {"data": platformdirs.user_data_path, "config": platformdirs.user_config_path}[kind]
    try:
        return str(ask("edl", appauthor=False))
    except RuntimeError:  # a user without name and home, as in containers: where it can be found
        return f"{os.getcwd()}/edl-data"  # noqa: PTH109  # pathlib costs more than the rest
