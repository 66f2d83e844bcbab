# SPDX-License-Identifier: BSD-3-Clause
"""Tar archives as GNU tar and the standard library write them."""

from __future__ import annotations

import errno
import io
import os
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edl import spool
from edl.chunks import read_all
from edl.errors import DiskError, ImageError, PackageError
from edl.events import BytesMoved, Event, Stage, StepStarted
from edl.files import on_disk
from edl.formats.sparse import SparseImage
from edl.home import home
from edl.packages import tarindex, tars
from edl.packages.tarreader import Member
from edl.packages.tree import Tree
from tests.packages.making import noise, sparse, zstd_of

DATA = noise(100_000) + bytes(200_000)
SUFFIXES = ("tar", "tar.gz", "tar.xz", "tar.bz2", "tar.zst")


def packed(folder: Path, suffix: str) -> Path:
    source = folder / "rom" / "images"
    source.mkdir(parents=True)
    (source / "system.img").write_bytes(DATA)
    (source / "boot.img").write_bytes(b"boot")
    (source / "link").symlink_to("boot.img")
    path = folder / f"rom.{suffix}"
    subprocess.run(["tar", "-C", folder, "-caf", path, "rom"], check=True)
    return path


def read(path: Path, emit: Callable[[Event], None] = lambda _: None) -> Tree:
    return tars.read(on_disk(path), str(path), emit)


def contents(tree: Tree) -> dict[str, bytes]:
    return {name: read_all(f.content, 0, f.size_bytes) for name, f in tree.files.items()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_a_tar(suffix: str, tmp_path: Path) -> None:
    path = packed(tmp_path, suffix)
    tree = read(path)
    assert contents(tree) == {"rom/images/boot.img": b"boot", "rom/images/system.img": DATA}
    file = tree.files["rom/images/system.img"]
    assert read_all(file.content, 99_990, 20) == DATA[99_990:100_010]
    assert file.stamp is not None
    assert file.stamp.path == path
    assert file.path is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_tells_a_tar_from_one_compressed_file(suffix: str, tmp_path: Path) -> None:
    file = on_disk(packed(tmp_path, suffix))
    if suffix == "tar":
        assert tars.is_tar(file.head(512))
    else:
        assert tars.holds_tar(file)
    single = tmp_path / "single.zst"
    single.write_bytes(zstd_of(DATA))
    assert not tars.holds_tar(on_disk(single))


def test_a_compressed_one_is_read_through_once(tmp_path: Path) -> None:
    path = packed(tmp_path, "tar.gz")
    (tmp_path / "noise").write_bytes(noise(3 << 20))
    subprocess.run(["tar", "-C", tmp_path, "-caf", path, "rom", "noise"], check=True)
    events: list[Event] = []
    first = read(path, events.append)
    assert [event.name for event in events if isinstance(event, Stage)] == ["index"]
    [step] = [event for event in events if isinstance(event, StepStarted)]
    assert step.total_bytes == path.stat().st_size
    moved = sum(e.done_bytes for e in events if isinstance(e, BytesMoved))
    assert step.total_bytes - (1 << 20) < moved <= step.total_bytes
    again: list[Event] = []
    second = read(path, again.append)
    assert (again, contents(second)) == ([], contents(first))


def test_sparse_images_are_laid_out_at_once_and_the_second_time(tmp_path: Path) -> None:
    """The layout must be the one that reading the image itself gives."""
    chunks = [(2, noise(8192)), (5, b""), (1, noise(4096, 2)), (900, b"")]
    image = sparse(*chunks) + struct.pack("<HHII", 0xCAC2, 0, 3, 16) + b"\1\2\3\4"
    header = bytearray(image[:28])
    struct.pack_into("<II", header, 16, 911, 5)  # blocks, chunks
    image = bytes(header) + image[28:]
    wanted = SparseImage.read(io.BytesIO(image), len(image))
    assert wanted.size_bytes == 911 * 4096
    (tmp_path / "a.img").write_bytes(image)
    (tmp_path / "bad.img").write_bytes(image[:-1])
    path = tmp_path / "a.tar.gz"
    subprocess.run(["tar", "-C", tmp_path, "-caf", path, "a.img", "bad.img"], check=True)
    for _ in range(2):
        tree = read(path)
        content = tree.files["a.img"].content
        assert isinstance(content, Member)
        assert content.layout == wanted
        assert contents(tree) == {"a.img": image, "bad.img": image[:-1]}
        bad = tree.files["bad.img"].content
        assert isinstance(bad, Member)
        assert bad.layout is None


def indexes() -> list[Path]:
    return list(home().glob("unpacked/*/*/index.*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "index.json").write_text("{}"),
        lambda folder: (folder / "index.json").write_text('{"version": 0}'),
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "index.bin").unlink(),
        lambda folder: (folder / "index.bin").write_bytes(b"short"),
    ],
)
def test_a_damaged_index_is_made_again(damage: Callable[[Path], object], tmp_path: Path) -> None:
    path = packed(tmp_path, "tar.gz")
    read(path)
    damage(indexes()[0].parent)
    assert contents(read(path))["rom/images/system.img"] == DATA
    assert len(indexes()) == 2


