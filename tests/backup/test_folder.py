# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edl.backup.folder import Backup, is_backup, open_backup
from edl.chunks import read_all
from edl.errors import CancelledError, DocumentError, ImageError
from edl.events import BytesMoved
from edl.formats.manifest import (
    Compression,
    Extent,
    Form,
    Kind,
    LunRecord,
    Manifest,
    Owner,
    State,
    StorageRecord,
    Verified,
)
from edl.formats.seekable import SeekableContent, Writer
from edl.units import KIB
from edl.virtual.lun import Lun
from tests.virtual.disks import Part, write_gpt

BLOCK = 64 * KIB
SECTORS = 2048
PARTS = (Part("boot_a", 64, 263), Part("data", 300, 1999))


def disk() -> bytes:
    lun = Lun(SECTORS, 512)
    write_gpt(lun, PARTS)
    lun.write(64, b"boot" * 128 * 200)
    lun.write(300, b"data" * 128 * 5)
    return lun.read(0, SECTORS)


def extent(kind: Kind, name: str, start: int, end: int, data: bytes, file: str | None) -> Extent:
    piece = data[start * 512 : end * 512]
    return Extent(
        kind, name, start, end - start, State.SAVED if file else State.SKIPPED,
        file=file, file_offset_bytes=start * 512,
        sha256=tuple(
            hashlib.sha256(piece[at : at + BLOCK]).digest() for at in range(0, len(piece), BLOCK)
        ) if file else (),
    )  # fmt: skip


def make(folder: Path, *, packed: bool = False) -> Backup:
    """Make a backup of one LUN by hand; its data partition was not asked for."""
    data, name = disk(), "lun0.img.zst" if packed else "lun0.img"
    folder.mkdir()
    with (folder / name).open("wb") as file:
        if packed:
            writer = Writer(file)
            writer.write(data)
            writer.close()
        else:
            file.write(data)
    extents = (
        extent(Kind.GPT_PRIMARY, "gpt-primary", 0, 34, data, name),
        extent(Kind.GAP, "gap", 34, 64, data, name),
        extent(Kind.PARTITION, "boot_a", 64, 264, data, name),
        extent(Kind.GAP, "gap", 264, 300, data, name),
        extent(Kind.PARTITION, "data", 300, 2000, data, None),
        extent(Kind.GAP, "gap", 2000, 2015, data, name),
        extent(Kind.GPT_BACKUP, "gpt-backup", 2015, 2048, data, name),
    )
    manifest = Manifest(
        "2026-11-22T07:00:00Z", "edl 0.1.0", True, Owner("1a2b3c4d"),
        StorageRecord("emmc", 512, block_bytes=BLOCK), Form.IMAGES,
        Compression.ZSTD if packed else Compression.NONE, Verified.DIGEST,
        (LunRecord(0, SECTORS, None, None, extents),),
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.text())
    return Backup(folder, manifest)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_in_it(packed: bool, tmp_path: Path) -> None:
    made = make(tmp_path / "b", packed=packed)
    backup = open_backup(tmp_path / "b")
    assert backup == made == open_backup(tmp_path / "b" / "manifest.json")
    assert is_backup(tmp_path / "b")
    assert is_backup(tmp_path / "b" / "manifest.json")
    assert not is_backup(tmp_path)
    (lun,) = backup.manifest.luns
    boot, data = lun.find("boot_a"), lun.find("data")
    assert boot is not None
    assert data is not None
    assert read_all(backup.content(boot), 0, 200 * 512) == b"boot" * 128 * 200
    assert read_all(backup.content(boot), 600, 8) == b"boot" * 2
    with pytest.raises(ImageError, match="does not hold 'data': nobody asked"):
        backup.content(data)
    table = backup.table(lun)
    assert table is not None
    assert [partition.name for partition in table.partitions] == ["boot_a", "data"]
    assert backup.size_bytes == (SECTORS - 1700) * 512
    moved: list[object] = []
    assert backup.verify(emit=moved.append) == ()
    assert sum(e.done_bytes for e in moved if isinstance(e, BytesMoved)) == backup.size_bytes


def test_damage_is_found_where_it_is(tmp_path: Path) -> None:
    backup = make(tmp_path / "b")
    with (tmp_path / "b" / "lun0.img").open("r+b") as file:
        file.seek((64 + 130) * 512)
        file.write(b"x")
        file.seek(400 * 512)
        file.write(b"x")  # in what is not part of the backup
    (damage,) = backup.verify()
    assert (damage.lun, damage.extent.name) == (0, "boot_a")
    assert (damage.start_sector, damage.sectors) == (64 + 128, 72)
    assert damage.problem == "The data is not what was saved."
    (lun,) = backup.manifest.luns
    assert backup.verify([(lun, lun.extents[0])]) == ()


def test_damage_of_packed_files(tmp_path: Path) -> None:
    backup = make(tmp_path / "b", packed=True)
    path = tmp_path / "b" / "lun0.img.zst"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    assert {damage.problem for damage in backup.verify()} == {f"{path} is damaged at 0."}


def test_verifying_can_be_stopped(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        make(tmp_path / "b").verify(cancel=cancel)


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_are_gone_or_cut_off(packed: bool, tmp_path: Path) -> None:
    make(tmp_path / "b", packed=packed)
    (path,) = (tmp_path / "b").glob("lun0*")
    if packed:
        with path.open("wb") as file:
            Writer(file).close()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ImageError, match="too short"):
        open_backup(tmp_path / "b")
    path.unlink()
    with pytest.raises(ImageError, match="is missing"):
        open_backup(tmp_path / "b")


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    backup = make(tmp_path / "b")
    (lun,) = backup.manifest.luns
    with (tmp_path / "b" / "lun0.img").open("r+b", buffering=0) as file:
        file.write(bytes(1024))
        whole = backup.table(lun)
        assert whole is not None
        assert whole.mbr is None  # the backup copy
        file.seek(-512, 2)
        file.write(bytes(512))
    assert backup.table(lun) is None
    assert backup.table(replace(lun, extents=lun.extents[2:3])) is None


def test_no_backup(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no backup"):
        open_backup(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(DocumentError, match="not the manifest"):
        open_backup(tmp_path)


def test_an_unfinished_one_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "manifest.json.partial").touch()
    assert is_backup(tmp_path)  # so that every command says what it lacks
    with pytest.raises(ImageError, match="not finished") as caught:
        open_backup(tmp_path)
    assert "--resume" in caught.value.remedies[0]


def test_the_type_of_content_fits_plans(tmp_path: Path) -> None:
    backup = make(tmp_path / "b", packed=True)
    content = backup.content(backup.manifest.luns[0].extents[2])
    assert content == SeekableContent(tmp_path / "b" / "lun0.img.zst", 200 * 512, 64 * 512)
