# SPDX-License-Identifier: BSD-3-Clause
"""Every state in which a phone may be found: what is told, how soon it ends, and what works next.

Time is the phone's own and steps are counted, so that no test depends on a clock. A step is a read
or a write; what a fresh phone takes is not counted.
"""

from __future__ import annotations

import functools
import itertools
import struct
from dataclasses import dataclass

import pytest

from edl.device import connect, ladder
from edl.device.phone import Phone, Wishes
from edl.device.sahara import BootRom
from edl.errors import (
    CrashDumpError,
    DeviceGoneError,
    EdlError,
    InterruptedUploadError,
    MuteError,
    NoDeviceError,
    ProgrammerFailedError,
    ProgrammerRefusedError,
    ProtocolError,
    TransportError,
)
from edl.events import Event, Stage
from edl.identity import PhoneIdentity
from edl.sahara.status import Status
from edl.transport.serial import FoundPort
from edl.virtual.phone import Phone as VirtualPhone
from edl.virtual.profiles import SERIAL
from edl.virtual.states import CONDITIONS
from tests import phones
from tests.phones import Bench, Script, plug
from tests.virtual.serving import on_pty

ALL = pytest.mark.parametrize("profile", phones.ALL)

KNOCK = "the phone does not greet: asking what runs on it (step 2 of 4)"
ASK = "it is silent: asking for a programmer (step 3 of 4)"
START_OVER = "still silent: telling it to start over (step 4 of 4)"
RUNS = "a programmer is running already; going on with it"
TAKING = "taking what an earlier program has asked for and not read"


def interrupted(why: str) -> str:
    return f"an earlier upload was interrupted ({why}); the boot ROM starts over"


@dataclass(frozen=True)
class Case:
    """What a state comes to.

    told: what is said on the way, of the stages connect and found. steps: at most, more than for a
    fresh phone. error: how the first command ends. keys: the second one needs them. identified: the
    phone tells who it is. exits: why software has left, for those that work.
    """

    told: tuple[str, ...]
    steps: int
    error: type[EdlError] | None = None
    keys: bool = False
    identified: bool = True
    exits: tuple[str, ...] = ("start",)


CASES = {
    "hello-eaten": Case((KNOCK,), 4),
    "one-hello": Case((), 6),
    "command-mode": Case(
        (KNOCK, interrupted("image 13, INVALID_CMD")), 16, exits=("reset", "start")
    ),
    "mid-image": Case(
        (KNOCK, interrupted("image 13, INVALID_DATA_SIZE")), 16, exits=("reset", "start")
    ),
    "refused": Case((KNOCK, ASK, START_OVER), 12),
    "says-crash": Case((), 0, identified=False),
    "crash-dump": Case((), 8, CrashDumpError, keys=True),
    "programmer": Case((KNOCK, RUNS), 0, identified=False, exits=()),
    "stale-answer": Case((RUNS,), 0, identified=False, exits=()),
    "stale-read": Case((RUNS,), 80, identified=False, exits=()),
    "stuck-write": Case((KNOCK, ASK, START_OVER), 14, MuteError, keys=True),
    "mute": Case((KNOCK, ASK), 6, MuteError, keys=True),
}


def told(bench: Bench) -> tuple[str, ...]:
    """Return what the stages of attaching have said."""
    stages = (event for event in bench.events if isinstance(event, Stage))
    return tuple(stage.text for stage in stages if stage.name in {"connect", "found"})


def written(bench: Bench) -> bool:
    return any(change.sectors for change in bench.changes)


def steps(bench: Bench) -> int:
    return sum(transport.reads + len(transport.written) for transport in bench.transports)


@functools.cache
def usual_steps(profile: str) -> int:
    """Return how many steps a fresh phone takes."""
    with plug(profile) as bench:
        bench.connect()
        return steps(bench)


def attach(bench: Bench, case: Case) -> None:
    """Do what one command does; check how it ends."""
    if case.error is None:
        phone = bench.connect()
        assert (phone.identity.serial == SERIAL) == case.identified
        assert phone.luns[0].sectors == bench.flash.luns[0].sectors
    else:
        with pytest.raises(case.error) as caught:
            bench.connect()
        assert caught.value.remedies
        assert "Hold the power button" in caught.value.remedies[0]


