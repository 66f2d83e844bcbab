# SPDX-License-Identifier: BSD-3-Clause
"""Nobody waits longer than two seconds without a word."""

from __future__ import annotations

import pytest

from edl.errors import TransportTimeoutError
from edl.events import Busy, Event
from edl.transport import Buffer
from edl.transport.patient import PatientTransport
from tests.phones import Script


class Slow(Script):
    """Says something only in the read of that number."""

    def __init__(self, number: int = 2) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._number = number

    def read(self, timeout_s: float) -> memoryview:
        self.waits.append(timeout_s)
        if len(self.waits) < self._number:
            raise TransportTimeoutError("silence")
        return memoryview(b"late")


def test_a_short_wait_needs_no_word() -> None:
    told: list[Event] = []
    with pytest.raises(TransportTimeoutError):
        PatientTransport(Script(), told.append).read(2)
    assert told == []
    assert bytes(PatientTransport(Script(b"at once"), told.append).read(60)) == b"at once"
    assert told == []


def test_a_long_wait_is_told_now_and_then_and_is_as_long_as_before() -> None:
    told: list[Event] = []
    slow = Slow(4)
    assert bytes(PatientTransport(slow, told.append).read(70)) == b"late"
    assert slow.waits == [2, 30, 30, 8]
    assert told == [Busy("", 2, 68), Busy("", 32, 38), Busy("", 62, 8)]
    with pytest.raises(TransportTimeoutError):
        PatientTransport(Slow(9), told.append).read(70)


def test_what_the_phone_has_been_told_to_do_is_told_with_the_wait() -> None:
    told: list[Event] = []
    patient = PatientTransport(Slow(), told.append)
    patient.doing = "erasing"
    patient.read(120)
    assert told == [Busy("erasing", 2, 118)]


def test_a_phone_that_takes_nothing_is_told_of_after_two_seconds() -> None:
    told: list[Event] = []
    blocked = PatientTransport(Script(blocks_after=1), told.append)
    blocked.write(b"taken", 1)
    blocked.doing = "writing"
    for _ in range(150):
        with pytest.raises(TransportTimeoutError):
            blocked.write(b"not taken", 0.25)
    assert told == [Busy("writing", 2), Busy("writing", 32)]


class Sluggish(Script):
    """Takes at most 3 bytes of each write; writes is what it was given, and for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[bytes, float, bool]] = []

    def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        self.given.append((bytes(data), timeout_s, zlp))
        if len(data) > 3:
            raise TransportTimeoutError("slow", done_bytes=3)


def test_a_long_write_goes_on_where_it_stopped() -> None:
    told: list[Event] = []
    slow = Sluggish()
    PatientTransport(slow, told.append).write(b"abcdef", 10, zlp=True)
    assert slow.given == [(b"abcdef", 2, True), (b"def", 8, True)]
    with pytest.raises(TransportTimeoutError) as caught:
        PatientTransport(slow, told.append).write(b"abcdefghi", 10)
    assert caught.value.done_bytes == 6
    assert told == []


def test_a_long_write_that_nobody_takes_is_told_of_while_it_lasts() -> None:
    told: list[Event] = []
    blocked = PatientTransport(Script(blocks_after=0), told.append)
    with pytest.raises(TransportTimeoutError):
        blocked.write(b"not taken", 10)
    assert told == [Busy("", 2)]


def test_what_is_taken_slowly_needs_no_word() -> None:
    class Partly(Script):
        def write(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
            raise TransportTimeoutError("some", done_bytes=1)

    told: list[Event] = []
    slow = PatientTransport(Partly(), told.append)
    for _ in range(9):
        with pytest.raises(TransportTimeoutError):
            slow.write(b"much", 1)
    assert told == []


def test_it_looks_like_what_is_behind_it() -> None:
    script = Script(b"left")
    patient = PatientTransport(script, lambda _: None)
    assert (patient.packet_bytes, patient.keeps_transfers) == (512, True)
    assert (patient.sends_zlp, patient.description) == (True, "The script")
    patient.close()
    with pytest.raises(TransportTimeoutError):
        patient.read(1)


def test_where_nothing_can_be_queued_it_is_written() -> None:
    script = Script()
    patient = PatientTransport(script, lambda _: None)
    patient.post(b"data", 1.0, zlp=True)
    patient.finish(1.0)
    patient.listen(16384)
    patient.abandon()
    assert script.written == [b"data"]
    assert patient.underway_bytes == 0


class Full(Script):
    """Queues nothing any more."""

    underway_bytes = 512

    def post(self, data: Buffer, timeout_s: float, *, zlp: bool = False) -> None:
        raise TransportTimeoutError("no room")

    def finish(self, timeout_s: float) -> None:
        raise TransportTimeoutError("not out")

    def abandon(self) -> None:
        self.underway_bytes = 0

    def listen(self, transfer_bytes: int) -> None:
        self.say(bytes(transfer_bytes))


def test_a_queue_that_stays_full_is_told_of_once() -> None:
    told: list[Event] = []
    patient = PatientTransport(Full(), told.append)
    assert patient.underway_bytes == 512
    with pytest.raises(TransportTimeoutError):
        patient.post(b"x", 2.0)
    with pytest.raises(TransportTimeoutError):
        patient.finish(2.0)
    assert told == [Busy("", 2)]
    patient.abandon()
    assert patient.underway_bytes == 0
    patient.listen(4)
    assert bytes(patient.read(1.0)) == bytes(4)
