# SPDX-License-Identifier: BSD-3-Clause
"""Containers of makers, and updates: what is in them, and what it unpacks to."""

from __future__ import annotations

import functools
import hashlib
import random
import struct
import sys
from collections.abc import Iterator

from Crypto.Cipher import AES

from edl.errors import DocumentError, ImageError
from edl.formats import (
    bootldr,
    kdz,
    lenovo_x,
    lonely,
    nb0,
    ofp,
    ops,
    payload,
    sin,
    tot,
)
from edl.formats.payload import Images
from edl.formats.protobuf import Message
from edl.packages.sony import SinContent
from tests import payloads
from tests.fuzz.target import (
    MOST_READ_BYTES,
    Target,
    content_of,
    drain,
    look_at,
    read_some,
    require,
    require_printable,
)
from tests.packages import lgs, motos, opluses, test_lenovo, test_nokia, test_sony
from tests.packages.making import noise

if sys.version_info >= (3, 14):
    pass
else:
    pass

_TOT_BYTES = (1 << 20) + 4096
_TEXT = b"".join(b"%d bottles\n" % number for number in range(400))


def _bootldr(data: bytes) -> None:
    bootldr.is_bootldr(data)
    for part in bootldr.read_bootldr(data[: bootldr.HEAD_BYTES], len(data), "b.img"):
        require_printable(part.name)
        require(0 <= part.offset <= part.offset + part.size_bytes <= len(data), "behind its end")


def _bootldr_seeds() -> Iterator[bytes]:
    names = (b"sbl1", b"aboot", b"tz")
    start = 20 + 68 * len(names)
    table = b"".join(struct.pack("<64sI", name, 100) for name in names)
    yield b"BOOTLDR!" + struct.pack("<III", len(names), start, start + 300) + table + noise(300)


def _container(data: bytes) -> None:
    lonely.is_container(data[:16])
    for member in lonely.members(lambda at, size: data[at : at + size], len(data)).values():
        require_printable(member.name)
        require(member.offset + member.size_bytes <= len(data), "a member behind the end")


def _kdz(data: bytes) -> None:
    kdz.is_kdz(data[:8])
    content = content_of(data)
    name, offset, size = kdz.find_dz(content)
    require_printable(name)
    _dz(data[offset : offset + size])


def _dz(data: bytes) -> None:
    kdz.is_dz(data[:4])
    content = content_of(data)
    found = kdz.read_dz(content)
    look_at(found)
    for chunk in found.chunks:
        require_printable(chunk.name, chunk.slice_name)
        try:
            size = read_some(kdz.stream(content, found.compression, chunk))
            require(size <= chunk.size_bytes, "more than the chunk says")
        except DocumentError:
            continue


def _kdz_seeds() -> Iterator[bytes]:
    for version in (1, 2, 3):
        yield lgs.kdz(lgs.dz(lgs.Piece("boot", 100, noise(700))), version)


def _dz_seeds() -> Iterator[bytes]:
    pieces = (lgs.Piece("PrimaryGPT", 0, _TEXT), lgs.Piece("boot", 100, noise(700), lun=2))
    yield lgs.dz(*pieces)
    yield lgs.dz(*pieces, compression=lgs.ZSTD, ufs=True)


def _sealed_dz(data: bytes) -> bytes:
    """Return data with right checksums over its headers."""
    fixed = bytearray(data)
    count = min(int.from_bytes(data[196:200], "little"), 100)
    seen, at = b"", 512
    for _ in range(count):
        header = bytes(fixed[at : at + 512])
        seen += header
        at += 512 + int.from_bytes(header[104:108], "little")
    if len(fixed) >= 512:
        fixed[200:216] = lgs.md5(seen)
        fixed[268:272] = bytes(4)  # no checksum
    return bytes(fixed)


def _tot(data: bytes) -> None:
    """The tables of a tot; what lies behind them is zeros."""
    content = content_of(data.ljust(_TOT_BYTES, b"\0"))
    if tot.is_tot(content):
        for piece in tot.read_tot(content):
            require_printable(piece.name)
            require(0 < piece.size_bytes <= _TOT_BYTES - piece.offset, "a piece behind the end")


def _tots() -> Iterator[bytes]:
    for names_at in (lgs.OLD_NAMES, lgs.NEW_NAMES):
        yield lgs.tot(("boot", 100, b"1" * 600), ("sbl1", 8, b"2" * 512), names_at=names_at)[
            :0x6400
        ]


def _nb0(data: bytes) -> None:
    nb0.is_nb0(data[: nb0.HEAD_BYTES], len(data))
    for member in nb0.members(content_of(data)):
        require_printable(member.name)
        require(member.offset + member.size_bytes <= len(data), "a member behind the end")


def _ops(data: bytes) -> None:
    found = ops.find(content_of(data))
    if found is None:
        return
    look_at(found)
    require_printable(found.project, found.firmware)
    key = ops.OpsKey("x", opluses.OPS_IV, opluses.MBOX)
    for start, size in found.places:
        require(0 <= start <= start + size <= len(data), "a document behind the end")
        require(
            len(ops.decipher(data[start : start + size][:2000], key)) == min(size, 2000), "size"
        )


def _ops_seeds() -> Iterator[bytes]:
    files = {"a": (noise(600), opluses.plain)}
    for page in (0x200, 0x1000):
        yield opluses.container(files, "<Setting>" + " " * 300, opluses.plain, page=page)
    yield opluses.container(files, "<Setting/>", opluses.plain, xml_bytes=0)


