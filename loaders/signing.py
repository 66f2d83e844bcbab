# SPDX-License-Identifier: BSD-3-Clause
"""Public test keys, and certificate chains in the manner of phone makers.

Everything is reproducible to the bit: the RSA keys lie in `keys/`, the P-384 keys follow from
their names, dates and serial numbers are fixed, and salts come from a fixed stream. The private
keys are public on purpose: no product trusts them, and none ever may.
"""

from __future__ import annotations

import enum
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from Crypto.Hash import SHA256, SHA384
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import DSS, pkcs1_15, pss

KEYS = Path(__file__).parent / "keys"

_P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_SHA256_OID = "2.16.840.1.101.3.4.2.1"
_PSS_SALT_BYTES = 32
RSA_FIELD_BYTES = 256
ECDSA_FIELD_BYTES = 104  # a DER signature of two P-384 numbers takes 102 to 104; zeros fill up


class Scheme(enum.Enum):
    """How a maker's keys sign certificates and images."""

    PKCS1 = "sha256WithRSAEncryption; images: PKCS#1 v1.5 frame around the bare digest"
    PSS = "RSASSA-PSS, SHA-256, salt of 32 bytes"
    ECDSA = "P-384 with SHA-384"


def stream(label: str) -> Callable[[int], bytes]:
    """Return a source of bytes that depends on label alone: SHA-256 over label and a counter."""
    pool = bytearray()
    count = 0

    def take(size: int) -> bytes:
        nonlocal count
        while len(pool) < size:
            pool.extend(hashlib.sha256(f"{label}/{count}".encode()).digest())
            count += 1
        taken = bytes(pool[:size])
        del pool[:size]
        return taken

    return take


@functools.cache
def rsa_key(name: str) -> RSA.RsaKey:
    """Return the public test key `keys/NAME.pem`; its first line warns people."""
    _, _, pem = (KEYS / f"{name}.pem").read_text("ascii").partition("\n")
    return RSA.import_key(pem)