def test_every_state_is_in_the_table() -> None:
    assert set(CASES) == set(CONDITIONS)


@ALL
@pytest.mark.parametrize("state", CASES)
def test_a_state_over_usb(profile: str, state: str) -> None:
    case = CASES[state]
    with plug(f"{profile},state={state}") as bench:
        attach(bench, case)
        said = tuple(text for text in told(bench) if text != TAKING)
        if state == "stuck-write" and bench.virtual.profile.programmer == "qcm2290":
            assert said == (KNOCK,)  # generation 3 says what it waits for
        else:
            assert said == case.told
        assert steps(bench) <= usual_steps(profile) + case.steps
        assert bench.virtual_seconds < 20
        assert not written(bench)  # nothing that was said was taken for data
        assert case.error or tuple(bench.virtual.exits) == case.exits

        bench.hang_up()
        bench.events.clear()
        if case.keys:
            attach(bench, case)  # nothing has changed by our trying
            assert not written(bench)
            bench.enter_edl()
        assert bench.connect().luns[0].sectors
        bench.hang_up()
        assert bench.connect().attached


@pytest.mark.parametrize("state", ["hello-eaten", "mid-image", "programmer", "stale-read"])
def test_a_state_at_a_serial_port(state: str) -> None:
    events: list[Event] = []
    with (
        VirtualPhone.create(f"sdm660,size=64M,state={state}") as virtual,
        on_pty(virtual) as (next_name, _),
    ):
        bench = Bench(virtual)
        first = next_name()

        def go(name: str) -> Phone:
            return connect.connect(
                FoundPort(name).open(),
                bench.loader,
                Wishes(),
                events.append,
                reopen=lambda: FoundPort(next_name()).open(),
            )

        phone = go(first)
        assert phone.luns[0].sectors
        phone.transport.close()
        again = go(phone.transport.description.rpartition(" ")[2])
        assert again.attached
        again.transport.close()
    said = [event.text for event in events if isinstance(event, Stage) and event.name == "connect"]
    assert KNOCK in said
    assert len(said) < 8


# -- the boot ROM ---------------------------------------------------------------------------------


@pytest.mark.parametrize("questions", ["refused", "ignored", "silent"])
def test_an_eaten_hello_of_a_boot_rom_that_does_not_tell_who_it_is(questions: str) -> None:
    with plug(f"sdm660,state=hello-eaten,questions={questions}") as bench:
        assert bench.connect().luns[0].sectors
        assert bench.virtual_seconds < 20


def test_an_eaten_hello_is_answered_with_the_wish_for_an_image_if_nobody_asks() -> None:
    known = PhoneIdentity(serial=7)
    for wishes, identity in ((Wishes(), known), (Wishes(identify=False), None)):
        with plug("sdm660,state=hello-eaten") as bench:
            phone = bench.connect(wishes, known=identity)
            assert phone.identity == (identity or PhoneIdentity())


def test_command_mode_that_nobody_wants_is_left() -> None:
    with plug("sdm660") as bench:
        transport = bench.open()
        transport.read(1)
        transport.write(struct.pack("<6I", 2, 0x30, 2, 1, 0, 3) + bytes(24), 1)
        phone = bench.connect(Wishes(identify=False), transport=transport)
        assert phone.identity == PhoneIdentity()


def test_a_request_from_the_middle_of_an_image_is_not_served() -> None:
    """Its beginning was of a file that nobody knows: the boot ROM would refuse the mixture."""
    with plug("sdm660") as bench:
        transport = bench.open()
        transport.read(1)
        transport.write(struct.pack("<6I", 2, 0x30, 2, 1, 0, 0) + bytes(24), 1)
        transport.read(1)
        transport.write(bench.loader(PhoneIdentity())[13][:64], 1)
        assert bench.connect(transport=transport).luns[0].sectors
        assert interrupted("image 13, from byte 64 on") in told(bench)
        assert bench.virtual.exits == ["reset", "start"]


