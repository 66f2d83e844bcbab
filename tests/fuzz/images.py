# SPDX-License-Identifier: BSD-3-Clause
"""Signed boot images, by the host and by the virtual phone, which has readers of its own."""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Generator, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from uuid import UUID

from edl.boot import holds
from edl.boot.images import look
from edl.boot.model import Job, Link
from edl.boot.reader import BoundedStorage
from edl.boot.tables import Layout
from edl.chips import chip_fits, chip_words, other_model
from edl.collection.entry import from_data, of_image
from edl.describe import as_data, describe, summary
from edl.device.phone import Phone
from edl.errors import DocumentError
from edl.firehose.commands import Area
from edl.formats import der, elf, hashsegment
from edl.formats.binding import from_metadata_v6, from_metadata_v7
from edl.formats.certificates import issued, read_chain
from edl.formats.gpt import Partition
from edl.formats.hashtable import check_table
from edl.formats.mbn import read_image
from edl.formats.programmer import read_programmer
from edl.formats.signature import EcKey, RsaKey, scheme_of
from edl.identity import PhoneIdentity
from edl.loaders import HEAD_BYTES, looks_like_programmer, match, remarks, unsuitable
from edl.virtual import chain
from edl.virtual.imageload import ImageKind, Loader
from edl.virtual.link import Receive, Send
from edl.virtual.verifier import Fuses, RefusedError, check_image
from loaders import make_dummies
from loaders.contents import programmer
from loaders.images import Binding, Recipe, elf_image, multi_elf, plain_elf, prefixed, sbl80
from loaders.signing import CHIPMAKER_EC, VENDOR, VENDOR_EC, VENDOR_PSS
from tests.fuzz.target import Target, look_at, require, require_printable

_PHONE = PhoneIdentity(serial=1, hwid=make_dummies.MSM8916, pk_hash=b"\x01" * 32)
_MOST_BYTES = 1 << 16


@functools.cache
def made() -> tuple[bytes, ...]:
    """Return an image of every form, with as little in it as can be."""
    words = programmer("A", "BOOT.TEST", size=0x800)
    old = Recipe(binding=Binding(make_dummies.MSM8916))
    new = Recipe(
        version=6, bits=64, digest="sha384", vendor=VENDOR_EC, fields=False,
        binding=Binding(make_dummies.SM8150, soc_versions=(0x6003,)),
    )  # fmt: skip
    return (
        elf_image(old, words),
        elf_image(replace(old, version=5, bits=64, vendor=VENDOR_PSS), words),
        elf_image(new, words),
        elf_image(replace(new, version=7), words),
        elf_image(replace(old, vendor=None), words),
        multi_elf(replace(new, version=7), words, CHIPMAKER_EC),
        sbl80(replace(old, address=0x2A00_0000, image_id=0x0D), words),
        prefixed(elf_image(old, words)),
        plain_elf(words, bits=64),
        struct.pack("<10I", 13, 3, 0, 0x8000, 64, 64, 0, 0, 0, 0) + bytes(64),
    )


def _image(data: bytes) -> None:
    looks_like_programmer(data[:HEAD_BYTES])
    image = read_image(data)
    look_at(image)
    require_printable(*summary(image), *remarks(image), *image.problems)
    require_printable(*(text for row in describe(image) for text in row))
    require_printable(match(image, _PHONE).reason)
    unsuitable(image)
    json.dumps(as_data(image))
    entry = of_image(image, "0" * 64, file="x", name="x", origin="")
    require(from_data(json.loads(json.dumps(entry.as_data()))) == entry, "another entry")
    entry.may_fit(_PHONE)
    for part in image.parts:
        if part.binding is not None:
            chip_fits(part.binding, _PHONE)
            other_model(part.binding, _PHONE)
            require_printable(chip_words(part.binding))


def _elf(data: bytes) -> None:
    image = elf.read_elf(data)
    look_at(image)
    require(image.signed_header_bytes <= 1 << 20, "headers of more than a MiB")
    place = None if image.hash_index is None else image.segments[image.hash_index]
    table = b"" if place is None else data[place.offset : place.end]
    look_at(check_table(memoryview(data), image, table))


def _hash_segment(data: bytes) -> None:
    segment = hashsegment.read_hash_segment(data)
    look_at(segment)
    require(len(segment.table) <= len(data), "a table longer than all there is")


