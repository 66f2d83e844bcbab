# SPDX-License-Identifier: BSD-3-Clause
"""Whole jobs: what the phone is like, what is checked, what goes on after an interruption."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from edl.chunks import BytesContent
from edl.device.phone import Wishes
from edl.device.storage import Storage
from edl.errors import (
    DeviceRefusedError,
    EdlError,
    ImageError,
    SafetyError,
    StoppedMidwayError,
)
from edl.events import BytesMoved, Event
from edl.files import on_disk
from edl.firehose.commands import Area, Power
from edl.package import Package, open_package
from edl.plan import history, home, job, readout
from edl.plan.compare import Verify
from edl.plan.job import Rules
from edl.plan.journal import read
from edl.plan.model import Erase, Finding, Plan, ReadOut, Severity, Write
from edl.plan.unchanged import Unchanged
from edl.plan.unique import Found
from edl.virtual import storage as flash
from edl.virtual.programmer.board import Quirks
from edl.virtual.saved import State
from tests import dumps, phones
from tests.phones import Bench, carry_out, plan_of, plug, spec
from tests.virtual.disks import Part, make_bootable, write_gpt

ALL = pytest.mark.parametrize("profile", phones.ALL)
PIECE = 64 * 1024
_SILENT = Quirks(missing=frozenset({"getstorageinfo"}))


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", PIECE)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def write(bench: Bench, start: int, data: bytes, label: str = "boot") -> Write:
    unit = bench.flash.sector_bytes
    area = Area(0, start, len(data) // unit, unit)
    return Write(area, BytesContent(data), label, "boot.img", "x.xml:1")


def package(folder: Path, *rows: str, unit: int = 512) -> Package:
    """Return a package of these rows; every image that they name holds noise."""
    folder.mkdir(exist_ok=True)
    size = f'SECTOR_SIZE_IN_BYTES="{unit}"'
    text = "".join(f"<{row.replace('UNIT', size)} />\n" for row in rows)
    (folder / "rawprogram0.xml").write_text(f"<?xml version='1.0' ?>\n<data>\n{text}</data>\n")
    (folder / "boot.img").write_bytes(noise(3 * PIECE))
    return open_package([str(folder)])


PROGRAM = (
    'program UNIT file_sector_offset="0" filename="boot.img" label="boot" '
    'num_partition_sectors="1000" physical_partition_number="{lun}" start_sector="{start}"'
)
PATCH = (
    'patch UNIT byte_offset="8" filename="{file}" physical_partition_number="{lun}" '
    'size_in_bytes="4" start_sector="{start}" value="7" what="x"'
)


# -- geometry -------------------------------------------------------------------------------------


@ALL
def test_the_luns_that_a_package_is_about(profile: str, tmp_path: Path) -> None:
    with plug(profile) as bench:
        storage = bench.storage()
        rows = [
            PROGRAM.format(lun=0, start=8),
            PATCH.format(lun=1, start=1, file="DISK"),
            PATCH.format(lun=2, start=1, file="gpt_main2.bin"),
            'power value="reset"',
        ]
        made = package(tmp_path / "rom", *rows, unit=bench.flash.sector_bytes)
        geometry = job.geometry_for(made, storage)
        assert geometry.luns == {lun: bench.flash.luns[lun].sectors for lun in (0, 1)}
        assert geometry.memory == bench.flash.kind
        assert geometry.sector_bytes == bench.flash.sector_bytes
        assert not geometry.assumed


@ALL
def test_luns_that_the_phone_does_not_have(profile: str) -> None:
    with plug(profile) as bench:
        storage = bench.storage()
        assert set(job.geometry(storage, [0, 9]).luns) == {0}
        for lun, info in storage.phone.luns.items():
            storage.phone.luns[lun] = replace(info, luns=None)
        assert storage.phone.lun_count is None
        assert set(job.geometry(storage, [0, 9]).luns) == {0}


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290", "qcm2290-ufs"])
def test_a_size_that_only_the_table_tells(profile: str) -> None:
    with plug(spec(profile, quirks=_SILENT)) as bench:
        lun = bench.flash.luns[0]
        write_gpt(lun, [Part("boot", 64, 100)])
        storage = bench.storage(Wishes(hints=(bench.flash.kind,)))
        assert job.geometry(storage, [0]).luns == {0: lun.sectors}
        data = noise(4096)
        carry_out(bench, plan_of(storage, write(bench, 64, data)), storage)
        assert lun.read(64, len(data) // bench.flash.sector_bytes) == data


@pytest.mark.parametrize("table", ["none", "damaged"])
def test_a_size_that_nobody_tells(table: str) -> None:
    with plug(spec("sdm660", quirks=_SILENT)) as bench:
        lun = bench.flash.luns[0]
        if table == "damaged":
            write_gpt(lun, [Part("boot", 64, 100)])
            sector = bytearray(lun.read(1, 1))
            sector[32] ^= 1
            lun.write(1, sector)
        with pytest.raises(DeviceRefusedError, match="How large LUN 0 is"):
            job.geometry(bench.storage(), [0])


# -- what stops a job -----------------------------------------------------------------------------


def test_a_plan_with_errors_is_not_looked_at_and_not_carried_out() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        step = write(bench, 64, noise(512))
        finding = Finding("x", Severity.ERROR, "It does not fit.")
        plan = replace(plan_of(storage, step), findings=(finding,))
        reads = len(bench.flash.operations)
        same, found = job.prepare(plan, storage, Rules())
        assert same is plan
        assert len(bench.flash.operations) == reads
        with pytest.raises(SafetyError, match="It does not fit"):
            job.carry_out(plan, storage.phone, found, Rules())
        assert bench.changes == []


def test_room_is_needed_for_all_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=1500)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with plug("sdm660") as bench:
        storage = bench.storage()
        steps = [
            ReadOut(Area(0, start, 2, 512), tmp_path / f"{start}.bin", "x", "") for start in (0, 8)
        ]
        carry_out(bench, plan_of(storage, steps[0]), storage)
        with pytest.raises(ImageError, match="are needed"):
            carry_out(bench, plan_of(storage, *steps), storage)
        assert not (tmp_path / "8.bin").exists()


# -- resume ---------------------------------------------------------------------------------------


def _interrupted(storage: Storage, plan: Plan, pieces: int = 2, rules: Rules | None = None) -> None:
    """Carry plan out until so many pieces are written."""
    rules = rules or Rules()
    cancel, moved = threading.Event(), [0]

    def emit(event: Event) -> None:
        if isinstance(event, BytesMoved):
            moved[0] += event.done_bytes
            if moved[0] >= pieces * PIECE:
                cancel.set()

    plan, found = job.prepare(plan, storage, rules)
    with pytest.raises(StoppedMidwayError):
        job.carry_out(plan, storage.phone, found, rules, emit=emit, cancel=cancel)


@ALL
def test_an_interrupted_job_goes_on_where_it_was(profile: str) -> None:
    with plug(profile) as bench:
        storage = bench.storage()
        data = noise(5 * PIECE)
        _interrupted(storage, plan_of(storage, write(bench, 64, data)))
        bench.enter_edl()
        storage = bench.storage()
        plan = plan_of(storage, write(bench, 64, data))
        report = carry_out(bench, plan, storage, Rules(resume=True)).report
        assert report.resumed_bytes == 2 * PIECE
        assert report.written_bytes == 3 * PIECE
        assert report.verified_bytes == 5 * PIECE
        assert bench.flash.luns[0].read(64, len(data) // bench.flash.sector_bytes) == data
        again = carry_out(bench, plan, storage, Rules(resume=True)).report
        assert again.resumed_bytes == 0  # it was finished


def test_another_job_does_not_go_on_where_the_last_one_was() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        data = noise(5 * PIECE)
        _interrupted(storage, plan_of(storage, write(bench, 64, data)))
        other = plan_of(storage, write(bench, 64, data, "recovery"))
        assert carry_out(bench, other, storage, Rules(resume=True)).report.resumed_bytes == 0


def test_without_resume_it_starts_over() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        plan = plan_of(storage, write(bench, 64, noise(5 * PIECE)))
        _interrupted(storage, plan)
        report = carry_out(bench, plan, storage, Rules(unchanged=Unchanged.WRITE)).report
        assert (report.resumed_bytes, report.written_bytes) == (0, 5 * PIECE)


@ALL
def test_an_erase_does_not_undo_what_was_written_before_the_interruption(profile: str) -> None:
    with plug(profile) as bench:
        storage = bench.storage()
        unit = bench.flash.sector_bytes
        lun = bench.flash.luns[0]
        lun.write(0, b"\xee" * (16 * PIECE))
        data = noise(4 * PIECE)
        erase = Erase(Area(0, 32, 8 * PIECE // unit, unit), "userdata", "x.xml:1")
        plan = plan_of(storage, erase, write(bench, 32, data, "userdata"))
        _interrupted(storage, plan, pieces=6)
        bench.enter_edl()
        storage = bench.storage()
        report = carry_out(bench, plan, storage, Rules(resume=True, verify=Verify.NONE)).report
        assert report.resumed_bytes > 0
        rest = 32 + len(data) // unit
        assert lun.read(32, len(data) // unit) == data
        assert lun.read(rest, 4 * PIECE // unit) == bytes(4 * PIECE)
        assert set(lun.read(0, 32)) == {0xEE} == set(lun.read(32 + 8 * PIECE // unit, 8))


@ALL
def test_an_area_that_is_erased_and_written_holds_what_was_written(profile: str) -> None:
    """The erase is the first piece of the same place: neither may pass for the other."""
    with plug(profile) as bench:
        storage = bench.storage()
        unit = bench.flash.sector_bytes
        data = noise(3 * PIECE)
        area = Area(0, 32, len(data) // unit, unit)
        plan = plan_of(storage, Erase(area, "boot", ""), write(bench, 32, data))
        carry_out(bench, plan, storage)
        assert bench.flash.luns[0].read(32, area.sectors) == data


@pytest.mark.parametrize("profile", ["msm8916", "qcm2290"])  # without and with digests
def test_what_is_not_verified_is_compared_when_the_job_goes_on(profile: str) -> None:
    """The phone may be another one, or another program has written to it meanwhile."""
    with plug(profile, running=profile == "msm8916") as bench:
        storage = bench.storage()
        data = noise(5 * PIECE)
        plan = plan_of(storage, write(bench, 64, data))
        _interrupted(storage, plan)
        lun = bench.flash.luns[0]
        lun.write(64, bytes(PIECE))
        report = carry_out(bench, plan, storage, Rules(resume=True, verify=Verify.NONE)).report
        assert (report.resumed_bytes, report.written_bytes) == (PIECE, 4 * PIECE)
        assert lun.read(64, len(data) // bench.flash.sector_bytes) == data


def test_a_file_that_changed_unnoticed_stops_what_goes_on() -> None:
    """Its size and time are the same, but half of each would be on the phone at the end."""
    with plug("sdm660") as bench:
        storage = bench.storage()
        data = Changing(noise(5 * PIECE))
        step = replace(write(bench, 64, noise(5 * PIECE)), content=data)
        _interrupted(storage, plan_of(storage, step))
        bench.flash.operations.clear()
        data.data = noise(5 * PIECE, seed=2)
        with pytest.raises(ImageError, match="'boot' is not what the interrupted run") as caught:
            carry_out(bench, plan_of(storage, step), storage, Rules(resume=True))
        assert caught.value.state.startswith(
            "an interrupted run of this job has left it incomplete"
        )
        assert bench.changes == []
        assert carry_out(bench, plan_of(storage, step), storage).report.verified_bytes == 5 * PIECE
        assert history.records("1a2b3c4d") == []


class Changing:
    """Content that changes, and nobody notices."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size_bytes = len(data)

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        yield memoryview(self.data)[offset : offset + length]