def test_a_boot_rom_that_only_knows_the_reset() -> None:
    with plug(phones.spec("sdm660,state=refused", rom={"knows_restart": False})) as bench:
        assert bench.connect().luns[0].sectors
        assert interrupted("it awaited a reset") in told(bench)
        assert bench.virtual.exits == ["reset", "start"]


def test_an_interrupted_upload_without_a_way_to_find_the_phone_again() -> None:
    stuck = pytest.raises(InterruptedUploadError, match="INVALID_DATA_SIZE")
    with plug("sdm660,state=mid-image") as bench, stuck:
        connect.connect(bench.open(), bench.loader, Wishes())


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [each for each in Status if each], ids=lambda each: each.name)
def test_a_refusal_is_told_in_words_and_another_loader_may_follow(status: Status) -> None:
    with plug(f"sdm660,refuse={int(status):#x}:1") as bench:
        with pytest.raises(ProgrammerRefusedError) as caught:
            bench.connect()
        message, _, number = caught.value.message.partition(" (status ")
        assert number == f"{int(status):#04x} {status.name})."
        assert message.startswith("The phone refused the programmer: ")
        assert len(message.split()) >= 8
        assert "not documented" not in message
        assert caught.value.remedies
        bench.hang_up()
        assert bench.virtual.exits == ["reset"]
        assert bench.connect().luns[0].sectors


def test_no_two_refusals_are_told_in_the_same_words() -> None:
    def words(status: Status) -> str:
        with plug(f"sdm660,refuse={int(status):#x}") as bench:
            with pytest.raises(ProgrammerRefusedError) as caught:
                bench.connect(Wishes(identify=False))
            return caught.value.message.partition(" (status ")[0]

    several = [Status.HASH_TABLE_AUTH_FAILURE, Status.IMAGE_AUTH_FAILURE, Status.INVALID_ELF_HDR]
    assert len({words(status) for status in several}) == len(several)


def test_a_status_that_nobody_knows_keeps_its_number() -> None:
    with plug("sdm660,refuse=0x99") as bench:
        with pytest.raises(ProgrammerRefusedError, match=r"not documented \(status 0x99"):
            bench.connect()
        bench.hang_up()
        with pytest.raises(ProgrammerRefusedError):
            bench.connect()


@pytest.mark.parametrize("lock", ["xiaomi", "vip"])
def test_a_lock_does_not_keep_a_second_command_from_the_same_words(lock: str) -> None:
    messages = []
    with plug(f"sdm660,lock={lock}") as bench:
        for _ in range(2):
            with pytest.raises(EdlError) as caught:
                bench.connect()
            assert caught.value.code == "authorization-required"
            messages.append(caught.value.message)
            bench.hang_up()
    assert len({message.partition(">")[2] for message in messages}) == 1


def test_a_restricted_range_does_not_keep_anybody_out() -> None:
    with plug("sdm660,restricted=0/0+64,restricted=0/100+1") as bench:
        assert bench.connect().luns[0].sectors


# -- programmers that do not run ------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("programmer", ["mute", "garbage"])
def test_a_programmer_that_does_not_work_is_no_fault_of_the_cable(
    profile: str, programmer: str
) -> None:
    with plug(f"{profile},programmer={programmer}") as bench:
        with pytest.raises(ProgrammerFailedError, match="took the programmer, but it does not"):
            bench.connect()
        bench.hang_up()
        with pytest.raises(EdlError):
            bench.connect()
        assert bench.virtual_seconds < 120


def test_a_phone_that_does_not_come_back_with_its_programmer() -> None:
    def nobody() -> phones.Watched:
        raise NoDeviceError("No phone in EDL mode is connected.")

    crashed = pytest.raises(ProgrammerFailedError, match="did not come back: it crashed")
    with plug("qcm2290,usb3=yes") as bench, crashed:
        connect.connect(bench.open(), bench.loader, Wishes(), reopen=nobody)


