# SPDX-License-Identifier: BSD-3-Clause
"""What is owed to a stuck programmer, who may deliver it, and what comes of wrong numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edl.chunks import BytesContent
from edl.device import owed as delivering
from edl.device.dialogue import Dialogue
from edl.errors import DiskError, EdlError, MuteError
from edl.firehose import commands
from edl.firehose.commands import Area
from edl.plan import history, job, owed
from edl.plan.journal import Flight, Journal, read
from edl.plan.model import Write
from tests import phones
from tests.phones import Script, plug

AREA = Area(0, 64, 256, 512)
PLACE = "usb 1-1 1 7"


@pytest.fixture
def path() -> Path:
    return in_flight("1a2b3c4d", AREA)


def in_flight(serial: str, area: Area, place: str = PLACE) -> Path:
    """Leave the journal of a job that was interrupted in the middle of area."""
    journal = history.begin(serial, "rawprogram", "job", {}, owed.session(place))
    journal.begin(area, "boot", 16384)
    journal.sent(32768)
    journal.close()
    return journal.path


def test_the_phone_at_its_place_is_known(path: Path) -> None:
    for serial in (None, "1a2b3c4d"):
        claim = owed.claim(PLACE, serial)
        assert claim is not None
        assert (claim.serial, claim.flight) == ("1a2b3c4d", Flight(AREA, "boot", 16384, 32768))
        assert claim.record.kept == read(path)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(("place", "serial"), [("", None), ("usb 1-1 1 8", None), (PLACE, "ff")])
def test_another_place_or_phone_proves_nothing(place: str, serial: str | None) -> None:
    assert owed.claim(place, serial) is None


@pytest.mark.usefixtures("path")
def test_another_run_of_the_computer_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(owed, "_BOOT_ID", tmp_path / "boot_id")
    assert owed.boot().startswith("minute ")
    assert owed.claim(PLACE, None) is None
    (tmp_path / "boot_id").write_text("another\n")
    assert owed.claim(PLACE, None) is None


def test_nothing_is_owed_when_a_piece_is_done(path: Path) -> None:
    journal = Journal(path, "job", resume=True, session=owed.session(PLACE))
    journal.begin(AREA, "boot", 16384)
    journal.piece(AREA, bytes(32))
    journal.close()
    assert owed.claim(PLACE, None) is None


def test_who_is_at_a_place_is_known_between_pieces_too(path: Path) -> None:
    assert (owed.who(PLACE), owed.who(""), owed.who("usb 1-1 1 8")) == ("1a2b3c4d", None, None)
    journal = Journal(path, "job", resume=True, session=owed.session(PLACE))
    assert owed.who(PLACE) is None  # another process is at it
    journal.close()
    assert owed.claim(PLACE, None) is None
    assert owed.who(PLACE) == "1a2b3c4d"


def test_a_damaged_journal_proves_nothing(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b"{}")  # cut short
    assert owed.claim(PLACE, None) is not None
    path.write_bytes(whole + b"{}\n")
    assert owed.claim(PLACE, None) is None


def test_a_later_job_settles_what_was_owed(path: Path) -> None:
    other = Area(0, 512, 64, 512)
    second = in_flight("1a2b3c4d", other)
    claim = owed.claim(PLACE, None)
    assert claim is not None
    assert claim.flight.area == other
    assert read(path).flight is None
    assert read(path).interrupted
    history.end(claim.record, "given up")
    assert not second.exists()
    assert owed.claim(PLACE, None) is None


@pytest.mark.usefixtures("path")
def test_of_several_phones_at_a_place_the_last_one_is_there() -> None:
    in_flight("00000001", Area(0, 8, 8, 512))
    claim = owed.claim(PLACE, None)
    assert claim is not None
    assert claim.serial == "00000001"
    claim = owed.claim(PLACE, "1a2b3c4d")
    assert claim is not None
    assert claim.serial == "1a2b3c4d"
    odd = history.begin("00000002", "write", "job", {}, {**owed.session(PLACE), "at": "later"})
    odd.begin(AREA, "boot", 16384)
    odd.close()
    claim = owed.claim(PLACE, None)
    assert claim is not None
    assert claim.serial == "00000001"


def test_a_second_attempt_counts_nothing_any_more(path: Path) -> None:
    claim = owed.claim(PLACE, None)
    assert claim is not None
    with pytest.raises(MuteError):
        claim.settle(Script(blocks_after=1))
    kept = read(path)
    assert kept.flight is not None
    assert kept.flight.sent_bytes == AREA.size_bytes


def test_a_journal_that_cannot_be_written_stops_it(path: Path) -> None:
    claim = owed.claim(PLACE, None)
    assert claim is not None
    path.unlink()
    script = Script()
    with pytest.raises(DiskError, match="cannot be written"):
        claim.settle(script)
    assert script.written == []


def test_a_place_for_data_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise DiskError("There is no place.")

    monkeypatch.setattr(history, "home", nowhere)
    assert owed.claim(PLACE, None) is None


@pytest.mark.parametrize(
    ("serial", "files", "told"),
    [("ffffffff", [], "is of the phone ffffffff; this is 1a2b3c4d"), (None, [["a", "b"]], "a")],
)
def test_only_the_same_job_goes_on(serial: str | None, files: list[list[str]], told: str) -> None:
    with plug("qcm2290") as bench:
        storage = bench.storage()
        write = Write(AREA, BytesContent(bytes(AREA.size_bytes)), "boot", "x", "")
        meant = job.Job(serial or storage.phone.serial, files)
        with pytest.raises(EdlError, match=told):
            phones.carry_out(bench, phones.plan_of(storage, write), storage,
                             job.Rules(resume=True, only=meant))  # fmt: skip
        assert bench.changes == []


def test_a_phone_that_does_not_tell_who_it_is_must_do_so() -> None:
    with plug("msm8916", running=True) as bench:
        storage = bench.storage()
        write = Write(AREA, BytesContent(bytes(AREA.size_bytes)), "boot", "x", "")
        with pytest.raises(EdlError, match="does not tell") as caught:
            phones.carry_out(bench, phones.plan_of(storage, write), storage,
                             job.Rules(resume=True, only=job.Job("1a2b3c4d", [])))  # fmt: skip
        assert "Enter EDL mode again" in caught.value.remedies[0]


def test_a_job_of_a_nameless_phone_begins_anew_on_one_with_a_name() -> None:
    with plug("qcm2290") as bench:
        storage = bench.storage()
        write = Write(AREA, BytesContent(bytes(range(256)) * 512), "boot", "x", "")
        rules = job.Rules(resume=True, only=job.Job("unknown", [], "rawprogram-1"))
        plan = phones.plan_of(storage, write)
        report = phones.carry_out(bench, plan, storage, rules).report
        assert (report.resumed_bytes, report.verified_bytes) == (0, AREA.size_bytes)


# -- delivering ---------------------------------------------------------------------------------


def test_what_is_owed_goes_out_fast_and_then_sector_by_sector() -> None:
    script = Script(blocks_after=None)
    with pytest.raises(MuteError, match="another write"):
        delivering.deliver(script, AREA, 16384, 65536)
    sizes = [len(data) for data in script.written]
    assert sizes == [16384] * 4 + [512] * 128
    assert {bytes(data) for data in script.written} == {bytes(16384), bytes(512)}


def test_a_phone_that_takes_nothing_is_mute() -> None:
    script = Script(blocks_after=0)
    with pytest.raises(MuteError, match="takes no data"):
        delivering.deliver(script, AREA, 16384, 0)


@pytest.mark.parametrize("profile", phones.ALL)
@pytest.mark.parametrize("got", [0, 1, 100, 255])
@pytest.mark.parametrize("exact", [True, False])
def test_wrong_numbers_change_nothing_elsewhere(profile: str, got: int, exact: bool) -> None:
    """Whatever the journal says: it ends with a programmer that listens, and only the area changed.

    exact: else the programmer has got more than the journal thinks.
    """
    with plug(profile, running=True) as bench:
        phone = bench.connect()
        unit = phone.sector_bytes
        area = Area(0, 64, 256, unit)
        lun = bench.flash.luns[0]
        lun.write(0, b"\xee" * (512 * unit))
        transport = bench.transports[-1]
        Dialogue(transport).ask("program", commands.program(area), 5.0)
        size = phone.programmer.payload_bytes
        left = got * unit
        while left:
            transport.write(bytes([7]) * min(size, left), 1.0, zlp=True)
            left -= min(size, left)
        transport.write(commands.nop(), 1.0)
        delivering.deliver(transport, area, size, got * unit if exact else 0, bench.events.append)
        phone.programmer.ping()
        assert any(phone.programmer.ping() for _ in range(2))
        assert lun.read(0, 64) == b"\xee" * (64 * unit)
        assert lun.read(320, 192) == b"\xee" * (192 * unit)
        assert lun.read(64, 256) == b"\7" * (got * unit) + bytes((256 - got) * unit)
