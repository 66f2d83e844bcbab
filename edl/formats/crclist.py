# SPDX-License-Identifier: BSD-3-Clause
"""Xiaomi's crclist.txt: what the boot loader compares in fastboot mode with what it is sent.

A line `CRC-LIST`, then `partition 0xcrc`. The number is the CRC-32 (zlib) of the whole file: so
does flash_gen_crc_list.py compute it, which lies in several of Xiaomi's packages. Its list of
sparse images (sparsecrclist.txt) counts pieces whose borders depend on the sender, and is not read.
"""

from __future__ import annotations

import re

from edl.errors import DocumentError

MAX_BYTES = 1 << 20  # the largest seen has 2 KiB

_HEADER = "CRC-LIST"
_LINE = re.compile(r"(\S{1,72})\s+0x([0-9a-f]{1,8})", re.ASCII | re.IGNORECASE)


def read_crclist(data: bytes, name: str) -> dict[str, int]:
    """Return the CRC-32 of each partition's file, by the partition's name in lower case.

    Raises:
        DocumentError: data, the content of the file name, is no such list.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{name}: it is larger than any list of checksums.")
    lines = data.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != _HEADER:
        raise DocumentError(f"{name}:1: it does not begin with '{_HEADER}'.")
    found = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DocumentError(f"{name}:{number}: it is no name with a checksum.")
        found[match[1].lower()] = int(match[2], 16)
    return found
