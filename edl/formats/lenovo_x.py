# SPDX-License-Identifier: BSD-3-Clause
"""Lenovo's encrypted XML documents (`rawprogram0.x`), of tablets from 2021 on.

Facts: LTBox (facts only). 16 bytes where the chain begins, 16 bytes of salt, then AES-256 in CBC
mode. The key is made of a word and the salt. In plain: the size, a magic, the document, and its
SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from Crypto.Cipher import AES

from edl.errors import DocumentError
from edl.units import MIB
from edl.wire import Packet, Wire, u64

MAX_BYTES = 16 * MIB
_MAGIC = bytes.fromhex("cf060504030201fc")
_ROUNDS = 1000
_HEAD_BYTES = 32
_BLOCK_BYTES = 16
_DIGEST_BYTES = 32


class _Plain(Packet):
    size_bytes: u64
    magic: Annotated[bytes, Wire("8s")]


def decipher(data: bytes, word: str) -> bytes | None:
    """Return the document in data, or None if word is not the right one.

    Raises:
        DocumentError: data is no such file, or is damaged.
    """
    body = data[_HEAD_BYTES:]
    if not body or len(body) % _BLOCK_BYTES or len(data) > MAX_BYTES:
        raise DocumentError("It has not the length of an encrypted document: it is not whole.")
    iv, salt = data[:_BLOCK_BYTES], data[_BLOCK_BYTES:_HEAD_BYTES]
    plain = AES.new(_key(word, salt), AES.MODE_CBC, iv=iv).decrypt(body)
    head = _Plain.unpack(plain[: _Plain.size()])
    if head.magic != _MAGIC:
        return None
    end = _Plain.size() + head.size_bytes
    document, digest = plain[_Plain.size() : end], plain[end : end + _DIGEST_BYTES]
    if hashlib.sha256(document).digest() != digest:
        raise DocumentError("It is damaged: its checksum (SHA-256) is wrong.")
    return document


def _key(word: str, salt: bytes) -> bytes:
    """Return the key as PBKDF1 makes it (RFC 8018, 5.1), with SHA-256 and 1000 rounds."""
    digest = word.encode() + salt
    for _ in range(_ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest
