# SPDX-License-Identifier: BSD-3-Clause
"""Archives and compressed streams."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import struct
import sys
import zlib
from collections.abc import Iterator

import brotli

from edl.errors import DocumentError, ImageError
from edl.formats import (
    blockimage,
    checked,
    tar,
)
from edl.formats.archive import HEAD_BYTES, foreign_kind, is_archive, members
from edl.formats.brotli import Unbrotlied
from edl.formats.checked import Checked, Pieces, Sum
from edl.formats.cpio import read_cpio
from edl.formats.restarts import Points, xz_blocks
from edl.formats.seekable import Index, SeekableContent, Writer, read_table, unpack
from edl.formats.streams import Budget, FileStream, Preread, Unpacked, compression
from edl.formats.texts import field, printable
from tests.fuzz.target import (
    MOST_READ_BYTES,
    Target,
    content_of,
    drain,
    file_of,
    look_at,
    path_of,
    read_some,
    require,
    require_printable,
)
from tests.packages.making import noise
from tests.unit.test_archive import single_of, tar_of, zip_of
from tests.unit.test_cpio import END, entry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FILES = {"prog.elf": b"\x7fELF" + bytes(range(256)) * 3, "n" * 130: b"2", "empty": b""}
_TEXT = b"".join(b"%d bottles\n" % number for number in range(400))


def _archive(data: bytes) -> None:
    head = data[:HEAD_BYTES]
    is_archive(head)
    foreign_kind(head)
    for number, member in enumerate(members(file_of(data), "a")):
        require_printable(member.name)
        if number % 3 == 2:  # what nobody reads is passed over
            continue
        try:
            content = member.content()
        except DocumentError:
            continue
        require(member.size_bytes in {None, len(content)}, "a member of another size")


def _tars() -> Iterator[bytes]:
    yield tar_of({"x": b"1" * 600, "y": b""}, "ustar")
    for kind in ("gnu", "pax"):
        yield tar_of(_FILES, kind)


def _archive_seeds() -> Iterator[bytes]:
    tars = [*_tars()]
    yield from tars
    for pack in (
        lambda data: gzip.compress(data, mtime=0),
        bz2.compress,
        lzma.compress,
        zstd.compress,
    ):
        yield pack(tars[0])
    yield zip_of(_FILES)
    yield zip_of(_FILES, 0)
    yield single_of(_FILES)
    yield zip_of(
        {"in.tar": tars[1], "in.zip": zip_of(_FILES), "x.gz": gzip.compress(b"x", mtime=0)}
    )


def _tar(data: bytes) -> None:
    tar.is_header(data[: tar.BLOCK_BYTES])
    for _, section in tar.tar_members(FileStream(file_of(data))):
        read_some(section)


def _sealed_tar(data: bytes) -> bytes:
    """Return data with right checksums in all blocks that could be headers."""
    fixed = bytearray(data)
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            fixed[at + 148 : at + 156] = b" " * 8
            fixed[at + 148 : at + 156] = b"%06o\0 " % sum(fixed[at : at + 512])
    return bytes(fixed)


def _streams(data: bytes) -> None:
    magic = compression(data)
    if magic is not None:
        read_some(
            Unpacked(Preread(data[:40], FileStream(file_of(data[40:]))), magic, Budget(len(data)))
        )


def _streams_seeds() -> Iterator[bytes]:
    packed = (
        gzip.compress(_TEXT, mtime=0), bz2.compress(_TEXT), lzma.compress(_TEXT),
        zstd.compress(_TEXT), lzma.compress(_TEXT, check=lzma.CHECK_SHA256),
    )  # fmt: skip
    for each in packed:
        yield each
        yield each + each + bytes(64)
    yield gzip.compress(bytes(3_000_000), mtime=0)


def _xz_index(data: bytes) -> None:
    blocks, end = xz_blocks(file_of(data), len(data))
    require(end <= len(data), "blocks behind the end")
    points = Points(most=8, spacing_bytes=100)
    for block in blocks:
        points.add(block)
        require(points.before(block.unpacked).unpacked <= block.unpacked, "a point too far on")
    look_at(points.lasting(), points.widest(1 << 40))


def _xz_indexes() -> Iterator[bytes]:
    """Files of one block and of three, as `xz --block-size` makes them."""
    whole = lzma.compress(_TEXT, check=lzma.CHECK_CRC32)
    yield whole
    index_bytes = 4 * (int.from_bytes(whole[-8:-4], "little") + 1)
    block = whole[12 : -12 - index_bytes]
    record = whole[-12 - index_bytes + 2 : -12 - index_bytes + 6]
    index = b"\0\3" + record * 3
    foot = bytes(4) + (20 // 4 - 1).to_bytes(4, "little") + whole[-4:]
    yield _sealed_xz(whole[:12] + block * 3 + index.ljust(16, b"\0") + bytes(4) + foot)


def _sealed_xz(data: bytes) -> bytes:
    """Return data with right checksums over its footer and its index."""
    fixed = bytearray(data)
    if len(fixed) < 32:
        return data
    size = 4 * (int.from_bytes(fixed[-8:-4], "little") + 1)
    fixed[-12:-8] = zlib.crc32(fixed[-8:-2]).to_bytes(4, "little")
    if 4 < size <= len(fixed) - 24:
        end = len(fixed) - 12
        crc = zlib.crc32(fixed[end - size : end - 4])
        fixed[end - 4 : end] = crc.to_bytes(4, "little")
    return bytes(fixed)


def _brotli(data: bytes) -> None:
    read_some(Unbrotlied(FileStream(file_of(data))))


def _checked(data: bytes) -> None:
    """Zlib data behind a size and a checksum, as containers have them."""
    size, crc, body = int.from_bytes(data[:2], "little"), data[2:6], data[6:]
    pieces = Pieces(content_of(body))
    stream = Checked(checked.Inflated(pieces), size, (Sum("CRC-32", checked.Crc32, crc),))
    require(read_some(stream) <= size, "more than the size that is told")


def _checked_seeds() -> Iterator[bytes]:
    size = struct.pack("<HI", len(_TEXT), zlib.crc32(_TEXT))
    yield size + zlib.compress(_TEXT)


def _cpio(data: bytes) -> None:
    files = read_cpio(data)
    require_printable(*(file.name for file in files))
    require(sum(len(file.data) for file in files) <= len(data), "more than the archive has")


def _seekable(data: bytes) -> None:
    file = file_of(data)
    frames = read_table(file, "x.zst")
    Index.of(frames)
    at = 0
    for frame in frames[:50]:
        look_at(frame)
        if frame.size_bytes <= MOST_READ_BYTES:
            got = unpack(data[at : at + frame.packed_bytes], frame)
            require(got is None or len(got) == frame.size_bytes, "a frame of another size")
        at += frame.packed_bytes
    content = SeekableContent.whole(path_of(data))
    if content.size_bytes <= MOST_READ_BYTES:
        drain(content)


def _seekable_seeds() -> Iterator[bytes]:
    for pieces in ((_TEXT,), (_TEXT, noise(3000), bytes(5000))):
        file = io.BytesIO()
        writer = Writer(file)
        for piece in pieces:
            writer.write(piece)
            writer.flush()
        writer.close()
        yield file.getvalue()


def _texts(data: bytes) -> None:
    require_printable(field(data), printable(data.decode("utf-8", "replace")))


def _brotli_list(data: bytes) -> None:
    """An image of blocks out of a compressed stream, as updates have them."""
    raw, _, packed = data.partition(b"\0\0")
    found = blockimage.read(raw)
    if found.data_bytes <= MOST_READ_BYTES:
        stream = Unbrotlied(FileStream(file_of(packed)))
        read_some(stream, found.data_bytes)


_DIGEST = hashlib.sha256().digest()
_MAGICS = (
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\x1f\x8b\x08",
    b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"ustar", b"L", b"x", b"070701", b"070702",
    b"SINGLE_N_LONELY", b"LONELY_N_SINGLE", b"\xb7\x10",
)  # fmt: skip

TARGETS = (
    Target("archive", ("edl.formats.archive",), _archive, _archive_seeds, words=_MAGICS),
    Target(
        "tar", ("edl.formats.tar", "edl.formats.streams"), _tar, _tars, words=_MAGICS,
        sealed=_sealed_tar,
    ),
    Target(
        "xz-index", ("edl.formats.restarts",), _xz_index, _xz_indexes, (), sealed=_sealed_xz
    ),
    Target("compressed", ("edl.formats.streams",), _streams, _streams_seeds, words=_MAGICS),
    Target(
        "brotli", ("edl.formats.brotli",), _brotli,
        lambda: [brotli.compress(data) for data in (_TEXT, noise(900), bytes(99_999))],
    ),
    Target(
        "brotli-list", ("edl.formats.brotli", "edl.formats.blockimage"), _brotli_list,
        lambda: [b"4\n1\n0\n0\nnew 2,0,1\n\0\0" + brotli.compress(bytes(4096))],
    ),
    Target("checked", ("edl.formats.checked",), _checked, _checked_seeds),
    Target(
        "cpio", ("edl.formats.cpio",), _cpio,
        lambda: [entry("13:prog.elf", b"12345") + entry("38", b"x" * 40) + entry(END)],
        words=_MAGICS,
    ),
    Target(
        "seekable", ("edl.formats.seekable",), _seekable, _seekable_seeds, (ImageError,),
        (_DIGEST,),
    ),
    Target("texts", ("edl.formats.texts",), _texts, lambda: [b"name\0\0\0", b"\x1b[2J"]),
)  # fmt: skip
