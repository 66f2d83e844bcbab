# SPDX-License-Identifier: BSD-3-Clause
"""Sony's packages, written by the layout that anyxperia_dumper reads."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import lz4.block
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edl.chunks import BytesContent, read_all
from edl.errors import DocumentError, ImageError, PackageError
from edl.formats import sin
from edl.packages.sony import SinContent
from tests import phones
from tests.packages.installing import held, install, opened
from tests.packages.making import noise, sparse
from tests.packages.test_nokia import with_table

DATA = noise(4096) + bytes(8192) + noise(4096, 2)
Entry = tuple[bytes, int, bytes]


def v3(*entries: Entry, table_bytes: int | None = None) -> bytes:
    """Return a sin with pieces: (kind, place, data)."""
    header = 0x100
    table, body = b"GPTP" + struct.pack(">I", 24) + bytes(16), b""
    for kind, target, data in entries:
        digest = struct.pack(">I", 2) + bytes(32)
        if kind == b"LZ4A":
            packed = lz4.block.compress(data, store_size=False)
            values = struct.pack(">QQQQ", len(body), len(data), len(packed), target)
        else:
            packed = data
            values = struct.pack(">QQQ", len(body), len(data), target)
        table += kind + struct.pack(">I", 8 + len(values) + len(digest)) + values + digest
        body += packed
    size = len(table) if table_bytes is None else table_bytes
    head = (b"\x03SIN" + struct.pack(">I", header)).ljust(header, b"\0")
    return head + b"MMCF" + struct.pack(">I", size) + table + body


def v4(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


BOOT = v3((b"ADDR", 0, DATA[:4096]), (b"LZ4A", 12288, DATA[12288:]))
EXPANDED = DATA[:4096] + b"\xff" * 8192 + DATA[12288:]


def ftf(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", ".").replace("SLASH", "/"), data)
    return path


def test_an_ftf_by_the_names_of_partitions(tmp_path: Path) -> None:
    parts = {
        "system__cms": b"signed",
        "system__000": sparse((1, noise(4096)), (3, b"")),
        "system__001": sparse((1, b""), (1, noise(4096, 3)), (2, b"")),
    }
    path = ftf(
        tmp_path / "a.ftf", boot__sin=BOOT, system__sin=v4(**parts), loader__sin=BOOT,
        persist__sin=BOOT, userdata__sin=BOOT, x__ta=b"unit", update__xml=b"<UPDATE/>",
        bootSLASHxbl__sin=BOOT, partition__sin=BOOT,
    )  # fmt: skip
    package, told = opened(path)
    assert told.facts == (("sin", "version 3, 4"),)
    reasons = dict(package.left_out)
    assert set(reasons) == {
        "loader.sin", "persist.sin", "userdata.sin", "x.ta", "boot/xbl.sin", "partition.sin",
    }  # fmt: skip
    assert "boot_delivery.xml" in reasons["boot/xbl.sin"]
    assert "flash mode" in package.warnings[0]
    with phones.plug("msm8953") as bench:
        with_table(bench)
        install(bench, package)
        assert held(bench, 40, 32) == EXPANDED
        assert held(bench, 168, 16) == noise(4096) + noise(4096, 3)


def test_a_name_with_its_variant(tmp_path: Path) -> None:
    image = v4(boot__cms=b"signed", boot__000=noise(4096))
    (tmp_path / "boot_X-FLASH-ALL-42E5.sin").write_bytes(image)
    (named,) = opened(tmp_path)[0].named
    assert named.partition == "boot"


def old(version: int, data: bytes) -> bytes:
    return bytes([version, 0]) + struct.pack(">I", 100) + bytes(110) + data


@pytest.mark.parametrize("version", [1, 2])
def test_old_versions_end_with_the_image(version: int) -> None:
    image = sin.read_sin(BytesContent(old(version, DATA)))
    assert image.version == version
    content = SinContent(BytesContent(old(version, DATA)), image)
    assert read_all(content, 0, content.size_bytes) == DATA


def without_list(data: bytes, hashes: int = 0) -> bytes:
    head = (b"\x03SIN" + struct.pack(">I", 0x40)).ljust(0x18, b"\0") + struct.pack(">I", hashes)
    return head.ljust(0x40, b"\0") + data


def test_version_3_without_a_list() -> None:
    for data in (without_list(b"\x7fELF" + DATA), without_list(b"h" * 64 + b"\x7fELF" + DATA, 64)):
        image = sin.read_sin(BytesContent(data))
        assert read_all(SinContent(BytesContent(data), image), 0, 8) == b"\x7fELF" + DATA[:4]


@pytest.mark.parametrize(("offset", "length"), [(0, 16384), (5, 10), (4090, 9000), (13000, 100)])
def test_any_part_of_an_image(offset: int, length: int) -> None:
    content = SinContent(BytesContent(BOOT), sin.read_sin(BytesContent(BOOT)))
    assert read_all(content, offset, length) == EXPANDED[offset : offset + length]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (bytes(64), "does not begin"),
        (old(2, b""), "nothing behind"),
        (BOOT[:-1], "cut off within piece 2"),
        (BOOT[:0x110], "cut off"),
        (v3((b"ADDR", 0, DATA), table_bytes=10), "list of 10 bytes"),
        (v3((b"ADDR", 0, DATA), table_bytes=40), "list of pieces is cut off"),
        (v3((b"ABCD", 0, DATA)), "unknown kind b'ABCD'"),
        (v3((b"ADDR", 0, DATA), (b"ADDR", 4096, DATA)), "overlap"),
        (v3((b"ADDR", 1 << 40, DATA)), "which cannot be"),
        (BOOT.replace(b"ADDR\0\0\0\x44", b"ADDR\0\0\0\x00"), "which cannot be"),
    ],
)
def test_what_is_no_good(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        sin.read_sin(BytesContent(data))


@given(st.integers(0x100, 0x190), st.binary(min_size=1, max_size=8))
def test_whatever_is_changed_nothing_but_a_document_error_comes(at: int, data: bytes) -> None:
    made = BOOT[:at] + data + BOOT[at + len(data) :]
    try:
        found = sin.read_sin(BytesContent(made))
    except DocumentError:
        return
    assert all(piece.offset + piece.packed_bytes <= len(made) for piece in found.pieces)


def test_damaged_pieces() -> None:
    data = BOOT[:-4100] + b"\xff" * 4100
    content = SinContent(BytesContent(data), sin.read_sin(BytesContent(data)))
    with pytest.raises(ImageError, match="piece for byte 12288"):
        read_all(content, 12288, 10)


def refused(folder: Path, data: bytes) -> str:
    (folder / "boot.sin").write_bytes(data)
    with pytest.raises(PackageError) as caught:
        opened(folder)
    return caught.value.message


def test_packages_that_are_no_good(tmp_path: Path) -> None:
    assert "boot.sin: It is cut off" in refused(tmp_path, BOOT[:-1])
    assert "holds no image" in refused(tmp_path, v4(boot__cms=b"signed"))
    two = v4(boot__000=noise(512), boot__001=noise(512))
    assert "nobody has described" in refused(tmp_path, two)
    (tmp_path / "boot.sin").rename(tmp_path / "persist.sin")
    with pytest.raises(PackageError, match="nothing that could be written"):
        opened(tmp_path)
