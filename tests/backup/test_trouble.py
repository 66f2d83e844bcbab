# SPDX-License-Identifier: BSD-3-Clause
"""Bad sectors, ranges that are denied or hidden, and everything that interrupts a backup."""

from __future__ import annotations

import errno
import json
import os
import random
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from edl.backup import output, reader
from edl.backup.extents import Choice
from edl.backup.folder import open_backup
from edl.backup.output import RawFile
from edl.backup.save import Report, check_folder
from edl.device.firehose import Programmer
from edl.errors import CancelledError, DiskError, EdlError, ImageError, UsageError, VerifyError
from edl.events import BytesMoved, Event
from edl.firehose.commands import Area
from edl.formats.manifest import Compression, Extent, Form, State, Verified
from edl.formats.seekable import Writer
from edl.plan.compare import Verify
from edl.virtual.programmer.board import Quirks
from edl.virtual.storage import Extent as Sectors
from edl.virtual.storage import Faults
from tests import phones
from tests.backup.bench import fill, held, names, small, take, whole
from tests.phones import Bench, plug

UNIT = 64 * 1024  # of the layout


def extent(report: Report, name: str, lun: int = 0) -> Extent:
    record = next(each for each in report.manifest.luns if each.lun == lun)
    found = record.find(name)
    assert found is not None
    return found


def without(data: bytes, runs: tuple[tuple[int, int], ...], sector_bytes: int) -> bytes:
    """Return data with zeros in these sectors."""
    left = bytearray(data)
    for start, count in runs:
        left[start * sector_bytes : (start + count) * sector_bytes] = bytes(count * sector_bytes)
    return bytes(left)


# -- bad sectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", phones.ALL)
@pytest.mark.parametrize("digests", [True, False])
def test_bad_sectors_are_found_one_by_one(profile: str, digests: bool, tmp_path: Path) -> None:
    quirks = Quirks(missing=frozenset() if digests else frozenset({"getsha256digest"}))
    with plug(small(profile, quirks=quirks)) as bench:
        fill(bench)
        unit = bench.flash.sector_bytes
        first = 2 * UNIT // unit  # xbl_a
        bench.flash.faults = Faults(unreadable=(Sectors(0, first + 3), Sectors(0, first + 40, 2)))
        report = take(bench.storage(), tmp_path / "b", choice=Choice(only=("xbl_a",), luns=(0,)))
        xbl = extent(report, "xbl_a")
        assert xbl.state is State.PARTLY
        assert xbl.bad == ((first + 3, 1), (first + 40, 2))
        assert report.lost == ["xbl_a"]
        assert [each.what for each in report.manifest.left_out] == ["LUN 0, 'xbl_a'"]
        backup = open_backup(tmp_path / "b")
        assert backup.verify() == ()
        there = bench.flash
        there.faults = Faults()
        at = slice(2 * UNIT, 6 * UNIT)
        assert held(backup)[0][at] == without(whole(bench, 0), xbl.bad, unit)[at]


def test_a_region_that_is_dead_costs_a_bounded_number_of_reads(tmp_path: Path) -> None:
    with plug(small("sdm660", broken=Faults(unreadable=(Sectors(0, 1280, 1536),)))) as bench:
        fill(bench)
        choice = Choice(only=("userdata",), luns=(0,))
        report = take(bench.storage(), tmp_path / "b", choice=choice)
        assert extent(report, "userdata").bad == ((1280, 1536),)
        assert bench.transports[0].commands.count("read") < 150


def test_after_very_many_failures_the_search_is_coarser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_JOB_FAILURES", 10)
    broken = Faults(unreadable=tuple(Sectors(0, start) for start in range(256, 1024, 9)))
    with plug(small("sdm660", broken=broken)) as bench:
        fill(bench)
        choice = Choice(only=("xbl_a", "modemst1"), luns=(0,))
        report = take(bench.storage(), tmp_path / "b", choice=choice)
        lost = sum(count for _, count in extent(report, "modemst1").bad)
        assert lost >= 256 // 9
        assert bench.transports[0].commands.count("read") < 500