def test_a_job_that_is_refused_at_once_leaves_no_journal() -> None:
    broken = flash.Faults(unwritable=(flash.Extent(0, 64, 8),))
    with plug(spec("qcm2290", broken=broken)) as bench:
        storage = bench.storage()
        with pytest.raises(DeviceRefusedError):
            carry_out(bench, plan_of(storage, write(bench, 64, noise(PIECE))), storage)
        (left,) = history.records("1a2b3c4d")
        assert left.kept.interrupted  # some bytes went out
    with plug(spec("qcm2290", quirks=Quirks(restricted=(flash.Extent(0, 64, 8),)))) as bench:
        storage = bench.storage()
        with pytest.raises(DeviceRefusedError):
            carry_out(bench, plan_of(storage, write(bench, 64, noise(PIECE))), storage)
        assert [record.name for record in history.records("1a2b3c4d")] == [left.name]


def test_an_erase_is_noted_before_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_programmer: object, _area: Area) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edl.device.firehose.Programmer.erase", die)
    with plug("qcm2290") as bench:
        storage = bench.storage()
        with pytest.raises(StoppedMidwayError):
            carry_out(bench, plan_of(storage, Erase(Area(0, 8, 8, 512), "misc", "")), storage)
        (left,) = history.interrupted("1a2b3c4d")
        assert left.areas == [Area(0, 8, 8, 512)]