def _hash_segments() -> Iterator[bytes]:
    for image in made()[:5]:
        found = elf.read_elf(image)
        if found.hash_index is not None:
            place = found.segments[found.hash_index]
            yield image[place.offset : place.end]


def _old_header(data: bytes) -> None:
    for read in (hashsegment.read_sbl80, hashsegment.read_mbn40):
        try:
            look_at(read(data))
        except DocumentError:
            continue


def _metadata(data: bytes) -> None:
    for read in (from_metadata_v6, functools.partial(from_metadata_v7, data[:24])):
        try:
            found = read(data)
        except DocumentError:
            continue
        look_at(found)
        require_printable(found.kind)


def _chain(data: bytes) -> None:
    found = read_chain(data)
    look_at(found)
    require(1 <= len(found.roots) <= len(found.certificates), "a chain without root")
    for certificate in found.certificates[:2]:
        issued(certificate, found.certificates[-1])
        require_printable(*(text for row in certificate.fields.values() for text in row))


def _chains() -> Iterator[bytes]:
    units = Binding(make_dummies.MSM8916).units("sha256", 0x1000)
    for vendor in (VENDOR, VENDOR_EC, VENDOR_PSS):
        yield vendor.chain(units)


def _phone_chain(data: bytes) -> None:
    """The virtual phone's own reader."""
    found = chain.read_chain(data)
    found[0].has_signed(b"x", data[:104], "sha256")


def _der(data: bytes) -> None:
    element = der.read(data)
    require(data.startswith(element.raw), "another element")
    waiting = [(element, 0)]
    while waiting:
        each, depth = waiting.pop()
        for read in (der.integer, der.object_id, der.bits):
            try:
                read(each)
            except DocumentError:
                continue
        der.text(each)
        if depth < 3:
            try:
                waiting += [(child, depth + 1) for child in der.children(each)]
            except DocumentError:
                continue


def _signature(data: bytes) -> None:
    """Bytes that say which key it is, and what it has signed."""
    size = min(data[0] * 4 if data else 0, 512)
    number = int.from_bytes(data[1 : 1 + size], "big")
    rest = data[1 + size :]
    keys: tuple[RsaKey | EcKey, ...] = (
        RsaKey(number, 65537),
        *(EcKey(curve, number, number + 1) for curve in ("P-256", "P-384", "P-521")),
    )
    for key in keys:
        for bare in (False, True):
            look_at(key)
            require_printable(scheme_of(key, rest, [data, b"x"], bare=bare) or "")