def test_a_changed_archive_is_read_through_again(tmp_path: Path) -> None:
    path = packed(tmp_path, "tar.gz")
    old = read(path).files["rom/images/boot.img"]
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    read(path)
    assert len(indexes()) == 4
    with pytest.raises(ImageError, match="has changed"):
        old.require_unchanged()


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("kept", [0.3, 0.98])
def test_archives_that_are_cut_off(suffix: str, kept: float, tmp_path: Path) -> None:
    path = packed(tmp_path, suffix)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises((PackageError, ImageError), match=r"damaged"):
        read(path)
    assert list((tmp_path / "home" / "unpacked").rglob("*.partial")) == []


def test_a_wrong_gzip_checksum(tmp_path: Path) -> None:
    path = packed(tmp_path, "tar.gz")
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # RFC 1952: CRC32, then ISIZE
    path.write_bytes(data)
    with pytest.raises(PackageError, match="damaged"):
        read(path)


@pytest.mark.parametrize("length", [700, 102_000])
def test_a_plain_one_that_is_cut_off(length: int, tmp_path: Path) -> None:
    path = packed(tmp_path, "tar")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(PackageError, match="is damaged"):
        read(path)


def test_no_tar_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b\x08garbage")
    with pytest.raises(ImageError, match="damaged"):
        tars.holds_tar(on_disk(tmp_path / "a.gz"))


def test_names_stay_inside_and_the_last_of_two_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in (("../out", b"1"), ("x", b"2"), ("./x", b"33"), ("/abs", b"4")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    tree = read(path)
    assert contents(tree) == {"x": b"33", "abs": b"4"}
    assert tree.notes == ("../out: its name leads out of the archive",)
    subprocess.run(["gzip", path], check=True)
    tree = read(tmp_path / "a.tar.gz")
    assert contents(tree) == {"x": b"33", "abs": b"4"}
    assert read(tmp_path / "a.tar.gz").notes == ("../out: its name leads out of the archive",)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarindex, "MAX_MEMBERS", 1)
    with pytest.raises(PackageError, match="more than 1 files"):
        read(packed(tmp_path, "tar"))


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, "tar.gz")
    usage = shutil.disk_usage(tmp_path)._replace(free=1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match="are free"):
        read(path)


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, "tar.gz")
    monkeypatch.setenv("EDL_HOME", str(path))
    with pytest.raises(DiskError, match="cannot be used"):
        read(path)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    for suffix in ("tar", "tar.gz"):
        path = packed(tmp_path / suffix, suffix)
        file = on_disk(path)
        path.unlink()
        with pytest.raises(ImageError, match="cannot be read"):
            tars.read(file, "rom")


# -- the spool -----------------------------------------------------------------------------------


