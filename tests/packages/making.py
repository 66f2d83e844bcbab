# SPDX-License-Identifier: BSD-3-Clause
"""Small packages, made with the standard library's own writers."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Mapping

BLOCK = 4096


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def rawprogram(names: Mapping[str, str], sector_bytes: int = 512) -> bytes:
    """Return a rawprogram document with a row of 64 sectors for each label and its file."""
    rows = [
        f'<program SECTOR_SIZE_IN_BYTES="{sector_bytes}" filename="{name}" label="{label}"'
        f' num_partition_sectors="64" physical_partition_number="0" start_sector="{64 * at}"'
        ' file_sector_offset="0" sparse="false"/>'
        for at, (label, name) in enumerate(names.items(), 1)
    ]
    return f"<data>{''.join(rows)}</data>".encode()


def zstd_of(data: bytes) -> bytes:
    """Return data as the program zstd compresses it."""
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def sparse(*chunks: tuple[int, bytes]) -> bytes:
    """Return a sparse image: (count of blocks, data), no data for what is left open.

    By AOSP's sparse_format.h.
    """
    body = b""
    for count, data in chunks:
        kind = 0xCAC1 if data else 0xCAC3
        body += struct.pack("<HHII", kind, 0, count, 12 + len(data)) + data
    blocks = sum(count for count, _ in chunks)
    return struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, BLOCK, blocks, len(chunks), 0) + body
