# SPDX-License-Identifier: BSD-3-Clause
"""Backups that take from an earlier one what has not changed: the same bytes, and few transfers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edl.backup import find
from edl.backup.earlier import Earlier, earlier
from edl.backup.folder import open_backup
from edl.firehose.commands import Area
from edl.formats.manifest import Compression, Form, Verified
from edl.plan.compare import Verify
from edl.units import KIB
from edl.virtual.programmer.board import Quirks
from tests.backup.bench import BLOCK, LAYOUT, fill, held, small, take, whole
from tests.phones import Bench, plug


def use(bench: Bench) -> None:
    """Change a sector of userdata, as a phone that is started does."""
    lun = bench.flash.luns[0]
    lun.write(20 * 64 * KIB // lun.sector_bytes, b"later".ljust(lun.sector_bytes, b"!"))


@pytest.mark.parametrize("profile", ["msm8916", "qcm2290-ufs"])
@pytest.mark.parametrize(
    ("form", "compression"),
    [(Form.IMAGES, Compression.NONE), (Form.PARTITIONS, Compression.ZSTD)],
)
def test_what_has_not_changed_is_not_read_again(
    profile: str, form: Form, compression: Compression, tmp_path: Path
) -> None:
    with plug(small(profile)) as bench:
        fill(bench)
        storage = bench.storage()
        first = take(storage, tmp_path / "one", form=form, compression=compression)
        use(bench)
        before = Earlier(open_backup(tmp_path / "one"))
        report = take(storage, tmp_path / "two", earlier=before)
        assert held(open_backup(tmp_path / "two")) == {
            lun: whole(bench, lun) for lun in bench.flash.luns
        }
        assert open_backup(tmp_path / "two").verify() == ()
        assert report.moved_bytes <= BLOCK < first.moved_bytes
        assert report.reused_bytes == first.moved_bytes - report.moved_bytes
        assert report.manifest.verified is Verified.DIGEST


def test_it_is_the_same_as_a_full_one(tmp_path: Path) -> None:
    with plug(small("sdm660")) as bench:
        fill(bench)
        storage = bench.storage()
        take(storage, tmp_path / "one")
        use(bench)
        take(storage, tmp_path / "full")
        take(storage, tmp_path / "two", earlier=Earlier(open_backup(tmp_path / "one")))
    for path in (tmp_path / "full").iterdir():
        if path.name != "manifest.json":  # which says when it was made
            assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()


def _damage(folder: Path) -> None:
    path = next(folder.glob("lun0*.img"))
    with path.open("r+b") as file:
        file.seek(LAYOUT[0][1] * 64 * KIB)
        file.write(bytes(4 * 64 * KIB))


def _shorten(folder: Path) -> None:
    path = next(folder.glob("lun0*.img"))
    with path.open("r+b") as file:
        file.truncate(4096)


@pytest.mark.parametrize("harm", [_damage, _shorten])
def test_a_damaged_one_costs_no_byte(harm: Callable[[Path], None], tmp_path: Path) -> None:
    with plug(small("msm8953")) as bench:
        fill(bench)
        storage = bench.storage()
        take(storage, tmp_path / "one")
        before = Earlier(open_backup(tmp_path / "one"))
        harm(tmp_path / "one")
        take(storage, tmp_path / "two", earlier=before)
        assert held(open_backup(tmp_path / "two")) == {
            lun: whole(bench, lun) for lun in bench.flash.luns
        }


@pytest.mark.parametrize("verify", [Verify.AUTO, Verify.READBACK])
def test_without_digests_all_is_read(verify: str, tmp_path: Path) -> None:
    missing = frozenset({"getsha256digest"} if verify == Verify.AUTO else ())
    with plug(small("msm8916", quirks=Quirks(missing=missing))) as bench:
        fill(bench)
        storage = bench.storage()
        take(storage, tmp_path / "one")
        before = Earlier(open_backup(tmp_path / "one"))
        report = take(storage, tmp_path / "two", earlier=before, verify=verify)
        assert report.reused_bytes == 0
        assert report.moved_bytes >= len(whole(bench, 0))


def test_another_sector_size_or_place_has_nothing(tmp_path: Path) -> None:
    with plug(small("msm8916")) as bench:
        fill(bench)
        take(bench.storage(), tmp_path / "one", form=Form.PARTITIONS)
        before = Earlier(open_backup(tmp_path / "one"))
    held = before.data(Area(0, 1, 16, 512))
    assert held is not None
    assert held.startswith(b"EFI PART")
    assert before.data(Area(0, 1, 16, 4096)) is None
    assert before.data(Area(9, 1, 16, 512)) is None


def test_the_newest_whole_one_is_found(tmp_path: Path) -> None:
    with plug(small("msm8916")) as bench:
        fill(bench)
        storage = bench.storage()
        serial = storage.phone.serial
        assert earlier(serial, tmp_path / "three") is None
        take(storage, tmp_path / "one")
        take(storage, tmp_path / "two")
        (tmp_path / "two" / "manifest.json").unlink()
        found = earlier(serial, tmp_path / "three")
        assert found is not None
        assert found.folder == tmp_path / "one"
        assert earlier(serial, tmp_path / "one") is None
        assert earlier(None, tmp_path / "three") is None
        next((tmp_path / "one").glob("lun0*.img")).unlink()
        assert sorted(known.state for known in find.find(serial)) == ["complete", "damaged"]
        assert earlier(serial, tmp_path / "three") is None
