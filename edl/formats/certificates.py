# SPDX-License-Identifier: BSD-3-Clause
"""Certificate chains of boot images: leaf first, then perhaps a CA, then one or more roots."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.formats import der
from edl.formats.signature import EcKey, Key, RsaKey, scheme_of

MAX_CERTIFICATES = 32  # an area with 18 is the fullest known
MAX_CERTIFICATE_BYTES = 4096

_COMMON_NAME = "2.5.4.3"
_ORGANIZATION = "2.5.4.10"
_ORGANIZATIONAL_UNIT = "2.5.4.11"
_RSA = {"1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"}
_EC = "1.2.840.10045.2.1"
_CURVES = {"1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384", "1.3.132.0.35": "P-521"}
_CACHED = 512

_FIELD = re.compile(r"([0-9]{2})\s+(\S.*?)\s+([A-Z][A-Z0-9_]*)\s*")


@dataclass(frozen=True)
class Certificate:
    """One certificate, as far as it matters here.

    der: all of its bytes, exactly; signed: those that its issuer signed. common_name, organization:
    of the subject, empty if absent. units: OU attributes of the subject, in order. All of them are
    safe to print.
    valid_from, valid_until: as written; boot ROMs have no clock and do not compare them.
    """

    der: bytes
    signed: bytes
    signature: bytes
    serial: int
    issuer: bytes
    subject: bytes
    common_name: str
    organization: str
    units: tuple[str, ...]
    valid_from: str
    valid_until: str
    key: Key

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer have the same name: it is a root."""
        return self.issuer == self.subject

    @property
    def fields(self) -> dict[int, tuple[str, str]]:
        """The OU attributes of the form `NN VALUE NAME`: value and name by number."""
        matches = (_FIELD.fullmatch(unit) for unit in self.units)
        return {int(match[1]): (match[2], match[3]) for match in matches if match}


@dataclass(frozen=True)
class Chain:
    """The certificates of one signer. problems: in words, empty if the chain verifies."""

    certificates: tuple[Certificate, ...]
    problems: tuple[str, ...]

    @property
    def leaf(self) -> Certificate:
        """The certificate whose key signs the image."""
        return self.certificates[0]

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """The roots: the self-issued certificates at the end, or the last one if there are none."""
        return self.certificates[_below_roots(self.certificates) :]


def _below_roots(certificates: tuple[Certificate, ...]) -> int:
    """Return how many certificates stand before the roots.

    The last one is a root in any case; one before it only if its own key has signed it, as a CA may
    have the name of its root.
    """
    below = len(certificates) - 1
    while below and certificates[below].self_issued and _is_root(certificates[below - 1]):
        below -= 1
    return below


def _is_root(certificate: Certificate) -> bool:
    return certificate.self_issued and issued(certificate, certificate)


def read_chain(area: bytes) -> Chain:
    """Return the chain in area, and check it. Behind the certificates it is filled with 0xff.

    Raises:
        DocumentError: area does not begin with a certificate, or one cannot be read.
    """
    certificates: list[Certificate] = []
    rest = area
    while rest[:1] == b"\x30":
        if len(certificates) == MAX_CERTIFICATES:
            raise DocumentError(f"There are more than {MAX_CERTIFICATES} certificates.")
        element = der.read(rest)
        if len(element.raw) > MAX_CERTIFICATE_BYTES:
            raise DocumentError(f"A certificate of {len(element.raw)} bytes is not supported.")
        certificates.append(read_certificate(element.raw))
        rest = rest[len(element.raw) :]
    if not certificates:
        raise DocumentError("There is no certificate where one is due.")
    chain = tuple(certificates)
    problems = _problems(chain)
    if rest.strip(b"\xff") and rest.strip(b"\0"):
        problems += ("There is something else behind the certificates.",)
    return Chain(chain, problems)


def _problems(chain: tuple[Certificate, ...]) -> tuple[str, ...]:
    """Return what is wrong with the signatures of chain."""
    split = _below_roots(chain)
    below, roots = chain[:split], chain[split:]
    problems = [
        f"Certificate {index} is not signed by the next one."
        for index, (lower, upper) in enumerate(itertools.pairwise(below), 1)
        if not issued(lower, upper)
    ]
    if below and not any(issued(below[-1], root) for root in roots):
        problems.append("No root certificate has signed the chain.")
    problems += [
        f"The root certificate '{root.common_name}' is not signed by itself."
        for root in roots
        if not issued(root, root)
    ]
    return tuple(problems)


@functools.lru_cache(_CACHED)
def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Return whether the key of issuer has signed certificate; names are not compared."""
    return scheme_of(issuer.key, certificate.signature, [certificate.signed]) is not None


@functools.lru_cache(_CACHED)
def read_certificate(raw: bytes) -> Certificate:
    """Return the certificate in raw.

    Raises:
        DocumentError: it is none, or its key is of an unknown kind.
    """
    body, _, signature, *_ = _some(der.read(raw), 3)
    parts = [part for part in der.children(body) if part.tag != 0xA0]  # without the version
    if len(parts) < 6:
        raise DocumentError("A certificate lacks some of its parts.")
    serial, _, issuer, validity, subject, key, *_ = parts
    names = _attributes(subject)
    valid_from, valid_until, *_ = _some(validity, 2)
    return Certificate(
        der=raw,
        signed=body.raw,
        signature=der.bits(signature),
        serial=der.integer(serial),
        issuer=issuer.raw,
        subject=subject.raw,
        common_name=_shown(value for kind, value in names if kind == _COMMON_NAME),
        organization=_shown(value for kind, value in names if kind == _ORGANIZATION),
        units=tuple(_shown([value]) for kind, value in names if kind == _ORGANIZATIONAL_UNIT),
        valid_from=der.text(valid_from),
        valid_until=der.text(valid_until),
        key=_key(key),
    )


def _shown(values: Iterable[str]) -> str:
    """Return values as one string that is safe to print."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(values))


def _some(element: der.Element, count: int) -> tuple[der.Element, ...]:
    """Return the children of element, which are at least count."""
    found = der.children(element)
    if len(found) < count:
        raise DocumentError(f"A DER element has {len(found)} parts, {count} are due.")
    return found


def _unsigned(element: der.Element) -> int:
    """Return the number in element, whose sign bit some makers forgot to keep clear."""
    return int.from_bytes(der.expect(element, der.INTEGER).body, "big")


def _attributes(name: der.Element) -> list[tuple[str, str]]:
    """Return the attributes of a name: object identifier and value."""
    pairs = [_some(pair, 2) for group in der.children(name) for pair in der.children(group)]
    return [(der.object_id(kind), der.text(value)) for kind, value, *_ in pairs]


def _key(element: der.Element) -> Key:
    """Return the public key in element, a SubjectPublicKeyInfo."""
    algorithm, value, *_ = _some(element, 2)
    kind, *parameters = _some(algorithm, 1)
    name, data = der.object_id(kind), der.bits(value)
    if name in _RSA:
        modulus, exponent, *_ = _some(der.read(data), 2)
        return RsaKey(_unsigned(modulus), _unsigned(exponent))
    curve = _CURVES.get(der.object_id(parameters[0])) if name == _EC and parameters else None
    if curve is None or data[:1] != b"\x04":
        raise DocumentError("A certificate's key is of an unknown kind.")
    half = len(data) // 2
    x, y = data[1 : 1 + half], data[1 + half :]
    return EcKey(curve, int.from_bytes(x, "big"), int.from_bytes(y, "big"))