# -- ranges that are not given --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "form"),
    [*((profile, Form.IMAGES) for profile in phones.ALL), ("sdm660", Form.PARTITIONS)],
)
def test_what_the_programmer_denies_is_no_data(profile: str, form: Form, tmp_path: Path) -> None:
    sector = 4096 if profile.endswith("ufs") else 512
    denied = Sectors(0, 2 * UNIT // sector, 4 * UNIT // sector)
    with plug(small(profile, quirks=Quirks(restricted=(denied,)))) as bench:
        fill(bench)
        report = take(bench.storage(), tmp_path / "b", form=form, choice=Choice(luns=(0,)))
        xbl = extent(report, "xbl_a")
        assert (xbl.state, xbl.file, xbl.sha256) == (State.FORBIDDEN, None, ())
        assert report.lost == ["xbl_a"]
        assert "xbl_a.img" not in names(tmp_path / "b")
        expected = without(whole(bench, 0), ((denied.start, denied.count),), sector)
        assert held(open_backup(tmp_path / "b"))[0] == expected
        assert bench.transports[0].commands.count("read") < 80


def test_a_part_that_is_denied(tmp_path: Path) -> None:
    with plug(small("sdm660", quirks=Quirks(restricted=(Sectors(0, 300, 5),)))) as bench:
        fill(bench)
        report = take(bench.storage(), tmp_path / "b", choice=Choice(luns=(0,)))
        xbl = extent(report, "xbl_a")
        assert (xbl.state, xbl.bad) == (State.PARTLY, ((300, 5),))
        assert "does not give" in report.manifest.left_out[0].reason


def hide(monkeypatch: pytest.MonkeyPatch, start: int, sectors: int) -> None:
    """Let programmers answer reads of these sectors of LUN 0 with zeros, and with a yes."""
    true_read = Programmer.read

    def read(self: Programmer, area: Area, sink: object) -> None:
        data = bytearray()
        true_read(self, area, data.extend)
        if area.lun == 0:
            first, end = (
                max(start, area.start_sector),
                min(start + sectors, area.start_sector + area.sectors),
            )
            if first < end:
                at = (first - area.start_sector) * area.sector_bytes
                size = (end - first) * area.sector_bytes
                data[at : at + size] = bytes(size)
        sink(memoryview(data))  # type: ignore[operator]

    monkeypatch.setattr(Programmer, "read", read)


@pytest.mark.parametrize(("start", "sectors"), [(256, 512), (320, 100), (767, 1)])
def test_zeros_in_place_of_data_are_noticed(
    start: int, sectors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, start, sectors)
    with plug(small("qcm2290")) as bench:
        fill(bench)
        report = take(bench.storage(), tmp_path / "b", choice=Choice(luns=(0,)))
        xbl = extent(report, "xbl_a")
        if sectors == 512:
            assert xbl.state is State.FORBIDDEN
        else:
            assert (xbl.state, xbl.bad) == (State.PARTLY, ((start, sectors),))
        assert report.manifest.verified is Verified.DIGEST
        expected = without(whole(bench, 0), ((start, sectors),), 512)
        assert held(open_backup(tmp_path / "b"))[0] == expected


@pytest.mark.parametrize("form", Form)
def test_boot_loaders_of_zeros_are_doubted(form: Form, tmp_path: Path) -> None:
    with plug(small("msm8953")) as bench:
        fill(bench)
        bench.flash.luns[0].write(256, bytes(512 * 512))
        report = take(bench.storage(), tmp_path / "b", form=form)
        assert extent(report, "xbl_a").state is State.FORBIDDEN
        assert extent(report, "xbl_a", 2).state is State.SAVED
        assert "was erased" in report.manifest.left_out[0].reason
        assert report.lost == []  # nobody knows; it may be just what the phone has
        assert "xbl_a.img" not in names(tmp_path / "b")
        open_backup(tmp_path / "b")


def test_digests_that_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Programmer, "sha256", lambda _self, _area: b"\x01" * 32)
    with plug(small("qcm2290")) as bench:
        fill(bench)
        events: list[Event] = []
        choice = Choice(only=("modemst1", "ones"), skip=("gpt*",), luns=(0,))
        report = take(bench.storage(), tmp_path / "b", choice=choice, emit=events.append)
        assert report.manifest.verified is Verified.READ_TWICE
        assert len([event for event in events if "digests are not" in str(event)]) == 1
        backup = open_backup(tmp_path / "b")
        assert held(backup)[0][40 * UNIT : 60 * UNIT] == b"\xff" * 20 * UNIT