def test_one_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "system.img.gz"
    data = DATA + bytes(5_000_000)
    (tmp_path / "system.img").write_bytes(data)
    subprocess.run(["gzip", tmp_path / "system.img"], check=True)
    file = spool.unpacked(on_disk(path), b"\x1f\x8b\x08")
    assert (file.name, read_all(file.content, 0, file.size_bytes)) == ("system.img", data)
    assert file.path is not None
    assert file.path.stat().st_blocks * 512 < 3_000_000  # zeros are holes
    assert spool.unpacked(on_disk(path), b"\x1f\x8b\x08") == file


def test_a_damaged_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(zstd_of(DATA)[:-9])
    with pytest.raises(ImageError, match=r"a\.zst is damaged"):
        spool.unpacked(on_disk(path), b"\x28\xb5\x2f\xfd")
    assert [p for p in (tmp_path / "home").rglob("*") if p.is_file()] == []


def test_cleaning(tmp_path: Path) -> None:
    path = packed(tmp_path, "tar.gz")
    read(path)
    spool.clean()
    assert len(indexes()) == 2
    folder = spool.folder_of(on_disk(path))
    os.utime(folder, (0, 0))
    read(path)  # using it keeps it
    spool.clean()
    assert len(indexes()) == 2
    os.utime(folder, (0, 0))
    spool.clean()
    assert not folder.exists()


def test_what_killed_runs_left_is_cleaned_though_the_rest_is_used(tmp_path: Path) -> None:
    path = packed(tmp_path, "tar.gz")
    read(path)
    folder = spool.folder_of(on_disk(path))
    (folder / "tar-1.99.partial" / "0").mkdir(parents=True)
    (folder / "0a").mkdir()
    (folder / "0a" / "b.img.99.partial").write_bytes(b"half")
    left = [folder / "tar-1.99.partial", folder / "0a" / "b.img.99.partial"]
    spool.clean()
    assert all(each.exists() for each in left)  # another process may be at it
    for each in left:
        os.utime(each, (0, 0))
    read(path)
    spool.clean()
    assert [each.exists() for each in left] == [False, False]
    assert contents(read(path))["rom/images/system.img"] == DATA


def test_another_process_was_quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, "tar.gz")
    theirs: list[os.stat_result] = []

    def meanwhile(event: Event) -> None:
        if isinstance(event, StepStarted) and not theirs:
            with monkeypatch.context() as patches:
                patches.setattr(os, "getpid", lambda: 1)
                read(path)
            theirs.extend(index.stat() for index in indexes())

    tree = read(path, meanwhile)
    assert all(map(os.path.samestat, (index.stat() for index in indexes()), theirs))
    assert not list(spool.folder_of(on_disk(path)).glob("*.partial"))
    assert contents(tree)["rom/images/system.img"] == DATA


def test_an_index_that_cannot_be_put_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(DiskError, match="No space left"):
        read(packed(tmp_path, "tar.gz"))
    assert indexes() == []


def test_zeros_take_no_room_and_memory(tmp_path: Path) -> None:
    (tmp_path / "zeros").touch()
    os.truncate(tmp_path / "zeros", 400 << 20)  # a thousand times the archive
    path = tmp_path / "a.tar.zst"
    subprocess.run(["tar", "-C", tmp_path, "-caf", path, "zeros"], check=True)
    file = read(path).files["zeros"]
    assert file.size_bytes == 400 << 20
    assert sum(index.stat().st_size for index in indexes()) < 2 << 20
    assert read_all(file.content, 399 << 20, 1 << 20) == bytes(1 << 20)
    assert [each for each in home().rglob("*") if each.name == "zeros"] == []


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, BytesMoved):
            raise KeyboardInterrupt

    (tmp_path / "noise").write_bytes(noise(2 << 20))
    path = tmp_path / "a.tar.gz"
    subprocess.run(["tar", "-C", tmp_path, "-caf", path, "noise"], check=True)
    with pytest.raises(KeyboardInterrupt):
        read(path, stop)
    assert [each for each in home().rglob("*") if each.is_file()] == []


def test_what_no_phone_could_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_MOST_BYTES", 100_000)
    with pytest.raises(PackageError, match="made to fill disks"):
        read(packed(tmp_path, "tar.gz"))
