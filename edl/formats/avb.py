# SPDX-License-Identifier: BSD-3-Clause
"""Android's verified boot metadata: digests of whole partitions, and what build they belong to.

Facts: AOSP libavb: avb_vbmeta_image.h, avb_footer.h, avb_hash_descriptor.h and
avb_property_descriptor.h. All numbers are big-endian. Signatures are not checked here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edl.errors import DocumentError
from edl.units import KIB, MIB

MAGIC = b"AVB0"
FOOTER_MAGIC = b"AVBf"
FOOTER_BYTES = 64
MAX_BYTES = 256 * KIB  # libavb takes 64 KiB
_HEADER = struct.Struct(">4sIIQQI8Q2QQI")
_HEADER_BYTES = 256
_FOOTER = struct.Struct(">4sIIQQQ28x")
_DESCRIPTOR = struct.Struct(">QQ")
_PROPERTY, _HASH = 0, 2
_PROPERTY_HEAD = struct.Struct(">QQ")
_HASH_HEAD = struct.Struct(">Q32sIIII60x")
_MAX_DESCRIPTORS = 4096
_HASHED_AT_MOST = 512 * MIB  # hash trees serve larger partitions
_ALGORITHMS = {"sha1", "sha256", "sha512"}


@dataclass(frozen=True)
class HashDescriptor:
    """The digest that the first image_bytes of a partition must have.

    partition: its name, without slot. algorithm: name for hashlib.
    """

    partition: str
    image_bytes: int
    algorithm: str
    salt: bytes
    digest: bytes


@dataclass(frozen=True)
class Vbmeta:
    """What one vbmeta says. properties: such as com.android.build.boot.fingerprint.

    rollback_index: phones refuse images with a lower one than they have started once.
    """

    properties: dict[str, str]
    hashes: tuple[HashDescriptor, ...]
    rollback_index: int = 0

    @property
    def fingerprint(self) -> str | None:
        """The build, such as `maker/product/device:12/...`; None if nothing tells."""
        names = [name for name in self.properties if name.endswith(".fingerprint")]
        return self.properties[min(names)] if names else None


@dataclass(frozen=True)
class Footer:
    """Where the vbmeta of a partition is, by the partition's last 64 bytes."""

    offset: int
    size_bytes: int


def rollback_of(head: bytes) -> int | None:
    """Return the rollback index of the vbmeta that head begins with; None if there is none."""
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        return None
    index: int = _HEADER.unpack_from(head)[16]
    return index


def read_footer(tail: bytes, partition_bytes: int) -> Footer | None:
    """Return the footer in tail, the last FOOTER_BYTES of a partition, or None."""
    if len(tail) != FOOTER_BYTES or not tail.startswith(FOOTER_MAGIC):
        return None
    _, major, _, _, offset, size = _FOOTER.unpack(tail)
    if major != 1 or not 0 < size <= MAX_BYTES or offset + size > partition_bytes:
        return None
    return Footer(offset, size)


def read(data: bytes) -> Vbmeta:
    """Return the vbmeta that data begins with.

    Raises:
        DocumentError: there is none, or it is damaged.
    """
    if not data.startswith(MAGIC):
        raise DocumentError("This is no vbmeta: its magic is missing.")
    if len(data) < _HEADER_BYTES:
        raise DocumentError("The vbmeta is cut off.")
    head = _HEADER.unpack_from(data)
    authentication, auxiliary = head[3], head[4]
    offset, size = head[14], head[15]
    start = _HEADER_BYTES + authentication
    if max(authentication, auxiliary) > MAX_BYTES or start + auxiliary > len(data):
        raise DocumentError("The vbmeta is cut off.")
    if offset + size > auxiliary:
        raise DocumentError("The vbmeta has descriptors beyond its end.")
    properties: dict[str, str] = {}
    hashes: list[HashDescriptor] = []
    for tag, body in _descriptors(data[start + offset : start + offset + size]):
        if tag == _PROPERTY:
            properties.update(_property(body))
        elif tag == _HASH:
            hashes.append(_hash(body))
    return Vbmeta(properties, tuple(hashes), head[16])


def _descriptors(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(_MAX_DESCRIPTORS):
        if at + _DESCRIPTOR.size > len(data):
            return
        tag, size = _DESCRIPTOR.unpack_from(data, at)
        at += _DESCRIPTOR.size
        if size > len(data) - at:
            raise DocumentError("The vbmeta has a descriptor that is cut off.")
        yield tag, data[at : at + size]
        at += size


def _property(body: bytes) -> Iterator[tuple[str, str]]:
    if len(body) < _PROPERTY_HEAD.size:
        raise DocumentError("The vbmeta has a property that is cut off.")
    key_bytes, value_bytes = _PROPERTY_HEAD.unpack_from(body)
    end = _PROPERTY_HEAD.size + key_bytes
    if end + 1 + value_bytes > len(body):
        raise DocumentError("The vbmeta has a property that is cut off.")
    key = body[_PROPERTY_HEAD.size : end].decode("utf-8", "replace")
    yield key, body[end + 1 : end + 1 + value_bytes].decode("utf-8", "replace")


def _hash(body: bytes) -> HashDescriptor:
    if len(body) < _HASH_HEAD.size:
        raise DocumentError("The vbmeta has a digest that is cut off.")
    size, algorithm, name, salt, digest, _ = _HASH_HEAD.unpack_from(body)
    rest = body[_HASH_HEAD.size :]
    if name + salt + digest > len(rest):
        raise DocumentError("The vbmeta has a digest that is cut off.")
    word = algorithm.partition(b"\0")[0].decode("ascii", "replace").lower()
    if word not in _ALGORITHMS or size > _HASHED_AT_MOST:
        raise DocumentError("The vbmeta has a digest of an unknown kind.")
    return HashDescriptor(
        rest[:name].decode("utf-8", "replace"),
        size,
        word,
        rest[name : name + salt],
        rest[name + salt : name + salt + digest],
    )