@pytest.mark.parametrize("verify", [Verify.AUTO, Verify.READBACK])
def test_data_that_differs_each_time(
    verify: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_read, count = Programmer.read, 0

    def read(self: Programmer, area: Area, sink: object) -> None:
        nonlocal count
        data = bytearray()
        true_read(self, area, data.extend)
        if area.start_sector >= 256:
            count += 1
            data[5] ^= count
        sink(memoryview(data))  # type: ignore[operator]

    with plug(small("qcm2290")) as bench:
        fill(bench)
        storage = bench.storage()
        for lun in bench.flash.luns:
            storage.table(lun)
        monkeypatch.setattr(Programmer, "read", read)
        with pytest.raises(VerifyError, match="other data each time") as caught:
            take(storage, tmp_path / "b", verify=verify, choice=Choice(skip=("gpt*",)))
        assert "--resume" in caught.value.remedies[-1]
        assert "manifest.json" not in names(tmp_path / "b")


@pytest.mark.parametrize("verify", [Verify.AUTO, Verify.READBACK])
def test_one_flipped_bit_on_the_cable_is_no_reason_to_fail(verify: str, tmp_path: Path) -> None:
    with plug(small("qcm2290", faults=("corrupt@in:900000",))) as bench:
        fill(bench)
        choice = Choice(luns=(0,), only=("xbl_a", "modemst1", "userdata"))
        report = take(bench.storage(), tmp_path / "b", verify=verify, choice=choice)
        data = bytearray(whole(bench, 0))
        data[40 * UNIT : 60 * UNIT] = bytes(20 * UNIT)
        data[8 * UNIT : 10 * UNIT] = bytes(2 * UNIT)
        assert held(open_backup(tmp_path / "b"))[0] == data
        assert report.lost == []


# -- interruptions --------------------------------------------------------------------------------


def resume_until_whole(bench: Bench, folder: Path, **options: Any) -> Report:  # noqa: ANN401
    """Do what a user does: enter EDL mode again, and go on."""
    resume = False
    for _ in range(40):
        try:
            report = take(bench.storage(), folder, resume=resume, **options)
        except EdlError:
            assert not (folder / "manifest.json").exists()
            resume = (folder / "manifest.json.partial").exists()
            bench.enter_edl()
        else:
            return report
    raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("seed", range(4))
def test_the_cable_comes_out_again_and_again(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    profile = chance.choice(phones.ALL)
    form, compression = chance.choice(list(Form)), chance.choice(list(Compression))
    faults = tuple(f"unplug@in:{chance.randrange(60_000, 1_500_000)}" for _ in range(4))
    with plug(small(profile, faults=faults)) as bench:
        fill(bench)
        report = resume_until_whole(bench, tmp_path / "b", form=form, compression=compression)
        assert report.resumed_bytes > 0
        backup = open_backup(tmp_path / "b")
        assert held(backup) == {lun: whole(bench, lun) for lun in bench.flash.luns}
        assert backup.verify() == ()
        assert not [
            name for name in names(tmp_path / "b") if "partial" in name or "progress" in name
        ]


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, None])
def test_ctrl_c_once_and_twice(
    kind: type[BaseException] | None, compression: Compression, tmp_path: Path
) -> None:
    with plug(small("qcm2290")) as bench:
        fill(bench)
        cancel = threading.Event()
        moved = 0

        def emit(event: Event) -> None:
            nonlocal moved
            moved += isinstance(event, BytesMoved)
            if moved == 9:
                if kind is not None:
                    raise kind
                cancel.set()

        options: dict[str, Any] = {"compression": compression}
        with pytest.raises(kind or CancelledError):
            take(bench.storage(), tmp_path / "b", emit=emit, cancel=cancel, **options)
        with pytest.raises(ImageError, match="not finished"):
            open_backup(tmp_path / "b")
        bench.enter_edl()
        report = take(bench.storage(), tmp_path / "b", resume=True, **options)
        assert report.resumed_bytes >= 7 * 16896
        assert held(open_backup(tmp_path / "b")) == {
            lun: whole(bench, lun) for lun in bench.flash.luns
        }


