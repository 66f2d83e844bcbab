# SPDX-License-Identifier: BSD-3-Clause
"""Files as what they stand for, parts of images, saved, compared and checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from edl.chunks import BytesContent, Content, FillContent, read_all
from edl.contents import OpenContent, data_runs
from edl.errors import CancelledError, DiskError, DocumentError, ImageError
from edl.formats.seekable import Writer
from edl.formats.sparse import SparseImage
from edl.images import file, work
from edl.images.check import checks, fingerprint, vbmeta_of
from edl.images.disk import DiskImage, LunImage
from edl.images.file import open_content
from edl.images.parts import Missing, Part, find, logical
from edl.images.work import compare, save
from edl.outfile import require_room
from edl.units import MIB
from tests import supers
from tests.conftest import REPO
from tests.unit import test_avb
from tests.unit.test_contents import sparse_image


def facts(*parts: Part) -> list[tuple[str, str, str]]:
    found = checks(DiskImage({}), parts, None)
    return [(check.what, check.verdict, check.fact) for check in found]


@dataclass(frozen=True)
class Failing:
    """A content that cannot be read behind its first MiB."""

    size_bytes: int = 4 * MIB

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        if offset + length > MIB:
            raise ImageError("The disk is broken.")
        yield memoryview(b"x" * length)


# -- files -----------------------------------------------------------------------------------------


def test_zeros_take_no_room_in_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "z.gz"
    path.write_bytes(gzip.compress(bytes(8 * MIB) + b"end"))
    events: list[object] = []
    with open_content(path, events.append) as opened:
        assert opened.forms == ("gzip",)
        assert opened.content.size_bytes == 8 * MIB + 3
        assert sum(size for _, size in data_runs(opened.content, 0, 8 * MIB + 3)) < MIB
        assert read_all(opened.content, 8 * MIB - 1, 4) == b"\0end"
    assert "into a temporary file in" in str(events[0])
    assert [each.name for each in tmp_path.iterdir()] == ["z.gz"]


def test_seekable_files_are_read_where_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "x.zst"
    data = random.Random(1).randbytes(5 * MIB // 2)
    with path.open("wb") as file:
        writer = Writer(file)
        writer.write(data)
        writer.close()
    events: list[object] = []
    with open_content(path, events.append) as opened:
        assert (opened.forms, events) == (("zstd",), [])
        assert read_all(opened.content, 0, len(data)) == data
        found = list(checks(DiskImage({}, opened), (), None))
        assert [check.verdict for check in found] == ["ok"]
    raw = bytearray(path.read_bytes())
    raw[-5000] ^= 1  # in the second frame
    path.write_bytes(raw)
    with open_content(path) as opened:
        found = list(checks(DiskImage({}, opened), (), None))
        assert [check.verdict for check in found] == ["bad"]


def test_wrappings_have_an_end(tmp_path: Path) -> None:
    data = b"core"
    for _ in range(6):
        data = gzip.compress(data)
    (tmp_path / "nested").write_bytes(data)
    with pytest.raises(ImageError, match="archive"), open_content(tmp_path / "nested"):
        pass


def test_a_bomb_and_a_full_disk_stop_the_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"x" * 5 * MIB))
    with monkeypatch.context() as patch:
        patch.setattr(file, "MAX_UNPACKED_BYTES", 3 * MIB)
        with pytest.raises(DocumentError, match="made to fill disks"), open_content(path):
            pass
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(DiskError, match="1000 bytes left"), open_content(path):
            pass

    def full(*_: object) -> SimpleNamespace:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.disk_usage", full)
    with pytest.raises(DiskError, match="No space left"), open_content(path):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["bomb.gz"]


def test_beside_an_image_that_cannot_be_written_the_system_has_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"hello"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    events: list[object] = []
    with open_content(path, events.append) as opened:
        assert read_all(opened.content, 0, 5) == b"hello"
    assert tempfile.gettempdir() in str(events[0])


def test_a_temporary_file_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "t").open("w+b") as file:
        file.write(b"abc")
        file.flush()
        content = OpenContent(file, 5)
        with pytest.raises(ImageError, match="shorter"):
            read_all(content, 0, 5)

        def fails(*_: object) -> int:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "lseek", fails)
        monkeypatch.setattr(os, "preadv", fails)
        with pytest.raises(ImageError, match="Input/output"):
            read_all(content, 0, 5)
        with pytest.raises(ImageError, match="Input/output"):
            list(data_runs(content, 0, 5))


# -- saving ----------------------------------------------------------------------------------------


def test_saved_files_are_complete_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    save(BytesContent(b"abc" + bytes(5 * MIB)), path)
    assert path.read_bytes() == b"abc" + bytes(5 * MIB)
    with pytest.raises(ImageError, match="broken"):
        save(Failing(), path)
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(CancelledError):
        save(BytesContent(b"xyz"), path, cancel=stopped)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        save(BytesContent(b"xyz"), path)
    assert path.read_bytes() == b"abc" + bytes(5 * MIB)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_room_is_needed_for_data_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    require_room(tmp_path, work.data_bytes(FillContent(1 << 40)))
    with pytest.raises(DiskError, match="has 10 bytes free, 11 bytes are needed"):
        require_room(tmp_path, work.data_bytes(BytesContent(b"x" * 11)))


# -- comparing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (b"", b"", (0, 0, None)),
        (b"abc", b"abx", (1, 1, 2)),
        (bytes(3 * MIB) + b"1", bytes(3 * MIB) + b"2", (4, 1, 3 * MIB)),
        (b"1" + bytes(2 * MIB) + b"1", b"2" + bytes(2 * MIB) + b"2", (3, 2, 0)),
    ],
)
def test_blocks_are_compared(one: bytes, other: bytes, expected: tuple[int, int, object]) -> None:
    found = compare(BytesContent(one), BytesContent(other))
    assert (found.blocks, found.different, found.first_byte) == expected
    assert found.same is (expected[1] == 0)


def test_what_is_a_hole_in_both_is_not_read() -> None:
    assert compare(FillContent(1 << 45), FillContent(1 << 45)).same
    assert compare(FillContent(2 * MIB), BytesContent(bytes(2 * MIB))).same
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(CancelledError):
        compare(BytesContent(b"1"), BytesContent(b"1"), cancel=stopped)


# -- checking --------------------------------------------------------------------------------------


def part(
    name: str, data: bytes | Content, *, missing_bytes: int = 0, lun: int | None = None
) -> Part:
    content = BytesContent(data) if isinstance(data, bytes) else data
    return Part(name, content, lun, missing_bytes=missing_bytes)


def with_footer(data: bytes, vbmeta: bytes) -> bytes:
    """Return a partition of 64 KiB with data, and vbmeta at 32 KiB."""
    image = bytearray(65536)
    image[: len(data)] = data
    image[32768 : 32768 + len(vbmeta)] = vbmeta
    image[-64:] = test_avb.footer(32768, len(vbmeta))
    return bytes(image)


def digest_of(data: bytes, name: bytes = b"boot") -> bytes:
    return test_avb.hash_(name, len(data), b"salt", hashlib.sha256(b"salt" + data).digest())


def test_digests_of_partitions_are_checked() -> None:
    data = b"ANDROID!" + bytes(100)
    boot = with_footer(data, test_avb.vbmeta(digest_of(data)))
    assert facts(part("boot_a", boot)) == [("boot_a", "ok", "It is as boot_a says.")]
    wrong = b"X" + boot[1:]
    assert facts(part("boot_a", wrong)) == [("boot_a", "bad", "It is not what boot_a says.")]
    meta = test_avb.vbmeta(digest_of(data), digest_of(data, b"gone"))
    rows = facts(part("boot_a", data), part("boot_b", b"other"), part("vbmeta_a", meta))
    assert rows == [("boot_a", "ok", "It is as vbmeta_a says.")]
    rows = facts(part("boot_a", data[:50]), part("vbmeta_a", meta))
    assert rows == [("boot_a", "bad", "It is shorter than vbmeta_a says.")]
    rows = facts(part("vbmeta_a", meta[:300]))
    assert rows == [("vbmeta_a", "bad", "The vbmeta is cut off.")]


def test_the_build_is_found_where_it_is_told() -> None:
    told = test_avb.vbmeta(test_avb.property_(b"com.android.build.boot.fingerprint", b"build"))
    parts = [
        part("modem", b"x"), part("vbmeta", b"AVB0"), part("boot", with_footer(b"", told)),
    ]  # fmt: skip
    assert fingerprint(parts) == "build"
    assert fingerprint(parts[:2]) is None
    assert vbmeta_of(part("boot", with_footer(b"", told), missing_bytes=1)) is None


def test_boot_images_are_checked_by_their_hashes() -> None:
    data = (REPO / "loaders" / "prog_firehose_ddr_qcm2290_test.elf").read_bytes()
    right = "The boot image is as its hashes say."
    assert facts(part("abl_a", data)) == [("abl_a", "ok", right)]
    wrong = bytearray(data)
    wrong[len(data) - 100] ^= 1
    ((_, verdict, fact),) = facts(part("abl_a", bytes(wrong)))
    assert verdict == "bad"
    assert "differ from their hashes" in fact
    assert facts(part("abl_a", b"\x7fELF" + bytes(100))) == []
    assert facts(part("abl_a", data, missing_bytes=5)) == []


def test_what_cannot_be_read_is_told() -> None:
    rows = facts(part("boot_a", Missing(100, "Nobody has it.")))
    assert rows == [("boot_a", "unknown", "It is not there: Nobody has it.")]
    assert part("boot", b"").kind.code == "empty"
    assert part("boot", b"abc", missing_bytes=3).kind.code == "missing"


def crc_image(*, crc: int) -> bytes:
    """Return a sparse image as libsparse lays it out, with a checksum chunk at its end."""
    data = random.Random(3).randbytes(8192)
    raw = sparse_image((0xCAC3, 1, b""), (0xCAC1, 2, data), (0xCAC2, 3, b"abcd"), (0xCAC3, 1, b""))
    chunk = struct.pack("<HHIII", 0xCAC4, 0, 0, 16, crc)
    return raw[:20] + struct.pack("<I", 5) + raw[24:] + chunk


@pytest.mark.parametrize(
    ("crc", "verdict"),
    [
        # by sparse_format.h: all bytes, what is left alone as zeros
        (zlib.crc32(bytes(4096) + random.Random(3).randbytes(8192) + b"abcd" * 3072 + bytes(4096)),
         "ok"),
        (0xE7336A1D, "ok"),  # what libsparse of Debian (android-libsparse 1:29.0.6) writes
        (0x12345678, "unknown"),
    ],
)  # fmt: skip
def test_checksums_of_sparse_images(tmp_path: Path, crc: int, verdict: str) -> None:
    path = tmp_path / "x.simg"
    path.write_bytes(crc_image(crc=crc))
    assert SparseImage.read(io.BytesIO(path.read_bytes()), path.stat().st_size).checksums
    with open_content(path) as opened:
        found = [check.verdict for check in checks(DiskImage({}, opened), (), None)]
        assert found == ["ok", verdict]
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(CancelledError):
            list(checks(DiskImage({}, opened), (), None, cancel=stopped))


# -- parts -----------------------------------------------------------------------------------------


def test_logical_partitions_over_several_ordinary_ones() -> None:
    layout = supers.Layout(
        [("system", 1, 0, [(8, 0, 2048, 0), (8, 0, 8, 1)]), ("odm", 1, 0, [(8, 0, 8, 2)])],
        devices=[(2048, 2 << 20, "super", 0), (8, 1 << 20, "vendor", 0), (8, 1 << 20, "gone", 0)],
    )
    image = supers.super_image(layout, size=2 << 20, data={2048: b"one" * 1365 + b"!"})
    lun = LunImage(BytesContent(bytes(image)), 512, None, None)
    vendor = part("vendor", bytes(4096) + b"two" * 1365 + b"!")
    found = logical(DiskImage({0: lun}), [vendor])
    assert found is not None
    system, odm = found.parts
    assert read_all(system.content, 0, 8192) == (b"one" * 1365 + b"!") + (b"two" * 1365 + b"!")
    assert odm.kind.code == "missing"
    assert find("SYSTEM", found.parts) is system
    twice = [part("log", b"1", lun=0), part("log", b"2", lun=1)]
    with pytest.raises(ImageError, match="more than once: 0/log, 1/log"):
        find("log", twice)
    assert find("1/log", twice) is twice[1]
