# SPDX-License-Identifier: BSD-3-Clause
"""All that labgrid is to know of edl, registered by importing this (`imports:`)."""

from __future__ import annotations

from edl.lab.driver import EDLDriver, EDLError
from edl.lab.resources import (
    NetworkQualcommEDLDevice,
    NetworkVirtualEDLDevice,
    QualcommEDLDevice,
    VirtualEDLDevice,
)

__all__ = [
    "EDLDriver",
    "EDLError",
    "NetworkQualcommEDLDevice",
    "NetworkVirtualEDLDevice",
    "QualcommEDLDevice",
    "VirtualEDLDevice",
]
