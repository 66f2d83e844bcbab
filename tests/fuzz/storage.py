# SPDX-License-Identifier: BSD-3-Clause
"""What lies on a phone's storage, in dumps and in images: tables, sparse images, `super`."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import struct
import uuid
import zlib
from collections.abc import Iterator

from edl.contents import SparseContent, data_runs, is_blank
from edl.errors import DocumentError, ImageError
from edl.formats import avb, extcsd, gpt, gptcheck, gptedit, magic, mibib, superlayout
from edl.formats import super as lp
from edl.formats.slots import activate, active_slot, boot_states, pairs
from edl.formats.sparse import SparseImage, is_sparse
from edl.images.disk import DiskImage, read_lun
from edl.images.file import open_content
from edl.images.parts import logical_or_none, parts
from edl.partitions import classify
from tests import nands, packs, supers
from tests.fuzz.target import (
    MOST_READ_BYTES,
    Target,
    content_of,
    drain,
    file_of,
    look_at,
    path_of,
    require,
    require_printable,
)
from tests.packages.making import noise
from tests.unit.test_avb import HASH, footer, hash_, property_, vbmeta
from tests.unit.test_extcsd import REAL, registers

_DISKS = (0, 2000, 20_000, 1 << 40)
_NAMES = ("boot_a", "boot_b", "misc", "xbl_a", "xbl_b", "userdata")


def _made_table(unit: int) -> gpt.Images:
    rows = [
        gpt.Partition(n, name, n * 100, n * 100 + 9, uuid.UUID(int=7), uuid.UUID(int=n), n << 48)
        for n, name in enumerate(_NAMES, 1)
    ]
    return gpt.create(unit, 20_000, uuid.UUID(int=1), rows, entry_count=8).images()


def _table(data: bytes) -> None:
    gpt.find_sector_bytes(data)
    found = []
    for unit in gpt.SECTOR_SIZES:
        with contextlib.suppress(DocumentError):
            found.append(gpt.parse(data, unit))
        with contextlib.suppress(DocumentError):
            found.append(gpt.parse(data, unit, backup=True))
        with contextlib.suppress(DocumentError):
            found.append(gptedit.table_of_file(data, data[-40 * unit :], unit))
        try:
            require(gpt.primary_sectors(data, unit) <= gpt.MAX_ENTRIES, "a table of no end")
        except DocumentError:
            continue
    number = zlib.crc32(data)
    for table in found[:1] + found[1:][-1:]:
        _judged(table, _DISKS[number % len(_DISKS)], number)
    if len(found) > 1:
        gptedit.alike(found[0], found[-1])
        look_at(gptedit.good_copies(found[0], found[-1]), gptedit.diff(found[0], found[-1]))
        list(gptedit.header_differences(found[0], found[-1]))
        list(gptedit.entry_differences(found[0], found[-1]))


def _mibib(data: bytes) -> None:
    number = zlib.crc32(data)
    found = [] if not data.startswith(mibib.TABLE_MAGIC) else [mibib.parse_table(data)]
    for page_bytes in (2048, 4096):
        with contextlib.suppress(DocumentError):
            found.append(mibib.find(data, page_bytes))
    for table in found:
        look_at(table)
        pages = (0, 64 * 64, 1 << 20)[number % 3]
        for partition in table.partitions(64, pages):
            inside = 0 <= partition.first_sector <= partition.last_sector + 1 <= pages
            require(inside, "a partition behind the chip")
            require(bool(classify(partition.name).reason), "a partition without a class")
    if not found:
        raise DocumentError("no table")


def _judged(table: gpt.Gpt, disk: int, number: int) -> None:
    """Ask table everything, and make it fit a disk in one of three ways."""
    look_at(table)
    gptcheck.sound(table)
    gptcheck.is_protective(table.mbr or b"")
    names = [partition.safe_name for partition in table.partitions]
    require(not any({*name} & {*'/\\:*?"<>|\0\x1b'} for name in names), "an unsafe name")
    for partition in table.partitions:
        require(bool(classify(partition.name).reason), "a partition without a class")
    require_printable(*gptcheck.problems(table), *gptcheck.problems(table, disk))
    try:
        match number % 3:
            case 0:
                fitted = gptedit.refit(table, disk)
            case 1:
                fitted = gptedit.refit(table, disk, grow=False, needed_sectors=1)
            case _:
                fitted = gptedit.repair(table, disk, bytes(table.sector_bytes))
        _written(fitted, disk)
    except DocumentError:
        pass
    placed = [(0, partition) for partition in table.partitions]
    look_at(pairs(placed), active_slot(table), boot_states(placed))
    look_at(activate({0: table}, "a" if number & 64 else "b", ufs=bool(number & 128))[0])


def _written(fitted: gpt.Gpt, disk: int) -> None:
    """Make sure that what is written for a disk is what was meant, and lies on it."""
    again = gpt.parse(fitted.images().primary, fitted.sector_bytes)
    require(gptcheck.sound(again), "a table that is written with wrong checksums")
    require(again.partitions == fitted.partitions, "another table than was meant")
    last = max((each.last_sector for each in again.partitions), default=0)
    require(last < disk, "a partition behind the disk")


def _tables() -> Iterator[bytes]:
    for unit in gpt.SECTOR_SIZES:
        images = _made_table(unit)
        yield images.primary[: 2 * unit + 1024]
        yield images.backup
        yield images.primary[: 6 * unit] + images.backup


def _sealed_table(data: bytes) -> bytes:
    """Return data with right checksums in the headers that it has."""
    fixed = bytearray(data)
    for unit in gpt.SECTOR_SIZES:
        if fixed[unit : unit + 8] == b"EFI PART" and len(fixed) > 2 * unit:
            (first,) = struct.unpack_from("<Q", fixed, unit + 72)
            count, size = struct.unpack_from("<II", fixed, unit + 80)
            entries = fixed[first * unit : first * unit + count * size]
            struct.pack_into("<I", fixed, unit + 88, zlib.crc32(entries))
            fixed[unit + 16 : unit + 20] = bytes(4)
            crc = zlib.crc32(fixed[unit : unit + 92])
            struct.pack_into("<I", fixed, unit + 16, crc)
    return bytes(fixed)


def _sparse(data: bytes) -> None:
    is_sparse(data[:28])
    image = SparseImage.read(file_of(data), len(data))
    look_at(image)
    at = 0
    for chunk in image.chunks:
        require(chunk.offset_bytes == at, "a gap between chunks")
        at += chunk.length_bytes
    require(at == image.size_bytes, "chunks that do not fill the image")
    content = SparseContent(content_of(data), image)
    if content.size_bytes <= MOST_READ_BYTES:
        drain(content)
    size = min(content.size_bytes, MOST_READ_BYTES)
    list(data_runs(content, 0, size))
    is_blank(content, 0, size)


def _sparses() -> Iterator[bytes]:
    yield packs.sparse(4096, noise(8192), (3, b"\0\0\0\0"), 5, (2, b"abcd"))
    yield packs.sparse(512, *[(1, b"\xff" * 4)] * 20, 7, noise(512))


def _super(data: bytes) -> None:
    content = content_of(data)
    lp.is_super(data[:8192])
    lp.is_empty_super(data[:8192])
    found = lp.read(content)
    look_at(found)
    require_printable(*found.problems)
    for slot in found.slots:
        if slot.best is None:
            continue
        require_printable(*slot.problems, *lp.extent_problems(slot.best))
        look_at(list(superlayout.free_runs(slot.best)))
        try:
            _laid_out(superlayout.read_raw(content, found, slot), slot.best)
        except ImageError:
            continue
    if found.empty:
        superlayout.expanded(content)


def _laid_out(raw: bytes, metadata: lp.Metadata) -> None:
    """Lay the logical partitions out anew, as a package with other sizes makes it necessary."""
    superlayout.require_plain(raw, metadata)
    wanted = [
        superlayout.Wanted(each.name, each.group, min(each.size_bytes, 1 << 20))
        for each in metadata.partitions[:20]
    ]
    placed = superlayout.lay_out(metadata, wanted, 4096, [(3000, 3100)])
    runs = sorted((first, first + count) for each in placed for first, count in each.runs)
    require(all(a[1] <= b[0] for a, b in itertools.pairwise(runs)), "overlapping parts")
    superlayout.relaid(raw, metadata, placed)


def _supers() -> Iterator[bytes]:
    two = supers.two_slots()
    yield supers.empty_image(two, room=4096, slots=1)
    yield supers.empty_image(supers.two_slots(2), room=4096)
    yield bytes(supers.super_image(two, two, size=12288 + 4 * 4096, room=4096))


def _sealed_super(data: bytes) -> bytes:
    """Return data with right checksums wherever a geometry or metadata begins."""
    fixed = bytearray(data)
    at = fixed.find(b"gDla")
    while 0 <= at <= len(fixed) - 52:
        fixed[at + 8 : at + 40] = bytes(32)
        fixed[at + 8 : at + 40] = hashlib.sha256(fixed[at : at + 52]).digest()
        at = fixed.find(b"gDla", at + 4096)
    mark = struct.pack("<I", 0x414C5030)
    at = fixed.find(mark)
    while 0 <= at <= len(fixed) - 128:
        header_bytes, tables_bytes = (
            struct.unpack_from("<I", fixed, at + place)[0] for place in (8, 44)
        )
        body = fixed[at + header_bytes : at + header_bytes + min(tables_bytes, 1 << 16)]
        fixed[at + 48 : at + 80] = hashlib.sha256(body).digest()
        fixed[at + 12 : at + 44] = bytes(32)
        fixed[at + 12 : at + 44] = hashlib.sha256(
            fixed[at : at + min(header_bytes, 1 << 16)]
        ).digest()
        at = fixed.find(mark, at + 128)
    return bytes(fixed)


def _avb(data: bytes) -> None:
    look_at(avb.read_footer(data[-avb.FOOTER_BYTES :], len(data)))
    look_at(avb.read(data))


def _vbmetas() -> Iterator[bytes]:
    found = vbmeta(
        property_(b"com.android.build.boot.fingerprint", b"a/b/c:12/D/1:user/k"),
        hash_(b"boot", 5, b"salt", HASH),
    )
    yield found
    yield found + footer(0, len(found))


def _extcsd(data: bytes) -> None:
    found = extcsd.parse(data)
    look_at(found)
    require_printable(found.firmware_text or "", found.standard or "")


def _dump(data: bytes) -> None:
    """A dump of a whole disk, as `edl image` looks at it."""
    content = content_of(data)
    lun = read_lun(content)
    image = DiskImage({0: lun})
    look_at(lun.table, lun.backup)
    found = parts(image)
    for part in found:
        require_printable(part.kind.text)
        require(
            lun.missing_bytes(part.partition) >= 0, "fewer than no bytes"
        ) if part.partition else None
        if part.size_bytes <= MOST_READ_BYTES:
            try:
                drain(part.content)
            except ImageError:
                continue
    logical, why = logical_or_none(image, found)
    require_printable(why)
    for part in logical.parts if logical else ():
        look_at(part.kind)


def _dumps() -> Iterator[bytes]:
    images = _made_table(512)
    yield images.primary + noise(3000) + images.backup
    two = supers.two_slots()
    small = bytes(supers.super_image(two, size=12288 + 2 * 4096, room=4096))
    rows = [gpt.Partition(1, "super", 34, 34 + 63, uuid.UUID(int=7), uuid.UUID(int=1))]
    table = gpt.create(512, 200, uuid.UUID(int=1), rows, entry_count=8).images()
    yield (table.primary.ljust(34 * 512, b"\0") + small).ljust(
        200 * 512 - len(table.backup)
    ) + table.backup
    yield small


def _image_file(data: bytes) -> None:
    """An image in a file, in whatever it is wrapped."""
    with open_content(path_of(data)) as opened:
        require(opened.content.size_bytes >= 0, "a size below nothing")
        if opened.content.size_bytes <= MOST_READ_BYTES:
            drain(opened.content)
        list(data_runs(opened.content, 0, min(opened.content.size_bytes, MOST_READ_BYTES)))


def _image_files() -> Iterator[bytes]:
    import bz2  # noqa: PLC0415
    import gzip  # noqa: PLC0415

    made = packs.sparse(4096, noise(4096), (3, b"\0\0\0\0"), 5)
    yield made
    yield gzip.compress(made, mtime=0)
    yield gzip.compress(bz2.compress(made), mtime=0)


_HEADS = random.Random(3).randbytes(64)

TARGETS = (
    Target(
        "partition-table",
        ("edl.formats.gpt", "edl.formats.gptcheck", "edl.formats.gptedit", "edl.formats.slots",
         "edl.partitions"),
        _table, _tables, words=(b"EFI PART", "boot_a".encode("utf-16-le"), bytes(128)),
        most_bytes=50_000, sealed=_sealed_table,
    ),
    Target("mibib", ("edl.formats.mibib",), _mibib,
           lambda: [nands.table(), nands.mibib(2048), nands.mibib(4096, age=9)],
           words=(b"\xac\x9f\x56\xfe", b"\xaa\x73\xee\x55", b"0:EFS2", b"\xff" * 4)),
    Target("sparse", ("edl.formats.sparse", "edl.contents"), _sparse, _sparses,
           words=(b"\x3a\xff\x26\xed", b"\xc1\xca", b"\xc2\xca", b"\xc3\xca", b"\xc4\xca")),
    Target("super", ("edl.formats.super", "edl.formats.superlayout"), _super, _supers,
           (ImageError,), words=(b"gDla", b"0PLA"), sealed=_sealed_super),
    Target("avb", ("edl.formats.avb",), _avb, _vbmetas, words=(b"AVB0", b"AVBf")),
    Target("ext-csd", ("edl.formats.extcsd",), _extcsd, lambda: [registers(REAL)], most_bytes=520),
    Target("magic", ("edl.formats.magic",), lambda data: look_at(magic.recognise(data)),
           lambda: [b"ANDROID!", b"\x7fELF", b"hsqs", bytes(1080) + b"\x53\xef", *_tables()]),
    Target("dump", ("edl.images.disk", "edl.images.parts"), _dump, _dumps, (ImageError,),
           most_bytes=150_000, sealed=lambda data: _sealed_super(_sealed_table(data))),
    Target("image-file", ("edl.images.file",), _image_file, _image_files, (ImageError,),
           words=(b"\x1f\x8b\x08", b"BZh9", b"\x28\xb5\x2f\xfd", b"\x3a\xff\x26\xed")),
)  # fmt: skip
