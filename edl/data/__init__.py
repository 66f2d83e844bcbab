# SPDX-License-Identifier: BSD-3-Clause
"""Tables, the udev rule and the sample package: files, and how to read one."""

from __future__ import annotations

import pkgutil
from typing import cast


def text(name: str) -> str:
    """Return a file of this folder, wherever Python has it from.

    importlib.resources would import archives and temporary files, which `edl list` need not have.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    return cast("bytes", pkgutil.get_data(__name__, name)).decode("utf-8")