def _ofp(data: bytes) -> None:
    key = ofp.derived("x", data[:16].ljust(16), data[16:32].ljust(16), data[32:48].ljust(16))
    for each in (key, ofp.OfpKey("y", opluses.OFP_KEY, opluses.OFP_IV)):
        require(len(ofp.decipher(data, each)) == len(data), "another length")


def _lenovo(data: bytes) -> None:
    lenovo_x.decipher(data, "word")


def _sealed_lenovo(data: bytes) -> bytes:
    """Return data as what a file of Lenovo's is in plain, enciphered with the right key."""
    body = data[: len(data) & ~15]
    return bytes(32) + AES.new(_lenovo_key(), AES.MODE_CBC, iv=bytes(16)).encrypt(body)


@functools.cache
def _lenovo_key() -> bytes:
    digest = b"word" + bytes(16)
    for _ in range(1000):
        digest = hashlib.sha256(digest).digest()
    return digest


def _lenovo_seeds() -> Iterator[bytes]:
    document = b"<data/>" * 9
    plain = struct.pack("<q", len(document)) + test_lenovo.MAGIC + document
    yield (plain + hashlib.sha256(document).digest()).ljust(128, b"\0")
    yield test_lenovo.encrypted(document, "word")


def _sin(data: bytes) -> None:
    sin.version_of(data[:4])
    content = content_of(data)
    found = sin.read_sin(content)
    look_at(found)
    if found.size_bytes <= MOST_READ_BYTES:
        drain(SinContent(content, found))


def _sin_seeds() -> Iterator[bytes]:
    yield test_sony.BOOT
    yield b"\x03SIN" + struct.pack(">I", 64) + bytes(56) + b"\x7fELF" + noise(600)
    yield b"\x01\x00" + struct.pack(">I", 60) + bytes(64) + noise(600)


def _payload(data: bytes) -> None:
    content = content_of(data)
    found = payload.read(content)
    look_at(found)
    for partition in found.partitions:
        if found.delta or partition.size_bytes > MOST_READ_BYTES:
            continue
        image = Images(content, found).of(partition)
        try:
            drain(image)
            read_some(image.start())
        except DocumentError:
            continue


def _payload_seeds() -> Iterator[bytes]:
    rng = random.Random(2)
    image = rng.randbytes(2 * 4096) + bytes(4 * 4096) + rng.randbytes(500) + bytes(3596)
    for step in (1, 2):
        made = payloads.Manifest(
            [
                payloads.partition("boot", image, step=step),
                payloads.partition("dtbo", _TEXT.ljust(8192)),
            ],
            groups={"main": (1 << 30, ["boot"])},
            patch_level="2024-05-01",
        )
        yield payloads.payload(made)


def _sealed_payload(data: bytes) -> bytes:
    """Return data without digests of operations: the field is renamed, the lengths stay."""
    return data.replace(b"\x42\x20", b"\x4a\x20")


def _protobuf(data: bytes) -> None:
    found = Message(data)
    for number in range(1, 20):
        for read in (found.number, found.raw, found.text, found.texts, found.message):
            try:
                read(number)
            except DocumentError:  # the field is of another type
                continue


def _protobuf_seeds() -> Iterator[bytes]:
    made = next(_payload_seeds())
    yield made[24 : 24 + int.from_bytes(made[12:20], "big")]
    yield b"\x08\x96\x01\x12\x07testing\x1a\x02\x08\x01\x25\1\2\3\4\x29" + bytes(8)


TARGETS = (
    Target("bootldr", ("edl.formats.bootldr",), _bootldr, _bootldr_seeds),
    Target(
        "motorola-container", ("edl.formats.lonely",), _container,
        lambda: [motos.container({"one": b"1" * 4097, "two\x1b": b"", "index.xml": b"x"})],
        words=(b"SINGLE_N_LONELY", b"LONELY_N_SINGLE"),
    ),
    Target("kdz", ("edl.formats.kdz",), _kdz, _kdz_seeds),
    Target("dz", ("edl.formats.kdz",), _dz, _dz_seeds, sealed=_sealed_dz),
    Target("tot", ("edl.formats.tot",), _tot, _tots, most_bytes=0x6400),
    Target(
        "nb0", ("edl.formats.nb0",), _nb0,
        lambda: [test_nokia.container({"a.img": b"1" * 99, "b": b""})],
    ),
    Target("ops", ("edl.formats.ops",), _ops, _ops_seeds),
    Target("ofp", ("edl.formats.ofp",), _ofp, lambda: [noise(600), noise(48)], most_bytes=4096),
    Target(
        "lenovo-x", ("edl.formats.lenovo_x",), _lenovo, _lenovo_seeds,
        sealed=_sealed_lenovo, most_bytes=4096,
    ),
    Target(
        "sin", ("edl.formats.sin",), _sin, _sin_seeds, (ImageError,),
        (b"ADDR", b"LZ4A", b"MMCF", b"GPTP"),
    ),
    Target(
        "payload", ("edl.formats.payload", "edl.formats.protobuf"), _payload, _payload_seeds,
        words=(b"CrAU", b"BZh9", b"\xfd7zXZ\0"), sealed=_sealed_payload,
    ),
    Target("protobuf", ("edl.formats.protobuf",), _protobuf, _protobuf_seeds),
)  # fmt: skip
