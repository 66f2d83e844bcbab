# SPDX-License-Identifier: BSD-3-Clause
"""All that labgrid is to know of edl, registered by importing this (`imports:`)."""

from __future__ import annotations

from edl.lab.driver import EDLDriver, EDLError
from edl.lab.resources import NetworkQualcommEDLDevice, QualcommEDLDevice
from edl.lab.strategy import EDLStrategy, Status
from edl.lab.virtual import (
    NetworkVirtualEDLDevice,
    NetworkVirtualEDLPower,
    VirtualEDLDevice,
    VirtualEDLPower,
    VirtualEDLPowerDriver,
)

__all__ = [
    "EDLDriver",
    "EDLError",
    "EDLStrategy",
    "NetworkQualcommEDLDevice",
    "NetworkVirtualEDLDevice",
    "NetworkVirtualEDLPower",
    "QualcommEDLDevice",
    "Status",
    "VirtualEDLDevice",
    "VirtualEDLPower",
    "VirtualEDLPowerDriver",
]
