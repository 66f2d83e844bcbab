# SPDX-License-Identifier: BSD-3-Clause
"""Zip files, made by the standard library and broken by hand."""

from __future__ import annotations

import io
import stat
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from edl.chunks import ReadAhead, read_all
from edl.errors import ImageError, PackageError
from edl.packages import zips
from edl.packages.tree import Tree
from edl.streamed import StreamContent
from tests.packages.making import noise, zstd_of

DATA = noise(300_000) + bytes(300_000)


def made(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def content(tree: Tree, name: str) -> bytes:
    file = tree.files[name]
    return read_all(file.content, 0, file.size_bytes)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_members_are_read_anywhere(kind: int, tmp_path: Path) -> None:
    tree = zips.of_zip(made(tmp_path / "a.zip", {"img": DATA, "empty": b""}, kind))
    file = tree.files["img"]
    assert content(tree, "img") == DATA
    assert read_all(file.content, 299_990, 20) == DATA[299_990:300_010]
    assert read_all(file.content, 5, 7) == DATA[5:12]
    assert content(tree, "empty") == b""
    for each in tree.files.values():
        assert isinstance(each.content, StreamContent)
        each.content.verify()
        each.content.verify()


def test_zstandard_members(tmp_path: Path) -> None:
    packed = zstd_of(DATA)
    data = patched(one(packed, zipfile.ZIP_STORED), compression=93, size=len(DATA), crc=DATA)
    (tmp_path / "a.zip").write_bytes(data)
    assert content(zips.of_zip(tmp_path / "a.zip"), "img") == DATA


def test_what_info_zip_writes_with_data_descriptors(tmp_path: Path) -> None:
    buffer = io.BytesIO()

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            return buffer.write(data)

    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("img", DATA)
    assert b"PK\x07\x08" in buffer.getvalue()
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    assert content(zips.of_zip(tmp_path / "a.zip"), "img") == DATA


def test_zip64(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        archive.open("img", "w", force_zip64=True) as out,
    ):
        out.write(DATA)
    assert content(zips.of_zip(tmp_path / "a.zip"), "img") == DATA


def one(data: bytes, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("img", data)
    return buffer.getvalue()


def patched(
    data: bytes,
    *,
    compression: int | None = None,
    size: int | None = None,
    crc: bytes | None = None,
    flags: int | None = None,
    header_at: int | None = None,
) -> bytes:
    """Change the directory's one entry (APPNOTE.TXT 4.3.12)."""
    at = data.index(b"PK\x01\x02")
    raw = bytearray(data)
    if flags is not None:
        struct.pack_into("<H", raw, at + 8, flags)
    if compression is not None:
        struct.pack_into("<H", raw, at + 10, compression)
    if crc is not None:
        struct.pack_into("<I", raw, at + 16, zlib.crc32(crc))
    if size is not None:
        struct.pack_into("<I", raw, at + 24, size)
    if header_at is not None:
        struct.pack_into("<I", raw, at + 42, header_at)
    return bytes(raw)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (patched(one(DATA), crc=b"other"), "its checksum (CRC-32) is wrong"),
        (patched(one(DATA), size=len(DATA) - 1, crc=DATA[:-1]), "longer than the directory says"),
        (patched(one(DATA), size=len(DATA) + 1), "it ends too early"),
        (patched(one(DATA, 0), crc=b"other"), "its checksum (CRC-32) is wrong"),
        (one(DATA).replace(b"PK\x03\x04", b"PK\x03\x09", 1), "not where the directory says"),
        (patched(one(noise(99), 0), compression=8), "it cannot be unpacked"),
        (patched(one(noise(99), 0), compression=12), "damaged"),
    ],
)  # fmt: skip
def test_damage_is_told_when_it_is_read(data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    found = zips.of_zip(tmp_path / "a.zip").files["img"].content
    assert isinstance(found, StreamContent)
    with pytest.raises(ImageError, match="img is damaged") as caught:
        found.verify()
    assert told in caught.value.message


def test_the_last_bytes_come_only_if_all_are_right(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(patched(one(DATA), crc=b"other"))
    file = zips.of_zip(tmp_path / "a.zip").files["img"]
    got: list[int] = []

    def take() -> None:
        with ReadAhead(file.content, 0, file.size_bytes) as ahead:
            got.extend(len(chunk) for chunk in ahead.chunks())

    with pytest.raises(ImageError, match="CRC"):
        take()
    assert sum(got) < len(DATA)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04" + bytes(100), "no directory"),
        (one(DATA)[:-30], "damaged zip file"),
        (patched(one(DATA, 0), size=5), "two sizes"),
        (patched(one(DATA), header_at=1 << 30), "damaged zip file"),
    ],
)
def test_lying_directories(data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(PackageError, match=told):
        zips.of_zip(tmp_path / "a.zip")


def test_members_that_share_bytes(tmp_path: Path) -> None:
    made(tmp_path / "a.zip", {"a": DATA, "b": DATA})
    data = (tmp_path / "a.zip").read_bytes()
    second = data.rindex(b"PK\x01\x02")
    raw = bytearray(data)
    struct.pack_into("<I", raw, second + 42, 0)
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(PackageError, match="lies within another file"):
        zips.of_zip(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"flags": 1}, "encrypted"),
        ({"compression": 14}, "compressed in a rare way"),
    ],
)
def test_what_cannot_be_read_is_passed_over(
    change: dict[str, int], told: str, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(patched(one(DATA), **change))  # type: ignore[arg-type]
    tree = zips.of_zip(tmp_path / "a.zip")
    assert (list(tree.files), len(tree.notes)) == ([], 1)
    assert told in tree.notes[0]


def test_names_stay_inside(tmp_path: Path) -> None:
    path = made(
        tmp_path / "a.zip",
        {"../out": b"1", "a/../../b": b"2", "/abs": b"3", "w\\in": b"4", "esc\x1b[2J": b"5"},
    )
    tree = zips.of_zip(path)
    assert {name: content(tree, name) for name in tree.files} == {
        "abs": b"3", "w/in": b"4", "esc?[2J": b"5",
    }  # fmt: skip
    assert [note.partition(": ")[2] for note in tree.notes] == [
        "its name leads out of the archive"
    ] * 2


def test_two_members_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in (("x", b"1"), ("y", b"2"), ("./x", b"other"), ("./y", b"2")):
            archive.writestr(name, data)
    tree = zips.of_zip(tmp_path / "a.zip")
    assert list(tree.files) == ["y"]
    assert tree.notes == ("x: several files have this name, with different contents",)


def test_links_and_folders_are_no_files(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.mkdir("folder")
    assert zips.of_zip(tmp_path / "a.zip").files == {}


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.zip", {"a": b"", "b": b""})
    monkeypatch.setattr(zips, "_MAX_MEMBERS", 1)
    with pytest.raises(PackageError, match="more than 1 files"):
        zips.of_zip(path)
    monkeypatch.setattr(zips, "_MAX_DIRECTORY_BYTES", 10)
    with pytest.raises(PackageError, match="directory too large"):
        zips.of_zip(path)
    monkeypatch.undo()
    monkeypatch.setattr(zips, "_MAX_MEMBER_BYTES", 10)
    assert zips.of_zip(made(tmp_path / "b.zip", {"a": bytes(11)})).notes == (
        "a: it is larger than any phone",
    )


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", {"img": DATA})
    tree = zips.of_zip(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ImageError, match="has changed"):
        tree.files["img"].require_unchanged()
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        content(tree, "img")


def test_unzip_agrees(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", {"dir/img": DATA, "b": b"x" * 70_000})
    tree = zips.of_zip(path)
    for name in tree.files:
        told = subprocess.run(["unzip", "-p", path, name], capture_output=True, check=True).stdout
        assert content(tree, name) == told
