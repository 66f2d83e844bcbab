# SPDX-License-Identifier: BSD-3-Clause
"""A writer of payloads and of updates over the air, by update_metadata.proto, for tests.

tests/peers/test_payload.py has classes that Google's protoc made, and another reader, judge it.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info >= (3, 14):  # pragma: no cover
    from compression import zstd
else:
    from backports import zstd

BLOCK = 4096
REPLACE, REPLACE_BZ, SOURCE_COPY, ZERO, DISCARD, REPLACE_XZ, REPLACE_ZSTD = 0, 1, 4, 6, 7, 8, 14
KINDS = (REPLACE, REPLACE_BZ, REPLACE_XZ, REPLACE_ZSTD)
PACK: dict[int, Callable[[bytes], bytes]] = {
    REPLACE: bytes,
    REPLACE_BZ: bz2.compress,
    REPLACE_XZ: lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE),
    REPLACE_ZSTD: zstd.compress,
}
Extents = Sequence[tuple[int, int]]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field_number: int, value: int) -> bytes:
    return varint(field_number << 3) + varint(value)


def block(field_number: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(field_number << 3 | 2) + varint(len(data)) + data


@dataclass
class Operation:
    """data: as it lies in the payload. extents: where what it makes goes, in blocks."""

    kind: int
    extents: Extents
    data: bytes = b""
    sha256: bytes | None = None
    offset: int | None = None
    length: int | None = None

    def message(self, offset: int) -> bytes:
        digest = hashlib.sha256(self.data).digest() if self.sha256 is None else self.sha256
        offset = offset if self.offset is None else self.offset
        length = len(self.data) if self.length is None else self.length
        made = number(1, self.kind) + number(2, offset) + number(3, length)
        made += b"".join(block(6, number(1, start) + number(2, n)) for start, n in self.extents)
        return made + (block(8, digest) if self.data and digest else b"")


@dataclass
class Partition:
    name: str
    operations: list[Operation]
    size: int
    sha256: bytes = b""


@dataclass
class Manifest:
    """groups: largest size and names by name."""

    partitions: list[Partition]
    block_bytes: int | None = None
    minor: int | None = 0
    partial: bool = False
    groups: Mapping[str, tuple[int, Iterable[str]]] = field(default_factory=dict)
    patch_level: str = ""


def partition(name: str, image: bytes, kinds: Sequence[int] = KINDS, step: int = 4) -> Partition:
    """Return a partition whose image is made in steps of so many blocks, of kinds in turn."""
    operations = []
    for index, at in enumerate(range(0, len(image), step * BLOCK)):
        data = image[at : at + step * BLOCK]
        kind = kinds[index % len(kinds)] if any(data) else (ZERO, DISCARD)[index % 2]
        packed = PACK[kind](data) if any(data) else b""
        operations.append(Operation(kind, [(at // BLOCK, -(-len(data) // BLOCK))], packed))
    return Partition(name, operations, len(image), hashlib.sha256(image).digest())


def payload(manifest: Manifest, *, signature: bytes = b"sig", version: int = 2) -> bytes:
    """Return a payload.bin."""
    blobs = bytearray()
    message = b""
    if manifest.block_bytes is not None:
        message += number(3, manifest.block_bytes)
    if manifest.minor is not None:
        message += number(12, manifest.minor)
    for each in manifest.partitions:
        made = block(1, each.name)
        made += block(7, number(1, each.size) + (block(2, each.sha256) if each.sha256 else b""))
        for operation in each.operations:
            made += block(8, operation.message(len(blobs)))
            blobs += operation.data
        message += block(13, made)
    groups = b"".join(
        block(1, block(1, name) + number(2, size) + b"".join(block(3, each) for each in names))
        for name, (size, names) in manifest.groups.items()
    )
    message += block(15, groups) if groups else b""
    message += number(16, 1) if manifest.partial else b""
    message += block(18, manifest.patch_level) if manifest.patch_level else b""
    return whole(message, bytes(blobs), signature, version)


def whole(message: bytes, blobs: bytes, signature: bytes = b"", version: int = 2) -> bytes:
    """Return header, manifest, signature and data in one."""
    head = struct.pack(">4sQQI", b"CrAU", version, len(message), len(signature))
    return head + message + signature + blobs


METADATA = """\
ota-type=AB
post-build=maker/model/model:14/UP1A.1/42:user/release-keys
post-security-patch-level=2024-05-01
pre-device=model,model_global
"""


def ota(path: Path, files: Mapping[str, bytes | str], *, packed: bool = False) -> Path:
    """Write a zip file as updates are: payloads stored, or everything deflated."""
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("META-INF/com/android/metadata", METADATA)
        for name, data in files.items():
            archive.writestr(name, data)
    return path
