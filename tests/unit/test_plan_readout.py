# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from edl.errors import CancelledError, ImageError, ReadFailedError
from edl.events import BytesMoved
from edl.firehose.commands import Area
from edl.outfile import require_room
from edl.plan import readout
from edl.plan.readout import pieces, read_to_file
from edl.units import MIB
from edl.virtual.storage import Extent, Faults
from tests import phones
from tests.phones import plug, spec


def test_pieces_are_whole_sectors_and_all_of_it() -> None:
    area = Area(3, 100, 1000, 4096)
    got = list(pieces(area, 300_000))
    assert [piece.sectors for piece, _ in got] == [73] * 13 + [51]
    assert [offset for _, offset in got] == [73 * 4096 * index for index in range(14)]
    assert got[0][0].start_sector == 100
    assert {piece.lun for piece, _ in got} == {3}
    assert list(pieces(Area(0, 5, 1, 4096), 512)) == [(Area(0, 5, 1, 4096), 0)]
    assert list(pieces(Area(0, 5, 0, 512))) == []
    assert len(list(pieces(Area(0, 0, 131073, 512)))) == 2


@pytest.mark.parametrize("profile", phones.ALL)
def test_a_file_holds_what_the_phone_holds(profile: str, tmp_path: Path) -> None:
    with plug(profile) as bench:
        phone = bench.connect()
        unit = phone.sector_bytes
        area = Area(0, 8, 3 * MIB // unit, unit)
        data = bytes(MIB) + b"\x01data" * (MIB // 5) + bytes(MIB + MIB % 5)
        bench.flash.luns[0].write(8, data)
        path = tmp_path / "boot.img"
        path.write_bytes(b"older")
        digest = read_to_file(phone.programmer, area, path, emit=bench.events.append)
        assert path.read_bytes() == data
        assert digest == hashlib.sha256(data).hexdigest()
        assert sum(e.done_bytes for e in bench.events if isinstance(e, BytesMoved)) == len(data)
        assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["boot.img"]


def test_zeros_become_holes(tmp_path: Path) -> None:
    with plug("msm8953") as bench:
        phone = bench.connect()
        path = tmp_path / "empty.img"
        read_to_file(phone.programmer, Area(0, 0, 16 * MIB // 512, 512), path)
        assert path.stat().st_size == 16 * MIB
        assert path.stat().st_blocks * 512 < MIB


def test_a_sector_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    with plug(spec("sdm660", broken=Faults(unreadable=(Extent(0, 50),)))) as bench:
        phone = bench.connect()
        path = tmp_path / "boot.img"
        path.write_bytes(b"older")
        with pytest.raises(ReadFailedError):
            read_to_file(phone.programmer, Area(0, 0, 100, 512), path)
        assert path.read_bytes() == b"older"
        assert list(tmp_path.glob("*.partial")) == []


def test_stopping_between_two_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", 16384)
    cancel = threading.Event()
    with plug("sdm660") as bench:
        phone = bench.connect()
        moved: list[object] = []

        def emit(event: object) -> None:
            moved.append(event)
            if len(moved) == 3:
                cancel.set()

        with pytest.raises(CancelledError, match="unfinished file was removed"):
            read_to_file(
                phone.programmer, Area(0, 0, 320, 512), tmp_path / "x", emit=emit, cancel=cancel
            )
        assert len(moved) == 3
        assert list(tmp_path.glob("x*")) == []
        assert phone.programmer.ping()


def test_ctrl_c_removes_the_file(tmp_path: Path) -> None:
    with plug("sdm660") as bench:
        phone = bench.connect()

        def emit(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            read_to_file(phone.programmer, Area(0, 0, 320, 512), tmp_path / "x", emit=emit)
        assert list(tmp_path.glob("x*")) == []


@pytest.mark.parametrize("profile", phones.ALL)
def test_a_full_disk_is_told_when_the_phone_has_said_all(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with plug(profile) as bench:
        phone = bench.connect()
        unit = phone.sector_bytes
        bench.flash.luns[0].write(0, b"\x01" * (2 * MIB))
        monkeypatch.setattr(readout, "store_sparse", full)
        with pytest.raises(ImageError, match="No space left") as caught:
            read_to_file(phone.programmer, Area(0, 0, 2 * MIB // unit, unit), tmp_path / "x")
        assert "2 MiB" in caught.value.remedies[0]
        assert not (tmp_path / "x.partial").exists()
        assert phone.programmer.ping()  # nothing of the data is left in the pipe


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with plug("sdm660") as bench, pytest.raises(ImageError, match="cannot be written"):
        read_to_file(bench.connect().programmer, Area(0, 0, 1, 512), tmp_path / "no" / "x")


def test_a_name_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with plug("sdm660") as bench, pytest.raises(ImageError, match="cannot be written"):
        read_to_file(bench.connect().programmer, Area(0, 0, 1, 512), tmp_path / "x")
    assert list(tmp_path.glob("x.partial")) == []


def test_room_is_required_beforehand(tmp_path: Path) -> None:
    require_room(tmp_path, 1)
    with pytest.raises(ImageError, match="are needed"):
        require_room(tmp_path, 1 << 60)
    with pytest.raises(ImageError, match="cannot be used"):
        require_room(tmp_path / "no", 1)
