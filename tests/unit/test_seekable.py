# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.chunks import read_all
from edl.errors import DocumentError, ImageError
from edl.formats.seekable import FRAME_BYTES, Frame, SeekableContent, Writer, read_table
from edl.units import MIB

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAME_SIZE = 8  # bytes of a table's entry without checksum
DATA = random.Random(1).randbytes(700_000) + bytes(3 * FRAME_BYTES) + b"tail" * 300_000


def packed(data: bytes = DATA, step: int = 1_000_003) -> bytes:
    file = io.BytesIO()
    writer = Writer(file)
    for at in range(0, len(data), step):
        writer.write(memoryview(data)[at : at + step])
    writer.close()
    return file.getvalue()


def put(folder: Path, data: bytes) -> Path:
    path = folder / "x.img.zst"
    path.write_bytes(data)
    return path


def table(*entries: bytes, count: int | None = None, descriptor: int = 0) -> bytes:
    """Return a table as in the description of the format."""
    body = b"".join(entries)
    foot = struct.pack("<IBI", len(entries) if count is None else count, descriptor, 0x8F92EAB1)
    return struct.pack("<II", 0x184D2A5E, len(body) + 9) + body + foot


def test_everywhere_is_what_was_written(tmp_path: Path) -> None:
    content = SeekableContent.whole(put(tmp_path, packed()))
    assert content.size_bytes == len(DATA)
    chunks = [bytes(chunk) for chunk in content.chunks(0, len(DATA))]
    assert b"".join(chunks) == DATA
    assert max(map(len, chunks)) == MIB
    for offset, length in ((0, 1), (len(DATA) - 1, 1), (FRAME_BYTES - 1, 2), (FRAME_BYTES, 5)):
        assert read_all(content, offset, length) == DATA[offset : offset + length]
    assert read_all(content, len(DATA), 0) == b""
    part = SeekableContent(content.path, 1000, FRAME_BYTES - 500)
    assert read_all(part, 10, 990) == DATA[FRAME_BYTES - 490 : FRAME_BYTES + 500]


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_zstd_takes_it(tmp_path: Path) -> None:
    path = put(tmp_path, packed())
    unpacked = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    assert unpacked == DATA
    assert len(path.read_bytes()) < 800_000


def test_it_is_the_documented_format() -> None:
    data = packed(b"abc")
    assert data[:4] == struct.pack("<I", 0xFD2FB528)
    head = struct.unpack("<IIIIIBI", data[-25:])
    assert head == (0x184D2A5E, 17, len(data) - 25, 3, 1, 0, 0x8F92EAB1)
    assert zstd.decompress(data) == b"abc"


def test_an_empty_file(tmp_path: Path) -> None:
    content = SeekableContent.whole(put(tmp_path, packed(b"")))
    assert content.size_bytes == 0
    assert list(content.chunks(0, 0)) == []


def test_going_on_with_a_file() -> None:
    file = io.BytesIO()
    first = Writer(file)
    first.write(DATA[:3_000_000])
    first.flush()
    file.write(b"torn")
    frames = list(first.frames)
    file.seek(sum(frame.packed_bytes for frame in frames))
    file.truncate()
    second = Writer(file, frames)
    second.write(DATA[3_000_000:])
    second.close()
    assert zstd.decompress(file.getvalue()) == DATA
    assert sum(frame.size_bytes for frame in read_table(file, "x")) == len(DATA)


def test_tables_with_checksums_and_empty_frames(tmp_path: Path) -> None:
    one, none = zstd.compress(b"one"), zstd.compress(b"")
    entries = [struct.pack("<III", len(each), size, 0) for each, size in ((none, 0), (one, 3))]
    path = put(tmp_path, none + one + table(*entries, descriptor=0x80))
    assert read_all(SeekableContent.whole(path), 1, 2) == b"ne"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no table"),
        (b"short", "no table"),
        (zstd.compress(b"plain"), "no table"),
        (table(count=1), "damaged table"),
        (table(count=(1 << 32) - 1), "damaged table"),
        (table(descriptor=0x04), "damaged table"),
        (b"\x00" + table()[1:], "damaged table"),
        (table(struct.pack("<II", 5, 5)), "length that its table says"),
        (b"x" * 5 + table(struct.pack("<II", 5, 1 << 30)), "frames of more than"),
    ],
)
def test_no_such_file(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=words):
        SeekableContent.whole(put(tmp_path, data))


def test_damage_is_noticed(tmp_path: Path) -> None:
    data = bytearray(packed())
    data[300_000] ^= 1
    content = SeekableContent.whole(put(tmp_path, bytes(data)))
    with pytest.raises(ImageError, match="damaged"):
        read_all(content, 0, 10)
    assert read_all(content, len(DATA) - 10, 10) == DATA[-10:]


@pytest.mark.parametrize("said", [2, 4])
def test_a_frame_of_another_size(said: int, tmp_path: Path) -> None:
    one = zstd.compress(b"one")
    path = put(tmp_path, one + table(struct.pack("<II", len(one), said)))
    with pytest.raises(ImageError, match="damaged at 0"):
        read_all(SeekableContent.whole(path), 0, 1)


def test_more_than_there_is(tmp_path: Path) -> None:
    path = put(tmp_path, packed(b"abc"))
    for content, offset, length in (
        (SeekableContent(path, 3), 2, 2),
        (SeekableContent(path, 4), 0, 1),
        (SeekableContent(path, 3, 1), 0, 1),
        (SeekableContent(path, 3), -1, 1),
    ):
        with pytest.raises(ImageError, match="does not hold"):
            read_all(content, offset, length)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    path = put(tmp_path, packed(b"abc"))
    content = SeekableContent.whole(path)
    assert content.index.frames == [Frame(content.index.frames[0].packed_bytes, 3)]
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        read_all(content, 0, 1)
    with pytest.raises(ImageError, match="cannot be read"):
        SeekableContent.whole(path)


@given(st.binary(max_size=60))
def test_whatever_it_holds_only_our_error_is_raised(tail: bytes) -> None:
    for data in (tail, packed(b"abc")[: -len(tail) or None] + tail):
        try:
            frames = read_table(io.BytesIO(data), "x")
        except DocumentError:
            continue
        assert len(frames) <= len(data) // FRAME_SIZE