@pytest.mark.parametrize("compression", Compression)
def test_a_full_disk(
    compression: Compression, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plug(small("qcm2290")) as bench:
        fill(bench)
        storage = bench.storage()

        def full(*_: object) -> NoReturn:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(output, "store_sparse", full)
            patch.setattr(Writer, "write", full)
            with pytest.raises(DiskError, match="No space left") as caught:
                take(storage, tmp_path / "b", compression=compression)
            assert "--resume" in caught.value.remedies[-1]
        assert storage.phone.programmer.ping()
        take(storage, tmp_path / "b", compression=compression, resume=True)
        assert held(open_backup(tmp_path / "b"))[0] == whole(bench, 0)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Return a folder with a backup that was stopped near its end."""
    return begin(tmp_path / "b", Compression.NONE)


def begin(folder: Path, compression: Compression) -> Path:
    with plug(small("qcm2290")) as bench:
        fill(bench)
        stop(bench, folder, compression)
    return folder


def stop(bench: Bench, folder: Path, compression: Compression = Compression.NONE) -> None:
    cancel = threading.Event()
    count = 0

    def emit(event: Event) -> None:
        nonlocal count
        count += isinstance(event, BytesMoved)
        if count == 12:
            cancel.set()

    with pytest.raises(CancelledError):
        take(bench.storage(), folder, emit=emit, cancel=cancel, compression=compression)


def go_on(folder: Path, phone: str = "qcm2290", **options: Any) -> Report:  # noqa: ANN401
    with plug(small(phone)) as bench:
        fill(bench)
        report = take(bench.storage(), folder, resume=True, **options)
        assert held(open_backup(folder)) == {lun: whole(bench, lun) for lun in bench.flash.luns}
        return report


def test_another_phone_is_refused(begun: Path) -> None:
    with pytest.raises(UsageError, match=r"another phone \(its serial differs"):
        go_on(begun, "qcm2290,serial=7")
    with pytest.raises(UsageError, match=r"another phone \(its hwid differs"):
        go_on(begun, "sdm660")
    go_on(begun)


def test_other_options_are_refused(begun: Path) -> None:
    for options in ({"form": Form.PARTITIONS}, {"choice": Choice(skip=("userdata",))}):
        with pytest.raises(UsageError, match="other options"):
            go_on(begun, **options)


def test_other_tables_are_refused(begun: Path) -> None:
    with plug(small("qcm2290")) as bench, pytest.raises(UsageError, match="have changed since"):
        take(bench.storage(), begun, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_one_that_was_killed_when_it_began_is_begun_anew(tmp_path: Path, *, resume: bool) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "manifest.json.partial.new").write_text("{")
    with plug(small("qcm2290")) as bench:
        fill(bench)
        take(bench.storage(), folder, resume=resume)
    assert (folder / "manifest.json").is_file()
    assert not list(folder.glob("*.new"))


def test_one_that_was_killed_at_its_end_is_tidied(begun: Path) -> None:
    partial = (begun / "manifest.json.partial").read_text()
    with plug(small("qcm2290")) as bench:
        fill(bench)
        take(bench.storage(), begun, resume=True)
    made = (begun / "manifest.json").read_text()
    (begun / "manifest.json.partial").write_text(partial)
    (begun / "progress.jsonl").touch()
    assert open_backup(begun).verify() == ()
    with pytest.raises(UsageError, match="nothing to go on with"):
        check_folder(begun, resume=True)
    assert not list(begun.glob("*.partial"))
    assert not (begun / "progress.jsonl").exists()
    assert (begun / "manifest.json").read_text() == made
    (begun / "manifest.json").write_text("{}")
    (begun / "progress.jsonl").touch()
    with pytest.raises(UsageError, match="nothing to go on with"):
        check_folder(begun, resume=True)
    assert (begun / "progress.jsonl").exists()  # not ours


def test_without_resume_nothing_is_touched(begun: Path) -> None:
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    with plug(small("qcm2290")) as bench:
        fill(bench)
        with pytest.raises(UsageError, match="not finished") as caught:
            take(bench.storage(), begun)
        assert "--resume" in caught.value.remedies[0]
    assert {path.name: path.read_bytes() for path in begun.iterdir()} == before


@pytest.mark.parametrize("compression", Compression)
def test_what_a_power_cut_took_is_read_again(compression: Compression, tmp_path: Path) -> None:
    folder = begin(tmp_path / "b", compression)
    (path,) = folder.glob("lun0.img*.partial")
    data = bytearray(path.read_bytes())
    data[3 * UNIT if compression is Compression.NONE else 300_000] ^= 1
    path.write_bytes(data)
    with (folder / "progress.jsonl").open("ab") as file:
        file.write(b"[[0, 256, 51")
    report = go_on(folder, compression=compression)
    assert 0 < report.resumed_bytes < report.size_bytes


@pytest.mark.parametrize("line", [b"null", b"{}", b"[" * 9000, b'[[1,2,3,4,true],"",[],[],[],[]]'])
def test_a_journal_that_makes_no_sense(line: bytes, begun: Path) -> None:
    (begun / "progress.jsonl").write_bytes(line + b"\n")
    assert go_on(begun).resumed_bytes == 0


def test_journals_of_hostile_places(begun: Path) -> None:
    lines = (begun / "progress.jsonl").read_text().splitlines()
    data = json.loads(lines[3])
    data[0][4] += 512
    (begun / "progress.jsonl").write_text(json.dumps(data))
    assert go_on(begun).resumed_bytes == 0


def test_a_file_that_was_finished_is_not_read_again(begun: Path) -> None:
    (begun / "lun0.img.partial").rename(begun / "lun0.img")
    assert go_on(begun).resumed_bytes > 0


def test_what_the_phone_has_changed_since_is_read_again(tmp_path: Path) -> None:
    with plug(small("qcm2290")) as bench:
        fill(bench)
        stop(bench, tmp_path / "b")
        bench.flash.luns[0].write(256, b"\x07" * 512)  # xbl_a, its first block
        bench.enter_edl()
        events: list[Event] = []
        take(bench.storage(), tmp_path / "b", resume=True, emit=events.append)
        assert "'xbl_a' has changed since" in "".join(bench.notices + [str(e) for e in events])
        assert held(open_backup(tmp_path / "b"))[0] == whole(bench, 0)


def test_a_finished_backup_is_never_overwritten(tmp_path: Path) -> None:
    with plug(small("qcm2290")) as bench:
        fill(bench)
        storage = bench.storage()
        take(storage, tmp_path / "b")
        for resume in (False, True):
            with pytest.raises(UsageError, match="finished backup"):
                take(storage, tmp_path / "b", resume=resume)


def test_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with plug(small("qcm2290")) as bench:
        storage = bench.storage()
        for path in (tmp_path, tmp_path / "photo.jpg"):
            with pytest.raises(UsageError, match="not an empty folder"):
                take(storage, path)
        with pytest.raises(DiskError, match="cannot be made") as caught:
            take(storage, tmp_path / "photo.jpg" / "inside")
        assert "--resume" not in str(caught.value.remedies)


def test_a_phone_of_zeros_is_doubted(tmp_path: Path) -> None:
    with plug(small("qcm2290")) as bench:
        report = take(bench.storage(), tmp_path / "b")
        assert [each.what for each in report.manifest.left_out] == ["LUN 0"]
        assert report.moved_bytes == 0


def test_a_lun_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with plug(small("qcm2290-ufs", broken=Faults(unreadable=(Sectors(1, 0),)))) as bench:
        fill(bench)
        report = take(bench.storage(), tmp_path / "b")
        assert [lun.lun for lun in report.manifest.luns] == [0, 2]
        assert report.manifest.left_out[0].what == "LUN 1"


def test_a_disk_that_takes_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    with plug(small("qcm2290")) as bench:
        storage = bench.storage()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(DiskError, match=r"manifest.json.partial cannot be written"):
                take(storage, tmp_path / "b")
        assert names(tmp_path / "b") == []
        (tmp_path / "b" / "progress.jsonl").mkdir()
        with pytest.raises(UsageError, match="not an empty folder"):
            take(storage, tmp_path / "b")
        (tmp_path / "b" / "progress.jsonl").rmdir()
        take(storage, tmp_path / "b")


def test_a_file_larger_than_fat_can_hold(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught:
        RawFile(tmp_path / "no" / "lun0.img", 5 << 30, resume=False)
    assert "FAT" in caught.value.remedies[1]


def test_systems_that_tell_no_holes(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "SEEK_DATA", raising=False)
    assert go_on(begun).resumed_bytes > 0
