# SPDX-License-Identifier: BSD-3-Clause
"""Plans carried out on virtual phones: what is on the flash then, and what is said about it."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import usb.util

from edl.chunks import BytesContent, FileContent, FillContent
from edl.device.phone import Phone
from edl.errors import (
    AuthorizationError,
    CancelledError,
    DeviceRefusedError,
    EdlError,
    ImageError,
    ReadFailedError,
    StoppedMidwayError,
    VerifyError,
    WriteFailedError,
)
from edl.events import BytesMoved, Event, Notice, Stage, StepStarted
from edl.firehose.commands import Area
from edl.plan import readout
from edl.plan.compare import Checker, Verify, is_blank
from edl.plan.execute import Executor
from edl.plan.model import Erase, Geometry, Plan, ReadOut, Step, Write
from edl.plan.report import Ledger, NoLedger, Report
from edl.plan.unchanged import Unchanged
from edl.units import MIB
from edl.virtual.programmer.board import VIP_LOCK, Quirks
from edl.virtual.storage import Extent, Faults, StorageError
from tests import phones
from tests.phones import Bench, plug, spec

ALL = pytest.mark.parametrize("profile", phones.ALL)
NO_DIGEST = Quirks(missing=frozenset({"getsha256digest"}))
PIECE = 64 * 1024


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", PIECE)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class Job:
    """A connected phone, and plans for it."""

    bench: Bench
    phone: Phone

    def area(self, start: int, size: int) -> Area:
        unit = self.phone.sector_bytes
        return Area(0, start, size // unit, unit)

    def write(self, start: int, data: bytes, label: str = "boot") -> Write:
        return Write(self.area(start, len(data)), BytesContent(data), label, "x.img", "x.xml:1")

    def erase(self, start: int, size: int, label: str = "misc") -> Erase:
        return Erase(self.area(start, size), label, "x.xml:1")

    def there(self, start: int, size: int) -> bytes:
        return self.bench.flash.luns[0].read(start, size // self.phone.sector_bytes)

    def executor(
        self,
        *steps: Step,
        bootable: int | None = None,
        ledger: Ledger | None = None,
        cancel: threading.Event | None = None,
        verify: str = Verify.AUTO,
        unchanged: Unchanged = Unchanged.WRITE,
        emit: Callable[[Event], None] | None = None,
        job: str = "rawprogram",
    ) -> Executor:
        geometry = Geometry(self.bench.flash.kind, self.phone.sector_bytes, {0: 1 << 30})
        plan = Plan(job, "test", geometry, steps, bootable=bootable)
        return Executor(
            self.phone.programmer,
            plan,
            emit=emit or self.bench.events.append,
            ledger=ledger,
            cancel=cancel,
            verify=verify,
            unchanged=unchanged,
        )

    def run(self, *steps: Step) -> Report:
        return self.executor(*steps).run()


def start(bench: Bench) -> Job:
    return Job(bench, bench.connect())


# -- writing --------------------------------------------------------------------------------------


@ALL
def test_steps_are_written_in_pieces_and_verified(profile: str) -> None:
    with plug(profile) as bench:
        job = start(bench)
        data, other = noise(3 * PIECE + 4096), noise(4096, seed=2)
        report = job.run(job.write(64, data), job.write(8, other, "misc"))
        assert job.there(64, len(data)) == data
        assert job.there(8, len(other)) == other
        assert report.written_bytes == report.verified_bytes == len(data) + len(other)
        assert report.how == "SHA-256 computed by the phone"
        assert report.seconds > 0
        commands = bench.transports[0].commands
        assert commands.count("program") == commands.count("getsha256digest") == 5
        started = [event for event in bench.events if isinstance(event, StepStarted)]
        assert [(e.index, e.count, e.title) for e in started] == [(1, 2, "boot"), (2, 2, "misc")]
        moved = sum(e.done_bytes for e in bench.events if isinstance(e, BytesMoved))
        assert moved == 2 * sum(event.total_bytes for event in started)  # written, compared


def test_a_step_without_a_label_is_named_by_its_place() -> None:
    with plug("sdm660") as bench:
        job = start(bench)
        job.run(job.write(8, bytes(512), ""))
        assert [e.title for e in bench.events if isinstance(e, StepStarted)] == ["LUN 0 sector 8"]


def test_a_plan_without_writes_verifies_nothing(tmp_path: Path) -> None:
    with plug("sdm660") as bench:
        job = start(bench)
        bench.flash.luns[0].write(5, b"\x07" * 512)
        path = tmp_path / "x.bin"
        report = job.run(ReadOut(job.area(5, 512), path, "x", ""))
        assert path.read_bytes() == b"\x07" * 512
        assert report.files == [str(path)]
        assert report.how == ""
        assert bench.changes == []


@ALL
@pytest.mark.parametrize("quirks", [Quirks(), NO_DIGEST], ids=["digest", "none"])
def test_pieces_of_an_earlier_run_are_not_sent_again(profile: str, quirks: Quirks) -> None:
    with plug(spec(profile, quirks=quirks)) as bench:
        job = start(bench)
        data = noise(3 * PIECE)
        step = job.write(64, data)
        done = job.area(64, PIECE)
        bench.flash.luns[0].write(64, data[:PIECE])
        ledger = NoLedger({done: hashlib.sha256(data[:PIECE]).digest()})
        report = job.executor(step, ledger=ledger).run()
        assert report.resumed_bytes == PIECE
        assert report.written_bytes == 2 * PIECE
        assert report.verified_bytes == 3 * PIECE
        assert job.there(64, len(data)) == data


def test_a_piece_of_an_earlier_run_that_is_not_there_is_written_again() -> None:
    with plug("sdm660") as bench:
        job = start(bench)
        data = noise(2 * PIECE)
        ledger = NoLedger({job.area(64, PIECE): hashlib.sha256(data[:PIECE]).digest()})
        report = job.executor(job.write(64, data), ledger=ledger).run()
        assert report.rewritten == ["boot"]
        assert job.there(64, len(data)) == data
        assert any("differs from what was sent" in notice for notice in bench.notices)


@ALL
def test_what_is_there_already_can_be_skipped(profile: str) -> None:
    with plug(profile) as bench:
        job = start(bench)
        data = noise(3 * PIECE)
        bench.flash.luns[0].write(64, data[: 2 * PIECE])
        report = job.executor(job.write(64, data), unchanged=Unchanged.SKIP).run()
        assert report.unchanged_bytes == 2 * PIECE
        assert report.written_bytes == PIECE
        assert job.there(64, len(data)) == data


def test_what_is_skipped_unverified_is_not_called_verified() -> None:
    with plug("msm8953") as bench:
        job = start(bench)
        data = noise(2 * PIECE)
        bench.flash.luns[0].write(64, data)
        write = job.write(64, data)
        report = job.executor(write, unchanged=Unchanged.SKIP, verify=Verify.NONE).run()
        assert (report.unchanged_bytes, report.verified_bytes) == (2 * PIECE, 0)


def test_a_slow_port_is_told_before_the_job() -> None:
    with plug("msm8953") as bench:
        job = start(bench)
        job.phone.programmer.link_speed = usb.util.SPEED_FULL
        job.run(job.write(64, noise(4096)))
        assert any("full speed (12 Mbit/s) only" in notice for notice in bench.notices)


def test_nothing_is_skipped_where_the_phone_cannot_compare() -> None:
    with plug(spec("msm8916", quirks=NO_DIGEST)) as bench:
        job = start(bench)
        data = noise(3 * PIECE)
        bench.flash.luns[0].write(64, data)
        report = job.executor(job.write(64, data), unchanged=Unchanged.SKIP).run()
        assert report.unchanged_bytes == 0
        assert report.how == "reading back"
        assert bench.transports[0].commands.count("getsha256digest") == 1


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290"])
def test_what_cannot_be_read_is_not_skipped(profile: str) -> None:
    """A defective sector is often healed by writing it."""
    with plug(spec(profile, broken=Faults(unreadable=(Extent(0, 190),)))) as bench:
        job = start(bench)

        def emit(event: Event) -> None:
            if isinstance(event, BytesMoved):
                bench.flash.faults = Faults()

        report = job.executor(
            job.write(64, noise(PIECE)), unchanged=Unchanged.SKIP, emit=emit
        ).run()
        assert report.written_bytes == PIECE


# -- erasing --------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("size", [4096, 3 * PIECE + 4096])
def test_an_erase_empties_its_area_and_nothing_beside_it(profile: str, size: int) -> None:
    with plug(profile) as bench:
        job = start(bench)
        unit = job.phone.sector_bytes
        lun = bench.flash.luns[0]
        lun.write(0, noise(MIB))
        before = lun.read(0, MIB // unit)
        report = job.run(job.erase(16, size))
        after = lun.read(0, MIB // unit)
        assert after == before[: 16 * unit] + bytes(size) + before[16 * unit + size :]
        assert report.erased_bytes == size
        sent = bench.transports[0].commands
        assert ("erase" in sent) == profile.startswith("qcm2290")
        assert lun.read(lun.sectors - 1, 1) == bytes(unit)


@pytest.mark.parametrize("profile", ["qcm2290", "qcm2290-ufs"])
def test_an_erase_that_did_nothing_is_made_up_for_with_zeros(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plug(profile) as bench:
        job = start(bench)
        bench.flash.luns[0].write(16, noise(PIECE))
        monkeypatch.setattr(bench.flash, "erase", lambda *_: None)
        report = job.run(job.erase(16, PIECE))
        assert job.there(16, PIECE) == bytes(PIECE)
        assert report.written_bytes == report.verified_bytes == report.erased_bytes == PIECE
        assert bench.notices == ["'misc' is not blank after <erase>: writing zeros."]


def test_an_erase_that_is_refused_is_made_up_for_with_zeros(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with plug("qcm2290-ufs") as bench:
        job = start(bench)
        bench.flash.luns[0].write(16, noise(PIECE))

        def refuse(*_: object) -> None:
            raise StorageError(-5)

        monkeypatch.setattr(bench.flash, "erase", refuse)
        job.run(job.erase(16, PIECE))
        assert job.there(16, PIECE) == bytes(PIECE)
        assert "<erase> does not work" in bench.notices[0]


def test_ones_are_blank_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with plug("qcm2290") as bench:
        job = start(bench)
        lun = bench.flash.luns[0]

        def fill(_: int, start: int, count: int) -> None:
            lun.write(start, b"\xff" * (count * 512))

        monkeypatch.setattr(bench.flash, "erase", fill)
        report = job.run(job.erase(16, PIECE))
        assert report.written_bytes == 0
        assert is_blank(job.phone.programmer, job.area(16, PIECE))


def test_an_erase_that_cannot_be_checked_is_done_with_zeros() -> None:
    with plug(spec("qcm2290", quirks=NO_DIGEST)) as bench:
        job = start(bench)
        bench.flash.luns[0].write(16, noise(PIECE))
        job.run(job.erase(16, PIECE))
        assert "erase" not in bench.transports[0].commands
        assert job.there(16, PIECE) == bytes(PIECE)


# -- verifying ------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(
    ("verify", "how"),
    [
        (Verify.AUTO, "SHA-256 computed by the phone"),
        (Verify.DIGEST, "SHA-256 computed by the phone"),
        (Verify.READBACK, "reading back"),
        (Verify.NONE, ""),
    ],
)
def test_ways_to_verify(profile: str, verify: str, how: str) -> None:
    with plug(profile) as bench:
        job = start(bench)
        report = job.executor(job.write(64, noise(2 * PIECE)), verify=verify).run()
        assert report.how == how
        assert report.verified_bytes == (2 * PIECE if how else 0)


def test_a_phone_without_digests_is_read_back() -> None:
    with plug(spec("sdm660", quirks=NO_DIGEST)) as bench:
        job = start(bench)
        assert job.run(job.write(64, noise(2 * PIECE))).how == "reading back"
        with pytest.raises(DeviceRefusedError, match="computes no digests") as caught:
            job.executor(job.write(64, noise(PIECE)), verify=Verify.DIGEST).run()
        assert caught.value.remedies[0] == "Use --verify readback."


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290"])
def test_a_digest_that_is_refused_is_read_back(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plug(profile) as bench:
        job = start(bench)

        def refuse(_: Area) -> bytes | None:
            raise DeviceRefusedError("command restricted!")

        monkeypatch.setattr(job.phone.programmer, "sha256", refuse)
        assert job.run(job.write(64, noise(2 * PIECE))).how == "reading back"
        with pytest.raises(DeviceRefusedError, match="restricted"):
            job.executor(job.write(64, noise(PIECE)), verify=Verify.DIGEST).run()


def test_a_lock_is_not_read_around(monkeypatch: pytest.MonkeyPatch) -> None:
    with plug("sdm660") as bench:
        job = start(bench)

        def refuse(_: Area) -> bytes | None:
            raise AuthorizationError(VIP_LOCK.texts[0])

        monkeypatch.setattr(job.phone.programmer, "sha256", refuse)
        with pytest.raises(AuthorizationError):
            Checker(job.phone.programmer).holds(job.area(64, PIECE), b"")


@ALL
@pytest.mark.parametrize("verify", [Verify.AUTO, Verify.READBACK])
def test_a_worn_out_flash_is_told(profile: str, verify: str) -> None:
    """It says yes to every write and keeps none: nothing of it may be called written."""
    with plug(profile) as bench:
        job = start(bench)
        lun = bench.flash.luns[0]
        lun.write(0, noise(MIB, seed=5))
        # generation 1 reads its first transfer back: only what comes behind can get lost unnoticed
        behind = 64 + 3 * PIECE // job.phone.sector_bytes - 5
        bench.flash.faults = Faults(forgotten=(Extent(0, behind, 5),))
        data = noise(4 * PIECE)
        with pytest.raises((VerifyError, WriteFailedError)) as caught:
            job.executor(job.write(64, data), verify=verify).run()
        if isinstance(caught.value, WriteFailedError):
            assert profile == "msm8953"  # whose first transfer is all of a piece
        else:
            assert "boot: the phone took the data twice" in caught.value.message
            assert "not all is verified" in caught.value.state


@ALL
def test_a_flash_that_reads_as_zeros_is_told(profile: str) -> None:
    with plug(spec(profile, broken=Faults(zeros=(Extent(0, 70, 1),)))) as bench:
        job = start(bench)
        with pytest.raises((VerifyError, WriteFailedError)):
            job.run(job.write(64, noise(PIECE)))


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290", "qcm2290-ufs"])
def test_data_that_got_lost_once_is_written_again(profile: str) -> None:
    with plug(profile) as bench:
        job = start(bench)
        behind = 64 + PIECE // job.phone.sector_bytes - 1
        bench.flash.faults = Faults(forgotten=(Extent(0, behind, 1),))
        data = noise(2 * PIECE)

        def emit(event: Event) -> None:
            if isinstance(event, Notice | Stage):
                bench.flash.faults = Faults()

        report = job.executor(job.write(64, data), emit=emit).run()
        assert report.rewritten == ["boot"]
        assert job.there(64, len(data)) == data
        assert report.verified_bytes == len(data)


def test_a_sector_that_cannot_be_read_after_all() -> None:
    with plug(spec("sdm660", broken=Faults(unreadable=(Extent(0, 70),)))) as bench:
        job = start(bench)
        with pytest.raises(ReadFailedError) as caught:
            job.run(job.write(64, noise(PIECE)))
        assert "--resume" in caught.value.remedies[-1]


# -- images that change under our hands -----------------------------------------------------------


def _file_step(job: Job, path: Path, size: int) -> Write:
    return Write(job.area(64, size), FileContent(path, 0, size, size), "boot", path.name, "x:1")


@ALL
def test_an_image_that_has_vanished_stops_before_the_phone_is_asked(
    profile: str, tmp_path: Path
) -> None:
    with plug(profile) as bench:
        job = start(bench)
        with pytest.raises(ImageError, match="cannot be read") as caught:
            job.run(_file_step(job, tmp_path / "gone.img", PIECE))
        assert "program" not in bench.transports[0].commands
        assert caught.value.state == ""
        assert job.phone.programmer.ping()


@ALL
def test_an_image_that_is_cut_short_meanwhile(profile: str, tmp_path: Path) -> None:
    """The phone gets its bytes, and is ready for the next command; the error comes after that."""
    path = tmp_path / "boot.img"
    data = noise(4 * PIECE)
    path.write_bytes(data)
    with plug(profile) as bench:
        job = start(bench)

        def emit(event: Event) -> None:
            if isinstance(event, BytesMoved):
                path.write_bytes(b"")

        with pytest.raises(ImageError, match="has become shorter") as caught:
            job.executor(_file_step(job, path, len(data)), emit=emit).run()
        assert "'boot' is incomplete" in caught.value.state
        assert job.phone.programmer.ping()
        path.write_bytes(data)
        job.run(_file_step(job, path, len(data)))
        assert job.there(64, len(data)) == data


def test_an_image_that_fails_within_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readout, "PIECE_BYTES", 64 * MIB)
    path = tmp_path / "boot.img"
    size = 3 * MIB
    path.write_bytes(noise(size - 5))
    with plug("msm8953") as bench:
        job = start(bench)
        content = FileContent(path, 0, size, size)
        step = Write(job.area(64, size), content, "boot", "boot.img", "")
        with pytest.raises(ImageError, match="has become shorter"):
            job.run(step)
        assert job.there(64, 2 * MIB) == path.read_bytes()[: 2 * MIB]
        assert job.there(64 + 2 * MIB // 512, MIB) == bytes(MIB)
        assert job.phone.programmer.ping()


def test_an_image_that_is_another_one_when_it_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(noise(PIECE))
    with plug("sdm660") as bench:
        job = start(bench)

        def emit(event: Event) -> None:
            if isinstance(event, Stage):
                bench.flash.luns[0].write(64, bytes(512))
                path.write_bytes(noise(PIECE, seed=2))

        with pytest.raises(ImageError, match="has changed while it was being used"):
            job.executor(_file_step(job, path, PIECE), emit=emit).run()


# -- stopping -------------------------------------------------------------------------------------


@ALL
def test_stopping_before_anything_was_written(profile: str) -> None:
    cancel = threading.Event()
    cancel.set()
    with plug(profile) as bench:
        job = start(bench)
        with pytest.raises(CancelledError) as caught:
            job.executor(job.write(64, noise(PIECE)), cancel=cancel).run()
        assert caught.value.state == ""
        assert bench.changes == []


@ALL
def test_stopping_between_two_pieces(profile: str) -> None:
    cancel = threading.Event()
    with plug(profile) as bench:
        job = start(bench)

        def emit(event: Event) -> None:
            if isinstance(event, BytesMoved):
                cancel.set()

        steps = job.write(64, noise(3 * PIECE)), job.write(8, noise(4096))
        with pytest.raises(StoppedMidwayError) as caught:
            job.executor(*steps, cancel=cancel, emit=emit).run()
        assert caught.value.state == (
            "0 of 2 steps are done; 'boot' is incomplete: the phone may not start as it is."
        )
        assert any("--resume" in remedy for remedy in caught.value.remedies)
        assert bench.transports[0].commands.count("program") == 1
        assert job.phone.programmer.ping()  # it waits for no data


@pytest.mark.parametrize("job", ["rawprogram", "write"])
def test_the_way_to_go_on_is_one_that_the_command_has(job: str) -> None:
    with plug("sdm660") as bench:
        started = start(bench)
        bench.flash.faults = Faults(read_only=True)
        with pytest.raises(WriteFailedError) as caught:
            started.executor(started.write(64, noise(PIECE)), job=job).run()
        last = caught.value.remedies[-1]
        assert "same command" in last
        assert ("--resume" in last) == (job == "rawprogram")


def test_stopping_while_it_is_verified() -> None:
    cancel = threading.Event()
    with plug("sdm660") as bench:
        job = start(bench)

        def emit(event: Event) -> None:
            if isinstance(event, Stage):
                cancel.set()

        with pytest.raises(StoppedMidwayError) as caught:
            job.executor(job.write(64, noise(PIECE)), cancel=cancel, emit=emit).run()
        assert caught.value.state == "1 of 1 step are done, but not all is verified."


@pytest.mark.parametrize("written", [False, True])
def test_stopping_while_something_is_read(written: bool, tmp_path: Path) -> None:
    cancel = threading.Event()
    with plug("sdm660") as bench:
        job = start(bench)
        steps: list[Step] = [job.write(64, noise(512))] if written else []
        steps.append(ReadOut(job.area(8, 4 * PIECE), tmp_path / "x", "x", ""))

        def emit(event: Event) -> None:
            if isinstance(event, StepStarted) and event.title == "x":
                cancel.set()

        with pytest.raises(StoppedMidwayError if written else CancelledError):
            job.executor(*steps, cancel=cancel, emit=emit).run()
        assert list(tmp_path.glob("x*")) == []


def test_a_read_that_is_cancelled_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: object, **__: object) -> None:
        raise CancelledError("by somebody else")

    monkeypatch.setattr("edl.plan.execute.read_to_file", cancelled)
    with plug("sdm660") as bench:
        job = start(bench)
        with pytest.raises(CancelledError, match="somebody else"):
            job.run(ReadOut(job.area(8, 512), tmp_path / "x", "x", ""))


@ALL
@pytest.mark.parametrize("after", [0, 1, 3])
def test_ctrl_c_at_once(profile: str, after: int) -> None:
    with plug(profile) as bench:
        job = start(bench)
        seen: list[Event] = []

        def emit(event: Event) -> None:
            if len(seen) == after:
                raise KeyboardInterrupt
            seen.append(event)

        with pytest.raises((CancelledError, StoppedMidwayError)) as caught:
            job.executor(job.write(64, noise(4 * PIECE)), emit=emit).run()
        written = any(isinstance(event, BytesMoved) for event in seen) or after > 0
        assert isinstance(caught.value, StoppedMidwayError) == written
        assert bool(caught.value.state) == written
        if written:
            assert "power button" in caught.value.remedies[0]
            assert "--resume" in caught.value.remedies[1]


# -- the journal ----------------------------------------------------------------------------------


class Broken:
    """A journal on a full disk."""

    changed = False

    def __init__(self) -> None:
        self.done: dict[Area, bytes] = {}
        self.asked = 0

    def begin(self, area: Area, label: str, payload_bytes: int) -> None:
        self.asked += 1
        raise OSError(28, "No space left on device")

    def erasing(self, area: Area, label: str) -> None:
        raise AssertionError(area)

    def sent(self, count: int) -> None:
        raise AssertionError(count)

    def piece(self, area: Area, digest: bytes) -> None:
        self.asked += 1
        raise OSError(28, "No space left on device")


def test_a_journal_that_cannot_be_written_does_not_stop_a_rescue() -> None:
    with plug("sdm660") as bench:
        job = start(bench)
        ledger = Broken()
        data = noise(3 * PIECE)
        job.executor(job.write(64, data), ledger=ledger).run()
        assert job.there(64, len(data)) == data
        assert ledger.asked == 1
        assert "No space left" in bench.notices[0]


def test_every_piece_is_noted_with_what_it_holds() -> None:
    noted: dict[Area, bytes] = {}

    class Noting(NoLedger):
        def piece(self, area: Area, digest: bytes) -> None:
            noted[area] = digest

    with plug("qcm2290") as bench:
        job = start(bench)
        data = noise(2 * PIECE + 512)
        job.executor(job.write(64, data), ledger=Noting()).run()
        assert list(noted.values()) == [
            hashlib.sha256(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE)
        ]


# -- the boot LUN ---------------------------------------------------------------------------------


@ALL
def test_the_boot_lun_is_set_when_all_is_verified(profile: str) -> None:
    with plug(profile) as bench:
        job = start(bench)
        value = 1 if bench.flash.kind == "ufs" else 0
        job.executor(job.write(64, noise(4096)), bootable=value).run()
        assert bench.flash.bootable == value
        assert bench.transports[0].commands[-1] == "setbootablestoragedrive"


@pytest.mark.parametrize("profile", ["msm8916", "sdm660", "qcm2290"])
def test_an_emmc_needs_no_boot_lun(profile: str) -> None:
    quirks = Quirks(missing=frozenset({"setbootablestoragedrive"}))
    with plug(spec(profile, quirks=quirks)) as bench:
        job = start(bench)
        job.executor(job.write(64, noise(4096)), bootable=0).run()
        listed = job.phone.programmer.greeting.functions is not None
        assert len(bench.notices) == (0 if listed else 1)


def test_a_ufs_phone_whose_programmer_cannot_set_it() -> None:
    quirks = Quirks(missing=frozenset({"setbootablestoragedrive"}))
    with plug(spec("qcm2290-ufs", quirks=quirks)) as bench:
        job = start(bench)
        job.executor(job.write(64, noise(4096)), bootable=1).run()
        assert bench.notices == ["The programmer cannot choose the LUN that the phone boots from."]


def test_a_ufs_phone_that_refuses_it() -> None:
    with plug("qcm2290-ufs") as bench:
        job = start(bench)
        with pytest.raises(DeviceRefusedError) as caught:
            job.executor(job.write(64, noise(4096)), bootable=5).run()
        assert caught.value.state == "1 of 1 step are done and verified."


# -- contents -------------------------------------------------------------------------------------


@ALL
def test_runs_of_one_value(profile: str) -> None:
    with plug(profile) as bench:
        job = start(bench)
        size = 2 * PIECE
        area = job.area(64, size)
        job.run(Write(area, FillContent(size, b"\xaa\x55\x00\x01"), "fill", "", ""))
        assert job.there(64, size) == b"\xaa\x55\x00\x01" * (size // 4)


def test_an_error_keeps_its_own_way_to_go_on() -> None:
    class OddError(EdlError):
        remedies = ("Wait.", "Run the same command when the moon is full.")

    def fail(event: Event) -> None:
        if isinstance(event, BytesMoved):
            raise OddError("no")

    with plug("sdm660") as bench:
        job = start(bench)
        with pytest.raises(OddError) as caught:
            job.executor(job.write(64, noise(4096)), emit=fail).run()
        assert caught.value.remedies == OddError.remedies
