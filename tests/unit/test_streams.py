# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from edl.errors import DocumentError
from edl.formats import streams
from edl.formats.streams import Budget, FileStream, Preread, Section, Unpacked, compression, take

TEXT = b"".join(b"%d bottles\n" % number for number in range(30_000))
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}


def unpacked(data: bytes, budget: Budget | None = None) -> Unpacked:
    magic = compression(data)
    assert magic is not None
    return Unpacked(FileStream(io.BytesIO(data)), magic, budget or Budget(len(data)))


@pytest.mark.parametrize("kind", PACK)
def test_compressed_data(kind: str) -> None:
    packed = PACK[kind](TEXT)
    assert take(unpacked(packed), len(TEXT) + 1) == TEXT
    stream = unpacked(packed)
    stream.skip(123_456)
    assert take(stream, 100) == TEXT[123_456:123_556]
    stream.skip(10**9)
    assert stream.read(1) == b""


@pytest.mark.parametrize("kind", PACK)
def test_several_units_in_a_row_and_what_lies_behind(kind: str) -> None:
    packed = PACK[kind](TEXT[:1000]) + PACK[kind](b"") + PACK[kind](TEXT[1000:])
    assert take(unpacked(packed), 10**9) == TEXT
    stream = unpacked(packed + bytes(512) + b"signature")
    assert take(stream, 10**9) == TEXT
    assert stream.read(1) == b""


def test_a_unit_that_begins_across_two_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    for size in range(1, len(packed)):
        monkeypatch.setattr(streams, "CHUNK_BYTES", size)
        assert take(unpacked(packed), 100) == b"onetwo"


@pytest.mark.parametrize("kind", PACK)
def test_compressed_data_that_are_cut_off_or_damaged(kind: str) -> None:
    packed = PACK[kind](TEXT)
    with pytest.raises(DocumentError, match="cut off"):
        take(unpacked(packed[: len(packed) // 2]), 10**9)
    damaged = packed[: len(packed) // 2] + bytes(64) + packed[len(packed) // 2 + 64 :]
    with pytest.raises(DocumentError, match="damaged"):
        take(unpacked(damaged), 10**9)


def test_xz_that_wants_too_much_memory() -> None:
    packed = bytearray(
        lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    )
    assert packed[16] == 16  # xz format 5.3.1: a dictionary of 1 MiB
    packed[16] = 34  # 512 MiB
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    with pytest.raises(DocumentError, match="damaged"):
        take(unpacked(bytes(packed)), 10)


def test_bombs() -> None:
    bomb = lzma.compress(bytes(1 << 20))
    stream = unpacked(bomb, Budget(len(bomb)))
    assert len(take(stream, 1 << 30)) == 1 << 20  # small enough to be let through
    tight = Budget(0)
    tight.spend(256 * 1024 * 1024)
    with pytest.raises(DocumentError, match="made to fill disks"):
        take(unpacked(bomb, tight), 1)


def test_preread_and_sections() -> None:
    stream = Preread(b"head", FileStream(io.BytesIO(b"and the rest")))
    assert stream.read(2) == b"he"
    stream.skip(1)
    section = Section(stream, 6)
    assert take(section, 100) == b"dand t"
    assert section.read(1) == b""
    stream.skip(3)
    assert take(stream, 100) == b"rest"
    other = Preread(b"head", FileStream(io.BytesIO(b"and the rest")))
    other.skip(8)
    assert take(other, 100) == b"the rest"
    section = Section(FileStream(io.BytesIO(b"0123456789")), 4)
    section.skip(100)
    assert section.left_bytes == 0


def test_plain_data_have_no_compression() -> None:
    assert compression(b"plain") is None
