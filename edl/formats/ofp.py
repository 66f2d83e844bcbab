# SPDX-License-Identifier: BSD-3-Clause
"""What Oppo and Realme encrypt in their containers (ofp, Qualcomm), and how keys are made.

Facts: oppo_decrypt (B. Kerler, MIT). AES-128 in CFB mode with whole blocks, each file from the same
start; of most files only the first 256 KiB.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from Crypto.Cipher import AES

ENCRYPTED_BYTES = 0x40000


@dataclass(frozen=True)
class OfpKey:
    """A key for ofp files. key, iv: 16 bytes."""

    name: str
    key: bytes
    iv: bytes


def derived(name: str, mask: bytes, key: bytes, iv: bytes) -> OfpKey:
    """Return the key that follows from the three values of 16 bytes that Oppo's tool carries."""
    return OfpKey(name, _opened(key, mask), _opened(iv, mask))


def _opened(value: bytes, mask: bytes) -> bytes:
    plain = bytes(
        (one ^ other) >> 4 | (one ^ other) << 4 & 0xF0
        for one, other in zip(value, mask, strict=True)
    )
    # the first digits as text are the key, not the bytes that they stand for
    return hashlib.md5(plain, usedforsecurity=False).hexdigest()[:16].encode()


def decipher(data: bytes, key: OfpKey) -> bytes:
    """Return what data means, from the beginning of an encrypted file on."""
    return AES.new(key.key, AES.MODE_CFB, iv=key.iv, segment_size=128).decrypt(data)
