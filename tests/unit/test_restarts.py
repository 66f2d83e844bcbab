# SPDX-License-Identifier: BSD-3-Clause
"""Points where unpacking can begin: gzip's copies, and the blocks of what xz wrote."""

from __future__ import annotations

import gzip
import io
import lzma
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edl.errors import DocumentError
from edl.formats.restarts import Points, xz_blocks
from edl.formats.streams import START, Budget, FileStream, Point, Unpacked, compression, take
from tests.packages.making import noise

XZ = b"\xfd7zXZ\0"
DATA = noise(250_000) + bytes(50_000)


def xz(*options: str, data: bytes = DATA) -> bytes:
    return subprocess.run(
        ["xz", "-0c", *options], input=data, capture_output=True, check=True
    ).stdout


def test_points_are_spread() -> None:
    points = Points(most=4, spacing_bytes=10)
    assert points.before(0) is START
    for at in (5, 10, 12, 30):
        points.add(Point(at, at))
    assert [points.before(at).unpacked for at in (9, 10, 29, 30, 99)] == [0, 10, 10, 30, 30]
    assert not points.wanted(39)
    assert points.wanted(40)
    assert (points.widest(100), points.widest(31)) == (70, 20)
    points.add(Point(40, 40, unit=object()))  # type: ignore[arg-type]  # any decompressor
    assert [point.unpacked for point in points.lasting()] == [0, 10, 30]
    points.add(Point(50, 50))  # too many: from now on twice as far apart
    assert [point.unpacked for point in points.lasting()] == [0, 30, 50]
    assert not points.wanted(69)


def test_gzip_goes_on_from_a_copy() -> None:
    packed = gzip.compress(DATA, 1)
    stream = Unpacked(FileStream(io.BytesIO(packed)), b"\x1f\x8b\x08", Budget(0))
    points: list[Point] = []
    while stream.read(10_000):
        if (point := stream.point()) is not None:
            points.append(point)
    assert len(points) > 2
    for point in reversed(points):
        rest = io.BytesIO(packed)
        rest.seek(point.packed)
        again = Unpacked(FileStream(rest), b"\x1f\x8b\x08", Budget(0), point)
        assert (again.at, take(again, 1 << 20)) == (point.unpacked, DATA[point.unpacked :])


def test_a_copy_knows_the_checksum_of_all() -> None:
    packed = bytearray(gzip.compress(DATA, 1))
    stream = Unpacked(FileStream(io.BytesIO(bytes(packed))), b"\x1f\x8b\x08", Budget(0))
    while (point := stream.point()) is None or not point.unpacked:
        stream.read(10_000)
    packed[-8] ^= 1
    again = Unpacked(
        FileStream(io.BytesIO(packed[point.packed :])), b"\x1f\x8b\x08", Budget(0), point
    )
    with pytest.raises(DocumentError, match="damaged"):
        take(again, 1 << 20)


def test_blocks_lie_where_xz_says(tmp_path: Path) -> None:
    packed = xz("--block-size=65536")
    (tmp_path / "a.xz").write_bytes(packed)
    listing = subprocess.run(
        ["xz", "--robot", "--list", "-vv", tmp_path / "a.xz"], capture_output=True, check=True
    ).stdout
    rows = [line.split() for line in listing.decode().splitlines() if line.startswith("block")]
    points, end = xz_blocks(io.BytesIO(packed), len(packed))
    # columns of xz(1): name, stream, two numbers of the block, offset packed and unpacked, ...
    assert [[str(p.packed), str(p.unpacked)] for p in points] == [row[4:6] for row in rows]
    assert [p.unpacked for p in points] == list(range(0, len(DATA), 65536))
    for point in points:
        part = io.BytesIO(packed[point.packed : end])
        stream = Unpacked(FileStream(part), XZ, Budget(0), point)
        assert take(stream, len(DATA) - point.unpacked) == DATA[point.unpacked :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "several streams": lambda data: data + data,
    "nothing": lambda _: b"",
    "short": lambda data: data[:20],
    "no magic": lambda data: data[:-1] + b"?",
    "a wrong sum": lambda data: data[:-12] + b"????" + data[-8:],
    "an index of another size": lambda data: data[:-40] + data[-36:],
    "a wrong sum of the index": lambda data: data[:-13] + b"?" + data[-12:],
    "another beginning": lambda data: data[:7] + b"\x01" + data[8:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_single_stream_of_xz_has_no_points(damage: str) -> None:
    data = DAMAGES[damage](xz("--block-size=65536"))
    assert xz_blocks(io.BytesIO(data), len(data)) == ([], 0)


def test_an_index_that_lies() -> None:
    """Its sums are right, its numbers are not: more blocks than it has, of any size."""
    data = xz("--block-size=65536")
    size = (int.from_bytes(data[-8:-4], "little") + 1) * 4
    index = bytearray(data[-12 - size : -12])
    for count in (b"\xff\xff\xff\xff\xff\x7f", b"\x02"):
        lying = bytes([0, *count]) + bytes(index[1 + len(count) : -4])
        lying += zlib.crc32(lying).to_bytes(4, "little")
        whole = data[: -12 - size] + lying + data[-12:]
        assert xz_blocks(io.BytesIO(whole), len(whole)) == ([], 0)


def test_one_block_and_none() -> None:
    for data in (b"x", b""):
        packed = lzma.compress(data)
        points, _ = xz_blocks(io.BytesIO(packed), len(packed))
        assert len(points) == len(data)


def test_pzstd_begins_with_a_frame_without_data() -> None:
    packed = subprocess.run(["pzstd", "-qc"], input=DATA, capture_output=True, check=True).stdout
    magic = compression(packed)
    assert magic is not None
    stream = Unpacked(FileStream(io.BytesIO(packed)), magic, Budget(len(DATA)))
    assert take(stream, 1 << 20) == DATA


def test_an_xz_index_with_a_number_without_end() -> None:
    """It would take minutes to make a number of a quarter of a MiB out of it."""
    index = b"\0" + b"\xff" * 200_003
    index += zlib.crc32(index).to_bytes(4, "little")
    sizes = (len(index) // 4 - 1).to_bytes(4, "little") + b"\0\1"
    foot = zlib.crc32(sizes).to_bytes(4, "little") + sizes + b"YZ"
    file = XZ + b"\0\1" + bytes(4) + index + foot
    assert xz_blocks(io.BytesIO(file), len(file)) == ([], 0)
