# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3: the structure in which <ufs …/> lines are collected for the UFS driver.

Places are known for what the recorded commit shows (real-programmer-ufs.md, fact 12, and the
dialogue); what was 0 there has the place that the order of the attributes suggests.
"""

from __future__ import annotations

from edl.virtual.programmer.base import Attributes
from edl.virtual.programmer.generation3.text import number_or

_BYTES = 0x120
_HEADER_BYTES = 32
_LU_BYTES = 32
_LUS = 8

_HEADER = {  # name: offset, size
    "bnumberlu": (0, 1),
    "bbootenable": (1, 1),
    "bdescraccessen": (2, 1),
    "binitpowermode": (3, 1),
    "bhighprioritylun": (4, 1),
    "bsecureremovaltype": (5, 1),
    "binitactiveicclevel": (6, 1),
    "bconfigdescrlock": (7, 1),
    "wperiodicrtcupdate": (8, 2),
}
_UNSET = (10, b"\xff\xff")
_LU = {
    "bluenable": (0, 1),
    "bbootlunid": (1, 1),
    "bluwriteprotect": (2, 1),
    "bmemorytype": (3, 1),
    "size_in_kb": (8, 8),
    "bdatareliability": (16, 1),
    "blogicalblocksize": (17, 1),
    "bprovisioningtype": (18, 1),
    "wcontextcapabilities": (20, 2),
}


class UfsDescriptor:
    """The configuration that grows with every <ufs …/>.

    Attributes:
        data: as the driver gets it.
    """

    def __init__(self) -> None:
        self.data = bytearray(_BYTES)
        offset, value = _UNSET
        self.data[offset : offset + len(value)] = value

    def collect(self, attributes: Attributes) -> None:
        """Take over the values of one line."""
        lu = number_or(attributes.get("lunum"), _LUS)
        places, base = (_HEADER, 0) if lu >= _LUS else (_LU, _HEADER_BYTES + lu * _LU_BYTES)
        for name, (offset, size) in places.items():
            if name in attributes:
                value = number_or(attributes[name], 0) & ((1 << 8 * size) - 1)
                at = base + offset
                self.data[at : at + size] = value.to_bytes(size, "little")