@functools.cache
def p384_key(name: str) -> ECC.EccKey:
    """Return the P-384 test key whose number is the SHA-384 of its name."""
    number = int.from_bytes(hashlib.sha384(name.encode()).digest(), "big")
    return ECC.construct(curve="P-384", d=number % (_P384_ORDER - 1) + 1)


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return a DER element with parts as its body."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def _integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = bytearray()
    for arc in (40 * first + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        body += bytes(reversed(septets))
    return tlv(0x06, bytes(body))


def _algorithm(scheme: Scheme) -> bytes:
    null = tlv(0x05)
    if scheme is Scheme.PKCS1:
        return tlv(0x30, _oid("1.2.840.113549.1.1.11"), null)
    if scheme is Scheme.ECDSA:
        return tlv(0x30, _oid("1.2.840.10045.4.3.3"))
    sha256 = tlv(0x30, _oid(_SHA256_OID), null)
    mask = tlv(0x30, _oid("1.2.840.113549.1.1.8"), sha256)
    salt = tlv(0xA2, _integer(_PSS_SALT_BYTES))
    return tlv(
        0x30, _oid("1.2.840.113549.1.1.10"), tlv(0x30, tlv(0xA0, sha256), tlv(0xA1, mask), salt)
    )


def _name(common_name: str, units: Sequence[str]) -> bytes:
    attributes = [("2.5.4.6", 0x13, "ZZ"), ("2.5.4.10", 0x13, "edl test vendor")]
    attributes += [("2.5.4.11", 0x14, unit) for unit in units]  # makers use T61String here
    attributes += [("2.5.4.3", 0x13, common_name)]
    return tlv(
        0x30,
        *(
            tlv(0x31, tlv(0x30, _oid(kind), tlv(tag, value.encode("latin-1"))))
            for kind, tag, value in attributes
        ),
    )


Key = RSA.RsaKey | ECC.EccKey


def _private_power(key: RSA.RsaKey, number: int) -> int:
    """Return number to the power of the private exponent, by way of the primes."""
    p, q = int(key.p), int(key.q)
    by_p, by_q = pow(number, int(key.d) % (p - 1), p), pow(number, int(key.d) % (q - 1), q)
    return by_q + q * ((by_p - by_q) * pow(q, -1, p) % p)


def _sign(key: Key, scheme: Scheme, message: bytes) -> bytes:
    """Return the signature that a certificate carries."""
    if isinstance(key, ECC.EccKey):
        signer = DSS.new(key, "deterministic-rfc6979", encoding="der")
        return signer.sign(SHA384.new(message))
    digest = SHA256.new(message)
    if scheme is Scheme.PKCS1:
        return pkcs1_15.new(key).sign(digest)
    salt = stream("salt/" + digest.hexdigest())
    return pss.new(key, salt_bytes=_PSS_SALT_BYTES, rand_func=salt).sign(digest)


@dataclass(frozen=True)
class _Party:
    """Who a certificate speaks of, and with which key."""

    common_name: str
    key: Key
    units: tuple[str, ...] = ()

    @property
    def name(self) -> bytes:
        return _name(self.common_name, self.units)


def _certificate(
    subject: _Party, issuer: _Party, scheme: Scheme, constraints: bytes, serial: int
) -> bytes:
    public = subject.key.public_key().export_key(format="DER")
    assert isinstance(public, bytes)  # noqa: S101 (for the type checker: DER is bytes)
    extension = tlv(0x30, _oid("2.5.29.19"), tlv(0x01, b"\xff"), tlv(0x04, constraints))
    body = tlv(
        0x30,
        tlv(0xA0, _integer(2)),
        _integer(serial),
        _algorithm(scheme),
        issuer.name,
        tlv(0x30, tlv(0x17, b"200101000000Z"), tlv(0x17, b"400101000000Z")),
        subject.name,
        public,
        tlv(0xA3, tlv(0x30, extension)),
    )
    signature = tlv(0x03, b"\0", _sign(issuer.key, scheme, body))
    return tlv(0x30, body, _algorithm(scheme), signature)


@dataclass(frozen=True)
class Vendor:
    """A phone maker's signing keys.

    roots: names of the root keys, in the order of their certificates.
    scheme: how root and CA sign; leaf_scheme: how the leaf is signed, and the leaf signs images.
    signing_root: index of the root that signs what comes below.
    with_ca: whether a CA stands between root and leaf.
    serial: serial number of the root certificates.
    """

    name: str
    roots: tuple[str, ...]
    scheme: Scheme = Scheme.PKCS1
    leaf_scheme: Scheme = Scheme.PKCS1
    signing_root: int = 0
    with_ca: bool = True
    serial: int = 1
    leaf: str = "vendor-leaf"

    def _key(self, name: str) -> Key:
        return p384_key(name) if self._elliptic else rsa_key(name)

    @property
    def _elliptic(self) -> bool:
        return self.scheme is Scheme.ECDSA

    def _root(self, index: int) -> _Party:
        number = f" {index + 1}" if index else ""
        return _Party(f"{self.name} Root CA{number}", self._key(self.roots[index]))

    @functools.cached_property
    def root_certificates(self) -> tuple[bytes, ...]:
        """The root certificates in DER; a phone's PK hash is the digest of all of them."""
        is_ca = tlv(0x30, tlv(0x01, b"\xff"))
        parties = [self._root(index) for index in range(len(self.roots))]
        return tuple(_certificate(p, p, self.scheme, is_ca, self.serial) for p in parties)

    @property
    def root_bytes(self) -> bytes:
        """All root certificates in a row."""
        return b"".join(self.root_certificates)

    def chain(self, units: Sequence[str]) -> bytes:
        """Return leaf, CA and roots in a row; units are the leaf's OU fields."""
        issuer = self._root(self.signing_root)
        issued = []
        if self.with_ca:
            authority = _Party(f"{self.name} Attestation CA", self._key("vendor-ca"))
            is_ca = tlv(0x30, tlv(0x01, b"\xff"), _integer(0))
            issued.append(_certificate(authority, issuer, self.scheme, is_ca, 2))
            issuer = authority
        leaf = _Party(f"{self.name} Attestation", self._key(self.leaf), tuple(units))
        # quirk: 742 of 1093 real leaves hold a path length without being a CA
        issued.append(_certificate(leaf, issuer, self.leaf_scheme, tlv(0x30, _integer(0)), 3))
        return b"".join(reversed(issued)) + self.root_bytes

    def sign_image(self, message: bytes, digest: str) -> bytes:
        """Return the signature field of an image; message is what is hashed last."""
        key = self._key(self.leaf)
        if self.leaf_scheme is not Scheme.PKCS1:
            signature = _sign(key, self.leaf_scheme, message)
            return signature.ljust(ECDSA_FIELD_BYTES, b"\0") if self._elliptic else signature
        assert isinstance(key, RSA.RsaKey)  # noqa: S101 (for the type checker)
        hashed = hashlib.new(digest, message).digest()
        size = key.size_in_bytes()
        frame = b"\0\x01" + b"\xff" * (size - 3 - len(hashed)) + b"\0" + hashed
        return _private_power(key, int.from_bytes(frame, "big")).to_bytes(size, "big")


VENDOR = Vendor("EDL Public Test", ("vendor-root",))
VENDOR_PSS = replace(VENDOR, leaf_scheme=Scheme.PSS)  # the same root
VENDOR_EC = Vendor("EDL Public Test EC", ("vendor-root",), Scheme.ECDSA, Scheme.ECDSA)
OTHER = Vendor("EDL Other Test", ("other-root",))  # its exponent is 3, as old chains have it
CHIPMAKER = Vendor("EDL Chip Maker Test", ("chipmaker-root",), Scheme.PSS, Scheme.PSS)
CHIPMAKER_EC = Vendor("EDL Chip Maker Test EC", ("chipmaker-root",), Scheme.ECDSA, Scheme.ECDSA)
