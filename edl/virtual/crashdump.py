# SPDX-License-Identifier: BSD-3-Clause
"""Memory that a crashed phone (900e) offers over Sahara: the table of regions, and their bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_ENTRY = {32: "<3I20s20s", 64: "<3Q20s20s"}  # qcom-memory-dump-collector MemoryDumpCollector.cpp


@dataclass(frozen=True)
class Region:
    """One region of a dump.

    listed_bytes: length that the table gives, if it is more than data: what lies behind data cannot
    be read. saved: whether hosts should save it without being asked.
    """

    address: int
    data: bytes
    description: str
    file_name: str
    saved: bool = True
    listed_bytes: int | None = None


@dataclass(frozen=True)
class CrashDump:
    """A crash dump. bits: 32 or 64, of packets and table; the table lies at table_address."""

    regions: tuple[Region, ...]
    bits: int = 64
    table_address: int = 0x1468_0000

    @property
    def table(self) -> bytes:
        """The table of regions, as the phone has it in memory."""
        return b"".join(
            struct.pack(
                _ENTRY[self.bits],
                region.saved,
                region.address,
                len(region.data) if region.listed_bytes is None else region.listed_bytes,
                region.description.encode(),
                region.file_name.encode(),
            )
            for region in self.regions
        )

    def read(self, address: int, length: int) -> bytes | None:
        """Return length bytes from address on, or None if they do not lie in one region."""
        places = [(self.table_address, self.table)]
        places += [(region.address, region.data) for region in self.regions]
        for start, data in places:
            if start <= address and address + length <= start + len(data):
                return data[address - start : address - start + length]
        return None
