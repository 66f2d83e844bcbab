# SPDX-License-Identifier: BSD-3-Clause
"""Checks signatures of certificates and boot images offline.

Boot images use forms that no library offers (a PKCS#1 frame around a bare digest), so RSA is opened
with a plain power and its padding is read here; elliptic curves are left to pycryptodome.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from Crypto.Hash import SHA256, SHA384, SHA512
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS

from edl.errors import DocumentError
from edl.formats import der

MAX_MODULUS_BITS = 8192
_MIN_MODULUS_BITS = 1024
_MAX_EXPONENT_BITS = 64

_HASHES = ("sha256", "sha384", "sha512", "sha1")
_HASH_NAMES = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
_CURVE_HASHES = {"P-256": SHA256, "P-384": SHA384, "P-521": SHA512}
_DIGEST_INFO = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


@dataclass(frozen=True)
class RsaKey:
    """A public RSA key."""

    modulus: int
    exponent: int

    @property
    def size_bytes(self) -> int:
        """Length of the modulus, and of signatures, in bytes."""
        return (self.modulus.bit_length() + 7) // 8

    def __str__(self) -> str:
        """Return what kind of key it is: `RSA-2048, e = 65537`."""
        return f"RSA-{self.modulus.bit_length()}, e = {self.exponent}"


@dataclass(frozen=True)
class EcKey:
    """A public key on an elliptic curve: P-256, P-384 or P-521."""

    curve: str
    x: int
    y: int

    def __str__(self) -> str:
        """Return what kind of key it is: `P-384`."""
        return self.curve


Key = RsaKey | EcKey


def scheme_of(
    key: Key, signature: bytes, messages: Iterable[bytes], *, bare: bool = False
) -> str | None:
    """Return how key has signed one of messages, or None if it has signed none of them.

    messages: what may have been signed, most likely first.
    bare: whether a PKCS#1 v1.5 frame may hold the digest alone, without its type.
    """
    if isinstance(key, EcKey):
        return _ecdsa(key, signature, messages)
    if (frame := _opened(key, signature)) is None:
        return None
    held = _pkcs1(frame)
    if held is None:
        bits = (key.modulus.bit_length() - 1) % 8
        tries = _tries(messages)
        return next((_pss_name(h) for m, h in tries if _is_pss(frame, m, h, bits)), None)
    for message, name in _tries(messages):
        hashed = hashlib.new(name, message).digest()
        if held == _DIGEST_INFO[name] + hashed:
            return f"RSA PKCS#1 v1.5, {_HASH_NAMES[name]}"
        if bare and held == hashed:
            return f"RSA PKCS#1 v1.5 with a bare digest, {_HASH_NAMES[name]}"
    return None


def _tries(messages: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    """Yield each message with each hash; a message is worked out only when it is its turn."""
    return ((message, name) for message in messages for name in _HASHES)


def _opened(key: RsaKey, signature: bytes) -> bytes | None:
    """Return what is inside an RSA signature; None if key or signature make no sense.

    signature may be followed by bytes that fill its field.
    """
    bits = key.modulus.bit_length()
    sane = (
        _MIN_MODULUS_BITS <= bits <= MAX_MODULUS_BITS
        and key.modulus % 2
        and key.exponent % 2
        and 3 <= key.exponent < 1 << _MAX_EXPONENT_BITS
    )
    filling = signature[key.size_bytes :]
    number = int.from_bytes(signature[: key.size_bytes], "big")
    if not sane or len(signature) < key.size_bytes or number >= key.modulus:
        return None
    if filling.strip(b"\0") and filling.strip(b"\xff"):
        return None
    return pow(number, key.exponent, key.modulus).to_bytes(key.size_bytes, "big")


def _pkcs1(frame: bytes) -> bytes | None:
    """Return what a PKCS#1 v1.5 frame holds, or None if frame is none."""
    padding, _, held = frame[2:].partition(b"\0")
    if frame[:2] != b"\0\x01" or len(padding) < 8 or padding.strip(b"\xff"):
        return None
    return held


def _pss_name(name: str) -> str:
    return f"RSA-PSS, {_HASH_NAMES[name]}"


def _is_pss(frame: bytes, message: bytes, name: str, top_bits: int) -> bool:
    """Return whether frame is the EMSA-PSS encoding of message (RFC 8017, 9.1.2), for any salt.

    top_bits: how many bits of the first byte are in use; 0 if that byte is not.
    """
    size = hashlib.new(name).digest_size
    if top_bits == 0:
        frame = frame[1:]
    if frame[-1] != 0xBC or len(frame) < 2 * size + 2:
        return False
    masked, hashed = frame[: -size - 1], frame[-size - 1 : -1]
    mask = b"".join(
        hashlib.new(name, hashed + count.to_bytes(4, "big")).digest()
        for count in range(-(-len(masked) // size))
    )
    block = int.from_bytes(masked, "big") ^ int.from_bytes(mask[: len(masked)], "big")
    used_bits = 8 * len(masked) - (8 - top_bits if top_bits else 0)
    block &= (1 << used_bits) - 1
    padding, one, salt = block.to_bytes(len(masked), "big").partition(b"\x01")
    if not one or padding.strip(b"\0"):
        return False
    inner = bytes(8) + hashlib.new(name, message).digest() + salt
    return hashlib.new(name, inner).digest() == hashed


def _ecdsa(key: EcKey, signature: bytes, messages: Iterable[bytes]) -> str | None:
    """Return how key has signed; signature may be followed by zeros that fill its field."""
    kind = _CURVE_HASHES[key.curve]
    try:
        trimmed = der.read(signature).raw
        public = ECC.construct(curve=key.curve, point_x=key.x, point_y=key.y)
    except (DocumentError, ValueError):
        return None
    # this mode accepts any hash, and its name matters for signing only
    verifier = DSS.new(public, "deterministic-rfc6979", encoding="der")
    for message in messages:
        try:
            verifier.verify(kind.new(message), trimmed)
        except ValueError:
            continue
        return f"ECDSA {key.curve}, SHA-{kind.digest_size * 8}"
    return None
