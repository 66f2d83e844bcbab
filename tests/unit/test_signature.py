# SPDX-License-Identifier: BSD-3-Clause
"""Signatures that OpenSSL made (tests/golden/openssl_signatures.toml)."""

from __future__ import annotations

import tomllib

import pytest

from edl.formats.signature import EcKey, Key, RsaKey, scheme_of
from loaders.signing import rsa_key
from tests.conftest import REPO

VECTORS = tomllib.loads((REPO / "tests/golden/openssl_signatures.toml").read_text("utf-8"))
LEAF = RsaKey(int(rsa_key("vendor-leaf").n), int(rsa_key("vendor-leaf").e))

# printf edl | openssl dgst -sha256
SHA256_OF_EDL = bytes.fromhex("a8a649ce5f7b02f47d66d35fc4d466619dc291fb3eb1babb09656f197a02db65")


def point(curve: str, name: str) -> EcKey:
    half = len(VECTORS[name]["point"]) // 2
    x, y = VECTORS[name]["point"][:half], VECTORS[name]["point"][half:]
    return EcKey(curve, int(x, 16), int(y, 16))


def vector(section: str, name: str) -> bytes:
    return bytes.fromhex(VECTORS[section][name])


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("pkcs1_sha1", "RSA PKCS#1 v1.5, SHA-1"),
        ("pkcs1_sha256", "RSA PKCS#1 v1.5, SHA-256"),
        ("pkcs1_sha384", "RSA PKCS#1 v1.5, SHA-384"),
        ("pkcs1_sha512", "RSA PKCS#1 v1.5, SHA-512"),
        ("pss_sha256_salt32", "RSA-PSS, SHA-256"),
        ("pss_sha384_salt48", "RSA-PSS, SHA-384"),
    ],
)
def test_rsa(name: str, scheme: str) -> None:
    signature = vector("vendor-leaf", name)
    assert scheme_of(LEAF, signature, [b"other", b"edl"]) == scheme
    assert scheme_of(LEAF, signature, [b"edL"]) is None
    assert scheme_of(LEAF, signature, []) is None


def test_rsa_key_whose_first_byte_holds_one_bit() -> None:
    key = RsaKey(int(VECTORS["rsa-2041"]["modulus"], 16), 65537)
    assert key.modulus.bit_length() == 2041
    signature = vector("rsa-2041", "pss_sha256_salt32")
    assert scheme_of(key, signature, [b"edl"]) == "RSA-PSS, SHA-256"


def test_elliptic_curves() -> None:
    key = point("P-384", "p384")
    signature = vector("p384", "ecdsa_sha384")
    assert scheme_of(key, signature, [b"other", b"edl"]) == "ECDSA P-384, SHA-384"
    assert scheme_of(key, signature + b"\0\0", [b"edl"]) == "ECDSA P-384, SHA-384"
    assert scheme_of(key, signature, [b"other"]) is None
    assert scheme_of(point("P-256", "p256"), vector("p256", "ecdsa_sha256"), [b"edl"]) == (
        "ECDSA P-256, SHA-256"
    )


@pytest.mark.parametrize("signature", [b"", b"\x30\x80", b"\x30\x03\x02\x01\x01"])
def test_what_is_no_signature_of_a_curve(signature: bytes) -> None:
    assert scheme_of(point("P-384", "p384"), signature, [b"edl"]) is None


def test_point_that_is_not_on_its_curve() -> None:
    assert scheme_of(EcKey("P-384", 1, 1), vector("p384", "ecdsa_sha384"), [b"edl"]) is None


@pytest.mark.parametrize(
    "key",
    [
        RsaKey(LEAF.modulus - 1, 65537),
        RsaKey(LEAF.modulus, 65536),
        RsaKey(LEAF.modulus, 1),
        RsaKey(LEAF.modulus, (1 << 64) + 1),
        RsaKey((1 << 512) + 1, 3),
        RsaKey((1 << 8192) + 1, 3),
        RsaKey(0, 3),
    ],
)
def test_absurd_keys_sign_nothing(key: Key) -> None:
    assert scheme_of(key, vector("vendor-leaf", "pkcs1_sha256"), [b"edl"]) is None


def encrypted(frame: bytes) -> bytes:
    """Return the signature that opens to frame."""
    key = rsa_key("vendor-leaf")
    return pow(int.from_bytes(frame, "big"), int(key.d), int(key.n)).to_bytes(256, "big")


def test_bare_digest_only_where_it_is_allowed() -> None:
    frame = b"\0\x01" + b"\xff" * (253 - len(SHA256_OF_EDL)) + b"\0" + SHA256_OF_EDL
    assert scheme_of(LEAF, encrypted(frame), [b"edl"]) is None
    assert scheme_of(LEAF, encrypted(frame), [b"edl"], bare=True) == (
        "RSA PKCS#1 v1.5 with a bare digest, SHA-256"
    )
    other = frame[:-32] + bytes(32)
    assert scheme_of(LEAF, encrypted(other), [b"edl"], bare=True) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\x01" + b"\xff" * 7 + b"\0" + bytes(246),  # padding too short
        b"\0\x01" + b"\xfe" * 221 + b"\0" + bytes(32),
        b"\0\x02" + b"\xff" * 221 + b"\0" + bytes(31) + b"\xbc",
        b"\0" * 255 + b"\xbc",
        b"\0" + b"\x55" * 254 + b"\xbc",
    ],
)
def test_frames_of_no_known_form(frame: bytes) -> None:
    assert scheme_of(LEAF, encrypted(frame), [b"edl"], bare=True) is None


def test_signatures_of_a_wrong_size() -> None:
    signature = vector("vendor-leaf", "pkcs1_sha256")
    assert scheme_of(LEAF, b"\0" + signature, [b"edl"]) is None
    assert scheme_of(LEAF, LEAF.modulus.to_bytes(256, "big"), [b"edl"]) is None


def test_keys_in_words() -> None:
    assert str(LEAF) == "RSA-2048, e = 65537"
    assert str(point("P-384", "p384")) == "P-384"
