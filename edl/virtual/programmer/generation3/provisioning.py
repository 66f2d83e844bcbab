# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3: the structure in which <ufs …/> lines are collected for the UFS driver.

Places are known for what the recorded commit shows (real-programmer-ufs.md, fact 12, and the
dialogue); what was 0 there has the place that the order of the attributes suggests.

What a UFS device makes of it is in JESD220 ("Configuration Descriptor"): sizes are rounded up to
allocation units, memory of the enhanced types takes more of the capacity than it gives, and a
device whose layout is locked takes none. Which LUN grows is the driver's own affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edl.virtual.layout import Layout
from edl.virtual.programmer.base import Attributes
from edl.virtual.programmer.generation3.text import number_or
from edl.virtual.storage import UFS_INVALID, Storage, StorageError, UfsProduct

COMMIT_S = 20.0  # longer than the 5 s that were too short for real ones: linux-msm/qdl#314
# what is logged then: public logs, and linux-msm/qdl#297
NOT_OPENED = "ERROR: ufs_open(0, WLUN_DEV) failed for configure"
NOT_CONFIGURED = (
    "ERROR: Configure Failed slot 0",
    "ERROR: Failed to configure device, type:UFS, slot:0",
)

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
        grows: LUN that takes what the others leave.
    """

    def __init__(self) -> None:
        self.data = bytearray(_BYTES)
        self.grows = 0
        offset, value = _UNSET
        self.data[offset : offset + len(value)] = value

    def collect(self, attributes: Attributes) -> None:
        """Take over the values of one line."""
        self.grows = number_or(attributes.get("luntogrow"), self.grows)
        lu = number_or(attributes.get("lunum"), _LUS)
        places, base = (_HEADER, 0) if lu >= _LUS else (_LU, _HEADER_BYTES + lu * _LU_BYTES)
        for name, (offset, size) in places.items():
            if name in attributes:
                value = number_or(attributes[name], 0) & ((1 << 8 * size) - 1)
                at = base + offset
                self.data[at : at + size] = value.to_bytes(size, "little")

    def value(self, name: str, lu: int | None = None) -> int:
        """Return what was collected under name, in lower case, of the device or of LUN lu."""
        offset, size = _HEADER[name] if lu is None else _LU[name]
        base = 0 if lu is None else _HEADER_BYTES + lu * _LU_BYTES
        return int.from_bytes(self.data[base + offset : base + offset + size], "little")

    @property
    def enabled(self) -> Iterator[int]:
        """Yield the LUNs that there are to be."""
        return (lu for lu in range(_LUS) if self.value("bluenable", lu))


def divide(storage: Storage, wanted: UfsDescriptor) -> None:
    """Divide storage as wanted; all that it held is lost.

    Raises:
        StorageError: the device does not take it; nothing has changed.
    """
    if not storage.divides:
        return
    product = storage.product
    if not isinstance(product, UfsProduct):
        raise StorageError(UFS_INVALID)
    if product.descriptor_locked or (storage.layout is not None and storage.layout.locked):
        raise StorageError(UFS_INVALID)
    unit = product.allocation_unit * product.erase_block_sectors * 512
    taken = {lu: _units(wanted, lu, unit, product) for lu in wanted.enabled}
    left = storage.capacity_bytes // unit - sum(units for units, _ in taken.values())
    if left < 0 or wanted.grows not in taken or not all(units for units, _ in taken.values()):
        raise StorageError(UFS_INVALID)
    sizes: Mapping[int, int] = {
        lu: (given + (left if lu == wanted.grows else 0)) * unit for lu, (_, given) in taken.items()
    }
    storage.divide(
        Layout(
            sizes,
            boot_ids={lu: wanted.value("bbootlunid", lu) for lu in taken},
            memory_types={lu: wanted.value("bmemorytype", lu) for lu in taken},
            write_protects={lu: wanted.value("bluwriteprotect", lu) for lu in taken},
            provisioning_types={lu: wanted.value("bprovisioningtype", lu) for lu in taken},
            boots=wanted.value("bbootenable"),
            locked=wanted.value("bconfigdescrlock"),
        )
    )


def _units(wanted: UfsDescriptor, lu: int, unit: int, product: UfsProduct) -> tuple[int, int]:
    """Return how many allocation units a LUN takes, and how many it gives.

    Raises:
        StorageError: the device has no such memory.
    """
    kind = wanted.value("bmemorytype", lu)
    if not product.supported_memory_types >> kind & 1:
        raise StorageError(UFS_INVALID)
    factor = product.enhanced[2 * (kind - 3) + 1] if kind >= 3 else 0
    given = -(-wanted.value("size_in_kb", lu) * 1024 // unit)
    return -(-given * (factor or 256) // 256), given
