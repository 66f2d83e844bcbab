# SPDX-License-Identifier: BSD-3-Clause
"""Images converted, and what img2simg, simg2img, zstd, gzip and xz make of them."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edl.chunks import BytesContent, FillContent, read_all
from edl.contents import Joined
from edl.errors import CancelledError, DiskError, DocumentError, ImageError
from edl.formats.seekable import SeekableContent
from edl.formats.sparse import SparseImage, SparseKind
from edl.images.file import open_content
from edl.packages import converting
from edl.packages.converting import Form, Input, convert, form_of, opened
from edl.units import KIB, MIB
from tests import packs
from tests.cli.conftest import Edl
from tests.cli.test_image import write_backup, write_disk
from tests.packages.making import noise, sparse

RAW = (
    noise(100_000)
    + bytes(MIB - 100_000)
    + b"\xaa\xbb\xcc\xdd" * (16 * KIB)
    + noise(KIB, 2) * 100
    + bytes(3 * MIB)
    + noise(4096, 3)
)
RAW += bytes(-len(RAW) % 4096)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "a.img"
    path.write_bytes(RAW)
    return path


def image_of(path: Path) -> SparseImage:
    with path.open("rb") as file:
        return SparseImage.read(file, path.stat().st_size)


def simg2img(folder: Path, *paths: Path) -> bytes:
    out = folder / "by-simg2img"
    subprocess.run(["simg2img", *paths, out], check=True)
    return out.read_bytes()


def test_a_raw_image_becomes_a_sparse_one(raw: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "a.simg"
    result = edl("convert", raw, out, "--json")
    assert result.status == 0
    assert simg2img(tmp_path, out) == RAW
    assert result.last["form"] == "sparse"
    assert result.last["bytes"] == len(RAW)
    assert result.last["file_bytes"] == out.stat().st_size < len(RAW) // 5
    assert result.last["open_bytes"] == 0
    # nothing is left to chance: what was on the phone before does not shine through
    assert SparseKind.DONT_CARE not in {chunk.kind for chunk in image_of(out).chunks}


def test_a_sparse_image_becomes_raw(raw: Path, tmp_path: Path, edl: Edl) -> None:
    theirs = tmp_path / "theirs.simg"
    subprocess.run(["img2simg", raw, theirs], check=True)
    out = tmp_path / "out.img"
    assert edl("convert", theirs, out).status == 0
    assert out.read_bytes() == RAW
    assert out.stat().st_blocks * 512 < MIB


@pytest.mark.parametrize("tool", [["gzip", "-c"], ["xz", "-0", "-c"], ["zstd", "-q", "-c"]])
def test_compressed_ones(tool: list[str], raw: Path, tmp_path: Path, edl: Edl) -> None:
    packed = tmp_path / "packed"
    with packed.open("wb") as file:
        subprocess.run([*tool, raw], stdout=file, check=True)
    assert edl("convert", packed, tmp_path / "out.img").status == 0
    assert (tmp_path / "out.img").read_bytes() == RAW
    assert edl("convert", packed, tmp_path / "out.simg").status == 0
    assert simg2img(tmp_path, tmp_path / "out.simg") == RAW
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2])
    told = edl("convert", packed, tmp_path / "cut.img")
    assert told.status == 7
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("cut")]


def test_the_sparse_image_does_not_depend_on_holes(raw: Path, tmp_path: Path, edl: Edl) -> None:
    with (tmp_path / "holes.img").open("wb") as file:
        for at in range(0, len(RAW), 4096):
            if any(RAW[at : at + 4096]):
                file.seek(at)
                file.write(RAW[at : at + 4096])
        file.truncate(len(RAW))
    assert edl("convert", raw, tmp_path / "1.simg").status == 0
    assert edl("convert", tmp_path / "holes.img", tmp_path / "2.simg").status == 0
    assert (tmp_path / "1.simg").read_bytes() == (tmp_path / "2.simg").read_bytes()


def test_seekable_zstandard(raw: Path, tmp_path: Path, edl: Edl) -> None:
    out = tmp_path / "a.img.zst"
    assert edl("convert", raw, out).status == 0
    assert subprocess.run(["zstd", "-dc", out], capture_output=True, check=True).stdout == RAW
    content = SeekableContent.whole(out)
    assert read_all(content, 4 * MIB, 5000) == RAW[4 * MIB :][:5000]
    assert edl("convert", out, tmp_path / "back.img").status == 0
    assert (tmp_path / "back.img").read_bytes() == RAW


def test_parts_become_one_image(tmp_path: Path, edl: Edl) -> None:
    first = tmp_path / "super.img_sparsechunk.0"
    second = tmp_path / "super.img_sparsechunk.1"
    first.write_bytes(sparse((2, noise(8192)), (20, b"")))
    second.write_bytes(
        sparse((2, b""), (1, noise(4096, 2)), (10, b""), (1, noise(4096, 3)), (8, b""))
    )
    out = tmp_path / "super.img"
    told = edl("convert", second, first, out)
    assert told.status == 0
    assert "from 2 parts" in told.out
    assert "leave open reads as zeros" in told.out
    assert out.read_bytes() == simg2img(tmp_path, first, second)
    one = tmp_path / "super.simg"
    assert "stays open" in edl("convert", first, second, one).out
    assert simg2img(tmp_path, one) == out.read_bytes()
    assert [(chunk.kind.name, chunk.length_bytes // 4096) for chunk in image_of(one).chunks] == [
        ("RAW", 3), ("DONT_CARE", 10), ("RAW", 1), ("DONT_CARE", 8),
    ]  # fmt: skip
    twice = edl("convert", first, second, first, tmp_path / "no.img")
    assert twice.status == 7
    assert "which another file has as well" in twice.err
    assert "only the parts of one" in edl("convert", first, out, tmp_path / "no.img").err
    assert not (tmp_path / "no.img").exists()


def test_the_last_block_is_filled_up(tmp_path: Path, edl: Edl) -> None:
    path = tmp_path / "odd.img"
    path.write_bytes(noise(10_001))
    assert edl("convert", path, tmp_path / "odd.simg").status == 0
    assert simg2img(tmp_path, tmp_path / "odd.simg") == noise(10_001) + bytes(12288 - 10_001)
    theirs = tmp_path / "theirs.simg"
    subprocess.run(["img2simg", path, theirs], check=True)
    assert image_of(theirs).size_bytes == image_of(tmp_path / "odd.simg").size_bytes


def test_a_lun_of_a_backup(raw: Path, tmp_path: Path, edl: Edl) -> None:
    folder = write_backup(tmp_path / "backup", write_disk(tmp_path / "disk.img"))
    assert edl("convert", folder, tmp_path / "lun1.zst", "--lun", 1).status == 0
    packed = subprocess.run(
        ["zstd", "-dc", tmp_path / "lun1.zst"], capture_output=True, check=True
    ).stdout
    assert packed == bytes(MIB)
    told = edl("convert", folder, tmp_path / "no.img")
    assert told.status == 2
    assert "holds the LUNs 0, 1" in told.err
    assert edl("convert", folder, tmp_path / "no.img", "--lun", 5).status == 2
    assert "is for backups" in edl("convert", raw, tmp_path / "no.img", "--lun", 0).err
    # a part of LUN 0 was not saved: no image is made that would be wrong
    assert edl("convert", folder, tmp_path / "no.img", "--lun", 0).status == 7
    assert not (tmp_path / "no.img").exists()


def test_names_decide_and_say_no(raw: Path, tmp_path: Path, edl: Edl) -> None:
    assert [form_of(Path(name)) for name in ("a.SIMG", "b.sparse", "c.zst", "d.img", "e")] == [
        Form.SPARSE, Form.SPARSE, Form.ZST, Form.RAW, Form.RAW,
    ]  # fmt: skip
    assert edl("convert", raw).status == 2
    assert "is the image itself" in edl("convert", raw, raw, "--force").err
    assert "is a folder" in edl("convert", raw, tmp_path).err
    (tmp_path / "there").write_bytes(b"mine")
    assert "exists already" in edl("convert", raw, tmp_path / "there").err
    assert (tmp_path / "there").read_bytes() == b"mine"
    assert edl("convert", raw, tmp_path / "there", "--force", "--to", "sparse").status == 0
    assert image_of(tmp_path / "there").size_bytes == len(RAW)
    os.mkfifo(tmp_path / "pipe")
    assert "no ordinary file" in edl("convert", raw, tmp_path / "pipe", "--force").err
    assert edl("convert", raw, "nul\0").status == 2
    assert edl("convert", tmp_path / "absent", tmp_path / "x").status == 7


@pytest.mark.parametrize("cut", [10, 30, 45, 4000, 12000])
def test_sparse_images_that_are_cut_off(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.simg"
    path.write_bytes(packs.sparse(4096, noise(8192), (3, b"abcd"), 4, noise(8192))[:cut])
    with pytest.raises((DocumentError, ImageError)), opened([path]):
        pass


def test_sparse_images_larger_than_any_phone(tmp_path: Path) -> None:
    path = tmp_path / "bomb.simg"
    path.write_bytes(packs.sparse(65536, *[(1 << 26, b"abcd")]))
    with pytest.raises(ImageError, match="no phone has so much"), opened([path]):
        pass


def test_what_happens_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = converting.whole(Joined((FillContent(MIB), BytesContent(RAW))))
    stop = threading.Event()
    stop.set()
    for form in Form:
        with pytest.raises(CancelledError):
            convert(source, tmp_path / "out", form, cancel=stop)
        with pytest.raises(DiskError, match="cannot be written"):
            convert(source, tmp_path / "absent" / "out", form)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for form in Form:
        with pytest.raises(DiskError, match="No space left"):
            convert(source, tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []
    assert converting.whole(FillContent(0)).written == ()


def test_large_images_have_few_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "_MOST_UNITS", 4)
    monkeypatch.setattr(converting, "_UNIT_BYTES", 4096)
    monkeypatch.setattr(converting, "_MOST_RAW_BYTES", 32 * KIB)
    data = b"".join(noise(4096, n) + bytes(4096) for n in range(32))
    convert(converting.whole(BytesContent(data)), tmp_path / "a", Form.SPARSE)
    image = image_of(tmp_path / "a")
    assert len(image.chunks) == 4
    assert simg2img(tmp_path, tmp_path / "a") == data


spans = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 20_000), st.integers(0, 2)), max_size=8
)


@given(spans, st.integers(0, 5000))
@settings(max_examples=25)
def test_sparse_and_back(tmp_path_factory: pytest.TempPathFactory, rows: Any, tail: int) -> None:  # noqa: ANN401
    parts: list[Any] = []
    written: list[tuple[int, int]] = []
    at = 0
    for gap, length, kind in rows:
        parts.append(FillContent(gap * 1000))
        at += gap * 1000
        words = {0: noise(length), 1: b"\1\2\3\4" * (length // 4 + 1), 2: bytes(length)}
        parts.append(BytesContent(words[kind][:length]))
        written.append((at, length))
        at += length
    content = Joined((*parts, FillContent(tail)))
    folder = tmp_path_factory.mktemp("sparse")
    convert(Input(content, tuple(written)), folder / "a", Form.SPARSE)
    expected = read_all(content, 0, content.size_bytes)
    if not expected:
        assert image_of(folder / "a").chunks == ()
        return
    with open_content(folder / "a") as found:
        assert found.content.size_bytes == -(-len(expected) // 4096) * 4096
        assert read_all(found.content, 0, len(expected)) == expected
