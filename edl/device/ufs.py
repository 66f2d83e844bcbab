# SPDX-License-Identifier: BSD-3-Clause
"""What a UFS device says about itself and about one LUN, in the logs of getstorageinfo.

The values are those of its descriptors (JESD220); programmers of generations 2 and 3 print them.
Sizes there count units of 512 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from edl.firehose.answers import StorageInfo
from edl.units import parse_number

DEVICE_LUN = 0xD0  # the well-known unit that stands for the whole device: it is always there
_UNIT_BYTES = 512
_ENHANCED = 3  # bMemoryType of the first of four kinds
_ONE = 256  # capacity adjustment factors count 256ths


@dataclass(frozen=True)
class UfsDevice:
    """The device; None where it is not told.

    Attributes:
        capacity_bytes: what there is to be divided.
        unit_bytes: allocation unit; LUNs are whole ones.
        active: number of LUNs. mask: which ones, bit 0 for LUN 0.
        locked: the layout can never be changed again.
        boots: the device may be booted from.
        memory_types: bit n: it has memory of type n.
        factors: how much of the capacity memory of the types 3 to 6 takes, in 256ths.
    """

    capacity_bytes: int | None = None
    unit_bytes: int | None = None
    active: int | None = None
    mask: int | None = None
    locked: bool | None = None
    boots: bool | None = None
    memory_types: int | None = None
    factors: tuple[int | None, ...] = ()

    @property
    def is_told(self) -> bool:
        """Whether the programmer told of the device itself at all."""
        return self.capacity_bytes is not None or self.active is not None

    @property
    def unprovisioned(self) -> bool:
        """Whether the device answers and has no LUNs at all."""
        return self.is_told and not self.active and not self.mask

    @property
    def luns(self) -> tuple[int, ...] | None:
        """The numbers of the LUNs that there are, where they are told."""
        if self.unprovisioned:
            return ()
        if not self.mask:
            return None
        return tuple(bit for bit in range(self.mask.bit_length()) if self.mask >> bit & 1)

    def has_memory(self, kind: int) -> bool:
        """Tell whether it may have memory of that bMemoryType."""
        return self.memory_types is None or bool(self.memory_types >> kind & 1)

    def takes(self, size_bytes: int, kind: int) -> int:
        """Return how much of the capacity a LUN of that size and bMemoryType takes."""
        unit = self.unit_bytes or 1
        units = -(-size_bytes // unit)
        return -(-units * self._factor(kind) // _ONE) * unit

    def gives(self, capacity_bytes: int, kind: int) -> int:
        """Return the size of a LUN of that bMemoryType that takes that much of the capacity."""
        unit = self.unit_bytes or 1
        return capacity_bytes // unit * _ONE // self._factor(kind) * unit

    def _factor(self, kind: int) -> int:
        index = kind - _ENHANCED
        told = self.factors[index] if 0 <= index < len(self.factors) else None
        return told or _ONE


@dataclass(frozen=True)
class UfsLun:
    """One LUN, in the terms of its unit descriptor; None where it is not told."""

    size_bytes: int | None
    boot_id: int | None
    memory_type: int | None
    write_protect: int | None
    provisioning_type: int | None


def device_of(info: StorageInfo) -> UfsDevice:
    """Return what info, about whichever LUN, tells of the device."""

    def number(name: str) -> int | None:
        return _number(info.extra.get(f"UFS {name}", ""))

    capacity, segment = number("Raw Device Capacity"), number("Erase Block Size")
    units, locked = number("Allocation Unit Size"), number("bConfigDescrLock")
    boots = number("Boot Partition Enabled")
    return UfsDevice(
        capacity_bytes=capacity * _UNIT_BYTES if capacity else None,
        unit_bytes=units * segment * _UNIT_BYTES if units and segment else None,
        active=number("Total Active LU"),
        mask=number("LUN Enable Bitmask"),
        locked=None if locked is None else bool(locked),
        boots=None if boots is None else bool(boots),
        memory_types=number("Supported Memory Types") or None,
        factors=tuple(number(f"wEnhanced{kind}CapAdjFac") for kind in range(1, 5)),
    )


def lun_of(info: StorageInfo) -> UfsLun:
    """Return what info tells of its LUN."""
    size = None
    if info.sectors is not None and info.sector_bytes is not None:
        size = info.sectors * info.sector_bytes
    names = ("Boot LUN ID", "Memory Type", "LU Write Protect", "Provisioning Type")
    return UfsLun(size, *(_number(info.extra.get(f"UFS {name}", "")) for name in names))


def _number(text: str) -> int | None:
    try:
        return parse_number(text) if len(text) <= 20 else None
    except ValueError:
        return None
