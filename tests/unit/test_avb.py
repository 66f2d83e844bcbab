# SPDX-License-Identifier: BSD-3-Clause
"""Verified boot metadata, built by libavb's headers."""

from __future__ import annotations

import hashlib
import random
import struct

import pytest

from edl.errors import DocumentError
from edl.formats import avb

HASH = hashlib.sha256(b"saltimage").digest()


def descriptor(tag: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 8)
    return struct.pack(">QQ", tag, len(body)) + body


def property_(key: bytes, value: bytes) -> bytes:
    return descriptor(0, struct.pack(">QQ", len(key), len(value)) + key + b"\0" + value + b"\0")


def hash_(
    name: bytes, size: int, salt: bytes, digest: bytes, algorithm: bytes = b"sha256"
) -> bytes:
    head = struct.pack(">Q32sIIII60x", size, algorithm, len(name), len(salt), len(digest), 0)
    return descriptor(2, head + name + salt + digest)


def vbmeta(*descriptors: bytes, authentication: int = 576, auxiliary: int | None = None) -> bytes:
    body = b"".join(descriptors)
    size = len(body) + 520 if auxiliary is None else auxiliary
    head = struct.pack(
        ">4sIIQQI8Q2QQI", b"AVB0", 1, 0, authentication, size, 1, *range(8), 0, len(body), 3, 0
    )
    return head.ljust(256, b"\0") + bytes(576) + body + bytes(520)


def footer(offset: int, size: int, major: int = 1) -> bytes:
    return struct.pack(">4sIIQQQ28x", b"AVBf", major, 0, 4096, offset, size)


def test_properties_and_digests_are_read() -> None:
    found = avb.read(
        vbmeta(
            property_(b"com.android.build.vendor.fingerprint", b"later"),
            property_(b"com.android.build.boot.fingerprint", b"a/b/c:12/D/1:user/k"),
            property_(b"com.android.build.boot.os_version", b"12"),
            descriptor(1, b"a hash tree"),
            hash_(b"boot", 5, b"salt", HASH),
        )
    )
    assert found.fingerprint == "a/b/c:12/D/1:user/k"
    assert found.properties["com.android.build.boot.os_version"] == "12"
    assert found.hashes == (avb.HashDescriptor("boot", 5, "sha256", b"salt", HASH),)
    assert avb.read(vbmeta()).fingerprint is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "magic is missing"),
        (b"AVB0" + bytes(100), "cut off"),
        (vbmeta(authentication=1 << 40), "cut off"),
        (vbmeta(auxiliary=5000), "cut off"),
        (vbmeta(property_(b"a", b"b"), auxiliary=8), "beyond its end"),
        (vbmeta(struct.pack(">QQ", 0, 1 << 60)), "cut off"),
        (vbmeta(descriptor(0, b"short")), "property that is cut off"),
        (vbmeta(descriptor(0, struct.pack(">QQ", 1 << 60, 0))), "property that is cut off"),
        (vbmeta(descriptor(2, b"short")), "digest that is cut off"),
        (vbmeta(descriptor(2, struct.pack(">Q32sIIII60x", 1, b"sha256", 99, 0, 0, 0))), "digest"),
        (vbmeta(hash_(b"boot", 5, b"", HASH, b"md5")), "unknown kind"),
        (vbmeta(hash_(b"boot", 1 << 40, b"", HASH)), "unknown kind"),
    ],
)
def test_damage_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        avb.read(data)


def test_the_number_of_descriptors_is_bounded() -> None:
    rows = [property_(b"%d" % number, b"") for number in range(5000)]
    assert len(avb.read(vbmeta(*rows)).properties) == 4096


def test_footers() -> None:
    assert avb.read_footer(footer(8192, 1000), 65536) == avb.Footer(8192, 1000)
    for tail in (
        *(b"", bytes(64), footer(8192, 1000, major=2), footer(8192, 0)),
        *(footer(65000, 1000), footer(0, 1 << 30)),
    ):
        assert avb.read_footer(tail, 65536) is None


def test_no_damage_raises_anything_else() -> None:
    source = random.Random(2)
    good = vbmeta(property_(b"key", b"value"), hash_(b"boot", 5, b"salt", HASH))
    refused = 0
    for _ in range(400):
        raw = bytearray(good)
        for _ in range(3):
            raw[source.choice([source.randrange(256), 832 + source.randrange(250)])] ^= (
                1 << source.randrange(8)
            )
        try:
            avb.read(bytes(raw))
        except DocumentError:
            refused += 1
    assert 0 < refused < 400