def test_a_job_that_was_not_noted_may_be_interrupted_too() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        plan = plan_of(storage, write(bench, 64, noise(3 * PIECE)))
        _interrupted(storage, plan, pieces=1, rules=Rules(journal=False))
        assert history.records("1a2b3c4d") == []


# -- several jobs of a phone ----------------------------------------------------------------------


def test_another_job_does_not_forget_an_interrupted_one() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        plan = plan_of(storage, write(bench, 64, noise(5 * PIECE)))
        _interrupted(storage, plan)
        other = plan_of(storage, write(bench, 4096, noise(PIECE), "recovery"))
        assert carry_out(bench, other, storage).closed == ()
        (left,) = history.interrupted("1a2b3c4d")
        assert (left.name, left.done_bytes, left.write_bytes) == (
            "rawprogram-1", 2 * PIECE, 5 * PIECE,
        )  # fmt: skip
        assert left.progress == "128 KiB of 320 KiB written"
        report = carry_out(bench, plan, storage, Rules(resume=True)).report
        assert report.resumed_bytes == 2 * PIECE


def test_a_job_over_the_same_areas_makes_up_for_an_interrupted_one() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        _interrupted(storage, plan_of(storage, write(bench, 64, noise(5 * PIECE))))
        unit = bench.flash.sector_bytes
        first = write(bench, 60, noise(3 * PIECE))
        rest = write(bench, 60 + 3 * PIECE // unit, noise(3 * PIECE))
        outcome = carry_out(bench, plan_of(storage, first, rest), storage)
        assert [record.name for record in outcome.closed] == ["rawprogram-1"]
        assert "this has made up for the interrupted job rawprogram-1 (test)" in bench.notices
        assert history.records("1a2b3c4d") == []
        ended = home.phone_folder("1a2b3c4d") / "jobs" / "ended"
        assert read(ended / "rawprogram-1.jsonl").end == "made up for by rawprogram-2"
        assert read(ended / "rawprogram-2.jsonl").end == "finished"


def test_a_job_goes_on_as_another_where_the_phone_has_changed() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        _interrupted(storage, plan_of(storage, write(bench, 64, noise(5 * PIECE))))
        rest = plan_of(storage, write(bench, 128, noise(2 * PIECE)))
        only = job.Job("1a2b3c4d", [], "rawprogram-1")
        _interrupted(storage, rest, pieces=1, rules=Rules(resume=True, only=only))
        (left,) = history.interrupted("1a2b3c4d")
        assert left.name == "rawprogram-2"
        assert left.kept.about["continues"] == "rawprogram-1"
        unit = bench.flash.sector_bytes
        assert left.areas == [Area(0, 64, 5 * PIECE // unit, unit)]
        only = job.Job("1a2b3c4d", [], "rawprogram-2")
        report = carry_out(bench, rest, storage, Rules(resume=True, only=only)).report
        assert report.resumed_bytes == PIECE
        assert history.records("1a2b3c4d") == []
        gone = job.Job("1a2b3c4d", [], "rawprogram-2")  # as when a command has two jobs
        assert carry_out(bench, rest, storage, Rules(resume=True, only=gone)).report.verified_bytes


def test_an_image_that_vanished_between_the_check_and_the_job(tmp_path: Path) -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        plan = plan_of(storage, write(bench, 64, noise(PIECE)))
        image = tmp_path / "gone.img"
        image.write_bytes(b"a")
        file = on_disk(image)
        image.write_bytes(b"ab")
        with pytest.raises(ImageError, match=r"gone\.img has changed since it was checked"):
            carry_out(bench, plan, storage, sources=(file,))
        image.unlink()
        with pytest.raises(ImageError, match=r"gone\.img cannot be read"):
            carry_out(bench, plan, storage, sources=(file,))
        assert bench.changes == []


def test_a_journal_that_cannot_be_made_stops_only_what_needs_it() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        folder = home.phone_folder("1a2b3c4d")
        folder.mkdir(parents=True)
        (folder / "jobs").write_text("")  # no folder
        plan = plan_of(storage, write(bench, 64, noise(PIECE)))
        with pytest.raises(EdlError, match="journal"):
            carry_out(bench, plan, storage, Rules(resume=True))
        assert bench.changes == []
        assert carry_out(bench, plan, storage).report.verified_bytes == PIECE


def test_a_job_that_changes_nothing_has_no_journal(tmp_path: Path) -> None:
    with plug("qcm2290") as bench:
        storage = bench.storage()
        read = ReadOut(Area(0, 8, 8, 512), tmp_path / "x", "misc", "")
        assert carry_out(bench, plan_of(storage, read), storage).report.files
        erase = plan_of(storage, Erase(Area(0, 8, 8, 512), "misc", ""))
        report = carry_out(bench, erase, storage, Rules(journal=False)).report
        assert report.erased_bytes == 4096
        assert not (home.phone_folder("1a2b3c4d") / "jobs").exists()


# -- the restart ----------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(
    ("action", "word"), [(Power.RESET, "restarting the phone"), (Power.OFF, "switching")]
)
def test_the_phone_restarts_at_the_end(profile: str, action: Power, word: str) -> None:
    with plug(profile) as bench:
        make_bootable(bench.flash)
        storage = bench.storage()
        plan = replace(plan_of(storage, write(bench, 2000, noise(4096))), reset=action)
        carry_out(bench, plan, storage)
        assert bench.stages["reset"].startswith(word)
        assert bench.virtual.state is (State.BOOTED if action is Power.RESET else State.OFF)


def test_a_restart_that_fails_does_not_fail_a_job_that_is_done() -> None:
    quirks = Quirks(missing=frozenset({"power"}))
    with plug(spec("qcm2290", quirks=quirks)) as bench:
        storage = bench.storage()
        plan = replace(plan_of(storage, write(bench, 64, noise(4096))), reset=Power.RESET)
        assert carry_out(bench, plan, storage).report.verified_bytes == 4096
        assert "hold its power button" in bench.notices[-1]
        with pytest.raises(DeviceRefusedError):
            job.reset(storage.phone, Power.EDL, bench.events.append)
        assert bench.stages["reset"] == "restarting the phone into EDL mode"


def test_ctrl_c_at_the_restart_does_not_undo_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        plan = replace(plan_of(storage, write(bench, 64, noise(4096))), reset=Power.RESET)

        def interrupt(_: Power) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(storage.phone.programmer, "power", interrupt)
        assert carry_out(bench, plan, storage).report.verified_bytes == 4096
        assert "was not restarted" in bench.notices[-1]


def test_no_restart_against_the_users_wish() -> None:
    with plug("sdm660") as bench:
        storage = bench.storage()
        carry_out(bench, plan_of(storage, write(bench, 64, noise(4096))), storage)
        assert bench.virtual.state is State.PROGRAMMER


# -- all of it ------------------------------------------------------------------------------------


@ALL
def test_a_small_package(profile: str, tmp_path: Path) -> None:
    with plug(profile) as bench:
        unit = bench.flash.sector_bytes
        rows = [PROGRAM.format(lun=0, start=8), PATCH.format(lun=0, start=9, file="DISK")]
        made = package(tmp_path / "rom", *rows, unit=unit)
        outcome = phones.write_package(bench, tmp_path / "rom")
        data = bytearray((tmp_path / "rom" / "boot.img").read_bytes())
        data[unit + 8 : unit + 12] = (7).to_bytes(4, "little")
        assert bench.flash.luns[0].read(8, len(data) // unit) == data
        assert outcome.report.verified_bytes == len(data)
        assert [file.path for file in made.files] == [tmp_path / "rom" / "boot.img"]


def test_a_disk_that_fills_up_while_rows_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with plug("sdm660") as bench:
        bench.flash.luns[0].write(0, b"x" * 4096)
        storage = bench.storage()
        monkeypatch.setattr(os, "fsync", full)
        plan = plan_of(storage, ReadOut(Area(0, 0, 8, 512), tmp_path / "x", "x", ""))
        with pytest.raises(ImageError, match="No space left") as caught:
            carry_out(bench, plan, storage)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_package_for_another_model_is_not_prepared_further() -> None:
    with plug("sdm660") as bench:
        boot = dumps.live(bench.flash, "owner").find("boot")
        assert boot is not None
        storage = bench.storage()
        area = Area(0, boot.first_sector - 8, 8, 512)
        plan = plan_of(storage, Write(area, BytesContent(noise(8 * 512)), "boot", "boot.img", ""))
        prepared, found = job.prepare(plan, storage, Rules())
        assert [finding.code for finding in prepared.errors] == ["other-layout"]
        assert found == Found()
