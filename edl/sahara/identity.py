# SPDX-License-Identifier: BSD-3-Clause
"""What a boot ROM tells about itself in command mode: the raw answers, taken apart."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_CHIP_ID_MIN_BYTES = 46
_PK_DIGEST_BYTES = (48, 32, 64)
_MAX_PK_HASH_BYTES = 192  # three slots of the longest digest


@dataclass(frozen=True)
class ChipId:
    """Answer of command 0x0A (Sahara version 3). hwid: as command 0x02 would give it."""

    chip_id: int
    soc_version: int
    hwid: int


def serial_number(answer: bytes) -> int | None:
    """Return the 32-bit serial number; version 3 appends a second word, which is not part of it."""
    return struct.unpack_from("<I", answer)[0] if len(answer) >= 4 else None


def hwid(answer: bytes) -> int | None:
    """Return the 64-bit HWID: MSM_ID, OEM_ID, MODEL_ID from high to low; usually sent 3 times."""
    return struct.unpack_from("<Q", answer)[0] if len(answer) >= 8 else None


def chip_id(answer: bytes) -> ChipId | None:
    """Return what the fuse information of version 3 says, or None if it is too short.

    Offsets as in qdl (sahara.c) and qcom-image-loader: SOC_HW_VERSION at 0x20, MSM_ID at 0x24,
    OEM_ID at 0x28 (0x2C where that is 0), MODEL_ID at 0x2A.
    """
    if len(answer) < _CHIP_ID_MIN_BYTES:
        return None
    chip, version, msm = (struct.unpack_from("<I", answer, at)[0] for at in (0, 0x20, 0x24))
    oem, model, other_oem = struct.unpack_from("<HHH", answer, 0x28)
    return ChipId(chip, version, msm << 32 | (oem or other_oem) << 16 | model)


def pk_hash(answer: bytes) -> bytes | None:
    """Return the digest of the root key in answer: 32, 48 or 64 bytes, or None if that is empty.

    Phones send it once, repeated (equal copies), or padded with zeros; a digest may itself end in a
    zero, and it is all zeros where no key is fused (edl-ng). Of an answer of no such shape all
    is returned, up to 192 bytes.
    """
    answer = answer[:_MAX_PK_HASH_BYTES]
    if not any(answer):
        return bytes(48 if len(answer) % 48 == 0 else 32) if answer else None
    for size in _PK_DIGEST_BYTES:
        first, *others = (answer[at : at + size] for at in range(0, len(answer), size))
        if first in others[:1] and all(block in {first, bytes(size)} for block in others):
            return first
    used = len(answer.rstrip(b"\0"))
    size = next((size for size in sorted(_PK_DIGEST_BYTES) if used <= size), len(answer))
    return answer[:size]