def _signatures() -> Iterator[bytes]:
    for certificate in read_chain(next(_chains())).certificates:
        if isinstance(certificate.key, RsaKey):
            size = certificate.key.size_bytes
            number = certificate.key.modulus.to_bytes(size, "big")
            yield bytes([size // 4 & 0xFF]) + number[: (size // 4 & 0xFF) * 4] + bytes(size)


_FUSES = (
    Fuses(hwid=make_dummies.MSM8916, pk_hash=bytes(32), header_versions=frozenset({3, 5, 6, 7})),
    Fuses(hwid=0, pk_hash=b"", secure_boot=False),
)


def _on_phone(data: bytes) -> None:
    """What a boot ROM makes of an image: the virtual phone has its own check."""
    for fuses in _FUSES:
        check_image(fuses, data)


def _loading(data: bytes) -> None:
    """The same, asked for piece by piece."""

    def read(offset: int, length: int) -> Generator[Send | Receive, None, bytes]:
        require(0 <= length <= 1 << 26, f"a request for {length} bytes")
        yield Send(b"")
        return data[offset : offset + length].ljust(min(length, 1 << 16), b"\0")

    for kind in ImageKind:
        for fuses in _FUSES:
            loader = Loader(fuses, kind, 2, (0, 1 << 40), None, read)
            try:
                for _ in loader.load(13):
                    pass
            except RefusedError:
                continue


class _Area(BoundedStorage):
    """A phone's storage that has data on it, from its first sector on."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.phone = cast("Phone", SimpleNamespace(sector_bytes=512, identity=_FUSED))

    def read(self, area: Area) -> bytes:
        require(area.sectors >= 0 and area.size_bytes <= 1 << 24, f"{area.sectors} sectors at once")
        start = area.start_sector * 512
        return self._data[start : start + area.size_bytes].ljust(area.size_bytes, b"\0")


_FUSED = PhoneIdentity(serial=1, hwid=make_dummies.MSM8916, pk_hash=b"\x01" * 32)


def _boot_chain(data: bytes) -> None:
    """Partitions of a boot chain as they lie on a phone, looked at before its restart."""
    storage = _Area(data)
    rows = [
        Partition(1, name, 0, 255, UUID(int=7), UUID(int=1))
        for name in ("sbl1", "boot", "misc", "devinfo", "vbmeta", "modemst1", "persist", "userdata")
    ]
    layout = Layout(ufs=False, partitions=[(0, row) for row in rows])
    seen = [
        look(storage, Link(0, name, Area(0, 0, 256, 512), role, weight, "x"), _FUSED, whole=whole)
        for name, role, weight in (("sbl1", "first-stage", "needed"), ("boot", "kernel", "kernel"))
        for whole in (True, False)
    ]
    for each in seen:
        require_printable(each.reason)
    heads = holds.Heads(storage, layout, [])
    found = [*holds.unique(heads), *holds.verified(heads)]
    for expected in holds.expectations(heads, seen, found, Job()):
        require_printable(expected.text)
    require_printable(*heads.unread)


def _on_storage() -> Iterator[bytes]:
    yield from made()[:8]
    yield b"boot-recovery".ljust(64, b"\0") + b"recovery\n--wipe_data\n"
    yield b"ANDROID-BOOT!" + b"\1" * 20
    yield b"ANDROID!" + bytes(600)
    yield bytes(512)


def _programmer(data: bytes) -> None:
    found = read_programmer(data)
    look_at(found)
    require_printable(found.version or "", found.variant or "", *found.commands)


def _programmer_seeds() -> Iterator[bytes]:
    for generation in "ABC":
        yield programmer(generation, "BOOT.BF.3.3-00214", size=0x1000)


_WORDS = (
    b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01", b"\x30\x80", b"\x30\x82",
    b"\x30\x83\xff\xff\xff", b"\x31\x0b", b"\x06\x03\x55\x04\x0b", b"\x02\x01\x80",
    b"\x03\x02\x07\x00",
    b"01 0000000000000003 SW_ID", b"02 007050E100000000 HW_ID", b"07 0001 SHA256",
    b"\xd1\xdc\x4b\x84\x34\x10\xd7\x73", b"QC_IMAGE_VERSION_STRING=", b"configure\0program\0",
)  # fmt: skip

TARGETS = (
    Target(
        "boot-image",
        ("edl.formats.mbn", "edl.formats.binding", "edl.describe", "edl.collection.entry",
         "edl.loaders", "edl.chips"),
        _image, made, words=_WORDS, most_bytes=_MOST_BYTES,
    ),
    Target("elf", ("edl.formats.elf", "edl.formats.hashtable"), _elf, lambda: made()[:5],
           words=_WORDS, most_bytes=_MOST_BYTES),
    Target("hash-segment", ("edl.formats.hashsegment",), _hash_segment, _hash_segments,
           words=_WORDS, most_bytes=8192),
    Target("old-header", ("edl.formats.hashsegment",), _old_header, lambda: made()[6:10:3],
           words=_WORDS, most_bytes=9000),
    Target("metadata", ("edl.formats.binding",), _metadata,
           lambda: [bytes(range(120)), bytes(400)], most_bytes=1024),
    Target("certificates", ("edl.formats.certificates",), _chain, _chains, words=_WORDS,
           most_bytes=8192),
    Target("phone-certificates", ("edl.virtual.chain",), _phone_chain, _chains, (ValueError,),
           words=_WORDS, most_bytes=8192),
    Target("der", ("edl.formats.der",), _der, _chains, words=_WORDS, most_bytes=8192),
    Target("signature", ("edl.formats.signature",), _signature, _signatures, most_bytes=2048),
    Target("phone-image", ("edl.virtual.verifier",), _on_phone, lambda: made()[:8], words=_WORDS,
           most_bytes=_MOST_BYTES),
    Target("phone-loading", ("edl.virtual.imageload",), _loading, lambda: made()[:8],
           words=_WORDS, most_bytes=_MOST_BYTES),
    Target("boot-chain", ("edl.boot.images", "edl.boot.holds"), _boot_chain, _on_storage, (),
           (*_WORDS, b"boot-recovery", b"--wipe_data", b"ANDROID-BOOT!", b"AVB0"),
           most_bytes=_MOST_BYTES),
    Target("programmer-words", ("edl.formats.programmer",), _programmer, _programmer_seeds,
           words=_WORDS, most_bytes=8192),
)  # fmt: skip
