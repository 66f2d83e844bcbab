# SPDX-License-Identifier: BSD-3-Clause
"""Generation 3: <fixgpt …/>. The table: UEFI 2.10, chapter 5.3.

The errors and the number of driver calls are those of the real one (real-programmer-ufs.md, fact 14
and the dialogue); the layout of the result follows from the specification.
"""

from __future__ import annotations

import struct
import zlib

from edl.virtual.storage import Storage, StorageError

_SIGNATURE = b"EFI PART"
_HEADER_BYTES = 92
_MAX_TABLE_BYTES = 1 << 20
_ENTRY = struct.Struct("<16s16sQQ")
_BAD_SIGNATURE = 2


def fix_gpt(storage: Storage, number: int, *, grow: bool) -> list[str]:
    """Make both tables of a LUN fit its size. Return what to log if that fails."""
    try:
        return _fix(storage, number, grow=grow)
    except StorageError as error:
        return [f"ERROR: Failed to fix GPT {error.result}"]


def _fix(storage: Storage, number: int, *, grow: bool) -> list[str]:
    sector_bytes, sectors = storage.sector_bytes, storage.luns[number].sectors
    header = bytearray(storage.read(number, 1, 1))
    (table_lba,) = struct.unpack_from("<Q", header, 72)
    entries, entry_bytes = struct.unpack_from("<II", header, 80)
    table_bytes = entries * entry_bytes
    table_sectors = -(-table_bytes // sector_bytes)
    plausible = 0 < table_bytes <= _MAX_TABLE_BYTES and entry_bytes >= _ENTRY.size
    failure = ""
    if not header.startswith(_SIGNATURE) or not plausible:
        failure = "ERROR: Not a valid GPT signature at sector 1"
    elif table_lba != 2:
        failure = f"ERROR: GPT primary table not at LBA 2, in {table_lba}"
    if failure:
        return [failure, f"ERROR: Failed to fix GPT {_BAD_SIGNATURE}"]
    table = bytearray(storage.read(number, 2, table_sectors))
    last_lba = sectors - 1
    last_usable = last_lba - table_sectors - 1
    if grow:
        _grow(table, entry_bytes, last_usable)
        storage.write(number, 2, table)
    storage.write(number, last_lba - table_sectors, table)
    table_crc = zlib.crc32(table[:table_bytes])
    struct.pack_into("<Q", header, 48, last_usable)
    for my_lba, other_lba, entries_lba in (
        (last_lba, 1, last_lba - table_sectors),
        (1, last_lba, 2),
    ):
        struct.pack_into("<QQ", header, 24, my_lba, other_lba)
        struct.pack_into("<Q", header, 72, entries_lba)
        struct.pack_into("<I", header, 88, table_crc)
        struct.pack_into("<I", header, 16, 0)
        struct.pack_into("<I", header, 16, zlib.crc32(header[:_HEADER_BYTES]))
        storage.write(number, my_lba, header)
    return []


def _grow(table: bytearray, entry_bytes: int, last_usable: int) -> None:
    """Let the partition that begins last end at last_usable."""
    starts = {}
    for offset in range(0, len(table) - _ENTRY.size + 1, entry_bytes):
        kind, _, first, _ = _ENTRY.unpack_from(table, offset)
        if any(kind):
            starts[first] = offset
    if starts:
        struct.pack_into("<Q", table, starts[max(starts)] + 40, last_usable)
