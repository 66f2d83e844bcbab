# SPDX-License-Identifier: BSD-3-Clause
"""Certificate chains as the virtual phone's boot ROM checks them, with pycryptodome's verifiers."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from Crypto.Hash import SHA1, SHA256, SHA384
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import DSS, pkcs1_15, pss

from edl.errors import DocumentError
from edl.formats import der

_MAX_CERTIFICATES = 18
_MAX_KEY_BYTES = 1200  # RSA-8192 fits; the time that a signature takes grows with the cube of it
_RSA_HASHES = {
    "1.2.840.113549.1.1.5": SHA1,
    "1.2.840.113549.1.1.11": SHA256,
    "1.2.840.113549.1.1.12": SHA384,
}
_PSS = "1.2.840.113549.1.1.10"
_ORGANIZATIONAL_UNIT = "2.5.4.11"
_FIELD = re.compile(r"([0-9]{2}) +([0-9A-Fa-f ]+) +[A-Z0-9_]+")


@dataclass(frozen=True)
class Certificate:
    """One certificate. fields: OU attributes of the form `NN VALUE NAME`, by number."""

    signed: bytes
    algorithm: str
    signature: bytes
    key: RSA.RsaKey | ECC.EccKey
    fields: dict[int, str]
    self_issued: bool
    raw: bytes

    def has_signed(self, message: bytes, signature: bytes, digest: str) -> bool:
        """Return whether signature is what this certificate's key makes of an image's message.

        digest: hash algorithm of RSA signatures; P-384 goes with SHA-384.
        """
        if isinstance(self.key, ECC.EccKey):
            try:
                trimmed = der.read(signature).raw  # the field is filled with zeros
            except DocumentError:
                return False
            return _ecdsa(self.key, message, trimmed)
        hashed = hashlib.new(digest, message).digest()
        return _bare(self.key, hashed, signature) or _pss(self.key, message, signature)


@functools.lru_cache(maxsize=8)  # a phone is often given the loader that it had before
def read_chain(area: bytes) -> tuple[Certificate, ...]:
    """Return the certificates in area, leaf first, after each has been verified by the next.

    Raises:
        ValueError: they cannot be read, or do not hold together.
    """
    chain: list[Certificate] = []
    try:
        while area[:1] == b"\x30" and len(chain) < _MAX_CERTIFICATES:
            chain.append(_certificate(der.read(area)))
            area = area[len(chain[-1].raw) :]
    except (DocumentError, ValueError, IndexError, TypeError) as error:
        raise ValueError(f"a certificate cannot be read: {error}") from error
    if area.strip(b"\xff"):
        raise ValueError("there is more than certificates in their area")
    roots = [certificate for certificate in chain if certificate.self_issued]
    below = chain[: len(chain) - len(roots)]
    if not roots or not 1 <= len(below) <= 2:
        raise ValueError("a chain has a leaf, perhaps a CA, and roots")
    links = [*itertools.pairwise(below), *((root, root) for root in roots)]
    if not all(_issued(*link) for link in links):
        raise ValueError("a certificate is not signed by the next")
    if not any(_issued(below[-1], root) for root in roots):
        raise ValueError("no root has signed the chain")
    return tuple(chain)


def _certificate(element: der.Element) -> Certificate:
    body, algorithm, signature = der.children(element)
    _, _, _, issuer, _, subject, key, *_ = der.children(body)
    fields = {}
    for group in der.children(subject):
        for attribute in der.children(group):
            kind, value = der.children(attribute)
            match = _FIELD.fullmatch(der.text(value))
            if der.object_id(kind) == _ORGANIZATIONAL_UNIT and match:
                fields[int(match[1])] = match[2]
    return Certificate(
        signed=body.raw,
        algorithm=der.object_id(der.children(algorithm)[0]),
        signature=der.bits(signature),
        key=_public_key(key.raw),
        fields=fields,
        self_issued=issuer.raw == subject.raw,
        raw=element.raw,
    )


def _public_key(raw: bytes) -> RSA.RsaKey | ECC.EccKey:
    if len(raw) > _MAX_KEY_BYTES:
        raise ValueError(f"a key has {len(raw)} bytes")
    try:
        return RSA.import_key(raw)
    except ValueError:
        return ECC.import_key(raw)


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Return whether issuer has signed certificate."""
    key = issuer.key
    if isinstance(key, ECC.EccKey):
        return _ecdsa(key, certificate.signed, certificate.signature)
    if certificate.algorithm == _PSS:
        return _pss(key, certificate.signed, certificate.signature)
    kind = _RSA_HASHES.get(certificate.algorithm)
    if kind is None:
        return False
    digest = kind.new(certificate.signed)
    return _passes(pkcs1_15.new(key).verify, digest, certificate.signature)


def _passes(verify: Callable[[Any, bytes], object], digest: object, signature: bytes) -> bool:
    try:
        verify(digest, signature)
    except ValueError:
        return False
    return True


def _ecdsa(key: ECC.EccKey, message: bytes, signature: bytes) -> bool:
    verifier = DSS.new(key, "fips-186-3", encoding="der")
    return _passes(verifier.verify, SHA384.new(message), signature)


def _pss(key: RSA.RsaKey, message: bytes, signature: bytes) -> bool:
    return _passes(pss.new(key, salt_bytes=32).verify, SHA256.new(message), signature)


def _bare(key: RSA.RsaKey, hashed: bytes, signature: bytes) -> bool:
    """Return whether signature is a PKCS#1 v1.5 frame around hashed alone, without its type."""
    size = key.size_in_bytes()
    frame = b"\0\x01" + b"\xff" * (size - 3 - len(hashed)) + b"\0" + hashed
    opened = pow(int.from_bytes(signature, "big"), int(key.e), int(key.n))
    return len(signature) == size and opened == int.from_bytes(frame, "big")