def test_a_phone_that_comes_back_without_its_programmer() -> None:
    with plug("qcm2290,usb3=yes") as bench:

        def reopen() -> phones.Watched:
            bench.virtual.enter_edl()
            return bench.open()

        with pytest.raises(ProgrammerFailedError, match="came back in EDL mode without it"):
            connect.connect(bench.open(), bench.loader, Wishes(), reopen=reopen)
        bench.hang_up()
        assert bench.connect().identity.serial == SERIAL  # its greeting was read: it is knocked at


# -- without end ----------------------------------------------------------------------------------

HELLO = struct.pack("<6I", 1, 0x30, 2, 1, 1024, 0) + bytes(24)


def request(offset: int, length: int) -> bytes:
    return struct.pack("<5I", 3, 0x14, 13, offset, length)


class Endless(Script):
    """Says the same again and again."""

    def __init__(self, *lines: bytes) -> None:
        super().__init__()
        self._cycle = itertools.cycle(lines)
        self.reads = 0

    def read(self, timeout_s: float) -> memoryview:
        self.reads += 1
        return memoryview(next(self._cycle))


@pytest.mark.parametrize(
    ("lines", "reads"),
    [((HELLO,), 70), ((request(0, 0),), 20), ((request(0, 64),), 20), ((HELLO, request(9, 0)), 50)],
    ids=["greetings", "nothing", "the same", "both"],
)
def test_an_upload_without_end_is_ended(lines: tuple[bytes, ...], reads: int) -> None:
    phone = Endless(*lines)
    with pytest.raises(ProtocolError, match="without end"):
        BootRom(phone).upload({13: bytes(64)})
    assert phone.reads < reads


def test_a_phone_that_asks_for_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "_MAX_LEFTOVER_BYTES", 1 << 16)
    phone = Endless(b"\xff" * 4096)
    events: list[Event] = []
    with pytest.raises(ProtocolError, match="sends without end"):
        ladder.find_out(phone, events.append)
    assert events == [Stage("connect", TAKING)]
    assert not ladder.leaves(phone)


# -- the connection -------------------------------------------------------------------------------


class Failing(Script):
    """Fails a number of times before it says anything."""

    def __init__(self, error: Exception, times: int, *lines: bytes) -> None:
        super().__init__(*lines)
        self._errors = [error] * times

    def read(self, timeout_s: float) -> memoryview:
        if self._errors:
            raise self._errors.pop()
        return super().read(timeout_s)


def test_a_halted_endpoint_is_tried_again_once() -> None:
    halt = TransportError("Could not read from the phone: Pipe error")
    events: list[Event] = []
    answering = ladder.find_out(Failing(halt, 1, HELLO), events.append)
    assert answering.hello is not None
    assert events == [Stage("connect", "the connection was halted: trying again")]
    with pytest.raises(TransportError, match="Pipe error"):
        ladder.find_out(Failing(halt, 2, HELLO))


def test_a_stalled_endpoint_of_a_phone() -> None:
    with plug("sdm660,fault=stall@in:0") as bench:
        assert bench.connect().identity.serial == SERIAL


def test_a_phone_that_leaves_is_not_called_mute() -> None:
    with pytest.raises(DeviceGoneError):
        ladder.find_out(Failing(DeviceGoneError("It left."), 1, HELLO))


def test_a_phone_that_leaves_in_place_of_an_answer_has_obeyed_the_reset() -> None:
    assert BootRom(Failing(DeviceGoneError("It left."), 1)).reset()
    assert not BootRom(Failing(TransportError("Broken."), 1)).reset()
    assert not BootRom(Script()).reset()


def test_a_phone_that_takes_only_the_first_word() -> None:
    phone = Script(blocks_after=1)
    with pytest.raises(MuteError, match="takes every command and answers none"):
        ladder.find_out(phone)
    assert phone.taken == 1


def test_a_phone_that_stays_does_not_leave() -> None:
    assert not ladder.leaves(Script(b"more", b"words"))
    assert not ladder.leaves(Failing(TransportError("Broken."), 1))
    assert ladder.leaves(Failing(DeviceGoneError("It left."), 1))
