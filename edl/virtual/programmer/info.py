# SPDX-License-Identifier: BSD-3-Clause
"""What getstorageinfo tells: the texts that several generations share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edl.virtual.layout import Layout
from edl.virtual.storage import EmmcProduct, FlashProduct, Lun, Storage, UfsProduct

_EXT_CSD_REVISION, _EXT_CSD_FIRMWARE = 192, 254  # offsets
_RAW_BYTES = 532


def json_text(storage: Storage, lun: Lun, *, maker_key: str, gap: str) -> str:
    """Return the JSON, quotes written as entities.

    maker_key: name of the manufacturer's id; gap: what stands before the last member.
    """
    product = storage.product
    if isinstance(product, EmmcProduct):
        memory, name, firmware = "eMMC", product.name, str(product.firmware)
    elif isinstance(product, UfsProduct):
        memory, name, firmware = "UFS", product.inquiry[8:28], product.inquiry[25:28]
    else:
        memory, name, firmware = product.memory, product.name, product.firmware
    blocks, block_bytes = _blocks(storage, lun)
    numbers = {
        "total_blocks": blocks,
        "block_size": block_bytes,
        "page_size": lun.sector_bytes,
        "num_physical": len(storage.opening),
        maker_key: product.manufacturer_id,
        "serial_num": serial(storage),
    }
    members = ", ".join(f'"{key}":{value}' for key, value in numbers.items())
    texts = f'"fw_version":"{firmware}","mem_type":"{memory}",{gap}"prod_name":"{name}"'
    if isinstance(product, UfsProduct) and product.life is not None:
        # names from the newest programmers; their place among the others was not recovered
        life_a, life_b = product.life
        texts += f',"wspec_version":0x310,"lifeA":{life_a},"lifeB":{life_b}'
    return f'{{"storage_info": {{{members}, {texts}}}}}'.replace('"', "&quot;")


def _blocks(storage: Storage, lun: Lun) -> tuple[int, int]:
    """Return number and size of what are called blocks: on NAND what is erased at once.

    firehose.md 8.1.
    """
    product = storage.product
    pages = product.pages_per_block if isinstance(product, FlashProduct) else 1
    return lun.sectors // pages, lun.sector_bytes * pages


def serial(storage: Storage) -> int:
    """Return the serial number; for UFS four characters of the maker's name, which is none.

    real-programmer-ufs.md, fact 13.
    """
    product = storage.product
    if not isinstance(product, UfsProduct):
        return product.serial
    index = product.string_indices[2]
    return int.from_bytes(product.inquiry.encode("latin-1")[index : index + 4], "big")


def common_texts(storage: Storage, lun: Lun, *, physical: int) -> Iterator[str]:
    """Yield the logs with which generations 2 and 3 begin."""
    blocks, block_bytes = _blocks(storage, lun)
    yield f"INFO: Device Total Logical Blocks: 0x{blocks:x}"
    yield f"INFO: Device Block Size in Bytes: 0x{block_bytes:x}"
    yield f"INFO: Device Total Physical Partitions: 0x{physical:x}"
    yield f"INFO: Device Manufacturer ID: 0x{storage.product.manufacturer_id:x}"
    yield f"INFO: Device Serial Number: 0x{serial(storage):x}"
    yield f"INFO: {json_text(storage, lun, maker_key='manufacturer_id', gap='')}"


def emmc_texts(product: EmmcProduct) -> Iterator[str]:
    """Yield two values of EXT_CSD."""
    yield f"eMMC Extended CSD Revision: 0x{product.ext_csd[_EXT_CSD_REVISION]:x}"
    yield f"eMMC Firmware Version: 0x{product.ext_csd[_EXT_CSD_FIRMWARE]:x}"


def raw_texts(product: EmmcProduct, lasts: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield (range, hex) of the driver's structure that begins with EXT_CSD.

    lasts: last byte of each piece, as it is printed; it may be one too many.
    """
    data = product.ext_csd.ljust(_RAW_BYTES, b"\0")[:_RAW_BYTES]
    first = 0
    for last in lasts:
        yield f"[{first}:{last}]", data[first : last + 1].hex().upper()
        first = last + 1


def ufs_texts(storage: Storage, number: int, lun: Lun, product: UfsProduct) -> Iterator[str]:
    """Yield the values of UFS descriptors, with the stray equals signs of the real ones."""
    layout = storage.layout or Layout(
        {},
        boot_ids=dict(product.boot_lun_ids),
        boots=product.boot_enabled,
        locked=product.descriptor_locked,
    )
    allocation_bytes = product.allocation_unit * product.erase_block_sectors * 512
    values = {
        "fInitialized:": 1,
        "Current LUN Number: =": number,
        "Total Active LU:": len(storage.opening),
        "wManufacturerID:": product.manufacturer_id,
        "Boot Partition Enabled:": layout.boots,
        "Raw Device Capacity: =": storage.capacity_bytes // 512,
        "Min Block Size:": product.min_block,
        "Erase Block Size:": product.erase_block_sectors,
        "Allocation Unit Size:": product.allocation_unit,
        "RPMB ReadWrite Size: =": product.rpmb_unit,
        "Number of Allocation Uint for This LU:": lun.sectors
        * lun.sector_bytes
        // allocation_bytes,
        "Logical Block Size:": product.block_size_log2,
        "Provisioning Type:": layout.provisioning_types.get(number, product.provisioning_type),
        "LU Write Protect:": layout.write_protects.get(number, product.write_protect),
        "Boot LUN ID: =": layout.boot_ids.get(number, 0),
        "Memory Type:": layout.memory_types.get(number, product.memory_type),
        "LU Total Blocks:": lun.sectors,
        "Supported Memory Types:": product.supported_memory_types,
        "dEnhanced1MaxNAllocU:": product.enhanced[0],
        "wEnhanced1CapAdjFac:": product.enhanced[1],
        "dEnhanced2MaxNAllocU: =": product.enhanced[2],
        "wEnhanced2CapAdjFac:": product.enhanced[3],
        "dEnhanced3MaxNAllocU:": product.enhanced[4],
        "wEnhanced3CapAdjFac:": product.enhanced[5],
        "dEnhanced4MaxNAllocU:": product.enhanced[6],
        "wEnhanced4CapAdjFac:": product.enhanced[7],
        "LUN Enable Bitmask:": sum(1 << each for each in storage.opening),
        "Logical Block Count:": lun.sectors,
        "bConfigDescrLock:": layout.locked,
        "iManufacturerName String Index:": product.string_indices[0],
        "iProductName String Index:": product.string_indices[1],
        "iSerialNumber String Index:": product.string_indices[2],
        "iOemID String Index:": product.string_indices[3],
    }
    for name, value in values.items():
        yield f"UFS {name} 0x{value:x}"
    yield f"UFS Inquiry Command Output: {product.inquiry}"
