# SPDX-License-Identifier: BSD-3-Clause
"""Contents made of others, and where they are blank."""

from __future__ import annotations

import io
import os
import random
import struct
from pathlib import Path

import pytest

from edl.chunks import BytesContent, Content, FileContent, FillContent, read_all
from edl.contents import Joined, Slice, SparseContent, as_file, data_runs, is_blank
from edl.errors import ImageError
from edl.files import on_disk
from edl.formats.sparse import SparseImage
from edl.units import MIB


def runs(content: Content) -> list[tuple[int, int]]:
    return list(data_runs(content, 0, content.size_bytes))


def sparse_image(*chunks: tuple[int, int, bytes]) -> bytes:
    """Return a sparse image of chunks: kind, blocks of 4096 bytes, data."""
    body = b"".join(
        struct.pack("<HHII", kind, 0, blocks, 12 + len(data)) + data
        for kind, blocks, data in chunks
    )
    total = sum(blocks for _, blocks, _ in chunks)
    return struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, 4096, total, len(chunks), 0) + body


def holed_file(path: Path) -> FileContent:
    with path.open("wb") as file:
        file.seek(4 * MIB)
        file.write(b"x" * 4096)
        file.truncate(64 * MIB)
    return FileContent(path, 0, 64 * MIB, 64 * MIB)


def test_holes_of_a_file_are_no_data(tmp_path: Path) -> None:
    content = holed_file(tmp_path / "holed")
    assert sum(size for _, size in runs(content)) <= MIB
    assert all(start <= 4 * MIB < start + size for start, size in runs(content))
    assert list(data_runs(content, 8 * MIB, 8 * MIB)) == []
    assert list(data_runs(content, 8, 0)) == []
    part = FileContent(tmp_path / "holed", 3 * MIB, 2 * MIB, 3 * MIB)
    assert all(start <= MIB < start + size <= 2 * MIB for start, size in runs(part))


@pytest.mark.parametrize("missing", ["SEEK_DATA", "SEEK_HOLE"])
def test_where_holes_cannot_be_found_all_is_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    content = holed_file(tmp_path / "holed")
    monkeypatch.delattr(os, missing)
    assert runs(content) == [(0, 64 * MIB)]
    assert list(data_runs(content, 64 * MIB, 1)) == []


def test_a_file_system_that_does_not_tell_has_no_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = holed_file(tmp_path / "holed")
    monkeypatch.setattr(os, "SEEK_DATA", 77)  # EINVAL, as kernels have it for what they do not know
    assert runs(content) == [(0, 64 * MIB)]


def test_a_file_that_fails_or_is_gone_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = holed_file(tmp_path / "holed")

    def fails(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "lseek", fails)
        with pytest.raises(ImageError, match="Input/output"):
            runs(content)
    (tmp_path / "holed").unlink()
    with pytest.raises(ImageError, match="No such file"):
        runs(content)


def test_a_slice_is_a_part_and_says_when_it_is_cut_off(tmp_path: Path) -> None:
    part = Slice(holed_file(tmp_path / "holed"), 4 * MIB - 100, 200)
    assert read_all(part, 0, 200) == bytes(100) + b"x" * 100
    assert all(start >= 0 and start + size <= 200 for start, size in runs(part))
    beyond = Slice(BytesContent(b"abc"), 1, 4)
    assert read_all(beyond, 0, 2) == b"bc"
    with pytest.raises(ImageError, match="cut off"):
        read_all(beyond, 0, 4)
    with pytest.raises(ImageError, match="cut off"):
        runs(beyond)


def test_joined_contents_are_read_across_their_borders() -> None:
    whole = b"abc" + bytes(5) + b"defg"
    joined = Joined(
        (BytesContent(b"abc"), FillContent(5), BytesContent(b""), BytesContent(b"defg"))
    )
    assert joined.size_bytes == len(whole)
    for start in range(len(whole)):
        for end in range(start, len(whole) + 1):
            assert read_all(joined, start, end - start) == whole[start:end]
    assert runs(joined) == [(0, 3), (8, 4)]
    assert read_all(Joined(()), 0, 0) == b""
    assert read_all(joined, 10, 100) == b"fg"


def test_sparse_images_expand_at_any_place() -> None:
    data = random.Random(1).randbytes(8192)
    packed = sparse_image(
        (0xCAC3, 1, b""), (0xCAC1, 2, data), (0xCAC2, 1, b"abcd"), (0xCAC2, 1, bytes(4))
    )
    image = SparseImage.read(io.BytesIO(packed), len(packed))
    content = SparseContent(BytesContent(packed), image)
    whole = bytes(4096) + data + b"abcd" * 1024 + bytes(4096)
    assert content.size_bytes == len(whole)
    for start, end in [(0, 20480), (4095, 4097), (4096, 12288), (5000, 14001), (12289, 20480)]:
        assert read_all(content, start, end - start) == whole[start:end]
    assert runs(content) == [(4096, 8192), (12288, 4096)]
    assert read_all(content, 20480, 10) == b""


def test_is_blank_looks_only_where_there_can_be_data(tmp_path: Path) -> None:
    content = holed_file(tmp_path / "holed")
    assert is_blank(content, 0, 4 * MIB)
    assert not is_blank(content, 0, 4 * MIB + 1)
    assert is_blank(FillContent(1 << 50), 0, 1 << 50)
    assert not is_blank(BytesContent(bytes(64) + b"1"), 0, 65)


def test_a_content_as_a_file() -> None:
    with as_file(BytesContent(b"0123456789")) as file:
        assert file.seek(-3, os.SEEK_END) == 7
        assert file.read() == b"789"
        assert file.seek(-100, os.SEEK_CUR) == 0
        assert file.read(2) == b"01"
        assert file.tell() == 2
        assert file.seekable()


@pytest.mark.parametrize("name", ["a\0", "\ud800"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="no file can be called so"):
        on_disk(tmp_path / name)
